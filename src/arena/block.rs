//! The table of runs: which pages each covers, and which runs lie beside it.

use super::{ArenaError, Prot, Zone};

/// No block. Reading it gives [`Block::EMPTY`] and editing it does nothing, so the end of a list is no special case.
pub(super) const NONE: u32 = u32::MAX;

/// Blocks that become spare together.
const SPARES: usize = 16;

/// Blocks that a `u32` can name beside [`NONE`]. Those beyond are never used.
const LIMIT: usize = NONE as usize;

/// The record of one run of pages in an [`Arena`](super::Arena): the unit of its storage, opaque to the caller.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Bytes from the base of the arena to the first of the run.
    pub(super) start: u64,
    pub(super) len: u64,
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
    /// The scale of the class of a free run.
    pub(super) scale: u8,
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
        len: 0,
        below: NONE,
        above: NONE,
        child: NONE,
        next: NONE,
        prev: NONE,
        scale: 0,
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
    marks: Marks,
}

/// What is known of the blocks beside them.
#[derive(Debug)]
pub(super) struct Marks {
    /// Blocks from here on were never used, nor made spare, so no pass over the storage is needed at the start.
    fresh: u32,
    /// In no use, linked by `above`.
    pub(super) spare: u32,
    /// The lowest run.
    lowest: u32,
}

impl<T: AsRef<[Block]> + AsMut<[Block]>> Blocks<T> {
    pub(super) fn new(storage: T) -> Self {
        Self { storage, marks: Marks { fresh: 0, spare: NONE, lowest: NONE } }
    }

    /// The same to be changed, whatever the storage.
    #[inline]
    pub(super) fn table(&mut self) -> Table<'_> {
        let blocks = self.storage.as_mut();
        let limit = blocks.len().min(LIMIT);
        Table { blocks: blocks.get_mut(..limit).unwrap_or_default(), marks: &mut self.marks }
    }

    /// The blocks that were ever used, to be changed: none to be had among them but spares.
    #[inline]
    pub(super) fn used(&mut self) -> Option<Table<'_>> {
        let blocks = self.storage.as_mut().get_mut(..self.marks.fresh as usize)?;
        Some(Table { blocks, marks: &mut self.marks })
    }

    pub(super) fn all(&self) -> &[Block] {
        let blocks = self.storage.as_ref();
        blocks.get(..LIMIT).unwrap_or(blocks)
    }

    #[inline]
    pub(super) fn get(&self, index: u32) -> &Block {
        get(self.all(), index)
    }

    /// The block `index`, if it was ever used: what others hold is not of this table.
    pub(super) fn get_used(&self, index: u32) -> Option<&Block> {
        self.storage.as_ref().get(..self.marks.fresh as usize)?.get(index as usize)
    }

    pub(super) fn exhausted(&self) -> ArenaError {
        ArenaError::NoBlocks { blocks: self.storage.as_ref().len() }
    }

    /// All runs, numbered, in address order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Block)> {
        let index = |index| Some(index).filter(|&index| index != NONE);
        core::iter::successors(index(self.marks.lowest), move |&run| index(self.get(run).above))
            .map(|run| (run, self.get(run)))
    }
}

/// A number for a zone, or none: what takes one comparison.
#[inline]
pub(super) fn number(zone: Option<Zone>) -> u8 {
    zone.map_or(Zone::ALL.len() as u8, |zone| zone as u8)
}

#[inline]
pub(super) fn get(blocks: &[Block], index: u32) -> &Block {
    blocks.get(index as usize).unwrap_or(&Block::EMPTY)
}

#[inline]
pub(super) fn edit(blocks: &mut [Block], index: u32, change: impl FnOnce(&mut Block)) {
    if let Some(block) = blocks.get_mut(index as usize) {
        change(block);
    }
}

/// A table of runs to be changed.
pub(super) struct Table<'s> {
    pub(super) blocks: &'s mut [Block],
    pub(super) marks: &'s mut Marks,
}

