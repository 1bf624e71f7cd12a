//! The checked patchers: bytes, the address they will run at, and relocations applied to them.
//!
//! Everything is checked before anything is written, in release as in debug, and a refused relocation changes no byte.

mod batch;
mod error;
mod failures;
mod fixup;
mod group;
mod places;
mod quick;
mod room;

pub use batch::{Batch, BatchError, Block};
pub use error::PatchError;
pub(crate) use error::Signed;
pub use failures::Failures;
pub use fixup::Fixup;
#[cfg(feature = "link")]
pub(crate) use quick::QUICK;
pub use room::Room;

use crate::addr::Addr;
use crate::reloc::{Reason, Reloc, Value};
use core::fmt;
use failures::Source;

/// The byte order of data. Instructions are little-endian on every AArch64 system (Arm ARM B2.6.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Endian {
    /// `aarch64`.
    #[default]
    Little,
    /// `aarch64_be`.
    Big,
}

impl fmt::Display for Endian {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Little => "little-endian",
            Self::Big => "big-endian",
        })
    }
}

/// Bytes that are being linked, and the address they will run at.
///
/// The two are independent: the bytes may be a buffer, a file, or the writable view of memory that is executed through
/// another mapping. `P`, the place of a relocation, is always [`addr`](Self::addr) + offset.
#[derive(Debug)]
pub struct Section<'a> {
    bytes: &'a mut [u8],
    addr: Addr,
    endian: Endian,
}

impl<'a> Section<'a> {
    /// `bytes`, which will run at `addr`, with little-endian data.
    pub fn new(bytes: &'a mut [u8], addr: Addr) -> Self {
        Self { bytes, addr, endian: Endian::Little }
    }

    /// The same section with data in byte order `endian`.
    pub fn with_endian(self, endian: Endian) -> Self {
        Self { endian, ..self }
    }

    /// Changes the byte order of data.
    #[cfg(feature = "link")]
    pub(crate) fn set_endian(&mut self, endian: Endian) {
        self.endian = endian;
    }

