//! What the linker has to know of relocations beyond their table: what each kind refers to.

use super::tls::Access;
use crate::got::Kind;
use crate::reloc::{Class, Reloc};

/// Why the linker does not make what the relocation refers to; `None` where it does.
pub(super) fn unsupported(reloc: Reloc) -> Option<&'static str> {
    match reloc.code() {
        317 => Some("a function tells its value when the program starts"),
        580..=597 => Some("it is of a pointer that is signed when the program runs"),
        _ => None,
    }
}

/// Which entry of the GOT `reloc` is to; `None` where it is to none.
pub(super) fn entry(reloc: Reloc) -> Option<Kind> {
    match Access::of(reloc) {
        Some(Access::Entry(kind)) => Some(kind),
        Some(_) => None,
        None => (reloc.takes() == Class::Slot || got_offset(reloc).is_some()).then_some(Kind::Gdat),
    }
}

/// How many slots an entry takes.
pub(super) fn slots(kind: Kind) -> usize {
    match kind {
        Kind::Gdat | Kind::Gtprel => 1,
        Kind::Gtlsidx | Kind::Gldm | Kind::Gtlsdesc => 2,
    }
}

/// Whether `reloc` is a call or jump that a veneer may come between (AAELF64 5.7.8).
pub(super) fn is_call(reloc: Reloc) -> bool {
    matches!(reloc, Reloc::CALL26 | Reloc::JUMP26 | Reloc::PLT32)
}

/// What a relocation to a GOT offset is measured from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Base {
    Got,
    GotPage,
}

/// Where `reloc` measures the offset of a slot from; `None` where it is not of that kind.
pub(super) fn got_offset(reloc: Reloc) -> Option<Base> {
    match reloc {
        Reloc::LD64_GOTPAGE_LO15 => Some(Base::GotPage),
        Reloc::LD64_GOTOFF_LO15
        | Reloc::MOVW_GOTOFF_G0
        | Reloc::MOVW_GOTOFF_G0_NC
        | Reloc::MOVW_GOTOFF_G1
        | Reloc::MOVW_GOTOFF_G1_NC
        | Reloc::MOVW_GOTOFF_G2
        | Reloc::MOVW_GOTOFF_G2_NC
        | Reloc::MOVW_GOTOFF_G3 => Some(Base::Got),
        _ => None,
    }
}

/// Whether `reloc` reaches only the slots near the base of the GOT.
pub(super) fn is_near_slot(reloc: Reloc) -> bool {
    matches!(reloc, Reloc::LD64_GOTPAGE_LO15 | Reloc::LD64_GOTOFF_LO15)
}
