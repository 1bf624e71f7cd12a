//! One index per key: get or create, remove; full is an answer.
//!
//! A ledger counts in *units* (a GOT slot, a cell of an island). A key takes one unit, or two side by side, and keeps
//! them until it is removed: other code holds their addresses. So the index that finds a key again must not order the
//! units. It is a chained hash table laid across the same records, each of which is two things at once:
//!
//! ```text
//! record i   heads                       the first units of chains 2i and 2i + 1
//!            id kind value state next    unit i
//! ```
//!
//! There are twice as many chains as units, so that most keys are the first of theirs, and no count of records is better
//! than another.
//!
//! Every step takes constant time, the expected length of a chain. The hash is fixed: who may choose the keys can make
//! one chain of them all.

mod free;

pub(crate) use free::Lists;

/// No unit: the end of a chain or list.
const NONE: u32 = u32::MAX;

/// Units that a `u32` can name beside [`NONE`]. Records beyond are never used.
const LIMIT: usize = NONE as usize;

/// What a unit is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "std", derive(zerocopy::FromZeros))]
#[repr(u8)]
pub(crate) enum State {
    /// Never used, or the other half of a pair of which the first tells.
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
#[cfg_attr(feature = "std", derive(zerocopy::FromZeros))]
pub struct Record {
    /// Of a free unit, the one before it in its list.
    id: u64,
    value: u64,
    heads: [u32; 2],
    next: u32,
    kind: u8,
    state: State,
}

const _: () = assert!(size_of::<Record>() == 32);

impl Record {
    const EMPTY: Self = Self { id: 0, value: 0, heads: [NONE; 2], next: NONE, kind: 0, state: State::Idle };

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

/// Who takes units. Keys of one `id` and several kinds are few: they share a chain.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    pub(crate) id: u64,
    pub(crate) kind: u8,
}

/// The keys of one `id` whose kinds agree in the bits of a mask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys {
    key: Key,
    mask: u8,
}

impl Keys {
    /// Those whose kind has the bits of `mask` that the `key`'s has.
    pub(crate) const fn like(key: Key, mask: u8) -> Self {
        Self { key: Key { kind: key.kind & mask, ..key }, mask }
    }

    /// One of them: whose kind has no other bits.
    pub(crate) const fn key(self) -> Key {
        self.key
    }

    #[inline]
    const fn has(self, key: Key) -> bool {
        self.key.id == key.id && self.key.kind == key.kind & self.mask
    }
}

impl From<Key> for Keys {
    #[inline]
    fn from(key: Key) -> Self {
        Self::like(key, u8::MAX)
    }
}

