//! ELF64 relocatable objects (gABI; AAELF64) in either byte order, read in place by crate `elf`.

use super::file::{File, SHT_CREL};
use super::records::Symbol as Entry;
use super::strings::{defined_name, has_version, wanted_name};
use crate::arena::Prot;
use crate::link::{
    Alike, Binding, Content, Cursor, Definition, FULL, Kind, Object, ObjectError, Omitted, Part, Problem, Relocation,
    Section, Symbol,
};
use crate::patch::{Endian, QUICK};
use crate::reloc::Reloc;
use core::ops::Range;
use elf::abi;
use elf::section::SectionHeader;

/// A relocatable object in the bytes of its file. Nothing is copied; every access is checked.
///
/// Versions of symbols are ignored, where their names have them (GNU's `.symver`): who wants `foo` or `foo@V2` gets the
/// definition of `foo` or `foo@@V2`. A definition of another version than the default, `foo@V1`, keeps its whole name, and
/// nothing means it. A protected symbol (gABI, `STV_PROTECTED`) is as one of default visibility: it differs only in a shared
/// object.
#[derive(Debug)]
pub struct Elf<'data> {
    file: File<'data>,
    /// The sections of symbols that are past what a symbol's own field can say.
    extended: Option<&'data [u8]>,
    /// Whether any name may have a version.
    has_versions: bool,
}

/// Of section groups of one signature, one is kept.
const GRP_COMDAT: u32 = 1;

impl<'data> Elf<'data> {
    /// Reads the headers of `bytes`.
    ///
    /// # Errors
    ///
    /// What is not an ELF64 relocatable object for AArch64 is refused by its name.
    pub fn parse(bytes: &'data [u8]) -> Result<Self, ObjectError> {
        let file = File::parse(bytes, |kind| match kind {
            abi::ET_REL => Ok(()),
            // Without the texts, which it is makes no difference.
            other if !FULL => Err(Problem::Unknown("file type", other.into())),
            abi::ET_EXEC => Err(Problem::unsupported("an executable, not a relocatable object")),
            abi::ET_DYN => Err(Problem::unsupported("a shared object, not a relocatable object")),
            other => Err(Problem::Unknown("file type", other.into())),
        })?;
        // gABI, "SHT_SYMTAB_SHNDX": it says whose extension it is.
        let is_extended = |header: &SectionHeader| {
            let index = usize::try_from(header.sh_link).ok();
            header.sh_type == abi::SHT_SYMTAB_SHNDX && index.is_some() && index == file.symtab
        };
        let extended = if FULL { file.sections.iter().find(is_extended) } else { None };
        let extended = extended.and_then(|header| file.content(&header).ok());
        // To look through all names is quicker, and no more.
        let has_versions = FULL && (!QUICK || file.symbol_names.has(b'@'));
        Ok(Self { file, extended, has_versions })
    }

