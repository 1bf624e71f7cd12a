//! The pass before there are addresses.

use super::error::{Cause, Failure};
use super::isles::STRIDE;
use super::kinds::{entry, is_near_slot, slots as slots_of};
use super::layout::{GOT, Layout, PLT};
use super::object::Object;
use super::policy::Policy;
use super::route::{Reference, is_within, refers_to_nothing, through_slot};
use super::symbols::Symbols;
use super::tables::{First, State};
use super::walk::for_each_relocation;
use super::{Input, Report, erratum};
use crate::addr::Addr;
use crate::arena::{Prot, Reach};
use crate::got::Kind;
use crate::reloc::{Reloc, Remedy};
use core::mem::replace;

/// What the plan needs room for, at the most.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Slots of distinct entries.
    pub(super) slots: usize,
    /// Whether some of them take two, side by side.
    pub(super) has_pairs: bool,
    /// Cells, where the segments lie side by side.
    pub(super) cells: usize,
    /// Cells more, where they lie apart.
    pub(super) spare: usize,
}

/// Reports what cannot be linked wherever it lies, and counts the slots and cells that the rest may need. Input sections
/// whose conditional branches may not reach are told that they want an island.
pub(super) fn scan<'data, O: Object<'data>>(
    inputs: &[Input<'data, O>],
    firsts: &[First],
    symbols: &mut Symbols<'_>,
    layout: &mut Layout<'_, 'data>,
    policy: Policy,
    slots: usize,
    report: &mut Report<'_>,
) -> Counts {
    let mut counts = Counts::default();
    let mut has_module = false;
    let spans = Spans::of(layout, slots);
    for_each_relocation(inputs, firsts, |site| {
        let site = match site {
            Ok(site) => site,
            Err((input, error)) => return report.failure(Failure::of(input, Cause::Object(error))),
        };
        match site.reference(symbols, layout) {
            Ok(reference) => {
                let Reference { reloc, base, number, target, addend, section, .. } = reference;
                let through_slot = through_slot(reloc, target, addend, policy);
                // A slot near another base than the first is counted already.
                let entry = entry(reloc).filter(|_| !is_near_slot(reloc) || base == 0);
                let entry = if through_slot { Some(Kind::Gdat) } else { entry };
                if policy.execute_only && reads_text(&reference, layout) {
                    return site.report(Cause::ReadsText(reloc), inputs, symbols, report);
                }
                let may_be_affected = policy.erratum_843419 && erratum::may_be_affected(&reference);
                let is_to_something = may_be_affected || !refers_to_nothing(reloc, target);
                let remedy = reloc.remedy().filter(|&remedy| policy.allows(remedy) && is_to_something);
                let reach = if may_be_affected { erratum::REACH } else { reloc.reach() };
                let lies = spans.lies(&reference, layout);
                let Some(target) = symbols.get_mut(number as usize) else { return };
                counts.has_pairs |= entry.is_some_and(|entry| slots_of(entry) == 2);
                match entry {
                    // One for all.
                    Some(Kind::Gldm) if replace(&mut has_module, true) => {}
                    Some(Kind::Gldm) => counts.slots += slots_of(Kind::Gldm),
                    Some(kind) => counts.slots += target.count(kind),
                    None => {}
                }
                if through_slot {
                    // One veneer for all, but where there are several islands, or another slot near another base.
                    if !replace(&mut target.veneer, true) || base > 0 || !spans.has_one_island {
                        counts.cells += 2;
                    }
                    return;
                }
                let Some(remedy) = remedy else { return };
                let cells = match remedy {
                    Remedy::Veneer => 2 + usize::from(policy.landing_pads),
                    Remedy::Hop => 1,
                    Remedy::Detour => 2,
                };
                match lies {
                    Lies::At(distance) if reach.covers(distance) => return,
                    Lies::About(distance) if covers(reach, distance) => {
                        // While the islands have no sizes, a hop may be made for it.
                        counts.cells += if remedy == Remedy::Hop { cells } else { 0 };
                        return;
                    }
                    Lies::InText(span) if reach.spans(span) => return,
                    Lies::Beside(span) if reach.spans(span) => counts.spare += cells,
                    _ => counts.cells += cells,
                }
                if remedy == Remedy::Hop {
                    layout.want_island(section);
                }
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

/// Whether the relocation is of data in text, or of a load from there.
pub(super) fn reads_text(reference: &Reference<'_>, layout: &Layout<'_, '_>) -> bool {
    let Reference { reloc, section, target, .. } = *reference;
    match reloc {
        Reloc::LD_PREL_LO19 => target.state == State::Defined && layout.is_text(target.section),
        _ => reloc.is_data() && layout.is_text(section),
    }
}

/// What is known of the distance from a place to what it refers to.
enum Lies {
    /// So many bytes.
    At(i64),
    /// So many bytes, give or take the islands between.
    About(i64),
    /// Both are in text that spans so many bytes.
    InText(u64),
    /// Both are in segments that span so many bytes, if they lie side by side.
    Beside(u64),
    /// Nothing.
    Anywhere,
}

/// Bytes from one end of what is not pinned to the other.
struct Spans {
    text: u64,
    all: u64,
    has_one_island: bool,
}

impl Spans {
    fn of(layout: &Layout<'_, '_>, slots: usize) -> Self {
        // Segments begin on pages, at worst of 64 KiB.
        let (mut text, mut all) = (0_u64, slots as u64 * 8 + 3 * (1 << 16));
        let mut has_one_island = true;
        for output in layout.outputs().iter().filter(|output| output.size > 0) {
            let size = output.size.saturating_add(output.align);
            if output.is_pinned {
                has_one_island &= output.prot != Prot::ReadExec;
                continue;
            }
            all = all.saturating_add(size);
            if output.prot == Prot::ReadExec {
                text = text.saturating_add(size);
            }
        }
        has_one_island &= text <= STRIDE;
        Self { text: with_islands(text), all: with_islands(all), has_one_island }
    }

    fn lies(&self, reference: &Reference<'_>, layout: &Layout<'_, '_>) -> Lies {
        let Reference { reloc, place, section, target, addr, addend, .. } = *reference;
        let to = match target.state {
            _ if entry(reloc).is_some() => Some(GOT),
            State::Defined if target.indirect => Some(PLT),
            State::Defined => layout.output_of(target.section),
            State::Common => Some(layout.common_number()),
            State::GotBase => Some(GOT),
            _ => None,
        };
        let from = layout.output_of(section);
        if from == to && target.state == State::Defined && !target.indirect {
            // Until they are placed, output sections begin at the address 0, and symbols' are their offsets.
            let start = layout.section_addr(target.section).unwrap_or_default();
            let distance = start.plus(addr.get().cast_signed()).plus(addend).distance_from(place);
            return if is_within(reference) { Lies::At(distance) } else { Lies::About(distance) };
        }
        let outputs = layout.outputs();
        let find = |number: Option<usize>| number.and_then(|number| outputs.get(number));
        match (find(from), find(to)) {
            (Some(from), Some(to)) if from.is_pinned || to.is_pinned => Lies::Anywhere,
            (Some(from), Some(to)) if from.prot == to.prot && from.prot == Prot::ReadExec => Lies::InText(self.text),
            (Some(_), Some(_)) => Lies::Beside(self.all),
            _ => Lies::Anywhere,
        }
    }
}

/// Whether `reach` covers a target so far away with islands between.
fn covers(reach: Reach, distance: i64) -> bool {
    let span = with_islands(distance.unsigned_abs()).try_into().unwrap_or(i64::MAX);
    reach.covers(span) && reach.covers(-span)
}

/// `span` bytes of sections, and what islands may add. Were it more, there would be an error about room.
const fn with_islands(span: u64) -> u64 {
    span.saturating_add(span / 16).saturating_add(Addr::PAGE)
}
