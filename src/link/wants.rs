//! What a reference may need: a slot of the GOT, and cells of an island.

use super::error::Cause;
use super::kinds::{reach, slots as slots_of};
use super::layout::Layout;
use super::parts::FULL;
use super::route::{Link, Reference, refers_to_nothing, through_slot};
use super::scan::{NUMBERED, Scan, reads_text};
use super::spans::{Lies, covers};
use super::tables::Target;
use super::{erratum, indirect};
use crate::arena::Reach;
use crate::got::Kind;
use crate::reloc::{Reloc, Remedy};
use core::mem::replace;

/// What a reference may need.
pub(super) struct Wants {
    /// The number of its target, and the entry of the GOT that it is to have.
    number: u32,
    entry: Option<Kind>,
    way: Way,
    /// What it makes serves all that are of its symbol.
    is_once: bool,
}

/// How a reference gets to its target.
#[derive(Clone, Copy)]
enum Way {
    /// By itself.
    Direct,
    /// By so many cells of an island.
    Cells { cells: usize, is_hop: bool },
    /// The same, where the segments do not lie side by side.
    Spare { cells: usize, is_hop: bool, reach: Reach },
}

impl Scan<'_, '_> {
    /// What `reference` may need.
    pub(super) fn wants(&self, reference: &Reference<'_>, layout: &Layout<'_, '_>) -> Result<Wants, Cause<'static>> {
        let Reference { reloc, facts, number, target, addend, .. } = *reference;
        if self.policy.guards_text() && reads_text(reference, layout) {
            return Err(Cause::ReadsText(reloc));
        }
        if FULL && reloc == Reloc::FUNCINIT64 {
            indirect::check_place(reference, layout, self.policy)?;
        }
        if through_slot(facts.is_call, target, addend, self.policy) {
            return Ok(Wants {
                number,
                entry: Some(Kind::Gdat),
                way: Way::Cells { cells: 2, is_hop: false },
                is_once: self.spans.has_one_island,
            });
        }
        if self.policy.mends() && erratum::may_be_affected(reference) {
            return Ok(self.wants_within(erratum::REACH, &reference.link(), layout));
        }
        if refers_to_nothing(reloc, target) {
            return Ok(Wants { number, entry: None, way: Way::Direct, is_once: false });
        }
        Ok(self.wants_within(reach(reloc), &reference.link(), layout))
    }

    /// The same of one to something, which is not called through a slot, and reaches so far.
    #[inline]
    pub(super) fn wants_within(&self, reach: Reach, link: &Link<'_>, layout: &Layout<'_, '_>) -> Wants {
        let Link { facts, number, .. } = *link;
        // Slots near a base are counted when each object has its own.
        let entry = facts.entry.filter(|_| !facts.is_near_slot);
        let is_made = |remedy: &Remedy| self.policy.allows(*remedy) && (FULL || *remedy == Remedy::Veneer);
        let remedy = facts.remedy.filter(is_made);
        let way = remedy.map_or(Way::Direct, |remedy| self.way(remedy, reach, link, layout));
        // In one island there is one veneer for all calls to a symbol itself.
        let is_once = facts.is_call && link.to == link.target.addr && self.spans.has_one_island;
        Wants { number, entry, way, is_once }
    }

    /// How a reference that `remedy` may bring to its target gets there.
    fn way(&self, remedy: Remedy, reach: Reach, link: &Link<'_>, layout: &Layout<'_, '_>) -> Way {
        let cells = self.cells(remedy);
        let is_hop = FULL && remedy == Remedy::Hop;
        match self.spans.lies(link, layout) {
            Lies::At(distance) if reach.covers(distance) => Way::Direct,
            // While the islands have no sizes, a hop may be made for it.
            Lies::About(distance) if covers(reach, distance) && is_hop => Way::Cells { cells, is_hop: false },
            Lies::About(distance) if covers(reach, distance) => Way::Direct,
            Lies::InText(span) if reach.spans(span) => Way::Direct,
            Lies::Beside(span) if reach.spans(span) => Way::Spare { cells, is_hop, reach },
            _ => Way::Cells { cells, is_hop },
        }
    }

    /// What `remedy` takes of an island.
    pub(super) const fn cells(&self, remedy: Remedy) -> usize {
        match remedy {
            Remedy::Veneer => 2 + self.policy.pads() as usize,
            Remedy::Hop => 1,
            Remedy::Detour => 2,
        }
    }

    /// Counts it. Answers whether it wants an island after its section.
    #[inline]
    pub(super) fn count(&mut self, wants: &Wants) -> bool {
        let &Wants { number, entry, way, is_once } = wants;
        let counts = &mut self.counts;
        counts.has_pairs |= FULL && entry.is_some_and(|entry| slots_of(entry) == 2);
        match entry {
            // One for all.
            Some(Kind::Gldm) if FULL && replace(&mut self.has_module, true) => {}
            Some(Kind::Gldm) => counts.slots += slots_of(Kind::Gldm),
            Some(kind) => {
                if let Some(target) = self.symbols.get_mut(number as usize) {
                    let slots = target.count(kind);
                    counts.slots += slots;
                    if NUMBERED && kind == Kind::Gdat && slots > 0 {
                        target.slot = counts.numbered;
                        counts.numbered += 1;
                    }
                }
            }
            None => {}
        }
        if matches!(way, Way::Direct) {
            return false;
        }
        let target = self.symbols.get_mut(number as usize);
        if is_once && target.is_some_and(Target::count_veneer) {
            return false;
        }
        match way {
            Way::Direct => false,
            Way::Cells { cells, is_hop } => {
                counts.cells += cells;
                is_hop
            }
            Way::Spare { cells, is_hop, reach } => {
                counts.spare += cells;
                if FULL {
                    counts.within = counts.within.min(reach.min.unsigned_abs());
                }
                is_hop
            }
        }
    }
}
