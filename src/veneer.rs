//! Islands of veneers: what a call goes through when its callee is out of reach of `B` and `BL` (±128 MiB).
//!
//! ```text
//!        base                +16                 +32                                     +64
//!        | ADRP ADD  BR   .  | ADRP LDR  BR   .  | MOVZ MOVK MOVK MOVK  BR   .   .   .  |  .   .   .   .  |
//! BL ----^ Page              ^ Slot              ^ Absolute, two cells                     free
//! ```
//!
//! A cell is sixteen bytes, four instructions; a veneer takes one cell or two. What stands between them, and in free
//! cells, is `UDF #0`. A callee has one veneer in an island, whoever calls it.
//!
//! # Registers
//!
//! A veneer runs between the call and the callee's first instruction, where AAPCS64 6.1.1 leaves x16 (IP0) and x17 (IP1)
//! to the linker, and AAELF64, "Call and jump relocations", lets `B` and `BL` lead there through a veneer. Every other register, the link
//! register and the flags belong to the call. No form here needs more than x16, and `B` needs none. Since the last jump is
//! a `BR x16`, a callee on guarded pages must begin with `BTI c`, `BTI jc` or `PACIASP` (Arm ARM, `BTI`), even where all of its
//! callers are direct. A veneer needs no landing pad: it is reached by direct branches.
//!
//! No form reads its own text, so that text may be execute-only.

use crate::addr::Addr;
use crate::got::{Misaligned, offset_in};
use crate::insn::{Hw, Reg, UDF, add, adrp, b, br, ldr, movk, movz};
use crate::patch::{PatchError, Section};
use crate::reloc::{Reloc, Slot, Value};
use crate::slots::{Key, Slots, State, Units};
use core::{fmt, iter};

/// The storage of one cell, opaque: an array, slice or vector of as many as there shall be cells of sixteen bytes.
pub use crate::slots::Record as Cell;

/// Bytes of a cell.
const CELL: usize = 16;
/// Instructions of a cell.
const WORDS: usize = CELL / 4;

/// Where a veneer leads.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Callee {
    /// To this address, a multiple of 4.
    Addr(Addr),
    /// To the address that stands in this slot at the time of the call.
    Slot(Slot),
}

impl Callee {
    const fn key(self) -> Key {
        match self {
            Self::Addr(addr) => Key { id: addr.get(), kind: 0 },
            Self::Slot(slot) => Key { id: slot.addr().get(), kind: 1 },
        }
    }

    const fn from_key(Key { id, kind }: Key) -> Self {
        match kind {
            0 => Self::Addr(Addr::new(id)),
            _ => Self::Slot(Slot::new(Addr::new(id))),
        }
    }
}

impl From<Addr> for Callee {
    fn from(addr: Addr) -> Self {
        Self::Addr(addr)
    }
}

impl From<Slot> for Callee {
    fn from(slot: Slot) -> Self {
        Self::Slot(slot)
    }
}

/// The forms of a veneer: three that lead to an address, from the shortest, and two that lead through a slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Form {
    /// `B callee`: ±128 MiB; uses no register.
    Direct,
    /// `ADRP x16; ADD x16, x16; BR x16`: ±4 GiB.
    Page,
    /// `MOVZ` or `MOVN`, `MOVK`s, `BR x16`: any address; one cell if its value needs three moves at most, as one of 48
    /// bits does, or one of a kernel at the other end.
    Absolute,
    /// `ADRP x16; LDR x16, [x16]; BR x16`: the slot within ±4 GiB; its content may be any address, and one store of eight bytes
    /// changes it.
    Slot,
    /// `MOVZ` or `MOVN`, `MOVK`s, `LDR x16, [x16]; BR x16`: the same with the slot at any address.
    FarSlot,
}

/// A veneer: its form is a function of where it lies and where it leads.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Veneer {
    addr: Addr,
    callee: Callee,
}

impl Veneer {
    /// The veneer that leads from `addr` to `callee`.
    ///
    /// # Errors
    ///
    /// `addr` or the callee's address is not a multiple of 4, the slot's not of 8.
    pub fn new(addr: Addr, callee: impl Into<Callee>) -> Result<Self, Misaligned> {
        let callee = callee.into();
        Misaligned::check(addr, 4)?;
        match callee {
            Callee::Addr(addr) => Misaligned::check(addr, 4)?,
            Callee::Slot(slot) => Misaligned::check(slot.addr(), 8)?,
        }
        Ok(Self { addr, callee })
    }

    /// The address of its first instruction.
    pub const fn addr(self) -> Addr {
        self.addr
    }

    /// Where it leads.
    pub const fn callee(self) -> Callee {
        self.callee
    }

