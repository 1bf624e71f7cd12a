//! The pass before there are addresses.

use super::error::{Cause, Fatal, Lent};
use super::kinds::{Direct, direct, facts, reach};
use super::layout::Layout;
use super::object::{BATCH, Cursor, Object, Origin, Relocation};
use super::parts::FULL;
use super::policy::Policy;
use super::route::{Link, Reference, through_slot};
use super::spans::Spans;
use super::symbols::Symbols;
use super::tables::{First, NONE, Output, Run, State, Target};
use super::walk::{Site, Table};
use super::{Input, Report, pending};
use crate::addr::Addr;
use crate::patch::{Fixup, QUICK};
use crate::prefetch::prefetch;
use crate::reloc::{Class, Reloc, Remedy};

/// Whether the slots that are the same for all objects get their numbers when they are counted; else when they are first wanted,
/// which is in the same order.
pub(super) const NUMBERED: bool = QUICK || FULL;

/// What the plan needs room for, at the most.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Slots of distinct entries, and how many of them have numbers.
    pub(super) slots: usize,
    pub(super) numbered: u32,
    /// Whether some of them take two, side by side.
    pub(super) has_pairs: bool,
    /// Cells, where the segments lie side by side.
    pub(super) cells: usize,
    /// Cells more, where they lie apart.
    pub(super) spare: usize,
    /// No more, where all lies within so many bytes.
    pub(super) within: u64,
}

