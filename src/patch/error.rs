//! The one line that says why a relocation was refused.

use crate::addr::Addr;
use crate::reloc::{Reason, Reloc, Value};
use core::fmt;

/// A relocation that was refused: which, where, given what, and why. Programs look at `reason`, people read `Display`:
///
/// ```text
/// R_AARCH64_ADR_PREL_PG_HI21 at 0x400000: target page 0x7fff00001000 is +0x7ffeffc01000 bytes away, outside -0x100000000..=+0xfffff000; needs a detour
/// R_AARCH64_JUMP26 at 0x400000: expected B, found 0x94000000
/// R_AARCH64_LDST64_ABS_LO12_NC at 0x400008: target 0x410004 is not a multiple of 8
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PatchError {
    /// The relocation.
    pub reloc: Reloc,
    /// `P`: the address of the place when the code runs.
    pub place: Addr,
    /// What the relocation was given; `None` where it was read.
    pub value: Option<Value>,
    /// Why it was refused.
    pub reason: Reason,
}

impl core::error::Error for PatchError {}

impl fmt::Display for PatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reloc, place, .. } = *self;
        write!(f, "{} at {place}: ", reloc.name())?;
        match self.reason {
            Reason::OutOfBounds => write!(f, "the place is outside the section"),
            Reason::MisalignedPlace => write!(f, "the place is not a multiple of {}", reloc.place_alignment()),
            Reason::WrongOpcode { found } => write!(f, "expected {}, found {found:#010x}", reloc.expects()),
            Reason::OutOfRange { x } => self.fmt_range(f, x),
            Reason::Misaligned { .. } => {
                write!(f, "{} is not a multiple of {}", self.subject(), reloc.alignment())
            }
            Reason::WrongValue => {
                let given = self.value.map_or("nothing", |value| value.class().name());
                write!(f, "takes {}, was given {given}", reloc.takes().name())
            }
            Reason::NeedsSigning => f.write_str("the pointer must be signed when the program runs"),
        }
    }
}

impl PatchError {
    fn fmt_range(&self, f: &mut fmt::Formatter<'_>, x: i64) -> fmt::Result {
        write!(f, "{} is ", self.subject())?;
        if self.reloc.is_pc_relative() {
            write!(f, "{} bytes away, ", Signed(x))?;
        }
        let bounds = self.reloc.bounds();
        write!(f, "outside {}..={}", Signed(*bounds.start()), Signed(*bounds.end()))?;
        match self.reloc.remedy() {
            None => Ok(()),
            Some(remedy) => write!(f, "; needs {remedy}"),
        }
    }

    fn subject(&self) -> Subject {
        Subject { value: self.value, paged: self.reloc.is_paged() }
    }
}

/// What was refused, as the subject of the sentence.
struct Subject {
    value: Option<Value>,
    paged: bool,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.value, self.paged) {
            (Some(Value::Addr(addr)), false) => write!(f, "target {addr}"),
            (Some(Value::Addr(addr)), true) => write!(f, "target page {}", addr.page()),
            (Some(Value::Slot(slot)), false) => write!(f, "GOT slot {}", slot.addr()),
            (Some(Value::Slot(slot)), true) => write!(f, "GOT page {}", slot.addr().page()),
            (Some(Value::Offset(offset)), _) => write!(f, "offset {}", Signed(offset)),
            (None, _) => f.write_str("the value"),
        }
    }
}

/// A distance in signed hexadecimal: `+0x10`, `-0x10`.
pub(crate) struct Signed(pub(crate) i64);

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        write!(f, "{sign}{:#x}", self.0.unsigned_abs())
    }
}
