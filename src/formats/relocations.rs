//! The relocations of an ELF64 file, whatever their form: with addends (`SHT_RELA`), without (`SHT_REL`), or compressed
//! (`SHT_CREL`).

use super::crel::Crel;
use super::dynamic;
use super::file::{ENTRY_SIZE, File, REL_SIZE, SHT_CREL};
use super::records::{Records, load};
use crate::link::{Cursor, FULL, ObjectError, Omitted, Origin, Part, Problem, Relocation};
use crate::patch::{QUICK, raw_at};
use crate::reloc::Reloc;
use core::iter;
use elf::abi;
use elf::endian::EndianParse;
use elf::file::Class;
use elf::parse::ParsingTable;
use elf::relocation::{Rel, Rela};
use elf::section::SectionHeader;

impl File<'_> {
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