/// Reports what cannot be linked wherever it lies, and counts the slots and cells that the rest may need. Input sections
/// whose conditional branches may not reach are told that they want an island. In `fixups` each relocation leaves what the
/// check wants to know of it ([`pending`](super::pending)).
///
/// # Errors
///
/// A table is too short.
#[expect(clippy::too_many_arguments)]
pub(super) fn scan<'data, O: Object<'data>>(
    inputs: &[Input<'data, O>],
    firsts: &mut [First],
    symbols: &mut Symbols<'_>,
    layout: &mut Layout<'_, 'data>,
    policy: Policy,
    slots: usize,
    fixups: &mut [Fixup],
    report: &mut Report<'_>,
) -> Result<Counts, Fatal> {
    let spans = Spans::of(layout, slots);
    let counts = Counts { within: u64::MAX, ..Counts::default() };
    let mut scan = Scan { symbols, policy, spans, counts, has_module: false, has_near: false };
    let (mut next, mut batch) = (0_usize, [Relocation::NONE; BATCH]);
    for (input, first) in inputs.iter().zip(firsts) {
        scan.has_near = false;
        for index in 0..input.object.section_count() {
            let Some(table) = Table::new(input, first, index, layout) else { continue };
            let end = next.checked_add(table.count).ok_or(Fatal::TooBig)?;
            let records = fixups.get_mut(next..end).ok_or(Fatal::Table(Lent::Fixups))?;
            let (count, wants_island) = scan.table(&table, records, layout, inputs, report, &mut batch);
            let run = (u32::try_from(next), u32::try_from(count));
            let (Ok(run_first), Ok(count)) = run else { return Err(Fatal::TooBig) };
            if FULL && wants_island {
                layout.want_island(table.number);
            }
            layout.note_run(first.section + index, Run { of: table.number, first: run_first, count });
            next = end;
        }
        if QUICK || FULL {
            first.has_near = scan.has_near;
        }
    }
    Ok(scan.counts)
}

/// What is counted, and what for.
pub(super) struct Scan<'a, 't> {
    pub(super) symbols: &'a mut Symbols<'t>,
    pub(super) policy: Policy,
    pub(super) spans: Spans,
    pub(super) counts: Counts,
    /// There is an entry of the module.
    pub(super) has_module: bool,
    /// The object has relocations that reach only the slots near its base.
    has_near: bool,
}

impl Scan<'_, '_> {
    /// Scans the relocations of one section. Answers how many there are, as far as they can be read, and whether they want an
    /// island after it.
    fn table<'data, O: Object<'data>>(
        &mut self,
        table: &Table<'_, 'data, O>,
        records: &mut [Fixup],
        layout: &Layout<'_, 'data>,
        inputs: &[Input<'data, O>],
        report: &mut Report<'_>,
        batch: &mut [Relocation],
    ) -> (usize, bool) {
        let (mut next, mut wants_island, mut cursor) = (0, false, Cursor::default());
        while let Some(read) = table.read(&mut cursor, batch) {
            let relocations = match read {
                Ok((_, relocations)) => relocations,
                Err(error) => {
                    report.object(table.input.name, error);
                    next += 1;
                    continue;
                }
            };
            let (first, end) = (next, next + relocations.len());
            // They lie in no order.
            let own = self.symbols.targets().get(table.first.symbol..).unwrap_or_default();
            relocations.iter().filter_map(|relocation| own.get(relocation.symbol)).for_each(prefetch);
            loop {
                let left = relocations.get(next - first..).unwrap_or_default();
                next += self.quickly(table, left, records.get_mut(next..end).unwrap_or_default(), layout);
                let relocation = relocations.get(next - first);
                let (Some(relocation), Some(record)) = (relocation, records.get_mut(next)) else { break };
                let site = table.site(next, relocation);
                wants_island |= self.other(&site, record, layout, inputs, report);
                next += 1;
            }
        }
        (next, wants_island)
    }

    /// Leaves in `records` what the check wants to know of the first of `relocations`: of those that are given the address of
    /// what is in a section, or a slot that is counted, and need no island, unless the segments do not lie side by side.
    /// Answers how many. The kinds of relocations come in no order, so that hardly anything else is a branch.
    #[inline(never)]
    fn quickly<O>(
        &mut self,
        table: &Table<'_, '_, O>,
        relocations: &[Relocation],
        records: &mut [Fixup],
        layout: &Layout<'_, '_>,
    ) -> usize {
        let (targets, placed, outputs) = (self.symbols.targets(), &*layout.placed, layout.outputs());
        let own = targets.get(table.first.symbol..).unwrap_or_default();
        let Some(start) = table.start.filter(|_| QUICK && !self.policy.looks_closer()) else { return 0 };
        let (from, all, is_text) = (table.home.distance_from(start), self.spans.across, layout.is_text(table.number));
        let (mut count, mut spare, mut nearest) = (0, 0, u64::MAX);
        for (relocation, record) in relocations.iter().zip(records) {
            let Relocation { offset, reloc, symbol, addend, origin } = *relocation;
            let Direct { class, near, across } = *direct(reloc);
            let Some(&Target { definer, .. }) = own.get(symbol) else { break };
            let Some(target) = targets.get(definer as usize) else { break };
            let (true, Ok(place)) = (target.flags.is_plain() & (origin == Origin::Zero), u32::try_from(offset)) else {
                break;
            };
            if class == Class::Slot {
                let is_far = near != Direct::ANYWHERE;
                if (target.slot == NONE) | (addend != 0) || is_far & (all >= across) {
                    break;
                }
                spare += usize::from(is_far);
                nearest = nearest.min(if is_far { across } else { u64::MAX });
                record.set(place, reloc, Class::Slot, target.slot.into());
                count += 1;
                continue;
            }
            let Some(placed) = placed.get(target.section as usize) else { break };
            // Until they are placed, symbols' addresses are their offsets.
            let to = target.addr.plus(addend).get().cast_signed();
            let distance = Addr::new(placed.offset).plus(to).plus(from).distance_from(Addr::new(offset));
            let (Some(value), true) = (pending::in_section(target.section, to), class == Class::Addr) else { break };
            let is_within = placed.output == table.output;
            if !((distance.unsigned_abs() < near) & (is_within | (near == Direct::ANYWHERE))) {
                let is_in_text = is_text && outputs.get(placed.output as usize).is_none_or(Output::is_text);
                if is_within | (all >= across) | is_in_text {
                    break;
                }
                spare += 1;
                nearest = nearest.min(across);
            }
            record.set(place, reloc, Class::Addr, value);
            count += 1;
        }
        if self.policy.allows(Remedy::Detour) {
            self.counts.spare += self.cells(Remedy::Detour) * spare;
            self.counts.within = self.counts.within.min(nearest - 1);
        }
        count
    }

    /// Counts what any relocation may need, and leaves in `record` what the check wants to know. Answers whether it wants an
    /// island after its section.
    #[inline(never)]
    fn other<'data, O: Object<'data>>(
        &mut self,
        site: &Site<'_, '_, 'data, O>,
        record: &mut Fixup,
        layout: &Layout<'_, 'data>,
        inputs: &[Input<'data, O>],
        report: &mut Report<'_>,
    ) -> bool {
        if QUICK && self.is_counted_call(site, record) {
            return false;
        }
        let Some(link) = self.link(site) else {
            self.has_near |= FULL && facts(site.relocation.reloc).is_near_slot;
            // Else the check reads all of them again.
            if QUICK {
                pending::leave(record);
            }
            return self.look(site, layout, inputs, report);
        };
        let Link { facts, number, target: &Target { section, .. }, to, .. } = link;
        let wants_island = self.count(&self.wants_within(reach(site.relocation.reloc), &link, layout));
        let left = match facts.is_slot {
            true => self.symbols.targets().get(number as usize).map(|target| (Class::Slot, target.slot.into())),
            false => pending::in_section(section, to.get().cast_signed()).map(|value| (Class::Addr, value)),
        };
        match (u32::try_from(site.relocation.offset), left) {
            (Ok(offset), Some((class, value))) => record.set(offset, site.relocation.reloc, class, value),
            _ => pending::leave(record),
        }
        wants_island
    }

    /// Leaves in `record` a call through a slot, if the veneer for all such calls of its symbol is counted. Answers whether.
    fn is_counted_call<O>(&self, site: &Site<'_, '_, '_, O>, record: &mut Fixup) -> bool {
        let Relocation { offset, reloc, symbol, addend, origin } = *site.relocation;
        let Some((number, target)) = self.symbols.definer(site.table.first, symbol) else { return false };
        let is_counted = QUICK
            && target.flags.veneer()
            && through_slot(facts(reloc).is_call, target, addend, self.policy)
            && origin == Origin::Zero
            && !self.policy.looks_closer();
        match u32::try_from(offset) {
            Ok(offset) if is_counted => pending::leave_call(record, offset, reloc, number),
            _ => return false,
        }
        true
    }

    /// What the relocation refers to, if that is a plain symbol, and it is given its address or a slot that is the same for
    /// all objects, and the policy has no more to say of it: as of most. `None` leaves it to [`Site::reference`].
    fn link<'s, 'data, O: Object<'data>>(&'s self, site: &Site<'_, '_, 'data, O>) -> Option<Link<'s>> {
        let Relocation { offset, reloc, symbol, addend, origin } = *site.relocation;
        let &Table { number: section, start, output, home, .. } = site.table;
        let facts = facts(reloc);
        let (number, target) = self.symbols.definer(site.table.first, symbol)?;
        let is_slot = facts.is_slot & (addend == 0);
        if !(QUICK & target.flags.is_plain() & (facts.is_plain | is_slot) & (origin == Origin::Zero))
            || self.policy.looks_closer()
            || through_slot(facts.is_call, target, addend, self.policy)
        {
            return None;
        }
        let place = start?.plus(offset.cast_signed());
        Some(Link { facts, place, section, output, home, target, number, to: target.addr.plus(addend) })
    }

    /// Counts what a relocation may need, or reports why it cannot be linked. Answers whether it wants an island after its
    /// section.
    #[inline(never)]
    fn look<'data, O: Object<'data>>(
        &mut self,
        site: &Site<'_, '_, 'data, O>,
        layout: &Layout<'_, 'data>,
        inputs: &[Input<'data, O>],
        report: &mut Report<'_>,
    ) -> bool {
        let cause = match site.reference(self.symbols, layout) {
            Ok(reference) => match self.wants(&reference, layout) {
                Ok(wants) => return self.count(&wants),
                Err(cause) => cause,
            },
            Err(Some(cause)) => cause,
            Err(None) => return false,
        };
        let own = site.table.first.symbol.wrapping_add(site.relocation.symbol);
        let again = |own: &mut Target| matches!(cause, Cause::Undefined) && own.report();
        if !self.symbols.get_mut(own).is_some_and(again) {
            site.report(cause, inputs, self.symbols, report);
        }
        false
    }
}

/// Whether the relocation is of data in text, or of a load from there.
pub(super) fn reads_text(reference: &Reference<'_>, layout: &Layout<'_, '_>) -> bool {
    let Reference { reloc, section, target, .. } = *reference;
    match reloc {
        Reloc::LD_PREL_LO19 => target.state == State::Defined && layout.is_text(target.section),
        _ => reloc.is_data() && layout.is_text(section),
    }
}