    /// The same section, for a while.
    pub fn reborrow(&mut self) -> Section<'_> {
        Section { bytes: &mut *self.bytes, ..*self }
    }

    /// The address of the first byte when the code runs.
    pub fn addr(&self) -> Addr {
        self.addr
    }

    /// The length in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The offset of the byte that runs at `addr`; beyond the section's end where it is not inside, so that a patch there is
    /// refused.
    pub fn offset_of(&self, addr: Addr) -> usize {
        usize::try_from(addr.distance_from(self.addr).cast_unsigned()).unwrap_or(usize::MAX)
    }

    /// The section from byte `offset` on; `None` where it is not that long.
    pub fn skip(self, offset: usize) -> Option<Self> {
        Some(Self { bytes: self.bytes.get_mut(offset..)?, addr: self.addr.at(offset), endian: self.endian })
    }

    /// The first `len` bytes and the rest; `None` where it is not that long.
    pub fn split_at(self, len: usize) -> Option<(Self, Self)> {
        let Self { bytes, addr, endian } = self;
        let (head, tail) = bytes.split_at_mut_checked(len)?;
        Some((Self { bytes: head, addr, endian }, Self { bytes: tail, addr: addr.at(len), endian }))
    }

    /// The first `len` bytes of the section, or all if it has no more.
    pub fn take(self, len: usize) -> Self {
        let len = len.min(self.bytes.len());
        Self { bytes: self.bytes.get_mut(..len).unwrap_or_default(), ..self }
    }

    /// The same bytes from `offset` on, for a while.
    #[cfg(feature = "link")]
    pub(crate) fn part(&mut self, offset: usize) -> Option<Section<'_>> {
        Some(Section { bytes: self.bytes.get_mut(offset..)?, addr: self.addr.at(offset), endian: self.endian })
    }

    /// The bytes as they are now.
    pub fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// The bytes, to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes
    }

    /// Applies `reloc` at byte `offset`.
    ///
    /// # Errors
    ///
    /// [`Reason::OutOfBounds`] where the place does not lie wholly inside, then those of [`Reloc::apply`]. No byte has
    /// changed then.
    ///
    /// ```
    /// use aarch64_reloc::{addr::Addr, patch::Section, reloc::Reloc};
    /// let mut bytes = [0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x91]; // adrp x0, . ; add x0, x0, #0
    /// let mut text = Section::new(&mut bytes, Addr::new(0x40_0000));
    /// let table = Addr::new(0x41_2345);
    /// text.patch(0, Reloc::ADR_PREL_PG_HI21, table)?;
    /// text.patch(4, Reloc::ADD_ABS_LO12_NC, table)?;
    /// assert_eq!(bytes, [0x80, 0x00, 0x00, 0xd0, 0x00, 0x14, 0x0d, 0x91]);
    /// # Ok::<(), aarch64_reloc::patch::PatchError>(())
    /// ```
    #[inline]
    pub fn patch(&mut self, offset: usize, reloc: Reloc, value: impl Into<Value>) -> Result<(), PatchError> {
        let value = value.into();
        if self.patch_quickly(offset, reloc, value) { Ok(()) } else { self.patch_exactly(offset, reloc, value) }
    }

    /// What [`patch`](Self::patch) does, and says; slowly.
    #[cold]
    #[inline(never)]
    fn patch_exactly(&mut self, offset: usize, reloc: Reloc, value: Value) -> Result<(), PatchError> {
        let new = self.compute(offset, reloc, value)?;
        self.set(offset, reloc, new);
        Ok(())
    }

    /// Says what [`patch`](Self::patch) would say, and writes nothing.
    ///
    /// # Errors
    ///
    /// Those of `patch`.
    pub fn check(&self, offset: usize, reloc: Reloc, value: impl Into<Value>) -> Result<(), PatchError> {
        let value = value.into();
        if self.passes_quickly(offset, reloc, value) { Ok(()) } else { self.compute(offset, reloc, value).map(|_| ()) }
    }

    /// Whether the place holds `value` already: the verdict on code that another linker wrote.
    ///
    /// # Errors
    ///
    /// Those of `patch`.
    pub fn verify(&self, offset: usize, reloc: Reloc, value: impl Into<Value>) -> Result<bool, PatchError> {
        Ok(self.compute(offset, reloc, value.into())? == self.raw(offset, reloc).unwrap_or(0))
    }

    /// Whether `value` is within the range of `reloc` at byte `offset`: whether `patch` would not answer
    /// [`Reason::OutOfRange`]. The bytes are not looked at; a value of the wrong class is never within range.
    pub fn reaches(&self, offset: usize, reloc: Reloc, value: impl Into<Value>) -> bool {
        reloc.reaches(self.addr.at(offset), value.into())
    }

    /// The `X` that the place holds, in bytes: the inverse of [`patch`](Self::patch), see [`Reloc::read`].
    ///
    /// # Errors
    ///
    /// [`Reason::OutOfBounds`], and those of [`Reloc::read`].
    pub fn read(&self, offset: usize, reloc: Reloc) -> Result<i64, PatchError> {
        let place = self.addr.at(offset);
        let refuse = |reason| PatchError { reloc, place, value: None, reason };
        let raw = self.raw(offset, reloc).ok_or(refuse(Reason::OutOfBounds))?;
        reloc.read(raw, place).map_err(refuse)
    }

    /// Replaces the instruction at byte `offset` by `word`.
    ///
    /// # Errors
    ///
    /// [`Reason::OutOfBounds`] and [`Reason::MisalignedPlace`], as of a `R_AARCH64_PATCHINST`, which this is.
    pub fn write_word(&mut self, offset: usize, word: u32) -> Result<(), PatchError> {
        self.patch(offset, Reloc::PATCHINST, Addr::new(word.into()))
    }

    /// Applies all of `fixups`, in order.
    ///
    /// # Errors
    ///
    /// The places that were refused, which keep their bytes; all others are patched. [`check_all`](Self::check_all)
    /// finds out beforehand.
    pub fn patch_all<'s>(&'s mut self, fixups: &'s [Fixup]) -> Result<(), Failures<'s>> {
        Failures::after(self.patch_each(fixups), self, Source::Fixups(fixups))
    }

    /// Says of all of `fixups` what [`patch_all`](Self::patch_all) would refuse, and writes nothing. Each is judged by
    /// the bytes as they are now.
    ///
    /// # Errors
    ///
    /// The fixups that would be refused.
    pub fn check_all<'s>(&'s self, fixups: &'s [Fixup]) -> Result<(), Failures<'s>> {
        Failures::of(self, Source::Fixups(fixups))
    }

    fn compute(&self, offset: usize, reloc: Reloc, value: Value) -> Result<u64, PatchError> {
        let place = self.addr.at(offset);
        let refuse = |reason| PatchError { reloc, place, value: Some(value), reason };
        let raw = self.raw(offset, reloc).ok_or(refuse(Reason::OutOfBounds))?;
        reloc.apply(raw, place, value).map_err(refuse)
    }

    fn raw(&self, offset: usize, reloc: Reloc) -> Option<u64> {
        raw_at(self.bytes, offset, reloc, self.endian)
    }

    fn set(&mut self, offset: usize, reloc: Reloc, raw: u64) {
        let raw = in_order(raw, reloc, self.endian).to_le_bytes();
        for (byte, new) in self.bytes.iter_mut().skip(offset).take(reloc.size()).zip(raw) {
            *byte = new;
        }
    }
}

/// The bytes of a place as a number; `None` where it does not lie wholly inside.
pub(crate) fn raw_at(bytes: &[u8], offset: usize, reloc: Reloc, endian: Endian) -> Option<u64> {
    let place = bytes.get(offset..offset.checked_add(reloc.size())?)?;
    let raw = match *place {
        _ if !quick::QUICK => place.iter().rev().fold(0, |raw, &byte| raw << 8 | u64::from(byte)),
        [a, b] => u16::from_le_bytes([a, b]).into(),
        [a, b, c, d] => u32::from_le_bytes([a, b, c, d]).into(),
        [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => 0,
    };
    Some(in_order(raw, reloc, endian))
}

/// `raw`, little-endian, in the byte order of the place; its own inverse.
fn in_order(raw: u64, reloc: Reloc, endian: Endian) -> u64 {
    if reloc.is_data() && endian == Endian::Big {
        raw.swap_bytes().checked_shr(64 - 8 * reloc.size() as u32).unwrap_or(0)
    } else {
        raw
    }
}
