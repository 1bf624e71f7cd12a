//! The headers of a COFF object, its sections and its names.

use super::records::{Record, Records};
use crate::formats::strings::Strings;
use crate::link::{ObjectError, Part, Problem};
use object::LittleEndian as LE;
use object::pe::{self, AnonObjectHeaderBigobj, ImageFileHeader, ImageRelocation, ImageSectionHeader, Machine};
use object::pod;

/// The sections and symbols of a COFF object for ARM64.
#[derive(Debug)]
pub(super) struct File<'data> {
    bytes: &'data [u8],
    pub(super) sections: &'data [ImageSectionHeader],
    pub(super) records: Records<'data>,
    names: Strings<'data>,
}

/// What both forms of the file header say.
struct Header {
    machine: Machine,
    /// Bytes before the first section's header.
    size: usize,
    sections: usize,
    symbols: usize,
    symbols_at: usize,
    /// Whether the number of a section has 32 bits.
    is_big: bool,
}

impl<'data> File<'data> {
    pub(super) fn parse(bytes: &'data [u8]) -> Result<Self, ObjectError> {
        Self::read(bytes).map_err(|problem| Part::File.error(problem))
    }

    fn read(bytes: &'data [u8]) -> Result<Self, Problem> {
        let header = Header::read(bytes)?;
        match header.machine {
            pe::IMAGE_FILE_MACHINE_ARM64 => {}
            pe::IMAGE_FILE_MACHINE_ARM64EC => {
                return Err(Problem::Unsupported("code that emulated code can call (IMAGE_FILE_MACHINE_ARM64EC)"));
            }
            pe::IMAGE_FILE_MACHINE_ARM64X => {
                return Err(Problem::Unsupported("code both emulated and not (IMAGE_FILE_MACHINE_ARM64X)"));
            }
            other => return Err(Problem::Unknown("machine", other.0.into())),
        }
        let headers = bytes.get(header.size..).and_then(|rest| pod::slice_from_bytes(rest, header.sections).ok());
        let (sections, _) = headers.ok_or(Problem::Malformed("the headers of sections lie outside the file"))?;
        let (mut table, mut names): (&[u8], &[u8]) = (&[], &[]);
        let size = if header.is_big { pe::IMAGE_SIZEOF_SYMBOL_EX } else { pe::IMAGE_SIZEOF_SYMBOL };
        if header.symbols_at != 0 {
            let len = header.symbols.checked_mul(size);
            let split = bytes.get(header.symbols_at..).and_then(|rest| rest.split_at_checked(len?));
            (table, names) = split.ok_or(Problem::Malformed("the symbols lie outside the file"))?;
            // The length counts itself; there may be none.
            if let Some(&len) = names.first_chunk() {
                let len = u32::from_le_bytes(len).max(4);
                names = names.get(..len as usize).ok_or(Problem::Malformed("the names lie outside the file"))?;
            }
        }
        let file = Self { bytes, sections, records: Records::read(table, size)?, names: Strings::new(names) };
        file.check_overlap()?;
        Ok(file)
    }

    /// Else a small file could hold any number of relocations.
    fn check_overlap(&self) -> Result<(), Problem> {
        let content = |header| self.content(header).map_or(0, <[u8]>::len);
        let entries = |header| self.relocations(header).map_or(0, size_of_val);
        let sum = self.sections.iter().map(|header| content(header).saturating_add(entries(header)));
        match sum.fold(0, usize::saturating_add) <= self.bytes.len() {
            true => Ok(()),
            false => Err(Problem::Malformed("the sections overlap")),
        }
    }

