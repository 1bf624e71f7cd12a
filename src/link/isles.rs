//! The islands of a link: what they hold, and how much room they have.
//!
//! ```text
//! .text   .text.a | .text.b | own |  ...  | .text.k | wide |  ...  | .text.z     .plt
//!                           ^ hops of .text.b       ^ for the text around it     ^ for what is near the end
//! ```
//!
//! A *wide* island serves whatever is nearest to it; an *own* one only the conditional branches of the section before it,
//! which reach no further than ±32 KiB or ±1 MiB.
//!
//! All share one table of cells. Where there are several, it is counted first ([`Pass`]) how many cells each gets, with
//! addresses as they nearly are; then the text moves apart by the islands' sizes, and everything is decided anew, exactly.

mod find;

pub(super) use find::{STRIDE, WANTED};

use super::error::{Fatal, Lent};
use super::layout::Layout;
use super::parts::FULL;
use super::tables::NONE;
use crate::addr::Addr;
use crate::slots::Lists;
use crate::veneer::{Callee, Cell, Detour, Island, Occupant, Veneer, VeneerError};

/// Bytes of a cell.
pub(super) const CELL: usize = 16;

/// An island of a link, opaque.
#[derive(Clone, Copy, Debug, Default)]
pub struct Isle {
    output: u32,
    is_wide: bool,
    /// Bytes from the start of its output section.
    offset: u64,
    /// `None` where its output section has no place in memory.
    addr: Option<Addr>,
    /// Where it was when it was counted what it needs.
    counted: Option<Addr>,
    /// Its cells in the table of all: the first, and how many.
    first: u32,
    room: u32,
    lists: Lists,
    /// Cells that what is in it may come to need beyond those it takes now.
    spare: u32,
    /// Cells that it takes up in the text.
    cells: u32,
    /// The next wide island, in no order.
    next: u32,
}

/// What is to be made in an island.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    /// A veneer to this callee.
    Veneer(Callee),
    /// A hop to this address.
    Hop(Addr),
    /// This detour.
    Detour(Detour),
    /// A landing pad of the function at this address.
    Pad(Addr),
}

impl Wanted {
    /// Cells that it takes in the island at `addr`, wherever that comes to lie.
    fn most_cells(self, addr: Addr) -> usize {
        match self {
            Self::Veneer(callee) => callee.veneer_at(addr).map_or(0, Veneer::most_cells),
            Self::Detour(detour) => detour.most_cells(),
            Self::Hop(_) | Self::Pad(_) => 1,
        }
    }
}

/// What is being done with the islands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pass {
    /// Whatever may be wanted of an island is counted, twice where it is wanted twice.
    Count,
    /// What is wanted is made, of islands that still move.
    Reserve,
    /// What is wanted is made; the addresses are final.
    Settle,
}

/// All islands of a link. The first is `.plt`.
#[derive(Debug)]
pub(super) struct Isles<'t> {
    table: &'t mut [Isle],
    len: usize,
    cells: &'t mut [Cell],
    pass: Pass,
    /// The most cells that a pass had.
    most: usize,
    /// What was counted is more than there are records for, and then what was wanted is.
    is_limited: bool,
    is_short: bool,
}

