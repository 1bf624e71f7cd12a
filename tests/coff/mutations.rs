//! Objects that were cut short or changed at random: the linker refuses or links them, and neither panics nor asks for more
//! than they hold.
//!
//! `AARCH64_RELOC_MUTATIONS` is the number of changed objects; without it, some thousands. What fails names its seed.

use super::objects;
use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::coff::Coff;
use aarch64_reloc::link::{Failure, Input, Options, Plan, Request, Storage, each, measure};
use aarch64_reloc::patch::Section;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};

const FILES: [&str; 8] = [
    "kinds.obj",
    "other.obj",
    "one-c-O0.obj",
    "two-c-O2.obj",
    "one-cc-O0.obj",
    "two-cc-O0.obj",
    "one-cc-O2.obj",
    "two-cc-O2.obj",
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

/// Changes a byte or a word somewhere, some of them to what is at the edge of something.
fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..1 + random.below(4) {
        let edges = [0, 1, 2, 0x7fff_ffff, 0xffff_ffff, 0x0100_0000, bytes.len() as u64, random.next()];
        let value = edges[random.below(edges.len())].to_le_bytes();
        let width = [1, 2, 4, 8][random.below(4)];
        // Headers come first, symbols last.
        let start = match random.below(4) {
            0 => random.below(bytes.len().min(20)),
            1 => random.below(bytes.len().min(20 + 40 * 30)),
            2 => bytes.len() - 1 - random.below(bytes.len().min(18 * 80)),
            _ => random.below(bytes.len()),
        };
        match random.below(16) {
            0 => bytes[start] ^= 1 << random.below(8),
            1 if start > 0 => bytes.truncate(start),
            _ => bytes[start..].iter_mut().zip(&value[..width]).for_each(|(byte, new)| *byte = *new),
        }
    }
}

/// Everything that can be done with an object. Answers whether it could be linked.
fn link(bytes: &[u8]) -> bool {
    let Ok(object) = Coff::parse(bytes) else { return false };
    let inputs = [Input { name: "changed", object }];
    let needs = measure(&inputs, 0);
    let bound = 8 + 2 * bytes.len();
    let all = [needs.sections, needs.symbols, needs.groups, needs.outputs, needs.slots, needs.veneers];
    assert!(all.into_iter().all(|records| records <= bound), "{} bytes ask for {needs:?}", bytes.len());
    let mut storage = Storage::new(needs);
    let mut next = 0x40_0000_u64;
    let place = |request: &Request| {
        let addr = next.next_multiple_of(request.align.clamp(0x1000, 1 << 32));
        next = addr.saturating_add(request.size) % (1 << 40);
        Ok::<_, Infallible>(Addr::new(addr))
    };
    let mut lines = 0;
    let report = &mut |failure: &Failure<'_>| lines += failure.to_string().lines().count();
    let resolve = &mut |name: &str| Some(Addr::new(if name.len().is_multiple_of(2) { 0x7f_0000 } else { 0x7f_1000 }));
    let options = Options::default();
    let Ok(plan) = Plan::new(&inputs, &options, storage.lend(), resolve, each(place), report) else {
        assert!(lines > 0, "refused without a word");
        return false;
    };
    let segments = plan.segments().to_vec();
    if segments.iter().any(|segment| segment.size() > LARGEST) {
        return false;
    }
    let mut memory: Vec<Vec<u8>> = segments.iter().map(|segment| vec![0xa5; segment.size() as usize]).collect();
    let sections = memory.iter_mut().zip(&segments).map(|(bytes, segment)| Section::new(bytes, segment.addr()));
    // Relocations of a changed object may overlap.
    plan.commit(&mut sections.collect::<Vec<_>>()).is_ok()
}

fn survives(bytes: &[u8], what: impl FnOnce() -> String) -> bool {
    let outcome = catch_unwind(AssertUnwindSafe(|| link(bytes)));
    outcome.unwrap_or_else(|_| panic!("{}", what()))
}

#[test]
fn whole_objects_are_linked() {
    for name in FILES {
        assert!(link(&objects::read(name)), "{name}");
    }
}

#[test]
fn objects_that_end_too_early_are_no_danger() {
    for name in FILES {
        let bytes = objects::read(name);
        for len in 0..bytes.len() {
            survives(&bytes[..len], || format!("the first {len} bytes of {name}"));
        }
    }
}

#[test]
fn objects_changed_at_random_are_no_danger() {
    // An emulated machine reads no file otherwise, and takes longer.
    let default = if cfg!(target_arch = "aarch64") { 1000 } else { 20_000 };
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
    println!("{linked} of {count} changed objects were linked");
    assert!(count < 1000 || (1..count).contains(&linked), "{linked} of {count}");
}
