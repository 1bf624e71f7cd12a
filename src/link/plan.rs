//! The plan: everything is decided and checked, nothing is written.

use super::bases;
use super::error::{Cause, Failure, Fatal, Lent, Refused};
use super::isles::{CELL, Isles, Pass};
use super::layout::Layout;
use super::object::{Content, Definition, Kind, Object};
use super::parts::{self, FULL};
use super::pending::{self, Again, Calls};
use super::policy::Policy;
use super::rescue::Stranded;
use super::route::{Action, Reference, Router, through_slot};
use super::scan::{reads_text, scan};
use super::symbols::Symbols;
use super::tables::{First, Run, Tables};
use super::tls::{Threads, Tls};
use super::walk::{Site, Table};
use super::{Input, Options, Report, Request, Summary, indirect};
use crate::addr::Addr;
use crate::got::Got;
use crate::patch::{Endian, Fixup, PatchError, QUICK};
use crate::reloc::{Class, Reason, Reloc, Remedy, Value};
use crate::veneer::VeneerError;
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
        if plan.router.isles.are_several() {
            plan.tally(report)?;
            plan.router.threads = plan.threads(options.tls);
        } else {
            let spare = if FULL && plan.layout.extent() <= counts.within { 0 } else { counts.spare };
            let room = plan.layout.plt_room().min((counts.cells + spare) as u64);
            plan.router.isles.give(room as u32);
            plan.router.isles.begin(Pass::Settle)?;
        }
        bases::make(inputs, plan.firsts, &plan.symbols, &plan.layout, &mut plan.router);
        indirect::make(inputs, plan.firsts, &mut plan.symbols, &mut plan.router, Some(&mut *report));
        plan.check(report)?;
        if plan.router.isles.is_short() {
            return Err(Fatal::Table(Lent::Veneers));
        }
        plan.layout.settle(plan.router.isles.plt_size());
        plan.layout.check_overlap(report)?;
        Ok(plan)
    }

    /// What is known of threads, as long as nothing moves.
    fn threads(&self, tls: Tls<'_>) -> Option<Threads> {
        if !FULL {
            return None;
        }
        Threads::new(tls, self.layout.template(), |name| self.find(name))
    }

    /// Routes every relocation, checks that it fits what it is given, and takes down what that is.
    fn check(&mut self, report: &mut Report<'_>) -> Result<(), Fatal> {
        let mut calls = Calls::new();
        for (object, input) in self.inputs.iter().enumerate() {
            let Some(&first) = self.firsts.get(object) else { continue };
            for index in 0..input.object.section_count() {
                let number = first.section + index;
                let Some(run) = self.layout.run(number) else { continue };
                let Some(table) = Table::new(input, &first, index, &self.layout) else { continue };
                let count = self.check_run(&table, run, &mut calls, report);
                self.layout.note_run(number, Run { count, ..run });
            }
        }
        self.check_unrelated(report);
        Ok(())
    }

    /// Does so with the relocations of one section, of which the scan left `run`. Answers how many of them mean something.
    fn check_run(&mut self, table: &Table<'_, 'data, O>, run: Run, calls: &mut Calls, report: &mut Report<'_>) -> u32 {
        let (first, end) = (run.first as usize, run.first as usize + run.count as usize);
        let (mut again, mut next, mut is_sparse) = (Again::new(), first, false);
        loop {
            next += self.check_quickly(table, next..end);
            if next >= end {
                break;
            }
            if self.check_call(table, next, calls) {
                next += 1;
                continue;
            }
            let relocation = again.get(table, next - first);
            self.summary.relocations += usize::from(relocation.is_some());
            let site = relocation.map(|relocation| table.site(next - first, relocation));
            let fixup = site.and_then(|site| self.check_any(&site, calls, report));
            is_sparse |= fixup.is_none();
            if let Some(record) = self.fixups.get_mut(next) {
                *record = fixup.unwrap_or_default();
            }
            next += 1;
        }
        let fixups = self.fixups.get_mut(first..end).filter(|_| FULL && is_sparse);
        fixups.map_or(run.count, |fixups| pending::drop_nothing(fixups) as u32)
    }

    /// Takes down what the first of the relocations pending in `records` are given: the address of what they refer to, or its
    /// slot. Answers how many; not the next, which does not fit that, or may have to be given something else.
    #[inline(never)]
    fn check_quickly(&mut self, table: &Table<'_, 'data, O>, records: Range<usize>) -> usize {
        let Self { fixups, symbols, layout, router, summary, .. } = self;
        let (Some(start), Some(records), true) = (table.start, fixups.get_mut(records), QUICK) else { return 0 };
        let (placed, outputs) = (&*layout.placed, layout.outputs());
        let (mut all, mut slots) = (0, 0);
        for record in records {
            let (class, left) = record.given();
            let value = match class {
                Class::Addr => {
                    let (section, offset) = pending::section_and_offset(left);
                    let Some(placed) = placed.get(section as usize) else { break };
                    let Some(output) = outputs.get(placed.output as usize) else { break };
                    output.addr.plus(placed.offset.cast_signed()).plus(offset)
                }
                Class::Slot if table.first.base == 0 => {
                    let Some(slot) = symbols.slot(left as u32, &mut router.got) else { break };
                    slot.addr()
                }
                _ => break,
            };
            let (offset, reloc) = (record.offset(), record.reloc());
            let Some(rest) = table.bytes.get(offset..) else { break };
            if !reloc.passes_quickly(rest, start.at(offset), class, value.get(), table.endian) {
                break;
            }
            record.set(offset as u32, reloc, class, value.get());
            all += 1;
            slots += usize::from(class == Class::Slot);
        }
        summary.relocations += all;
        summary.rungs.slot += slots;
        summary.rungs.direct += all - slots;
        all
    }

    /// Takes down the veneer that the call pending in record `number` is given, if one of its symbol was given it before, and
    /// it is in reach. Answers whether.
    fn check_call(&mut self, table: &Table<'_, 'data, O>, number: usize, calls: &Calls) -> bool {
        let Some(record) = self.fixups.get_mut(number) else { return false };
        let (offset, reloc) = (record.offset(), record.reloc());
        let (Some(veneer), Some(start)) = (pending::call(record).and_then(|symbol| calls.get(symbol)), table.start)
        else {
            return false;
        };
        let rest = table.bytes.get(offset..).unwrap_or_default();
        let passes = table.first.base == 0
            && reloc.passes_quickly(rest, start.at(offset), Class::Addr, veneer.get(), table.endian);
        if passes {
            record.set(offset as u32, reloc, Class::Addr, veneer.get());
            self.summary.relocations += 1;
            self.summary.rungs.veneer += 1;
        }
        passes
    }

    /// What any relocation is given; reports why, where it is nothing.
    #[inline(never)]
    fn check_any(
        &mut self,
        site: &Site<'_, '_, 'data, O>,
        calls: &mut Calls,
        report: &mut Report<'_>,
    ) -> Option<Fixup> {
        let Self { inputs, firsts, symbols, layout, router, summary, has_initialised, .. } = self;
        let reference = site.reference(symbols, layout).ok()?;
        // What reads text that is not to be read was reported.
        if router.policy.guards_text() && reads_text(&reference, layout) {
            return None;
        }
        let action = check_one(site, &reference, router, &|reference| {
            if FULL { begins(inputs, firsts, reference) } else { None }
        });
        let &Reference { number, reloc, facts, target, addend, base, .. } = &reference;
        let has_own_slot = reference.has_own_slot();
        let is_through_slot = QUICK
            && base == 0
            && !router.isles.are_several()
            && through_slot(facts.is_call, target, addend, router.policy);
        let fixup = |action: Action| Ok((action, action.fixup(site.relocation.offset, reloc)?));
        match action.and_then(fixup) {
            Ok((action, fixup)) => {
                summary.rungs.count(facts, action);
                *has_initialised |= FULL && reloc == Reloc::FUNCINIT64;
                if has_own_slot {
                    symbols.note_slot(number, action, router);
                }
                if let Action::Lead(veneer, Remedy::Veneer) = action
                    && is_through_slot
                {
                    calls.note(number, veneer);
                }
                return Some(fixup);
            }
            Err(Cause::Stranded(error, Stranded::Veneer(VeneerError::Full { .. })))
                if let Some((given, most)) = layout.shortage() =>
            {
                let cause = Cause::Stranded(error, Stranded::Room { given, most });
                site.report(cause, inputs, symbols, report);
            }
            // Said once, of the table.
            Err(_) if router.isles.is_short() => {}
            Err(cause) => site.report(cause, inputs, symbols, report),
        }
        None
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

/// Checks that `reference` fits what it is given.
fn check_one<'data, O: Object<'data>>(
    site: &Site<'_, '_, 'data, O>,
    reference: &Reference<'_>,
    router: &mut Router<'_>,
    begins: &dyn Fn(&Reference<'_>) -> Option<u32>,
) -> Result<Action, Cause<'static>> {
    let Reference { reloc, place, .. } = *reference;
    let refuse = |value, reason| Cause::Patch(PatchError { reloc, place, value, reason });
    let raw = site.raw().ok_or(refuse(None, Reason::OutOfBounds))?;
    let routed = router.route(reference, raw, begins);
    let value = match routed {
        Ok(Action::Patch(value)) => Some(value),
        Ok(Action::Lead(to, _)) => Some(Value::Addr(to)),
        // Of an instruction that the relocation may not change, nothing else is said.
        Ok(Action::Replace(_) | Action::Adr(_) | Action::Detour(_)) | Err(Cause::Stranded(..)) => None,
        Err(_) => return routed,
    };
    let checked = match value {
        Some(value) => reloc.apply(raw, place, value).err(),
        None => reloc.read(raw, place).err(),
    };
    match checked {
        Some(reason) => Err(refuse(value, reason)),
        None => routed,
    }
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
