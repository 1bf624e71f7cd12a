//! The records of an ELF64 file (gABI, "ELF Header", "Section Header", "Symbol Table"), in either byte order. Each is a run of
//! words of eight bytes, whole or in parts.

use crate::link::FULL;
use core::marker::PhantomData;
use elf::abi;
use elf::endian::{AnyEndian, EndianParse};
use elf::relocation::Rela;
use elf::section::SectionHeader;

/// Eight bytes, as the file has them.
type Word = [u8; 8];

/// What is read of so many words.
pub(super) trait Record<const WORDS: usize>: Sized {
    fn read<const BIG: bool>(words: &[Word; WORDS]) -> Self;

    /// The same in a byte order that is asked for once.
    #[inline(always)]
    fn read_in(words: &[Word; WORDS], order: AnyEndian) -> Self {
        if is_big(order) { Self::read::<true>(words) } else { Self::read::<false>(words) }
    }
}

/// A table of records.
#[derive(Debug)]
pub(super) struct Records<'data, R, const WORDS: usize> {
    words: &'data [[Word; WORDS]],
    order: AnyEndian,
    of: PhantomData<R>,
}

/// The headers of sections.
pub(super) type Headers<'data> = Records<'data, SectionHeader, 8>;
/// Symbols.
pub(super) type Symbols<'data> = Records<'data, Symbol, 3>;

impl<'data, R: Record<WORDS>, const WORDS: usize> Records<'data, R, WORDS> {
    /// The whole records in `bytes`.
    pub(super) fn new(bytes: &'data [u8], order: AnyEndian) -> Self {
        Self { words: bytes.as_chunks().0.as_chunks().0, order, of: PhantomData }
    }

    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    #[inline(always)]
    pub(super) fn get(&self, index: usize) -> Option<R> {
        self.words.get(index).map(|words| R::read_in(words, self.order))
    }

    #[inline(always)]
    pub(super) fn iter(&self) -> impl Iterator<Item = R> {
        self.words.iter().map(|words| R::read_in(words, self.order))
    }
}

impl Record<8> for SectionHeader {
    #[inline]
    fn read<const BIG: bool>([name, flags, addr, offset, size, link, addralign, entsize]: &[Word; 8]) -> Self {
        let [sh_name, sh_type] = halves::<BIG>(name);
        let [sh_link, sh_info] = halves::<BIG>(link);
        Self {
            sh_name,
            sh_type,
            sh_flags: whole::<BIG>(flags),
            sh_addr: whole::<BIG>(addr),
            sh_offset: whole::<BIG>(offset),
            sh_size: whole::<BIG>(size),
            sh_link,
            sh_info,
            sh_addralign: whole::<BIG>(addralign),
            sh_entsize: whole::<BIG>(entsize),
        }
    }
}

/// A symbol. Its first word is kept whole, for a processor waits for parts that went through memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbol {
    /// `st_name`, `st_info`, `st_other` and `st_shndx`, from the lowest bit on.
    head: u64,
    pub(super) st_value: u64,
    pub(super) st_size: u64,
}

impl Symbol {
    pub(super) const fn st_name(&self) -> u32 {
        self.head as u32
    }

    pub(super) const fn st_symtype(&self) -> u8 {
        (self.head >> 32) as u8 & 0xf
    }

    pub(super) const fn st_bind(&self) -> u8 {
        (self.head >> 36) as u8 & 0xf
    }

    pub(super) const fn st_vis(&self) -> u8 {
        (self.head >> 40) as u8 & 3
    }

    pub(super) const fn st_shndx(&self) -> u16 {
        (self.head >> 48) as u16
    }
}

impl Record<3> for Symbol {
    #[inline]
    fn read<const BIG: bool>([head, value, size]: &[Word; 3]) -> Self {
        let ([name, _], [_, _, info, shndx]) = (halves::<BIG>(head), quarters::<BIG>(head));
        let info = if BIG { info.swap_bytes() } else { info };
        let head = u64::from(name) | u64::from(info) << 32 | u64::from(shndx) << 48;
        Self { head, st_value: whole::<BIG>(value), st_size: whole::<BIG>(size) }
    }
}

