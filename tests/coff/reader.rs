//! Each of the reader's errors, reached by a change of a real object, and what few objects have.

use super::file::{File, auxiliary, entry, head, header, symbol};
use super::{identity, objects, texts};
use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::coff::Coff;
use aarch64_reloc::link::{
    Alike, Binding, Content, Definition, Failure, Input, Kind, Object, ObjectError, Options, Part, Plan, Problem,
    Section, Storage, Symbol, each, measure,
};
use aarch64_reloc::reloc::Reloc;
use std::collections::BTreeSet;
use std::convert::Infallible;

/// All that is wrong with an object.
fn errors(bytes: &[u8]) -> Vec<ObjectError> {
    let object = match Coff::parse(bytes) {
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
    // A section is asked for as a group, as itself and as relocations, each of which needs its bytes.
    errors.dedup_by_key(|error| error.problem);
    errors
}

/// A change, the part that it breaks, and how.
type Case = (fn(&mut File), Part, Problem);

use Problem::{Malformed, Unknown, Unsupported};

/// Of `other.obj`: sections 1 `.text`, 2 `.data`, 3 `.bss`, 4 of a long name, 5 `.text` of COMDAT `named`, 6 `.rdata`,
/// associative with it. Their symbols are 0, 2, 4, 6, 8 and 11, `named` is 10, `other` 13, `shared` 14.
const OBJECT: &[Case] = &[
    // The file.
    (|f| f.0.clear(), Part::File, Malformed("file header")),
    (|f| f.0.truncate(19), Part::File, Malformed("file header")),
    (|f| f.0[..8].copy_from_slice(b"!<arch>\n"), Part::File, Unsupported("an archive")),
    (|f| f.0[..8].copy_from_slice(b"!<thin>\n"), Part::File, Unsupported("an archive")),
    (|f| f.0[..4].copy_from_slice(b"BC\xc0\xde"), Part::File, Unsupported("LLVM bitcode, not machine code")),
    (|f| f.0[..2].copy_from_slice(b"MZ"), Part::File, Unsupported("an image (MZ), not a relocatable object")),
    (|f| f.set(0, head::MACHINE, 0x8664), Part::File, Unknown("machine", 0x8664)),
    (
        |f| f.set(0, head::MACHINE, 0xa641),
        Part::File,
        Unsupported("code that emulated code can call (IMAGE_FILE_MACHINE_ARM64EC)"),
    ),
    (
        |f| f.set(0, head::MACHINE, 0xa64e),
        Part::File,
        Unsupported("code both emulated and not (IMAGE_FILE_MACHINE_ARM64X)"),
    ),
    (
        |f| f.0[..6].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0]),
        Part::File,
        Unsupported("an import (a short member of an import library)"),
    ),
    (
        |f| f.0[..6].copy_from_slice(&[0, 0, 0xff, 0xff, 1, 0]),
        Part::File,
        Unsupported("an anonymous object, such as of /GL, not machine code"),
    ),
    (
        |f| {
            f.0.truncate(5);
            f.0[..5].copy_from_slice(&[0, 0, 0xff, 0xff, 1]);
        },
        Part::File,
        Malformed("file header"),
    ),
    (|f| f.set(0, head::SECTIONS, 0xffff), Part::File, Malformed("the headers of sections lie outside the file")),
    (|f| f.set(0, head::SYMBOLS_AT, 0xffff_ffff), Part::File, Malformed("the symbols lie outside the file")),
    (|f| f.set(0, head::SYMBOLS, 0xffff_ffff), Part::File, Malformed("the symbols lie outside the file")),
    (|f| f.0.truncate(f.0.len() - 1), Part::File, Malformed("the names lie outside the file")),
    (
        |f| f.symbol(16, symbol::AUXILIARY, 2),
        Part::File,
        Malformed("the symbols end within the auxiliary records of one"),
    ),
    (
        |f| {
            f.section(1, header::AT, 1);
            f.section(1, header::SIZE, f.0.len() as u64 - 1);
        },
        Part::File,
        Malformed("the sections overlap"),
    ),
    // Sections.
    (|f| f.section(1, header::AT, 0xffff_ffff), Part::Section(1), Malformed("the section lies outside the file")),
    (|f| f.section(4, header::AT, 0), Part::Section(4), Malformed("the section lies outside the file")),
    (|f| f.section(2, header::FLAGS, 0xc0f0_0040), Part::Section(2), Malformed("no alignment has the number 15")),
    (
        |f| f.section(2, header::FLAGS, 0xe030_0040),
        Part::Section(2),
        Unsupported("a section both writable and executable"),
    ),
    (
        |f| f.section(2, header::FLAGS, 0xd030_0040),
        Part::Section(2),
        Unsupported("a section shared by processes (IMAGE_SCN_MEM_SHARED)"),
    ),
    (
        |f| f.section(2, header::NAME, u64::from_le_bytes(*b".tls$AAA")),
        Part::Section(2),
        Unsupported("thread-local storage (.tls$)"),
    ),
    (
        |f| f.section(2, header::NAME, u64::from_le_bytes(*b".CRT$XLB")),
        Part::Section(2),
        Unsupported("functions that each thread calls (.CRT$XL, .CRT$XD)"),
    ),
    (
        |f| f.section(2, header::NAME, u64::from_le_bytes(*b".idata$5")),
        Part::Section(2),
        Unsupported("a table of imports (.idata$)"),
    ),
    (
        |f| f.section(2, header::NAME, u64::from_le_bytes(*b".rsrc$01")),
        Part::Section(2),
        Unsupported("resources (.rsrc$)"),
    ),
    (|f| f.section(2, header::NAME, 0xff), Part::Section(2), Malformed("the name is not UTF-8")),
    (
        |f| f.section(2, header::NAME, u64::from_le_bytes(*b"/x\0\0\0\0\0\0")),
        Part::Section(2),
        Malformed("the name of a section is no offset of a name"),
    ),
    (
        |f| f.section(2, header::NAME, u64::from_le_bytes(*b"//AA*AAA")),
        Part::Section(2),
        Malformed("the name of a section is no offset of a name"),
    ),
    (
        |f| f.section(2, header::NAME, u64::from_le_bytes(*b"/3\0\0\0\0\0\0")),
        Part::Section(2),
        Malformed("the name is the length of the string table"),
    ),
    (
        |f| f.section(2, header::NAME, u64::from_le_bytes(*b"/9999\0\0\0")),
        Part::Section(2),
        Malformed("the name is not in the string table, or not UTF-8"),
    ),
    (
        |f| {
            let (names, len) = (f.get(0, head::SYMBOLS_AT) + 18 * f.get(0, head::SYMBOLS), 0x4010);
            f.0.truncate(names + 4);
            f.0.resize(names + len, b'n');
            f.set(names, 0..4, len as u64);
        },
        Part::Section(4),
        Unsupported("a name of more than 16 KiB"),
    ),
    (
        |f| {
            let (names, len) = (f.get(0, head::SYMBOLS_AT) + 18 * f.get(0, head::SYMBOLS), 0x1010);
            f.0.truncate(names + 4);
            f.0.extend(b"n$");
            f.0.resize(names + len - 1, b'o');
            f.0.push(0);
            f.set(names, 0..4, len as u64);
        },
        Part::Section(4),
        Unsupported("an order of more than 4096 bytes behind the name of a section"),
    ),
    // COMDAT sections.
    (|f| f.symbol(9, auxiliary::SELECTION, 7), Part::Section(5), Unsupported("IMAGE_COMDAT_SELECT_NEWEST")),
    (|f| f.symbol(9, auxiliary::SELECTION, 9), Part::Section(5), Unknown("COMDAT selection", 9)),
    (|f| f.section(1, header::FLAGS, 0x6030_1020), Part::Section(1), Unknown("COMDAT selection", 0)),
    (
        |f| {
            f.symbol(9, auxiliary::SELECTION, 2);
            f.symbol(10, symbol::SECTION, 1);
        },
        Part::Section(5),
        Malformed("a COMDAT section without a leader"),
    ),
    (|f| f.symbol(11, symbol::SECTION, 1), Part::Section(6), Malformed("a COMDAT section without a symbol")),
    (
        |f| f.symbol(12, auxiliary::WITH, 7),
        Part::Section(6),
        Malformed("a section is associative with one that is not there"),
    ),
    (
        |f| f.symbol(12, auxiliary::WITH, 6),
        Part::Section(6),
        Unsupported("a section associative with an associative one"),
    ),
    // Relocations.
    (
        |f| f.section(4, header::RELOCATIONS_AT, 0xffff_ffff),
        Part::Section(4),
        Malformed("the relocations lie outside the file"),
    ),
    (
        |f| f.section(4, header::RELOCATIONS, 0xffff),
        Part::Section(4),
        Malformed("the relocations lie outside the file"),
    ),
    (
        |f| {
            f.section(4, header::FLAGS, 0x4110_0040);
            f.entry(4, 0, entry::OFFSET, 0xffff_ffff);
        },
        Part::Section(4),
        Malformed("the relocations lie outside the file"),
    ),
    (
        // The first, which is of the offset 0, says how many there are.
        |f| f.section(4, header::FLAGS, 0x4110_0040),
        Part::Section(4),
        Malformed("the number of relocations is zero (IMAGE_SCN_LNK_NRELOC_OVFL)"),
    ),
    (|f| f.entry(1, 2, entry::KIND, 18), Part::Relocation(1, 2), Unknown("relocation type", 18)),
    (
        |f| f.entry(1, 2, entry::KIND, 12),
        Part::Relocation(1, 2),
        Unsupported("tokens of the Common Language Runtime (IMAGE_REL_ARM64_TOKEN)"),
    ),
    (|f| f.entry(1, 2, entry::OFFSET, 17), Part::Relocation(1, 2), Malformed("the place is outside its section")),
    (
        |f| f.entry(1, 2, entry::OFFSET, 0xffff_ffff),
        Part::Relocation(1, 2),
        Malformed("the place is outside its section"),
    ),
    (
        // `named` begins at 1, and the one place in it is before that.
        |f| f.section(5, header::ADDR, 1),
        Part::Relocation(5, 0),
        Malformed("the place is outside its section"),
    ),
    (|f| f.entry(1, 2, entry::SYMBOL, 1), Part::Relocation(1, 2), Malformed("the symbol is an auxiliary record")),
    (
        |f| f.place(1, 2, 0x9400_0001),
        Part::Relocation(1, 2),
        Unsupported("a branch with an addend (IMAGE_REL_ARM64_BRANCH*)"),
    ),
    (
        |f| f.place(5, 0, 0x1400_0001),
        Part::Relocation(5, 0),
        Unsupported("a branch with an addend (IMAGE_REL_ARM64_BRANCH*)"),
    ),
    (
        |f| {
            f.entry(1, 2, entry::KIND, 15);
            f.place(1, 2, 0x5400_0020);
        },
        Part::Relocation(1, 2),
        Unsupported("a branch with an addend (IMAGE_REL_ARM64_BRANCH*)"),
    ),
    (
        |f| {
            f.entry(1, 2, entry::KIND, 16);
            f.place(1, 2, 0x3600_0020);
        },
        Part::Relocation(1, 2),
        Unsupported("a branch with an addend (IMAGE_REL_ARM64_BRANCH*)"),
    ),
    (
        |f| {
            f.entry(1, 2, entry::KIND, 10);
            f.place(1, 2, 0x9140_0400);
        },
        Part::Relocation(1, 2),
        Unsupported("an addend of more than a page (IMAGE_REL_ARM64_SECREL_HIGH12A)"),
    ),
    // Symbols.
    (|f| f.symbol(14, symbol::NAME, 0xff), Part::Symbol(14), Malformed("the name is not UTF-8")),
    (
        |f| f.symbol(14, symbol::NAME, 0xffff << 32),
        Part::Symbol(14),
        Malformed("the name is not in the string table, or not UTF-8"),
    ),
    (|f| f.symbol(14, symbol::NAME, 0), Part::Symbol(14), Malformed("the name is the length of the string table")),
    (|f| f.symbol(14, symbol::CLASS, 5), Part::Symbol(14), Unknown("storage class", 5)),
    (|f| f.symbol(14, symbol::CLASS, 3), Part::Symbol(14), Malformed("a local symbol is not defined")),
    (|f| f.symbol(14, symbol::SECTION, 7), Part::Symbol(14), Malformed("it is in a section that is not there")),
    (|f| f.symbol(14, symbol::SECTION, 0xfffd), Part::Symbol(14), Malformed("it is in a section that is not there")),
];

