//! Files that were cut short or changed at random: the linker refuses or links them, and neither panics nor asks for more
//! than they hold.
//!
//! `AARCH64_RELOC_MUTATIONS` is the number of changed files; without it, some thousands. What fails names its seed.
#![cfg(all(feature = "std", feature = "object"))]

#[allow(dead_code)]
mod objects;

use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::archive::Archive;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::formats::select::{Selection, Take};
use aarch64_reloc::link::{Input, Needs, Options, Plan, Policy, Request, Storage, Tls, each, measure};
use aarch64_reloc::patch::Section;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Objects of both compilers, with groups, with constructors, with thread-local variables, with what the linker refuses; and
/// archives.
const FILES: [&str; 18] = [
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
    "../archive/gnu.a",
    "../archive/thin.a",
];

/// Those of them that can be linked as they are.
const LINKED: [&str; 14] = [
    "shapes-gcc-O0-no-pic.o",
    "shapes-clang-O2-pic.o",
    "hello-clang-O2-no-pic.o",
    "bad/comdat.o",
    "bad/common.o",
    "bad/tls.o",
    "bad/rel.o",
    "bad/big-endian.o",
    "bad/indirect.o",
    "../tls/state-clang-O2-pic.o",
    "../tls/state-gcc-O2-trad.o",
    "../tls/state-gcc-O0-default.o",
    "../hostile/groups.o",
    "../archive/gnu.a",
];

/// The largest image that is written down, in bytes.
const LARGEST: u64 = 1 << 22;

/// The numbers of splitmix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Changes a byte, a word or a long word somewhere, some of them to what is at the edge of something.
fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..1 + random.below(4) {
        let edges = [0, 1, 0x7fff_ffff, 0xffff_ffff, 1 << 63, u64::MAX, bytes.len() as u64, random.next()];
        let value = edges[random.below(edges.len())].to_le_bytes();
        let width = [1, 2, 4, 8][random.below(4)];
        // Headers are few, and most of what is checked is in them: the first 64 bytes, and the table at the end.
        let start = match random.below(4) {
            0 => random.below(bytes.len().min(64)),
            1 => bytes.len() - 1 - random.below(bytes.len().min(64 * 40)),
            _ => random.below(bytes.len()),
        };
        match random.below(16) {
            0 => bytes[start] ^= 1 << random.below(8),
            1 if start > 0 => bytes.truncate(start),
            _ => bytes[start..].iter_mut().zip(&value[..width]).for_each(|(byte, new)| *byte = *new),
        }
    }
}

/// Everything that can be done with a file. Answers whether it could be linked.
fn link(bytes: &[u8]) -> bool {
    if !Archive::is(bytes) {
        return Elf::parse(bytes).is_ok_and(|object| link_objects(&[Input { name: "changed", object }], bytes.len()));
    }
    let linked = [Take::Needed, Take::Whole].map(|take| {
        let mut selection = Selection::new(Elf::parse, |_| Err(()));
        selection.archive("changed", bytes, take);
        for name in ["main", "a", "d", "e"] {
            selection.want(name);
        }
        let Ok(selected) = selection.finish() else { return false };
        let inputs = selected.objects.into_iter().map(|chosen| Input { name: "member", object: chosen.object });
        link_objects(&inputs.collect::<Vec<_>>(), bytes.len())
    });
    linked.contains(&true)
}

fn link_objects(inputs: &[Input<'_, Elf<'_>>], len: usize) -> bool {
    let needs = measure(inputs, 0);
    check_needs(needs, inputs.len(), len);
    let mut storage = Storage::new(needs);
    let mut next = 0x40_0000_u64;
    let place = |request: &Request| {
        let addr = next.next_multiple_of(request.align.clamp(0x1000, 1 << 32));
        next = addr.saturating_add(request.size) % (1 << 40);
        Ok::<_, Infallible>(Addr::new(addr))
    };
    let mut lines = 0;
    let report = &mut |failure: &aarch64_reloc::link::Failure<'_>| lines += failure.to_string().lines().count();
    let addr = |name: &str| Addr::new(if name.len().is_multiple_of(2) { 0x7f_0000 } else { 0x7f_1000 });
    // A thread-local variable of state.c, which nothing defines.
    let resolve = &mut |name: &str| (name != "nowhere").then(|| addr(name));
    // Of state.c; what is called is another matter.
    let tls = Tls::Static { resolver: "bump" };
    // Nothing runs, so nobody calls a resolver.
    let options = Options { policy: Policy { resolvers: true, ..Policy::ALL }, tls, ..Options::default() };
    let Ok(plan) = Plan::new(inputs, &options, storage.lend(), resolve, each(place), report) else {
        assert!(lines > 0, "refused without a word");
        return false;
    };
    let segments = plan.segments().to_vec();
    if segments.iter().any(|segment| segment.size() > LARGEST) {
        return false;
    }
    let mut memory: Vec<Vec<u8>> = segments.iter().map(|segment| vec![0xa5; segment.size() as usize]).collect();
    let sections = memory.iter_mut().zip(&segments).map(|(bytes, segment)| Section::new(bytes, segment.addr()));
    // Relocations of a changed file may overlap.
    let committed = plan.commit(&mut sections.collect::<Vec<_>>()).is_ok();
    assert!(plan.symbols().count() <= needs.symbols && plan.slots().count() <= needs.slots);
    committed && plan.veneers().count() <= needs.veneers
}

/// No table has more records than the file has bytes, but for the linker's own.
fn check_needs(needs: Needs, objects: usize, len: usize) {
    let bound = 8 + 2 * len;
    let Needs { sections, symbols, names, output_names, groups, outputs, segments, slots, veneers, .. } = needs;
    let all = [sections, symbols, names, output_names, groups, outputs, segments, slots, veneers];
    assert!(
        needs.objects == objects && all.into_iter().all(|records| records <= bound),
        "{len} bytes ask for {needs:?}"
    );
}

fn survives(bytes: &[u8], what: impl FnOnce() -> String) -> bool {
    let outcome = catch_unwind(AssertUnwindSafe(|| link(bytes)));
    outcome.unwrap_or_else(|_| panic!("{}", what()))
}

#[test]
fn whole_files_are_linked_or_refused() {
    let linked = FILES.into_iter().filter(|name| link(&objects::read(name)));
    assert_eq!(linked.collect::<Vec<_>>(), LINKED);
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

#[test]
fn files_that_end_too_early_are_no_danger() {
    for name in FILES {
        let bytes = objects::read(name);
        for len in 0..bytes.len() {
            survives(&bytes[..len], || format!("the first {len} bytes of {name}"));
        }
    }
}

#[test]
fn files_changed_at_random_are_no_danger() {
    // An emulated machine reads no file otherwise, and takes longer.
    let default = if cfg!(target_arch = "aarch64") { 2000 } else { 50_000 };
    let count = std::env::var("AARCH64_RELOC_MUTATIONS").map_or(default, |text| text.parse().unwrap());
    let files = FILES.map(objects::read);
    let mut linked = 0_u64;
    for seed in 0..count {
        let mut random = Random(seed);
        let file = random.below(FILES.len());
        let mut bytes = files[file].clone();
        change(&mut bytes, &mut random);
        linked += u64::from(survives(&bytes, || format!("{} changed by seed {seed}", FILES[file])));
    }
    println!("{linked} of {count} changed files were linked");
    assert!(count < 1000 || (1..count).contains(&linked), "{linked} of {count}");
}
