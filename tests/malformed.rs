//! Objects whose headers lie: each is refused for what it is, and none costs more than its size.
#![cfg(feature = "link")]

#[allow(dead_code)]
mod objects;

use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::link::{Definition, Object, ObjectError, Part, Problem};
use elf::abi;
use elf::endian::LittleEndian;
use elf::{ElfBytes, section::SectionHeader};

/// A field of a section header: where it is in there, and how long it is.
type Field = std::ops::Range<usize>;
const TYPE: Field = 4..8;
const OFFSET: Field = 24..32;
const SIZE: Field = 32..40;
const LINK: Field = 40..44;

/// The text of a problem, in a build that has the texts.
const fn told(text: &'static str) -> &'static str {
    if cfg!(feature = "full") { text } else { "" }
}

/// The bytes of an object, to be changed.
struct File(Vec<u8>);

impl File {
    fn new(name: &str) -> Self {
        Self(objects::read(name))
    }

    /// The first section of a type.
    fn find(&self, kind: u32) -> (usize, SectionHeader) {
        let file = ElfBytes::<LittleEndian>::minimal_parse(&self.0).unwrap();
        file.section_headers().unwrap().iter().enumerate().find(|(_, header)| header.sh_type == kind).unwrap()
    }

    /// Changes a field of the header of section `index`.
    fn set(&mut self, index: usize, field: Field, value: u64) {
        let headers = u64::from_le_bytes(self.0[40..48].try_into().unwrap()) as usize;
        let len = field.len();
        self.0[headers + 64 * index..][field].copy_from_slice(&value.to_le_bytes()[..len]);
    }

    /// Appends `bytes` and makes them those of section `index`.
    fn replace(&mut self, index: usize, bytes: &[u8]) {
        self.set(index, OFFSET, self.0.len() as u64);
        self.set(index, SIZE, bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn refused(&self) -> ObjectError {
        Elf::parse(&self.0).unwrap_err()
    }
}

#[test]
#[cfg_attr(not(feature = "full"), ignore = "groups are left out")]
fn a_table_that_ends_within_an_entry_is_refused() {
    let mut file = File::new("bad/address.o");
    let (index, header) = file.find(abi::SHT_RELA);
    file.set(index, SIZE, header.sh_size - 1);
    let malformed = |what| Part::Section(index).error(Problem::Malformed(what));
    let error = Elf::parse(&file.0).unwrap().section(index).unwrap_err();
    assert_eq!(error, malformed("the table ends within an entry"));

    let mut file = File::new("bad/address.o");
    let (index, header) = file.find(abi::SHT_SYMTAB);
    file.set(index, SIZE, header.sh_size - 8);
    assert_eq!(file.refused(), Part::Section(index).error(Problem::Malformed("the table ends within an entry")));

    let mut file = File::new("bad/comdat.o");
    let (index, header) = file.find(abi::SHT_GROUP);
    file.set(index, SIZE, header.sh_size - 1);
    let error = Elf::parse(&file.0).unwrap().section(index).unwrap_err();
    assert_eq!(error, Part::Section(index).error(Problem::Malformed("a section group ends within a member")));
}

#[test]
fn sections_that_overlap_are_refused() {
    // Relocations over all of the file: with more headers of the kind there would be any number of them.
    let mut file = File::new("bad/address.o");
    let (index, _) = file.find(abi::SHT_RELA);
    file.set(index, OFFSET, 0);
    file.set(index, SIZE, file.0.len() as u64 / 24 * 24);
    assert_eq!(file.refused(), Part::File.error(Problem::Malformed(told("the sections overlap"))));
}

#[test]
fn a_name_has_a_longest_length() {
    let mut file = File::new("bad/address.o");
    let (_, symbols) = file.find(abi::SHT_SYMTAB);
    let last = (symbols.sh_size / 24 - 1) as usize;
    let at = symbols.sh_offset as usize + 24 * last;
    file.0[at..at + 4].copy_from_slice(&1_u32.to_le_bytes());
    for (len, fits) in [(16384, true), (16385, false)] {
        let mut names = vec![0; 1];
        names.resize(1 + len, b'n');
        names.push(0);
        let mut file = File(file.0.clone());
        file.replace(symbols.sh_link as usize, &names);
        let object = Elf::parse(&file.0).unwrap();
        match object.symbol(last) {
            Ok(symbol) => assert!(fits && symbol.name.len() == len),
            Err(error) => {
                assert!(!fits);
                assert_eq!(error, Part::Symbol(last).error(Problem::Unsupported(told("a name of more than 16 KiB"))));
            }
        }
    }
}

#[test]
fn the_extension_of_another_table_is_not_taken() {
    let mut file = File::new("bad/address.o");
    let (table, symbols) = file.find(abi::SHT_SYMTAB);
    let (text, _) = file.find(abi::SHT_PROGBITS);
    let (victim, _) = file.find(abi::SHT_RELA);
    let last = (symbols.sh_size / 24 - 1) as usize;
    let at = symbols.sh_offset as usize + 24 * last;
    file.0[at + 6..at + 8].copy_from_slice(&abi::SHN_XINDEX.to_le_bytes());
    file.set(victim, TYPE, abi::SHT_SYMTAB_SHNDX.into());
    file.replace(victim, &(text as u32).to_le_bytes().repeat(last + 1));
    for (link, taken) in [(table, true), (table + 1, false)] {
        file.set(victim, LINK, link as u64);
        let symbol = Elf::parse(&file.0).unwrap().symbol(last);
        let found =
            symbol.is_ok_and(|symbol| matches!(symbol.definition, Definition::Section { index, .. } if index == text));
        // In a small build there is no such table.
        assert_eq!(found, taken && cfg!(feature = "full"));
    }
}

#[test]
fn bitcode_is_refused_as_such() {
    let error = Elf::parse(b"BC\xc0\xde\x35\x14").unwrap_err();
    let line = if cfg!(feature = "full") { "not supported: LLVM bitcode, not machine code" } else { "malformed" };
    assert_eq!(error.to_string(), line);
}
