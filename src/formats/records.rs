//! The records of an ELF64 file (gABI, "ELF Header", "Section Header", "Symbol Table"), in either byte order. Each is a run of
//! words of eight bytes, whole or in parts.

use core::marker::PhantomData;
use elf::abi;
use elf::endian::{AnyEndian, EndianParse};
use elf::section::SectionHeader;
use elf::symbol::Symbol;

/// Eight bytes, as the file has them.
type Word = [u8; 8];

/// What is read of so many words.
pub(super) trait Record<const WORDS: usize>: Sized {
    fn read<const BIG: bool>(words: &[Word; WORDS]) -> Self;
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
        self.words.get(index).map(|words| self.read(words))
    }

    #[inline(always)]
    pub(super) fn iter(&self) -> impl Iterator<Item = R> {
        self.words.iter().map(|words| self.read(words))
    }

    #[inline(always)]
    fn read(&self, words: &[Word; WORDS]) -> R {
        // The order is asked for once, not of each field.
        if self.order.is_big() { R::read::<true>(words) } else { R::read::<false>(words) }
    }
}

impl Record<8> for SectionHeader {
    #[inline(always)]
    fn read<const BIG: bool>(&[name, flags, addr, offset, size, link, addralign, entsize]: &[Word; 8]) -> Self {
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

impl Record<3> for Symbol {
    #[inline(always)]
    fn read<const BIG: bool>(&[name, value, size]: &[Word; 3]) -> Self {
        let ([st_name, _], [.., st_shndx], [_, _, _, _, st_info, st_other, ..]) =
            (halves::<BIG>(name), quarters::<BIG>(name), name);
        Self { st_name, st_shndx, st_info, st_other, st_value: whole::<BIG>(value), st_size: whole::<BIG>(size) }
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
        match AnyEndian::from_ei_data(data).ok()? {
            AnyEndian::Big => Self::read_words::<true>(words, bytes),
            AnyEndian::Little => Self::read_words::<false>(words, bytes),
        }
    }

    fn read_words<const BIG: bool>(words: &[Word; 8], bytes: &'data [u8]) -> Option<Self> {
        let order = if BIG { AnyEndian::Big } else { AnyEndian::Little };
        let &[_, _, kind, _, segments, sections, sizes, counts] = words;
        let ([kind, machine, ..], [.., segment_size]) = (quarters::<BIG>(kind), quarters::<BIG>(sizes));
        let [segment_count, section_size, section_count, names] = quarters::<BIG>(counts);
        let (segments, sections) = (whole::<BIG>(segments), whole::<BIG>(sections));
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
            let count = if section_count == 0 { first()?.sh_size } else { section_count.into() };
            headers = table(sections, count, section_size, 64)?;
        }
        if segments != 0 {
            let is_too_many = segment_count == abi::PN_XNUM;
            let count = if is_too_many { first()?.sh_info.into() } else { segment_count.into() };
            table(segments, count, segment_size, 56)?;
        }
        Some(Self { order, kind, machine, names, sections: Records::new(headers, order) })
    }
}

#[inline(always)]
fn whole<const BIG: bool>(word: Word) -> u64 {
    if BIG { u64::from_be_bytes(word) } else { u64::from_le_bytes(word) }
}

#[inline(always)]
fn halves<const BIG: bool>([a, b, c, d, e, f, g, h]: Word) -> [u32; 2] {
    [[a, b, c, d], [e, f, g, h]].map(|half| if BIG { u32::from_be_bytes(half) } else { u32::from_le_bytes(half) })
}

#[inline(always)]
fn quarters<const BIG: bool>([a, b, c, d, e, f, g, h]: Word) -> [u16; 4] {
    let quarters = [[a, b], [c, d], [e, f], [g, h]];
    quarters.map(|quarter| if BIG { u16::from_be_bytes(quarter) } else { u16::from_le_bytes(quarter) })
}
