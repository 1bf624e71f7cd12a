//! Archives of every form, and which of their members are linked: as ld.lld has it, whose choices `archive/make.sh` wrote
//! down.
#![cfg(feature = "object")]

use aarch64_reloc::formats::archive::{Archive, Source};
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::formats::select::{Cause, Outside, Selected, Selection, Take, Unreadable};
use aarch64_reloc::link::{ObjectError, Problem};
use std::collections::HashMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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
        "mixed.a(bitcode.o): malformed: not an ELF file (needed for symbol 'bitcode')"
    );
    assert_eq!(
        lines(select(&files, "--whole-archive mixed.a", "main")),
        "mixed.a(note.txt): malformed: not an ELF file\nmixed.a(bitcode.o): malformed: not an ELF file"
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
         bad.o: malformed: section headers\n\
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
    let at = object.windows(24).rposition(|bytes| bytes == [5, 0, 0, 0, 0x10, 0, 2, 0].map_into_symbol()).unwrap();
    object[at + 4] = 0x70;
    let mut files = files();
    files.insert("parts/e.o".to_owned(), object);
    let selected = select(&files, "thin-plain.a last.o", "main").unwrap();
    let [skipped] = selected.skipped.as_slice() else { panic!("{:?}", selected.skipped) };
    assert_eq!(skipped.name, "thin-plain.a(parts/e.o)");
    let Cause::Object(ObjectError { problem, .. }) = skipped.cause else { panic!("{skipped}") };
    assert_eq!(problem, Problem::Unknown("symbol binding", 7));
    assert_eq!(names(Ok::<_, Vec<Unreadable<'_, String>>>(selected)), "last.o");
}