/// Of `two-c-O2.obj`: `maybe` is a weak external, and what follows its auxiliary record its default, the number 0.
const WEAK: &[Case] = &[
    (|f| f.symbol(weak(f), symbol::SECTION, 1), Part::Symbol(WEAK_AT), Malformed("a weak external is defined")),
    (
        |f| {
            f.symbol(weak(f), symbol::AUXILIARY, 0);
            // What was its auxiliary record is a symbol now.
            f.symbol(weak(f) + 1, symbol::NAME, u64::from_le_bytes(*b"was_aux\0"));
            f.symbol(weak(f) + 1, symbol::SECTION, 0);
            f.symbol(weak(f) + 1, symbol::CLASS, 2);
        },
        Part::Symbol(WEAK_AT),
        Malformed("a weak external without a default"),
    ),
    (
        |f| f.symbol(weak(f) + 1, auxiliary::SEARCH, 4),
        Part::Symbol(WEAK_AT),
        Unsupported("a weak external of ARM64EC (IMAGE_WEAK_EXTERN_ANTI_DEPENDENCY)"),
    ),
    (|f| f.symbol(weak(f) + 1, auxiliary::SEARCH, 5), Part::Symbol(WEAK_AT), Unknown("search for a weak external", 5)),
    (
        |f| f.symbol(weak(f) + 1, auxiliary::DEFAULT, 0xffff),
        Part::Symbol(WEAK_AT),
        Malformed("the default of a weak external is not in the symbol table"),
    ),
    (
        |f| f.symbol(weak(f) + 1, auxiliary::DEFAULT, WEAK_AT as u64 + 1),
        Part::Symbol(WEAK_AT),
        Malformed("the default of a weak external is not in the symbol table"),
    ),
    (
        |f| f.symbol(weak(f) + 1, auxiliary::DEFAULT, WEAK_AT as u64),
        Part::Symbol(WEAK_AT),
        Unsupported("a weak external whose default its object does not define"),
    ),
    (
        |f| f.symbol(weak(f) + 2, symbol::SECTION, 0),
        Part::Symbol(WEAK_AT),
        Unsupported("a weak external whose default its object does not define"),
    ),
];

