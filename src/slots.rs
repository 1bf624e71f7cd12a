//! One index per key: get or create, remove; full is an answer.
//!
//! A ledger counts in *units* (a GOT slot, a cell of an island). A key takes one unit, or two side by side, and keeps
//! them until it is removed: other code holds their addresses. So the index that finds a key again must not order the
//! units. It is a chained hash table laid across the same records, each of which is two things at once:
//!
//! ```text
//! record i   head                           the first unit of bucket i
//!            id kind value state next prev  unit i
//! ```
//!
//! There are as many buckets as units, so a chain is about one unit long, and no count of records is better than
//! another.
//!
//! Units come in pairs at even indices, a buddy system of two levels. A single opens a pair and leaves the second half
//! to the next single, so singles alone get 0, 1, 2 and so on; when both halves are free again they become one pair
//! again. Free singles and free pairs are doubly linked lists, so that either half can be taken out of its list when
//! the other is freed.
//!
//! Every step takes constant time, the expected length of a chain. The hash is fixed: who may choose the keys can make
//! one chain of them all.

/// No unit: the end of a chain or list.
const NONE: u32 = u32::MAX;

/// Units that a `u32` can name beside [`NONE`]. Records beyond are never used.
const LIMIT: usize = NONE as usize;

/// What a unit is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum State {
    /// Never used, or the second half of a free pair.
    #[default]
    Idle,
    /// Free, while its buddy is not; in the list of singles.
    FreeOne,
    /// The first half of a free pair; in the list of pairs.
    FreeTwo,
    /// The only or the first unit of a key.
    First,
    /// The second unit of the key of its buddy.
    Second,
}

/// The storage of one slot or cell of a ledger, opaque; 32 bytes.
///
/// Begin with `Default`; a ledger empties its storage before use, whatever it held.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    id: u64,
    value: u64,
    head: u32,
    next: u32,
    prev: u32,
    kind: u8,
    state: State,
}

impl Record {
    const EMPTY: Self = Self { id: 0, value: 0, head: NONE, next: NONE, prev: NONE, kind: 0, state: State::Idle };

    /// The key that took the unit, if it is its [`State::First`].
    pub(crate) const fn key(&self) -> Key {
        Key { id: self.id, kind: self.kind }
    }

    /// The number kept with the unit; 0 if it is free.
    pub(crate) const fn value(&self) -> u64 {
        self.value
    }

    pub(crate) const fn state(&self) -> State {
        self.state
    }
}

impl Default for Record {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// Who takes units. Keys of one `id` and several kinds are few: they share a bucket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    pub(crate) id: u64,
    pub(crate) kind: u8,
}

/// How many units a key takes, and the number kept with each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Units {
    One(u64),
    Two([u64; 2]),
}

/// What a ledger knows beside its records: where the lists of free units begin, and how far it has come.
///
/// `Default` is that of one whose records are all [`Record::default`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lists {
    ones: u32,
    twos: u32,
    /// All units from here on were never used; even, unless it is the capacity.
    fresh: u32,
    end: u32,
    used: u32,
}

impl Lists {
    /// One more than the highest unit that ever was taken.
    #[cfg(feature = "link")]
    pub(crate) const fn end(self) -> u32 {
        self.end
    }
}

impl Default for Lists {
    fn default() -> Self {
        Self { ones: NONE, twos: NONE, fresh: 0, end: 0, used: 0 }
    }
}

/// Keys and the units they took.
#[derive(Clone, Debug)]
pub(crate) struct Slots<T> {
    storage: T,
    lists: Lists,
}

impl<T: AsRef<[Record]>> Slots<T> {
    /// The ledger whose [`lists`](Self::lists) these were: `storage` is as long as it was then and holds what it held.
    pub(crate) fn resume(storage: T, lists: Lists) -> Self {
        Self { storage, lists }
    }

    /// All of the ledger but its storage.
    #[cfg(any(test, feature = "link"))]
    pub(crate) const fn lists(&self) -> Lists {
        self.lists
    }

    /// Units there are.
    pub(crate) fn capacity(&self) -> u32 {
        self.records().len() as u32
    }

    /// Units taken now.
    pub(crate) const fn used(&self) -> u32 {
        self.lists.used
    }

    /// One more than the highest unit that ever was taken.
    pub(crate) const fn end(&self) -> u32 {
        self.lists.end
    }

    pub(crate) fn find(&self, key: Key) -> Option<u32> {
        self.find_kind(key.id, |kind| kind == key.kind)
    }

