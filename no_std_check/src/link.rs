//! Whole objects: any bytes at all as objects, in tables of any length.

use crate::drain;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::formats::image::{Counts, Image};
use aarch64_reloc::link::{
    CommitError, Failure, Input, Needs, Object, ObjectError, Options, Plan, Refused, Request, Tables, measure,
};
use aarch64_reloc::verify::{Memory, Target, Verdict, View, Wrong};
use aarch64_reloc::{Addr, Reloc, Section};
use core::hint::black_box;

type ElfInput<'data> = Input<'data, Elf<'data>>;

#[unsafe(no_mangle)]
pub fn prove_elf(bytes: &[u8], section: usize, index: usize) -> Result<usize, ObjectError> {
    let object = Elf::parse(bytes)?;
    black_box((object.section(section)?, object.symbol(index)?, object.relocation(section, index)?));
    Ok(object.section_count() + object.symbol_count())
}

#[unsafe(no_mangle)]
pub fn prove_measure(inputs: &[ElfInput<'_>], pins: usize) -> Needs {
    measure(inputs, pins)
}

#[unsafe(no_mangle)]
pub fn prove_plan<'t, 'data>(
    inputs: &'t [ElfInput<'data>],
    options: &Options<'_, 'data>,
    tables: Tables<'t, 'data>,
    resolve: &mut dyn FnMut(&str) -> Option<Addr>,
    place: &mut dyn FnMut(&mut [Request]) -> Result<(), u32>,
    report: &mut dyn FnMut(&Failure<'_>),
) -> Result<Plan<'t, 'data, Elf<'data>>, Refused<u32>> {
    Plan::new(inputs, options, tables, resolve, place, report)
}

#[unsafe(no_mangle)]
pub fn prove_planned<'data>(plan: &Plan<'_, 'data, Elf<'data>>, name: &str) -> Option<Addr> {
    drain(plan.segments().iter().map(|segment| (segment.prot(), segment.addr(), segment.size())));
    drain(plan.outputs().iter().map(|output| (output.name(), output.prot(), output.addr(), output.segment())));
    drain(plan.symbols());
    drain(plan.slots());
    drain(plan.veneers());
    plan.for_each_emitted(|emitted| _ = black_box(emitted));
    black_box(plan.summary());
    plan.find(name)
}

#[unsafe(no_mangle)]
pub fn prove_commit<'data>(
    plan: &Plan<'_, 'data, Elf<'data>>,
    memory: &mut [Section<'_>],
) -> Result<(), CommitError> {
    plan.commit(memory)
}

#[unsafe(no_mangle)]
pub fn prove_check(memory: &Memory<'_>, place: Addr, reloc: Reloc, target: Target) -> Result<Verdict, Wrong> {
    memory.check(place, reloc, target).inspect_err(|wrong| _ = black_box(wrong.is_truncated()))
}

#[unsafe(no_mangle)]
pub fn prove_view<'a>(view: View<'a>, reloc: Reloc, addr: Addr, len: usize) -> (Option<View<'a>>, Target) {
    (view.part(addr, len), Target::new(reloc, Some(addr), addr.get().cast_signed()))
}

#[unsafe(no_mangle)]
pub fn prove_image(
    bytes: &[u8],
    memory: &Memory<'_>,
    resolve: &mut dyn FnMut(&str) -> Option<Addr>,
    report: &mut dyn FnMut(&Wrong),
) -> Result<Counts, ObjectError> {
    let image = Image::parse(bytes)?;
    drain(image.sections());
    drain(image.bases());
    drain(image.dynamic());
    image.verify(memory, resolve, &mut |_, wrong| report(wrong))
}
