//! Whole objects: any bytes at all as objects, in tables of any length.

use crate::drain;
use aarch64_reloc::cache::Native;
use aarch64_reloc::formats::elf::Elf;
use aarch64_reloc::formats::image::{Counts, Image};
use aarch64_reloc::install::{InstallError, Installed, install};
use aarch64_reloc::link::{
    CommitError, Failure, Input, Needs, Object, ObjectError, Options, Plan, Refused, Request, Tables, measure,
};
use aarch64_reloc::verify::{Memory, Target, Verdict, View, Wrong};
use aarch64_reloc::{Addr, Fixup, Prot, Reloc, Section};
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
    black_box((plan.summary(), plan.needs().bytes()));
    plan.find(name)
}

#[unsafe(no_mangle)]
pub fn prove_commit<'data>(plan: &Plan<'_, 'data, Elf<'data>>, memory: &mut [Section<'_>]) -> Result<(), CommitError> {
    plan.commit(memory)
}

#[unsafe(no_mangle)]
pub fn prove_commit_in_place<'data>(
    plan: &mut Plan<'_, 'data, Elf<'data>>,
    memory: &mut [Section<'_>],
    base: Addr,
    len: u64,
    fixups: &mut [Fixup],
) -> Result<usize, CommitError> {
    Ok(plan.commit_in_place(memory, (base, len), fixups)?.len())
}

#[unsafe(no_mangle)]
pub fn prove_install<'m, 'data>(
    plan: &mut Plan<'_, 'data, Elf<'data>>,
    memory: Section<'m>,
    pages: &mut dyn FnMut(Addr, u64, Prot) -> Result<(), u32>,
) -> Result<Installed<'m>, InstallError<u32>> {
    let mut pages = pages;
    install(plan, memory, &mut Native, &mut pages)
}

#[unsafe(no_mangle)]
pub fn prove_installed(installed: Installed<'_>, addr: Addr, len: usize) -> Result<(), u32> {
    black_box((installed.bytes(addr, len), installed.word(addr)));
    // SAFETY: nothing of this library runs.
    black_box(unsafe { installed.function::<extern "C" fn()>(addr) });
    installed.unload(&mut |addr: Addr, _, _| Err(addr.get() as u32))
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
