//! The check: what each relocation is given, and whether it fits.

use super::Report;
use super::error::Cause;
use super::object::Object;
use super::parts::FULL;
use super::pending::{self, Again, Calls};
use super::plan::{Plan, begins};
use super::rescue::Stranded;
use super::route::{Action, Reference, Router, through_slot};
use super::scan::reads_text;
use super::tables::Run;
use super::walk::{Site, Table};
use crate::patch::{Fixup, PatchError, QUICK};
use crate::reloc::{Class, Reason, Reloc, Remedy, Value};
use crate::veneer::VeneerError;
use core::ops::Range;

impl<'data, O: Object<'data>> Plan<'_, 'data, O> {
    /// Routes every relocation, checks that it fits what it is given, and takes down what that is.
    pub(super) fn check(&mut self, has_slots: bool, report: &mut Report<'_>) {
        let mut calls = Calls::new();
        for (object, input) in self.inputs.iter().enumerate() {
            let Some(&first) = self.firsts.get(object) else { continue };
            for index in 0..input.object.section_count() {
                let number = first.section + index;
                let Some(run) = self.layout.run(number) else { continue };
                let Some(table) = Table::new(input, &first, index, &self.layout) else { continue };
                let count = self.check_run(&table, run, has_slots, &mut calls, report);
                self.layout.note_run(number, Run { count, ..run });
            }
        }
        self.check_unrelated(report);
    }

    /// Does so with the relocations of one section, of which the scan left `run`. Answers how many of them mean something.
    fn check_run(
        &mut self,
        table: &Table<'_, 'data, O>,
        run: Run,
        has_slots: bool,
        calls: &mut Calls,
        report: &mut Report<'_>,
    ) -> u32 {
        let (first, end) = (run.first as usize, run.first as usize + run.count as usize);
        let (mut again, mut next, mut is_sparse) = (Again::new(), first, false);
        loop {
            next += self.check_quickly(table, next..end, has_slots);
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
    fn check_quickly(&mut self, table: &Table<'_, 'data, O>, records: Range<usize>, has_slots: bool) -> usize {
        let Self { fixups, layout, router, summary, .. } = self;
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
                Class::Slot if has_slots => router.got.slot(left as u32).addr(),
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
        let is_through_slot = QUICK
            && base == 0
            && !router.isles.are_several()
            && through_slot(facts.is_call, target, addend, router.policy);
        let fixup = |action: Action| Ok((action, action.fixup(site.relocation.offset, reloc)?));
        match action.and_then(fixup) {
            Ok((action, fixup)) => {
                summary.rungs.count(facts, action);
                *has_initialised |= FULL && reloc == Reloc::FUNCINIT64;
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
