//! Archives of every form, and which of their members are linked: as ld.lld has it, whose choices `archive/make.sh` wrote
//! down.
#![cfg(feature = "object")]

use aarch64_reloc::formats::archive::{Archive, Source};
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::formats::select::{Cause, Outside, Selected, Selection, Take, Unreadable};
use aarch64_reloc::link::{Object, ObjectError, Problem, Relocation, Section, Symbol};
use aarch64_reloc::patch::Endian;
use std::cell::Cell;
use std::collections::HashMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;

const FORMS: [&str; 10] = [
    "gnu.a",
    "gnu-plain.a",
    "gnu64.a",
    "bsd.a",
    "bsd-plain.a",
    "darwin.a",
    "darwin64.a",
    "coff.a",
    "thin.a",
    "thin-plain.a",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/archive")
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every file of the folder, and of the folder of thin archives' members.
fn files() -> HashMap<String, Vec<u8>> {
    let names = |path: &str| {
        let entries = std::fs::read_dir(folder().join(path)).unwrap();
        entries.map(|entry| entry.unwrap()).filter(|entry| entry.file_type().unwrap().is_file()).collect::<Vec<_>>()
    };
    let own = names("").into_iter().map(|entry| entry.file_name().into_string().unwrap());
    let parts = names("parts").into_iter().map(|entry| format!("parts/{}", entry.file_name().into_string().unwrap()));
    own.chain(parts).map(|name| (name.clone(), file(&name))).collect()
}

type Result<'data> = core::result::Result<Selected<'data, Elf<'data>, String>, Vec<Unreadable<'data, String>>>;

/// Selects from a command line such as `main.o --whole-archive gnu.a`, then for `entry`.
fn select<'data>(files: &'data HashMap<String, Vec<u8>>, line: &'data str, entry: &'data str) -> Result<'data> {
    let load = |outside: Outside<'_>| match files.get(outside.path) {
        Some(bytes) => Ok(bytes.as_slice()),
        None => Err(format!("{} has no {}", outside.archive, outside.path)),
    };
    let mut selection = Selection::new(Elf::parse, load);
    let mut take = Take::Needed;
    for word in line.split_whitespace() {
        match word {
            "--whole-archive" => take = Take::Whole,
            "--no-whole-archive" => take = Take::Needed,
            name if Archive::is(&files[name]) => selection.archive(name, &files[name], take),
            name => selection.object(name, &files[name]),
        }
    }
    selection.want(entry);
    selection.finish()
}

fn names<O, E: std::fmt::Debug>(selected: core::result::Result<Selected<'_, O, E>, Vec<Unreadable<'_, E>>>) -> String {
    let objects = selected.unwrap().objects;
    objects.into_iter().map(|chosen| chosen.name).collect::<Vec<_>>().join("|")
}