impl Record<3> for Rela {
    #[inline]
    fn read<const BIG: bool>([offset, info, addend]: &[Word; 3]) -> Self {
        let info = whole::<BIG>(info);
        Self {
            r_offset: whole::<BIG>(offset),
            r_sym: (info >> 32) as u32,
            r_type: info as u32,
            r_addend: whole::<BIG>(addend).cast_signed(),
        }
    }
}

/// The header of a file.
struct FileHeader {
    kind: u16,
    machine: u16,
    /// Where the headers of segments and of sections begin.
    segments: u64,
    sections: u64,
    /// The bytes of a segment's header.
    segment_size: u16,
    /// How many these are; the bytes of a section's header, how many these are, and which section holds their names.
    counts: [u16; 4],
}

impl Record<8> for FileHeader {
    fn read<const BIG: bool>([_, _, kind, _, segments, sections, sizes, counts]: &[Word; 8]) -> Self {
        let ([kind, machine, ..], [.., segment_size]) = (quarters::<BIG>(kind), quarters::<BIG>(sizes));
        let (segments, sections) = (whole::<BIG>(segments), whole::<BIG>(sections));
        Self { kind, machine, segments, sections, segment_size, counts: quarters::<BIG>(counts) }
    }
}

/// What the header of a file says, as far as it is asked for.
#[derive(Debug)]
pub(super) struct Head<'data> {
    pub(super) order: AnyEndian,
    pub(super) kind: u16,
    pub(super) machine: u16,
    /// The section that holds the names of sections.
    pub(super) names: u16,
    pub(super) sections: Headers<'data>,
}

impl<'data> Head<'data> {
    /// That of the file `bytes`; `None` where it is malformed, or says that there is more than the file has.
    pub(super) fn read(bytes: &'data [u8]) -> Option<Self> {
        let words: &[Word; 8] = bytes.as_chunks().0.first_chunk()?;
        let &[[m, e, l, f, class, data, version, _], ..] = words;
        if [m, e, l, f] != abi::ELFMAGIC || class != abi::ELFCLASS64 || version != abi::EV_CURRENT {
            return None;
        }
        let order = AnyEndian::from_ei_data(data).ok()?;
        let FileHeader { kind, machine, segments, sections, segment_size, counts } = Record::read_in(words, order);
        let [segment_count, section_size, section_count, names] = counts;
        let from = |offset: u64| bytes.get(usize::try_from(offset).ok()?..);
        // `count` of `expected` bytes each.
        let table = |offset, count: u64, size: u16, expected: u16| {
            let len = usize::try_from(count).ok()?.checked_mul(size.into())?;
            from(offset)?.get(..len).filter(|_| size == expected)
        };
        // What is too much for its field stands in the first section's header.
        let first = || from(sections).and_then(|bytes| Headers::new(bytes, order).get(0));
        let mut headers: &[u8] = &[];
        if sections != 0 {
            let count = if FULL && section_count == 0 { first()?.sh_size } else { section_count.into() };
            headers = table(sections, count, section_size, 64)?;
        }
        if FULL && segments != 0 {
            let is_too_many = segment_count == abi::PN_XNUM;
            let count = if is_too_many { first()?.sh_info.into() } else { segment_count.into() };
            table(segments, count, segment_size, 56)?;
        }
        Some(Self { order, kind, machine, names, sections: Records::new(headers, order) })
    }
}

/// The number in a word of a file that is little-endian. Where a machine loads only what is aligned, that takes eight loads: they
/// are everywhere, or a loop in one place, by what counts.
#[cfg_attr(feature = "fast", inline(always))]
#[cfg_attr(not(feature = "fast"), inline(never))]
pub(super) fn load(word: &Word) -> u64 {
    if cfg!(feature = "fast") {
        u64::from_le_bytes(*word)
    } else {
        word.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
    }
}

#[inline(always)]
fn is_big(order: AnyEndian) -> bool {
    FULL && order.is_big()
}

#[inline(always)]
fn whole<const BIG: bool>(word: &Word) -> u64 {
    if BIG { load(word).swap_bytes() } else { load(word) }
}

#[inline(always)]
fn halves<const BIG: bool>(word: &Word) -> [u32; 2] {
    let whole = load(word);
    [whole as u32, (whole >> 32) as u32].map(|half| if BIG { half.swap_bytes() } else { half })
}

#[inline(always)]
fn quarters<const BIG: bool>(word: &Word) -> [u16; 4] {
    let whole = load(word);
    [0, 16, 32, 48].map(|shift| {
        let quarter = (whole >> shift) as u16;
        if BIG { quarter.swap_bytes() } else { quarter }
    })
}

