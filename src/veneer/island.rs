//! The ledger of an island: what has a veneer, a hop, a detour or a pad, and in which cells.

use super::occupant::CELL;
use super::step::{Step, Steps};
use super::{Callee, Detour, Form, Occupant, Purpose, VeneerError};
use crate::addr::{Addr, Misaligned};
use crate::insn::UDF;
use crate::patch::{PatchError, Section};
use crate::slots::{Slots, State};

/// The storage of one cell, opaque: an array, slice or vector of as many as there shall be cells of sixteen bytes.
pub use crate::slots::Record as Cell;

/// Instructions of a cell.
const WORDS: usize = CELL / 4;
/// What the address of an instruction is a multiple of.
const INSN: u64 = 4;

/// The ledger of a run of veneers, hops, detours and pads at a known address.
///
/// `T` is the storage: `[Cell; N]`, `&mut [Cell]`, `Vec<Cell>`, or a `heapless::Vec` filled to the wanted length. There
/// are as many cells as it has elements, at most 2^32 - 1. What branches to the island must reach it, a call from ±128 MiB;
/// where to put it is the business of placement.
///
/// ```
/// use aarch64_reloc::{addr::Addr, patch::Section, reloc::Reloc, veneer::{Cell, Island}};
/// let mut island = Island::new([Cell::default(); 8], Addr::new(0x41_0000))?;
/// let far = Addr::new(0x7fff_0000_1000);
/// let veneer = island.veneer_for(far)?;
///
/// let mut words = [0x00, 0x00, 0x00, 0x94]; // bl .
/// Section::new(&mut words, Addr::new(0x40_0000)).patch(0, Reloc::CALL26, veneer)?;
/// let mut bytes = vec![0; island.size()];
/// island.write(&mut Section::new(&mut bytes, island.base()))?;
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Island<T> {
    pub(super) base: Addr,
    pub(super) cells: Slots<T>,
}

impl<T: AsRef<[Cell]> + AsMut<[Cell]>> Island<T> {
    /// An empty island at `base`. What `storage` held is overwritten.
    ///
    /// # Errors
    ///
    /// `base` is not a multiple of 16.
    pub fn new(storage: T, base: Addr) -> Result<Self, Misaligned> {
        Misaligned::check(base, CELL as u64)?;
        Ok(Self { base, cells: Slots::new(storage) })
    }

    /// The address of the veneer to `callee`, which is made if there is none.
    ///
    /// # Errors
    ///
    /// [`VeneerError::Misaligned`] if no branch can lead there: an address that is not a multiple of 4, a slot that is
    /// not of 8. [`VeneerError::Full`] if no cell, or no two side by side, are free.
    #[inline]
    pub fn veneer_for(&mut self, callee: impl Into<Callee>) -> Result<Addr, VeneerError> {
        let callee = callee.into();
        match self.get(callee) {
            Some(addr) => Ok(addr),
            None => self.make(Occupant::Veneer(callee.veneer_at(self.base).map_err(VeneerError::Misaligned)?)),
        }
    }

    /// The address of the `B target` for conditional branches, which is made if there is none. The veneer to `target` is one,
    /// if there is such a veneer and its form is [`Form::Direct`].
    ///
    /// The branch must reach `target` from its cell (±128 MiB), for it may use no register.
    ///
    /// # Errors
    ///
    /// [`VeneerError::Misaligned`] if `target` is not a multiple of 4. [`VeneerError::Full`], and
    /// [`VeneerError::OutOfReach`] of the target, from where the next free cell is.
    pub fn hop_to(&mut self, target: Addr) -> Result<Addr, VeneerError> {
        if let Some(addr) = self.get(Purpose::Hop(target)) {
            return Ok(addr);
        }
        Misaligned::check(target, INSN).map_err(VeneerError::Misaligned)?;
        match self.occupant_for(target) {
            Some(Occupant::Veneer(veneer)) if veneer.form() == Form::Direct => Ok(veneer.addr()),
            _ => self.make(Occupant::Hop { addr: self.base, target }),
        }
    }

    /// The address of the cells for `detour`, which are made if there are none; its place then holds a `B` to there.
    ///
    /// The branch there and the one back reach ±128 MiB each: cells that begin -2^27 + 4 to 2^27 - 16 bytes from the place are
    /// in reach, whatever the detour.
    ///
    /// # Errors
    ///
    /// [`VeneerError::Taken`] if the place has another detour. [`VeneerError::Full`], and [`VeneerError::OutOfReach`] of either
    /// branch, where the next free cells are.
    pub fn detour_for(&mut self, detour: Detour) -> Result<Addr, VeneerError> {
        match self.occupant_for(detour) {
            Some(Occupant::Detour { addr, detour: known }) if known == detour => Ok(addr),
            Some(_) => Err(VeneerError::Taken(detour.place())),
            None => self.make(Occupant::Detour { addr: self.base, detour }),
        }
    }

