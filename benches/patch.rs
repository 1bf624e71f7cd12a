//! What a checked fixup costs: by kind, mix, number and order, beside the floor and the peers, all on the same fixups and all
//! leaving the same bytes. `cargo bench --bench patch` measures; `-- large` adds 20 000 000
//! fixups, `-- mix` leaves out all others.

mod common;

use common::appliers::Applier;
use common::{MIX, Order, REAL, Share, batch, holds, time};

/// The time of each applier, in nanoseconds of the processor a fixup.
type Times = Vec<(&'static str, f64)>;

/// Rounds of which the median is taken; each applier has its turn in each.
const ROUNDS: usize = 15;
/// Fixups a turn, at least: batches are applied as often as that needs.
const TURN: usize = 400_000;

/// Compares what all appliers make of `fixups`, and then times them, if asked.
fn compare(shares: &[Share], count: usize, order: Order, measure: bool) -> Times {
    let (text, fixups) = batch(shares, count, order);
    let mut expected = text.clone();
    assert!(!holds(&mut expected, &fixups));
    (Applier::patch_all(&fixups).apply)(&mut expected);
    assert!(holds(&mut expected, &fixups));

    let mut scratch = text.clone();
    let mut appliers = Applier::all(&mut scratch, &fixups);
    for applier in &mut appliers {
        scratch.copy_from_slice(&text);
        (applier.apply)(&mut scratch);
        assert!(!applier.relocates || scratch == expected, "{}", applier.name);
    }
    if !measure {
        return Times::new();
    }

    scratch.copy_from_slice(&expected);
    let repeats = TURN.div_ceil(count);
    let mut turns: Vec<(&str, Vec<f64>)> = appliers.iter().map(|applier| (applier.name, Vec::new())).collect();
    for _ in 0..ROUNDS {
        for (applier, (_, times)) in appliers.iter_mut().zip(&mut turns) {
            let took = time::of(|| (0..repeats).for_each(|_| (applier.apply)(&mut scratch)));
            times.push(took.as_nanos() as f64 / (repeats * count) as f64);
        }
    }
    turns.into_iter().map(|(name, times)| (name, time::median(times))).collect()
}

/// How many times faster `one` is than `other`, where both were measured.
fn ratio(times: &Times, one: &str, other: &str) -> Option<f64> {
    let of = |wanted| times.iter().find(|(name, _)| *name == wanted).map(|(_, time)| *time);
    Some(of(other)? / of(one)?)
}

/// What must hold, and what would be better: how many times faster the first is than the second.
const MUST: &[(&str, usize, &str, &str, f64, f64)] = &[
    ("mix", 50_000, "patch_all", "JITLink", 3.5, 5.0),
    ("mix", 1_000_000, "patch_all", "JITLink", 3.5, 5.0),
    ("mix", 50_000, "patch_batch", "JITLink", 9.0, 14.0),
    ("mix", 1_000_000, "patch_batch", "JITLink", 5.0, 8.0),
    ("CALL26", 50_000, "patch", "dynasmrt", 1.0, 1.5),
];

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    let given = |name| arguments.iter().any(|argument| argument == name);
    let measure = given("--bench");
    let mut failed = Vec::new();
    // Names of workloads, where some are given.
    let only: Vec<_> = arguments.iter().skip(1).filter(|name| !name.starts_with('-') && *name != "large").collect();
    let mut run = |name: &str, shares: &[Share], count, order| {
        if !only.is_empty() && !only.iter().any(|given| *given == name) {
            return;
        }
        let times = compare(shares, if measure { count } else { 1_000 }, order, measure);
        if !measure {
            return;
        }
        let cells: Vec<_> = times.iter().map(|(name, time)| format!("{name} {time:.2}")).collect();
        println!("{:<24} {count:>9} {order:<8?} {}", name, cells.join(" | "));
        for &(_, _, one, other, must, stretch) in
            MUST.iter().filter(|must| must.0 == name && must.1 == count && order == Order::Sorted)
        {
            let Some(ratio) = ratio(&times, one, other) else { continue };
            println!("    {one} is {ratio:.2} times as fast as {other}: must {must}, better {stretch}");
            if ratio < must {
                failed.push(format!("{name}, {count}: {one} is only {ratio:.2} times as fast as {other}, not {must}"));
            }
        }
    };
    for share in MIX {
        run(share.0.name().trim_start_matches("R_AARCH64_"), &[*share], 50_000, Order::Sorted);
    }
    for count in [10_000, 50_000, 1_000_000] {
        run("mix", MIX, count, Order::Sorted);
    }
    run("mix", MIX, 1_000_000, Order::Packed);
    run("mix", MIX, 1_000_000, Order::Random);
    run("real", REAL, 50_000, Order::Sorted);
    run("real", REAL, 1_000_000, Order::Sorted);
    if given("large") {
        run("mix", MIX, 20_000_000, Order::Sorted);
        run("mix", MIX, 20_000_000, Order::Random);
    }
    assert!(failed.is_empty(), "on a noisy machine, again: {failed:#?}");
}
