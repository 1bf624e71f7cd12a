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
    fn read(words: &[Word; WORDS], order: AnyEndian) -> Self;
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
        self.words.get(index).map(|words| R::read(words, self.order))
    }

    #[inline(always)]
    pub(super) fn iter(&self) -> impl Iterator<Item = R> {
        self.words.iter().map(|words| R::read(words, self.order))
    }
}

impl Record<8> for SectionHeader {
    #[inline]
    fn read(&[name, flags, addr, offset, size, link, addralign, entsize]: &[Word; 8], order: AnyEndian) -> Self {
        let [sh_name, sh_type] = halves(name, order);
        let [sh_link, sh_info] = halves(link, order);
        Self {
            sh_name,
            sh_type,
            sh_flags: whole(flags, order),
            sh_addr: whole(addr, order),
            sh_offset: whole(offset, order),
            sh_size: whole(size, order),
            sh_link,
            sh_info,
            sh_addralign: whole(addralign, order),
            sh_entsize: whole(entsize, order),
        }
    }
}

impl Record<3> for Symbol {
    #[inline]
    fn read(&[name, value, size]: &[Word; 3], order: AnyEndian) -> Self {
        let ([st_name, _], [.., st_shndx], [_, _, _, _, st_info, st_other, ..]) =
            (halves(name, order), quarters(name, order), name);
        Self { st_name, st_shndx, st_info, st_other, st_value: whole(value, order), st_size: whole(size, order) }
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
        let &[_, _, kind, _, segments, sections, sizes, counts] = words;
        let ([kind, machine, ..], [.., segment_size]) = (quarters(kind, order), quarters(sizes, order));
        let [segment_count, section_size, section_count, names] = quarters(counts, order);
        let (segments, sections) = (whole(segments, order), whole(sections, order));
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
fn whole(word: Word, order: AnyEndian) -> u64 {
    let whole = u64::from_le_bytes(word);
    if order.is_big() { whole.swap_bytes() } else { whole }
}

#[inline(always)]
fn halves([a, b, c, d, e, f, g, h]: Word, order: AnyEndian) -> [u32; 2] {
    let half = |bytes| {
        let half = u32::from_le_bytes(bytes);
        if order.is_big() { half.swap_bytes() } else { half }
    };
    [half([a, b, c, d]), half([e, f, g, h])]
}

#[inline(always)]
fn quarters([a, b, c, d, e, f, g, h]: Word, order: AnyEndian) -> [u16; 4] {
    let quarter = |bytes| {
        let quarter = u16::from_le_bytes(bytes);
        if order.is_big() { quarter.swap_bytes() } else { quarter }
    };
    [quarter([a, b]), quarter([c, d]), quarter([e, f]), quarter([g, h])]
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
    use std::vec::Vec;

    const OBJECT: &[u8] = include_bytes!("../../examples/link/hello.o");

    fn are_read_alike<R: Record<WORDS> + ParseAt + core::fmt::Debug, const WORDS: usize>(bytes: &[u8]) -> bool {
        [AnyEndian::Little, AnyEndian::Big].into_iter().all(|order| {
            let (ours, theirs) =
                (Records::<R, WORDS>::new(bytes, order), ParsingTable::<_, R>::new(order, Class::ELF64, bytes));
            let all: Vec<_> = ours.iter().map(|record| format!("{record:?}")).collect();
            all.len() == ours.len()
                && all.len() == theirs.len()
                && (0..=all.len()).all(|index| {
                    let ours = ours.get(index).map(|record| format!("{record:?}"));
                    ours == all.get(index).cloned()
                        && ours == theirs.get(index).ok().map(|record| format!("{record:?}"))
                })
        })
    }

    #[test]
    fn records_are_read_as_crate_elf_reads_them() {
        quickcheck::quickcheck(
            (|bytes: Vec<u8>| are_read_alike::<SectionHeader, 8>(&bytes) && are_read_alike::<Symbol, 3>(&bytes))
                as fn(_) -> _,
        );
        assert!(are_read_alike::<SectionHeader, 8>(OBJECT) && are_read_alike::<Symbol, 3>(OBJECT));
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
