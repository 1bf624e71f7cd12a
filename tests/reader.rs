//! The reader of ELF objects: each of its errors is reached, and what only few objects have is read.
#![cfg(all(feature = "std", feature = "object"))]

#[allow(dead_code)]
mod objects;
#[path = "common/texts.rs"]
mod texts;

use aarch64_reloc::addr::Addr;
use aarch64_reloc::arena::Prot;
use aarch64_reloc::formats::archive::Archive;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::link::{
    Definition, Failure, Input, Kind, Object, ObjectError, Options, Part, Plan, Problem, Storage, each, measure,
};
use aarch64_reloc::patch::Section;
use elf::abi;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Where a field lies in its record, in bytes.
type Field = Range<usize>;

/// Fields of `Elf64_Ehdr`.
mod file {
    use super::Field;
    pub const CLASS: Field = 4..5;
    pub const DATA: Field = 5..6;
    pub const VERSION: Field = 6..7;
    pub const TYPE: Field = 16..18;
    pub const MACHINE: Field = 18..20;
    pub const HEADERS: Field = 40..48;
    pub const HEADER_SIZE: Field = 58..60;
    pub const COUNT: Field = 60..62;
    pub const NAMES: Field = 62..64;
}

/// Fields of `Elf64_Shdr`.
mod header {
    use super::Field;
    pub const NAME: Field = 0..4;
    pub const TYPE: Field = 4..8;
    pub const FLAGS: Field = 8..16;
    pub const OFFSET: Field = 24..32;
    pub const SIZE: Field = 32..40;
    pub const LINK: Field = 40..44;
    pub const INFO: Field = 44..48;
    pub const ALIGN: Field = 48..56;
    pub const ENTRY_SIZE: Field = 56..64;
}

/// Fields of `Elf64_Sym`.
mod symbol {
    use super::Field;
    pub const NAME: Field = 0..4;
    pub const INFO: Field = 4..5;
    pub const VISIBILITY: Field = 5..6;
    pub const SECTION: Field = 6..8;
    pub const VALUE: Field = 8..16;
}

/// The type in an `Elf64_Rela`.
const RELOCATION_TYPE: Field = 8..12;

/// The bytes of an object, to be changed.
#[derive(Clone)]
struct File(Vec<u8>);

impl File {
    fn new(name: &str) -> Self {
        Self(objects::read(name))
    }

    fn get(&self, at: usize, field: Field) -> usize {
        let bytes = &self.0[at..][field];
        bytes.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte))
    }

    fn set(&mut self, at: usize, field: Field, value: u64) {
        let len = field.len();
        self.0[at..][field].copy_from_slice(&value.to_le_bytes()[..len]);
    }

    /// Where the header of the first section of type `kind` lies, and its index.
    fn find(&self, kind: u32) -> (usize, usize) {
        let headers = self.get(0, file::HEADERS);
        let mut all = (0..self.get(0, file::COUNT)).map(|index| (headers + 64 * index, index));
        all.find(|&(at, _)| self.get(at, header::TYPE) == kind as usize).unwrap()
    }

    /// Changes a field of the header of the first section of type `kind`.
    fn section(&mut self, kind: u32, field: Field, value: u64) {
        let (at, _) = self.find(kind);
        self.set(at, field, value);
    }

    /// Changes a field of entry `index` of the first table of type `kind`.
    fn entry(&mut self, kind: u32, index: usize, field: Field, value: u64) {
        let at = self.get(self.find(kind).0, header::OFFSET) + 24 * index;
        self.set(at, field, value);
    }

    /// Makes the first table of relocations one of compressed ones, which are `bytes`.
    fn compress(&mut self, bytes: &[u8]) {
        let (table, _) = self.find(SHT_RELA);
        let at = self.get(table, header::OFFSET);
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self.set(table, header::SIZE, bytes.len() as u64);
        self.set(table, header::TYPE, SHT_CREL.into());
    }

    fn symbol(&mut self, index: usize, field: Field, value: u64) {
        self.entry(abi::SHT_SYMTAB, index, field, value);
    }

    /// Gives symbol `index` a name of `len` bytes, behind all others.
    fn rename(&mut self, index: usize, len: usize) {
        let (names, _) = self.find(abi::SHT_STRTAB);
        let (at, size) = (self.get(names, header::OFFSET), self.get(names, header::SIZE));
        self.symbol(index, symbol::NAME, size as u64);
        self.set(names, header::OFFSET, self.0.len() as u64);
        self.set(names, header::SIZE, (size + len + 1) as u64);
        self.0.extend_from_within(at..at + size);
        self.0.resize(self.0.len() + len, b'n');
        self.0.push(0);
    }
}