/// The index of `maybe`.
const WEAK_AT: usize = 25;

/// The index of the first weak external.
fn weak(file: &File) -> usize {
    let table = file.get(0, head::SYMBOLS_AT);
    let mut all = 0..file.get(0, head::SYMBOLS);
    all.find(|index| file.get(table + 18 * index, symbol::CLASS) == 105).unwrap_or(WEAK_AT)
}

#[test]
fn each_change_is_refused_for_what_it_breaks() {
    for (name, cases) in [("other.obj", OBJECT), ("two-c-O2.obj", WEAK)] {
        let file = File::new(name);
        assert_eq!(errors(&file.0), [], "{name}");
        for (index, &(change, part, problem)) in cases.iter().enumerate() {
            let mut file = file.clone();
            change(&mut file);
            assert_eq!(errors(&file.0), [part.error(problem)], "{name}, case {index}");
        }
    }
}

#[test]
fn every_problem_of_the_reader_has_its_change() {
    let sources = [
        include_str!("../../src/formats/coff.rs"),
        include_str!("../../src/formats/coff/comdat.rs"),
        include_str!("../../src/formats/coff/file.rs"),
        include_str!("../../src/formats/coff/records.rs"),
        include_str!("../../src/formats/coff/relocation.rs"),
        include_str!("../../src/formats/strings.rs"),
    ];
    let known: BTreeSet<String> = sources.into_iter().flat_map(texts::problems).collect();
    let reached = OBJECT.iter().chain(WEAK).filter_map(|(_, _, problem)| match problem {
        Malformed(text) | Unsupported(text) | Unknown(text, _) => Some((*text).to_owned()),
        _ => None,
    });
    assert_eq!(known, reached.collect());
}

