//! Linked ELF64 little-endian images (gABI; AAELF64) with the relocations that `--emit-relocs` keeps, read in place.

use super::file::{ENTRY_SIZE, File};
use crate::addr::Addr;
use crate::link::{ObjectError, Part, Problem, Relocation};
use crate::verify::{Memory, Target, Unverified, Verdict, View, Wrong};
use elf::abi;
use elf::section::SectionHeader;

/// An executable or shared object in the bytes of its file, as a linker left it. Nothing is copied; every access is checked.
#[derive(Debug)]
pub struct Image<'data> {
    file: File<'data>,
}

/// A relocation that a linker has applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Applied<'data> {
    /// The name of the section that holds the place.
    pub section: &'data str,
    /// The name of the symbol; empty where it stands for a section.
    pub symbol: &'data str,
    /// Where and what; its offset is the address of the place.
    pub relocation: Relocation,
    /// What the place must reach, or why that cannot be said.
    pub target: Result<Target, Unverified>,
}

/// What [`Image::verify`] found, in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Relocations that were verified, those that are wrong among them.
    pub verified: usize,
    /// Relocations that reach another target than theirs.
    pub wrong: usize,
    /// Relocations that were not verified, by [`Unverified::ALL`].
    pub unverified: [usize; Unverified::ALL.len()],
}

impl<'data> Image<'data> {
    /// Reads the headers of `bytes`.
    ///
    /// # Errors
    ///
    /// What is not a linked ELF64 little-endian image for AArch64 is refused by its name.
    pub fn parse(bytes: &'data [u8]) -> Result<Self, ObjectError> {
        let file = File::parse(bytes, |kind| match kind {
            abi::ET_EXEC | abi::ET_DYN => Ok(()),
            abi::ET_REL => Err(Problem::Unsupported("a relocatable object, not a linked image")),
            abi::ET_CORE => Err(Problem::Unsupported("a core dump, not a linked image")),
            other => Err(Problem::Unknown("file type", other.into())),
        })?;
        Ok(Self { file })
    }

    /// The bytes of each loaded section that has any, by its name.
    ///
    /// # Errors
    ///
    /// A section lies outside the file, or its name outside the names.
    pub fn sections(&self) -> impl Iterator<Item = Result<(&'data str, View<'data>), ObjectError>> {
        self.headers().filter(|(_, header)| is_loaded(header) && header.sh_type != abi::SHT_NOBITS).map(
            |(index, header)| {
                let refuse = |problem| Part::Section(index).error(problem);
                let name = self.file.section_names.get(header.sh_name).map_err(refuse)?;
                let bytes = self.file.content(&header).map_err(refuse)?;
                Ok((name, View { addr: Addr::new(header.sh_addr), bytes }))
            },
        )
    }

    /// The addresses that the symbols named `_GLOBAL_OFFSET_TABLE_` have: bases of the GOT.
    pub fn bases(&self) -> impl Iterator<Item = Addr> {
        let named = self.file.symbols.iter().filter(|symbol| symbol.st_shndx != abi::SHN_UNDEF);
        let bases = named.filter(|symbol| self.file.symbol_names.get(symbol.st_name) == Ok("_GLOBAL_OFFSET_TABLE_"));
        bases.map(|symbol| Addr::new(symbol.st_value))
    }

