//! An image that several threads commit, each a part, is the one that a single thread commits; and what its plan takes.
#![cfg(all(feature = "std", feature = "link"))]

#[path = "../benches/link/synthetic.rs"]
mod synthetic;

use aarch64_reloc::addr::Addr;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::link::{CommitError, Failure, Input, Options, Plan, Request, Storage, each, measure};
use aarch64_reloc::patch::Section;
use std::thread;

/// Calls `visit` with the plan of `bytes`, whose segments lie side by side.
fn with_plan<'d>(bytes: &'d [u8], visit: impl FnOnce(&Plan<'_, 'd, Elf<'d>>)) {
    let inputs = [Input { name: "synthetic.o", object: Elf::parse(bytes).unwrap() }];
    let mut storage = Storage::new(measure(&inputs, 0));
    let mut next = Addr::new(0x40_0000);
    let place = |request: &Request| {
        let addr = next.align_up(request.align.max(1 << 16));
        next = addr.plus(request.size as i64);
        Ok::<_, ()>(addr)
    };
    let report = &mut |failure: &Failure<'_>| panic!("{failure}");
    let plan = Plan::new(&inputs, &Options::default(), storage.lend(), &mut |_| None, each(place), report);
    visit(&plan.unwrap());
}

/// Memory for every segment, with something in it that is to go.
fn memory<'d>(plan: &Plan<'_, 'd, Elf<'d>>) -> Vec<Vec<u8>> {
    plan.segments().iter().map(|segment| vec![0xa5; segment.size() as usize]).collect()
}

fn committed<'d>(plan: &Plan<'_, 'd, Elf<'d>>) -> Vec<Vec<u8>> {
    let mut image = memory(plan);
    let sections = plan.segments().iter().zip(&mut image).map(|(segment, bytes)| Section::new(bytes, segment.addr()));
    plan.commit(&mut sections.collect::<Vec<_>>()).unwrap();
    image
}

#[test]
fn parts_that_threads_commit_are_the_image() {
    const THREADS: i64 = 7;
    for sections in [1, 10, 500] {
        with_plan(&synthetic::object(20_000, sections), |plan| {
            let mut image = memory(plan);
            let mut parts = 0;
            thread::scope(|scope| {
                for (index, (segment, bytes)) in plan.segments().iter().zip(&mut image).enumerate() {
                    let mut rest = Section::new(bytes, segment.addr());
                    for thread in 1..=THREADS {
                        let wanted = segment.addr().plus(segment.size() as i64 * thread / THREADS);
                        let cut = plan.cut(index, wanted);
                        let at = rest.offset_of(cut);
                        let (mut part, other) = rest.split_at(at).unwrap();
                        rest = other;
                        parts += usize::from(!part.is_empty());
                        scope.spawn(move || plan.commit_part(&mut part).unwrap());
                    }
                    assert!(rest.is_empty());
                }
            });
            assert!(parts > if sections > 1 { 7 } else { 1 }, "{sections} sections were cut into {parts} parts");
            assert!(image == committed(plan), "{sections} sections");
        });
    }
}

#[test]
fn a_part_that_cuts_a_section_is_refused() {
    with_plan(&synthetic::object(1_000, 10), |plan| {
        let text = plan.segments()[0];
        let mut bytes = vec![0; text.size() as usize];
        let cut = plan.cut(0, text.addr().plus(1));
        assert!(cut > text.addr().plus(1));
        let (mut low, _) = Section::new(&mut bytes, text.addr()).split_at(text.size() as usize / 2 + 1).unwrap();
        assert_eq!(plan.commit_part(&mut low), Err(CommitError::Memory(0)));
        // Where no other section begins, the segment ends.
        assert_eq!(plan.cut(0, text.addr().plus(text.size() as i64)), text.addr().plus(text.size() as i64));
    });
}

#[test]
fn a_plan_takes_less_than_64_bytes_a_relocation() {
    for (relocations, sections) in [(10_000, 1), (100_000, 1), (100_000, 1_000)] {
        let object = synthetic::object(relocations, sections);
        let inputs = [Input { name: "synthetic.o", object: Elf::parse(&object).unwrap() }];
        let each = measure(&inputs, 0).bytes() as f64 / relocations as f64;
        assert!((16.0..64.0).contains(&each), "{relocations} relocations, {sections} sections: {each:.1} bytes");
        println!("{relocations} relocations in {sections} sections: {each:.1} bytes each");
    }
}