#[test]
fn what_is_past_the_end_has_no_such_index() {
    let index = |part: Part| part.error(Problem::Index);
    let file = File::new("other.obj");
    let object = Coff::parse(&file.0).unwrap();
    assert_eq!(object.section(18), Err(index(Part::Section(18))));
    assert_eq!(object.symbol(17), Err(index(Part::Symbol(17))));
    assert_eq!(object.relocation(12, 3), Err(index(Part::Relocation(1, 3))));
    assert_eq!(object.relocation(18, 0), Err(index(Part::Section(18))));
    assert_eq!(object.member(usize::MAX, 0), Err(index(Part::Section(usize::MAX))));
    assert_eq!(object.member(4, 0), Err(index(Part::Section(5))));
    let empty = [0x64, 0xaa].into_iter().chain([0; 18]).collect::<Vec<u8>>();
    assert_eq!(Coff::parse(&empty).unwrap().section(0), Err(index(Part::Section(0))));
}

#[test]
fn comdat_sections_are_groups_of_what_must_be_alike() {
    let mut file = File::new("other.obj");
    // A section's group, itself and its relocations are six apart.
    let (group, text, associative) = (4, 6 + 4, 6 + 5);
    assert_eq!(Coff::parse(&file.0).unwrap().section(group).unwrap().kind, Kind::Ignored);
    let bytes = &objects::read("other.obj")[0x16c..][..4];
    let alike = [(2, Alike::Key), (3, Alike::Size(4)), (4, Alike::Bytes(bytes)), (6, Alike::Size(4))];
    for (selection, alike) in alike {
        file.symbol(9, auxiliary::SELECTION, selection);
        let object = Coff::parse(&file.0).unwrap();
        let kind = Kind::Group { key: "named", count: 2, alike };
        assert_eq!(object.section(group), Ok(Section::new(".text", kind)));
        assert_eq!([0, 1].map(|index| object.member(group, index)), [Ok(text), Ok(associative)]);
        assert_eq!(object.member(group, 2), Err(Part::Section(5).error(Problem::Index)));
    }
    // What none else sees is no key, and what is no COMDAT section is always kept.
    let mut local = file.clone();
    local.symbol(10, symbol::CLASS, 3);
    assert_eq!(Coff::parse(&local.0).unwrap().section(group).unwrap().kind, Kind::Ignored);
    file.symbol(12, auxiliary::WITH, 1);
    let object = Coff::parse(&file.0).unwrap();
    assert!(matches!(object.section(group).unwrap().kind, Kind::Group { count: 1, .. }));
}

