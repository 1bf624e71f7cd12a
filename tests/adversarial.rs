//! Real objects at every address an adversary could think of: each reference comes to its target, or is an error that is
//! right. No memory is committed: addresses are numbers.
//!
//! `AARCH64_RELOC_LAYOUTS` is how many layouts are tried.
#![cfg(all(feature = "std", feature = "object"))]

#[cfg(not(target_arch = "aarch64"))]
mod common;
#[path = "common/follow.rs"]
mod follow;
#[path = "adversarial/layout.rs"]
mod layout;
#[path = "common/needs.rs"]
mod needs;
#[allow(dead_code)]
mod objects;
#[path = "adversarial/oracle.rs"]
mod oracle;
#[path = "adversarial/program.rs"]
mod program;
#[path = "adversarial/verdict.rs"]
mod verdict;

use aarch64_reloc::addr::Addr;
use aarch64_reloc::arena::Prot;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::link::{Cause, Failure, Input, Options, Pin, Plan, Policy, Storage, Summary, each};
use aarch64_reloc::patch::Section;
use aarch64_reloc::reloc::Reason;
use follow::Memory;
use layout::{Layout, MARGIN, Random};
use objects::VARIANTS;
use oracle::{Image, Oracle};
use program::{EXECUTABLE, NOWHERE, Program, READ_ONLY, WRITABLE};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use verdict::Verdict;

/// Layouts in a run that nobody asked for more of.
const LAYOUTS: u64 = 2000;

/// The refused relocations, each by its object, section and offset; where it is, if it was refused for its range or
/// alignment, and in which words.
type Refusals = BTreeMap<(String, String, u64), (Option<u64>, String)>;

/// An object of this test's own.
fn own(name: &str) -> (String, Vec<u8>) {
    let path = format!("{}/tests/adversarial/{name}.o", env!("CARGO_MANIFEST_DIR"));
    (name.to_owned(), std::fs::read(path).unwrap())
}

/// The programs that are linked: each as one compiler made it, with and without what no compiler makes of C.
fn programs() -> Vec<Program> {
    let read = |name: String| (name.clone(), objects::read(&name));
    let pair = |variant| ["main", "shapes"].map(|name| read(format!("{name}-{variant}.o"))).to_vec();
    let plain = VARIANTS.into_iter().map(|variant| Program::new(pair(variant)));
    let more =
        VARIANTS.into_iter().map(|variant| Program::new([pair(variant), vec![own("odd"), own("kinds")]].concat()));
    // Branches last: what follows them moves, to make room for their island.
    let sets: [&[_]; 6] = [
        &["branches"],
        &["kinds", "branches"],
        &["kinds"],
        &["odd", "kinds"],
        &["odd", "kinds", "branches"],
        &["hard", "odd", "kinds"],
    ];
    let small = sets.into_iter().map(|names| Program::new(names.iter().map(|name| own(name)).collect()));
    plain.chain(more).chain(small).collect()
}