/// How many units a key takes, and the number kept with each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Units {
    One(u64),
    Two([u64; 2]),
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

    /// The first unit of one of `keys`.
    #[inline]
    pub(crate) fn find(&self, keys: impl Into<Keys>) -> Option<u32> {
        let (keys, records) = (keys.into(), self.records());
        let (record, head) = chain(keys.key.id, records.len());
        let first = *records.get(record)?.heads.get(head)?;
        if cfg!(feature = "fast") {
            // Most are the first of their chain: they are found without a jump.
            let record = records.get(first as usize)?;
            if keys.has(record.key()) {
                return Some(first);
            }
            core::hint::cold_path();
            return follow(records, keys, record.next);
        }
        follow(records, keys, first)
    }

    /// The first unit that a new key would get, and what it would take: `units` is told which unit a single would get, and
    /// says. `None` is without room for that.
    pub(crate) fn next(&self, units: impl FnOnce(u32) -> Units) -> Option<(u32, Units)> {
        let one = self.lists.one(self.capacity())?;
        let units = units(one);
        match units {
            Units::One(_) => Some((one, units)),
            Units::Two(_) => self.lists.two(self.capacity()).map(|two| (two, units)),
        }
    }

    /// The record of `unit`, if there is such a unit.
    #[inline]
    pub(crate) fn get(&self, unit: u32) -> Option<&Record> {
        self.records().get(unit as usize)
    }

    /// The taken units that are their key's first, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Record)> {
        (0..self.end()).zip(self.records()).filter(|(_, record)| record.state == State::First)
    }

    #[inline]
    fn records(&self) -> &[Record] {
        let all = self.storage.as_ref();
        all.get(..LIMIT).unwrap_or(all)
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

    /// Gives `key`, which has none, what [`next`](Self::next) says, and returns the first unit; without room for that, the
    /// answer is `None` and nothing is changed.
    pub(crate) fn add(&mut self, key: Key, units: Units) -> Option<u32> {
        self.table().add(key, units)
    }

    /// Gives the first `count` units to keys that have none, in a ledger without any: to each the one that comes with it, and its
    /// number. Answers whether there is room.
    #[cfg(feature = "link")]
    pub(crate) fn fill(&mut self, count: u32, keys: impl Iterator<Item = (u32, Key, u64)>) -> bool {
        self.table().fill(count, keys)
    }

    /// Replaces the numbers kept with a key's units; `units` are as many as it took.
    pub(crate) fn set(&mut self, unit: u32, units: Units) {
        self.table().set(unit, units);
    }

    /// Frees the units of the first found of `keys`, and says which was its first.
    pub(crate) fn remove(&mut self, keys: impl Into<Keys>) -> Option<u32> {
        self.table().remove(keys.into())
    }

    fn table(&mut self) -> Table<'_> {
        let all = self.storage.as_mut();
        let limit = all.len().min(LIMIT);
        Table { records: all.get_mut(..limit).unwrap_or_default(), lists: &mut self.lists }
    }
}

/// A ledger to be changed, whatever its storage.
struct Table<'s> {
    records: &'s mut [Record],
    lists: &'s mut Lists,
}

impl Table<'_> {
    fn add(&mut self, key: Key, units: Units) -> Option<u32> {
        let unit = self.take(units)?;
        self.enter(unit, key, units)?;
        Some(unit)
    }

    /// Gives `key` units that were taken.
    fn enter(&mut self, unit: u32, key: Key, units: Units) -> Option<()> {
        let next = core::mem::replace(self.head(key.id)?, unit);
        let first = self.records.get_mut(unit as usize)?;
        *first = Record { id: key.id, kind: key.kind, state: State::First, next, ..*first };
        self.set(unit, units);
        Some(())
    }

    #[cfg(feature = "link")]
    fn fill(&mut self, count: u32, keys: impl Iterator<Item = (u32, Key, u64)>) -> bool {
        (0..count).all(|_| self.take(Units::One(0)).is_some())
            && keys.fuse().all(|(unit, key, value)| self.enter(unit, key, Units::One(value)).is_some())
    }

    fn set(&mut self, unit: u32, units: Units) {
        let (first, second) = match units {
            Units::One(value) => (value, None),
            Units::Two([first, second]) => (first, Some(second)),
        };
        if let Some(record) = self.records.get_mut(unit as usize) {
            record.value = first;
        }
        if let (Some(value), Some(record)) = (second, self.records.get_mut((unit ^ 1) as usize)) {
            record.value = value;
        }
    }

    fn remove(&mut self, keys: Keys) -> Option<u32> {
        let unit = self.unchain(keys)?;
        self.give_back(unit);
        Some(unit)
    }

    /// Takes the first found of `keys` out of its chain.
    fn unchain(&mut self, keys: Keys) -> Option<u32> {
        let mut before = NONE;
        let mut unit = *self.head(keys.key.id)?;
        let next = loop {
            let record = self.records.get(unit as usize)?;
            if keys.has(record.key()) {
                break record.next;
            }
            before = unit;
            unit = record.next;
        };
        match self.records.get_mut(before as usize) {
            Some(record) => record.next = next,
            None => *self.head(keys.key.id)? = next,
        }
        Some(unit)
    }

    /// Where the chain of `id` begins.
    fn head(&mut self, id: u64) -> Option<&mut u32> {
        let (record, head) = chain(id, self.records.len());
        self.records.get_mut(record)?.heads.get_mut(head)
    }
}

