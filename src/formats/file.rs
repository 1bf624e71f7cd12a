//! What relocatable objects and linked images have in common: the header of an ELF64 file, its sections and its symbols (gABI).

use super::strings::Strings;
use crate::link::{ObjectError, Origin, Part, Problem, Relocation};
use crate::reloc::Reloc;
use elf::abi;
use elf::endian::LittleEndian;
use elf::parse::ParsingTable;
use elf::relocation::Rela;
use elf::section::{SectionHeader, SectionHeaderTable};
use elf::symbol::SymbolTable;
use elf::{ElfBytes, file::Class};

/// The sections and symbols of an ELF64 little-endian file for AArch64. Nothing is copied; every access is checked.
#[derive(Debug)]
pub(super) struct File<'data> {
    bytes: &'data [u8],
    pub(super) sections: SectionHeaderTable<'data, LittleEndian>,
    pub(super) section_names: Strings<'data>,
    /// The index of the table of symbols, where there is one.
    pub(super) symtab: Option<usize>,
    pub(super) symbols: SymbolTable<'data, LittleEndian>,
    pub(super) symbol_names: Strings<'data>,
}

impl<'data> File<'data> {
    /// Reads the headers of `bytes`; `check_type` says what is wrong with a type of file.
    pub(super) fn parse(bytes: &'data [u8], check_type: fn(u16) -> Result<(), Problem>) -> Result<Self, ObjectError> {
        check_ident(bytes)?;
        let malformed = |what| move |_| Part::File.error(Problem::Malformed(what));
        let elf = ElfBytes::<LittleEndian>::minimal_parse(bytes).map_err(malformed("file header"))?;
        let header = &elf.ehdr;
        if header.e_machine != abi::EM_AARCH64 {
            return Err(Part::File.error(Problem::Unknown("machine", header.e_machine.into())));
        }
        check_type(header.e_type).map_err(|problem| Part::File.error(problem))?;
        let sections = elf.section_headers().unwrap_or(ParsingTable::new(LittleEndian, Class::ELF64, &[]));
        let symbols = ParsingTable::new(LittleEndian, Class::ELF64, &[]);
        let (section_names, symbol_names) = (Strings::default(), Strings::default());
        let mut file = Self { bytes, sections, section_names, symtab: None, symbols, symbol_names };
        file.check_overlap()?;
        file.section_names = match header.e_shstrndx {
            abi::SHN_UNDEF => Strings::default(),
            abi::SHN_XINDEX => file.strings(file.header(0)?.sh_link)?,
            index => file.strings(index.into())?,
        };
        let is_symbols = |header: SectionHeader| header.sh_type == abi::SHT_SYMTAB;
        if let Some(index) = sections.iter().position(is_symbols) {
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
            false => Err(Part::File.error(Problem::Malformed("the sections overlap"))),
        }
    }

    /// The string table that is section `index`.
    pub(super) fn strings(&self, index: u32) -> Result<Strings<'data>, ObjectError> {
        let header = self.header(index as usize)?;
        self.content(&header).map(Strings).map_err(|problem| Part::Section(index as usize).error(problem))
    }

    pub(super) fn header(&self, index: usize) -> Result<SectionHeader, ObjectError> {
        self.sections.get(index).map_err(|_| Part::Section(index).error(Problem::Index))
    }

    /// The bytes that the file holds of a section.
    pub(super) fn content(&self, header: &SectionHeader) -> Result<&'data [u8], Problem> {
        let outside = Problem::Malformed("the section lies outside the file");
        let start = usize::try_from(header.sh_offset).map_err(|_| outside)?;
        let size = usize::try_from(header.sh_size).map_err(|_| outside)?;
        let end = start.checked_add(size).ok_or(outside)?;
        self.bytes.get(start..end).ok_or(outside)
    }

    /// The bytes of a section that is a table of symbols or relocations.
    pub(super) fn entries(&self, header: &SectionHeader) -> Result<&'data [u8], Problem> {
        if header.sh_entsize != ENTRY_SIZE {
            return Err(Problem::Malformed("the size of an entry is not 24"));
        }
        if !header.sh_size.is_multiple_of(ENTRY_SIZE) {
            return Err(Problem::Malformed("the table ends within an entry"));
        }
        self.content(header)
    }

    /// The table of symbols that is section `index`, and their names.
    pub(super) fn symbol_table(
        &self,
        index: usize,
    ) -> Result<(SymbolTable<'data, LittleEndian>, Strings<'data>), ObjectError> {
        let header = self.header(index)?;
        let entries = self.entries(&header).map_err(|problem| Part::Section(index).error(problem))?;
        Ok((ParsingTable::new(LittleEndian, Class::ELF64, entries), self.strings(header.sh_link)?))
    }

    /// The same as [`relocation`](Self::relocation), of whatever kind.
    pub(super) fn entry(&self, section: usize, index: usize) -> Result<Rela, ObjectError> {
        let refuse = |problem| Part::Relocation(section, index).error(problem);
        let bytes = self.content(&self.header(section)?).map_err(refuse)?;
        let table = ParsingTable::<_, Rela>::new(LittleEndian, Class::ELF64, bytes);
        table.get(index).map_err(|_| refuse(Problem::Index))
    }

    /// Entry `index` of the table of relocations that is section `section`.
    pub(super) fn relocation(&self, section: usize, index: usize) -> Result<Relocation, ObjectError> {
        let refuse = |problem| Part::Relocation(section, index).error(problem);
        let entry = self.entry(section, index)?;
        let unknown = refuse(Problem::Unknown("relocation type", entry.r_type));
        Ok(Relocation {
            offset: entry.r_offset,
            reloc: Reloc::from_elf(entry.r_type).ok_or(unknown)?,
            symbol: entry.r_sym as usize,
            addend: entry.r_addend,
            origin: Origin::Zero,
        })
    }
}

/// Bytes of an `Elf64_Sym`, and of an `Elf64_Rela`.
pub(super) const ENTRY_SIZE: u64 = 24;

fn check_ident(bytes: &[u8]) -> Result<(), ObjectError> {
    let problem = if bytes.starts_with(b"!<arch>\n") || bytes.starts_with(b"!<thin>\n") {
        Problem::Unsupported("an archive")
    } else if bytes.starts_with(b"BC\xc0\xde") {
        Problem::Unsupported("LLVM bitcode, not machine code")
    } else if !bytes.starts_with(&abi::ELFMAGIC) {
        Problem::Malformed("not an ELF file")
    } else if bytes.get(abi::EI_CLASS) == Some(&abi::ELFCLASS32) {
        Problem::Unsupported("a 32-bit object (ELF32)")
    } else if bytes.get(abi::EI_DATA) == Some(&abi::ELFDATA2MSB) {
        Problem::Unsupported("a big-endian object")
    } else {
        return Ok(());
    };
    Err(Part::File.error(problem))
}
