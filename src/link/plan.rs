//! The plan: everything is decided and checked, nothing is written.

use super::bases::{self, is_tight};
use super::error::{Cause, Failure, Fatal, Refused};
use super::layout::Layout;
use super::made::Made;
use super::object::{Definition, Object};
use super::route::{Action, Reference, Router, through_slot};
use super::symbols::{Symbols, target_name};
use super::tables::{First, Output, Segment, State, Tables, Target, is_call, wants_slot};
use super::walk::{Site, for_each_relocation};
use super::{Input, Located, Options, Report, Request, Summary};
use crate::addr::Addr;
use crate::got::{Got, Symbol as Key};
use crate::patch::PatchError;
use crate::reloc::Reason;
use crate::veneer::{Callee, Island};
use core::mem::replace;
use core::ops::Range;

/// Objects linked in thought: every address is known, every relocation fits.
///
/// [`commit`](Self::commit) writes it down. The tables and the inputs stay borrowed until it is dropped.
#[derive(Debug)]
pub struct Plan<'t, 'data, O> {
    pub(super) inputs: &'t [Input<'data, O>],
    pub(super) firsts: &'t mut [First],
    pub(super) symbols: Symbols<'t>,
    pub(super) layout: Layout<'t, 'data>,
    pub(super) router: Router<'t>,
    summary: Summary,
}

impl<'t, 'data, O: Object<'data>> Plan<'t, 'data, O> {
    /// Decides the layout of `inputs` and checks every relocation.
    ///
    /// - `tables` are of the lengths that [`measure`](super::measure) gives.
    /// - `resolve` is asked for the address of a symbol that no object defines.
    /// - `place` is asked where each segment goes: once for each protection at most.
    /// - `report` is told every failure; its lines are the whole of what is wrong.
    ///
    /// # Errors
    ///
    /// How many failures were reported, or what `place` answered.
    pub fn new<E>(
        inputs: &'t [Input<'data, O>],
        options: &Options<'_, 'data>,
        tables: Tables<'t, 'data>,
        resolve: &mut dyn FnMut(&str) -> Option<Addr>,
        mut place: impl FnMut(Request) -> Result<Addr, E>,
        report: &mut dyn FnMut(&Failure<'_>),
    ) -> Result<Self, Refused<E>> {
        let mut report = Report { sink: report, count: 0 };
        let mut refusal = None;
        let mut place = |request| place(request).map_err(|error| refusal = Some(error)).ok();
        let plan = Self::build(inputs, options, tables, resolve, &mut place, &mut report);
        if let Err(Fatal::Cause(cause)) = &plan {
            report.failure(Failure::of("", *cause));
        }
        match (plan, refusal) {
            (_, Some(error)) => Err(Refused::Place(error)),
            (Ok(plan), None) if report.count == 0 => Ok(plan),
            _ => Err(Refused::Failures(report.count)),
        }
    }

    fn build(
        inputs: &'t [Input<'data, O>],
        options: &Options<'_, 'data>,
        tables: Tables<'t, 'data>,
        resolve: &mut dyn FnMut(&str) -> Option<Addr>,
        place: &mut dyn FnMut(Request) -> Option<Addr>,
        report: &mut Report<'_>,
    ) -> Result<Self, Fatal> {
        let firsts = tables.objects.get_mut(..inputs.len()).ok_or(Cause::Table("objects"))?;
        let (placed, outputs, names) = (tables.sections, tables.outputs, tables.output_names);
        let mut layout = Layout::new(placed, outputs, names, tables.segments)?;
        layout.read(inputs, firsts, tables.groups, report)?;
        let mut symbols = Symbols::read(inputs, firsts, &layout, tables.symbols, tables.names, report)?;
        symbols.place_common(&mut layout)?;
        symbols.resolve(inputs, &layout, resolve);

        let near_slots = bases::assign(inputs, firsts, &mut symbols, &layout);
        let mut counts = scan(inputs, firsts, &mut symbols, &layout, layout.is_near(options.pins), report);
        counts.slots += near_slots;
        // A veneer takes one cell, or two: where things lie decides, which is not known yet.
        layout.reserve(counts.slots, 2 * counts.veneers);
        layout.place(options.pins, place, report)?;
        symbols.place(inputs, &layout);

        let got = Got::new(tables.slots, layout.got().addr).map_err(Cause::Misaligned)?;
        let island = Island::new(tables.veneers, layout.plt().addr).map_err(Cause::Misaligned)?;
        let mut router = Router { got, island };
        bases::make(inputs, firsts, &symbols, &layout, &mut router);
        let mut plan = Self { inputs, firsts, symbols, layout, router, summary: Summary::default() };
        plan.check(report);
        plan.layout.trim_plt(plan.router.island.size());
        plan.summary.slots = plan.router.got.len();
        plan.summary.veneers = plan.router.island.len();
        Ok(plan)
    }

    /// Routes every relocation, and checks that it fits what it is given.
    fn check(&mut self, report: &mut Report<'_>) {
        let Self { inputs, firsts, symbols, layout, router, summary } = self;
        for_each_relocation(inputs, firsts, |site| {
            let Ok(site) = site else { return };
            summary.relocations += 1;
            let Ok(reference) = site.reference(symbols, layout) else { return };
            if let Err(cause) = check_one(site, &reference, router) {
                site.report(cause, inputs, symbols, report);
            }
        });
    }

    /// What was planned, in numbers.
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// The segments, each of which wants memory of its own.
    pub fn segments(&self) -> &[Segment] {
        self.layout.segments()
    }

    /// The output sections; `.got` and `.plt`, the linker's own, come first.
    pub fn outputs(&self) -> &[Output<'data>] {
        self.layout.outputs()
    }

    /// Where the functions of `.init_array` lie, say, one address each, in the order of their priorities; `None` where there
    /// are none. So for `.preinit_array`, `.fini_array`, `.ctors` and `.dtors`.
    pub fn array(&self, name: &str) -> Option<Range<Addr>> {
        let (start, stop) = (Made::Start(name), Made::Stop(name));
        let at = |made: Made<'_>| made.addr(self.outputs(), self.layout.got().addr);
        Some(at(start)..at(stop)).filter(|range| !range.is_empty())
    }

    /// The address of the global symbol `name`.
    pub fn find(&self, name: &str) -> Option<Addr> {
        let number = self.symbols.find(self.inputs, name)?;
        let target = self.symbols.targets().get(number as usize)?;
        target.has_addr().then_some(target.addr)
    }

    /// Every named symbol that has an address, local ones too, in the order of the objects.
    pub fn symbols(&self) -> impl Iterator<Item = Located<'data>> {
        (0..).zip(self.symbols.targets()).filter_map(|(number, target)| self.located(number, target))
    }

    fn located(&self, number: u32, target: &Target) -> Option<Located<'data>> {
        let input = self.inputs.get(target.object as usize)?;
        let symbol = input.object.symbol(target.index as usize).ok()?;
        if symbol.name.is_empty() || target.definer != number {
            return None;
        }
        let output = match (target.state, symbol.definition) {
            (State::Defined, _) => self.layout.output_of(target.section),
            (State::Common, _) => Some(self.layout.common_number()),
            (State::External | State::Made | State::GotBase, _) | (State::Absolute, Definition::Absolute(_)) => None,
            _ => return None,
        };
        Some(Located { symbol, addr: target.addr, output, object: input.name })
    }

    /// The slots of the GOT: the name of the symbol that each is for, and its address.
    pub fn slots(&self) -> impl Iterator<Item = (&'data str, Addr)> {
        self.router.got.iter().map(|(symbol, slot, _)| (self.name(symbol), slot.addr()))
    }

    /// The veneers: the name of the symbol that each leads to, its address and its size in bytes. The name is empty where
    /// the target is no symbol's but an address inside a section.
    pub fn veneers(&self) -> impl Iterator<Item = (&'data str, Addr, usize)> {
        self.router.island.iter().map(|veneer| {
            let name = match veneer.callee() {
                Callee::Slot(slot) => {
                    self.router.got.iter().find(|&(_, of, _)| of == slot).map_or("", |(symbol, ..)| self.name(symbol))
                }
                Callee::Addr(addr) => {
                    let mut functions = self.symbols().filter(|found| found.addr == addr);
                    functions.next().map_or("", |found| found.symbol.name)
                }
            };
            (name, veneer.addr(), veneer.size())
        })
    }

    fn name(&self, symbol: Key) -> &'data str {
        target_name(self.inputs, self.symbols.targets(), symbol.get() as u32)
    }
}