impl Isles<'_> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether there is more than the one at the end of the text.
    pub(super) fn are_several(&self) -> bool {
        FULL && self.len > 1
    }

    /// As many of the cells that are counted for the only island as there are records: what is counted is a bound.
    pub(super) fn limit(&mut self, cells: usize) -> usize {
        self.is_limited |= cells > self.cells.len();
        cells.min(self.cells.len())
    }

    /// Whether something was not made for want of records.
    pub(super) fn is_short(&self) -> bool {
        self.is_short
    }

    /// As many of them as it takes to do the same again.
    pub(super) fn needed(&self) -> usize {
        if self.are_several() { self.most } else { self.plt_size() / CELL }
    }

    /// Tells the islands where their output sections lie.
    pub(super) fn locate(&mut self, layout: &Layout<'_, '_>) {
        for isle in self.table.iter_mut().take(self.len) {
            let output = layout.outputs().get(isle.output as usize).filter(|output| output.segment != NONE);
            isle.addr = output.map(|output| output.addr.plus(isle.offset.cast_signed()));
            if FULL {
                isle.counted = isle.counted.or(isle.addr);
            }
        }
    }

    /// Begins `pass`: all islands are empty.
    ///
    /// # Errors
    ///
    /// The table of cells is too short for what was counted.
    pub(super) fn begin(&mut self, pass: Pass) -> Result<(), Fatal> {
        self.pass = pass;
        let mut first = 0_usize;
        for isle in self.table.iter_mut().take(self.len) {
            match pass {
                // A pair begins at an even cell.
                Pass::Count => isle.room = 2,
                Pass::Reserve => {}
                Pass::Settle => isle.room = isle.room.min(isle.cells),
            }
            let end = first.checked_add(isle.room as usize).ok_or(Fatal::TooBig)?;
            let own = self.cells.get_mut(first..end).ok_or(Fatal::Table(Lent::Veneers))?;
            // Any address will do for an empty one, if it is aligned.
            isle.lists = Island::new(own, Addr::new(0)).map_err(|_| Fatal::TooBig)?.lists();
            (isle.first, isle.spare, first) = (first as u32, 0, end);
        }
        self.most = self.most.max(first);
        Ok(())
    }

    /// Gives the first island, which is the only one, room for `cells`.
    pub(super) fn give(&mut self, cells: u32) {
        if let Some(isle) = self.table.first_mut() {
            (isle.room, isle.cells) = (cells, cells);
        }
    }

    /// The end of [`Pass::Reserve`]: each island takes up in the text what was made in it, and what that may come to need.
    pub(super) fn reserve(&mut self) {
        for isle in self.table.iter_mut().take(self.len) {
            let made = isle.lists.end();
            isle.cells = if made > 0 { made.saturating_add(isle.spare).saturating_add(1) } else { 0 };
        }
    }

    /// The bytes that island `number` takes up in the text.
    pub(super) fn taken(&self, number: u32) -> u64 {
        self.table.get(number as usize).map_or(0, |isle| u64::from(isle.cells) * CELL as u64)
    }

    /// The bytes of `.plt` that are in use.
    pub(super) fn plt_size(&self) -> usize {
        self.table.first().map_or(0, |isle| isle.lists.end() as usize * CELL)
    }

    /// Island `number` begins so many bytes into its output section.
    pub(super) fn move_to(&mut self, number: u32, offset: u64) {
        if let Some(isle) = self.table.get_mut(number as usize) {
            isle.offset = offset;
        }
    }

    /// Bytes by which the islands move what they are between, at the most. `.plt` is before nothing, nor is the island at the
    /// end of an output section that is pinned.
    pub(super) fn moves(&self, layout: &Layout<'_, '_>) -> u64 {
        let moves = |(number, isle): (u32, &Isle)| {
            let output = layout.outputs().get(isle.output as usize)?;
            let is_last = output.is_pinned() && layout.isle_after(output.last) == number;
            (number > 0 && !is_last).then(|| self.taken(number).saturating_add(output.align))
        };
        let all = self.table.iter().take(self.len);
        (0..).zip(all).filter_map(moves).fold(0, u64::saturating_add)
    }

    /// The address of what is `wanted`, which is made in island number `isle` if it is not there.
    #[inline(never)]
    pub(super) fn claim(&mut self, isle: u32, wanted: Wanted) -> Result<Addr, VeneerError> {
        const NO_ROOM: VeneerError = VeneerError::Full { capacity: 0, used: 0 };
        let isle = self.table.get_mut(isle as usize).ok_or(NO_ROOM)?;
        let addr = isle.addr.ok_or(NO_ROOM)?;
        let at_most = if FULL { wanted.most_cells(addr) } else { 0 };
        if FULL && self.pass == Pass::Count {
            isle.room = isle.room.saturating_add(at_most as u32);
            return Ok(addr);
        }
        let cells = self.cells.get_mut(range(isle)).ok_or(NO_ROOM)?;
        let mut island = Island::resume(cells, addr, isle.lists);
        let before = island.len();
        let claimed = match wanted {
            Wanted::Veneer(callee) => island.veneer_for(callee),
            _ if !FULL => Err(NO_ROOM),
            Wanted::Detour(detour) => island.detour_for(detour),
            Wanted::Hop(target) => island.hop_to(target),
            Wanted::Pad(callee) => island.pad_for(callee),
        };
        let claimed = claimed.inspect_err(|error| {
            self.is_short |= self.is_limited && matches!(error, VeneerError::Full { .. });
        })?;
        let made = island.len().saturating_sub(before);
        isle.lists = island.lists();
        if FULL && made > 0 {
            isle.spare = isle.spare.saturating_add(at_most.saturating_sub(made) as u32);
        }
        Ok(claimed)
    }

    /// The numbers of the two wide islands nearest to `place`, the nearest first: as it was when they were counted, so that
    /// each is asked for what it was counted for. Since then the place was `moved` by so many bytes.
    pub(super) fn nearest(&self, place: Addr, moved: i64) -> [Option<u32>; 2] {
        if !FULL {
            return [Some(0), None];
        }
        let place = place.plus(moved.wrapping_neg());
        let mut found: [Option<(u64, u32)>; 2] = [None; 2];
        let mut number = 0;
        while let Some(isle) = self.table.get(number as usize) {
            if let Some(addr) = isle.counted {
                let this = Some((addr.distance_from(place).unsigned_abs(), number));
                let is_less = |other: Option<(u64, u32)>| other.is_none_or(|other| this < Some(other));
                match found {
                    [first, _] if is_less(first) => found = [this, first],
                    [first, second] if is_less(second) => found = [first, this],
                    _ => {}
                }
            }
            number = isle.next;
        }
        found.map(|found| found.map(|(_, number)| number))
    }

    /// The address of island `number`.
    pub(super) fn addr(&self, number: u32) -> Option<Addr> {
        self.table.get(number as usize)?.addr
    }

    /// Where the last cell of island `number`, which is at `addr`, may come to lie. A single island is not full of what may
    /// be in it: it has what is wanted at its start.
    pub(super) fn last(&self, number: u32, addr: Addr) -> Addr {
        let cells = if self.are_several() { self.taken(number) } else { 0 };
        addr.plus(cells.saturating_sub(CELL as u64).cast_signed())
    }

    /// The bytes that island `number` may come to have.
    pub(super) fn size(&self, number: u32) -> usize {
        self.table.get(number as usize).map_or(0, |isle| isle.room as usize * CELL)
    }

    /// The islands, each with the number of its output section.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, Island<&[Cell]>)> {
        self.table.iter().take(self.len).filter_map(|isle| {
            let cells = self.cells.get(range(isle))?;
            Some((isle.output, Island::resume(cells, isle.addr?, isle.lists)))
        })
    }

    /// What stands in them, each with the number of its output section.
    pub(super) fn occupants(&self) -> impl Iterator<Item = (u32, Occupant)> {
        self.iter().flat_map(|(output, island)| island.occupants().map(move |occupant| (output, occupant)))
    }
}

/// The cells of an island in the table of all.
fn range(isle: &Isle) -> core::ops::Range<usize> {
    let first = isle.first as usize;
    first..first.saturating_add(isle.room as usize)
}
