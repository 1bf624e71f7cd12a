//! Every way in which an object is refused.

use crate::file::{Entry, File, Header};
use crate::texts;
use aarch64_reloc::formats::macho::MachO;
use aarch64_reloc::link::{Kind, Object};
use std::cell::RefCell;
use std::collections::BTreeSet;

thread_local! {
    /// What this thread has been refused for.
    static REACHED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// All that is wrong with the parts of an object, a line each.
fn faults(bytes: &[u8]) -> Vec<String> {
    let object = match MachO::parse(bytes) {
        Ok(object) => object,
        Err(error) => return vec![error.to_string()],
    };
    let mut lines = Vec::new();
    for index in 0..object.section_count() {
        let count = match object.section(index).map(|section| section.kind) {
            Ok(Kind::Relocations { count, .. }) => count,
            Ok(_) => continue,
            Err(error) => {
                lines.push(error.to_string());
                continue;
            }
        };
        let errors = (0..count).filter_map(|entry| object.relocation(index, entry).err());
        lines.extend(errors.map(|error| error.to_string()));
    }
    let errors = (0..object.symbol_count()).filter_map(|index| object.symbol(index).err());
    lines.extend(errors.map(|error| error.to_string()));
    lines
}

/// `kinds.o`, changed, has one fault, which ends with `line`.
#[track_caller]
fn refused(change: impl FnOnce(&mut File), line: &str) {
    let mut file = File::open("kinds.o");
    assert!(faults(&file.bytes).is_empty());
    change(&mut file);
    let lines = faults(&file.bytes);
    assert!(matches!(&*lines, [only] if only.ends_with(line)), "{lines:#?}, not {line}");
    REACHED.with_borrow_mut(|reached| reached.extend(lines));
}

#[test]
fn every_problem_of_the_reader_is_reached() {
    for test in [other_files, load_commands, more_sections_than_symbols_can_name, sections, symbols, entries, pairs] {
        test();
    }
    let sources = [
        include_str!("../../src/formats/macho.rs"),
        include_str!("../../src/formats/macho/relocations.rs"),
        include_str!("../../src/formats/macho/sections.rs"),
    ];
    let known: BTreeSet<String> = sources.into_iter().flat_map(texts::problems).collect();
    let reached = REACHED.take();
    let missed = known.iter().filter(|text| !reached.iter().any(|line| line.contains(&***text)));
    // That no entry begins a pair is said of what is before one, and no error.
    assert_eq!(missed.collect::<Vec<_>>(), ["no pair begins with this"]);
}

const TEXT: &str = "__TEXT,__text";
const DATA: &str = "__DATA,__data";

/// The first entry of `kind` in a section that a pair, if `paired`, begins for.
fn find(file: &File, section: &str, kind: u8, paired: bool) -> (Header, usize) {
    let header = file.section(section);
    let entries = file.entries(header);
    let is_first = |index: usize| entries[index].kind == kind;
    let begins = |index: usize| index > 0 && matches!(entries[index - 1].kind, 1 | 10);
    (header, (0..entries.len()).find(|&index| is_first(index) && begins(index) == paired).unwrap())
}

/// Changes the first entry of `kind` that no pair begins for.
fn change(section: &str, kind: u8, edit: impl Fn(&mut Entry)) -> impl Fn(&mut File) {
    let section = section.to_owned();
    move |file| {
        let (header, index) = find(file, &section, kind, false);
        let mut entry = file.entry(header, index);
        edit(&mut entry);
        file.set_entry(header, index, entry);
    }
}

/// Replaces the instruction of the first entry of `kind` that no pair begins for.
fn rewrite(kind: u8, edit: impl Fn(u32) -> u32) -> impl Fn(&mut File) {
    move |file| {
        let (header, index) = find(file, TEXT, kind, false);
        let at = file.u32(header.0 + Header::OFFSET) as usize + file.entry(header, index).address as usize;
        file.put(at, edit(file.u32(at)), 4);
    }
}

fn word(at: usize, value: u32) -> impl Fn(&mut File) {
    move |file| file.put(at, value, 4)
}

fn field(section: &str, field: usize, value: u32) -> impl Fn(&mut File) {
    let section = section.to_owned();
    move |file| file.put(file.section(&section).0 + field, value, 4)
}

/// Writes a byte of the symbol `name`.
fn symbol(name: &str, offset: usize, value: u8) -> impl Fn(&mut File) {
    let name = name.to_owned();
    move |file| {
        let at = file.symbol_at(file.symbol(&name)) + offset;
        file.bytes[at] = value;
    }
}

#[test]
fn other_files() {
    let not = "malformed: not a Mach-O file";
    refused(|file| file.bytes.clear(), not);
    refused(|file| file.bytes[..4].copy_from_slice(b"\x7fELF"), not);
    refused(|file| file.bytes.truncate(20), "malformed: file header");
    refused(word(0, 0xfeed_face), "not supported: a 32-bit object (arm64_32 among them)");
    refused(word(0, 0xcffa_edfe), "not supported: a big-endian object");
    refused(word(0, 0xcefa_edfe), "not supported: a big-endian object");
    for magic in [0xbeba_feca_u32, 0xbfba_feca] {
        refused(word(0, magic), "not supported: a universal file (fat), of which each part is an object");
    }
    refused(word(4, 0x0100_0007), "unknown CPU type 16777223");
    refused(word(4, 0x0200_000c), "not supported: arm64_32");
    for subtype in [2_u32, 0x8000_0002, 0xc100_0002] {
        refused(word(8, subtype), "not supported: arm64e, whose pointers are signed");
    }
    refused(word(8, 9), "unknown CPU subtype 9");
    refused(word(12, 2), "not supported: an executable (MH_EXECUTE), not a relocatable object");
    refused(word(12, 6), "not supported: a library (MH_DYLIB), not a relocatable object");
    refused(word(12, 8), "not supported: a bundle (MH_BUNDLE), not a relocatable object");
    refused(word(12, 77), "unknown file type 77");
}

#[test]
fn load_commands() {
    refused(word(16, 1000), "malformed: the load commands");
    refused(word(20, 0x7fff_ffff), "malformed: the load commands");
    refused(word(36, 4), "malformed: the load commands");
    refused(word(36, 40), "malformed: a load command is too short");
    for number in [2, 11] {
        let cut = move |file: &mut File| file.put(file.commands(number)[0] + 4, 8_u32, 4);
        refused(cut, "malformed: a load command is too short");
    }
    let again = "malformed: two commands LC_SEGMENT_64, or two LC_SYMTAB";
    // LC_DYSYMTAB, the last.
    for number in [0x2_u32, 0x19] {
        refused(|file| file.put(file.commands(0xb)[0], number, 4), again);
    }
    refused(word(32 + 64, 200), "malformed: the sections end within LC_SEGMENT_64");
    let outside = "malformed: the symbols, or their names, lie outside the file";
    for offset in [8, 12, 16, 20] {
        refused(move |file| file.put(file.commands(2)[0] + offset, 0x1000_0000_u32, 4), outside);
    }
    for offset in [68, 76] {
        let line = "not supported: relocations that are of no section (LC_DYSYMTAB)";
        refused(move |file| file.put(file.commands(11)[0] + offset, 1_u32, 4), line);
    }
}

#[test]
fn more_sections_than_symbols_can_name() {
    for (count, expected) in [(255, None), (256, Some("malformed: more than 255 sections"))] {
        let len = 72 + count * 80;
        // mach_header_64, then segment_command_64 as far as `nsects`.
        let head = [0xfeed_facf, 0x0100_000c, 0, 1, 1, len, 0, 0, 0x19, len];
        let words = head.into_iter().chain([0; 14]).chain([count, 0]).chain((0..count * 20).map(|_| 0));
        let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        let error = MachO::parse(&bytes).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), expected);
        REACHED.with_borrow_mut(|reached| reached.extend(error));
    }
}

