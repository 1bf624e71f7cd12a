//! Which units are free.
//!
//! Units come in pairs at even indices, a buddy system of two levels. A single opens a pair and leaves the second half
//! to the next single, so singles alone get 0, 1, 2 and so on; when both halves are free again they become one pair
//! again. Free singles and free pairs are doubly linked lists, so that either half can be taken out of its list when
//! the other is freed. The half of the pair that was opened last is in no list: it is taken after all of them, and a pair is
//! opened only when there is none.

use super::{NONE, Record, State, Table, Units};

/// What a ledger knows beside its records: where the lists of free units begin, and how far it has come.
///
/// `Default` is that of one whose records are all [`Record::default`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lists {
    ones: u32,
    /// The half of an opened pair that nobody took yet.
    half: u32,
    twos: u32,
    /// All units from here on were never used; even, unless it is the capacity.
    fresh: u32,
    pub(super) end: u32,
    pub(super) used: u32,
}

impl Lists {
    /// One more than the highest unit that ever was taken.
    #[cfg(feature = "link")]
    pub(crate) const fn end(self) -> u32 {
        self.end
    }

    /// The unit the next single gets: a free half before a free pair, so that pairs last; a free pair before a fresh
    /// one.
    pub(super) fn one(self, capacity: u32) -> Option<u32> {
        match self {
            Self { ones: NONE, half: NONE, twos: NONE, fresh, .. } => Some(fresh).filter(|&fresh| fresh < capacity),
            Self { ones: NONE, half: NONE, twos, .. } => Some(twos),
            Self { ones: NONE, half, .. } => Some(half),
            Self { ones, .. } => Some(ones),
        }
    }

    /// The first unit that the next pair gets.
    pub(super) fn two(self, capacity: u32) -> Option<u32> {
        if self.twos == NONE { Some(self.fresh).filter(|&fresh| fresh | 1 < capacity) } else { Some(self.twos) }
    }

    fn of(&mut self, state: State) -> &mut u32 {
        if state == State::FreeTwo { &mut self.twos } else { &mut self.ones }
    }
}

impl Default for Lists {
    fn default() -> Self {
        Self { ones: NONE, half: NONE, twos: NONE, fresh: 0, end: 0, used: 0 }
    }
}

impl Table<'_> {
    /// Takes as many units as `units` are: the first of them.
    #[cfg_attr(feature = "fast", inline)]
    pub(super) fn take(&mut self, units: Units) -> Option<u32> {
        let capacity = self.records.len() as u32;
        let (unit, count) = match units {
            Units::One(_) => (self.lists.one(capacity)?, 1),
            Units::Two(_) => (self.lists.two(capacity)?, 2),
        };
        let mut opens = true;
        if unit == self.lists.half {
            (self.lists.half, opens) = (NONE, false);
        } else if unit == self.lists.fresh {
            self.lists.fresh = unit.saturating_add(2).min(capacity);
        } else {
            opens = self.unlink(unit) == Some(State::FreeTwo);
        }
        let second = unit | 1;
        if count == 2 {
            self.set_state(second, State::Second);
        } else if opens && second < capacity {
            self.lists.half = second;
        }
        self.lists.used += count;
        self.lists.end = self.lists.end.max(unit + count);
        Some(unit)
    }

    /// Frees the units of a key of which `unit` is the first.
    pub(super) fn give_back(&mut self, unit: u32) {
        let buddy = unit ^ 1;
        self.lists.used -= 1;
        match self.records.get(buddy as usize).map(Record::state) {
            Some(State::Second) => self.lists.used -= 1,
            Some(State::FreeOne) => _ = self.unlink(buddy),
            Some(State::Idle) if buddy == self.lists.half => self.lists.half = NONE,
            _ => return self.push(unit, State::FreeOne),
        }
        self.clear(unit | 1);
        self.push(unit & !1, State::FreeTwo);
    }

    fn clear(&mut self, unit: u32) {
        if let Some(record) = self.records.get_mut(unit as usize) {
            *record = Record { heads: record.heads, ..Record::EMPTY };
        }
    }

    fn set_state(&mut self, unit: u32, state: State) {
        if let Some(record) = self.records.get_mut(unit as usize) {
            record.state = state;
        }
    }

    /// Puts `unit` first in the list of `state`.
    fn push(&mut self, unit: u32, state: State) {
        let next = core::mem::replace(self.lists.of(state), unit);
        if let Some(record) = self.records.get_mut(next as usize) {
            record.id = unit.into();
        }
        if let Some(record) = self.records.get_mut(unit as usize) {
            *record = Record { heads: record.heads, id: NONE.into(), next, state, ..Record::EMPTY };
        }
    }

    /// Takes the free `unit` out of its list; what it was.
    fn unlink(&mut self, unit: u32) -> Option<State> {
        let &Record { state, next, id: before, .. } = self.records.get(unit as usize)?;
        match self.records.get_mut(before as usize) {
            Some(record) => record.next = next,
            None => *self.lists.of(state) = next,
        }
        if let Some(record) = self.records.get_mut(next as usize) {
            record.id = before;
        }
        Some(state)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::vec::Vec;

    impl Table<'_> {
        /// Whether every unit is in exactly one place: taken, in one list, the half of none, or idle as its state allows; and
        /// lists hold together both ways.
        pub(in crate::slots) fn is_sound(&self) -> bool {
            let Lists { ones, half, twos, fresh, end, used } = *self.lists;
            let (Some(ones), Some(twos)) = (self.walk(ones, State::FreeOne), self.walk(twos, State::FreeTwo)) else {
                return false;
            };
            let state = |unit: u32| self.records.get(unit as usize).map(Record::state);
            let halves = u32::from(half != NONE);
            (ones.len() + 2 * twos.len()) as u32 + halves + used == fresh
                && (half == NONE || half % 2 == 1 && state(half) == Some(State::Idle))
                && ones.iter().all(|unit| !matches!(state(unit ^ 1), Some(State::Idle | State::FreeOne)))
                && twos.iter().all(|unit| unit.is_multiple_of(2) && state(unit + 1) == Some(State::Idle))
                && self.records.iter().skip(end as usize).all(|record| record.value == 0)
        }

        /// The units of the list of `state` that begins with `unit`, if all are of that state.
        fn walk(&self, mut unit: u32, state: State) -> Option<Vec<u32>> {
            let (mut units, mut before) = (Vec::new(), NONE);
            while let Some(record) = self.records.get(unit as usize) {
                if record.state != state || record.id != u64::from(before) || units.len() > self.records.len() {
                    return None;
                }
                units.push(unit);
                (before, unit) = (unit, record.next);
            }
            Some(units)
        }
    }
}
