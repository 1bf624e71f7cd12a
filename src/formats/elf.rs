//! ELF64 little-endian relocatable objects (gABI; AAELF64), read in place by crate `elf`.

use super::strings::{Strings, defined_name, wanted_name};
use crate::arena::Prot;
use crate::link::{
    Binding, Content, Definition, Kind, Object, ObjectError, Part, Problem, Relocation, Section, Symbol,
};
use crate::reloc::Reloc;
use elf::abi;
use elf::endian::LittleEndian;
use elf::parse::ParsingTable;
use elf::relocation::Rela;
use elf::section::{SectionHeader, SectionHeaderTable};
use elf::symbol::SymbolTable;
use elf::{ElfBytes, file::Class};

/// A relocatable object in the bytes of its file. Nothing is copied; every access is checked.
///
/// Versions of symbols are ignored, where their names have them (GNU's `.symver`): who wants `foo` or `foo@V2` gets the
/// definition of `foo` or `foo@@V2`. A definition of another version than the default, `foo@V1`, keeps its whole name, and
/// nothing means it. A protected symbol (gABI, `STV_PROTECTED`) is as one of default visibility: it differs only in a shared
/// object.
#[derive(Debug)]
pub struct Elf<'data> {
    bytes: &'data [u8],
    sections: SectionHeaderTable<'data, LittleEndian>,
    section_names: Strings<'data>,
    symbols: SymbolTable<'data, LittleEndian>,
    symbol_names: Strings<'data>,
    /// The sections of symbols that are past what a symbol's own field can say.
    extended: Option<&'data [u8]>,
}

/// Of section groups of one signature, one is kept.
const GRP_COMDAT: u32 = 1;
/// Relocations in compressed form; not in crate `elf` yet.
const SHT_CREL: u32 = 0x4000_0014;

impl<'data> Elf<'data> {
    /// Reads the headers of `bytes`.
    ///
    /// # Errors
    ///
    /// What is not an ELF64 little-endian relocatable object for AArch64 is refused by its name.
    pub fn parse(bytes: &'data [u8]) -> Result<Self, ObjectError> {
        check_ident(bytes)?;
        let malformed = |what| move |_| Part::File.error(Problem::Malformed(what));
        let file = ElfBytes::<LittleEndian>::minimal_parse(bytes).map_err(malformed("file header"))?;
        let header = &file.ehdr;
        if header.e_machine != abi::EM_AARCH64 {
            return Err(Part::File.error(Problem::Unknown("machine", header.e_machine.into())));
        }
        if header.e_type != abi::ET_REL {
            let problem = match header.e_type {
                abi::ET_EXEC => Problem::Unsupported("an executable, not a relocatable object"),
                abi::ET_DYN => Problem::Unsupported("a shared object, not a relocatable object"),
                other => Problem::Unknown("file type", other.into()),
            };
            return Err(Part::File.error(problem));
        }
        let sections = file.section_headers().unwrap_or(ParsingTable::new(LittleEndian, Class::ELF64, &[]));
        let symbols = ParsingTable::new(LittleEndian, Class::ELF64, &[]);
        let (section_names, symbol_names) = (Strings::default(), Strings::default());
        let mut object = Self { bytes, sections, section_names, symbols, symbol_names, extended: None };
        object.check_overlap()?;
        object.section_names = match header.e_shstrndx {
            abi::SHN_UNDEF => Strings::default(),
            abi::SHN_XINDEX => object.strings(object.header(0)?.sh_link)?,
            index => object.strings(index.into())?,
        };
        let is_symbols = |header: &SectionHeader| header.sh_type == abi::SHT_SYMTAB;
        if let Some((index, header)) = sections.iter().enumerate().find(|(_, header)| is_symbols(header)) {
            let entries = object.entries(&header).map_err(|problem| Part::Section(index).error(problem))?;
            object.symbols = ParsingTable::new(LittleEndian, Class::ELF64, entries);
            object.symbol_names = object.strings(header.sh_link)?;
            // gABI, "SHT_SYMTAB_SHNDX": it says whose extension it is.
            let is_extended = |header: &SectionHeader| {
                header.sh_type == abi::SHT_SYMTAB_SHNDX && usize::try_from(header.sh_link) == Ok(index)
            };
            object.extended = sections.iter().find(is_extended).and_then(|header| object.content(&header).ok());
        }
        Ok(object)
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
    fn strings(&self, index: u32) -> Result<Strings<'data>, ObjectError> {
        let header = self.header(index as usize)?;
        self.content(&header).map(Strings).map_err(|problem| Part::Section(index as usize).error(problem))
    }