/// Reports what cannot be linked wherever it lies, and counts the slots and veneers that the rest needs.
fn scan<'data, O: Object<'data>>(
    inputs: &[Input<'data, O>],
    firsts: &[First],
    symbols: &mut Symbols<'_>,
    layout: &Layout<'_, 'data>,
    near: bool,
    report: &mut Report<'_>,
) -> Counts {
    let mut counts = Counts::default();
    for_each_relocation(inputs, firsts, |site| {
        let site = match site {
            Ok(site) => site,
            Err((input, error)) => return report.failure(Failure::of(input, Cause::Object(error))),
        };
        match site.reference(symbols, layout) {
            Ok(Reference { reloc, base, number, target, addend, .. }) => {
                let through_slot = through_slot(reloc, target, addend);
                let is_direct = near && layout.is_text(target.section);
                let Some(target) = symbols.get_mut(number as usize) else { return };
                // A slot near another base than the first is counted already.
                let wants_slot = wants_slot(reloc) && !(is_tight(reloc) && base > 0);
                if (through_slot || wants_slot) && !replace(&mut target.slot, true) {
                    counts.slots += 1;
                }
                counts.veneers += usize::from(if through_slot {
                    // Near another base than the first, the symbol may have another slot, hence another veneer.
                    !replace(&mut target.veneer, true) || base > 0
                } else {
                    is_call(reloc) && !is_direct
                });
            }
            Err(Some(cause)) => {
                let own = symbols.get_mut(site.first.symbol.wrapping_add(site.relocation.symbol));
                let again = own.is_some_and(|own| cause == Cause::Undefined && replace(&mut own.reported, true));
                if !again {
                    site.report(cause, inputs, symbols, report);
                }
            }
            Err(None) => {}
        }
    });
    counts
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// Distinct symbols that want a slot.
    slots: usize,
    /// Distinct symbols that are called through one, and all other calls that may be to somewhere out of reach.
    veneers: usize,
}

/// Checks that `reference` fits what it is given.
fn check_one(site: &Site<'_>, reference: &Reference<'_>, router: &mut Router<'_>) -> Result<(), Cause<'static>> {
    let Reference { reloc, place, .. } = *reference;
    let refuse = |value, reason| Cause::Patch(PatchError { reloc, place, value, reason });
    let raw = site.raw().ok_or(refuse(None, Reason::OutOfBounds))?;
    match router.route(reference, raw)? {
        Action::Patch(value) => {
            let applied = reloc.apply(raw, place, value);
            applied.map(|_| ()).map_err(|reason| refuse(Some(value), reason))
        }
        Action::Replace(_) => reloc.read(raw, place).map(|_| ()).map_err(|reason| refuse(None, reason)),
    }
}