#[test]
fn weak_externals_are_weak_definitions() {
    let file = File::new("one-c-O2.obj");
    let object = Coff::parse(&file.0).unwrap();
    let find = |name| (0..object.symbol_count()).map(|index| object.symbol(index).unwrap()).find(|s| s.name == name);
    let fallback: Symbol<'_> = find("fallback").unwrap();
    assert_eq!((fallback.binding, fallback.function), (Binding::Weak, true));
    let mut default = (0..object.symbol_count()).map(|index| object.symbol(index).unwrap());
    let default = default.find(|symbol| symbol.name.starts_with(".weak.fallback.default")).unwrap();
    assert_eq!((fallback.definition, default.binding), (default.definition, Binding::Global));
    assert!(matches!(fallback.definition, Definition::Section { .. }));

    let mut file = File::new("two-c-O2.obj");
    let symbol = Coff::parse(&file.0).unwrap().symbol(WEAK_AT).unwrap();
    assert_eq!((symbol.name, symbol.binding, symbol.definition), ("maybe", Binding::Weak, Definition::Undefined));
    file.symbol(WEAK_AT + 2, symbol::VALUE, 5);
    let symbol = Coff::parse(&file.0).unwrap().symbol(WEAK_AT).unwrap();
    assert_eq!(symbol.definition, Definition::Absolute(5));
}