/// Links `program` as `layout` says, which learns where text has moved apart.
fn link(program: &Program, layout: &mut Layout, policy: Policy) -> Result<(Image, Summary), Refusals> {
    let inputs: Vec<_> =
        program.files.iter().map(|(name, file)| Input { name, object: Elf::parse(file).unwrap() }).collect();
    let named = program.outputs.iter().map(|output| &*output.name).zip(&layout.outputs).chain([(".got", &layout.got)]);
    let pinned = named.filter(|_| layout.segments.is_none());
    let pins: Vec<_> = pinned.map(|(section, &at)| Pin { section, addr: Addr::new(at) }).collect();
    let mut storage = Storage::new(needs::most(&inputs, pins.len()));
    let mut refusals = Refusals::new();
    let report = &mut |failure: &Failure<'_>| {
        let (section, offset) = failure.place.unwrap_or_else(|| panic!("{failure}\n{layout:x?}\n{policy:?}"));
        let place = match failure.cause {
            Cause::Patch(error) if matches!(error.reason, Reason::OutOfRange { .. } | Reason::Misaligned { .. }) => {
                Some(error.place.get())
            }
            Cause::Stranded(error, _) => Some(error.place.get()),
            Cause::ReadsText(_) | Cause::Tagged(_) => None,
            _ => panic!("{failure}\n{layout:x?}\n{policy:?}"),
        };
        refusals.entry((failure.object.to_owned(), section.to_owned(), offset)).or_insert((place, failure.to_string()));
    };
    let mut resolve = |name: &str| {
        let external = program.externals.iter().position(|external| external == name);
        assert!(external.is_some() || name.ends_with(NOWHERE), "{name}");
        external.map(|at| Addr::new(layout.externals[at]))
    };
    let segments = layout.segments.unwrap_or([layout.plt; 3]);
    let place = each(|request| {
        Ok::<_, Infallible>(Addr::new(match request.prot {
            Prot::ReadExec => segments[EXECUTABLE],
            Prot::Read => segments[READ_ONLY],
            Prot::ReadWrite => segments[WRITABLE],
        }))
    });
    let options = Options { pins: &pins, policy, ..Options::default() };
    let Ok(plan) = Plan::new(&inputs, &options, storage.lend(), &mut resolve, place, report) else {
        return Err(refusals);
    };
    assert!(refusals.is_empty());
    // Where nothing is pinned, text moves apart by the islands in it; all else is where the test put it.
    for output in plan.outputs().iter().filter(|output| output.size() > 0) {
        let Some(number) = program.outputs.iter().position(|own| own.name == output.name()) else { continue };
        let moves = layout.segments.is_some() && output.name() == "other_text";
        let (at, expected) = (output.addr().get(), &mut layout.outputs[number]);
        assert!(at == *expected || moves && at.wrapping_sub(*expected) < MARGIN, "{at:#x}: {output:x?}");
        *expected = at;
    }
    let places: Vec<_> = plan.segments().iter().map(|segment| (segment.addr(), segment.in_file() as usize)).collect();
    let mut bytes: Vec<_> = places.iter().map(|&(_, size)| vec![0xee; size]).collect();
    let mut memory: Vec<_> = bytes.iter_mut().zip(&places).map(|(bytes, place)| Section::new(bytes, place.0)).collect();
    let committed = plan.commit(&mut memory);
    assert!(committed.is_ok(), "{committed:?}: {:x?}\n{:x?}", plan.segments(), plan.outputs());
    let image = Image { segments: places.iter().map(|(addr, _)| addr.get()).zip(bytes).collect() };
    Ok((image, plan.summary()))
}

/// Whether `refusals` are those that must be, at the places where they are.
fn judge_refusals(oracle: &Oracle<'_>, refusals: &Refusals) -> Result<(), String> {
    let mut left: BTreeSet<_> = refusals.keys().collect();
    for reference in &oracle.program.references {
        let refused = refusals.get(&reference.name);
        left.remove(&reference.name);
        let place = oracle.place(reference);
        match (oracle.verdict(reference), refused) {
            (Verdict::Fits, Some((_, why))) => return Err(format!("{reference:x?} at {place:#x} fits: {why}")),
            (Verdict::Far, None) => {
                return Err(format!("{reference:x?} at {place:#x} does not fit and is not refused"));
            }
            (_, Some(&(Some(at), _))) if at.wrapping_sub(place) > oracle.slack(reference) => {
                return Err(format!("{reference:x?} at {place:#x} is refused at {at:#x}"));
            }
            _ => {}
        }
    }
    if left.is_empty() { Ok(()) } else { Err(format!("{left:?} refer to nothing")) }
}

