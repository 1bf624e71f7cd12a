//! The plan: everything is decided and checked, nothing is written.

use super::bases;
use super::error::{Cause, Failure, Fatal, Refused};
use super::layout::Layout;
use super::object::Object;
use super::route::{Action, Reference, Router};
use super::scan::scan;
use super::symbols::Symbols;
use super::tables::{First, Tables};
use super::walk::{Site, for_each_relocation};
use super::{Input, Options, Report, Request, Summary};
use crate::addr::Addr;
use crate::got::Got;
use crate::patch::PatchError;
use crate::reloc::Reason;
use crate::veneer::Island;

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
    pub(super) summary: Summary,
}

impl<'t, 'data, O: Object<'data>> Plan<'t, 'data, O> {
    /// Decides the layout of `inputs` and checks every relocation.
    ///
    /// - `tables` are of the lengths that [`measure`](super::measure) gives.
    /// - `resolve` is asked for the address of a symbol that no object defines.
    /// - `place` is asked once where the segments go, one for each protection at most: it fills in their addresses. The
    ///   nearer they lie to each other, the more reaches ([`each`](super::each) answers one by one).
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
        mut place: impl FnMut(&mut [Request]) -> Result<(), E>,
        report: &mut dyn FnMut(&Failure<'_>),
    ) -> Result<Self, Refused<E>> {
        let mut report = Report { sink: report, count: 0 };
        let mut refusal = None;
        let mut place = |requests: &mut [Request]| place(requests).map_err(|error| refusal = Some(error)).ok();
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
        place: &mut dyn FnMut(&mut [Request]) -> Option<()>,
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

        // The ledgers have the room that was kept, and no more: what was miscounted would be an error here.
        let slots = tables.slots.get_mut(..counts.slots).ok_or(Cause::Table("slots"))?;
        let cells = tables.veneers.get_mut(..2 * counts.veneers).ok_or(Cause::Table("veneers"))?;
        let got = Got::new(slots, layout.got().addr).map_err(Cause::Misaligned)?;
        let island = Island::new(cells, layout.plt().addr).map_err(Cause::Misaligned)?;
        let mut router = Router { got, island };
        bases::make(inputs, firsts, &symbols, &layout, &mut router);
        let mut plan = Self { inputs, firsts, symbols, layout, router, summary: Summary::default() };
        plan.check(report);
        plan.layout.settle(plan.router.island.size());
        plan.summary.slots = plan.router.got.len();
        plan.summary.veneers = plan.veneers().count();
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