#[test]
fn what_only_few_objects_have_is_read() {
    let mut file = File::new("other.obj");
    // The first relocation says that there are three, itself among them.
    file.section(4, header::FLAGS, 0x4110_0040);
    file.section(4, header::RELOCATIONS, 0xffff);
    file.entry(4, 0, entry::OFFSET, 3);
    // A name by 64 to the power of its digits; the default alignment; zeros; a section at an address.
    file.section(2, header::NAME, u64::from_le_bytes(*b"//AAAAAE"));
    file.section(2, header::FLAGS, 0xc000_0080);
    file.section(2, header::SIZE, 99);
    file.section(5, header::ADDR, 0x1000);
    file.entry(5, 0, entry::OFFSET, 0x1000);
    file.symbol(14, symbol::VALUE, 24);
    let object = Coff::parse(&file.0).unwrap();
    assert_eq!(object.section(12 + 3).unwrap().kind, Kind::Relocations { of: 6 + 3, count: 2 });
    assert_eq!([0, 1].map(|index| object.relocation(15, index).unwrap().offset), [8, 16]);
    let Section { name, kind, .. } = object.section(6 + 1).unwrap();
    assert_eq!(name, ".a_section_of_a_long_name");
    let Kind::Loaded { align, content, .. } = kind else { panic!("{kind:?}") };
    assert_eq!((align, content), (16, Content::Zeros(99)));
    assert_eq!(object.relocation(12 + 4, 0).unwrap().offset, 0);
    let shared = object.symbol(14).unwrap();
    assert_eq!((shared.definition, shared.size), (Definition::Common { align: 32 }, 24));
    // Guard's tables and what is to be removed.
    for (name, flags) in [(*b".gfids$y", 0x4030_0040), (*b".drectve", 0x0010_0a00), (*b".debug$S", 0x4210_0040)] {
        file.section(4, header::NAME, u64::from_le_bytes(name));
        file.section(4, header::FLAGS, flags);
        let object = Coff::parse(&file.0).unwrap();
        assert_eq!([9, 15].map(|index| object.section(index).unwrap().kind), [Kind::Ignored; 2]);
    }
}

#[test]
fn sections_of_one_name_up_to_a_dollar_go_together() {
    let mut file = File::new("other.obj");
    for (name, output, order) in [
        (b".text\0\0\0", ".text", ""),
        (b".text$mn", ".text", "$mn"),
        (b".text.fo", ".text", ".fo"),
        (b".text$.a", ".text", "$.a"),
        (b"mine$\0\0\0", "mine", "$"),
        (b"$a\0\0\0\0\0\0", "$a", ""),
        (b".CRT$XCU", ".init_array", "$XCU"),
        (b".CRT$XIA", ".preinit_array", "$XIA"),
        (b".CRT$XPX", ".dtors", "$XPX"),
        (b".CRT$XTZ", ".dtors", "$XTZ"),
        (b".CRT$Y\0\0", ".CRT", "$Y"),
        (b".CRT\0\0\0\0", ".CRT", ""),
        (b".idatax\0", ".idatax", ""),
    ] {
        file.section(2, header::NAME, u64::from_le_bytes(*name));
        let section = Coff::parse(&file.0).unwrap().section(6 + 1).map(|found| (found.output, found.order));
        assert_eq!(section, Ok((output, order)), "{name:?}");
    }
}