    fn header(&self, index: usize) -> Result<SectionHeader, ObjectError> {
        self.sections.get(index).map_err(|_| Part::Section(index).error(Problem::Index))
    }

    /// The bytes that the file holds of a section.
    fn content(&self, header: &SectionHeader) -> Result<&'data [u8], Problem> {
        let outside = Problem::Malformed("the section lies outside the file");
        let start = usize::try_from(header.sh_offset).map_err(|_| outside)?;
        let size = usize::try_from(header.sh_size).map_err(|_| outside)?;
        let end = start.checked_add(size).ok_or(outside)?;
        self.bytes.get(start..end).ok_or(outside)
    }

    /// The bytes of a section that is a table of symbols or relocations.
    fn entries(&self, header: &SectionHeader) -> Result<&'data [u8], Problem> {
        if header.sh_entsize != ENTRY_SIZE {
            return Err(Problem::Malformed("the size of an entry is not 24"));
        }
        if !header.sh_size.is_multiple_of(ENTRY_SIZE) {
            return Err(Problem::Malformed("the table ends within an entry"));
        }
        self.content(header)
    }

    fn kind(&self, header: &SectionHeader) -> Result<Kind<'data>, Problem> {
        match header.sh_type {
            abi::SHT_RELA => return self.relocations(header),
            abi::SHT_REL => return Err(Problem::Unsupported("relocations without addends (SHT_REL)")),
            SHT_CREL => return Err(Problem::Unsupported("compressed relocations (SHT_CREL)")),
            abi::SHT_GROUP => return self.group(header),
            _ => {}
        }
        let flags = header.sh_flags;
        let has = |flag: u32| flags & u64::from(flag) != 0;
        if !has(abi::SHF_ALLOC) {
            return Ok(Kind::Ignored);
        }
        if has(abi::SHF_TLS) {
            return Err(Problem::Unsupported("thread-local storage (SHF_TLS)"));
        }
        if has(abi::SHF_COMPRESSED) {
            return Err(Problem::Malformed("a loaded section is compressed"));
        }
        let prot = match (has(abi::SHF_WRITE), has(abi::SHF_EXECINSTR)) {
            (false, false) => Prot::Read,
            (true, false) => Prot::ReadWrite,
            (false, true) => Prot::ReadExec,
            (true, true) => return Err(Problem::Unsupported("a section both writable and executable")),
        };
        let align = header.sh_addralign.max(1);
        if !align.is_power_of_two() {
            return Err(Problem::Malformed("the alignment is not a power of two"));
        }
        let content = match header.sh_type {
            abi::SHT_NOBITS => Content::Zeros(header.sh_size),
            _ => Content::Bytes(self.content(header)?),
        };
        Ok(Kind::Loaded { prot, align, content })
    }

    /// A group of sections (gABI, "Section Groups"): its flags, then the indices of its members.
    fn group(&self, header: &SectionHeader) -> Result<Kind<'data>, Problem> {
        let words = self.content(header)?;
        if !words.len().is_multiple_of(4) {
            return Err(Problem::Malformed("a section group ends within a member"));
        }
        let flags = word(words, 0).ok_or(Problem::Malformed("a section group has no flags"))?;
        if flags & GRP_COMDAT == 0 {
            return Ok(Kind::Ignored);
        }
        let no_signature = Problem::Malformed("the signature of a section group is not in the symbol table");
        let signature = self.symbols.get(header.sh_info as usize).map_err(|_| no_signature)?;
        let key = match signature.st_symtype() {
            abi::STT_SECTION => {
                let section = self.sections.get(signature.st_shndx.into()).map_err(|_| no_signature)?;
                self.section_names.get(section.sh_name)
            }
            _ => self.symbol_names.get(signature.st_name),
        };
        Ok(Kind::Group { key: key?, count: words.len() / 4 - 1 })
    }

    /// The section that a symbol is in where there are too many for its own field (gABI, "SHN_XINDEX").
    fn extended_section(&self, symbol: usize) -> Option<usize> {
        word(self.extended?, symbol).map(|index| index as usize)
    }

    fn relocations(&self, header: &SectionHeader) -> Result<Kind<'data>, Problem> {
        let bytes = self.entries(header)?;
        let of = header.sh_info as usize;
        if of >= self.sections.len() {
            return Err(Problem::Malformed("the relocations are for a section that is not there"));
        }
        Ok(Kind::Relocations { of, count: bytes.len() / ENTRY_SIZE as usize })
    }
}

