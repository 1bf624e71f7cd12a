//! Indirect functions (`STT_GNU_IFUNC`): a function of the object, the resolver, says when it is called where the one is that
//! is meant. Nothing is known of that while linking, so whatever refers to it gets a veneer of its own, one in the link:
//!
//! ```text
//! call, address, slot of the GOT -> veneer in .plt -> slot of its own -> what the resolver said
//! ```
//!
//! Until whoever runs the image has called the resolver, the slot holds zero.
//!
//! A place that a function initialises (`R_AARCH64_FUNCINIT64`) is such a slot without a veneer, and `S + A` its resolver. The
//! fixup of the place keeps that, and what is written is zero. A weak symbol that nothing defines is no resolver: the place
//! stays zero, and nothing is called. The ABI has no word for that; a weak reference to nothing is zero elsewhere.

use super::bases;
use super::error::Cause;
use super::isles::Wanted;
use super::layout::Layout;
use super::object::{Definition, Object};
use super::parts::FULL;
use super::plan::Plan;
use super::policy::Policy;
use super::route::{Reference, Router, refers_to_nothing};
use super::scan::Counts;
use super::symbols::{Symbols, target_name};
use super::tables::{First, Output, State, Target};
use super::{Input, Report};
use crate::addr::Addr;
use crate::arena::Prot;
use crate::got::{Kind, Symbol};
use crate::patch::Fixup;
use crate::reloc::{Reloc, Value};
use crate::veneer::Callee;

/// An indirect function of a plan, or a place that a function initialises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Indirect<'data> {
    /// Its name; of a place, that of the output section it is in.
    pub name: &'data str,
    /// Takes what the platform gives a resolver, and answers with the address of the function, or with what the place is to
    /// hold.
    pub resolver: Addr,
    /// Eight bytes, writable and aligned, that are to hold the answer before the image runs.
    pub slot: Addr,
}

/// The key of the slot that the veneer of symbol `number` leads through; no base of the GOT has this number.
fn key(number: u32) -> Symbol {
    bases::key(u32::MAX, number)
}

/// Whether symbol `number`, which is `target`, is an indirect function of an object of the link.
fn is_own(number: usize, target: &Target) -> bool {
    FULL && target.flags.indirect() && target.state == State::Defined && target.definer as usize == number
}

