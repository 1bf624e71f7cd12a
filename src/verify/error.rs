//! The one line that says what is wrong with a place.

use super::place::{is_address, is_move};
use crate::addr::Addr;
use crate::patch::{PatchError, Signed};
use crate::reloc::{Reason, Reloc};
use core::fmt;

/// A place that does not reach its target. Programs look at `found`, people read `Display`:
///
/// ```text
/// R_AARCH64_ADR_PREL_PG_HI21 at 0x10000000: reaches page 0x30000000, not 0x230000000 (-0x200000000 bytes off: the immediate was truncated)
/// R_AARCH64_ADD_ABS_LO12_NC at 0x10000004: holds 0x124, not 0x120 (+0x4 bytes off)
/// R_AARCH64_CALL26 at 0x10000008: goes through 0x10000030 and reaches 0x40010004, not 0x40010000 (+0x4 bytes off)
/// R_AARCH64_LD64_GOT_LO12_NC at 0x1000000c: no slot of the GOT holds 0x10000040
/// R_AARCH64_CALL26 at 0x10000010: expected BL, found 0xd65f03c0
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Wrong {
    /// The relocation.
    pub reloc: Reloc,
    /// `P`: the address of the place.
    pub place: Addr,
    /// What was found there.
    pub found: Found,
}

/// What was found at a place that does not reach its target.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Found {
    /// The place does not lie wholly inside one view.
    NoBytes,
    /// No relocation of the kind can have been applied there.
    Refused(Reason),
    /// Another target. The two are addresses where the relocation is PC-relative; their pages, where it is to pages; else
    /// numbers, as far as the place decides them: twelve bits of a lo12, sixteen of a move.
    Other {
        /// What the place reaches or holds.
        reached: Addr,
        /// What it should.
        expected: Addr,
    },
    /// A branch that goes through a veneer, hop or detour which leads elsewhere, or makes another address.
    Through {
        /// Where the branch itself leads.
        veneer: Addr,
        /// Where the last branch of the veneer leads.
        reached: Addr,
        /// Where it should.
        expected: Addr,
    },
    /// A branch to a detour which does not come back, or not with an address, in the register that it changes.
    Astray {
        /// Where the branch leads.
        detour: Addr,
    },
    /// There is no right slot to reach.
    NoSlot {
        /// The address that it would hold.
        holds: Addr,
    },
    /// A slot that is not the right one, which is not among the first 8192.
    OtherSlot {
        /// What the place reaches, as in [`Other`](Self::Other).
        reached: Addr,
        /// The address that the right one holds.
        holds: Addr,
    },
}

impl Wrong {
    /// Whether the value did not fit into the field, and was stored there without its upper bits.
    pub fn is_truncated(&self) -> bool {
        match self.found {
            Found::Other { reached, expected } => is_truncated(self.reloc, reached, expected),
            _ => false,
        }
    }
}

/// Whether the field of `reloc` holds `reached` because it cannot hold `expected`: they differ by what it cannot say.
pub(super) fn is_truncated(reloc: Reloc, reached: Addr, expected: Addr) -> bool {
    let (start, end) = reloc.bounds().into_inner();
    let span = match start {
        i64::MIN => return false,
        0 => end.cast_unsigned().next_power_of_two(),
        // The sign of a move is in its opcode.
        _ if is_move(reloc) => start.unsigned_abs(),
        _ => 2 * start.unsigned_abs(),
    };
    reached != expected && expected.distance_from(reached).cast_unsigned().is_multiple_of(span)
}

impl core::error::Error for Wrong {}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reloc, place, found } = *self;
        if let Found::Refused(reason) = found {
            return PatchError { reloc, place, value: None, reason }.fmt(f);
        }
        write!(f, "{} at {place}: ", reloc.name())?;
        let (reached, expected) = match found {
            Found::Other { reached, expected } => (reached, expected),
            Found::Through { veneer, reached, expected } => {
                write!(f, "goes through {veneer} and ")?;
                (reached, expected)
            }
            Found::Astray { detour } => {
                return write!(f, "goes through {detour}, which does not come back with an address");
            }
            Found::NoSlot { holds } => return write!(f, "no slot of the GOT holds {holds}"),
            Found::OtherSlot { reached, holds } => {
                let reaches = if is_address(reloc) { "reaches" } else { "holds" };
                return write!(f, "{reaches} {reached}, which leads to no slot that holds {holds}");
            }
            Found::NoBytes | Found::Refused(_) => return f.write_str("the place is not in the image"),
        };
        let reaches = match is_address(reloc) {
            true if reloc.is_paged() => "reaches page",
            true => "reaches",
            false => "holds",
        };
        write!(f, "{reaches} {reached}, not {expected} ({} bytes off", Signed(reached.distance_from(expected)))?;
        f.write_str(if self.is_truncated() { ": the immediate was truncated)" } else { ")" })
    }
}
