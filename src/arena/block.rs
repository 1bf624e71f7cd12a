//! The table of runs: which pages each covers, and which runs lie beside it.

use super::{ArenaError, Prot, Zone};

/// No block. Reading it gives [`Block::EMPTY`] and editing it does nothing, so the end of a list is no special case.
pub(super) const NONE: u32 = u32::MAX;

/// The record of one run of pages in an [`Arena`](super::Arena): the unit of its storage, opaque to the caller.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Pages from the base of the arena to the first of the run.
    pub(super) start: u64,
    pub(super) pages: u64,
    /// The run that ends where this one starts.
    pub(super) below: u32,
    /// The run that starts where this one ends; of a spare block, the next spare one.
    pub(super) above: u32,
    /// The links of a free run in the heap of its class (`bins.rs`): its first child,
    pub(super) child: u32,
    /// the sibling after it,
    pub(super) next: u32,
    /// and the sibling before it, or its parent.
    pub(super) prev: u32,
    pub(super) state: State,
    /// Whose pages these are; nobody's yet, of [`Zones`](super::Zones), and always in a plain arena.
    pub(super) zone: Option<Zone>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Spare,
    Free,
    Held(Prot),
    /// Kept for islands, at the low end of a stretch of text (`zones.rs`).
    Corridor,
}

impl Block {
    /// A block in no use: what storage is filled with.
    pub const EMPTY: Self = Self {
        start: 0,
        pages: 0,
        below: NONE,
        above: NONE,
        child: NONE,
        next: NONE,
        prev: NONE,
        state: State::Spare,
        zone: None,
    };
}

impl Default for Block {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// The caller's storage as a table of runs.
#[derive(Debug)]
pub(super) struct Blocks<T> {
    storage: T,
    /// Blocks from here on were never used, so no pass over the storage is needed at the start.
    fresh: u32,
    /// Used once and given back, linked by `above`.
    spare: u32,
    spares: u32,
    /// The lowest run.
    lowest: u32,
}

impl<T: AsRef<[Block]> + AsMut<[Block]>> Blocks<T> {
    pub(super) fn new(storage: T) -> Self {
        Self { storage, fresh: 0, spare: NONE, spares: 0, lowest: 0 }
    }

    #[inline]
    pub(super) fn get(&self, index: u32) -> &Block {
        self.storage.as_ref().get(index as usize).unwrap_or(&Block::EMPTY)
    }

    #[inline]
    pub(super) fn edit(&mut self, index: u32, change: impl FnOnce(&mut Block)) {
        if let Some(block) = self.storage.as_mut().get_mut(index as usize) {
            change(block);
        }
    }

    /// Blocks still to be had, `NONE` being the number of none.
    pub(super) fn unused(&self) -> usize {
        let total = self.storage.as_ref().len().min(NONE as usize);
        total.saturating_sub(self.fresh as usize) + self.spares as usize
    }

    pub(super) fn exhausted(&self) -> ArenaError {
        ArenaError::NoBlocks { blocks: self.storage.as_ref().len() }
    }

    /// Records `block` and returns its number.
    pub(super) fn add(&mut self, block: Block) -> Option<u32> {
        if self.unused() == 0 {
            return None;
        }
        let index = if self.spare == NONE {
            self.fresh += 1;
            self.fresh - 1
        } else {
            let first = self.spare;
            self.spare = self.get(first).above;
            self.spares -= 1;
            first
        };
        self.edit(index, |b| *b = block);
        Some(index)
    }

    /// Cuts the run `index` after `pages` pages and returns the upper part, free and in no heap.
    ///
    /// The caller has checked [`unused`](Self::unused).
    pub(super) fn split(&mut self, index: u32, pages: u64) -> u32 {
        let Block { start, pages: all, above, zone, .. } = *self.get(index);
        let upper = Block {
            start: start + pages,
            pages: all - pages,
            below: index,
            above,
            state: State::Free,
            zone,
            ..Block::EMPTY
        };
        let Some(cut) = self.add(upper) else { return NONE };
        self.edit(index, |b| (b.pages, b.above) = (pages, cut));
        self.edit(above, |b| b.below = cut);
        cut
    }