/// Counts what the indirect functions need, or reports that the policy has no place for them.
pub(super) fn count<'data, O: Object<'data>>(
    inputs: &[Input<'data, O>],
    symbols: &Symbols<'_>,
    policy: Policy,
    report: &mut Report<'_>,
) -> Counts {
    let mut counts = Counts::default();
    if !FULL {
        return counts;
    }
    for (number, target) in symbols.if_indirect().iter().enumerate().filter(|&(number, target)| is_own(number, target))
    {
        counts.slots += 1;
        counts.cells += CELLS;
        let cause = match policy {
            Policy { resolvers: false, .. } => Cause::NoResolver,
            Policy { veneers: false, .. } | Policy { scratch: false, .. } => Cause::NoIndirect,
            _ => continue,
        };
        let object = inputs.get(target.object as usize).map_or("", |input| input.name);
        let symbol = target_name(inputs, symbols.targets(), number as u32);
        report.of_symbol(object, symbol, cause);
    }
    counts
}

/// Cells of a veneer and its landing pad.
pub(super) const CELLS: usize = 3;

/// Makes the veneers, which are what their symbols' addresses are from now on. Where there is no room, or a slot of the GOT
/// is full, the symbol is as one that could not be read: `report` is told, if this is not to be done again.
pub(super) fn make<'data, O: Object<'data>>(
    inputs: &[Input<'data, O>],
    firsts: &[First],
    symbols: &mut Symbols<'_>,
    router: &mut Router<'_>,
    mut report: Option<&mut Report<'_>>,
) {
    if !FULL {
        return;
    }
    let last = firsts.last().map_or(0, |first| first.base);
    for number in 0..symbols.if_indirect().len() {
        let Some(target) = symbols.get_mut(number).filter(|target| is_own(number, target)) else { continue };
        match veneer(number as u32, router) {
            Ok(addr) => {
                target.addr = addr;
                // Slots near a base come first in the GOT, and were made before.
                for base in 0..=last {
                    let _ = router.got.repoint(bases::key(base, number as u32), addr);
                }
            }
            Err(cause) => {
                // Of a table that is too short, it alone is told.
                let is_short = router.isles.is_short();
                if let Some(report) = report.as_deref_mut().filter(|_| !is_short) {
                    let object = inputs.get(target.object as usize).map_or("", |input| input.name);
                    target.state = State::Unreadable;
                    let symbol = target_name(inputs, symbols.targets(), number as u32);
                    report.of_symbol(object, symbol, cause);
                }
            }
        }
    }
}

/// The address that stands for symbol `number`.
fn veneer(number: u32, router: &mut Router<'_>) -> Result<Addr, Cause<'static>> {
    // `.plt` is the first island.
    const PLT: u32 = 0;
    let slot = router.got.slot_for(key(number), Addr::new(0)).map_err(Cause::Got)?;
    let veneer = router.isles.claim(PLT, Wanted::Veneer(Callee::Slot(slot))).map_err(Cause::Veneer)?;
    if !router.policy.landing_pads {
        return Ok(veneer);
    }
    // Its address may be called.
    router.isles.claim(PLT, Wanted::Pad(veneer)).map_err(Cause::Veneer)
}

/// Bytes from the start of its section to the resolver of the indirect function `target`.
pub(super) fn resolver<'data, O: Object<'data>>(inputs: &[Input<'data, O>], target: &Target) -> Option<u64> {
    match inputs.get(target.object as usize)?.object.symbol(target.index as usize).ok()?.definition {
        Definition::Indirect { offset, .. } => Some(offset),
        _ => None,
    }
}

/// Refuses a place that a function initialises where no one does so, or where none can.
pub(super) fn check_place(
    reference: &Reference<'_>,
    layout: &Layout<'_, '_>,
    policy: Policy,
) -> Result<(), Cause<'static>> {
    if !policy.resolvers {
        return Err(Cause::NoResolver);
    }
    let is_writable = |(output, _): (&Output<'_>, u64)| output.prot == Prot::ReadWrite && !output.is_thread_local;
    layout.section(reference.section).filter(|&found| is_writable(found)).map(|_| ()).ok_or(Cause::NotWritable)
}

/// The resolver of a place that a function initialises; 0 where there is none.
pub(super) fn resolver_of(reference: &Reference<'_>) -> Result<Addr, Cause<'static>> {
    let &Reference { reloc, target, addr, addend, .. } = reference;
    if refers_to_nothing(reloc, target) {
        return Ok(Addr::new(0));
    }
    Some(addr.plus(addend)).filter(|resolver| resolver.get() != 0).ok_or(Cause::NullResolver)
}

/// What is written for `fixup` before the image runs.
pub(super) fn written(fixup: &Fixup) -> Value {
    if fixup.reloc() == Reloc::FUNCINIT64 { Addr::new(0).into() } else { fixup.value() }
}

impl<'data, O: Object<'data>> Plan<'_, 'data, O> {
    /// The indirect functions, and then the places that functions initialise, whose resolvers may call those. Before the image
    /// runs, each resolver is to be called once, in this order, and its slot to hold the answer.
    pub fn indirect(&self) -> impl Iterator<Item = Indirect<'data>> {
        let targets = self.symbols.targets();
        let own = (0..).zip(targets).filter(|&(number, target)| is_own(number as usize, target));
        let functions = own.filter_map(move |(number, target)| {
            let slot = self.router.got.get(key(number), Kind::Gdat)?.addr();
            let start = self.layout.section_addr(target.section)?;
            let resolver = start.plus(resolver(self.inputs, target)?.cast_signed());
            Some(Indirect { name: target_name(self.inputs, targets, number), resolver, slot })
        });
        functions.chain(self.initialised())
    }

    fn initialised(&self) -> impl Iterator<Item = Indirect<'data>> {
        let runs = self.has_initialised.then(|| self.runs()).into_iter().flatten();
        runs.flat_map(|(start, run)| {
            let name = self.layout.section(run.of).map_or("", |(output, _)| output.name);
            self.fixups_of(run).iter().filter_map(move |fixup| match fixup.value() {
                Value::Addr(resolver) if fixup.reloc() == Reloc::FUNCINIT64 && resolver.get() != 0 => {
                    Some(Indirect { name, resolver, slot: start.at(fixup.offset()) })
                }
                _ => None,
            })
        })
    }
}
