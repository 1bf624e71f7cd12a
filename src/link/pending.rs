//! What the scan leaves of a relocation for the check, in the record of its fixup.
//!
//! ```text
//! class   value
//! Addr    the number of the section that its target is in | bytes from the start of that to what it refers to
//! Slot    the number of the slot that it is given
//! Offset  the number of its target, which is called through a slot, by the veneer of all such calls
//! Any     nothing: the relocation is to be read again
//! ```
//!
//! So the check reads neither the relocations nor, for most, the symbols again: they lie in no order.

use super::object::{BATCH, Cursor, Object, Relocation};
use super::tables::NONE;
use super::walk::Table;
use crate::addr::Addr;
use crate::patch::{Fixup, QUICK};
use crate::reloc::{Class, Reloc};

/// The value of one that refers to what is `offset` bytes from the start of input section `section`; `None` where that
/// takes more than 32 bits.
#[inline(always)]
pub(super) fn in_section(section: u32, offset: i64) -> Option<u64> {
    let offset = i32::try_from(offset).ok()?;
    Some(u64::from(section) << 32 | u64::from(offset.cast_unsigned()))
}

/// The section and the offset that `value` says.
#[inline(always)]
pub(super) const fn section_and_offset(value: u64) -> (u32, i64) {
    ((value >> 32) as u32, value as i32 as i64)
}

/// Has the call at `place` go through the slot of symbol `number`.
#[inline(always)]
pub(super) fn leave_call(record: &mut Fixup, place: u32, reloc: Reloc, number: u32) {
    record.set(place, reloc, Class::Offset, number.into());
}

/// The symbol that the call of `record` is of, if it is pending so.
pub(super) fn call(record: &Fixup) -> Option<u32> {
    let (class, number) = record.given();
    (class == Class::Offset).then_some(number as u32)
}

/// The veneers that calls through slots were given last, by the numbers of the symbols: most calls are of few.
pub(super) struct Calls([(u32, Addr); CALLS]);

/// A power of two.
const CALLS: usize = if QUICK { 128 } else { 1 };

impl Calls {
    pub(super) fn new() -> Self {
        Self([(NONE, Addr::new(0)); CALLS])
    }

    pub(super) fn note(&mut self, number: u32, veneer: Addr) {
        if let Some(call) = self.0.get_mut(number as usize & (CALLS - 1)) {
            *call = (number, veneer);
        }
    }

    #[inline(always)]
    pub(super) fn get(&self, number: u32) -> Option<Addr> {
        self.0.get(number as usize & (CALLS - 1)).filter(|call| call.0 == number).map(|call| call.1)
    }
}

/// Has the relocation of `record` read again.
#[inline(always)]
pub(super) fn leave(record: &mut Fixup) {
    record.set(0, Reloc::NONE, Class::Any, 0);
}

/// Moves what means something to the front of `fixups`, and says how many that are.
pub(super) fn drop_nothing(fixups: &mut [Fixup]) -> usize {
    let mut kept = 0;
    for at in 0..fixups.len() {
        let Some(&fixup) = fixups.get(at).filter(|fixup| fixup.reloc() != Reloc::NONE) else { continue };
        if let Some(place) = fixups.get_mut(kept) {
            *place = fixup;
        }
        kept += 1;
    }
    kept
}

/// Reads relocations of a table again, forward.
pub(super) struct Again {
    batch: [Relocation; FEW],
    /// The index of the first in the batch, and how many are there.
    first: usize,
    len: usize,
    cursor: Cursor,
}

/// What is wanted may be few of them.
const FEW: usize = if BATCH > 8 { 8 } else { BATCH };

impl Again {
    pub(super) fn new() -> Self {
        Self { batch: [Relocation::NONE; FEW], first: 0, len: 0, cursor: Cursor::default() }
    }

    /// The relocation of that index; `None` where it cannot be read.
    pub(super) fn get<'data, O: Object<'data>>(
        &mut self,
        table: &Table<'_, 'data, O>,
        index: usize,
    ) -> Option<&Relocation> {
        let Self { batch, first, len, cursor } = self;
        if index.wrapping_sub(*first) >= *len {
            cursor.index = index;
            let read = table.read(cursor, batch).and_then(Result::ok);
            (*first, *len) = read.map_or((index, 0), |(first, read)| (first, read.len()));
        }
        batch.get(..*len)?.get(index.wrapping_sub(*first))
    }
}