#[test]
fn sections() {
    let indirect = "not supported: pointers or stubs of the indirect symbol table";
    for kind in [0x6, 0x7, 0x8, 0x10, 0x14] {
        refused(field(DATA, Header::FLAGS, kind), indirect);
    }
    refused(field(DATA, Header::FLAGS, 0x16), "not supported: offsets of initialisers (S_INIT_FUNC_OFFSETS)");
    refused(field(DATA, Header::FLAGS, 0x17), "section 2: unknown section type 23");
    refused(field(DATA, Header::FLAGS, 0x400), "section 2: not supported: a section both writable and executable");
    let zeros = |file: &mut File| {
        let header = file.section("__DATA,__bss");
        file.rename(header, "__TEXT,__bss");
        file.put(header.0 + Header::FLAGS, 0x8000_0001_u32, 4);
    };
    refused(zeros, "malformed: instructions that are zeros");
    refused(field(DATA, Header::ALIGN, 64), "section 2: malformed: the alignment is more than 2^63");
    refused(field(DATA, Header::OFFSET, 0x1000_0000), "section 2: malformed: the section lies outside the file");
    refused(field(DATA, Header::RELOFF, 0x1000_0000), "section 2: malformed: the relocations lie outside the file");
    refused(|file| file.bytes[32 + 72] = 0xff, "section 1: malformed: its name is not UTF-8");
    let overlap = |file: &mut File| {
        for name in [TEXT, DATA] {
            field(name, Header::RELOFF, 0)(file);
            field(name, Header::NRELOC, file.bytes.len() as u32 / 16 + 1)(file);
        }
    };
    refused(overlap, "malformed: the sections overlap");
}