/// The first unit of one of `keys` in the chain from `unit` on.
#[inline]
fn follow(records: &[Record], keys: Keys, mut unit: u32) -> Option<u32> {
    loop {
        let record = records.get(unit as usize)?;
        if keys.has(record.key()) {
            return Some(unit);
        }
        unit = record.next;
    }
}

/// The chain of `id` across so many records, fewer than 2^32: the record that has its head, and which of its heads that is.
///
/// The halves of a product by the golden ratio, folded: alone, the upper half of the lower one spreads numbers with some
/// steps very evenly and with others very badly.
#[inline]
const fn chain(id: u64, records: usize) -> (usize, usize) {
    let product = id as u128 * 0x9e37_79b9_7f4a_7c15;
    let hash = (product >> 64) as u32 ^ product as u32;
    let at = hash as u64 * records as u64;
    ((at >> 32) as usize, (at >> 31) as usize & 1)
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

    fn claim<T: AsRef<[Record]> + AsMut<[Record]>>(slots: &mut Slots<T>, key: Key, units: Units) -> Option<u32> {
        slots.find(key).or_else(|| slots.add(key, units))
    }

    fn single(slots: &mut Slots<[Record; 5]>, id: u64) -> Option<u32> {
        claim(slots, key(id), Units::One(id))
    }

    fn pair(slots: &mut Slots<[Record; 5]>, id: u64) -> Option<u32> {
        claim(slots, key(id), Units::Two([id, id]))
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

    #[cfg(feature = "link")]
    #[test]
    fn keys_that_bring_their_units_are_as_any_others() {
        let keys = || [(2, key(7), 70), (0, key(8), 80), (1, key(9), 90)].into_iter();
        let mut slots = Slots::new([Record::default(); 5]);
        assert!(slots.fill(3, keys()) && slots.table().is_sound());
        assert_eq!([7, 8, 9].map(|id| slots.find(key(id))), [Some(2), Some(0), Some(1)]);
        assert_eq!([2, 0, 1].map(|unit| slots.get(unit).map(Record::value)), [Some(70), Some(80), Some(90)]);
        assert_eq!((single(&mut slots, 5), pair(&mut slots, 6), slots.used()), (Some(3), None, 4));
        assert_eq!(slots.remove(key(9)), Some(1));
        assert_eq!(single(&mut slots, 1), Some(1));
        assert!(!Slots::new([Record::default(); 2]).fill(3, keys()));
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
        Slots::new(&mut storage).add(key(7), Units::One(1));
        assert_eq!(Slots::new(&mut storage).find(key(7)), None);
    }

    #[test]
    fn no_storage_is_full() {
        let mut slots = Slots::new([]);
        assert_eq!(slots.find(key(0)), None);
        assert_eq!(slots.add(key(0), Units::One(0)), None);
        assert_eq!(slots.remove(key(0)), None);
    }

    /// By chance, a key that is there would be found at step 1.25 when all units are taken.
    #[test]
    fn numbers_that_programs_give_share_few_chains() {
        const COUNT: u64 = 10_000;
        let rows: [fn(u64) -> u64; 12] = [
            |index| index,
            |index| 0x5555_0000_0000 + index * 4,
            |index| 0x40_0000 + index * 16,
            |index| index * 24,
            |index| 0x7fff_0000_1000 + index * 64,
            |index| index << 12,
            |index| index << 32,
            |index| index << 40,
            |index| ((index / 100) << 32) + index % 100,
            |index| ((index / 100) << 20) + index % 100 * 16,
            |index| index.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            |index| index.wrapping_mul(index | 1).wrapping_mul(0xd6e8_feb8_6659_fd93),
        ];
        for (number, id) in rows.into_iter().enumerate() {
            let mut chains = HashMap::new();
            let steps = (0..COUNT).map(|index| {
                let length = chains.entry(chain(id(index), COUNT as usize)).or_insert(0);
                *length += 1;
                *length
            });
            let steps: u64 = steps.sum();
            assert!(steps < COUNT * 3 / 2, "row {number}: {steps} steps");
        }
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
        match (claim(slots, key, units), model.get(&key)) {
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
                    && slots.table().is_sound()
            })
        }
    }
}