#[test]
fn a_big_object_says_the_same() {
    for name in ["kinds.obj", "other.obj", "one-cc-O0.obj", "two-cc-O2.obj", "two-c-O2.obj"] {
        let file = File::new(name);
        let big = file.big();
        let [object, big] = [&file, &big].map(|file| Coff::parse(&file.0).unwrap());
        assert_eq!((object.section_count(), object.symbol_count()), (big.section_count(), big.symbol_count()));
        for index in 0..object.section_count() {
            let section = object.section(index).unwrap();
            assert_eq!(big.section(index), Ok(section));
            match section.kind {
                Kind::Relocations { count, .. } => (0..count)
                    .for_each(|entry| assert_eq!(object.relocation(index, entry), big.relocation(index, entry))),
                Kind::Group { count, .. } => {
                    (0..count).for_each(|member| assert_eq!(object.member(index, member), big.member(index, member)));
                }
                _ => {}
            }
        }
        (0..object.symbol_count()).for_each(|index| assert_eq!(object.symbol(index), big.symbol(index)));
    }
}

/// What a link of `files` is refused for, line by line.
fn failures(files: &[File], base: u64) -> Vec<String> {
    let inputs = files.iter().map(|file| Input { name: "object", object: Coff::parse(&file.0).unwrap() });
    let inputs: Vec<_> = inputs.collect();
    let mut storage = Storage::new(measure(&inputs, 0));
    let mut next = base;
    let place = each(|request| {
        let addr = next;
        next += request.size.next_multiple_of(0x1000);
        Ok::<_, Infallible>(Addr::new(addr))
    });
    let mut lines = Vec::new();
    let report = &mut |failure: &Failure<'_>| lines.push(failure.to_string());
    let options = Options::default();
    let plan = Plan::new(
        &inputs,
        &options,
        storage.lend(),
        &mut |name| (!["other", "nowhere"].contains(&name)).then_some(Addr::new(base)),
        place,
        report,
    );
    assert_eq!(plan.is_err(), !lines.is_empty());
    drop(plan);
    lines
}

#[test]
fn groups_that_must_be_alike_and_are_not_are_refused() {
    let mut one = File::new("other.obj");
    one.symbol(9, auxiliary::SELECTION, 4);
    // `other` is of no group, and would be defined twice.
    one.symbol(13, symbol::CLASS, 3);
    let mut two = one.clone();
    assert_eq!(failures(&[one.clone(), two.clone()], 0x40_0000), [] as [&str; 0]);
    // Another branch, of the same size.
    two.place(5, 0, 0x9400_0000);
    let unlike = "object: a section group of another size or content is in another object (symbol 'named')";
    assert_eq!(failures(&[one.clone(), two.clone()], 0x40_0000), [unlike]);
    for file in [&mut one, &mut two] {
        file.symbol(9, auxiliary::SELECTION, 3);
    }
    assert_eq!(failures(&[one.clone(), two.clone()], 0x40_0000), [] as [&str; 0]);
    for file in [&mut one, &mut two] {
        file.symbol(9, auxiliary::SELECTION, 1);
    }
    assert_eq!(failures(&[one, two], 0x40_0000), ["object: defined already in object (symbol 'named')"]);
}

#[test]
fn addresses_that_do_not_fit_are_refused() {
    let files = ["kinds.obj", "other.obj"].map(File::new);
    assert_eq!(failures(&files, 0x4000_0000), [] as [&str; 0]);
    // The three words of `.low`, which lld-link would cut off.
    let lines = failures(&files, 0x1_4000_0000);
    assert_eq!(lines.len(), 3);
    for (line, offset) in lines.iter().zip([0, 4, 8]) {
        assert!(
            line.starts_with(&format!("object: .low+{offset:#x}: IMAGE_REL_ARM64_ADDR32: R_AARCH64_ABS32 at ")),
            "{line}"
        );
    }
}