#[test]
fn every_reference_arrives_or_is_refused_for_a_reason() {
    let layouts = std::env::var("AARCH64_RELOC_LAYOUTS").map_or(LAYOUTS, |count| count.parse().unwrap());
    let programs = programs();
    let (mut linked, mut rungs) = (0, [0; 5]);
    for seed in 0..layouts {
        let mut random = Random(seed);
        let program = &programs[random.next() as usize % programs.len()];
        let policy = layout::policy(&mut random);
        let mut layout = Layout::random(program, policy, &mut random);
        let result = link(program, &mut layout, policy);
        let oracle = Oracle { program, layout: &layout, policy };
        let verdict = match result {
            Ok((image, Summary { rungs: taken, pads, .. })) => {
                linked += 1;
                let taken = [taken.direct, taken.veneer, taken.hop, taken.detour, pads];
                rungs.iter_mut().zip(taken).for_each(|(sum, taken)| *sum += taken);
                oracle.judge(&image).and_then(|()| judge_refusals(&oracle, &Refusals::new()))
            }
            Err(refusals) => judge_refusals(&oracle, &refusals),
        };
        verdict.unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}\n{layout:x?}\n{policy:?}"));
    }
    println!("{linked} of {layouts} linked; direct, veneer, hop, detour, pad: {rungs:?}");
    // Neither is rare, and no rung is left out.
    assert!(linked * 4 > layouts && linked * 20 < layouts * 19, "{linked} of {layouts} linked");
    assert!(rungs.into_iter().all(|taken| taken > 0), "{rungs:?}");
}

/// Every bit of a link, each wrong in turn: those that the oracle misses.
fn missed(names: &[&str], apart: u64, policy: Policy) -> (Summary, Vec<String>) {
    let program = Program::new(names.iter().map(|name| own(name)).collect());
    // Everything out of reach of everything, and no part of an address zero.
    let mut layout = Layout {
        outputs: (1..).take(program.outputs.len()).map(|at| (at << 44) + 0x1_2345_6770).collect(),
        externals: vec![0x7654_3210_9878],
        got: 0x6543_2109_8768,
        plt: 0x1234_5678_9000,
        segments: None,
    };
    let find = |name: &str| program.outputs.iter().position(|output| output.name == name).unwrap();
    layout.outputs[find("other_text")] = layout.outputs[find(".text")] + apart;
    let (image, summary) = link(&program, &mut layout, policy).unwrap();
    let oracle = Oracle { program: &program, layout: &layout, policy };
    assert_eq!(oracle.judge(&image), Ok(()));
    let mut missed = Vec::new();
    for (segment, (addr, bytes)) in image.segments.iter().enumerate() {
        for bit in 0..bytes.len() * 8 {
            let mut wrong = image.clone();
            wrong.segments[segment].1[bit / 8] ^= 1 << (bit % 8);
            let word = addr + (bit as u64 / 32 * 4);
            let (right, turned) = (image.number(word, 4), wrong.number(word, 4));
            // Between veneers stands what no instruction is; where a BTI c does, a BTI jc does.
            if oracle.judge(&wrong).is_ok() && right != 0 && turned != 0xd503_24df {
                missed.push(format!("{word:#x}, {right:#010x}: {turned:#010x}"));
            }
        }
    }
    (summary, missed)
}

#[test]
fn a_bit_that_is_wrong_is_found() {
    let (Summary { rungs, .. }, found) = missed(&["kinds", "branches"], 64 << 20, Policy::ALL);
    assert!(rungs.veneer > 0 && rungs.hop > 0 && rungs.detour > 0, "{rungs:?}");
    assert!(found.is_empty(), "{}", found.join("\n"));
    for (apart, pads) in [(1 << 30, false), (1 << 30, true), (1 << 46, true)] {
        let policy = Policy { landing_pads: pads, ..Policy::ALL };
        let (summary, found) = missed(&["kinds"], apart, policy);
        assert!(summary.rungs.veneer > 4 && (summary.pads > 0) == pads, "{summary:?}");
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}

#[test]
#[cfg(not(target_arch = "aarch64"))]
fn the_objects_are_what_their_script_makes() {
    if common::require("llvm-mc-19").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/adversarial/make.sh");
    assert!(std::process::Command::new(script).arg(folder.path()).status().unwrap().success());
    for name in ["branches", "hard", "kinds", "odd"] {
        let made = std::fs::read(folder.path().join(name).with_extension("o")).unwrap();
        assert!(made == own(name).1, "{name}");
    }
}
