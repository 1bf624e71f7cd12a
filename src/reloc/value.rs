//! What a relocation is given, and why it may say no.

use crate::addr::Addr;
use core::fmt;

/// The address of a word of a global offset table. Only a [`Got`](crate::got::Got) makes one, so that the address of a
/// symbol is not mistaken for the address of its slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot(Addr);

impl Slot {
    pub(crate) const fn new(addr: Addr) -> Self {
        Self(addr)
    }

    /// Where the slot lies: `G(...)` of AAELF64.
    pub const fn addr(self) -> Addr {
        self.0
    }

    /// The slot's address moved by `addend` bytes: for `R_AARCH64_GOTPCREL32`, the only relocation that adds its addend
    /// to a slot. AAELF64 2026Q2 wants the addend of every other one to be zero.
    pub const fn plus(self, addend: i64) -> Self {
        Self(self.0.plus(addend))
    }
}

/// What a relocation is given: which of the three is a fact of each relocation ([`Reloc::takes`](super::Reloc::takes)).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Value {
    /// `S + A`: the address of the target, addend included.
    Addr(Addr),
    /// `G(...)`: a slot of a global offset table.
    Slot(Slot),
    /// A number of bytes that is no address: `TPREL(S + A)`, `DTPREL(S + A)`, `S + A - GOT`, `G(...) - GOT`, or
    /// `G(...) - Page(GOT)` for `R_AARCH64_LD64_GOTPAGE_LO15`
    /// ([`Got::offset_of`](crate::got::Got::offset_of), [`Got::page_offset_of`](crate::got::Got::page_offset_of)).
    Offset(i64),
}

impl Value {
    /// Which kind of value this is.
    pub const fn class(self) -> Class {
        match self {
            Self::Addr(_) => Class::Addr,
            Self::Slot(_) => Class::Slot,
            Self::Offset(_) => Class::Offset,
        }
    }

    /// The value of `class` whose bits are `bits`; what takes any is given an address.
    pub(crate) const fn of(class: Class, bits: u64) -> Self {
        match class {
            Class::Addr | Class::Any => Self::Addr(Addr::new(bits)),
            Class::Slot => Self::Slot(Slot::new(Addr::new(bits))),
            Class::Offset => Self::Offset(bits.cast_signed()),
        }
    }

    /// The value as a plain number, modulo 2^64.
    pub const fn bits(self) -> u64 {
        match self {
            Self::Addr(addr) => addr.get(),
            Self::Slot(slot) => slot.addr().get(),
            Self::Offset(offset) => offset.cast_unsigned(),
        }
    }
}

impl From<Addr> for Value {
    fn from(addr: Addr) -> Self {
        Self::Addr(addr)
    }
}

impl From<Slot> for Value {
    fn from(slot: Slot) -> Self {
        Self::Slot(slot)
    }
}

/// The class of value a relocation takes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "std", derive(zerocopy::FromZeros))]
#[repr(u8)]
pub enum Class {
    /// [`Value::Addr`].
    Addr,
    /// [`Value::Slot`].
    Slot,
    /// [`Value::Offset`].
    Offset,
    /// The relocation sets no bits; any value will do.
    Any,
}

impl Class {
    /// Whether a relocation of this class takes `value`.
    pub const fn takes(self, value: Value) -> bool {
        matches!(self, Self::Any) || self as u8 == value.class() as u8
    }

    /// The class in words, for an error.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Addr => "an address",
            Self::Slot => "a GOT slot",
            Self::Offset => "an offset",
            Self::Any => "any value",
        }
    }
}

/// Why a relocation was refused: what was found. What was allowed is a fact of the relocation
/// ([`Reloc::bounds`](super::Reloc::bounds), [`Reloc::expects`](super::Reloc::expects),
/// [`Reloc::alignment`](super::Reloc::alignment), [`Reloc::takes`](super::Reloc::takes)).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Reason {
    /// The place does not lie wholly inside the section.
    OutOfBounds,
    /// The place is not aligned to [`Reloc::place_alignment`](super::Reloc::place_alignment) bytes.
    MisalignedPlace,
    /// The word at the place is not an instruction that the relocation may change.
    WrongOpcode {
        /// The word at the place.
        found: u32,
    },
    /// `X` is outside [`Reloc::bounds`](super::Reloc::bounds).
    OutOfRange {
        /// The value before masking, in bytes.
        x: i64,
    },
    /// `X` is not a multiple of [`Reloc::alignment`](super::Reloc::alignment).
    Misaligned {
        /// The value before masking, in bytes.
        x: i64,
    },
    /// The relocation takes another class of value.
    WrongValue,
    /// The place would hold a pointer signed when the program runs, which no linker can compute.
    NeedsSigning,
}

/// What brings a reference further than its own reach ([`veneer`](crate::veneer)).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Remedy {
    /// A call leads to a veneer, and that to the target.
    Veneer,
    /// A conditional branch leads to a hop, and that to the target.
    Hop,
    /// A branch to a detour takes the place of the instruction.
    Detour,
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Veneer => "a veneer",
            Self::Hop => "a hop",
            Self::Detour => "a detour",
        })
    }
}
