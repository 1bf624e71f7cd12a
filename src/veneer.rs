//! Islands: what a branch goes through to where it does not reach (`B` and `BL` ±128 MiB), and how an address is made that is
//! out of reach of the instruction that would make it.
//!
//! ```text
//!        base                +16                 +32                                     +64                 +80
//!        | ADRP ADD  BR   .  | ADRP LDR  BR   .  | MOVZ MOVK MOVK MOVK  BR   .   .   .  | MOVZ MOVK MOVK B  | BTI  B   .  . |
//! BL ----^ veneer, Page      ^ veneer, Slot      ^ veneer, Absolute, two cells      B ---^ detour         |  ^ pad |
//!                                                                                next <-------------------+  |    +--> callee
//!                                                                           BR x16 of a veneer elsewhere ----+
//! ```
//!
//! A cell is sixteen bytes, four instructions; each of these takes one cell or two. What stands between them, and in free
//! cells, is `UDF #0`.
//!
//! | kind | stands between | one for each | instructions | may change |
//! |---|---|---|---|---|
//! | veneer | `B`, `BL` and the function they call | callee | one of the [`Form`]s | x16, or nothing |
//! | hop | `B.cond`, `CBZ`, `TBZ` and their target | target | `B` | nothing |
//! | detour | a [`Detour`]'s instruction, now a `B`, and the next | place | moves, perhaps a load, `B` | the register it sets |
//! | pad | a veneer of another island and the callee | callee | `BTI c`, `B` | nothing |
//!
//! # Registers
//!
//! A veneer runs between the call and the callee's first instruction, where AAPCS64 6.1.1 leaves x16 (IP0) and x17
//! (IP1) to the linker, and AAELF64, "Call and jump relocations", lets `B` and `BL` lead there through a veneer. Every
//! other register, the link register and the flags belong to the call. No form here needs more than x16, and `B` needs
//! none.
//!
//! The ABI allows no veneer at a conditional branch, which may lie anywhere in a function: so a hop is the one instruction
//! that changes nothing. A detour stands for an instruction that sets one register, and needs no other: it builds the address
//! there, by moves that leave the flags alone, and loads through it where the instruction loads.
//!
//! # Guarded pages
//!
//! Direct branches land anywhere, so that nothing here but a pad needs a landing pad at its own beginning. A veneer that ends in
//! `BR x16` must find one at its callee ([`is_landing_pad`](crate::insn::is_landing_pad)). A linker may not assume that it does
//! where the callee is of the same link unit (AAELF64, "Call and jump relocations"): compilers leave `BTI c` out of a function
//! if they know all of its callers. There the veneer leads to a [pad](Island::pad_for) near the callee.
//!
//! # Execute-only text, unwinding
//!
//! No form reads its own text, so that text may be execute-only. None touches the stack or, unless it is what a detour's
//! instruction sets, the frame pointer or the link register; and no call returns to an island, so that exceptions pass by it.
//! Unwind tables have no entry for it: what unwinds from any instruction, as a profiler's signal does, ends there.

mod detour;
mod error;
mod island;
#[cfg(feature = "link")]
mod lend;
mod occupant;
mod step;

pub use detour::{Detour, NoDetour};
pub use error::VeneerError;
pub use island::{Cell, Island};
pub use occupant::{Occupant, Purpose};

use crate::addr::{Addr, Misaligned};
use crate::insn::{Reg, add, adrp, b, br, ldr};
use crate::reloc::{Reloc, Slot, Value};
use step::Steps;

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
        self.steps().get().len() * 4
    }

    fn steps(self) -> Steps {
        let value = match self.callee {
            Callee::Addr(addr) => Value::Addr(addr),
            Callee::Slot(slot) => Value::Slot(slot),
        };
        let mut steps = Steps::new();
        match self.form() {
            Form::Direct => {
                steps.patched(b(), Reloc::JUMP26, value);
                return steps;
            }
            Form::Page => {
                steps.patched(adrp(Reg::X16), Reloc::ADR_PREL_PG_HI21, value);
                steps.patched(add(Reg::X16, Reg::X16), Reloc::ADD_ABS_LO12_NC, value);
            }
            Form::Slot => {
                steps.patched(adrp(Reg::X16), Reloc::ADR_GOT_PAGE, value);
                steps.patched(ldr(Reg::X16, Reg::X16), Reloc::LD64_GOT_LO12_NC, value);
            }
            Form::Absolute => steps.push_moves(Reg::X16, Addr::new(value.bits())),
            Form::FarSlot => {
                steps.push_moves(Reg::X16, Addr::new(value.bits()));
                steps.whole(ldr(Reg::X16, Reg::X16));
            }
        }
        steps.whole(br(Reg::X16));
        steps
    }
}
