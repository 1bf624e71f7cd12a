//! What relocatable objects and linked images have in common: the header of an ELF64 file, its sections and its symbols (gABI).

use super::records::{Head, Headers, Records, Symbols};
use super::strings::Strings;
use crate::link::{FULL, ObjectError, Omitted, Part, Problem};
use crate::patch::Endian;
use core::ops::Range;
use elf::abi;
use elf::endian::{AnyEndian, EndianParse};
use elf::section::SectionHeader;

/// The sections and symbols of an ELF64 file for AArch64, in either byte order. Nothing is copied; every access is checked.
#[derive(Debug)]
pub(super) struct File<'data> {
    bytes: &'data [u8],
    /// The byte order of headers, tables and data.
    pub(super) order: AnyEndian,
    pub(super) sections: Headers<'data>,
    pub(super) section_names: Strings<'data>,
    /// The index of the table of symbols, where there is one.
    pub(super) symtab: Option<usize>,
    pub(super) symbols: Symbols<'data>,
    pub(super) symbol_names: Strings<'data>,
}

impl<'data> File<'data> {
    /// Reads the headers of `bytes`; `check_type` says what is wrong with a type of file.
    pub(super) fn parse(bytes: &'data [u8], check_type: fn(u16) -> Result<(), Problem>) -> Result<Self, ObjectError> {
        check_ident(bytes)?;
        let malformed = Part::File.error(Problem::malformed("file header"));
        let Head { order, kind, machine, names, sections } = Head::read(bytes).ok_or(malformed)?;
        if machine != abi::EM_AARCH64 {
            return Err(Part::File.error(Problem::Unknown("machine", machine.into())));
        }
        check_type(kind).map_err(|problem| Part::File.error(problem))?;
        let symbols = Records::new(&[], order);
        let (section_names, symbol_names) = (Strings::default(), Strings::default());
        let mut file = Self { bytes, order, sections, section_names, symtab: None, symbols, symbol_names };
        file.check_overlap()?;
        file.section_names = match names {
            abi::SHN_UNDEF => Strings::default(),
            abi::SHN_XINDEX if FULL => file.strings(file.header(0)?.sh_link)?,
            index => file.strings(index.into())?,
        };
        let is_symbols = |header: SectionHeader| header.sh_type == abi::SHT_SYMTAB;
        if let Some(index) = file.sections.iter().position(is_symbols) {
            file.symtab = Some(index);
            (file.symbols, file.symbol_names) = file.symbol_table(index)?;
        }
        Ok(file)
    }

    /// "No byte in a file resides in more than one section" (gABI, "Sections"): else a small file could hold any number of
    /// relocations.
    fn check_overlap(&self) -> Result<(), ObjectError> {
        let in_file = |header: &SectionHeader| !matches!(header.sh_type, abi::SHT_NULL | abi::SHT_NOBITS);
        let contents = self.sections.iter().filter(in_file).filter_map(|header| self.content(&header).ok());
        match contents.fold(0, |sum: usize, content| sum.saturating_add(content.len())) <= self.bytes.len() {
            true => Ok(()),
            false => Err(Part::File.error(Problem::malformed("the sections overlap"))),
        }
    }

    /// The string table that is section `index`.
    pub(super) fn strings(&self, index: u32) -> Result<Strings<'data>, ObjectError> {
        let header = self.header(index as usize)?;
        self.content(&header).map(Strings::new).map_err(|problem| Part::Section(index as usize).error(problem))
    }

    #[inline]
    pub(super) fn header(&self, index: usize) -> Result<SectionHeader, ObjectError> {
        self.sections.get(index).ok_or(Part::Section(index).error(Problem::Index))
    }

    /// The bytes that the file holds of a section.
    #[cfg_attr(feature = "fast", inline)]
    #[cfg_attr(not(feature = "fast"), inline(never))]
    pub(super) fn content(&self, header: &SectionHeader) -> Result<&'data [u8], Problem> {
        let outside = Problem::malformed("the section lies outside the file");
        let start = usize::try_from(header.sh_offset).map_err(|_| outside)?;
        let size = usize::try_from(header.sh_size).map_err(|_| outside)?;
        let end = start.checked_add(size).ok_or(outside)?;
        self.bytes.get(start..end).ok_or(outside)
    }

    /// The byte order of data; instructions are little-endian.
    pub(super) fn endian(&self) -> Endian {
        if FULL && self.order.is_big() { Endian::Big } else { Endian::Little }
    }

    /// The word at index `index` of `words`.
    pub(super) fn word(&self, words: &[u8], index: usize) -> Option<u32> {
        self.order.parse_u32_at(&mut index.checked_mul(4)?, words).ok()
    }

    /// The bytes of a section that is a table of symbols or relocations.
    pub(super) fn entries(&self, header: &SectionHeader) -> Result<&'data [u8], Problem> {
        let (size, other_size) = match header.sh_type {
            abi::SHT_REL if FULL => (REL_SIZE, "the size of an entry is not 16"),
            _ => (ENTRY_SIZE, "the size of an entry is not 24"),
        };
        if header.sh_entsize != size {
            return Err(Problem::malformed(other_size));
        }
        if !header.sh_size.is_multiple_of(size) {
            return Err(Problem::malformed("the table ends within an entry"));
        }
        self.content(header)
    }

    /// The table of symbols that is section `index`, and their names.
    pub(super) fn symbol_table(&self, index: usize) -> Result<(Symbols<'data>, Strings<'data>), ObjectError> {
        let header = self.header(index)?;
        let entries = self.entries(&header).map_err(|problem| Part::Section(index).error(problem))?;
        Ok((Records::new(entries, self.order), self.strings(header.sh_link)?))
    }
}

/// Where the header has the number of sections (gABI, `e_shnum`).
const SECTION_COUNT: Range<usize> = 60..62;

/// Bytes of an `Elf64_Sym`, and of an `Elf64_Rela`.
pub(super) const ENTRY_SIZE: u64 = 24;
/// Bytes of an `Elf64_Rel`.
pub(super) const REL_SIZE: u64 = 16;
/// Relocations in compressed form; not in crate `elf` yet.
pub(super) const SHT_CREL: u32 = 0x4000_0014;

fn check_ident(bytes: &[u8]) -> Result<(), ObjectError> {
    // Without the texts, what it is instead of an ELF file makes no difference.
    let problem = if FULL && (bytes.starts_with(b"!<arch>\n") || bytes.starts_with(b"!<thin>\n")) {
        Problem::unsupported("an archive")
    } else if FULL && bytes.starts_with(b"BC\xc0\xde") {
        Problem::unsupported("LLVM bitcode, not machine code")
    } else if !bytes.starts_with(&abi::ELFMAGIC) {
        Problem::malformed("not an ELF file")
    } else if FULL && bytes.get(abi::EI_CLASS) == Some(&abi::ELFCLASS32) {
        Problem::unsupported("a 32-bit object (ELF32)")
    } else if !FULL && bytes.get(abi::EI_DATA) == Some(&abi::ELFDATA2MSB) {
        Omitted::BigEndian.into()
    } else if !FULL && bytes.get(SECTION_COUNT) == Some(&[0, 0]) {
        Omitted::ManySections.into()
    } else {
        return Ok(());
    };
    Err(Part::File.error(problem))
}
