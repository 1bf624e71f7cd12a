//! A relocation recorded, not yet applied.

use crate::reloc::{Class, Reloc, Value};

/// A relocation to be applied to a [`Section`](super::Section): where, which and to what. 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "std", derive(zerocopy::FromZeros))]
pub struct Fixup {
    value: u64,
    offset: u32,
    reloc: Reloc,
    class: Class,
}

impl Fixup {
    /// `reloc` at byte `offset` of the section, given `value`. 32 bits of offset keep the record at 16 bytes; a section
    /// beyond 4 GiB is patched by [`Section::patch`](super::Section::patch).
    pub fn new(offset: u32, reloc: Reloc, value: impl Into<Value>) -> Self {
        let value = value.into();
        Self { value: value.bits(), offset, reloc, class: value.class() }
    }

    /// Makes it one with a value of `class`, field by field: what is put together elsewhere first takes longer.
    #[cfg(feature = "link")]
    #[inline(always)]
    pub(crate) const fn set(&mut self, offset: u32, reloc: Reloc, class: Class, value: u64) {
        (self.value, self.offset, self.reloc, self.class) = (value, offset, reloc, class);
    }

    /// The place, in bytes from the start of the section.
    pub const fn offset(&self) -> usize {
        self.offset as usize
    }

    /// The relocation.
    pub const fn reloc(&self) -> Reloc {
        self.reloc
    }

    /// The class of the value, and the value as a plain number, modulo 2^64.
    pub(crate) const fn given(&self) -> (Class, u64) {
        (self.class, self.value)
    }

    /// What it is given.
    pub const fn value(&self) -> Value {
        Value::of(self.class, self.value)
    }
}

impl Default for Fixup {
    /// One that changes nothing.
    fn default() -> Self {
        Self::new(0, Reloc::NONE, crate::addr::Addr::new(0))
    }
}

const _: () = assert!(size_of::<Fixup>() == 16);
