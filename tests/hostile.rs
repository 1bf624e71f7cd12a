//! Files that were cut short or changed at random: the linker refuses or links them, and neither panics, nor writes where it
//! must not, nor asks for more than they hold, nor takes long. Objects of the three formats, archives of them, and images of
//! other linkers.
//!
//! `AARCH64_RELOC_MUTATIONS` is the number of changed files; without it, some thousands. Their seeds begin at
//! `AARCH64_RELOC_FIRST_SEED`, or 0. What fails names its seed. `hostile/long.sh` makes a long run.
#![cfg(all(unix, feature = "std", feature = "object"))]

#[path = "hostile/change.rs"]
mod change;
#[path = "hostile/fields.rs"]
mod fields;
#[path = "common/needs.rs"]
mod needs;
#[path = "hostile/object.rs"]
mod object;
#[allow(dead_code)]
mod objects;
#[path = "hostile/process.rs"]
mod process;
#[path = "common/random.rs"]
mod random;
#[path = "hostile/watch.rs"]
mod watch;

use aarch64_reloc::formats::elf::Elf;
use fields::File;
use process::{Outcome, process};
use random::Random;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use watch::Watch;

/// Of each format: objects of both compilers, with groups, with constructors, with thread-local variables, of every kind of
/// relocation, and with what the linker refuses; archives in each of their forms; images of both other linkers.
const FILES: [&str; 52] = [
    "main-gcc-O2-pic.o",
    "main-clang-O0-no-pic.o",
    "shapes-gcc-O0-no-pic.o",
    "shapes-clang-O2-pic.o",
    "hello-clang-O2-no-pic.o",
    "bad/comdat.o",
    "bad/common.o",
    "bad/tls.o",
    "bad/crel.o",
    "bad/rel.o",
    "bad/big-endian.o",
    "bad/indirect.o",
    "../tls/state-clang-O2-pic.o",
    "../tls/state-gcc-O2-trad.o",
    "../tls/state-gcc-O0-default.o",
    "../hostile/groups.o",
    "../hostile/places.o",
    "../hostile/crel.o",
    "../hostile/erratum.o",
    "../macho/kinds.o",
    "../macho/local.o",
    "../macho/c-O0.o",
    "../macho/c-O2.o",
    "../macho/cc-O0.o",
    "../macho/cc-O2.o",
    "../macho/debug.o",
    "../coff/kinds.obj",
    "../coff/other.obj",
    "../coff/order-one.obj",
    "../coff/order-two.obj",
    "../coff/one-c-O0.obj",
    "../coff/two-c-O2.obj",
    "../coff/one-cc-O0.obj",
    "../coff/two-cc-O0.obj",
    "../coff/one-cc-O2.obj",
    "../coff/two-cc-O2.obj",
    "../archive/gnu.a",
    "../archive/gnu64.a",
    "../archive/gnu-plain.a",
    "../archive/bsd.a",
    "../archive/bsd-plain.a",
    "../archive/coff.a",
    "../archive/darwin.a",
    "../archive/darwin64.a",
    "../archive/thin.a",
    "../archive/mixed.a",
    "../formats/mixed.a",
    "../verify/images/places-lld.elf",
    "../verify/images/places-gnu.elf",
    "../verify/images/far-lld.elf",
    "../verify/images/erratum-gnu.elf",
    "../hostile/crel.elf",
];

/// Those of them that cannot be linked as they are: a thread-local variable that they want is defined nowhere.
const REFUSED: [&str; 2] = ["main-gcc-O2-pic.o", "main-clang-O0-no-pic.o"];

/// The members of a thin archive, by their paths from its folder.
fn outside() -> Vec<(&'static str, Vec<u8>)> {
    let paths = ["parts/a.o", "parts/a_long_name_of_a_member.o", "parts/c c.o", "parts/d.o", "parts/e.o"];
    paths.map(|path| (path, objects::read(&format!("../archive/{path}")))).to_vec()
}

fn survive(bytes: &[u8], outside: &[(&str, Vec<u8>)], seed: u64, what: impl FnOnce() -> String) -> Outcome {
    // Other numbers than those that chose the change.
    let run = || process(bytes, outside, &mut Random(!seed));
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|cause| {
        eprintln!("{}", what());
        resume_unwind(cause)
    })
}

#[test]
fn whole_files_are_right() {
    let outside = outside();
    let mut refused = Vec::new();
    for name in FILES {
        let bytes = objects::read(name);
        let outcomes: Vec<Outcome> = (0..64).map(|seed| survive(&bytes, &outside, seed, || name.to_owned())).collect();
        if !outcomes.iter().any(|outcome| outcome.is_done) {
            refused.push(name);
        }
        let done = outcomes.iter().find(|outcome| outcome.is_done);
        println!("{name}: {done:?}");
        // GNU ld's branch to nowhere loops.
        let wrong = usize::from(name.ends_with("places-gnu.elf"));
        assert!(outcomes.iter().all(|outcome| outcome.wrong <= wrong), "{name}");
    }
    assert_eq!(refused, REFUSED);
}

#[test]
fn files_that_end_too_early_are_no_danger() {
    let outside = outside();
    let mut watch = Watch::new("the end of a file");
    for name in FILES {
        let bytes = objects::read(name);
        for len in 0..bytes.len() {
            watch.time(len as u64, || {
                survive(&bytes[..len], &outside, len as u64, || format!("the first {len} bytes of {name}"))
            });
        }
    }
}

#[test]
fn files_changed_at_random_are_no_danger() {
    // An emulated machine reads no file otherwise, and takes longer.
    let default = if cfg!(target_arch = "aarch64") { 4000 } else { 100_000 };
    let setting = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let count = setting("AARCH64_RELOC_MUTATIONS", default);
    let first = setting("AARCH64_RELOC_FIRST_SEED", 0);
    let (files, outside) = (FILES.map(objects::read).map(File::new), outside());
    let mut watch = Watch::new("a changed file");
    let (mut done, mut right, mut wrong) = (0_u64, 0, 0);
    for seed in first..first + count {
        let mut random = Random(seed);
        let file = random.below(FILES.len());
        let bytes = change::change(&files[file], &mut random);
        let what = || format!("{} changed by seed {seed}", FILES[file]);
        let outcome = watch.time(seed, || survive(&bytes, &outside, seed, what));
        done += u64::from(outcome.is_done);
        (right, wrong) = (right + outcome.right, wrong + outcome.wrong);
    }
    let (time, slowest) = watch.slowest;
    println!("{done} of {count} changed files were linked or read: {right} places right, {wrong} wrong");
    println!("the slowest, seed {slowest}, took {time:?}");
    assert!(count < 1000 || (1..count).contains(&done), "{done} of {count}");
}

#[test]
fn a_table_is_not_counted_over_and_over() {
    const HEADER: usize = 64;
    let mut bytes = objects::read("hello-clang-O2-no-pic.o");
    let field = |at: usize, bytes: &[u8]| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let (table, count) = (field(40, &bytes), field(60, &bytes));
    let headers = bytes[table..][..count * HEADER].to_vec();
    // SHT_RELA
    let relocations = headers.chunks(HEADER).find(|header| header[4] == 4).unwrap().to_vec();
    let copies = 10_000;
    let start = bytes.len() as u64;
    bytes.extend(headers);
    bytes.extend(relocations.repeat(copies));
    bytes[40..48].copy_from_slice(&start.to_le_bytes());
    bytes[60..62].copy_from_slice(&((count + copies) as u16).to_le_bytes());
    let error = Elf::parse(&bytes).unwrap_err();
    assert_eq!(error.to_string(), "malformed: the sections overlap");
}
