//! Relocations and what they take.

use super::answer::{Refused, a64r_status, a64r_text, answer};
use super::pointer::put;
use crate::addr::Addr;
use crate::reloc::{Class, Reloc, Slot, Value};
use core::mem::MaybeUninit;

/// The classes of value that a relocation takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum a64r_class {
    /// `S + A`: the address of the target, addend included.
    Addr = 0,
    /// `G(...)`: the address of a slot of the GOT, from a function that gives slots.
    Slot,
    /// Bytes that are no address, signed: `TPREL`, `DTPREL`, or measured from the GOT.
    Offset,
    /// Any: the relocation sets no bits.
    Any,
}

/// What a relocation is given.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct a64r_value {
    /// The address or the offset.
    bits: u64,
    /// An `a64r_class`.
    takes: u32,
}

impl a64r_value {
    pub(super) const fn slot(slot: Slot) -> Self {
        Self { bits: slot.addr().get(), takes: a64r_class::Slot as u32 }
    }

    pub(super) const fn offset(offset: i64) -> Self {
        Self { bits: offset.cast_unsigned(), takes: a64r_class::Offset as u32 }
    }

    pub(super) fn get(self) -> Result<Value, Refused> {
        value(self.bits, self.takes)
    }
}

/// The value of these bits, whose class is `takes`.
pub(super) fn value(bits: u64, takes: u32) -> Result<Value, Refused> {
    const ADDR: u32 = a64r_class::Addr as u32;
    const SLOT: u32 = a64r_class::Slot as u32;
    const OFFSET: u32 = a64r_class::Offset as u32;
    match takes {
        ADDR => Ok(Value::Addr(Addr::new(bits))),
        SLOT => Ok(Value::Slot(Slot::new(Addr::new(bits)))),
        OFFSET => Ok(Value::Offset(bits.cast_signed())),
        _ => Err(Refused::Invalid("takes", takes.into())),
    }
}

/// The relocation of an ELF64 `r_info` type.
pub(super) fn relocation(code: u32) -> Result<Reloc, Refused> {
    Reloc::from_elf(code).ok_or(Refused::UnknownRelocation(code))
}

/// What is known of a relocation.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct a64r_reloc_facts {
    /// The least value before masking, in bytes, that fits. It is a distance where the relocation is relative to its place.
    min: i64,
    /// The greatest.
    max: i64,
    /// What the value must be a multiple of, in bytes.
    alignment: u32,
    /// What the address of the place must be a multiple of, in bytes.
    place_alignment: u32,
    /// Bytes of the place: 0, 2, 4 or 8.
    size: u32,
    /// The class of value that it takes, an `a64r_class`.
    takes: u32,
    /// Whether the value is measured from the place.
    is_pc_relative: bool,
}

/// Writes what is known of the relocation of ELF64 code `reloc`, an `R_AARCH64_...` of `<elf.h>`, to `out`, and its name, as
/// `readelf` prints it, to `name`. Either may be null.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_reloc_describe(
    reloc: u32,
    out: Option<&mut MaybeUninit<a64r_reloc_facts>>,
    name: Option<&mut a64r_text>,
) -> a64r_status {
    let Some(reloc) = Reloc::from_elf(reloc) else { return answer(name, || Err(Refused::UnknownRelocation(reloc))) };
    if let Some(name) = name {
        name.set(reloc.name());
    }
    let (&min, &max) = (reloc.bounds().start(), reloc.bounds().end());
    let takes = match reloc.takes() {
        Class::Addr => a64r_class::Addr,
        Class::Slot => a64r_class::Slot,
        Class::Offset => a64r_class::Offset,
        Class::Any => a64r_class::Any,
    };
    let facts = a64r_reloc_facts {
        min,
        max,
        alignment: reloc.alignment() as u32,
        place_alignment: reloc.place_alignment() as u32,
        size: reloc.size() as u32,
        takes: takes as u32,
        is_pc_relative: reloc.is_pc_relative(),
    };
    if out.is_none() { a64r_status::Ok } else { answer(None, || put(out, facts)) }
}
