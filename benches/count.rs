//! Workloads whose instructions are counted: `count.sh` runs each under callgrind. Without a name, all are run, and checked.

#[path = "common/arena.rs"]
mod arena;
mod common;
#[path = "link/synthetic.rs"]
mod synthetic;
#[path = "link/whole.rs"]
mod whole;

use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::got::{Entry, Got, Symbol};
use aarch64_reloc::link::{Failure, Input, Options, Plan, Request, Storage, each, measure};
use aarch64_reloc::veneer::{Cell, Island};
use aarch64_reloc::{Addr, Reloc, Section};
use common::appliers::Applier;
use common::{MIX, Order, REAL, Share, TEXT, batch, holds};
use std::hint::black_box;

/// What is counted is what runs in here: callgrind is told this name.
#[unsafe(no_mangle)]
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
}

/// A workload: its name, how many things it does, and what prepares, has counted and checks it. The name of what is not ours
/// begins with `floor/` or `peer/`.
type Workload = (&'static str, usize, fn(usize));

const COUNT: usize = 50_000;

/// Relocations in Debian's libcrypto.a, about.
const LIBCRYPTO: usize = 120_000;

const WORKLOADS: &[Workload] = &[
    ("patch_all/mix", COUNT, |count| apply(MIX, count, |_, fixups| Some(Applier::patch_all(fixups)))),
    ("patch_all/real", COUNT, |count| apply(REAL, count, |_, fixups| Some(Applier::patch_all(fixups)))),
    ("check_all/mix", COUNT, check_all),
    ("patch_batch/mix", COUNT, |count| apply(MIX, count, |_, fixups| Some(Applier::patch_batch(fixups)))),
    ("patch_batch/real", COUNT, |count| apply(REAL, count, |_, fixups| Some(Applier::patch_batch(fixups)))),
    ("patch_batch/CALL26", COUNT, |count| apply(&MIX[..1], count, |_, fixups| Some(Applier::patch_batch(fixups)))),
    ("patch_run/ABS64", COUNT, patch_run),
    ("patch/CALL26", COUNT, |count| apply(&MIX[..1], count, |_, fixups| Some(Applier::patch(fixups)))),
    ("patch/mix", COUNT, |count| apply(MIX, count, |_, fixups| Some(Applier::patch(fixups)))),
    ("arena/packed/0", COUNT, |count| alloc_free(arena::filled(0).0, count)),
    ("arena/packed/10000", COUNT, |count| alloc_free(arena::filled(10_000).0, count)),
    ("arena/fragmented/10000", COUNT, |count| alloc_free(arena::fragmented(10_000), count)),
    ("link/one", COUNT, |count| link(count, 1)),
    ("link/500", COUNT, |count| link(count, 500)),
    ("link/libcrypto", LIBCRYPTO, link_libcrypto),
    ("slot_for/1000", COUNT, |count| slots(1_000, count)),
    ("slot_for/100000", 2 * COUNT, |count| slots(100_000, count)),
    ("slot_for/new", COUNT, new_slots),
    ("veneer_for/1000", COUNT, |count| veneers(1_000, count)),
    ("floor/records-read/mix", COUNT, |count| apply(MIX, count, |_, fixups| Some(Applier::reads(fixups)))),
    ("floor/places-touched/mix", COUNT, |count| apply(MIX, count, |_, fixups| Some(Applier::touches(fixups)))),
    ("peer/JITLink/mix", COUNT, |count| apply(MIX, count, Applier::jitlink)),
    ("peer/JITLink/CALL26", COUNT, |count| apply(&MIX[..1], count, Applier::jitlink)),
    ("peer/dynasmrt/CALL26", COUNT, |count| apply(&MIX[..1], count, |_, fixups| Applier::dynasmrt(fixups))),
    ("peer/linker-utils/mix", COUNT, |count| apply(MIX, count, |_, fixups| Some(Applier::linker_utils(fixups)))),
];

/// Counts what an applier does, if it is there.
fn apply(shares: &[Share], count: usize, make: fn(&mut [u8], &[aarch64_reloc::Fixup]) -> Option<Applier>) {
    let (mut text, fixups) = batch(shares, count, Order::Sorted);
    let Some(mut applier) = make(&mut text, &fixups) else { return };
    counted(&mut || (applier.apply)(black_box(&mut text)));
    assert!(!applier.relocates || holds(&mut text, &fixups));
}

fn check_all(count: usize) {
    let (mut text, fixups) = batch(MIX, count, Order::Sorted);
    counted(&mut || assert!(Section::new(black_box(&mut text), TEXT).check_all(black_box(&fixups)).is_ok()));
}

fn patch_run(count: usize) {
    let (mut text, fixups) = batch(&MIX[4..5], count, Order::Packed);
    let targets: Vec<_> = fixups.iter().map(|fixup| Addr::new(fixup.value().bits())).collect();
    counted(&mut || {
        Section::new(black_box(&mut text), TEXT).patch_run(0, Reloc::ABS64, black_box(&targets)).unwrap();
    });
    assert!(holds(&mut text, &fixups));
}

/// A segment of up to 1 MiB comes and goes.
fn alloc_free(mut arena: arena::Arena<Vec<arena::Block>>, count: usize) {
    let free = arena.free_bytes();
    counted(&mut || arena::alloc_free(black_box(&mut arena), count));
    assert_eq!(arena.free_bytes(), free);
}

/// Numbers spread over 64 bits, multiples of four, in an order that is not theirs.
fn numbers(count: u64) -> Vec<u64> {
    (0..count).map(|index| (index * 7919 % count).wrapping_mul(0x9e37_79b9_7f4a_7c15) << 2).collect()
}

/// The slots of symbols that have none yet.
fn new_slots(count: usize) {
    let (symbols, mut got) = (numbers(count as u64), Got::new(vec![Entry::default(); count], TEXT).unwrap());
    counted(&mut || {
        for &symbol in black_box(&symbols) {
            black_box(got.slot_for(Symbol::new(symbol), TEXT).unwrap());
        }
    });
    assert_eq!(got.len(), count);
}

/// The slot of a symbol that has one.
fn slots(symbols: u64, count: usize) {
    let (symbols, mut got) = (numbers(symbols), Got::new(vec![Entry::default(); symbols as usize], TEXT).unwrap());
    symbols.iter().for_each(|&symbol| _ = got.slot_for(Symbol::new(symbol), TEXT).unwrap());
    counted(&mut || {
        for _ in 0..count / symbols.len() {
            for &symbol in black_box(&symbols) {
                black_box(got.slot_for(Symbol::new(symbol), TEXT).unwrap());
            }
        }
    });
    assert_eq!(got.len(), symbols.len());
}

/// The veneer to a function that has one.
fn veneers(functions: u64, count: usize) {
    let mut island = Island::new(vec![Cell::default(); 2 * functions as usize], TEXT).unwrap();
    let functions = numbers(functions);
    functions.iter().for_each(|&function| _ = island.veneer_for(Addr::new(function)).unwrap());
    let used = island.len();
    counted(&mut || {
        for _ in 0..count / functions.len() {
            for &function in black_box(&functions) {
                black_box(island.veneer_for(Addr::new(function)).unwrap());
            }
        }
    });
    assert_eq!(island.len(), used);
}

/// A whole object, from its bytes to the image.
fn link(relocations: usize, sections: usize) {
    let bytes = synthetic::object(relocations, sections);
    let mut image = vec![0; relocations * 16];
    let mut linked = 0;
    counted(&mut || {
        let inputs = [Input { name: "synthetic.o", object: Elf::parse(black_box(&bytes)).unwrap() }];
        let mut storage = Storage::new(measure(&inputs, 0));
        let mut next = TEXT;
        let place = |request: &Request| {
            let addr = next.align_up(request.align.max(1 << 16));
            next = addr.plus(request.size as i64);
            Ok::<_, ()>(addr)
        };
        let report = &mut |failure: &Failure<'_>| panic!("{failure}");
        let options = Options::default();
        let plan = Plan::new(&inputs, &options, storage.lend(), &mut |_| None, each(place), report).unwrap();
        let mut rest = &mut image[..];
        let mut memory = Vec::new();
        for segment in plan.segments() {
            let (bytes, others) = core::mem::take(&mut rest).split_at_mut(segment.size() as usize);
            memory.push(Section::new(bytes, segment.addr()));
            rest = others;
        }
        plan.commit(&mut memory).unwrap();
        linked = plan.summary().relocations;
    });
    assert_eq!(linked, relocations);
}

/// A whole archive, from its bytes to the image, where there is one.
fn link_libcrypto(relocations: usize) {
    let Some(path) = whole::libcrypto() else { return };
    let bytes = std::fs::read(path).unwrap();
    let mut linked = 0;
    counted(&mut || {
        let link = |inputs: &[Input<'_, Elf<'_>>]| whole::link(inputs, &mut Storage::default(), &mut Vec::new());
        linked = whole::with_members(black_box(&bytes), link).relocations;
    });
    assert!(linked.abs_diff(relocations) < relocations / 10, "{linked} relocations");
}

fn main() {
    // `cargo bench` and `cargo test` give options.
    let names: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if names.first().is_some_and(|name| name == "list") {
        WORKLOADS.iter().for_each(|(name, units, _)| println!("{name} {units}"));
        return;
    }
    for (name, units, run) in WORKLOADS {
        if names.is_empty() || names.iter().any(|given| given == name) {
            run(*units);
        }
    }
}
