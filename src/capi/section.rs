//! The checked patchers.

use super::answer::{Refused, a64r_status, a64r_text, answer};
use super::pointer::{elements_mut, given, put};
use super::reloc::{a64r_value, relocation, value};
use crate::addr::Addr;
use crate::patch::{Endian, Fixup, Section};
use crate::reloc::Reloc;
use core::mem::MaybeUninit;

/// Byte orders of data. Instructions are little-endian everywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum a64r_endian {
    /// `aarch64`.
    Little = 0,
    /// `aarch64_be`.
    Big,
}

/// Bytes that are being linked, and the address they will run at: two that have nothing to do with each other. A call reads
/// and writes the bytes, which nothing else may do meanwhile.
#[derive(Debug)]
#[repr(C)]
pub struct a64r_section {
    /// The bytes.
    bytes: *mut u8,
    /// How many there are.
    len: usize,
    /// The address of the first of them when the code runs.
    addr: u64,
    /// The byte order of data, an `a64r_endian`.
    endian: u32,
}

impl a64r_section {
    pub(super) fn of(mut section: Section<'_>) -> Self {
        let (addr, bytes) = (section.addr().get(), section.bytes_mut());
        Self { bytes: bytes.as_mut_ptr(), len: bytes.len(), addr, endian: a64r_endian::Little as u32 }
    }
}

/// The byte order numbered `endian`.
pub(super) fn byte_order(endian: u32) -> Result<Endian, Refused> {
    const LITTLE: u32 = a64r_endian::Little as u32;
    const BIG: u32 = a64r_endian::Big as u32;
    match endian {
        LITTLE => Ok(Endian::Little),
        BIG => Ok(Endian::Big),
        _ => Err(Refused::Invalid("endian", endian.into())),
    }
}

/// The section that C describes.
pub(super) fn open<'a>(section: Option<&'a a64r_section>) -> Result<Section<'a>, Refused> {
    let section = given(section, "section")?;
    // SAFETY: the caller of the function says so of the section's bytes.
    let bytes = unsafe { elements_mut(section.bytes, section.len, "section") }?;
    Ok(Section::new(bytes, Addr::new(section.addr)).with_endian(byte_order(section.endian)?))
}

/// Applies the relocation of ELF64 code `reloc` at byte `offset` of `section`. Refused, it changes no byte.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_patch(
    section: Option<&a64r_section>,
    offset: usize,
    reloc: u32,
    value: a64r_value,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || Ok(open(section)?.patch(offset, relocation(reloc)?, value.get()?)?))
}

/// Answers what `a64r_patch` would, and writes nothing.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_check(
    section: Option<&a64r_section>,
    offset: usize,
    reloc: u32,
    value: a64r_value,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || Ok(open(section)?.check(offset, relocation(reloc)?, value.get()?)?))
}

/// Whether `value` is within the range of the relocation at byte `offset` of a section that will run at `addr`. The bytes are
/// not looked at. False too where the relocation takes another class of value, or there is none of this code.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_reaches(addr: u64, offset: usize, reloc: u32, value: a64r_value) -> bool {
    let reaches = || Ok::<_, Refused>(relocation(reloc)?.reaches(Addr::new(addr).at(offset), value.get()?));
    reaches().unwrap_or(false)
}

/// Writes to `out` the value, in bytes, that the place holds: what `a64r_patch` puts there, as far as the place has it.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_read(
    section: Option<&a64r_section>,
    offset: usize,
    reloc: u32,
    out: Option<&mut MaybeUninit<i64>>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || put(out, open(section)?.read(offset, relocation(reloc)?)?))
}

/// Writes an instruction at byte `offset` of `section`, a multiple of 4 bytes in the address it runs at.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_write_word(
    section: Option<&a64r_section>,
    offset: usize,
    word: u32,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || Ok(open(section)?.write_word(offset, word)?))
}

