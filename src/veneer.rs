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
//! A veneer runs between the call and the callee's first instruction, where AAPCS64 6.1.1 leaves x16 (IP0) and x17
//! (IP1) to the linker, and AAELF64, "Call and jump relocations", lets `B` and `BL` lead there through a veneer. Every
//! other register, the link register and the flags belong to the call. No form here needs more than x16, and `B` needs
//! none. Since the last jump is a `BR x16`, a callee on guarded pages must begin with `BTI c`, `BTI jc` or `PACIASP`
//! (Arm ARM, `BTI`), even where all of its callers are direct. A veneer needs no landing pad: it is reached by direct
//! branches.
//!
//! No form reads its own text, so that text may be execute-only.

mod island;

pub use island::{Cell, Island, VeneerError};

use crate::addr::{Addr, Misaligned};
use crate::insn::{Hw, Reg, add, adrp, b, br, ldr, movk, movz};
use crate::reloc::{Reloc, Slot, Value};
use crate::slots::Key;

/// Where a veneer leads.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Callee {
    /// To this address, a multiple of 4.
    Addr(Addr),
    /// To the address that stands in this slot at the time of the call.
    Slot(Slot),
}

impl Callee {
    /// The veneer at `addr` that leads here.
    ///
    /// # Errors
    ///
    /// `addr` or the callee's address is not a multiple of 4, the slot's not of 8.
    pub fn veneer_at(self, addr: Addr) -> Result<Veneer, Misaligned> {
        Misaligned::check(addr, 4)?;
        match self {
            Self::Addr(addr) => Misaligned::check(addr, 4)?,
            Self::Slot(slot) => Misaligned::check(slot.addr(), 8)?,
        }
        Ok(Veneer { addr, callee: self })
    }

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
    /// `ADRP x16; LDR x16, [x16]; BR x16`: the slot within ±4 GiB; its content may be any address, and one store of
    /// eight bytes changes it.
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