impl Table<'_> {
    /// Whether so many blocks more are to be had.
    pub(super) fn has(&self, count: usize) -> bool {
        let spares = core::iter::successors(Some(self.marks.spare), |&spare| Some(get(self.blocks, spare).above));
        let spares = spares.take(count).take_while(|&spare| spare != NONE).count();
        count - spares <= self.blocks.len().saturating_sub(self.marks.fresh as usize)
    }

    /// The number of a block in no use.
    #[inline]
    pub(super) fn take(&mut self) -> Option<u32> {
        if self.marks.spare == NONE {
            make_spares(self.blocks, self.marks);
        }
        let spare = self.marks.spare;
        self.marks.spare = self.blocks.get(spare as usize)?.above;
        Some(spare)
    }

    /// Records `block` as the lowest run and returns its number.
    pub(super) fn add(&mut self, block: Block) -> Option<u32> {
        let index = self.take()?;
        edit(self.blocks, index, |b| *b = block);
        self.marks.lowest = index;
        Some(index)
    }

    /// Cuts the run `index` after `len` bytes and returns the upper part, free and in no heap.
    ///
    /// The caller has checked [`has`](Self::has).
    pub(super) fn split(&mut self, index: u32, len: u64) -> u32 {
        let Block { start, len: all, above, zone, .. } = *get(self.blocks, index);
        let upper =
            Block { start: start + len, len: all - len, below: index, above, state: State::Free, zone, ..Block::EMPTY };
        let Some(cut) = self.take() else { return NONE };
        edit(self.blocks, cut, |b| *b = upper);
        edit(self.blocks, index, |b| (b.len, b.above) = (len, cut));
        edit(self.blocks, above, |b| b.below = cut);
        cut
    }

    /// Cuts the lowest `len` bytes off the run `index` as `state`, which the block `cut` records.
    #[inline]
    pub(super) fn split_below(&mut self, cut: u32, index: u32, len: u64, state: State) {
        let Some(run) = self.blocks.get_mut(index as usize) else { return };
        let Block { start, below, zone, .. } = *run;
        (run.start, run.len, run.below) = (start + len, run.len - len, cut);
        // Its heap links are set when it comes into a heap.
        edit(self.blocks, cut, |b| {
            (b.start, b.len, b.below, b.above, b.state, b.zone) = (start, len, below, index, state, zone);
        });
        self.set_above(below, cut);
    }

    /// Whether the run `other`, beside `run`, is free, and of the same zone.
    #[inline]
    pub(super) fn joins(&self, run: u32, other: u32) -> bool {
        let zone = number(get(self.blocks, run).zone);
        self.blocks.get(other as usize).is_some_and(|b| b.state == State::Free && number(b.zone) == zone)
    }

    /// Lengthens the run `index` by `gone`, the run above it, whose block becomes spare.
    #[inline]
    pub(super) fn join_above(&mut self, index: u32, gone: u32) -> u32 {
        let &Block { len, above, .. } = get(self.blocks, gone);
        edit(self.blocks, index, |b| (b.len, b.above) = (b.len + len, above));
        edit(self.blocks, above, |b| b.below = index);
        self.give_back(gone);
        index
    }

    /// Run `above` is above `below`, or the lowest.
    #[inline]
    pub(super) fn set_above(&mut self, below: u32, above: u32) {
        match self.blocks.get_mut(below as usize) {
            Some(below) => below.above = above,
            None => self.marks.lowest = above,
        }
    }

    #[inline]
    pub(super) fn give_back(&mut self, gone: u32) {
        let above = core::mem::replace(&mut self.marks.spare, gone);
        edit(self.blocks, gone, |b| (b.state, b.above) = (State::Spare, above));
    }
}

/// Makes spares of some blocks that were never used, where none is left.
#[cold]
fn make_spares(blocks: &mut [Block], marks: &mut Marks) {
    let Marks { fresh, spare, .. } = marks;
    let end = blocks.len().min(*fresh as usize + SPARES) as u32;
    for number in (*fresh..end).rev() {
        edit(blocks, number, |b| *b = Block { above: *spare, ..Block::EMPTY });
        *spare = number;
    }
    *fresh = end;
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
        let mut table = blocks.table();
        let whole = table.add(Block { len: 10, state: State::Free, ..Block::EMPTY });
        assert_eq!(whole, Some(0));
        let high = table.split(0, 7);
        let mid = table.split(0, 4);
        assert_eq!((get(table.blocks, high).below, get(table.blocks, mid).above), (mid, high));
        assert_eq!((table.has(1), table.add(Block::EMPTY)), (false, None));
        assert_eq!(starts(&blocks), [0, 4, 7]);
        blocks.table().join_above(mid, high);
        blocks.table().join_above(0, mid);
        assert_eq!(starts(&blocks), [0, u64::MAX, u64::MAX]);
        assert_eq!([0, 1, 2, 3].map(|count| blocks.table().has(count)), [true, true, true, false]);
        assert_eq!(blocks.get(0).len, 10);
    }

    #[test]
    fn the_end_of_a_list_reads_as_nothing() {
        let mut blocks = Blocks::new([Block::EMPTY; 1]);
        edit(blocks.table().blocks, NONE, |b| b.len = 1);
        assert_eq!((blocks.get(NONE).len, blocks.get(0).len), (0, 0));
    }
}