    /// The shortest form that reaches.
    pub const fn form(self) -> Form {
        let Self { addr, callee } = self;
        match callee {
            Callee::Addr(to) if Reloc::JUMP26.reaches(addr, Value::Addr(to)) => Form::Direct,
            Callee::Addr(to) if Reloc::ADR_PREL_PG_HI21.reaches(addr, Value::Addr(to)) => Form::Page,
            Callee::Addr(_) => Form::Absolute,
            Callee::Slot(slot) if Reloc::ADR_GOT_PAGE.reaches(addr, Value::Slot(slot)) => Form::Slot,
            Callee::Slot(_) => Form::FarSlot,
        }
    }

    /// Bytes of its instructions: 4 to 24.
    pub fn size(self) -> usize {
        self.steps().count() * 4
    }

    fn steps(self) -> impl Iterator<Item = Step> {
        let value = match self.callee {
            Callee::Addr(addr) => Value::Addr(addr),
            Callee::Slot(slot) => Value::Slot(slot),
        };
        let patched = |insn, reloc| Some(Step { insn, fixup: Some((reloc, value)) });
        let page = |reloc| patched(adrp(Reg::X16), reloc);
        let whole = |insn| Some(Step { insn, fixup: None });
        let branch = whole(br(Reg::X16));
        let (first, last) = match self.form() {
            Form::Direct => ([patched(b(), Reloc::JUMP26), None, None, None], [None, None]),
            Form::Page => {
                let add = patched(add(Reg::X16, Reg::X16), Reloc::ADD_ABS_LO12_NC);
                ([page(Reloc::ADR_PREL_PG_HI21), add, None, None], [None, branch])
            }
            Form::Slot => {
                let load = patched(ldr(Reg::X16, Reg::X16), Reloc::LD64_GOT_LO12_NC);
                ([page(Reloc::ADR_GOT_PAGE), load, None, None], [None, branch])
            }
            Form::Absolute => (moves(Addr::new(value.bits())), [None, branch]),
            Form::FarSlot => (moves(Addr::new(value.bits())), [whole(ldr(Reg::X16, Reg::X16)), branch]),
        };
        first.into_iter().chain(last).flatten()
    }
}

/// An instruction of a veneer and the relocation that fills in its immediate.
#[derive(Clone, Copy)]
struct Step {
    insn: u32,
    fixup: Option<(Reloc, Value)>,
}

/// Sets x16 to `addr` by as few moves as it has sixteen-bit groups that the first move does not set anyway: zeros with
/// `MOVZ`, ones with `MOVN`. The first is the highest, for its relocation has the check that nothing above is lost.
fn moves(addr: Addr) -> [Option<Step>; 4] {
    const GROUPS: [(Hw, Reloc, Reloc); 4] = [
        (Hw::G3, Reloc::MOVW_UABS_G3, Reloc::MOVW_UABS_G3),
        (Hw::G2, Reloc::MOVW_SABS_G2, Reloc::MOVW_UABS_G2_NC),
        (Hw::G1, Reloc::MOVW_SABS_G1, Reloc::MOVW_UABS_G1_NC),
        (Hw::G0, Reloc::MOVW_SABS_G0, Reloc::MOVW_UABS_G0_NC),
    ];
    let group = |hw: Hw| (addr.get() >> (16 * hw as u32)) as u16;
    let set_by_first = if group(Hw::G3) == u16::MAX { u16::MAX } else { 0 };
    let mut is_first = true;
    GROUPS.map(|(hw, first, later)| {
        if group(hw) == set_by_first && !(is_first && hw == Hw::G0) {
            return None;
        }
        let (insn, reloc) = if is_first { (movz(Reg::X16, hw), first) } else { (movk(Reg::X16, hw), later) };
        is_first = false;
        Some(Step { insn, fixup: Some((reloc, Value::Addr(addr))) })
    })
}

/// The ledger of a run of veneers at a known address.
///
/// `T` is the storage: `[Cell; N]`, `&mut [Cell]`, `Vec<Cell>`, or a `heapless::Vec` filled to the wanted length. There are as
/// many cells as it has elements, at most 2^32 - 1. Callers must be within ±128 MiB of the island; where to put it is the
/// business of placement.
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
    /// [`VeneerError::Misaligned`] if no branch can lead there: an address that is not a multiple of 4, a slot that is not of
    /// 8. [`VeneerError::Full`] if no cell, or no two side by side, are free.
    pub fn veneer_for(&mut self, callee: impl Into<Callee>) -> Result<Addr, VeneerError> {
        let Self { base, ref mut cells } = *self;
        let Veneer { callee, .. } = Veneer::new(base, callee).map_err(VeneerError::Misaligned)?;
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

    /// Frees the cells of the veneer to `callee` and returns its address. Nothing may branch to it any more: the next veneer
    /// takes the place.
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
            let place = offset_in(section, cell(self.base, unit));
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
