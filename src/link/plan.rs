//! The plan: everything is decided and checked, nothing is written.

use super::bases;
use super::error::{Cause, Failure, Fatal, Lent, Refused};
use super::isles::{CELL, Isles, Pass};
use super::layout::Layout;
use super::object::{Content, Definition, Kind, Object};
use super::parts::{self, FULL};
use super::policy::Policy;
use super::route::{Reference, Router};
use super::scan::{NUMBERED, scan};
use super::symbols::Symbols;
use super::tables::{First, Tables};
use super::tls::{Threads, Tls};
use super::{Input, Options, Report, Request, Summary, indirect};
use crate::addr::Addr;
use crate::got::Got;
use crate::patch::{Endian, Fixup};

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
    /// What is to be done, run by run ([`Run`]).
    pub(super) fixups: &'t mut [Fixup],
    pub(super) endian: Endian,
    /// Records of the GOT's ledger that are counted, and how many output sections were to be pinned.
    pub(super) slots: usize,
    pub(super) pins: usize,
    /// What was checked, and by which rungs it goes; what was made for it is counted when it is asked for.
    pub(super) summary: Summary,
    /// Some places are initialised by functions.
    pub(super) has_initialised: bool,
}

impl<'t, 'data, O: Object<'data>> Plan<'t, 'data, O> {
    /// Decides the layout of `inputs` and checks every relocation.
    ///
    /// - `tables` are of the lengths that [`measure`](super::measure) gives.
    /// - `resolve` is asked for the address of a symbol that no object defines.
    /// - `place` is asked once where the segments go, one for each protection at most: it fills in their addresses. The
    ///   nearer they lie to each other, the more reaches; where they lie apart, the executable one may need more room
    ///   ([`Request::most`]; [`each`](super::each) gives it, and answers one by one).
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
        if let Err(fatal) = &plan
            && let Some(cause) = fatal.cause()
        {
            report.whole(cause);
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
        parts::check_options(options).map_err(|part| report.fatal(part.into()))?;
        let endian = one_endian(inputs, report);
        let firsts = tables.objects.get_mut(..inputs.len()).ok_or(Fatal::Table(Lent::Objects))?;
        let (placed, outputs, names) = (tables.sections, tables.outputs, tables.output_names);
        let mut layout = Layout::new(placed, outputs, names, tables.ordered, tables.segments)?;
        layout.in_place = options.in_place;
        layout.read(inputs, firsts, tables.groups, report)?;
        let mut symbols = Symbols::read(inputs, firsts, &layout, tables.symbols, tables.names, report)?;
        symbols.settle(inputs, &mut layout, resolve)?;
        let pins = if FULL { options.pins } else { &[] };
        layout.mark(pins);
        let policy = if FULL { options.policy } else { Policy::ALL };
        let (slots, fixups) = (tables.slots.len(), &mut *tables.fixups);
        let mut counts = scan(inputs, firsts, &mut symbols, &mut layout, policy, slots, fixups, report)?;
        let near = bases::assign(inputs, firsts, &mut symbols, &layout, policy);
        let indirect = indirect::count(inputs, &symbols, policy, report);
        counts.slots += near.slots + indirect.slots;
        counts.cells += near.cells + indirect.cells;
        if FULL && counts.has_pairs {
            // A pair begins at an even slot, so one may be left over.
            counts.slots = counts.slots.next_multiple_of(2);
        }
        parts::check_text(layout.outputs()).map_err(|part| report.fatal(part.into()))?;
        let mut isles = Isles::find(tables.islands, tables.veneers, &mut layout)?;
        if isles.are_several() {
            // An island may begin with a cell that is of no use to a pair, and the section after it must be aligned again.
            let align = usize::try_from(layout.text_align().div_ceil(CELL as u64)).unwrap_or(usize::MAX);
            let cells = (isles.len() - 1).saturating_mul(align.saturating_add(2));
            counts.cells = counts.cells.saturating_add(cells);
        } else {
            let all = isles.limit(counts.cells.saturating_add(counts.spare));
            counts.cells = counts.cells.min(all);
            counts.spare = all - counts.cells;
        }
        layout.reserve(counts.slots, counts.cells)?;
        if isles.are_several() {
            layout.part(inputs, firsts, &mut isles)?;
        }
        layout.place(pins, (counts.spare * CELL) as u64, place, report)?;
        symbols.place(inputs, &layout);
        isles.locate(&layout);

        let slots = tables.slots.get_mut(..counts.slots).ok_or(Fatal::Table(Lent::Slots))?;
        let got = Got::new(slots, layout.got()).map_err(|error| report.fatal(Cause::Misaligned(error)))?;
        let router = Router { got, isles, policy, threads: None, margin: 0 };
        let (slots, pins, fixups) = (counts.slots, pins.len(), tables.fixups);
        let summary = Summary::default();
        let has_initialised = false;
        let mut plan =
            Self { inputs, firsts, symbols, layout, router, fixups, endian, slots, pins, summary, has_initialised };
        plan.router.threads = plan.threads(options.tls);
        // Slots near a base come first: which slots are whose is known when they are made.
        let is_numbered = NUMBERED && !plan.firsts.iter().any(|first| first.has_near);
        let numbered = if is_numbered { counts.numbered } else { 0 };
        if plan.router.isles.are_several() {
            plan.tally(numbered, report)?;
            plan.router.threads = plan.threads(options.tls);
        } else {
            let spare = if FULL && plan.layout.extent() <= counts.within { 0 } else { counts.spare };
            let room = plan.layout.plt_room().min((counts.cells + spare) as u64);
            plan.router.isles.give(room as u32);
            plan.router.isles.begin(Pass::Settle)?;
        }
        plan.begin(numbered, Some(&mut *report))?;
        plan.check(numbered > 0, report);
        if plan.router.isles.is_short() {
            return Err(Fatal::Table(Lent::Veneers));
        }
        plan.layout.settle(plan.router.isles.plt_size());
        plan.layout.check_overlap(report)?;
        Ok(plan)
    }

    /// Makes what comes first in an empty GOT and in its islands: the `numbered` slots that have numbers, those near the bases, and
    /// what stands for indirect functions.
    pub(super) fn begin(&mut self, numbered: u32, report: Option<&mut Report<'_>>) -> Result<(), Fatal> {
        let Self { inputs, firsts, symbols, layout, router, .. } = self;
        if numbered > 0 && !symbols.make_slots(numbered, &mut router.got) {
            return Err(Fatal::Table(Lent::Slots));
        }
        bases::make(inputs, firsts, symbols, layout, router);
        indirect::make(inputs, firsts, symbols, router, report);
        Ok(())
    }

    /// What is known of threads, as long as nothing moves.
    fn threads(&self, tls: Tls<'_>) -> Option<Threads> {
        if !FULL {
            return None;
        }
        Threads::new(tls, self.layout.template(), |name| self.find(name))
    }
}

/// The byte order of all objects. One that has another is reported.
fn one_endian<'data, O: Object<'data>>(inputs: &[Input<'data, O>], report: &mut Report<'_>) -> Endian {
    let Some(first) = inputs.first() else { return Endian::default() };
    let endian = first.object.endian();
    for input in inputs.iter().filter(|input| input.object.endian() != endian) {
        report.of_symbol(input.name, "", Cause::Endian(input.object.endian(), first.name));
    }
    endian
}

/// The first instruction of the function of the link that `reference` calls.
pub(super) fn begins<'data, O: Object<'data>>(
    inputs: &[Input<'data, O>],
    firsts: &[First],
    reference: &Reference<'_>,
) -> Option<u32> {
    let Reference { target, addend, .. } = *reference;
    let object = &inputs.get(target.object as usize)?.object;
    let index = (target.section as usize).checked_sub(firsts.get(target.object as usize)?.section)?;
    let Kind::Loaded { content: Content::Bytes(bytes), .. } = object.section(index).ok()?.kind else { return None };
    let Definition::Section { offset, .. } = object.symbol(target.index as usize).ok()?.definition else { return None };
    let at = usize::try_from(offset.checked_add_signed(addend)?).ok()?;
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}