    /// The relocations that the linker kept, in the order of the file; after an error in one table, the next.
    ///
    /// # Errors
    ///
    /// A table or an entry of it is malformed, or of an unknown kind.
    pub fn relocations(&self) -> impl Iterator<Item = Result<Applied<'data>, ObjectError>> {
        self.tables().flat_map(move |(index, table)| {
            let (count, error) = match self.count(index, &table) {
                Ok(count) => (count, None),
                Err(error) => (0, Some(Err(error))),
            };
            (0..count).map(move |entry| self.applied(index, &table, entry)).chain(error)
        })
    }

    /// Judges every relocation that the linker kept, by `memory`, which holds the image's sections; `report` is told each
    /// that is wrong.
    ///
    /// # Errors
    ///
    /// The first of [`relocations`](Self::relocations): of a file that is malformed nothing can be said.
    pub fn verify(
        &self,
        memory: &Memory<'_>,
        report: &mut dyn FnMut(&Applied<'data>, &Wrong),
    ) -> Result<Counts, ObjectError> {
        let mut counts = Counts::default();
        for applied in self.relocations() {
            let applied = applied?;
            let Relocation { offset, reloc, .. } = applied.relocation;
            let verdict = match applied.target {
                Ok(target) => memory.check(Addr::new(offset), reloc, target),
                Err(why) => Ok(Verdict::Unverified(why)),
            };
            match verdict {
                Ok(Verdict::Right) => counts.verified += 1,
                Ok(Verdict::Unverified(why)) => {
                    let of = Unverified::ALL.iter().zip(&mut counts.unverified).find(|(all, _)| **all == why);
                    of.into_iter().for_each(|(_, count)| *count += 1);
                }
                Err(wrong) => {
                    counts.verified += 1;
                    counts.wrong += 1;
                    report(&applied, &wrong);
                }
            }
        }
        Ok(counts)
    }

    fn headers(&self) -> impl Iterator<Item = (usize, SectionHeader)> {
        self.file.sections.iter().enumerate()
    }

    /// The tables of relocations that were kept; those for the dynamic linker are loaded.
    fn tables(&self) -> impl Iterator<Item = (usize, SectionHeader)> {
        let is_table = |header: &SectionHeader| matches!(header.sh_type, abi::SHT_RELA | abi::SHT_REL);
        self.headers().filter(move |(_, header)| is_table(header) && !is_loaded(header))
    }

    /// How many relocations are in table `index`.
    fn count(&self, index: usize, table: &SectionHeader) -> Result<usize, ObjectError> {
        let refuse = |problem| Part::Section(index).error(problem);
        if table.sh_type == abi::SHT_REL {
            return Err(refuse(Problem::Unsupported("relocations without addends (SHT_REL)")));
        }
        if self.file.symtab != usize::try_from(table.sh_link).ok() {
            return Err(refuse(Problem::Malformed("the relocations are of another table of symbols")));
        }
        let entries = self.file.entries(table).map_err(refuse)?;
        Ok(entries.len() / ENTRY_SIZE as usize)
    }

    fn applied(&self, table: usize, header: &SectionHeader, index: usize) -> Result<Applied<'data>, ObjectError> {
        let relocation = self.file.relocation(table, index)?;
        let Relocation { reloc, symbol, addend, .. } = relocation;
        let of = self.file.header(header.sh_info as usize)?;
        let refuse = |problem| Part::Section(header.sh_info as usize).error(problem);
        let section = self.file.section_names.get(of.sh_name).map_err(refuse)?;
        let refuse = |problem| Part::Symbol(symbol).error(problem);
        let symbol = self.file.symbols.get(symbol).map_err(|_| refuse(Problem::Index))?;
        let name = self.file.symbol_names.get(symbol.st_name).map_err(refuse)?;
        // An undefined symbol that has an address is a function whose stub the whole process takes for it.
        let is_nowhere = symbol.st_shndx == abi::SHN_UNDEF && symbol.st_value == 0;
        let addr = Some(Addr::new(symbol.st_value)).filter(|_| !is_nowhere);
        let target = match (Unverified::of(reloc), symbol.st_symtype()) {
            _ if !is_loaded(&of) => Err(Unverified::NotLoaded),
            (Some(why), _) => Err(why),
            (None, abi::STT_TLS) => Err(Unverified::ThreadLocal),
            (None, abi::STT_GNU_IFUNC) => Err(Unverified::RunTime),
            (None, _) => Ok(Target::new(reloc, addr, addend)),
        };
        Ok(Applied { section, symbol: name, relocation, target })
    }
}

/// Whether a section is in memory.
fn is_loaded(header: &SectionHeader) -> bool {
    header.sh_flags & u64::from(abi::SHF_ALLOC) != 0
}