    /// The first unit of a key of this `id` whose kind `is` one of those meant.
    pub(crate) fn find_kind(&self, id: u64, is: impl Fn(u8) -> bool) -> Option<u32> {
        let mut unit = self.get(self.bucket(id))?.head;
        loop {
            let record = self.get(unit)?;
            if record.id == id && is(record.kind) {
                return Some(unit);
            }
            unit = record.next;
        }
    }

    /// The first unit that a new key would get, and what it would take: `units` is told which unit a single would get, and
    /// says. `None` is without room for that.
    pub(crate) fn next(&self, units: impl FnOnce(u32) -> Units) -> Option<(u32, Units)> {
        let one = self.next_one()?;
        let units = units(one);
        match units {
            Units::One(_) => Some((one, units)),
            Units::Two(_) => self.next_two().map(|two| (two, units)),
        }
    }

    /// The record of `unit`, if there is such a unit.
    pub(crate) fn get(&self, unit: u32) -> Option<&Record> {
        self.records().get(unit as usize)
    }

    /// The taken units that are their key's first, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Record)> {
        (0..self.end()).zip(self.records()).filter(|(_, record)| record.state == State::First)
    }

    fn records(&self) -> &[Record] {
        let all = self.storage.as_ref();
        all.get(..LIMIT).unwrap_or(all)
    }

    fn state(&self, unit: u32) -> Option<State> {
        self.get(unit).map(Record::state)
    }

    fn bucket(&self, id: u64) -> u32 {
        (((mix(id) >> 32) * u64::from(self.capacity())) >> 32) as u32
    }

    /// The unit the next single gets: a free half before a free pair, so that pairs last; a free pair before a fresh
    /// one.
    fn next_one(&self) -> Option<u32> {
        let Lists { ones, twos, fresh, .. } = self.lists;
        [ones, twos, fresh].into_iter().find(|&unit| unit < self.capacity())
    }

    fn next_two(&self) -> Option<u32> {
        let Lists { twos, fresh, .. } = self.lists;
        [twos, fresh].into_iter().find(|&unit| unit < self.capacity() && (unit | 1) < self.capacity())
    }
}

impl<T: AsRef<[Record]> + AsMut<[Record]>> Slots<T> {
    pub(crate) fn new(storage: T) -> Self {
        let mut slots = Self::resume(storage, Lists::default());
        slots.empty();
        slots
    }

    /// Frees all units.
    pub(crate) fn empty(&mut self) {
        self.storage.as_mut().fill(Record::EMPTY);
        self.lists = Lists::default();
    }

    /// The first unit of `key`. If it has none yet, it takes what [`next`](Self::next) says; without room for that, the
    /// answer is `None` and nothing is changed.
    pub(crate) fn claim(&mut self, key: Key, units: impl FnOnce(u32) -> Units) -> Option<u32> {
        if let Some(unit) = self.find(key) {
            return Some(unit);
        }
        let (unit, units) = self.next(units)?;
        let last = match units {
            Units::One(_) => unit,
            Units::Two(_) => unit | 1,
        };
        if unit == self.lists.fresh {
            self.lists.fresh = unit.saturating_add(2).min(self.capacity());
        } else {
            self.unlink(unit);
        }
        if unit == last && self.state(unit ^ 1) == Some(State::Idle) {
            self.push(unit ^ 1, State::FreeOne);
        }

        let bucket = self.bucket(key.id);
        let next = core::mem::replace(&mut self.get_mut(bucket)?.head, unit);
        let first = self.get_mut(unit)?;
        *first = Record { id: key.id, kind: key.kind, state: State::First, next, ..*first };
        if unit != last {
            self.get_mut(last)?.state = State::Second;
        }
        self.set(unit, units);
        self.lists.used += last - unit + 1;
        self.lists.end = self.end().max(last + 1);
        Some(unit)
    }

    /// Replaces the numbers kept with a key's units; `units` are as many as it took.
    pub(crate) fn set(&mut self, unit: u32, units: Units) {
        let (first, second) = match units {
            Units::One(value) => (value, None),
            Units::Two([first, second]) => (first, Some(second)),
        };
        if let Some(record) = self.get_mut(unit) {
            record.value = first;
        }
        if let (Some(value), Some(record)) = (second, self.get_mut(unit ^ 1)) {
            record.value = value;
        }
    }

