//! How much linking needs, by looking through the objects once.

use super::Input;
use super::bases::IN_REACH;
use super::indirect::CELLS;
use super::isles::{Isle, STRIDE};
use super::kinds::{CALLS, HOPS, facts, slots};
use super::object::{self, Binding, Definition, Object};
use super::parts::FULL;
use super::sequence::Ordered;
use super::tables::{First, Output, Placed, Segment, Target};
use crate::arena::Prot;
use crate::got::Kind;
use crate::patch::Fixup;
use crate::reloc::{Reloc, Remedy};
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
    /// Records in [`Tables::fixups`](super::Tables::fixups).
    pub fixups: usize,
}

impl Needs {
    /// Bytes of RAM that tables of these lengths take on this machine; those of another may have other sizes.
    pub const fn bytes(&self) -> usize {
        self.objects * size_of::<First>()
            + self.sections * size_of::<Placed>()
            + self.symbols * size_of::<Target>()
            + (self.names + self.output_names + self.groups) * size_of::<u64>()
            + self.ordered * size_of::<Ordered<'_>>()
            + self.outputs * size_of::<Output<'_>>()
            + self.segments * size_of::<Segment>()
            + self.slots * size_of::<got::Entry>()
            + self.islands * size_of::<Isle>()
            + self.veneers * size_of::<veneer::Cell>()
            + self.fixups * size_of::<Fixup>()
    }

    /// What the linker needs of its own, beyond the objects' output sections: the GOT, the veneers, room for common symbols, and
    /// the two parts of what the blocks of threads begin as.
    fn of_linker(objects: usize, pins: usize) -> Self {
        Self { objects, outputs: 5, segments: 3 + pins, ..Self::default() }
    }