    /// The header of section `number`, from 1 on.
    pub(super) fn header(&self, number: u32) -> Option<&'data ImageSectionHeader> {
        self.sections.get((number as usize).checked_sub(1)?)
    }

    /// The bytes that the file holds of a section.
    pub(super) fn content(&self, header: &ImageSectionHeader) -> Result<&'data [u8], Problem> {
        if header.characteristics.get(LE).contains(pe::IMAGE_SCN_CNT_UNINITIALIZED_DATA) {
            return Ok(&[]);
        }
        let (start, size) = (header.pointer_to_raw_data.get(LE) as usize, header.size_of_raw_data.get(LE) as usize);
        if size == 0 {
            return Ok(&[]);
        }
        let content = bytes_at(self.bytes, start, size).filter(|_| start != 0);
        content.ok_or(Problem::Malformed("the section lies outside the file"))
    }

    /// The relocations of a section. Where 16 bits cannot say how many they are, the first says it (PE Format,
    /// `IMAGE_SCN_LNK_NRELOC_OVFL`).
    pub(super) fn relocations(&self, header: &ImageSectionHeader) -> Result<&'data [ImageRelocation], Problem> {
        let outside = Problem::Malformed("the relocations lie outside the file");
        let table = |count: usize| {
            let start = header.pointer_to_relocations.get(LE) as usize;
            let rest = self.bytes.get(start..).ok_or(outside)?;
            pod::slice_from_bytes(rest, count).map(|(table, _)| table).map_err(|()| outside)
        };
        let count = header.number_of_relocations.get(LE);
        let overflows = header.characteristics.get(LE).contains(pe::IMAGE_SCN_LNK_NRELOC_OVFL);
        if count == 0 || !overflows {
            return if count == 0 { Ok(&[]) } else { table(count.into()) };
        }
        let first: &[ImageRelocation] = table(1)?;
        let count = first.first().map_or(0, |first| first.virtual_address.get(LE));
        // It counts itself.
        let none = Problem::Malformed("the number of relocations is zero (IMAGE_SCN_LNK_NRELOC_OVFL)");
        table(count as usize)?.get(1..).ok_or(none)
    }

    pub(super) fn section_name(&self, header: &'data ImageSectionHeader) -> Result<&'data str, Problem> {
        let no_offset = Problem::Malformed("the name of a section is no offset of a name");
        match header.name_offset().map_err(|_| no_offset)? {
            Some(offset) => self.long_name(offset),
            None => short_name(&header.name),
        }
    }

    /// The name of a symbol.
    pub(super) fn name(&self, record: &Record<'data>) -> Result<&'data str, Problem> {
        match record.name {
            [0, 0, 0, 0, offset @ ..] => self.long_name(u32::from_le_bytes(*offset)),
            name => short_name(name),
        }
    }

    fn long_name(&self, offset: u32) -> Result<&'data str, Problem> {
        match offset {
            // The table's length.
            0..4 => Err(Problem::Malformed("the name is the length of the string table")),
            _ => self.names.get(offset),
        }
    }
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, Problem> {
        if bytes.starts_with(b"!<arch>\n") || bytes.starts_with(b"!<thin>\n") {
            return Err(Problem::Unsupported("an archive"));
        }
        if bytes.starts_with(b"BC\xc0\xde") {
            return Err(Problem::Unsupported("LLVM bitcode, not machine code"));
        }
        if bytes.starts_with(b"MZ") {
            return Err(Problem::Unsupported("an image (MZ), not a relocatable object"));
        }
        if bytes.starts_with(&[0, 0, 0xff, 0xff]) {
            return Self::read_anonymous(bytes);
        }
        let (header, _) = pod::from_bytes::<ImageFileHeader>(bytes).map_err(|()| CUT)?;
        Ok(Self {
            machine: header.machine.get(LE),
            size: size_of::<ImageFileHeader>() + usize::from(header.size_of_optional_header.get(LE)),
            sections: header.number_of_sections.get(LE).into(),
            symbols: header.number_of_symbols.get(LE) as usize,
            symbols_at: header.pointer_to_symbol_table.get(LE) as usize,
            is_big: false,
        })
    }

    /// A header that begins with no machine: its version and its class say whose.
    fn read_anonymous(bytes: &[u8]) -> Result<Self, Problem> {
        let version = bytes.get(4..).and_then(<[u8]>::first_chunk).map(|&version| u16::from_le_bytes(version));
        if version.ok_or(CUT)? == 0 {
            return Err(Problem::Unsupported("an import (a short member of an import library)"));
        }
        let (header, _) = pod::from_bytes::<AnonObjectHeaderBigobj>(bytes).map_err(|()| CUT)?;
        if header.class_id.0 != pe::ANON_OBJECT_HEADER_BIGOBJ_CLASS_ID.0 {
            return Err(Problem::Unsupported("an anonymous object, such as of /GL, not machine code"));
        }
        Ok(Self {
            machine: header.machine.get(LE),
            size: size_of::<AnonObjectHeaderBigobj>(),
            sections: header.number_of_sections.get(LE) as usize,
            symbols: header.number_of_symbols.get(LE) as usize,
            symbols_at: header.pointer_to_symbol_table.get(LE) as usize,
            is_big: true,
        })
    }
}

/// Of a file that ends within its header.
const CUT: Problem = Problem::Malformed("file header");

fn bytes_at(bytes: &[u8], start: usize, size: usize) -> Option<&[u8]> {
    bytes.get(start..)?.get(..size)
}

/// A name of up to eight bytes, padded with zeros.
fn short_name(name: &[u8; 8]) -> Result<&str, Problem> {
    let len = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    let name = name.get(..len).and_then(|name| core::str::from_utf8(name).ok());
    name.ok_or(Problem::Malformed("the name is not UTF-8"))
}