    /// Frees the units of `key`, and says which was the first.
    pub(crate) fn remove(&mut self, key: Key) -> Option<u32> {
        let unit = self.unchain(key)?;
        let buddy = unit ^ 1;
        self.clear(unit);
        self.lists.used -= 1;
        match self.state(buddy) {
            Some(State::Second) => {
                self.clear(buddy);
                self.lists.used -= 1;
                self.push(unit, State::FreeTwo);
            }
            Some(State::FreeOne) => {
                self.unlink(buddy);
                self.push(unit & !1, State::FreeTwo);
            }
            _ => self.push(unit, State::FreeOne),
        }
        Some(unit)
    }

    fn get_mut(&mut self, unit: u32) -> Option<&mut Record> {
        if unit == NONE { None } else { self.storage.as_mut().get_mut(unit as usize) }
    }

    /// Takes the first unit of `key` out of the chain of its bucket.
    fn unchain(&mut self, key: Key) -> Option<u32> {
        let bucket = self.bucket(key.id);
        let mut before = NONE;
        let mut unit = self.get(bucket)?.head;
        let next = loop {
            let record = self.get(unit)?;
            if record.key() == key {
                break record.next;
            }
            before = unit;
            unit = record.next;
        };
        match self.get_mut(before) {
            Some(record) => record.next = next,
            None => self.get_mut(bucket)?.head = next,
        }
        Some(unit)
    }

    fn clear(&mut self, unit: u32) {
        if let Some(record) = self.get_mut(unit) {
            *record = Record { head: record.head, ..Record::EMPTY };
        }
    }

    fn list(&mut self, state: State) -> &mut u32 {
        if state == State::FreeTwo { &mut self.lists.twos } else { &mut self.lists.ones }
    }

    /// Puts `unit` first in the list of `state`.
    fn push(&mut self, unit: u32, state: State) {
        let next = core::mem::replace(self.list(state), unit);
        if let Some(record) = self.get_mut(next) {
            record.prev = unit;
        }
        if let Some(record) = self.get_mut(unit) {
            *record = Record { head: record.head, next, state, ..Record::EMPTY };
        }
    }

    /// Takes the free `unit` out of its list.
    fn unlink(&mut self, unit: u32) {
        let Some(&Record { state, next, prev, .. }) = self.get(unit) else { return };
        match self.get_mut(prev) {
            Some(record) => record.next = next,
            None => *self.list(state) = next,
        }
        if let Some(record) = self.get_mut(next) {
            record.prev = prev;
        }
        self.clear(unit);
    }
}

