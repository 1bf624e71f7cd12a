//! How much linking needs, by looking through the objects once.

use super::Input;
use super::indirect::CELLS;
use super::isles::STRIDE;
use super::kinds::{facts, slots};
use super::object::{self, Binding, Definition, Object};
use crate::arena::Prot;
use crate::got::Kind;
use crate::reloc::Remedy;

/// How many records each table must have. [`measure`] gives a bound that always suffices.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Needs {
    /// Records in [`Tables::objects`](super::Tables::objects).
    pub objects: usize,
    /// Records in [`Tables::sections`](super::Tables::sections).
    pub sections: usize,
    /// Records in [`Tables::symbols`](super::Tables::symbols).
    pub symbols: usize,
    /// Records in [`Tables::names`](super::Tables::names).
    pub names: usize,
    /// Records in [`Tables::output_names`](super::Tables::output_names).
    pub output_names: usize,
    /// Records in [`Tables::groups`](super::Tables::groups).
    pub groups: usize,
    /// Records in [`Tables::outputs`](super::Tables::outputs).
    pub outputs: usize,
    /// Records in [`Tables::segments`](super::Tables::segments).
    pub segments: usize,
    /// Records in [`Tables::slots`](super::Tables::slots).
    pub slots: usize,
    /// Records in [`Tables::islands`](super::Tables::islands).
    pub islands: usize,
    /// Records in [`Tables::veneers`](super::Tables::veneers).
    pub veneers: usize,
    /// Records in [`Tables::fixups`](super::Tables::fixups).
    pub fixups: usize,
}

/// Bounds for what linking `inputs` with `pins` pinned output sections needs. What cannot be read is not counted: it is
/// for the plan to report.
pub fn measure<'data, O: Object<'data>>(inputs: &[Input<'data, O>], pins: usize) -> Needs {
    // Beyond the objects' own output sections: the GOT, the veneers, room for common symbols, and the two parts of what the
    // blocks of threads begin as.
    let mut needs = Needs { objects: inputs.len(), outputs: 5, segments: 3 + pins, ..Needs::default() };
    let (mut globals, mut indirect) = (0, 0);
    let (mut to_slot, mut near, mut calls, mut others) = (0_usize, 0_usize, 0_usize, 0_usize);
    let mut thread_local = 0_usize;
    // Executable input sections, those with conditional branches, and the bytes of all.
    let (mut pieces, mut hops, mut text) = (0_usize, 0_usize, 0_u64);
    for Input { object, .. } in inputs {
        needs.sections = needs.sections.saturating_add(object.section_count());
        needs.symbols = needs.symbols.saturating_add(object.symbol_count());
        let symbols = (0..object.symbol_count()).filter_map(|index| object.symbol(index).ok());
        for symbol in symbols {
            globals += usize::from(symbol.binding != Binding::Local);
            indirect += usize::from(matches!(symbol.definition, Definition::Indirect { .. }));
        }
        for section in 0..object.section_count() {
            match object.section(section).map(|section| section.kind) {
                Ok(object::Kind::Loaded { prot, align, content }) => {
                    needs.outputs += 1;
                    if prot == Prot::ReadExec {
                        pieces += 1;
                        text = text.saturating_add(content.size()).saturating_add(align);
                    }
                }
                Ok(object::Kind::Group { .. }) => needs.groups += 2,
                Ok(object::Kind::Relocations { count, .. }) => {
                    let mut has_hop = false;
                    object.for_each_relocation(section, count, &mut |relocation| {
                        let Ok(relocation) = relocation else { return };
                        let facts = facts(relocation.reloc);
                        match facts.entry {
                            Some(Kind::Gdat) => to_slot += 1,
                            Some(kind) => thread_local = thread_local.saturating_add(slots(kind)),
                            None => {}
                        }
                        near += usize::from(facts.is_near_slot);
                        calls += usize::from(facts.is_call);
                        others += usize::from(facts.remedy.is_some_and(|remedy| remedy != Remedy::Veneer));
                        has_hop |= facts.remedy == Some(Remedy::Hop);
                    });
                    needs.fixups = needs.fixups.saturating_add(count);
                    hops += usize::from(has_hop);
                }
                _ => {}
            }
        }
    }
    // At most half of the buckets are in use.
    needs.names = 2 * globals;
    needs.output_names = 2 * needs.outputs;
    // A symbol has one slot, and perhaps one more near each base of the GOT.
    needs.slots = (to_slot + calls).min(needs.symbols + near) + indirect;
    // It may have two entries of two slots and one of one for thread-local storage, which is all that one access takes; all
    // share one entry more, and the first pair begins at an even slot.
    needs.slots += thread_local.min(needs.symbols.saturating_mul(5).saturating_add(2)).saturating_add(1);
    // One at the end of all text; each other is behind an input section. Behind one with conditional branches, at the end of
    // what is pinned, and up to two for each stride: an island and the next but one are further apart than that.
    let strides = usize::try_from(text / STRIDE).unwrap_or(usize::MAX).saturating_mul(2);
    needs.islands = 1 + pieces.min(strides.saturating_add(hops + pins));
    // Anything may take two cells, a call a landing pad besides.
    needs.veneers = 3 * calls + 2 * others + 2 * needs.islands + CELLS * indirect;
    needs
}
