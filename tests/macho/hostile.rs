//! Objects that were cut short or changed at random: the linker refuses or links them, and neither panics nor asks for more
//! than they hold. As `tests/hostile.rs` has it for ELF, and with its `AARCH64_RELOC_MUTATIONS`; the first of them has the
//! seed `AARCH64_RELOC_FIRST_SEED`, or 0.

use crate::OBJECTS;
use crate::file::File;
use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::macho::MachO;
use aarch64_reloc::link::{Input, Object, Options, Plan, Request, Storage, each, measure};
use aarch64_reloc::patch::Section;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The largest image that is written down, in bytes.
const LARGEST: u64 = 1 << 22;

/// The numbers of splitmix64 (Steele, Lea and Flood, 2014).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Changes some bits, bytes or words, most of them in the load commands, the relocations or the symbols.
fn change(file: &mut File, random: &mut Random) {
    let headers = 32 + file.u32(20) as usize;
    let tables: Vec<usize> = file.sections().into_iter().map(|header| file.entry_at(header, 0)).collect();
    let symbols = file.symbol_at(0);
    for _ in 0..1 + random.below(4) {
        let len = file.bytes.len();
        let edges = [0, 1, 0x7fff_ffff, 0xffff_ffff, 1 << 63, u64::MAX, len as u64, random.next()];
        let value = edges[random.below(edges.len())].to_le_bytes();
        let width = [1, 2, 4, 8][random.below(4)];
        let start = match random.below(8) {
            0 | 1 => random.below(headers),
            2 | 3 => tables[random.below(tables.len())] + random.below(128),
            4 => symbols + random.below(256),
            _ => random.below(len),
        };
        let start = start.min(len - 1);
        match random.below(16) {
            0..4 => file.bytes[start] ^= 1 << random.below(8),
            4 if start > 0 => file.bytes.truncate(start),
            _ => file.bytes[start..].iter_mut().zip(&value[..width]).for_each(|(byte, new)| *byte = *new),
        }
    }
}

/// Everything that can be done with a file. Answers whether it could be linked.
fn link(bytes: &[u8]) -> bool {
    let Ok(object) = MachO::parse(bytes) else { return false };
    for index in 0..object.symbol_count() + 2 {
        let _ = object.symbol(index).map(|symbol| symbol.name.len());
    }
    let inputs = [Input { name: "changed", object }];
    let needs = measure(&inputs, 0);
    let bound = 8 + 2 * bytes.len();
    let all =
        [needs.sections, needs.symbols, needs.names, needs.output_names, needs.outputs, needs.slots, needs.veneers];
    assert!(all.into_iter().all(|records| records <= bound), "{} bytes ask for {needs:?}", bytes.len());
    let mut storage = Storage::new(needs);
    let mut next = 0x40_0000_u64;
    let place = |request: &Request| {
        let addr = next.next_multiple_of(request.align.clamp(0x1000, 1 << 32));
        next = addr.saturating_add(request.size) % (1 << 40);
        Ok::<_, Infallible>(Addr::new(addr))
    };
    let mut lines = 0;
    let report = &mut |failure: &aarch64_reloc::link::Failure<'_>| lines += failure.to_string().lines().count();
    let resolve = &mut |name: &str| Some(Addr::new(0x7f_0000 + 0x1000 * (name.len() as u64 % 2)));
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
    plan.commit(&mut sections.collect::<Vec<_>>()).is_ok()
}

fn survives(bytes: &[u8], what: impl FnOnce() -> String) -> bool {
    catch_unwind(AssertUnwindSafe(|| link(bytes))).unwrap_or_else(|_| panic!("{}", what()))
}

#[test]
fn objects_that_end_too_early_are_no_danger() {
    for name in OBJECTS {
        let File { bytes } = File::open(name);
        assert!(link(&bytes), "{name}");
        for len in 0..bytes.len() {
            assert!(!survives(&bytes[..len], || format!("the first {len} bytes of {name}")) || len + 8 > bytes.len());
        }
    }
}

#[test]
fn objects_changed_at_random_are_no_danger() {
    // An emulated machine takes longer.
    let default = if cfg!(target_arch = "aarch64") { 1000 } else { 30_000 };
    let first = std::env::var("AARCH64_RELOC_FIRST_SEED").map_or(0, |text| text.parse().unwrap());
    let count = std::env::var("AARCH64_RELOC_MUTATIONS").map_or(default, |text| text.parse().unwrap());
    let files = OBJECTS.map(File::open);
    let mut linked = 0_u64;
    for seed in first..first + count {
        let mut random = Random(seed);
        let number = random.below(OBJECTS.len());
        let mut file = files[number].clone();
        change(&mut file, &mut random);
        linked += u64::from(survives(&file.bytes, || format!("{} changed by seed {seed}", OBJECTS[number])));
    }
    println!("{linked} of {count} changed objects were linked");
    assert!(count < 1000 || (1..count).contains(&linked), "{linked} of {count}");
}