/// One relocation of a batch, and what became of it.
#[derive(Debug)]
#[repr(C)]
pub struct a64r_fixup {
    /// The place, in bytes from the start of the section.
    offset: u64,
    /// The address or the offset that the relocation is given.
    bits: u64,
    /// Its ELF64 code.
    reloc: u32,
    /// The class of `bits`, an `a64r_class`.
    takes: u16,
    /// Written by the batch: an `a64r_status`.
    status: u16,
}

/// Fixups that are put into the crate's form at a time, on the stack.
const CHUNK: usize = 128;

impl a64r_fixup {
    fn get(&self) -> Result<Fixup, Refused> {
        let offset = u32::try_from(self.offset).map_err(|_| Refused::Invalid("offset", self.offset))?;
        Ok(Fixup::new(offset, relocation(self.reloc)?, value(self.bits, self.takes.into())?))
    }
}

/// What a batch came to.
#[derive(Default)]
struct Tally {
    refused: usize,
    first: Option<Refused>,
}

impl Tally {
    /// Records what became of `fixup`.
    fn add(&mut self, fixup: &mut a64r_fixup, result: Result<(), Refused>) {
        fixup.status = result.as_ref().err().map_or(a64r_status::Ok, Refused::status) as u16;
        if let Err(refused) = result {
            self.refused += 1;
            self.first.get_or_insert(refused);
        }
    }

    fn answer(self, refused: Option<&mut MaybeUninit<usize>>) -> Result<(), Refused> {
        if let Some(out) = refused {
            out.write(self.refused);
        }
        self.first.map_or(Ok(()), Err)
    }
}

/// Has `all` see to `fixups`, a chunk at a time; it says whether it refused none.
fn batch(
    mut section: Section<'_>,
    fixups: &mut [a64r_fixup],
    all: impl Fn(&mut Section<'_>, &[Fixup]) -> bool,
) -> Tally {
    let mut tally = Tally::default();
    let mut ready = [Fixup::new(0, Reloc::NONE, Addr::new(0)); CHUNK];
    for chunk in fixups.chunks_mut(CHUNK) {
        let known = chunk.iter().filter_map(|fixup| fixup.get().ok());
        let count = ready.iter_mut().zip(known).map(|(ready, fixup)| *ready = fixup).count();
        let done = all(&mut section, &ready[..count]) && count == chunk.len();
        for fixup in chunk {
            // What was refused is found again.
            let again = |f: Fixup| Ok(section.check(f.offset(), f.reloc(), f.value())?);
            let result = if done { Ok(()) } else { fixup.get().and_then(again) };
            tally.add(fixup, result);
        }
    }
    tally
}

/// Applies `count` fixups in order. Those that are refused keep their bytes, all others are patched; each fixup's `status`
/// says which. The answer and `text` are those of the first that was refused, and `refused`, which may be null, is set to how
/// many were. Offsets are below 4 GiB. Where places of refused fixups overlap with others, they are judged by what stands
/// there in the end.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_patch_all(
    section: Option<&a64r_section>,
    fixups: *mut a64r_fixup,
    count: usize,
    refused: Option<&mut MaybeUninit<usize>>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || {
        // SAFETY: the caller says that there are `count` fixups, its own.
        let fixups = unsafe { elements_mut(fixups, count, "fixups") }?;
        batch(open(section)?, fixups, |section, fixups| section.patch_all(fixups).is_ok()).answer(refused)
    })
}

/// Answers what `a64r_patch_all` would, and writes nothing but each fixup's `status`.
#[unsafe(no_mangle)]
pub extern "C" fn a64r_check_all(
    section: Option<&a64r_section>,
    fixups: *mut a64r_fixup,
    count: usize,
    refused: Option<&mut MaybeUninit<usize>>,
    text: Option<&mut a64r_text>,
) -> a64r_status {
    answer(text, || {
        // SAFETY: as in `a64r_patch_all`.
        let fixups = unsafe { elements_mut(fixups, count, "fixups") }?;
        batch(open(section)?, fixups, |section, fixups| section.check_all(fixups).is_ok()).answer(refused)
    })
}
