//! What relocatable objects and linked images have in common: the header of an ELF64 file, its sections and its symbols (gABI).

use super::crel::Crel;
use super::dynamic;
use super::records::{Head, Headers, Records, Symbols, load};
use super::strings::Strings;
use crate::link::{Cursor, FULL, ObjectError, Omitted, Origin, Part, Problem, Relocation};
use crate::patch::{Endian, QUICK, raw_at};
use crate::reloc::Reloc;
use core::iter;
use core::ops::Range;
use elf::abi;
use elf::endian::{AnyEndian, EndianParse};
use elf::file::Class;
use elf::parse::ParsingTable;
use elf::relocation::{Rel, Rela};
use elf::section::SectionHeader;

/// The sections and symbols of an ELF64 file for AArch64, in either byte order. Nothing is copied; every access is checked.
#[derive(Debug)]
pub(super) struct File<'data> {
    bytes: &'data [u8],
    /// The byte order of headers, tables and data.
    order: AnyEndian,
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

    /// How many relocations are in a section of them.
    pub(super) fn relocation_count(&self, header: &SectionHeader) -> Result<usize, Problem> {
        match header.sh_type {
            abi::SHT_REL => Omitted::Rel.unless_full()?,
            SHT_CREL => Omitted::Crel.unless_full()?,
            _ => {}
        }
        match header.sh_type {
            SHT_CREL if FULL => Ok(Crel::new(self.content(header)?)?.len()),
            kind => {
                let size = if FULL && kind == abi::SHT_REL { REL_SIZE } else { ENTRY_SIZE };
                Ok(self.entries(header)?.len() / size as usize)
            }
        }
    }

    /// Entry `index` of the table of relocations that is section `section`, of whatever kind; without an addend of its own
    /// it has that of 0. Where they are compressed, all before it are read.
    pub(super) fn entry(&self, section: usize, index: usize) -> Result<Rela, ObjectError> {
        let refuse = |problem| Part::Relocation(section, index).error(problem);
        let header = self.header(section)?;
        let bytes = self.content(&header).map_err(refuse)?;
        let entry = match header.sh_type {
            abi::SHT_REL if FULL => {
                let entry = ParsingTable::<_, Rel>::new(self.order, Class::ELF64, bytes).get(index).ok();
                entry.map(|Rel { r_offset, r_sym, r_type }| Rela { r_offset, r_sym, r_type, r_addend: 0 })
            }
            SHT_CREL if FULL => {
                let mut all = Crel::new(bytes).map_err(refuse)?.enumerate();
                let found = all.find(|(at, entry)| *at == index || entry.is_err());
                found.map(|(_, entry)| entry).transpose().map_err(refuse)?
            }
            _ => Records::<Rela, 3>::new(bytes, self.order).get(index),
        };
        entry.ok_or(refuse(Problem::Index))
    }

    /// Entry `index` of the table of relocations that is section `section`.
    pub(super) fn relocation(&self, section: usize, index: usize) -> Result<Relocation, ObjectError> {
        let entry = self.entry(section, index)?;
        let implicit = if FULL { self.implicit(&self.header(section)?) } else { None };
        self.translate(section, index, entry, implicit)
    }

    /// The `count` relocations of section `section`, in order, each read once; nothing follows a compressed one that cannot be
    /// read.
    pub(super) fn relocations(
        &self,
        section: usize,
        count: usize,
    ) -> impl Iterator<Item = Result<Relocation, ObjectError>> {
        let mut cursor = Cursor::default();
        iter::from_fn(move || {
            let mut one = [Relocation::NONE];
            let is_left = cursor.index < count;
            is_left.then(|| self.read_relocations(section, &mut cursor, &mut one).map(|_| one[0]))
        })
    }

    /// See [`Object::read_relocations`](crate::link::Object::read_relocations).
    pub(super) fn read_relocations(
        &self,
        section: usize,
        cursor: &mut Cursor,
        batch: &mut [Relocation],
    ) -> Result<usize, ObjectError> {
        if !(QUICK || FULL) {
            return cursor.fill(batch, |index| self.relocation(section, index));
        }
        let first = cursor.index;
        let refuse = |problem| Part::Relocation(section, first).error(problem);
        let header = self.header(section)?;
        let bytes = self.content(&header).map_err(refuse)?;
        match header.sh_type {
            abi::SHT_RELA if QUICK => {
                let entries = bytes.as_chunks().0.get(first..).unwrap_or_default();
                // One loop for each byte order, so that it is asked for once.
                let read = if FULL && self.order.is_big() {
                    decode::<true>(entries, batch)
                } else {
                    decode::<false>(entries, batch)
                };
                if read > 0 {
                    cursor.index += read;
                    return Ok(read);
                }
                cursor.fill(batch, |index| self.relocation(section, index))
            }
            SHT_CREL if FULL => self.read_stream(section, &header, bytes, cursor, batch),
            _ => cursor.fill(batch, |index| self.relocation(section, index)),
        }
    }

    /// See [`Object::for_each_kind`](crate::link::Object::for_each_kind).
    pub(super) fn for_each_kind(&self, section: usize, count: usize, mut visit: impl FnMut(Reloc, i64)) {
        let rela = self.header(section).ok().filter(|header| header.sh_type == abi::SHT_RELA);
        match rela.and_then(|header| self.content(&header).ok()) {
            Some(bytes) if FULL && self.order.is_big() => kinds::<true>(bytes.as_chunks().0, visit),
            Some(bytes) => kinds::<false>(bytes.as_chunks().0, visit),
            None => self.relocations(section, count).flatten().for_each(|one| visit(one.reloc, one.addend)),
        }
    }

    /// Those of a stream that is the section `section`, which holds `bytes`.
    fn read_stream(
        &self,
        section: usize,
        header: &SectionHeader,
        bytes: &[u8],
        cursor: &mut Cursor,
        batch: &mut [Relocation],
    ) -> Result<usize, ObjectError> {
        let refuse = |index, problem| Part::Relocation(section, index).error(problem);
        let first = cursor.index;
        let mut stream = Crel::resume(bytes, cursor.state, first).map_err(|problem| refuse(first, problem))?;
        let implicit = self.implicit(header);
        let mut read = 0;
        for (index, place) in (first..).zip(batch) {
            let before = stream.state();
            let entry = stream.next().unwrap_or(Err(Problem::Index)).map_err(|problem| refuse(index, problem));
            let is_broken = entry.is_err();
            match entry.and_then(|entry| self.translate(section, index, entry, implicit)) {
                Err(_) if read > 0 => {
                    cursor.state = before;
                    return Ok(read);
                }
                relocation => {
                    cursor.index = if is_broken { usize::MAX } else { index.saturating_add(1) };
                    cursor.state = stream.state();
                    *place = relocation?;
                }
            }
            read += 1;
        }
        Ok(read)
    }

    /// The section that holds the addends of relocations that are in a section with this header; `None` where they have
    /// theirs.
    fn implicit(&self, header: &SectionHeader) -> Option<usize> {
        (FULL && self.is_implicit(header)).then_some(header.sh_info as usize)
    }

    /// Whether relocations that are in a section with this header have no addends.
    pub(super) fn is_implicit(&self, header: &SectionHeader) -> bool {
        match header.sh_type {
            abi::SHT_REL => true,
            SHT_CREL => FULL && self.content(header).and_then(Crel::new).is_ok_and(|all| !all.has_addends),
            _ => false,
        }
    }

    /// The addend that section `of` holds at the place of `relocation`.
    fn implicit_addend(&self, of: usize, relocation: &Relocation) -> Option<i64> {
        let header = self.header(of).ok().filter(|header| header.sh_type != abi::SHT_NOBITS)?;
        let bytes = self.content(&header).ok()?;
        let offset = usize::try_from(relocation.offset).ok()?;
        let raw = raw_at(bytes, offset, relocation.reloc, self.endian())?;
        Some(relocation.reloc.implicit_addend(raw))
    }

    /// The relocation that `entry` says, which is number `index` of section `section`; with the addend that section
    /// `implicit` holds, where there is such.
    #[inline(always)]
    fn translate(
        &self,
        section: usize,
        index: usize,
        entry: Rela,
        implicit: Option<usize>,
    ) -> Result<Relocation, ObjectError> {
        let reloc = Reloc::from_elf(entry.r_type).ok_or_else(|| unknown(section, index, entry.r_type))?;
        let (offset, symbol, addend) = (entry.r_offset, entry.r_sym as usize, entry.r_addend);
        let relocation = Relocation { offset, reloc, symbol, addend, origin: Origin::Zero };
        let Some(of) = implicit else { return Ok(relocation) };
        let outside = Problem::malformed("an implicit addend lies outside its section");
        let outside = Part::Relocation(section, index).error(outside);
        let addend = self.implicit_addend(of, &relocation).ok_or(outside)?;
        Ok(Relocation { addend, ..relocation })
    }
}

