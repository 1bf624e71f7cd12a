//! What a linker wants of islands beyond what others do: to count first, and to have several over one table of cells.

use super::step::Steps;
use super::{Callee, Cell, Detour, Island, Occupant, Veneer};
use crate::addr::Addr;
use crate::patch::{PatchError, Section};
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

impl<T: AsRef<[Cell]>> Island<T> {
    /// Does what [`write`](Self::write) does for an island of veneers, which is all that a small linker makes.
    pub(crate) fn write_veneers(&self, section: &mut Section<'_>) -> Result<(), PatchError> {
        self.write_steps(section, |occupant| occupant.veneer().map_or(Steps::new(), Veneer::steps))
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

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::insn::{Reg, adr};
    use crate::reloc::{Slot, Value};
    use crate::veneer::{Purpose, VeneerError};
    use quickcheck::quickcheck;
    use std::{vec, vec::Vec};

    /// Cells of `size` bytes.
    fn cells(size: usize) -> usize {
        size.div_ceil(16)
    }

    fn at(addr: u64, callee: Callee) -> Veneer {
        callee.veneer_at(Addr::new(addr & !15)).unwrap()
    }

    fn detour(reloc: Reloc, word: u32, of: u64) -> Detour {
        Detour::new(Addr::new(0), word, reloc, Value::Addr(Addr::new(of & !3))).unwrap()
    }

    quickcheck! {
        fn no_more_cells_than_were_kept(addr: u64, to: u64, near: i64, shifts: (i32, i32), top: u8) -> bool {
            let shift = |by: i32| (i64::from(by) % (SHIFT + 1)) & !15;
            // At random; at the ends of the address space; near the bounds of `ADRP`.
            let to = match top % 4 {
                0 => to,
                1 => to >> 16,
                2 => to | 0xffff << 48,
                _ => (addr & !15).wrapping_add(1 << 32).wrapping_add_signed(near % (3 * SHIFT)),
            };
            let (moved, from) = (to.wrapping_add_signed(shift(shifts.0)), addr.wrapping_add_signed(shift(shifts.1)));
            let addr_at = |to| Callee::Addr(Addr::new(to & !3));
            let slot_at = |to| Callee::Slot(Slot::new(Addr::new(to & !7)));
            let size = |detour: Detour| Occupant::Detour { addr: Addr::new(0), detour }.size();
            let adr = |to| detour(Reloc::ADR_PREL_LO21, adr(Reg::X0), to);
            let load = |to| detour(Reloc::LD_PREL_LO19, 0x5800_0000, to);
            cells(at(from, addr_at(moved)).size()) <= at(addr, addr_at(to)).most_cells()
                && cells(at(from, slot_at(moved)).size()) <= at(addr, slot_at(to)).most_cells()
                && cells(size(adr(moved))) <= adr(to).most_cells()
                && cells(size(load(moved))) <= load(to).most_cells()
        }
    }

    #[test]
    fn one_cell_is_kept_where_one_will_do() {
        let most = |callee: Callee| at(0x7000_0000_0000, callee).most_cells();
        for (to, cells) in [
            (0x7fff_1234_5678, 1),
            (0xffff_8000_1234_5678, 1),
            (0x0001_0000_0000_0000, 2),
            (0x0000_ffff_ffff_0000, 2),
            (0xfffe_8000_0000_0000, 2),
        ] {
            assert_eq!(most(Addr::new(to).into()), cells, "{to:#x}");
            assert_eq!(detour(Reloc::ADR_PREL_LO21, adr(Reg::X0), to).most_cells(), cells, "{to:#x}");
            assert_eq!(detour(Reloc::LD_PREL_LO19, 0x5800_0000, to).most_cells(), 2, "{to:#x}");
        }
        assert_eq!(most(Slot::new(Addr::new(0x7000_8000_0000)).into()), 1);
        assert_eq!(most(Slot::new(Addr::new(0x7001_0000_0000)).into()), 2, "it may get out of reach");
        let high = Callee::Addr(Addr::new(0x1234_0000_0000_0000)).veneer_at(Addr::new(0x1234_0000_1000_0000)).unwrap();
        assert_eq!(high.most_cells(), 1, "it stays in reach");
    }

    /// Does what `op` says; the answer.
    fn step<T: AsRef<[Cell]> + AsMut<[Cell]>>(island: &mut Island<T>, op: u8, name: u8) -> Result<Addr, VeneerError> {
        let near = Addr::new(0x40_0000 + 4 * u64::from(name));
        let far = Addr::new(0x0123_4567_89ab_0000 + 4 * u64::from(name));
        match op % 8 {
            0 => Ok(island.remove(near).unwrap_or_default()),
            1 => Ok(island.remove(Purpose::Hop(near)).unwrap_or_default()),
            2 => Ok(island.remove(Purpose::Detour(near)).unwrap_or_default()),
            3 => island.veneer_for(near),
            4 => island.hop_to(near),
            5 => island.pad_for(near),
            6 => island.veneer_for(far),
            _ => {
                let detour = Detour::new(near, adr(Reg::X0), Reloc::ADR_PREL_LO21, Value::Addr(far));
                island.detour_for(detour.unwrap())
            }
        }
    }

    quickcheck! {
        fn islands_that_share_a_table_are_islands_of_their_own(ops: Vec<(u8, u8)>, split: u8) -> bool {
            const CELLS: usize = 24;
            let split = usize::from(split) % (CELLS + 1);
            let bases = [Addr::new(0x41_0000), Addr::new(0x42_0000)];
            let ranges = [0..split, split..CELLS];
            let mut own = [split, CELLS - split].map(|len| vec![Cell::default(); len]);
            let [one, other] = &mut own;
            let mut apart = [Island::new(&mut one[..], bases[0]).unwrap(), Island::new(&mut other[..], bases[1]).unwrap()];

            let (mut table, mut lists) = ([Cell::default(); CELLS], [Lists::default(); 2]);
            ops.into_iter().all(|(op, name)| {
                let which = usize::from(op >> 7);
                let mut island = Island::resume(&mut table[ranges[which].clone()], bases[which], lists[which]);
                let same = step(&mut island, op, name % 16) == step(&mut apart[which], op, name % 16);
                lists[which] = island.lists();
                let read = Island::resume(&table[ranges[which].clone()], bases[which], lists[which]);
                let apart = &apart[which];
                same && read.iter().eq(apart.iter()) && (read.len(), read.size()) == (apart.len(), apart.size())
            })
        }
    }
}
