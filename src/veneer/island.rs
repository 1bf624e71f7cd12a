//! The ledger of an island: which callee has a veneer, and in which cells.

use super::{Callee, Step, Veneer};
use crate::addr::{Addr, Misaligned};
use crate::insn::UDF;
use crate::patch::{PatchError, Section};
use crate::slots::{Slots, State, Units};
use core::{fmt, iter};

/// The storage of one cell, opaque: an array, slice or vector of as many as there shall be cells of sixteen bytes.
pub use crate::slots::Record as Cell;

/// Bytes of a cell.
const CELL: usize = 16;
/// Instructions of a cell.
const WORDS: usize = CELL / 4;

/// The ledger of a run of veneers at a known address.
///
/// `T` is the storage: `[Cell; N]`, `&mut [Cell]`, `Vec<Cell>`, or a `heapless::Vec` filled to the wanted length. There
/// are as many cells as it has elements, at most 2^32 - 1. Callers must be within ±128 MiB of the island; where to put
/// it is the business of placement.
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
    base: Addr,
    cells: Slots<T>,
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
    pub fn veneer_for(&mut self, callee: impl Into<Callee>) -> Result<Addr, VeneerError> {
        let Self { base, ref mut cells } = *self;
        let Veneer { callee, .. } = callee.into().veneer_at(base).map_err(VeneerError::Misaligned)?;
        let unit = cells.claim(callee.key(), |unit| match (Veneer { addr: cell(base, unit), callee }).size() {
            0..=CELL => Units::One(0),
            _ => Units::Two([0, 0]),
        });
        match unit {
            Some(unit) => Ok(cell(base, unit)),
            None => Err(VeneerError::Full { capacity: self.capacity(), used: self.len() }),
        }
    }

    /// The address of the veneer to `callee`, if there is one.
    pub fn get(&self, callee: impl Into<Callee>) -> Option<Addr> {
        self.cells.find(callee.into().key()).map(|unit| cell(self.base, unit))
    }

    /// Frees the cells of the veneer to `callee` and returns its address. Nothing may branch to it any more: the next
    /// veneer takes the place.
    pub fn remove(&mut self, callee: impl Into<Callee>) -> Option<Addr> {
        self.cells.remove(callee.into().key()).map(|unit| cell(self.base, unit))
    }

    /// The address of the island.
    pub const fn base(&self) -> Addr {
        self.base
    }

    /// The cells in use; a veneer of two counts as two.
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

    /// The veneers, in the order of their addresses.
    pub fn iter(&self) -> impl Iterator<Item = Veneer> {
        self.cells.iter().filter_map(|(unit, _)| self.veneer(unit))
    }

    /// Writes the first [`size`](Self::size) bytes of the island where they lie in `section`. No core may execute them
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// The section does not hold all of them; those before are written.
    pub fn write(&self, section: &mut Section<'_>) -> Result<(), PatchError> {
        const PADDING: Step = Step { insn: UDF, fixup: None };
        for unit in 0..self.cells.end() {
            let (veneer, skipped) = match self.cells.get(unit).map(Cell::state) {
                Some(State::First) => (self.veneer(unit), 0),
                Some(State::Second) => (self.veneer(unit & !1), WORDS),
                _ => (None, 0),
            };
            let steps = veneer.into_iter().flat_map(Veneer::steps);
            let place = section.offset_of(cell(self.base, unit));
            for (index, step) in steps.skip(skipped).chain(iter::repeat(PADDING)).take(WORDS).enumerate() {
                let offset = place.saturating_add(index * 4);
                section.write_word(offset, step.insn)?;
                if let Some((reloc, value)) = step.fixup {
                    section.patch(offset, reloc, value)?;
                }
            }
        }
        Ok(())
    }

    /// The veneer whose first cell is `unit`.
    fn veneer(&self, unit: u32) -> Option<Veneer> {
        let callee = Callee::from_key(self.cells.get(unit)?.key());
        Some(Veneer { addr: cell(self.base, unit), callee })
    }
}

/// The address of cell `unit` of the island at `base`.
const fn cell(base: Addr, unit: u32) -> Addr {
    base.plus(unit as i64 * CELL as i64)
}

/// Why there is no veneer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum VeneerError {
    /// There is no room for another veneer.
    Full {
        /// The cells there are.
        capacity: usize,
        /// The cells in use. If that is not all of them, two side by side were wanted.
        used: usize,
    },
    /// No branch leads to such an address.
    Misaligned(Misaligned),
}

impl fmt::Display for VeneerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { capacity, used } if used == capacity => {
                write!(f, "island is full: all {capacity} cells are in use")
            }
            Self::Full { capacity, used } => {
                write!(f, "island is full: no two cells side by side are free, {used} of {capacity} are in use")
            }
            Self::Misaligned(misaligned) => write!(f, "no veneer leads there: {misaligned}"),
        }
    }
}

impl core::error::Error for VeneerError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Full { .. } => None,
            Self::Misaligned(misaligned) => Some(misaligned),
        }
    }
}
