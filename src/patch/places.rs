//! Places of one kind, as they are recorded: in a block, or one after the other.

use crate::addr::Addr;
use crate::reloc::{Class, Reloc, Value};
use core::iter::zip;

/// Places of one kind: each an offset in bytes, and a value as a plain number.
pub(super) trait Places: Copy {
    fn reloc(&self) -> Reloc;

    /// The class of the values.
    fn class(&self) -> Class;

    fn len(&self) -> usize;

    /// Those after the first `count`.
    fn skip(&self, count: usize) -> Self;

    fn ones(&self) -> impl Iterator<Item = (usize, u64)>;

    /// Eight at a time, for a loop costs as much as a check; up to seven are left.
    fn eights(&self) -> impl Iterator<Item = impl Iterator<Item = (usize, u64)>>;

    /// A number that is aligned as all offsets are.
    fn alignment(&self) -> u64;

    /// The first, the value in its class.
    fn first(&self) -> Option<(usize, Value)> {
        let (offset, value) = self.ones().next()?;
        Some((offset, Value::of(self.class(), value)))
    }
}

/// Places of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sites<'a> {
    pub(super) reloc: Reloc,
    /// The lower bits of all offsets, or-ed.
    pub(super) low: u8,
    pub(super) offsets: &'a [u32],
    pub(super) values: &'a [u64],
}

impl Places for Sites<'_> {
    fn reloc(&self) -> Reloc {
        self.reloc
    }

    fn len(&self) -> usize {
        self.offsets.len()
    }

    fn class(&self) -> Class {
        self.reloc.takes()
    }

    fn skip(&self, count: usize) -> Self {
        let offsets = self.offsets.get(count..).unwrap_or_default();
        let values = self.values.get(count..).unwrap_or_default();
        Self { offsets, values, ..*self }
    }

    #[inline(always)]
    fn ones(&self) -> impl Iterator<Item = (usize, u64)> {
        zip(self.offsets, self.values).map(|(offset, value)| (*offset as usize, *value))
    }

    #[inline(always)]
    fn eights(&self) -> impl Iterator<Item = impl Iterator<Item = (usize, u64)>> {
        zip(self.offsets.as_chunks::<8>().0, self.values.as_chunks::<8>().0)
            .map(|(offsets, values)| zip(offsets, values).map(|(offset, value)| (*offset as usize, *value)))
    }

    fn alignment(&self) -> u64 {
        self.low.into()
    }
}

/// Places that follow each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    pub(super) reloc: Reloc,
    offset: usize,
    /// Bytes from one place to the next.
    size: usize,
    targets: &'a [Addr],
}

impl<'a> Run<'a> {
    pub(super) fn new(offset: usize, reloc: Reloc, targets: &'a [Addr]) -> Self {
        // No section is longer; and no offset of the run is beyond the end of `usize`.
        let offset = offset.min(isize::MAX.cast_unsigned());
        Self { reloc, offset, size: reloc.size(), targets }
    }

    #[inline(always)]
    fn offset(&self, index: usize) -> usize {
        self.offset.wrapping_add(index.wrapping_mul(self.size))
    }
}

impl Places for Run<'_> {
    fn reloc(&self) -> Reloc {
        self.reloc
    }

    fn len(&self) -> usize {
        self.targets.len()
    }

    fn class(&self) -> Class {
        Class::Addr
    }

    fn skip(&self, count: usize) -> Self {
        Self { offset: self.offset(count), targets: self.targets.get(count..).unwrap_or_default(), ..*self }
    }

    #[inline(always)]
    fn ones(&self) -> impl Iterator<Item = (usize, u64)> {
        zip(0.., self.targets).map(|(index, target)| (self.offset(index), target.get()))
    }

    #[inline(always)]
    fn eights(&self) -> impl Iterator<Item = impl Iterator<Item = (usize, u64)>> {
        zip((0..).step_by(8), self.targets.as_chunks::<8>().0)
            .map(|(from, targets)| zip(from.., targets).map(|(index, target)| (self.offset(index), target.get())))
    }

    fn alignment(&self) -> u64 {
        (self.offset | self.size) as u64
    }
}