#[test]
fn what_lld_link_refuses_is_refused() {
    const TARGETS: &str = ".data\n.p2align 4\n.zero 4\n.globl odd\nodd: .word 0\n.section zeros,\"bw\"\n.zero 0x1000000\n\
                           .globl far\nfar: .zero 4\n";
    const CASES: [(&str, Option<u64>, &str, &str); 7] = [
        ("ldr x0, [x0, :lo12:odd]", None, "misaligned ldr/str offset", "IMAGE_REL_ARM64_PAGEOFFSET_12L: "),
        ("ldr q0, [x0, :lo12:odd]", None, "misaligned ldr/str offset", "IMAGE_REL_ARM64_PAGEOFFSET_12L: "),
        ("ldr x0, [x0, :secrel_lo12:odd]", None, "misaligned ldr/str offset", "IMAGE_REL_ARM64_SECREL_LOW12L: "),
        ("add x0, x0, :secrel_hi12:far", None, "overflow in SECREL_HIGH12A", "IMAGE_REL_ARM64_SECREL_HIGH12A: "),
        ("b nowhere", None, "undefined symbol: nowhere", "IMAGE_REL_ARM64_BRANCH26: undefined (symbol 'nowhere')"),
        ("b far", Some(12), "unsupported relocation type 0xc", "IMAGE_REL_ARM64_TOKEN"),
        ("b far", Some(18), "unsupported relocation type 0x12", "unknown relocation type 18"),
    ];
    if !identity::has_tools() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [object, image] = ["refused.obj", "image.exe"].map(|name| folder.path().join(name));
    for (line, kind, theirs, ours) in CASES {
        identity::assemble(&format!(".globl start\nstart: {line}\n{TARGETS}"), &object);
        let mut file = File(std::fs::read(&object).unwrap());
        if let Some(kind) = kind {
            file.entry(1, 0, entry::KIND, kind);
            std::fs::write(&object, &file.0).unwrap();
        }
        let message = identity::try_link_theirs(std::slice::from_ref(&object), &image, &[]).unwrap_err();
        assert!(message.contains(theirs), "{message}");
        let lines = failures(&[file], 0x4000_0000);
        assert!(lines.len() == 1 && lines[0].contains(ours), "{line}: {lines:?}");
    }
}

#[test]
fn failures_name_sections_and_relocations_as_the_file_does() {
    let mut file = File::new("kinds.obj");
    file.section(1, header::NAME, u64::from_le_bytes(*b".text$mn"));
    let lines = failures(&[file], 0x4000_0000);
    let place = "object: .text$mn+0x0: IMAGE_REL_ARM64_BRANCH26: undefined (symbol 'other')";
    assert!(lines.iter().any(|line| line == place), "{lines:#?}");
}

#[test]
fn the_object_of_all_kinds_has_them() {
    let file = File::new("kinds.obj");
    let sections = (1..=file.get(0, head::SECTIONS)).map(File::header);
    let kinds = sections.flat_map(|at| {
        let (table, count) = (file.get(at, header::RELOCATIONS_AT), file.get(at, header::RELOCATIONS));
        (0..count).map(move |index| table + 10 * index)
    });
    let kinds: BTreeSet<usize> = kinds.map(|at| file.get(at, entry::KIND)).collect();
    // All but ABSOLUTE, which does nothing and no assembler emits, and TOKEN.
    assert!(kinds.iter().copied().eq((1..=17).filter(|&kind| kind != 12)), "{kinds:?}");

    let mut file = file;
    file.entry(1, 0, entry::KIND, 0);
    let object = Coff::parse(&file.0).unwrap();
    let nothing = object.relocation(2 * object.section_count() / 3, 0).unwrap();
    assert_eq!((nothing.reloc, nothing.addend), (Reloc::NONE, 0));
}
