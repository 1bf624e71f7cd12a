//! What a linker wants of islands beyond what others do: to count first, and to have several over one table of cells.

use super::{Callee, Cell, Detour, Island, Occupant, Veneer};
use crate::addr::Addr;
use crate::reloc::Reloc;
use crate::slots::{Lists, Slots, State};

impl<T: AsRef<[Cell]>> Island<T> {
    /// The island at `base` whose [`lists`](Self::lists) these were, or an empty one by the lists' `Default` over cells that are
    /// all `Default`. `storage` is as long as it was and holds what it held, `base` is a multiple of 16.
    pub(crate) fn resume(storage: T, base: Addr, lists: Lists) -> Self {
        Self { base, cells: Slots::resume(storage, lists) }
    }

    /// What the island knows beside its base and its storage.
    pub(crate) const fn lists(&self) -> Lists {
        self.cells.lists()
    }
}

impl<'c> Island<&'c [Cell]> {
    /// What there is, in the order of the addresses.
    pub(crate) fn occupants(self) -> impl Iterator<Item = Occupant> + 'c {
        (0..self.cells.end()).filter_map(move |unit| match self.cells.get(unit)?.state() {
            State::First => self.occupant(unit),
            _ => None,
        })
    }
}

impl Veneer {
    /// Cells that it takes at most, wherever itself and what it leads to are moved by up to [`SHIFT`] bytes each.
    pub(crate) fn most_cells(self) -> usize {
        let (to, is_slot) = match self.callee {
            Callee::Addr(addr) => (addr, false),
            Callee::Slot(slot) => (slot.addr(), true),
        };
        let distance = to.distance_from(self.addr);
        let reaches = |by| Reloc::ADR_PREL_PG_HI21.reach().covers(distance.saturating_add(by));
        let stays_near = reaches(-2 * SHIFT) && reaches(2 * SHIFT);
        if stays_near || (!is_slot && is_short(to)) { 1 } else { 2 }
    }
}

impl Detour {
    /// Cells that it takes at most, wherever what it refers to is moved by up to [`SHIFT`] bytes.
    pub(crate) fn most_cells(self) -> usize {
        if self.is_load() || !is_short(self.address()) { 2 } else { 1 }
    }
}

/// How far what is not placed for good may still move, in bytes: the reach of the branches to an island.
const SHIFT: i64 = -Reloc::JUMP26.reach().min;

/// Whether three moves at most set a register to `addr`, and to whatever it becomes when moved by up to [`SHIFT`] bytes.
fn is_short(addr: Addr) -> bool {
    [-SHIFT, SHIFT].into_iter().all(|by| matches!(addr.plus(by).get() >> 48, 0 | 0xffff))
}