/// The little-endian word at index `index`.
fn word(bytes: &[u8], index: usize) -> Option<u32> {
    let bytes = bytes.get(index.checked_mul(4)?..)?;
    bytes.first_chunk().map(|&word| u32::from_le_bytes(word))
}

/// Bytes of an `Elf64_Sym`, and of an `Elf64_Rela`.
const ENTRY_SIZE: u64 = 24;

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

impl<'data> Object<'data> for Elf<'data> {
    fn section_count(&self) -> usize {
        self.sections.len()
    }

    fn section(&self, index: usize) -> Result<Section<'data>, ObjectError> {
        let header = self.header(index)?;
        let refuse = |problem| Part::Section(index).error(problem);
        let name = self.section_names.get(header.sh_name).map_err(refuse)?;
        Ok(Section { name, kind: self.kind(&header).map_err(refuse)? })
    }

    fn symbol_count(&self) -> usize {
        self.symbols.len()
    }

    fn symbol(&self, index: usize) -> Result<Symbol<'data>, ObjectError> {
        let refuse = |problem| Part::Symbol(index).error(problem);
        let symbol = self.symbols.get(index).map_err(|_| refuse(Problem::Index))?;
        let name = self.symbol_names.get(symbol.st_name).map_err(refuse)?;
        let kind = symbol.st_symtype();
        match kind {
            abi::STT_TLS => return Err(refuse(Problem::Unsupported("thread-local storage (STT_TLS)"))),
            abi::STT_GNU_IFUNC => return Err(refuse(Problem::Unsupported("indirect functions (STT_GNU_IFUNC)"))),
            _ => {}
        }
        let missing = refuse(Problem::Malformed("it is in a section that is not there"));
        let definition = match symbol.st_shndx {
            _ if kind == abi::STT_FILE => Definition::File,
            abi::SHN_UNDEF => Definition::Undefined,
            abi::SHN_ABS => Definition::Absolute(symbol.st_value),
            abi::SHN_COMMON if symbol.st_value.is_power_of_two() => Definition::Common { align: symbol.st_value },
            abi::SHN_COMMON => return Err(refuse(Problem::Malformed("the alignment is not a power of two"))),
            shndx => {
                let index = match shndx {
                    abi::SHN_XINDEX => self.extended_section(index).ok_or(missing)?,
                    shndx => shndx.into(),
                };
                if index >= self.sections.len() {
                    return Err(missing);
                }
                Definition::Section { index, offset: symbol.st_value }
            }
        };
        let binding = match symbol.st_bind() {
            abi::STB_LOCAL => Binding::Local,
            // GNU's unique symbols are unique in a process; in a link they are global.
            abi::STB_GLOBAL | abi::STB_GNU_UNIQUE => Binding::Global,
            abi::STB_WEAK => Binding::Weak,
            other => return Err(refuse(Problem::Unknown("symbol binding", other.into()))),
        };
        let name = match (binding, definition) {
            (Binding::Local, _) => name,
            (_, Definition::Undefined) => wanted_name(name),
            _ => defined_name(name),
        };
        Ok(Symbol {
            name,
            definition,
            binding,
            hidden: matches!(symbol.st_vis(), abi::STV_HIDDEN | abi::STV_INTERNAL),
            function: kind == abi::STT_FUNC,
            size: symbol.st_size,
        })
    }

    fn relocation(&self, section: usize, index: usize) -> Result<Relocation, ObjectError> {
        let refuse = |problem| Part::Relocation(section, index).error(problem);
        let header = self.header(section)?;
        let bytes = self.content(&header).map_err(refuse)?;
        let table = ParsingTable::<_, Rela>::new(LittleEndian, Class::ELF64, bytes);
        let entry = table.get(index).map_err(|_| refuse(Problem::Index))?;
        let unknown = refuse(Problem::Unknown("relocation type", entry.r_type));
        Ok(Relocation {
            offset: entry.r_offset,
            reloc: Reloc::from_elf(entry.r_type).ok_or(unknown)?,
            symbol: entry.r_sym as usize,
            addend: entry.r_addend,
        })
    }

    fn member(&self, section: usize, index: usize) -> Result<usize, ObjectError> {
        let refuse = |problem| Part::Section(section).error(problem);
        let words = self.content(&self.header(section)?).map_err(refuse)?;
        // The flags come first.
        let member = index.checked_add(1).and_then(|at| word(words, at)).ok_or(refuse(Problem::Index))? as usize;
        if member >= self.sections.len() {
            return Err(refuse(Problem::Malformed("a member of a section group is not there")));
        }
        Ok(member)
    }
}