fn lines(result: Result<'_>) -> String {
    let Err(failures) = result else { panic!("selected all the same") };
    failures.iter().map(Unreadable::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_form_has_the_same_members() {
    for form in FORMS {
        let bytes = file(form);
        let archive = Archive::parse(&bytes).unwrap();
        let members: Vec<String> = archive.members().iter().map(|member| member.name().into_owned()).collect();
        let own = ["unused.o", "e.o", "d.o", "c c.o", "a_long_name_of_a_member.o", "a.o"];
        let thin = form.starts_with("thin");
        assert_eq!(members, own.map(|name| if thin { format!("parts/{name}") } else { name.to_owned() }), "{form}");
        for (member, name) in archive.members().iter().zip(own) {
            match member.source() {
                Source::Outside => assert!(thin, "{form}"),
                // BSD archives pad a member to a multiple of 8 bytes.
                Source::Inside(bytes) => assert!(bytes.starts_with(&file(&format!("parts/{name}"))), "{form}: {name}"),
            }
        }
        let index: Vec<(usize, &str)> = archive.index().iter().map(|entry| (entry.member, entry.symbol)).collect();
        match form.contains("plain") {
            true => assert_eq!(index, [], "{form}"),
            false => {
                assert_eq!(index, [(0, "unused"), (1, "e"), (2, "d"), (3, "c"), (4, "b"), (5, "a")], "{form}")
            }
        }
    }
}

#[test]
fn every_form_gives_the_same_objects() {
    let files = files();
    for form in FORMS {
        let part = if form.starts_with("thin") { "parts/" } else { "" };
        let pulled = ["a_long_name_of_a_member.o", "d.o", "e.o", "a.o", "c c.o"];
        let pulled = pulled.map(|name| format!("{form}({part}{name})")).join("|");
        for line in [format!("main.o {form}"), format!("{form} main.o")] {
            assert_eq!(names(select(&files, &line, "main")), format!("main.o|{pulled}"), "{line}");
        }
    }
}

#[test]
fn objects_come_in_the_order_of_lld() {
    let (files, order) = (files(), String::from_utf8(file("order.txt")).unwrap());
    assert!(order.lines().count() > 20);
    for line in order.lines() {
        let (line, expected) = line.split_once(" =>").unwrap();
        assert_eq!(names(select(&files, line, "main")), expected.trim(), "{line}");
    }
}

#[test]
fn a_member_that_is_no_object_matters_where_it_is_needed() {
    let files = files();
    assert_eq!(names(select(&files, "last.o mixed.a", "main")), "last.o|mixed.a(e.o)");
    assert_eq!(
        lines(select(&files, "mixed.a main.o", "bitcode")),
        "mixed.a(bitcode.o): not supported: LLVM bitcode, not machine code (needed for symbol 'bitcode')"
    );
    assert_eq!(
        lines(select(&files, "--whole-archive mixed.a", "main")),
        "mixed.a(note.txt): malformed: not an ELF file\nmixed.a(bitcode.o): not supported: LLVM bitcode, not machine code"
    );
    // Without an index nobody knows what they define.
    let selected = select(&files, "last.o mixed-plain.a", "bitcode").unwrap();
    let skipped: Vec<&str> = selected.skipped.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(skipped, ["mixed-plain.a(note.txt)", "mixed-plain.a(bitcode.o)"]);
    assert_eq!(names(Ok::<_, Vec<Unreadable<'_, String>>>(selected)), "last.o|mixed-plain.a(e.o)");
}

#[test]
fn every_failure_is_reported() {
    let mut files = files();
    files.remove("parts/d.o");
    files.remove("parts/c c.o");
    files.insert("bad.a".to_owned(), b"!<arch>\nno header".to_vec());
    files.insert("bad.o".to_owned(), file("main.o")[..100].to_vec());
    assert_eq!(
        lines(select(&files, "bad.a bad.o main.o thin.a", "main")),
        "bad.a: malformed: Invalid archive member header\n\
         bad.o: malformed: file header\n\
         thin.a(parts/d.o): thin.a has no parts/d.o (needed for symbol 'd')\n\
         thin.a(parts/c c.o): thin.a has no parts/c c.o (needed for symbol 'c')"
    );
    let selected = select(&files, "thin-plain.a last.o", "main").unwrap();
    let skipped: Vec<_> = selected.skipped.iter().map(|file| (&*file.name, &file.cause)).collect();
    let cause = |path| Cause::Load(format!("thin-plain.a has no {path}"));
    let (d, c) = (cause("parts/d.o"), cause("parts/c c.o"));
    assert_eq!(skipped, [("thin-plain.a(parts/d.o)", &d), ("thin-plain.a(parts/c c.o)", &c)]);
}

#[test]
fn a_symbol_that_cannot_be_read_is_not_offered_and_not_wanted() {
    // The binding of `e`, the last symbol of e.o, becomes one that nobody knows.
    let mut object = file("parts/e.o");
    const INFO: usize = 0x7c;
    assert_eq!(core::mem::replace(&mut object[INFO], 0x70), 0x10);
    let mut files = files();
    files.insert("parts/e.o".to_owned(), object);
    let selected = select(&files, "thin-plain.a last.o", "main").unwrap();
    let [skipped] = selected.skipped.as_slice() else { panic!("{:?}", selected.skipped) };
    assert_eq!(skipped.name, "thin-plain.a(parts/e.o)");
    let Cause::Object(ObjectError { problem, .. }) = skipped.cause else { panic!("{skipped}") };
    assert_eq!(problem, Problem::Unknown("symbol binding", 7));
    assert_eq!(names(Ok::<_, Vec<Unreadable<'_, String>>>(selected)), "last.o");
}

#[test]
fn every_error_of_an_archive_says_what_is_wrong() {
    let error = |bytes: &[u8]| Archive::parse(bytes).unwrap_err().to_string();
    assert_eq!(error(b""), "not an archive");
    assert_eq!(error(&file("main.o")), "not an archive");
    assert_eq!(error(b"!<arch>\n/ "), "malformed: Invalid archive member header");
    assert_eq!(error(&file("gnu.a")[..3000]), "malformed: Archive member size is too large");

    let changed = |at: usize| {
        let mut bytes = archive(&[("a.o/", b"")]);
        bytes[8 + at] = b'x';
        error(&bytes)
    };
    assert_eq!(changed(58), "malformed: Invalid archive terminator");
    assert_eq!(changed(48), "malformed: Invalid archive member size");
    let made = |members: &[(&str, &[u8])]| error(&archive(members));
    assert_eq!(made(&[("/9", b"")]), "malformed: Invalid archive extended name offset");
    assert_eq!(made(&[("#1/9", b"")]), "malformed: Invalid archive extended name length");
    // An index of nine symbols that is no longer than their number; one of a symbol without a name.
    assert_eq!(made(&[("/", &[0, 0, 0, 9])]), "malformed: Invalid archive symbol table");
    assert_eq!(made(&[("/", &[0, 0, 0, 1, 0, 0, 0, 68])]), "malformed: Missing archive symbol name");
    let name = [8, 0, 0, 0, 99, 0, 0, 0, 68, 0, 0, 0, 2, 0, 0, 0, b'a', 0];
    assert_eq!(made(&[("__.SYMDEF", &name)]), "malformed: Invalid archive symbol name offset");
    // Of COFF's second index: no member, and one symbol, of the first.
    let member = [0, 0, 0, 0, 1, 0, 0, 0, 1, 0, b'a', 0];
    assert_eq!(made(&[("/", &[0; 4]), ("/", &member)]), "malformed: Invalid archive symbol member index");

    // The first line of the index leads one byte past the header of its member.
    let mut bytes = file("gnu.a");
    let line = 8 + 60 + 4;
    let offset = u32::from_be_bytes(bytes[line..line + 4].try_into().unwrap());
    bytes[line..line + 4].copy_from_slice(&(offset + 1).to_be_bytes());
    let expected = format!("malformed: the index names a member at {:#x}, where none begins", offset + 1);
    assert_eq!(error(&bytes), expected);

    // A name begins wherever a member says, and ends with the line.
    let named = |len: usize| {
        let table = "n".repeat(len) + "/\n";
        archive(&[("//", table.as_bytes()), ("/0", b"")])
    };
    assert_eq!(Archive::parse(&named(4096)).unwrap().members()[0].name(), "n".repeat(4096));
    assert_eq!(error(&named(4097)), "malformed: a member's name of 4097 bytes is longer than 4096");

    // The index of BSD says where each symbol's name begins.
    let indexed = |len: usize| {
        let name = "n".repeat(len);
        // One line: the name's offset, and that of the member's header.
        let lines = [8, 0, 8 + 60 + 16 + len as u32 + 2].map(u32::to_le_bytes).concat();
        let index = [&lines, &(len as u32 + 2).to_le_bytes()[..], name.as_bytes(), &[0; 2]].concat();
        archive(&[("__.SYMDEF", &index), ("a.o", b"")])
    };
    assert_eq!(Archive::parse(&indexed(16384)).unwrap().index()[0].symbol, "n".repeat(16384));
    assert_eq!(error(&indexed(16386)), "malformed: a symbol's name of 16386 bytes is longer than 16384");
}

#[test]
fn a_name_that_is_not_utf8_can_be_read() {
    let bytes = archive(&[("a.o/", b"")]);
    let bytes: Vec<u8> = bytes.iter().map(|&byte| if byte == b'a' { 0xff } else { byte }).collect();
    let bytes = [b"!<arch>\n", &bytes[8..]].concat();
    assert_eq!(Archive::parse(&bytes).unwrap().members()[0].name(), "\u{fffd}.o");
}

/// A GNU archive of these members, whose names are as in their headers.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, content) in members {
        bytes.extend(format!("{name:<48}{:<10}`\n", content.len()).bytes());
        bytes.extend(*content);
        bytes.resize(bytes.len().next_multiple_of(2), b'\n');
    }
    bytes
}

/// Reads whatever `bytes` are, and links all that they offer. It must come back.
fn survive(bytes: &[u8]) -> Option<usize> {
    let part = file("parts/a.o");
    for take in [Take::Needed, Take::Whole] {
        let mut selection = Selection::new(Elf::parse, |_| Ok::<_, String>(part.as_slice()));
        selection.archive("hostile.a", bytes, take);
        for name in ["a", "b", "unused"] {
            selection.want(name);
        }
        _ = black_box(selection.finish());
    }
    Archive::parse(bytes).ok().map(|archive| archive.members().len())
}

#[test]
fn a_truncated_archive_has_no_member_that_is_cut() {
    for form in FORMS {
        let bytes = file(form);
        let archive = Archive::parse(&bytes).unwrap();
        let inside =
            |source| if let Source::Inside(bytes) = source { bytes.as_ptr_range().end } else { bytes.as_ptr() };
        // Without its last byte of padding an archive is still whole.
        let end = archive.members().last().map(|member| inside(member.source()).addr() - bytes.as_ptr().addr());
        let end = end.filter(|&end| end > 0).unwrap_or(bytes.len());
        for len in 0..end {
            assert!(survive(&bytes[..len]).is_none_or(|count| count < archive.members().len()), "{form}, {len} bytes");
        }
        assert_eq!(survive(&bytes[..end]), Some(archive.members().len()), "{form}");
    }
}

#[test]
fn a_changed_byte_is_survived() {
    let mut refused = 0;
    for form in FORMS {
        let mut bytes = file(form);
        for at in 0..bytes.len() {
            for changed in [0, b'9', 0xff, bytes[at] ^ 1] {
                let before = core::mem::replace(&mut bytes[at], changed);
                refused += usize::from(survive(&bytes).is_none());
                bytes[at] = before;
            }
        }
    }
    assert!(refused > 1000, "{refused}");
}

/// An object that defines `count` symbols and wants one.
fn object(count: usize, first: usize) -> Vec<u8> {
    use object::write::{Object, StandardSection, Symbol, SymbolSection};
    use object::{Architecture, BinaryFormat, Endianness, SymbolFlags, SymbolKind, SymbolScope};
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Aarch64, Endianness::Little);
    let text = object.section_id(StandardSection::Text);
    let mut add = |number: usize, section| {
        object.add_symbol(Symbol {
            name: format!("symbol_{number}").into_bytes(),
            value: 0,
            size: 0,
            kind: SymbolKind::Text,
            scope: SymbolScope::Dynamic,
            weak: false,
            section,
            flags: SymbolFlags::None,
        });
    };
    for number in first..first + count {
        add(number, SymbolSection::Section(text));
    }
    add(first + count, SymbolSection::Undefined);
    object.write().unwrap()
}

/// An archive of `count` members, each of which defines symbols and wants the next; with an index if `indexed`.
fn chain(count: usize, symbols: usize, indexed: bool) -> Vec<u8> {
    let objects: Vec<Vec<u8>> = (0..count).map(|member| object(symbols, member * symbols)).collect();
    let mut names = Vec::new();
    let mut owners = Vec::new();
    for number in 0..count * symbols {
        names.extend(format!("symbol_{number}\0").bytes());
        owners.push(number / symbols);
    }
    let index_size = 4 + 4 * owners.len() + names.len();
    let mut next = 8 + if indexed { 60 + index_size.next_multiple_of(2) } else { 0 };
    let mut headers = Vec::new();
    for object in &objects {
        headers.push(next as u32);
        next += 60 + object.len().next_multiple_of(2);
    }
    let mut index = (owners.len() as u32).to_be_bytes().to_vec();
    index.extend(owners.iter().flat_map(|&owner| headers[owner].to_be_bytes()));
    index.extend(names);
    let mut members: Vec<(&str, &[u8])> = if indexed { vec![("/", &index)] } else { Vec::new() };
    members.extend(objects.iter().map(|object| ("member.o/", object.as_slice())));
    archive(&members)
}

/// An object whose parsing and whose symbols' reading is counted.
struct Counted<'a> {
    object: Elf<'a>,
    symbols: &'a Cell<usize>,
}

impl<'a> Object<'a> for Counted<'a> {
    fn endian(&self) -> Endian {
        self.object.endian()
    }

    fn section_count(&self) -> usize {
        self.object.section_count()
    }

    fn section(&self, index: usize) -> core::result::Result<Section<'a>, ObjectError> {
        self.object.section(index)
    }

    fn symbol_count(&self) -> usize {
        self.object.symbol_count()
    }

    fn symbol(&self, index: usize) -> core::result::Result<Symbol<'a>, ObjectError> {
        self.symbols.set(self.symbols.get() + 1);
        self.object.symbol(index)
    }

    fn relocation(&self, section: usize, index: usize) -> core::result::Result<Relocation, ObjectError> {
        self.object.relocation(section, index)
    }

    fn member(&self, section: usize, index: usize) -> core::result::Result<usize, ObjectError> {
        self.object.member(section, index)
    }
}

