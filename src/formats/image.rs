//! Linked ELF64 images (gABI; AAELF64), in either byte order, with the relocations that `--emit-relocs` keeps, read in place.

use super::file::{ENTRY_SIZE, File, SHT_CREL};
use super::frames::has_address;
use super::records::Symbol;
use super::strings::wanted_name;
use crate::addr::Addr;
use crate::link::{ObjectError, Part, Problem, Relocation};
use crate::patch::Endian;
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
    /// `S`; `None` where the image does not define the symbol.
    pub addr: Option<Addr>,
    /// Why the place cannot be verified; `None` where it can.
    pub unverified: Option<Unverified>,
}

/// A relocation that is left to the dynamic linker: a word of eight bytes that it fills in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dynamic<'data> {
    /// The address of the word, in an image that lies where it was linked.
    pub place: Addr,
    /// The name of the symbol; empty where there is none.
    pub symbol: &'data str,
    /// `S`, or the start of the image, 0, where no symbol is meant; `None` where the image does not define the symbol.
    pub addr: Option<Addr>,
    /// `A`, in bytes.
    pub addend: i64,
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
    /// What is not a linked ELF64 image for AArch64 is refused by its name.
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

    /// The byte order of its data.
    pub fn endian(&self) -> Endian {
        self.file.endian()
    }

    /// The addresses that the symbols named `_GLOBAL_OFFSET_TABLE_` have: bases of the GOT.
    pub fn bases(&self) -> impl Iterator<Item = Addr> {
        let named = self.file.symbols.iter().filter(|symbol| symbol.st_shndx() != abi::SHN_UNDEF);
        let bases = named.filter(|symbol| self.file.symbol_names.get(symbol.st_name()) == Ok("_GLOBAL_OFFSET_TABLE_"));
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
            let relocations = self.file.relocations(index, count);
            relocations.map(move |relocation| self.applied(&table, relocation?)).chain(error)
        })
    }

    /// The words that the dynamic linker fills in with addresses; what else it does, for thread-local storage and indirect
    /// functions, has no part in what is verified.
    ///
    /// # Errors
    ///
    /// As for [`relocations`](Self::relocations).
    pub fn dynamic(&self) -> impl Iterator<Item = Result<Dynamic<'data>, ObjectError>> {
        let tables = self.headers().filter(|(_, header)| header.sh_type == abi::SHT_RELA && is_loaded(header));
        tables.flat_map(move |(index, table)| {
            let (count, error) = match self.file.entries(&table) {
                Ok(entries) => (entries.len() / ENTRY_SIZE as usize, None),
                Err(problem) => (0, Some(Err(Part::Section(index).error(problem)))),
            };
            (0..count).filter_map(move |entry| self.filled_in(index, &table, entry).transpose()).chain(error)
        })
    }

    /// Judges every relocation that the linker kept.
    ///
    /// - `memory` holds the image's sections, with the words of [`dynamic`](Self::dynamic) filled in.
    /// - `resolve` is asked where a symbol is that the image does not define; what is nowhere must be weak.
    /// - `report` is told each place that is wrong.
    ///
    /// # Errors
    ///
    /// The first of [`relocations`](Self::relocations): of a file that is malformed nothing can be said.
    pub fn verify(
        &self,
        memory: &Memory<'_>,
        resolve: &mut dyn FnMut(&str) -> Option<Addr>,
        report: &mut dyn FnMut(&Applied<'data>, &Wrong),
    ) -> Result<Counts, ObjectError> {
        let mut counts = Counts::default();
        for applied in self.relocations() {
            let applied = applied?;
            let Relocation { offset, reloc, addend, .. } = applied.relocation;
            let verdict = match applied.unverified {
                None => {
                    let addr = applied.addr.or_else(|| resolve(applied.symbol));
                    memory.check(Addr::new(offset), reloc, Target::new(reloc, addr, addend))
                }
                Some(why) => Ok(Verdict::Unverified(why)),
            };
            // Without a symbol there is nothing to be right or wrong about, but that the place may be zero.
            let is_lost = applied.relocation.symbol == 0;
            match verdict.or_else(|wrong| if is_lost { Ok(Verdict::Unverified(Unverified::Stale)) } else { Err(wrong) })
            {
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
        let is_table = |header: &SectionHeader| matches!(header.sh_type, abi::SHT_RELA | abi::SHT_REL | SHT_CREL);
        self.headers().filter(move |(_, header)| is_table(header) && !is_loaded(header))
    }

    /// How many relocations are in table `index`.
    fn count(&self, index: usize, table: &SectionHeader) -> Result<usize, ObjectError> {
        let refuse = |problem| Part::Section(index).error(problem);
        if self.file.is_implicit(table) {
            return Err(refuse(Problem::Unsupported("relocations without addends")));
        }
        if self.file.symtab != usize::try_from(table.sh_link).ok() {
            return Err(refuse(Problem::Malformed("the relocations are of another table of symbols")));
        }
        self.file.relocation_count(table).map_err(refuse)
    }

    fn applied(&self, header: &SectionHeader, relocation: Relocation) -> Result<Applied<'data>, ObjectError> {
        let of = self.file.header(header.sh_info as usize)?;
        let refuse = |problem| Part::Section(header.sh_info as usize).error(problem);
        let section = self.file.section_names.get(of.sh_name).map_err(refuse)?;
        let refuse = |problem| Part::Symbol(relocation.symbol).error(problem);
        let symbol = self.file.symbols.get(relocation.symbol).ok_or(refuse(Problem::Index))?;
        let name = self.file.symbol_names.get(symbol.st_name()).map(wanted_name).map_err(refuse)?;
        let unverified = match symbol.st_symtype() {
            _ if !is_loaded(&of) => Some(Unverified::NotLoaded),
            _ if section == ".eh_frame" && self.is_removed(&of, relocation.offset) => Some(Unverified::Stale),
            abi::STT_TLS => Some(Unverified::ThreadLocal),
            abi::STT_GNU_IFUNC => Some(Unverified::RunTime),
            _ => Unverified::of(relocation.reloc),
        };
        Ok(Applied { section, symbol: name, relocation, addr: addr_of(&symbol), unverified })
    }

    /// Whether the place at `addr` was one of a record that is no longer in `.eh_frame`: `ld.lld` says of all such that they
    /// begin one byte before the section, where heads are too short to have their addresses.
    fn is_removed(&self, frames: &SectionHeader, addr: u64) -> bool {
        const HEAD: usize = 32;
        let offset = usize::try_from(addr.wrapping_sub(frames.sh_addr)).ok().filter(|&offset| offset < HEAD);
        let found = offset.and_then(|offset| has_address(self.file.content(frames).ok()?, offset, self.endian()));
        found == Some(false)
    }

    /// Entry `index` of a table for the dynamic linker; `None` where it fills in no address that is known.
    fn filled_in(
        &self,
        table: usize,
        header: &SectionHeader,
        index: usize,
    ) -> Result<Option<Dynamic<'data>>, ObjectError> {
        let entry = self.file.entry(table, index)?;
        let place = Addr::new(entry.r_offset);
        let addend = entry.r_addend;
        let (symbol, addr) = match entry.r_type {
            abi::R_AARCH64_RELATIVE => ("", Some(Addr::new(0))),
            abi::R_AARCH64_ABS64 | abi::R_AARCH64_GLOB_DAT | abi::R_AARCH64_JUMP_SLOT => {
                let refuse = |problem| Part::Relocation(table, index).error(problem);
                let (symbols, names) = self.file.symbol_table(header.sh_link as usize)?;
                let symbol = symbols.get(entry.r_sym as usize).ok_or(refuse(Problem::Index))?;
                (wanted_name(names.get(symbol.st_name()).map_err(refuse)?), addr_of(&symbol))
            }
            _ => return Ok(None),
        };
        Ok(Some(Dynamic { place, symbol, addr, addend }))
    }
}

/// Where the image defines a symbol. An undefined one that has an address is a function whose stub the whole process takes
/// for it.
fn addr_of(symbol: &Symbol) -> Option<Addr> {
    let is_nowhere = symbol.st_shndx() == abi::SHN_UNDEF && symbol.st_value == 0;
    Some(Addr::new(symbol.st_value)).filter(|_| !is_nowhere)
}

/// Whether a section is in memory.
fn is_loaded(header: &SectionHeader) -> bool {
    header.sh_flags & u64::from(abi::SHF_ALLOC) != 0
}