/// The type of a section of compressed relocations.
const SHT_CREL: u32 = 0x4000_0014;

/// All that is wrong with an object.
fn errors(bytes: &[u8]) -> Vec<ObjectError> {
    let object = match Elf::parse(bytes) {
        Ok(object) => object,
        Err(error) => return vec![error],
    };
    let mut errors = Vec::new();
    for section in 0..object.section_count() {
        match object.section(section).map(|found| found.kind) {
            Ok(Kind::Relocations { count, .. }) => {
                errors.extend((0..count).filter_map(|index| object.relocation(section, index).err()));
            }
            Ok(Kind::Group { count, .. }) => {
                errors.extend((0..count).filter_map(|index| object.member(section, index).err()));
            }
            Ok(Kind::Loaded { .. } | Kind::ThreadLocal { .. } | Kind::Ignored) => {}
            Err(error) => errors.push(error),
        }
    }
    errors.extend((0..object.symbol_count()).filter_map(|index| object.symbol(index).err()));
    errors
}

/// A change, the part that it breaks, how, and what the reader says of it.
type Case = (fn(&mut File), Part, Problem, &'static str);

use Problem::{Index, Malformed, Unknown, Unsupported};
use abi::{SHT_GROUP, SHT_PROGBITS, SHT_REL, SHT_RELA, SHT_STRTAB, SHT_SYMTAB};

/// Changes of `address.o`: names in section 1, text in 2, relocations in 3, symbols in 4, of which 2 and 3 are functions.
const OBJECT: &[Case] = &[
    // The file.
    (|f| f.0.clear(), Part::File, Malformed("not an ELF file"), "malformed: not an ELF file"),
    (|f| f.0.truncate(63), Part::File, Malformed("file header"), "malformed: file header"),
    (|f| f.set(0, file::CLASS, 3), Part::File, Malformed("file header"), "malformed: file header"),
    (|f| f.set(0, file::VERSION, 2), Part::File, Malformed("file header"), "malformed: file header"),
    (|f| f.set(0, file::HEADER_SIZE, 40), Part::File, Malformed("file header"), "malformed: file header"),
    (|f| f.set(0, file::COUNT, 6), Part::File, Malformed("file header"), "malformed: file header"),
    (|f| f.0[..8].copy_from_slice(b"!<arch>\n"), Part::File, Unsupported("an archive"), "not supported: an archive"),
    (|f| f.0[..8].copy_from_slice(b"!<thin>\n"), Part::File, Unsupported("an archive"), "not supported: an archive"),
    (
        |f| f.0[..4].copy_from_slice(b"BC\xc0\xde"),
        Part::File,
        Unsupported("LLVM bitcode, not machine code"),
        "not supported: LLVM bitcode, not machine code",
    ),
    (
        |f| f.set(0, file::CLASS, 1),
        Part::File,
        Unsupported("a 32-bit object (ELF32)"),
        "not supported: a 32-bit object (ELF32)",
    ),
    (|f| f.set(0, file::DATA, 3), Part::File, Malformed("file header"), "malformed: file header"),
    (|f| f.set(0, file::MACHINE, 62), Part::File, Unknown("machine", 62), "unknown machine 62"),
    (
        |f| f.set(0, file::TYPE, 2),
        Part::File,
        Unsupported("an executable, not a relocatable object"),
        "not supported: an executable, not a relocatable object",
    ),
    (
        |f| f.set(0, file::TYPE, 3),
        Part::File,
        Unsupported("a shared object, not a relocatable object"),
        "not supported: a shared object, not a relocatable object",
    ),
    (|f| f.set(0, file::TYPE, 4), Part::File, Unknown("file type", 4), "unknown file type 4"),
    (
        |f| {
            f.section(SHT_RELA, header::OFFSET, 0);
            f.section(SHT_RELA, header::SIZE, f.0.len() as u64 / 24 * 24);
        },
        Part::File,
        Malformed("the sections overlap"),
        "malformed: the sections overlap",
    ),
    // The tables that it needs.
    (|f| f.set(0, file::NAMES, 5), Part::Section(5), Index, "section 5: no such index"),
    (
        |f| {
            f.set(0, file::HEADERS, 0);
            f.set(0, file::NAMES, 0xffff);
        },
        Part::Section(0),
        Index,
        "section 0: no such index",
    ),
    (|f| f.section(SHT_SYMTAB, header::LINK, 5), Part::Section(5), Index, "section 5: no such index"),
    (
        |f| f.section(SHT_STRTAB, header::OFFSET, u64::MAX),
        Part::Section(1),
        Malformed("the section lies outside the file"),
        "section 1: malformed: the section lies outside the file",
    ),
    (
        |f| f.section(SHT_SYMTAB, header::OFFSET, 1 << 40),
        Part::Section(4),
        Malformed("the section lies outside the file"),
        "section 4: malformed: the section lies outside the file",
    ),
    (
        |f| f.section(SHT_SYMTAB, header::ENTRY_SIZE, 16),
        Part::Section(4),
        Malformed("the size of an entry is not 24"),
        "section 4: malformed: the size of an entry is not 24",
    ),
    (
        |f| f.section(SHT_SYMTAB, header::SIZE, 95),
        Part::Section(4),
        Malformed("the table ends within an entry"),
        "section 4: malformed: the table ends within an entry",
    ),
    // Sections.
    (
        |f| f.section(SHT_PROGBITS, header::NAME, 0xffff),
        Part::Section(2),
        Malformed("the name is not in the string table, or not UTF-8"),
        "section 2: malformed: the name is not in the string table, or not UTF-8",
    ),
    (
        |f| f.section(SHT_PROGBITS, header::SIZE, 1 << 40),
        Part::Section(2),
        Malformed("the section lies outside the file"),
        "section 2: malformed: the section lies outside the file",
    ),
    (
        |f| f.section(SHT_PROGBITS, header::ALIGN, 12),
        Part::Section(2),
        Malformed("the alignment is not a power of two"),
        "section 2: malformed: the alignment is not a power of two",
    ),
    (
        |f| f.section(SHT_PROGBITS, header::FLAGS, 0x406),
        Part::Section(2),
        Malformed("thread-local storage is executable"),
        "section 2: malformed: thread-local storage is executable",
    ),
    (
        |f| f.section(SHT_PROGBITS, header::FLAGS, 0x806),
        Part::Section(2),
        Malformed("a loaded section is compressed"),
        "section 2: malformed: a loaded section is compressed",
    ),
    (
        |f| f.section(SHT_PROGBITS, header::FLAGS, 7),
        Part::Section(2),
        Unsupported("a section both writable and executable"),
        "section 2: not supported: a section both writable and executable",
    ),
    // Relocations.
    (
        |f| f.section(SHT_RELA, header::TYPE, 9),
        Part::Section(3),
        Malformed("the size of an entry is not 16"),
        "section 3: malformed: the size of an entry is not 16",
    ),
    (
        |f| {
            f.section(SHT_RELA, header::TYPE, 9);
            f.section(SHT_REL, header::ENTRY_SIZE, 16);
            f.section(SHT_REL, header::SIZE, 17);
        },
        Part::Section(3),
        Malformed("the table ends within an entry"),
        "section 3: malformed: the table ends within an entry",
    ),
    (
        |f| {
            f.section(SHT_RELA, header::TYPE, 9);
            f.section(SHT_REL, header::ENTRY_SIZE, 16);
            f.section(SHT_REL, header::SIZE, 16);
            f.section(SHT_PROGBITS, header::SIZE, 3);
        },
        Part::Relocation(3, 0),
        Malformed("an implicit addend lies outside its section"),
        "section 3, relocation 0: malformed: an implicit addend lies outside its section",
    ),
    // Compressed ones: the number of them and three bits, then of each its offset with what follows.
    (
        |f| f.compress(&[]),
        Part::Section(3),
        Malformed("the compressed relocations end too early"),
        "section 3: malformed: the compressed relocations end too early",
    ),
    (
        |f| f.compress(&[0x80]),
        Part::Section(3),
        Malformed("the compressed relocations end too early"),
        "section 3: malformed: the compressed relocations end too early",
    ),
    (
        |f| f.compress(&[2 << 3, 0]),
        Part::Section(3),
        Malformed("the compressed relocations end too early"),
        "section 3: malformed: the compressed relocations end too early",
    ),
    (
        |f| f.compress(&[0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        Part::Section(3),
        Malformed("the compressed relocations end too early"),
        "section 3: malformed: the compressed relocations end too early",
    ),
    (
        |f| f.compress(&[1 << 3, 0x80]),
        Part::Relocation(3, 0),
        Malformed("the compressed relocations end too early"),
        "section 3, relocation 0: malformed: the compressed relocations end too early",
    ),
    (
        |f| f.compress(&[1 << 3 | 4, 4]),
        Part::Relocation(3, 0),
        Malformed("the compressed relocations end too early"),
        "section 3, relocation 0: malformed: the compressed relocations end too early",
    ),
    (
        |f| f.compress(&[2 << 3 | 4, 0, 3, 1]),
        Part::Relocation(3, 1),
        Malformed("the compressed relocations end too early"),
        "section 3, relocation 1: malformed: the compressed relocations end too early",
    ),
    (
        |f| f.compress(&[0, 0]),
        Part::Section(3),
        Malformed("the compressed relocations end before their section"),
        "section 3: malformed: the compressed relocations end before their section",
    ),
    (
        |f| f.compress(&[1 << 3, 0, 0]),
        Part::Relocation(3, 0),
        Malformed("the compressed relocations end before their section"),
        "section 3, relocation 0: malformed: the compressed relocations end before their section",
    ),
    (
        |f| f.compress(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]),
        Part::Section(3),
        Malformed("a number of compressed relocations has more than 64 bits"),
        "section 3: malformed: a number of compressed relocations has more than 64 bits",
    ),
    (
        |f| f.compress(&[1 << 3, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2]),
        Part::Relocation(3, 0),
        Malformed("a number of compressed relocations has more than 64 bits"),
        "section 3, relocation 0: malformed: a number of compressed relocations has more than 64 bits",
    ),
    (
        |f| f.compress(&[1 << 3, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1]),
        Part::Relocation(3, 0),
        Malformed("a number of compressed relocations has more than 64 bits"),
        "section 3, relocation 0: malformed: a number of compressed relocations has more than 64 bits",
    ),
    (
        |f| f.compress(&[1 << 3, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]),
        Part::Relocation(3, 0),
        Malformed("a number of compressed relocations has more than 64 bits"),
        "section 3, relocation 0: malformed: a number of compressed relocations has more than 64 bits",
    ),
    (
        // A type of 9999.
        |f| f.compress(&[1 << 3 | 4, 2, 0x8f, 0xce, 0]),
        Part::Relocation(3, 0),
        Unknown("relocation type", 9999),
        "section 3, relocation 0: unknown relocation type 9999",
    ),
    (
        // A CALL26 without an addend of its own.
        |f| {
            f.compress(&[1 << 3, 2, 0x9b, 2]);
            f.section(SHT_PROGBITS, header::SIZE, 3);
        },
        Part::Relocation(3, 0),
        Malformed("an implicit addend lies outside its section"),
        "section 3, relocation 0: malformed: an implicit addend lies outside its section",
    ),
    (
        |f| f.section(SHT_RELA, header::ENTRY_SIZE, 16),
        Part::Section(3),
        Malformed("the size of an entry is not 24"),
        "section 3: malformed: the size of an entry is not 24",
    ),
    (
        |f| f.section(SHT_RELA, header::SIZE, 47),
        Part::Section(3),
        Malformed("the table ends within an entry"),
        "section 3: malformed: the table ends within an entry",
    ),
    (
        |f| f.section(SHT_RELA, header::OFFSET, 1 << 40),
        Part::Section(3),
        Malformed("the section lies outside the file"),
        "section 3: malformed: the section lies outside the file",
    ),
    (
        |f| f.section(SHT_RELA, header::INFO, 5),
        Part::Section(3),
        Malformed("the relocations are for a section that is not there"),
        "section 3: malformed: the relocations are for a section that is not there",
    ),
    (
        |f| f.entry(SHT_RELA, 1, RELOCATION_TYPE, 9999),
        Part::Relocation(3, 1),
        Unknown("relocation type", 9999),
        "section 3, relocation 1: unknown relocation type 9999",
    ),
    // Symbols.
    (
        |f| f.symbol(3, symbol::NAME, 0xffff),
        Part::Symbol(3),
        Malformed("the name is not in the string table, or not UTF-8"),
        "symbol 3: malformed: the name is not in the string table, or not UTF-8",
    ),
    (
        |f| {
            let name = f.get(f.get(f.find(SHT_SYMTAB).0, header::OFFSET) + 24 * 3, symbol::NAME);
            let names = f.get(f.find(SHT_STRTAB).0, header::OFFSET);
            f.0[names + name] = 0xff;
        },
        Part::Symbol(3),
        Malformed("the name is not in the string table, or not UTF-8"),
        "symbol 3: malformed: the name is not in the string table, or not UTF-8",
    ),
    (
        |f| f.rename(2, 0x4001),
        Part::Symbol(2),
        Unsupported("a name of more than 16 KiB"),
        "symbol 2: not supported: a name of more than 16 KiB",
    ),
    (
        |f| {
            f.symbol(2, symbol::INFO, 0x16);
            f.symbol(2, symbol::SECTION, 0xfff2);
        },
        Part::Symbol(2),
        Unsupported("a common thread-local variable (-fcommon)"),
        "symbol 2: not supported: a common thread-local variable (-fcommon)",
    ),
    (
        |f| f.symbol(2, symbol::INFO, 0x72),
        Part::Symbol(2),
        Unknown("symbol binding", 7),
        "symbol 2: unknown symbol binding 7",
    ),
    (
        |f| f.symbol(2, symbol::SECTION, 5),
        Part::Symbol(2),
        Malformed("it is in a section that is not there"),
        "symbol 2: malformed: it is in a section that is not there",
    ),
    (
        |f| f.symbol(2, symbol::SECTION, 0xffff),
        Part::Symbol(2),
        Malformed("it is in a section that is not there"),
        "symbol 2: malformed: it is in a section that is not there",
    ),
    (
        |f| {
            f.symbol(2, symbol::SECTION, 0xfff2);
            f.symbol(2, symbol::VALUE, 12);
        },
        Part::Symbol(2),
        Malformed("the alignment is not a power of two"),
        "symbol 2: malformed: the alignment is not a power of two",
    ),
];

/// Changes of `comdat.o`: the group is section 3 and has one member; its signature is symbol 1.
const GROUP: &[Case] = &[
    (
        |f| f.section(SHT_GROUP, header::SIZE, 7),
        Part::Section(3),
        Malformed("a section group ends within a member"),
        "section 3: malformed: a section group ends within a member",
    ),
    (
        |f| f.section(SHT_GROUP, header::SIZE, 0),
        Part::Section(3),
        Malformed("a section group has no flags"),
        "section 3: malformed: a section group has no flags",
    ),
    (
        |f| f.section(SHT_GROUP, header::INFO, 9),
        Part::Section(3),
        Malformed("the signature of a section group is not in the symbol table"),
        "section 3: malformed: the signature of a section group is not in the symbol table",
    ),
    (
        // A section's symbol, of no section.
        |f| {
            f.symbol(1, symbol::INFO, 3);
            f.symbol(1, symbol::SECTION, 0xfff1);
        },
        Part::Section(3),
        Malformed("the signature of a section group is not in the symbol table"),
        "section 3: malformed: the signature of a section group is not in the symbol table",
    ),
    (
        |f| {
            let members = f.get(f.find(SHT_GROUP).0, header::OFFSET);
            f.set(members, 4..8, 6);
        },
        Part::Section(3),
        Malformed("a member of a section group is not there"),
        "section 3: malformed: a member of a section group is not there",
    ),
];

#[test]
fn each_change_is_refused_for_what_it_breaks() {
    for (name, cases) in [("bad/address.o", OBJECT), ("bad/comdat.o", GROUP)] {
        let file = File::new(name);
        assert_eq!(errors(&file.0), [], "{name}");
        for &(change, part, problem, line) in cases {
            let mut file = file.clone();
            change(&mut file);
            assert_eq!(errors(&file.0), [part.error(problem)], "{name}: {line}");
            assert_eq!(part.error(problem).to_string(), line);
        }
    }
}

#[test]
fn every_problem_of_the_reader_has_its_change() {
    let sources = [
        include_str!("../src/formats/elf.rs"),
        include_str!("../src/formats/file.rs"),
        include_str!("../src/formats/relocations.rs"),
        include_str!("../src/formats/crel.rs"),
        include_str!("../src/formats/strings.rs"),
    ];
    let known: BTreeSet<String> = sources.into_iter().flat_map(texts::problems).collect();
    let reached = OBJECT.iter().chain(GROUP).filter_map(|(_, _, problem, _)| match problem {
        Malformed(text) | Unsupported(text) | Unknown(text, _) => Some((*text).to_owned()),
        _ => None,
    });
    assert_eq!(known, reached.collect());
}

/// What `llvm-readelf` 19 and AAELF64 2026Q2 call the dynamic relocations, but for 1029, which debug information may have.
const DYNAMIC: [(u64, &str); 12] = [
    (1024, "COPY"),
    (1025, "GLOB_DAT"),
    (1026, "JUMP_SLOT"),
    (1027, "RELATIVE"),
    (1028, "TLS_DTPMOD"),
    (1030, "TLS_TPREL"),
    (1031, "TLSDESC"),
    (1032, "IRELATIVE"),
    (1041, "AUTH_RELATIVE"),
    (1042, "AUTH_GLOB_DAT"),
    (1043, "AUTH_TLSDESC"),
    (1044, "AUTH_IRELATIVE"),
];

#[test]
fn a_dynamic_relocation_is_refused_by_its_name() {
    let file = File::new("bad/address.o");
    for code in (1000..1100).filter(|&code| code != 1029) {
        let mut file = file.clone();
        file.entry(SHT_RELA, 1, RELOCATION_TYPE, code);
        let lines: Vec<_> = errors(&file.0).iter().map(ObjectError::to_string).collect();
        let problem = match DYNAMIC.into_iter().find(|&(dynamic, _)| dynamic == code) {
            Some((_, name)) => {
                format!("not supported: R_AARCH64_{name} is a dynamic relocation: it belongs into a linked image")
            }
            None => format!("unknown relocation type {code}"),
        };
        assert_eq!(lines, [format!("section 3, relocation 1: {problem}")]);
    }
}

#[test]
fn what_is_past_the_end_has_no_such_index() {
    let index = |part: Part| part.error(Index);
    let file = File::new("bad/address.o");
    let object = Elf::parse(&file.0).unwrap();
    assert_eq!(object.section(5), Err(index(Part::Section(5))));
    assert_eq!(object.symbol(4), Err(index(Part::Symbol(4))));
    assert_eq!(object.relocation(3, 2), Err(index(Part::Relocation(3, 2))));
    assert_eq!(object.relocation(5, 0), Err(index(Part::Section(5))));
    assert_eq!(object.member(5, 0), Err(index(Part::Section(5))));
    let file = File::new("bad/comdat.o");
    let object = Elf::parse(&file.0).unwrap();
    assert_eq!(object.member(3, 0), Ok(4));
    assert_eq!(object.member(3, 1), Err(index(Part::Section(3))));
    assert_eq!(object.member(3, usize::MAX), Err(index(Part::Section(3))));
}

#[test]
fn relocations_and_members_outside_the_file_are_refused_by_themselves() {
    let outside = Malformed("the section lies outside the file");
    let mut file = File::new("bad/address.o");
    file.section(SHT_RELA, header::OFFSET, 1 << 40);
    let object = Elf::parse(&file.0).unwrap();
    assert_eq!(object.relocation(3, 0), Err(Part::Relocation(3, 0).error(outside)));
    let mut file = File::new("bad/comdat.o");
    file.section(SHT_GROUP, header::OFFSET, 1 << 40);
    let object = Elf::parse(&file.0).unwrap();
    assert_eq!(object.member(3, 0), Err(Part::Section(3).error(outside)));
}

#[test]
fn an_object_without_section_names_is_read() {
    let mut file = File::new("bad/address.o");
    file.set(0, file::NAMES, 0);
    let headers = file.get(0, file::HEADERS);
    for index in 0..file.get(0, file::COUNT) {
        file.set(headers + 64 * index, header::NAME, 0);
    }
    assert_eq!(errors(&file.0), []);
    assert_eq!(Elf::parse(&file.0).unwrap().section(2).unwrap().name, "");
    // It has no other name.
    file.set(headers, header::NAME, 1);
    assert_eq!(errors(&file.0)[0].part, Part::Section(0));
}

const TEXT: u64 = 0x40_0000;
const SLOTS: u64 = 0x60_0000;
/// Where the resolver says that everything is which it knows.
const OUTSIDE: u64 = 0x80_0000;

/// What a link makes: its text, its slots and its symbols.
struct Image {
    text: Vec<u8>,
    slots: Vec<u8>,
    /// What the resolver was asked for.
    asked: Vec<String>,
    symbols: Vec<(String, u64)>,
}

impl Image {
    fn symbol(&self, name: &str) -> u64 {
        let found: Vec<_> = self.symbols.iter().filter(|(found, _)| found == name).collect();
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        found[0].1
    }

    /// Where the BL that is instruction `index` of the text goes.
    fn callee(&self, index: usize) -> u64 {
        let word = u32::from_le_bytes(*self.text[4 * index..].first_chunk().unwrap());
        assert_eq!(word >> 26, 0x25, "{word:#x}");
        (TEXT + 4 * index as u64).wrapping_add_signed(i64::from((word << 6).cast_signed() >> 4))
    }
}

/// Links objects that hold nothing but text, with a resolver that knows `known`; or says why not.
fn link(files: &[&[u8]], known: &[&str]) -> Result<Image, Vec<String>> {
    let inputs: Vec<_> =
        files.iter().map(|bytes| Input { name: "object", object: Elf::parse(bytes).unwrap() }).collect();
    let mut storage = Storage::new(measure(&inputs, 0));
    let mut asked = Vec::new();
    let mut resolve = |name: &str| {
        asked.push(name.to_owned());
        known.contains(&name).then_some(Addr::new(OUTSIDE))
    };
    let mut lines = Vec::new();
    let report = &mut |failure: &Failure<'_>| lines.push(failure.to_string());
    // Slots for calls that might be far are apart from the text.
    let place =
        each(|request| Ok::<_, Infallible>(Addr::new(if request.prot == Prot::ReadExec { TEXT } else { SLOTS })));
    let plan = Plan::new(&inputs, &Options::default(), storage.lend(), &mut resolve, place, report);
    let Ok(plan) = plan else { return Err(lines) };
    let symbols = plan.symbols().map(|found| (found.symbol.name.to_owned(), found.addr.get())).collect();
    let places: Vec<_> = plan.segments().iter().map(|segment| (segment.addr(), segment.size())).collect();
    let mut bytes: Vec<_> = places.iter().map(|&(_, size)| vec![0; size as usize]).collect();
    let memory = bytes.iter_mut().zip(&places).map(|(bytes, &(addr, _))| Section::new(bytes, addr));
    plan.commit(&mut memory.collect::<Vec<_>>()).unwrap();
    let (mut text, mut slots) = (Vec::new(), Vec::new());
    for (bytes, (addr, _)) in bytes.into_iter().zip(places) {
        if addr.get() == TEXT { text = bytes } else { slots = bytes }
    }
    Ok(Image { text, slots, asked, symbols })
}

#[test]
fn versions_of_symbols_are_ignored() {
    let [library, program] = ["versions", "wants-versions"].map(|name| objects::read(&format!("bad/{name}.o")));
    for files in [[&*library, &*program], [&*program, &*library]] {
        let image = link(&files, &["outside"]).unwrap();
        let main = (image.symbol("main") - TEXT) as usize / 4;
        assert_eq!(image.symbol("foo"), image.symbol("new"));
        assert_eq!(image.symbol("foo@V1"), image.symbol("old"));
        assert_eq!([0, 1].map(|at| image.callee(main + at)), [image.symbol("new"); 2]);
        // Through a veneer, for the resolver may answer what is far.
        assert_eq!((image.asked, image.slots), (vec!["outside".to_owned()], OUTSIDE.to_le_bytes().to_vec()));
    }
    let archive = objects::read("bad/versions.a");
    let archive = Archive::parse(&archive).unwrap();
    let names: Vec<_> = archive.index().iter().map(|entry| entry.symbol).collect();
    assert_eq!(names, ["old", "new", "foo@V1", "foo"]);
}

#[test]
fn only_the_names_of_global_symbols_have_versions() {
    // The name, the symbol's type and binding, its section, and what is read.
    for (name, info, section, read) in [
        ("foo@@V2", 0x12, 2, "foo"),
        ("foo@V1", 0x12, 2, "foo@V1"),
        ("foo@V1", 0x22, 2, "foo@V1"),
        ("foo@V1", 0x12, 0, "foo"),
        ("foo@@V2", 0x22, 0, "foo"),
        ("foo@@V2", 0x02, 2, "foo@@V2"),
        ("foo@@V2.c", 0x04, 0xfff1, "foo@@V2.c"),
        ("@@V2", 0x12, 2, "@@V2"),
        ("@V2", 0x12, 0, "@V2"),
        ("foo@", 0x12, 0, "foo"),
    ] {
        let mut file = File::new("bad/address.o");
        file.rename(2, name.len());
        let end = file.0.len() - 1;
        file.0[end - name.len()..end].copy_from_slice(name.as_bytes());
        file.symbol(2, symbol::INFO, info);
        file.symbol(2, symbol::SECTION, section);
        assert_eq!(Elf::parse(&file.0).unwrap().symbol(2).unwrap().name, read, "{name}, {info:#x}, {section}");
    }
}

#[test]
fn a_protected_symbol_is_as_one_of_default_visibility() {
    let [library, program] = ["protected", "wants-protected"].map(|name| objects::read(&format!("bad/{name}.o")));
    // 0 DEFAULT, 1 INTERNAL, 2 HIDDEN, 3 PROTECTED.
    for visibility in 0..4 {
        let mut library = File(library.clone());
        for index in [2, 3] {
            library.symbol(index, symbol::VISIBILITY, visibility);
            let hidden = Elf::parse(&library.0).unwrap().symbol(index).unwrap().hidden;
            assert_eq!(hidden, visibility == 1 || visibility == 2);
        }
        // Within the link each is found, whatever the resolver knows.
        for files in [[&*library.0, &*program], [&*program, &*library.0]] {
            let image = link(&files, &["kept", "given"]).unwrap();
            let [kept, main] = ["kept", "main"].map(|name| image.symbol(name));
            assert_eq!(image.callee((main - TEXT) as usize / 4), kept);
            assert_eq!(image.callee((kept - TEXT) as usize / 4), image.symbol("given"));
            assert!(image.asked.is_empty(), "{:?}", image.asked);
        }
        // Outside it, a hidden one is not looked for.
        let alone = link(&[&library.0], &["given"]);
        match visibility {
            1 | 2 => assert_eq!(alone.err().unwrap(), ["object: .text+0x4: undefined (symbol 'given')"]),
            _ => assert_eq!(alone.unwrap().slots, OUTSIDE.to_le_bytes()),
        }
    }
}

/// An object of `count` sections `.text.N`, each a BL and under a symbol `fN`; the first calls the last.
fn many(count: u32) -> Vec<u8> {
    // The header's, then of the sections: text of each, its relocation, symbols, their sections, names.
    let (headers, text) = (64, 64 + 64 * (count as usize + 5));
    let mut file = File(vec![0; text]);
    let first = 1;
    let [rela, symbols, extension, names] = [1, 2, 3, 4].map(|after| count + after);
    file.0[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    file.set(0, file::TYPE, abi::ET_REL.into());
    file.set(0, file::MACHINE, abi::EM_AARCH64.into());
    file.set(0, file::HEADERS, headers);
    file.set(0, file::HEADER_SIZE, 64);
    // gABI, "ELF Header": numbers too large for its fields are in the first section header.
    file.set(0, file::NAMES, abi::SHN_XINDEX.into());
    let mut add = |index: u32, kind: u32, name: usize, flags: u32, link: u32, info: u32, bytes: &[u8]| {
        let at = (headers + 64 * u64::from(index)) as usize;
        let entry = match kind {
            SHT_RELA | SHT_SYMTAB => 24,
            _ => 4,
        };
        for (field, value) in [
            (header::NAME, name as u64),
            (header::TYPE, kind.into()),
            (header::FLAGS, flags.into()),
            (header::OFFSET, file.0.len() as u64),
            (header::SIZE, bytes.len() as u64),
            (header::LINK, link.into()),
            (header::INFO, info.into()),
            (header::ALIGN, 4),
            (header::ENTRY_SIZE, entry),
        ] {
            file.set(at, field, value);
        }
        file.0.extend(bytes);
    };
    let (mut strings, mut table, mut sections) = (vec![0], vec![0; 24], vec![0; 4]);
    for index in 0..count {
        let name = strings.len();
        strings.extend(format!(".text.{index}\0f{index}\0").bytes());
        add(first + index, SHT_PROGBITS, name, 6, 0, 0, &0x9400_0000_u32.to_le_bytes());
        let own = name + format!(".text.{index}\0").len();
        table.extend((own as u32).to_le_bytes());
        // A global function.
        table.extend([0x12, 0]);
        table.extend(abi::SHN_XINDEX.to_le_bytes());
        table.extend([0; 16]);
        sections.extend((first + index).to_le_bytes());
    }
    let call = [0_u64.to_le_bytes(), (u64::from(count) << 32 | 283).to_le_bytes(), 0_u64.to_le_bytes()].concat();
    add(rela, SHT_RELA, 0, 0, symbols, first, &call);
    add(symbols, SHT_SYMTAB, 0, 0, names, 1, &table);
    add(extension, abi::SHT_SYMTAB_SHNDX, 0, 0, symbols, 0, &sections);
    add(names, SHT_STRTAB, 0, 0, 0, 0, &strings);
    file.set(headers as usize, header::SIZE, u64::from(names) + 1);
    file.set(headers as usize, header::LINK, names.into());
    file.0
}

#[test]
fn an_object_has_more_sections_than_its_fields_can_say() {
    const COUNT: u32 = 70_000;
    let start = Instant::now();
    let bytes = many(COUNT);
    let object = Elf::parse(&bytes).unwrap();
    assert_eq!(object.section_count(), COUNT as usize + 5);
    for index in 0..COUNT as usize {
        assert_eq!(object.section(1 + index).unwrap().name, format!(".text.{index}"));
        let definition = object.symbol(1 + index).unwrap().definition;
        assert_eq!(definition, Definition::Section { index: 1 + index, offset: 0 });
    }
    let image = link(&[&bytes], &[]).unwrap();
    assert_eq!(image.text.len(), 4 * COUNT as usize);
    for (index, (name, addr)) in image.symbols.iter().enumerate() {
        assert_eq!((name.clone(), *addr), (format!("f{index}"), TEXT + 4 * index as u64));
    }
    assert_eq!(image.symbols.len(), COUNT as usize);
    assert_eq!(image.callee(0), TEXT + 4 * u64::from(COUNT - 1));
    assert_eq!(image.callee(1), TEXT + 4);
    // Of an emulated machine time says nothing.
    assert!(cfg!(target_arch = "aarch64") || start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}