#[test]
fn indices() {
    let file = File::open("kinds.o");
    let object = MachO::parse(&file.bytes).unwrap();
    let (sections, symbols) = (object.section_count(), object.symbol_count());
    let line = |error: aarch64_reloc::link::ObjectError| error.to_string();
    assert_eq!(object.section(sections).map_err(line), Err(format!("section {sections}: no such index")));
    assert_eq!(object.section(usize::MAX).map_err(line), Err(format!("section {}: no such index", usize::MAX)));
    assert_eq!(object.symbol(symbols).map_err(line), Err(format!("symbol {symbols}: no such index")));
    assert_eq!(object.relocation(1, 0).map_err(line), Err("section 1: no such index".to_owned()));
    assert_eq!(object.relocation(sections, 0).map_err(line), Err(format!("section {sections}: no such index")));
    let of_text = sections / 2 + 1;
    let expected = Err("section 1, relocation 1000: no such index".to_owned());
    assert_eq!(object.relocation(of_text, 1000).map_err(line), expected);
    assert_eq!(object.member(1, 0).map_err(line), Err("section 1: no such index".to_owned()));
}

/// Has `_data` one byte more of a name than there may be, behind all others in a table at the end of the file.
fn rename_long(file: &mut File) {
    let symtab = file.symtab();
    let (names, len) = (file.u32(symtab + 16) as usize, file.u32(symtab + 20) as usize);
    let moved = file.bytes.len();
    file.bytes.extend_from_within(names..names + len);
    file.bytes.resize(moved + len + 0x4001, b'n');
    file.bytes.push(0);
    let symbol = file.symbol("_data");
    file.put(file.symbol_at(symbol), len as u64, 4);
    file.put(symtab + 16, moved as u64, 4);
    file.put(symtab + 20, (file.bytes.len() - moved) as u64, 4);
}

#[test]
fn symbols() {
    // n_strx, n_type, n_sect, n_desc, n_value
    refused(symbol("_data", 4, 0x0b), "not supported: an alias (N_INDR)");
    refused(symbol("_data", 4, 0x0d), "not supported: a prebound symbol (N_PBUD)");
    let line = "not supported: a function that is chosen when the program runs (N_SYMBOL_RESOLVER)";
    refused(symbol("_data", 7, 1), line);
    refused(symbol("_data", 4, 0x05), "unknown symbol type 4");
    refused(symbol("_elsewhere", 4, 0), "malformed: it is neither defined (N_UNDF) nor external (N_EXT)");
    for section in [0, 200] {
        refused(symbol("_data", 5, section), "malformed: it is in a section that is not there");
    }
    refused(symbol("_data", 8, 0), "malformed: its address is not in its section");
    refused(symbol("_data", 10, 1), "malformed: its address is not in its section");
    refused(symbol("_data", 3, 1), "malformed: the name is not in the string table, or not UTF-8");
    refused(rename_long, "not supported: a name of more than 16 KiB");
}

