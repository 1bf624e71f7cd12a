//! Workloads whose instructions are counted: `count.sh` runs each under callgrind. Without a name, all are run, and checked.

mod common;

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