/// Spreads every bit of `id` over all 64 (the finalizer of MurmurHash3): symbols and addresses differ in few, low bits.
const fn mix(id: u64) -> u64 {
    let id = (id ^ (id >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let id = (id ^ (id >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    id ^ (id >> 33)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use quickcheck::quickcheck;
    use std::collections::HashMap;
    use std::{vec, vec::Vec};

    const fn key(id: u64) -> Key {
        Key { id, kind: 0 }
    }

    fn single(slots: &mut Slots<[Record; 5]>, id: u64) -> Option<u32> {
        slots.claim(key(id), |_| Units::One(id))
    }

    fn pair(slots: &mut Slots<[Record; 5]>, id: u64) -> Option<u32> {
        slots.claim(key(id), |_| Units::Two([id, id]))
    }

    #[test]
    fn singles_are_consecutive() {
        let mut slots = Slots::new([Record::default(); 5]);
        for id in 0..5 {
            assert_eq!(single(&mut slots, id + 100), Some(id as u32));
        }
        assert_eq!(single(&mut slots, 99), None);
        assert_eq!(single(&mut slots, 104), Some(4));
    }

    #[test]
    fn a_pair_leaves_an_odd_single_to_the_next() {
        let mut slots = Slots::new([Record::default(); 5]);
        assert_eq!(single(&mut slots, 1), Some(0));
        assert_eq!(pair(&mut slots, 2), Some(2));
        assert_eq!(slots.end(), 4);
        assert_eq!(pair(&mut slots, 3), None);
        assert_eq!(single(&mut slots, 4), Some(1));
        assert_eq!(single(&mut slots, 5), Some(4));
        assert_eq!((slots.used(), slots.end()), (5, 5));
    }

    #[test]
    fn halves_become_a_pair_again() {
        let mut slots = Slots::new([Record::default(); 5]);
        for id in 0..5 {
            single(&mut slots, id);
        }
        assert_eq!(slots.remove(key(3)), Some(3));
        assert_eq!(slots.remove(key(0)), Some(0));
        assert_eq!(slots.remove(key(4)), Some(4));
        assert_eq!(pair(&mut slots, 9), None, "three units are free, no two side by side");
        assert_eq!(slots.remove(key(2)), Some(2));
        assert_eq!(pair(&mut slots, 9), Some(2));
        assert_eq!(slots.remove(key(0)), None);
    }

    #[test]
    fn a_free_half_is_taken_before_a_free_pair() {
        let mut slots = Slots::new([Record::default(); 5]);
        for id in 0..5 {
            single(&mut slots, id);
        }
        for id in [0, 2, 3] {
            slots.remove(key(id));
        }
        assert_eq!(single(&mut slots, 7), Some(0));
        assert_eq!(pair(&mut slots, 8), Some(2));
    }

    #[test]
    fn what_the_storage_held_is_forgotten() {
        let mut storage = [Record::default(); 3];
        Slots::new(&mut storage).claim(key(7), |_| Units::One(1));
        assert_eq!(Slots::new(&mut storage).find(key(7)), None);
    }

    #[test]
    fn no_storage_is_full() {
        let mut slots = Slots::new([]);
        assert_eq!(slots.find(key(0)), None);
        assert_eq!(slots.claim(key(0), |_| Units::One(0)), None);
        assert_eq!(slots.remove(key(0)), None);
    }

    /// Every unit is in exactly one place: taken, in one list, or idle as its state allows; lists hold together both
    /// ways.
    fn sound<T: AsRef<[Record]> + AsMut<[Record]>>(slots: &Slots<T>) -> bool {
        let walk = |first: u32, state: State| -> Option<Vec<u32>> {
            let (mut units, mut before, mut unit) = (vec![], NONE, first);
            while let Some(record) = slots.get(unit) {
                if record.state != state || record.prev != before || units.len() > slots.records().len() {
                    return None;
                }
                units.push(unit);
                (before, unit) = (unit, record.next);
            }
            Some(units)
        };
        let (Some(ones), Some(twos)) = (walk(slots.lists.ones, State::FreeOne), walk(slots.lists.twos, State::FreeTwo))
        else {
            return false;
        };
        let listed = ones.len() + 2 * twos.len() + slots.used() as usize;
        listed == slots.lists.fresh as usize
            && ones.iter().all(|&unit| !matches!(slots.state(unit ^ 1), Some(State::Idle | State::FreeOne)))
            && twos.iter().all(|&unit| unit.is_multiple_of(2) && slots.state(unit + 1) == Some(State::Idle))
            && (slots.end()..slots.capacity()).all(|unit| slots.get(unit).is_some_and(|record| record.value == 0))
    }

    /// Where a model says that keys are: their first unit and how many.
    type Model = HashMap<Key, (u32, u32)>;

    /// Does `op` to both; whether they agree.
    fn step(slots: &mut Slots<Vec<Record>>, model: &mut Model, op: u8, id: u8) -> bool {
        let (units, width) = if id.is_multiple_of(2) { (Units::One(9), 1) } else { (Units::Two([9, 9]), 2) };
        // Keys of one id and two kinds share a bucket.
        let key = Key { id: u64::from(id / 2) << 40, kind: id % 2 };
        if op.is_multiple_of(3) {
            return slots.remove(key) == model.remove(&key).map(|(unit, _)| unit);
        }
        let is_free = |unit| model.values().all(|&(at, width)| unit < at || at + width <= unit);
        let room = (0..(slots.capacity() + 1).saturating_sub(width))
            .any(|unit| unit.is_multiple_of(width) && (unit..unit + width).all(is_free));
        match (slots.claim(key, |_| units), model.get(&key)) {
            (Some(unit), Some(&(known, _))) => unit == known,
            (Some(unit), None) => {
                let free = (unit..unit + width).all(is_free);
                model.insert(key, (unit, width));
                free
            }
            (None, known) => known.is_none() && !room,
        }
    }

    quickcheck! {
        fn as_a_map(capacity: u8, ops: Vec<(u8, u8)>) -> bool {
            let mut slots = Slots::new(vec![Record::default(); usize::from(capacity % 40)]);
            let mut model = Model::new();
            ops.into_iter().all(|(op, id)| {
                // Laid down and taken up again between any two steps.
                let lists = slots.lists();
                slots = Slots::resume(core::mem::take(&mut slots.storage), lists);
                step(&mut slots, &mut model, op, id % 48)
                    && Slots::resume(&slots.storage[..], slots.lists()).iter().count() == model.len()
                    && slots.used() == model.values().map(|&(_, width)| width).sum::<u32>()
                    && slots.iter().count() == model.len()
                    && sound(&slots)
            })
        }
    }
}