/// Crate `elf` reads the same, field by field.
#[cfg(test)]
mod tests {
    use super::*;
    use elf::ElfBytes;
    use elf::file::Class;
    use elf::parse::{ParseAt, ParsingTable};
    extern crate std;
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    const OBJECT: &[u8] = include_bytes!("../../examples/link/hello.o");

    /// Whether crate `elf` reads the records `T` in `bytes` as they are read here: `ours` and `theirs` tell what is in one.
    fn are_read_alike<R: Record<WORDS>, T: ParseAt, const WORDS: usize>(
        bytes: &[u8],
        ours: fn(R) -> String,
        theirs: fn(T) -> String,
    ) -> bool {
        let mut orders = [AnyEndian::Little, AnyEndian::Big].into_iter().filter(|order| FULL || order.is_little());
        orders.all(|order| {
            let own = Records::<R, WORDS>::new(bytes, order);
            let other = ParsingTable::<_, T>::new(order, Class::ELF64, bytes);
            let all: Vec<_> = own.iter().map(ours).collect();
            all.len() == own.len()
                && all.len() == other.len()
                && (0..=all.len()).all(|index| {
                    let one = own.get(index).map(ours);
                    one == all.get(index).cloned() && one == other.get(index).ok().map(theirs)
                })
        })
    }

    fn headers_are_read_alike(bytes: &[u8]) -> bool {
        let say = |header: SectionHeader| format!("{header:?}");
        are_read_alike::<_, _, 8>(bytes, say, say)
    }

    fn symbols_are_read_alike(bytes: &[u8]) -> bool {
        let own = |symbol: Symbol| {
            let of_name = (symbol.st_name(), symbol.st_bind(), symbol.st_symtype(), symbol.st_vis(), symbol.st_shndx());
            format!("{of_name:?} {} {}", symbol.st_value, symbol.st_size)
        };
        let other = |symbol: elf::symbol::Symbol| {
            let of_name = (symbol.st_name, symbol.st_bind(), symbol.st_symtype(), symbol.st_vis(), symbol.st_shndx);
            format!("{of_name:?} {} {}", symbol.st_value, symbol.st_size)
        };
        are_read_alike::<_, _, 3>(bytes, own, other)
    }

    #[test]
    fn records_are_read_as_crate_elf_reads_them() {
        let are_read = |bytes: Vec<u8>| headers_are_read_alike(&bytes) && symbols_are_read_alike(&bytes);
        quickcheck::quickcheck(are_read as fn(_) -> _);
        assert!(headers_are_read_alike(OBJECT) && symbols_are_read_alike(OBJECT));
    }

    /// What stands in some byte of the header, and where the file ends.
    #[test]
    fn files_are_refused_as_crate_elf_refuses_them() {
        let mut seen = [0; 2];
        for at in 0..64 {
            for value in 0..=255 {
                for len in [OBJECT.len(), 64, 63] {
                    let mut bytes = OBJECT[..len].to_vec();
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = value;
                    }
                    let theirs = ElfBytes::<AnyEndian>::minimal_parse(&bytes)
                        .ok()
                        .filter(|file| file.ehdr.class == Class::ELF64);
                    // Big-endian files were refused before; of where segments are described nothing is wanted.
                    let has_segments = bytes.get(32..40) != Some(&[0; 8]);
                    if !FULL && (has_segments || bytes.get(abi::EI_DATA) == Some(&abi::ELFDATA2MSB)) {
                        continue;
                    }
                    let ours = Head::read(&bytes);
                    assert_eq!(ours.is_some(), theirs.is_some(), "{value:#x} at {at} of {len}");
                    seen[usize::from(ours.is_some())] += 1;
                    if let (Some(ours), Some(theirs)) = (ours, theirs) {
                        let header = theirs.ehdr;
                        assert_eq!(
                            (ours.kind, ours.machine, ours.names),
                            (header.e_type, header.e_machine, header.e_shstrndx)
                        );
                        assert_eq!(ours.order, header.endianness);
                        assert_eq!(ours.sections.len(), theirs.section_headers().map_or(0, |headers| headers.len()));
                    }
                }
            }
        }
        assert!(seen.into_iter().all(|seen| seen > 1000), "{seen:?}");
    }
}