/// An archive with an index or without, of which all is linked.
const CHAINS: [(bool, Take); 3] = [(true, Take::Needed), (false, Take::Needed), (true, Take::Whole)];

#[test]
fn a_member_is_parsed_once() {
    for (indexed, take) in CHAINS {
        let (count, symbols) = (100, 10);
        let bytes = chain(count, symbols, indexed);
        let (parsed, read) = (Cell::new(0), Cell::new(0));
        let parse = |bytes| {
            parsed.set(parsed.get() + 1);
            Elf::parse(bytes).map(|object| Counted { object, symbols: &read })
        };
        let mut selection = Selection::new(parse, |_| Err("thin"));
        selection.archive("chain.a", &bytes, take);
        assert_eq!(parsed.get(), if indexed && take == Take::Needed { 0 } else { count });
        selection.want("symbol_0");
        assert_eq!(selection.finish().unwrap().objects.len(), count);
        assert_eq!(parsed.get(), count);
        // The empty symbol and the wanted one too; and once more for an index.
        assert_eq!(read.get(), count * (symbols + 2) * if indexed { 1 } else { 2 });
    }
}

/// What this thread has used of a processor: others do not count.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is there to be written to.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn time_is_linear_in_members_and_symbols() {
    for (indexed, take) in CHAINS {
        let time = |count: usize| {
            let bytes = chain(count, 100, indexed);
            let once = || {
                let start = processor_time();
                let mut selection = Selection::new(Elf::parse, |_| Err("thin"));
                selection.archive("chain.a", &bytes, take);
                selection.want("symbol_0");
                let selected = selection.finish().unwrap();
                assert_eq!(selected.objects.len(), count);
                processor_time() - start
            };
            (0..7).map(|_| once()).min().unwrap_or(Duration::MAX)
        };
        // 102 400 symbols in the end.
        let (small, large) = (time(64), time(1024));
        println!("indexed: {indexed}, {take:?}: 64 members {small:?}, 1024 members {large:?}");
        // Sixteen times the work, twice or thrice as slow where it leaves the caches. Were a step quadratic, 256 times.
        assert!(large < 128 * small, "indexed: {indexed}, {take:?}: {small:?}, then {large:?}");
    }
}