/// The words of an entry that has an addend.
#[inline(always)]
fn words<const BIG: bool>(entry: &[u8; ENTRY_SIZE as usize]) -> [u64; 3] {
    let (words, _) = entry.as_chunks();
    let Some(words) = words.first_chunk::<3>() else { return [0; 3] };
    words.each_ref().map(|word| if BIG { load(word).swap_bytes() } else { load(word) })
}

/// Reads the first of `entries` into `batch`, up to one of a type that is not known, and says how many.
fn decode<const BIG: bool>(entries: &[[u8; ENTRY_SIZE as usize]], batch: &mut [Relocation]) -> usize {
    let mut read = 0;
    for (place, entry) in batch.iter_mut().zip(entries) {
        let [offset, info, addend] = words::<BIG>(entry);
        let Some(reloc) = Reloc::from_elf(info as u32) else { break };
        let (symbol, addend) = ((info >> 32) as usize, addend.cast_signed());
        *place = Relocation { offset, reloc, symbol, addend, origin: Origin::Zero };
        read += 1;
    }
    read
}

/// What those of `entries` are that are known, and their addends.
fn kinds<const BIG: bool>(entries: &[[u8; ENTRY_SIZE as usize]], mut visit: impl FnMut(Reloc, i64)) {
    for entry in entries {
        let [_, info, addend] = words::<BIG>(entry);
        if let Some(reloc) = Reloc::from_elf(info as u32) {
            visit(reloc, addend.cast_signed());
        }
    }
}

/// Why a relocation of type `code`, which is number `index` of section `section`, cannot be read.
#[cold]
fn unknown(section: usize, index: usize, code: u32) -> ObjectError {
    Part::Relocation(section, index).error(match dynamic::name(code) {
        Some(_) => Problem::Dynamic(code),
        None => Problem::Unknown("relocation type", code),
    })
}

/// Where the header has the number of sections (gABI, `e_shnum`).
const SECTION_COUNT: Range<usize> = 60..62;
/// Bytes of an `Elf64_Sym`, and of an `Elf64_Rela`.
pub(super) const ENTRY_SIZE: u64 = 24;
/// Bytes of an `Elf64_Rel`.
const REL_SIZE: u64 = 16;
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