#[test]
fn entries() {
    let kinds = [
        (2, "BRANCH26"),
        (3, "PAGE21"),
        (4, "PAGEOFF12"),
        (5, "GOT_LOAD_PAGE21"),
        (6, "GOT_LOAD_PAGEOFF12"),
        (8, "TLVP_LOAD_PAGE21"),
        (9, "TLVP_LOAD_PAGEOFF12"),
    ];
    for (kind, name) in kinds {
        let line = format!("malformed: ARM64_RELOC_{name} with a wrong r_pcrel, r_length or r_extern");
        refused(change(TEXT, kind, |entry| entry.pcrel ^= true), &line);
        refused(change(TEXT, kind, |entry| entry.length = 3), &line);
        refused(change(TEXT, kind, |entry| entry.is_extern = false), &line);
        let line = format!("malformed: ARM64_RELOC_{name} at another instruction, or one with an addend in itself");
        // NOP
        refused(rewrite(kind, |_| 0xd503_201f), &line);
        // The lowest bit of the field.
        let bit = [0, 0, 0, 5, 10, 5, 10, 0, 5, 10][usize::from(kind)];
        refused(rewrite(kind, |word| word | 1 << bit), &line);
        refused(change(TEXT, kind, |entry| entry.address = 0x1000), "malformed: the place is not in its section");
        refused(
            change(TEXT, kind, |entry| entry.symbol = 0xff_ffff),
            "malformed: its symbol is not in the symbol table",
        );
    }
    // The first symbol that stands for a section is no symbol of the file.
    let count = File::open("kinds.o").symbol_count() as u32;
    refused(change(TEXT, 2, |entry| entry.symbol = count), "malformed: its symbol is not in the symbol table");
    refused(change(TEXT, 2, |entry| entry.address |= 1 << 31), "not supported: a scattered relocation");
    let line = "not supported: ARM64_RELOC_AUTHENTICATED_POINTER: a pointer is signed when the program runs";
    refused(change(DATA, 0, |entry| entry.kind = 11), line);
    for kind in 12..16 {
        refused(change(DATA, 0, |entry| entry.kind = kind), &format!("unknown relocation type {kind}"));
    }
    let line = "malformed: ARM64_RELOC_UNSIGNED that is relative, or not of 4 or 8 bytes";
    refused(change(DATA, 0, |entry| entry.pcrel = true), line);
    for length in [0, 1] {
        refused(change(DATA, 0, |entry| entry.length = length), line);
    }
    refused(change(DATA, 0, |entry| entry.address = 0x1000), "malformed: the place is not in its section");
    for section in [0, 200] {
        let local = move |entry: &mut Entry| (entry.is_extern, entry.symbol) = (false, section);
        refused(change(DATA, 0, local), "malformed: its target is in a section that is not there");
    }
    let line = "not supported: ARM64_RELOC_POINTER_TO_GOT of 8 bytes: the address of a slot itself";
    refused(change(DATA, 7, |entry| (entry.pcrel, entry.length) = (false, 3)), line);
    let line = "malformed: ARM64_RELOC_POINTER_TO_GOT with a wrong r_pcrel, r_length or r_extern";
    refused(change(DATA, 7, |entry| entry.length = 3), line);
    refused(change(DATA, 7, |entry| entry.pcrel = false), line);
    refused(change(DATA, 7, |entry| entry.is_extern = false), line);
    refused(change(DATA, 7, |entry| entry.address = 0x1000), "malformed: the place is not in its section");
}

#[test]
fn pairs() {
    let addend = "malformed: ARM64_RELOC_ADDEND without BRANCH26, PAGE21 or PAGEOFF12 after it";
    let subtractor = "malformed: ARM64_RELOC_SUBTRACTOR without UNSIGNED of its size after it";
    // What comes after the first of a pair is of another place, or of another kind.
    for (section, kind, line) in [(TEXT, 10, addend), (DATA, 1, subtractor)] {
        refused(change(section, kind, |entry| entry.address += 4), line);
        refused(
            |file| {
                let (header, index) = find(file, section, kind, false);
                // Missing: the table ends.
                let end = index as u32 + 1;
                file.put(header.0 + Header::NRELOC, end, 4);
            },
            line,
        );
        refused(
            |file| {
                // Doubled: the first stands once more before itself.
                let (header, index) = find(file, section, kind, false);
                let entry = file.entry(header, index);
                file.set_entry(header, index - 1, entry);
            },
            line,
        );
        refused(
            |file| {
                // Out of order: the second comes first, and what comes after the first is of another place.
                let (header, index) = find(file, section, kind, false);
                let (first, second) = (file.entry(header, index), file.entry(header, index + 1));
                file.set_entry(header, index, second);
                file.set_entry(header, index + 1, first);
            },
            line,
        );
    }
    let shape = "malformed: ARM64_RELOC_ADDEND with a wrong r_pcrel, r_length or r_extern";
    refused(change(TEXT, 10, |entry| entry.pcrel = true), shape);
    refused(change(TEXT, 10, |entry| entry.length = 3), shape);
    refused(change(TEXT, 10, |entry| entry.is_extern = true), shape);
    let shape = "malformed: ARM64_RELOC_SUBTRACTOR with a wrong r_pcrel, r_length or r_extern";
    refused(change(DATA, 1, |entry| entry.pcrel = true), shape);
    refused(change(DATA, 1, |entry| entry.length = 1), shape);
    refused(change(DATA, 1, |entry| entry.is_extern = false), shape);
    refused(change(DATA, 1, |entry| entry.length ^= 1), subtractor);
    refused(change(DATA, 1, |entry| entry.symbol = 0xff_ffff), "malformed: its symbol is not in the symbol table");
    // An addend goes before no load from the GOT.
    let (header, index) = find(&File::open("kinds.o"), TEXT, 10, false);
    let before_slot = |file: &mut File| {
        let at = file.entry(header, index).address;
        let (_, slot) = find(file, TEXT, 6, false);
        let entry = file.entry(header, slot);
        let offset = file.u32(header.0 + Header::OFFSET) as usize;
        let word = file.u32(offset + entry.address as usize);
        file.put(offset + at as usize, word, 4);
        file.set_entry(header, index + 1, Entry { address: at, ..entry });
    };
    refused(before_slot, addend);
}
