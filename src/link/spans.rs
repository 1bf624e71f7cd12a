//! How far apart things may come to lie, before there are addresses.

use super::isles::STRIDE;
use super::layout::{GOT, Layout, PLT};
use super::route::Link;
use super::tables::{Placed, State};
use crate::addr::Addr;
use crate::arena::{Prot, Reach};

/// What is known of the distance from a place to what it refers to.
pub(super) enum Lies {
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
pub(super) struct Spans {
    text: u64,
    all: u64,
    /// The same as `all`; as far as can be, where something is pinned.
    pub(super) across: u64,
    pub(super) has_one_island: bool,
}

impl Spans {
    pub(super) fn of(layout: &Layout<'_, '_>, slots: usize) -> Self {
        // Segments begin on pages, at worst of 64 KiB.
        let (mut text, mut all) = (0_u64, slots as u64 * 8 + 3 * (1 << 16));
        let mut has_one_island = true;
        for output in layout.outputs().iter().filter(|output| output.size > 0) {
            let size = output.size.saturating_add(output.align);
            if output.is_pinned() {
                has_one_island &= output.prot != Prot::ReadExec;
                continue;
            }
            all = all.saturating_add(size);
            if output.prot == Prot::ReadExec {
                text = text.saturating_add(size);
            }
        }
        has_one_island &= text <= STRIDE;
        let (text, all) = (with_islands(text), with_islands(all));
        let across = if layout.outputs().iter().any(|output| output.is_pinned()) { u64::MAX } else { all };
        Self { text, all, across, has_one_island }
    }

    #[inline]
    pub(super) fn lies(&self, link: &Link<'_>, layout: &Layout<'_, '_>) -> Lies {
        let Link { facts, place, section, output: from, home, target, to, .. } = *link;
        let is_entry = facts.entry.is_some();
        if target.state == State::Defined
            && !target.flags.indirect()
            && !is_entry
            && let Some(&Placed { output, offset, .. }) = layout.placed.get(target.section as usize)
            && output == from
        {
            // Until they are placed, symbols' addresses are their offsets.
            let distance = home.plus(offset.cast_signed()).plus(to.get().cast_signed()).distance_from(place);
            return if target.section == section { Lies::At(distance) } else { Lies::About(distance) };
        }
        let home = match target.state {
            _ if is_entry => Some(GOT),
            State::Defined if target.flags.indirect() => Some(PLT),
            State::Defined => layout.output_of(target.section),
            State::Common => Some(layout.common_number()),
            State::GotBase => Some(GOT),
            _ => None,
        };
        let find = |number: usize| layout.outputs().get(number);
        match (find(from as usize), home.and_then(find)) {
            (Some(from), Some(to)) if from.is_pinned() || to.is_pinned() => Lies::Anywhere,
            (Some(from), Some(to)) if from.prot == to.prot && from.prot == Prot::ReadExec => Lies::InText(self.text),
            (Some(_), Some(_)) => Lies::Beside(self.all),
            _ => Lies::Anywhere,
        }
    }
}

/// Whether `reach` is as far as to a target at that distance with islands between.
pub(super) fn covers(reach: Reach, distance: i64) -> bool {
    let span = with_islands(distance.unsigned_abs()).try_into().unwrap_or(i64::MAX);
    reach.covers(span) && reach.covers(-span)
}

/// So many bytes of sections that with islands they are no more than `span`.
pub(super) const fn without_islands(span: u64) -> u64 {
    span.saturating_sub(Addr::PAGE) / 17 * 16
}

/// `span` bytes of sections, and what islands may add. Were it more, there would be an error about room.
const fn with_islands(span: u64) -> u64 {
    span.saturating_add(span / 16).saturating_add(Addr::PAGE)
}
