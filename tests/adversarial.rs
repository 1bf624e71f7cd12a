//! Real objects at every address an adversary could think of: each reference comes to its target, or is an error that is
//! right. No memory is committed: addresses are numbers.
//!
//! `AARCH64_RELOC_LAYOUTS` is how many layouts are tried.
#![cfg(all(feature = "std", feature = "object"))]

#[path = "common/follow.rs"]
mod follow;
#[path = "adversarial/layout.rs"]
mod layout;
#[allow(dead_code)]
mod objects;
#[path = "adversarial/oracle.rs"]
mod oracle;
#[path = "adversarial/program.rs"]
mod program;

use aarch64_reloc::addr::Addr;
use aarch64_reloc::arena::Prot;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::link::{Cause, Failure, Input, Options, Pin, Plan, Policy, Refused, Storage, each, measure};
use aarch64_reloc::patch::Section;
use aarch64_reloc::reloc::Reason;
use layout::{Layout, Random};
use objects::VARIANTS;
use oracle::{Image, Oracle, Verdict};
use program::{EXECUTABLE, NOWHERE, Program, READ_ONLY, WRITABLE};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

/// Layouts in a run that nobody asked for more of.
const LAYOUTS: u64 = 2000;

/// A refused relocation: object, section and offset; and where it is, if it was refused for its range or alignment.
type Refusals = BTreeMap<(String, String, u64), Option<u64>>;

/// The programs that are linked: each as one compiler made it, with and without what no compiler makes of C.
fn programs() -> Vec<Program> {
    let own = |name: &str| {
        let path = format!("{}/tests/adversarial/{name}.o", env!("CARGO_MANIFEST_DIR"));
        (name.to_owned(), std::fs::read(path).unwrap())
    };
    let pair = |variant| {
        ["main", "shapes"].map(|name| format!("{name}-{variant}.o")).map(|name| (name.clone(), objects::read(&name)))
    };
    let plain = VARIANTS.into_iter().map(|variant| Program::new(pair(variant).to_vec()));
    let more = VARIANTS.into_iter().map(|variant| Program::new([&pair(variant)[..], &[own("kinds")]].concat()));
    let all =
        plain.chain(more).chain([Program::new(vec![own("kinds")]), Program::new(vec![own("kinds"), own("hard")])]);
    all.collect()
}

/// Links `program` as `layout` says.
fn link(program: &Program, layout: &Layout, policy: Policy) -> Result<Image, Refusals> {
    let inputs: Vec<_> =
        program.files.iter().map(|(name, file)| Input { name, object: Elf::parse(file).unwrap() }).collect();
    let named =
        || program.outputs.iter().map(|output| &*output.name).zip(&layout.outputs).chain([(".got", &layout.got)]);
    let pinned = named().filter(|_| layout.segments.is_none());
    let pins: Vec<_> = pinned.map(|(section, &at)| Pin { section, addr: Addr::new(at) }).collect();
    let mut storage = Storage::new(measure(&inputs, pins.len()));
    let mut refusals = Refusals::new();
    let report = &mut |failure: &Failure<'_>| {
        let (section, offset) = failure.place.unwrap_or_else(|| panic!("{failure}\n{layout:x?}"));
        let far = match failure.cause {
            Cause::Patch(error) if matches!(error.reason, Reason::OutOfRange { .. } | Reason::Misaligned { .. }) => {
                Some(error.place.get())
            }
            _ => None,
        };
        refusals.insert((failure.object.to_owned(), section.to_owned(), offset), far);
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
    let options = Options { pins: &pins, policy };
    let mut plan = match Plan::new(&inputs, &options, storage.lend(), &mut resolve, place, report) {
        Ok(plan) => plan,
        Err(Refused::Failures(count)) => {
            assert_eq!(count, refusals.len());
            return Err(refusals);
        }
    };
    for (name, &addr) in named() {
        let output = plan.outputs().iter().find(|output| output.name() == name && output.size() > 0);
        assert!(output.is_none_or(|output| output.addr().get() == addr), "{name} is not at {addr:#x} but {output:x?}");
    }
    let places: Vec<_> = plan.segments().iter().map(|segment| (segment.addr(), segment.in_file() as usize)).collect();
    let mut bytes: Vec<_> = places.iter().map(|&(_, size)| vec![0xee; size]).collect();
    let mut memory: Vec<_> = bytes.iter_mut().zip(&places).map(|(bytes, place)| Section::new(bytes, place.0)).collect();
    plan.commit(&mut memory).unwrap();
    Ok(Image { segments: places.iter().map(|(addr, _)| addr.get()).zip(bytes).collect() })
}

/// Whether `refusals` are those that must be, at the places where they are.
fn judge_refusals(oracle: &Oracle<'_>, refusals: &Refusals) -> Result<(), String> {
    let mut left: BTreeSet<_> = refusals.keys().collect();
    for reference in &oracle.program.references {
        let refused = refusals.get(&reference.name);
        left.remove(&reference.name);
        match (oracle.verdict(reference), refused) {
            (Verdict::Fits, Some(_)) => return Err(format!("{reference:x?} is refused and fits")),
            (Verdict::Far, None) => return Err(format!("{reference:x?} does not fit and is not refused")),
            (_, Some(&far)) if far != Some(oracle.place(reference)) => {
                return Err(format!("{reference:x?}: wrong refusal"));
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
    let (mut linked, mut refused) = (0, 0);
    for seed in 0..layouts {
        let mut random = Random(seed);
        let program = &programs[random.next() as usize % programs.len()];
        let layout = Layout::random(program, &mut random);
        let policy = Policy::NO_RESCUE;
        let oracle = Oracle { program, layout: &layout, policy };
        let verdict = match link(program, &layout, policy) {
            Ok(image) => {
                linked += 1;
                oracle.judge(&image).and_then(|()| judge_refusals(&oracle, &Refusals::new()))
            }
            Err(refusals) => {
                refused += 1;
                judge_refusals(&oracle, &refusals)
            }
        };
        verdict.unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}\n{:x?}", oracle.layout));
    }
    println!("{linked} linked, {refused} refused");
    assert!(linked * 5 > layouts && refused * 20 > layouts, "{linked} linked, {refused} refused");
}