    /// Adds what the headers of `object` tell, and has `visit` see its sections.
    fn add<'data, O: Object<'data>>(&mut self, object: &O, mut visit: impl FnMut(usize, object::Kind<'data>)) {
        self.sections = self.sections.saturating_add(object.section_count());
        self.symbols = self.symbols.saturating_add(object.symbol_count());
        for index in 0..object.section_count() {
            let Ok(kind) = object.kind(index) else { continue };
            match kind {
                object::Kind::Loaded { .. } => {
                    self.outputs += 1;
                    self.ordered += usize::from(FULL && object.is_ordered(index));
                }
                object::Kind::Group { .. } if FULL => self.groups += 2,
                object::Kind::Relocations { count, .. } => self.fixups = self.fixups.saturating_add(count),
                _ => {}
            }
            visit(index, kind);
        }
    }
}

/// Bounds for what linking `inputs` with `pins` pinned output sections needs. What cannot be read is not counted: it is
/// for the plan to report.
pub fn measure<'data, O: Object<'data>>(inputs: &[Input<'data, O>], pins: usize) -> Needs {
    let mut needs = Needs::of_linker(inputs.len(), pins);
    let mut found = Found::default();
    let mut kinds = Kinds { counts: [[0; 2]; Reloc::ALL.len()] };
    for Input { object, .. } in inputs {
        let groups = needs.groups;
        needs.add(object, |index, kind| found.section(object, index, kind, &mut kinds));
        found.symbols(object, needs.groups > groups);
    }
    if FULL {
        found.kinds(&kinds);
    }
    let Found { globals, indirect, pieces, hops, text, near, to_slot, calls, others, thread_local, .. } = found;
    // At most half of the buckets are in use.
    needs.names = 2 * globals;
    needs.output_names = 2 * needs.outputs;
    // A symbol has one slot, and perhaps one more near each base of the GOT.
    needs.slots = (to_slot + calls.min(found.outside)).min(needs.symbols + near) + indirect;
    // It may have two entries of two slots and one of one for thread-local storage, which is all that one access takes; all
    // share one entry more, and the first pair begins at an even slot.
    needs.slots += thread_local.min(needs.symbols.saturating_mul(5).saturating_add(2)).saturating_add(1);
    // One at the end of all text; each other is behind an input section. Behind one with conditional branches, at the end of
    // what is pinned, and up to two for each stride: an island and the next but one are further apart than that.
    let strides = usize::try_from(text / STRIDE).unwrap_or(usize::MAX).saturating_mul(2);
    needs.islands = 1;
    if FULL {
        needs.islands += pieces.min(strides.saturating_add(hops + pins));
    }
    // In one island no symbol has two veneers, and none of the text needs any, as long as calls are to symbols themselves.
    let is_one = hops == 0 && pins == 0 && near <= IN_REACH && text <= STRIDE / 2;
    let calls = if is_one { found.plain_calls.min(found.outside) + (calls - found.plain_calls) } else { calls };
    // Anything may take two cells, a call a landing pad besides.
    needs.veneers = 3 * calls + 2 * others + 2 * needs.islands + CELLS * indirect;
    needs
}

/// Bounds for the same that are found without reading the objects' relocations and symbols, and so lie far above: for tables in
/// address space that takes no memory before it is written to, like the longest ones of a [`Storage`](super::Storage). Little
/// more is written there than to tables of the lengths that [`measure`] gives, which takes about a tenth of a link.
pub fn bound<'data, O: Object<'data>>(inputs: &[Input<'data, O>], pins: usize) -> Needs {
    let mut needs = Needs::of_linker(inputs.len(), pins);
    let mut pieces = 0;
    for Input { object, .. } in inputs {
        needs.add(object, |_, kind| {
            pieces += usize::from(matches!(kind, object::Kind::Loaded { prot: Prot::ReadExec, .. }));
        });
    }
    needs.names = needs.symbols.saturating_mul(2);
    needs.output_names = 2 * needs.outputs;
    // Entries of two slots each, and the veneers of indirect functions.
    needs.slots = needs.fixups.saturating_mul(2).saturating_add(needs.symbols).saturating_add(1);
    needs.islands = 1 + if FULL { pieces } else { 0 };
    let cells = needs.fixups.saturating_mul(3).saturating_add(2 * needs.islands);
    needs.veneers = cells.saturating_add(needs.symbols.saturating_mul(CELLS));
    needs
}

/// What is counted of all objects.
#[derive(Debug, Default)]
struct Found {
    globals: usize,
    indirect: usize,
    /// Symbols that may mean what is not in the text of the link.
    outside: usize,
    /// Executable input sections, those with conditional branches, and the bytes of all.
    pieces: usize,
    hops: usize,
    text: u64,
    /// Relocations: to a slot of the GOT, to one near its base, calls, calls from text to symbols themselves, what else may
    /// need a cell; and slots that those for thread-local storage may need.
    to_slot: usize,
    near: usize,
    calls: usize,
    plain_calls: usize,
    others: usize,
    thread_local: usize,
}

impl Found {
    fn section<'data, O: Object<'data>>(
        &mut self,
        object: &O,
        index: usize,
        kind: object::Kind<'data>,
        kinds: &mut Kinds,
    ) {
        match kind {
            object::Kind::Loaded { prot: Prot::ReadExec, align, content } => {
                self.pieces += 1;
                self.text = self.text.saturating_add(content.size()).saturating_add(align);
            }
            object::Kind::Relocations { of, count } => {
                let is_text = text(object, of).is_some();
                if !FULL {
                    return self.relocations(object, index, count, is_text);
                }
                let (hops, calls) = (kinds.hops(), kinds.plain_calls());
                kinds.read(object, index, count);
                self.hops += kinds.hops().iter().zip(hops).filter(|&(&after, before)| after > before).count();
                self.plain_calls += if is_text { kinds.plain_calls() - calls } else { 0 };
            }
            _ => {}
        }
    }

    /// Counts relocations one by one, where few kinds are told apart.
    fn relocations<'data, O: Object<'data>>(&mut self, object: &O, section: usize, count: usize, is_text: bool) {
        for object::Relocation { reloc, addend, .. } in
            (0..count).filter_map(|index| object.relocation(section, index).ok())
        {
            let facts = facts(reloc);
            self.to_slot += usize::from(facts.entry.is_some());
            self.calls += usize::from(facts.is_call);
            self.plain_calls += usize::from(facts.is_call && is_text && addend == 0);
        }
    }

    fn kinds(&mut self, kinds: &Kinds) {
        for (&reloc, [without, with]) in Reloc::ALL.iter().zip(&kinds.counts) {
            let (facts, count) = (facts(reloc), without + with);
            match facts.entry {
                Some(kind) if kind != Kind::Gdat => {
                    self.thread_local = self.thread_local.saturating_add(count.saturating_mul(slots(kind)));
                }
                Some(_) => self.to_slot += count,
                None => {}
            }
            self.near += if facts.is_near_slot { count } else { 0 };
            self.calls += if facts.is_call { count } else { 0 };
            self.others += if facts.remedy.is_some_and(|remedy| remedy != Remedy::Veneer) { count } else { 0 };
        }
    }

    fn symbols<'data, O: Object<'data>>(&mut self, object: &O, has_groups: bool) {
        let mut last = (usize::MAX, None);
        for (binding, definition) in (0..object.symbol_count()).filter_map(|index| object.definition(index).ok()) {
            let is_global = binding != Binding::Local;
            self.globals += usize::from(is_global);
            self.indirect += usize::from(FULL && matches!(definition, Definition::Indirect { .. }));
            let is_inside = match definition {
                // Of a group that another object has, a symbol may mean anything.
                Definition::Section { index, offset } if !(is_global && has_groups) => {
                    if !FULL || last.0 != index {
                        last = (index, text(object, index));
                    }
                    last.1.is_some_and(|size| offset <= size)
                }
                Definition::File => true,
                _ => false,
            };
            self.outside += usize::from(!is_inside);
        }
    }
}

/// How many relocations of each of [`Reloc::ALL`] there are without an addend, and with one.
struct Kinds {
    counts: [[usize; 2]; Reloc::ALL.len()],
}

impl Kinds {
    /// Adds those of a section of `count` relocations.
    fn read<'data, O: Object<'data>>(&mut self, object: &O, section: usize, count: usize) {
        object.for_each_kind(section, count, |reloc, addend| {
            if let Some([without, with]) = self.counts.get_mut(reloc as usize) {
                *(if addend == 0 { without } else { with }) += 1;
            }
        });
    }

    fn of(&self, reloc: Reloc) -> [usize; 2] {
        self.counts.get(reloc as usize).copied().unwrap_or_default()
    }

    /// Conditional branches, kind by kind.
    fn hops(&self) -> [usize; HOPS.len()] {
        HOPS.map(|reloc| self.of(reloc).iter().sum())
    }

    /// Calls of symbols themselves.
    fn plain_calls(&self) -> usize {
        CALLS.iter().map(|&reloc| self.of(reloc)[0]).sum()
    }
}

/// The bytes of section `index`, if it is executable.
fn text<'data, O: Object<'data>>(object: &O, index: usize) -> Option<u64> {
    match object.kind(index).ok()? {
        object::Kind::Loaded { prot: Prot::ReadExec, content, .. } => Some(content.size()),
        _ => None,
    }
}