    fn kind_of(&self, header: &SectionHeader) -> Result<Kind<'data>, Problem> {
        match header.sh_type {
            abi::SHT_RELA | abi::SHT_REL | SHT_CREL => return self.relocations(header),
            abi::SHT_GROUP => {
                Omitted::Groups.unless_full()?;
                return self.group(header);
            }
            _ => {}
        }
        let flags = header.sh_flags;
        let has = |flag: u32| flags & u64::from(flag) != 0;
        if !has(abi::SHF_ALLOC) {
            return Ok(Kind::Ignored);
        }
        if has(abi::SHF_COMPRESSED) {
            return Err(Problem::malformed("a loaded section is compressed"));
        }
        let prot = match (has(abi::SHF_WRITE), has(abi::SHF_EXECINSTR)) {
            (false, false) => Prot::Read,
            (true, false) => Prot::ReadWrite,
            (false, true) => Prot::ReadExec,
            (true, true) => return Err(Problem::unsupported("a section both writable and executable")),
        };
        let align = header.sh_addralign.max(1);
        if !align.is_power_of_two() {
            return Err(Problem::malformed("the alignment is not a power of two"));
        }
        let content = match header.sh_type {
            abi::SHT_NOBITS => Content::Zeros(header.sh_size),
            _ => Content::Bytes(self.file.content(header)?),
        };
        match has(abi::SHF_TLS) {
            true if prot == Prot::ReadExec => Err(Problem::malformed("thread-local storage is executable")),
            true => Ok(Kind::ThreadLocal { align, content }),
            false => Ok(Kind::Loaded { prot, align, content }),
        }
    }

    /// A group of sections (gABI, "Section Groups"): its flags, then the indices of its members.
    fn group(&self, header: &SectionHeader) -> Result<Kind<'data>, Problem> {
        let words = self.file.content(header)?;
        if !words.len().is_multiple_of(4) {
            return Err(Problem::malformed("a section group ends within a member"));
        }
        let flags = self.file.word(words, 0).ok_or(Problem::malformed("a section group has no flags"))?;
        if flags & GRP_COMDAT == 0 {
            return Ok(Kind::Ignored);
        }
        let no_signature = Problem::malformed("the signature of a section group is not in the symbol table");
        let signature = self.file.symbols.get(header.sh_info as usize).ok_or(no_signature)?;
        let key = match signature.st_symtype() {
            abi::STT_SECTION => {
                let section = self.file.sections.get(signature.st_shndx().into()).ok_or(no_signature)?;
                self.file.section_names.get(section.sh_name)
            }
            _ => self.file.symbol_names.get(signature.st_name()),
        };
        Ok(Kind::Group { key: key?, count: words.len() / 4 - 1, alike: Alike::Key })
    }

    /// The section that a symbol is in where there are too many for its own field (gABI, "SHN_XINDEX").
    fn extended_section(&self, symbol: usize) -> Option<usize> {
        self.file.word(self.extended?, symbol).map(|index| index as usize)
    }

    // A record that goes through memory is waited for.
    #[cfg_attr(feature = "fast", inline(always))]
    fn entry(&self, symbol: usize) -> Result<Entry, ObjectError> {
        self.file.symbols.get(symbol).ok_or(Part::Symbol(symbol).error(Problem::Index))
    }

    /// Symbol `index`, a local one perhaps without its name.
    #[inline(always)]
    fn read_symbol(&self, index: usize, are_all_named: bool) -> Result<Symbol<'data>, ObjectError> {
        let refuse = |problem| Part::Symbol(index).error(problem);
        let symbol = self.entry(index)?;
        let (binding, definition) = self.meaning(index, &symbol)?;
        let name = || self.file.symbol_names.get(symbol.st_name()).map_err(refuse);
        let name = match (binding, definition) {
            (Binding::Local, _) if !are_all_named => "",
            (Binding::Local, _) => name()?,
            _ if !FULL => Some(name()?).filter(|name| !has_version(name)).ok_or(refuse(Omitted::Versions.into()))?,
            _ if !self.has_versions => name()?,
            (_, Definition::Undefined) => wanted_name(name()?),
            _ => defined_name(name()?),
        };
        Ok(Symbol {
            name,
            definition,
            binding,
            hidden: matches!(symbol.st_vis(), abi::STV_HIDDEN | abi::STV_INTERNAL),
            function: matches!(symbol.st_symtype(), abi::STT_FUNC | abi::STT_GNU_IFUNC),
            size: symbol.st_size,
        })
    }

    /// Who sees symbol `index`, and where it is defined.
    #[inline(always)]
    fn meaning(&self, index: usize, symbol: &Entry) -> Result<(Binding, Definition), ObjectError> {
        let refuse = |problem| Part::Symbol(index).error(problem);
        let kind = symbol.st_symtype();
        if kind == abi::STT_TLS && symbol.st_shndx() == abi::SHN_COMMON {
            return Err(refuse(Problem::unsupported("a common thread-local variable (-fcommon)")));
        }
        let missing = refuse(Problem::malformed("it is in a section that is not there"));
        let definition = match symbol.st_shndx() {
            _ if kind == abi::STT_FILE => Definition::File,
            abi::SHN_UNDEF => Definition::Undefined,
            abi::SHN_ABS => Definition::Absolute(symbol.st_value),
            abi::SHN_COMMON if symbol.st_value.is_power_of_two() => Definition::Common { align: symbol.st_value },
            abi::SHN_COMMON => return Err(refuse(Problem::malformed("the alignment is not a power of two"))),
            shndx => {
                let index = match shndx {
                    abi::SHN_XINDEX if !FULL => return Err(refuse(Omitted::ManySections.into())),
                    abi::SHN_XINDEX => self.extended_section(index).ok_or(missing)?,
                    shndx => shndx.into(),
                };
                if index >= self.file.sections.len() {
                    return Err(missing);
                }
                let offset = symbol.st_value;
                match kind {
                    abi::STT_GNU_IFUNC => Definition::Indirect { index, offset },
                    _ => Definition::Section { index, offset },
                }
            }
        };
        let binding = match symbol.st_bind() {
            abi::STB_LOCAL => Binding::Local,
            // GNU's unique symbols are unique in a process; in a link they are global.
            abi::STB_GLOBAL | abi::STB_GNU_UNIQUE => Binding::Global,
            abi::STB_WEAK => Binding::Weak,
            other => return Err(refuse(Problem::Unknown("symbol binding", other.into()))),
        };
        Ok((binding, definition))
    }

    fn relocations(&self, header: &SectionHeader) -> Result<Kind<'data>, Problem> {
        let count = self.file.relocation_count(header)?;
        let of = header.sh_info as usize;
        if of >= self.file.sections.len() {
            return Err(Problem::malformed("the relocations are for a section that is not there"));
        }
        Ok(Kind::Relocations { of, count })
    }
}