    /// The address of a landing pad for `callee`, `BTI c; B callee`, which is made if there is none.
    ///
    /// It is where a veneer of another island leads that ends in `BR x16`, if `callee` is on guarded pages and does not begin
    /// with an instruction that such a branch [may lead to](crate::insn::is_landing_pad).
    ///
    /// # Errors
    ///
    /// [`VeneerError::Misaligned`] if `callee` is not a multiple of 4. [`VeneerError::Full`], and
    /// [`VeneerError::OutOfReach`] of the callee, from where the next free cell is.
    pub fn pad_for(&mut self, callee: Addr) -> Result<Addr, VeneerError> {
        if let Some(addr) = self.get(Purpose::Pad(callee)) {
            return Ok(addr);
        }
        Misaligned::check(callee, INSN).map_err(VeneerError::Misaligned)?;
        self.make(Occupant::Pad { addr: self.base, callee })
    }

    /// Frees the cells for `purpose` and returns their address. Nothing may branch there any more, for the next to come takes
    /// the place: no conditional branch either, if it is a direct veneer that [`hop_to`](Self::hop_to) found.
    ///
    /// ```
    /// use aarch64_reloc::{Addr, Island, veneer::{Cell, Purpose}};
    /// let mut island = Island::new([Cell::default(); 2], Addr::new(0x41_0000))?;
    /// let near = Addr::new(0x40_0000);
    /// let hop = island.hop_to(near)?;
    /// assert_eq!(island.remove(near), None); // that would be a veneer
    /// assert_eq!(island.remove(Purpose::Hop(near)), Some(hop));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn remove(&mut self, purpose: impl Into<Purpose>) -> Option<Addr> {
        self.cells.remove(purpose.into().keys()).map(|unit| cell(self.base, unit))
    }

    /// Puts `occupant`, wherever it says that it is, where there is room, and returns the address.
    fn make(&mut self, occupant: Occupant) -> Result<Addr, VeneerError> {
        let at = |unit| occupant.at(cell(self.base, unit));
        let full = VeneerError::Full { capacity: self.capacity(), used: self.len() };
        // Where one cell is free, two may be elsewhere.
        let (unit, units) = self.cells.next(|one| at(one).units()).ok_or(full)?;
        at(unit).check_reach()?;
        let taken = self.cells.add(occupant.key(), units);
        taken.map(|unit| cell(self.base, unit)).ok_or(full)
    }
}

impl<T: AsRef<[Cell]>> Island<T> {
    /// The address of the cells for `purpose`, if there are any.
    #[inline]
    pub fn get(&self, purpose: impl Into<Purpose>) -> Option<Addr> {
        self.cells.find(purpose.into().keys()).map(|unit| cell(self.base, unit))
    }

    /// The address of the island.
    pub const fn base(&self) -> Addr {
        self.base
    }

    /// The cells in use; what takes two counts as two.
    pub fn len(&self) -> usize {
        self.cells.used() as usize
    }

    /// Whether no cell is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The cells there are.
    pub fn capacity(&self) -> usize {
        self.cells.capacity() as usize
    }

    /// The bytes of the island to allocate: up to the highest cell that was ever in use.
    pub fn size(&self) -> usize {
        self.cells.end() as usize * CELL
    }

    /// What there is, in the order of the addresses.
    pub fn iter(&self) -> impl Iterator<Item = Occupant> {
        self.cells.iter().map(|(unit, record)| Occupant::from_record(cell(self.base, unit), record))
    }

    /// Writes the first [`size`](Self::size) bytes of the island where they lie in `section`. No core may execute them
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// The section does not hold all of them; those before are written.
    pub fn write(&self, section: &mut Section<'_>) -> Result<(), PatchError> {
        self.write_steps(section, Occupant::steps)
    }

    /// The same with the steps that `steps_of` gives an occupant.
    #[inline(always)]
    pub(super) fn write_steps(
        &self,
        section: &mut Section<'_>,
        steps_of: fn(Occupant) -> Steps,
    ) -> Result<(), PatchError> {
        const PADDING: Step = Step::whole(UDF);
        for unit in 0..self.cells.end() {
            let (first, skipped) = match self.cells.get(unit).map(Cell::state) {
                Some(State::First) => (Some(unit), 0),
                Some(State::Second) => (Some(unit & !1), WORDS),
                _ => (None, 0),
            };
            let steps = first.and_then(|first| self.occupant(first)).map_or(Steps::new(), steps_of);
            let place = section.offset_of(cell(self.base, unit));
            for index in 0..WORDS {
                let step = steps.get().get(skipped + index).copied().unwrap_or(PADDING);
                let offset = place.saturating_add(index * 4);
                section.write_word(offset, step.insn)?;
                if let Some((reloc, value)) = step.fixup() {
                    section.patch(offset, reloc, value)?;
                }
            }
        }
        Ok(())
    }

    fn occupant_for(&self, purpose: impl Into<Purpose>) -> Option<Occupant> {
        self.occupant(self.cells.find(purpose.into().keys())?)
    }

    /// What has `unit` as its first cell.
    pub(super) fn occupant(&self, unit: u32) -> Option<Occupant> {
        Some(Occupant::from_record(cell(self.base, unit), self.cells.get(unit)?))
    }
}

/// The address of cell `unit` of the island at `base`.
const fn cell(base: Addr, unit: u32) -> Addr {
    base.plus(unit as i64 * CELL as i64)
}