    /// The same, but it is the lower part, of `pages` pages, that is new, and is returned; the other stays where it is in its
    /// heap.
    pub(super) fn split_below(&mut self, index: u32, pages: u64) -> u32 {
        let Block { start, below, zone, .. } = *self.get(index);
        let lower = Block { start, pages, below, above: index, state: State::Free, zone, ..Block::EMPTY };
        let Some(cut) = self.add(lower) else { return NONE };
        self.edit(index, |b| (b.start, b.pages, b.below) = (b.start + pages, b.pages - pages, cut));
        self.set_above(below, index, cut);
        cut
    }

    /// Lengthens the run `index` by the run above it, whose block becomes spare.
    pub(super) fn join_above(&mut self, index: u32) {
        let gone = self.get(index).above;
        let Block { pages, above, .. } = *self.get(gone);
        self.edit(index, |b| (b.pages, b.above) = (b.pages + pages, above));
        self.edit(above, |b| b.below = index);
        self.give_back(gone);
    }

    /// Lengthens the run `index` by the run below it, whose block becomes spare.
    pub(super) fn join_below(&mut self, index: u32) {
        let gone = self.get(index).below;
        let Block { start, pages, below, .. } = *self.get(gone);
        self.edit(index, |b| (b.start, b.pages, b.below) = (start, b.pages + pages, below));
        self.set_above(below, gone, index);
        self.give_back(gone);
    }

    /// Run `now`, which takes the place of `before`, is above `below`, or the lowest.
    fn set_above(&mut self, below: u32, before: u32, now: u32) {
        if self.lowest == before {
            self.lowest = now;
        }
        self.edit(below, |b| b.above = now);
    }

    fn give_back(&mut self, gone: u32) {
        let above = self.spare;
        self.edit(gone, |b| (b.state, b.above) = (State::Spare, above));
        self.spare = gone;
        self.spares += 1;
    }

    /// All runs, numbered, in address order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Block)> {
        let first = Some(self.lowest).filter(|&i| self.get(i).state != State::Spare);
        core::iter::successors(first, |&i| Some(self.get(i).above).filter(|&above| above != NONE))
            .map(|i| (i, self.get(i)))
    }
}

#[cfg(feature = "std")]
impl<T> Blocks<T> {
    pub(super) fn storage(&mut self) -> &mut T {
        &mut self.storage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static_assertions::assert_eq_size!(Block, [u64; 5]);

    fn starts<const N: usize>(blocks: &Blocks<[Block; N]>) -> [u64; N] {
        let mut starts = [u64::MAX; N];
        for (slot, (_, block)) in starts.iter_mut().zip(blocks.iter()) {
            *slot = block.start;
        }
        starts
    }

    #[test]
    fn split_and_join_undo_each_other() {
        let mut blocks = Blocks::new([Block::EMPTY; 3]);
        let whole = blocks.add(Block { pages: 10, state: State::Free, ..Block::EMPTY });
        assert_eq!(whole, Some(0));
        let high = blocks.split(0, 7);
        let mid = blocks.split(0, 4);
        assert_eq!(starts(&blocks), [0, 4, 7]);
        assert_eq!((blocks.get(high).below, blocks.get(mid).above), (mid, high));
        assert_eq!((blocks.unused(), blocks.add(Block::EMPTY)), (0, None));
        blocks.join_above(mid);
        blocks.join_above(0);
        assert_eq!(starts(&blocks), [0, u64::MAX, u64::MAX]);
        assert_eq!((blocks.get(0).pages, blocks.unused()), (10, 2));
    }

    #[test]
    fn the_end_of_a_list_reads_as_nothing() {
        let mut blocks = Blocks::new([Block::EMPTY; 1]);
        blocks.edit(NONE, |b| b.pages = 1);
        assert_eq!((blocks.get(NONE).pages, blocks.get(0).pages), (0, 0));
    }
}
