//! How much linking needs, by looking through the objects once.

use super::Input;
use super::indirect::CELLS;
use super::isles::{Isle, STRIDE};
use super::kinds::{entry, is_call, is_near_slot, slots};
use super::object::{self, Binding, Definition, Object};
use super::sequence::Ordered;
use super::tables::{First, Output, Placed, Segment, Target};
use crate::arena::Prot;
use crate::got::Kind;
use crate::reloc::Remedy;
use crate::{got, veneer};

/// How many records each table must have. [`measure`] gives a bound that always suffices, [`Plan::needs`](super::Plan::needs) what
/// one link needs.
///
/// `Debug` writes it as Rust, for a build script to put in a constant; [`tables!`](crate::tables) makes tables of that.
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
    /// Records in [`Tables::ordered`](super::Tables::ordered).
    pub ordered: usize,
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
}

impl Needs {
    /// Bytes of RAM that tables of these lengths take on this machine; those of another may have other sizes.
    pub const fn bytes(&self) -> usize {
        self.objects * size_of::<First>()
            + self.sections * size_of::<Placed>()
            + self.symbols * size_of::<Target>()
            + (self.names + self.output_names + self.groups) * size_of::<u32>()
            + self.ordered * size_of::<Ordered<'_>>()
            + self.outputs * size_of::<Output<'_>>()
            + self.segments * size_of::<Segment>()
            + self.slots * size_of::<got::Entry>()
            + self.islands * size_of::<Isle>()
            + self.veneers * size_of::<veneer::Cell>()
    }
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
            let (kind, order) = match object.section(section) {
                Ok(section) => (section.kind, section.order),
                Err(_) => continue,
            };
            match kind {
                object::Kind::Loaded { prot, align, content } => {
                    needs.outputs += 1;
                    needs.ordered += usize::from(!order.is_empty());
                    if prot == Prot::ReadExec {
                        pieces += 1;
                        text = text.saturating_add(content.size()).saturating_add(align);
                    }
                }
                object::Kind::Group { .. } => needs.groups += 2,
                object::Kind::Relocations { count, .. } => {
                    let mut has_hop = false;
                    object.for_each_relocation(section, count, &mut |relocation| {
                        let Ok(relocation) = relocation else { return };
                        match entry(relocation.reloc) {
                            Some(Kind::Gdat) => to_slot += 1,
                            Some(kind) => thread_local = thread_local.saturating_add(slots(kind)),
                            None => {}
                        }
                        near += usize::from(is_near_slot(relocation.reloc));
                        calls += usize::from(is_call(relocation.reloc));
                        others += usize::from(relocation.reloc.remedy().is_some_and(|remedy| remedy != Remedy::Veneer));
                        has_hop |= relocation.reloc.remedy() == Some(Remedy::Hop);
                    });
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