impl<'data> Object<'data> for Elf<'data> {
    fn endian(&self) -> Endian {
        self.file.endian()
    }

    fn section_count(&self) -> usize {
        self.file.sections.len()
    }

    fn section(&self, index: usize) -> Result<Section<'data>, ObjectError> {
        let header = self.file.header(index)?;
        let refuse = |problem| Part::Section(index).error(problem);
        let name = self.file.section_names.get(header.sh_name).map_err(refuse)?;
        Ok(Section::new(name, self.kind_of(&header).map_err(refuse)?))
    }

    #[cfg_attr(feature = "fast", inline)]
    fn kind(&self, index: usize) -> Result<Kind<'data>, ObjectError> {
        if !QUICK {
            return self.section(index).map(|section| section.kind);
        }
        self.kind_of(&self.file.header(index)?).map_err(|problem| Part::Section(index).error(problem))
    }

    fn is_ordered(&self, _index: usize) -> bool {
        false
    }

    fn symbol_count(&self) -> usize {
        self.file.symbols.len()
    }

    fn symbol(&self, index: usize) -> Result<Symbol<'data>, ObjectError> {
        self.read_symbol(index, true)
    }

    #[inline(always)]
    fn linked_symbol(&self, index: usize) -> Result<Symbol<'data>, ObjectError> {
        if QUICK { self.read_symbol(index, false) } else { self.symbol(index) }
    }

    fn fetch_symbols(&self, indices: Range<usize>) {
        self.file.symbol_names.fetch(indices.filter_map(|index| Some(self.file.symbols.get(index)?.st_name())));
    }

    #[cfg_attr(feature = "fast", inline)]
    fn definition(&self, index: usize) -> Result<(Binding, Definition), ObjectError> {
        if !QUICK {
            return self.symbol(index).map(|symbol| (symbol.binding, symbol.definition));
        }
        self.meaning(index, &self.entry(index)?)
    }

    fn is_named(&self, index: usize, name: &str) -> bool {
        if !QUICK || self.has_versions {
            return self.symbol(index).is_ok_and(|symbol| symbol.name == name);
        }
        self.file.symbols.get(index).is_some_and(|symbol| self.file.symbol_names.get(symbol.st_name()) == Ok(name))
    }

    fn relocation(&self, section: usize, index: usize) -> Result<Relocation, ObjectError> {
        self.file.relocation(section, index)
    }

    fn read_relocations(
        &self,
        section: usize,
        cursor: &mut Cursor,
        batch: &mut [Relocation],
    ) -> Result<usize, ObjectError> {
        self.file.read_relocations(section, cursor, batch)
    }

    fn for_each_kind(&self, section: usize, count: usize, visit: impl FnMut(Reloc, i64)) {
        self.file.for_each_kind(section, count, visit);
    }

    fn member(&self, section: usize, index: usize) -> Result<usize, ObjectError> {
        let refuse = |problem| Part::Section(section).error(problem);
        let words = self.file.content(&self.file.header(section)?).map_err(refuse)?;
        // The flags come first.
        let member =
            index.checked_add(1).and_then(|at| self.file.word(words, at)).ok_or(refuse(Problem::Index))? as usize;
        if member >= self.file.sections.len() {
            return Err(refuse(Problem::malformed("a member of a section group is not there")));
        }
        Ok(member)
    }
}
