//! What most allocations come to: a free run that becomes shorter, and longer again, and stays where it is in its heap.
//!
//! A run that none is below may become shorter there, and one that none is above may become longer, as long as it keeps to its
//! class. So no heap is changed; nor is one known here, which leaves little to do. Zones go another way: here all runs are
//! nobody's.

use super::block::{Block, NONE, State, Table, edit};

/// A run that was cut out of a free one, and where it starts.
#[derive(Clone, Copy)]
pub(super) struct Carved {
    pub(super) run: u32,
    pub(super) start: u64,
}

impl Carved {
    pub(super) const NONE: Self = Self { run: NONE, start: 0 };
}

impl Table<'_> {
    /// Cuts the lowest `len` bytes off the free run `index` as `state`, if the rest stays where it is. `None`, and nothing is
    /// changed, if not, if there is no such run, or no spare block to record another in.
    #[inline]
    pub(super) fn shorten(&mut self, index: u32, len: u64, state: State) -> Option<Carved> {
        let &Block { start, len: all, below, child, scale, .. } = self.blocks.get(index as usize)?;
        let rest = all - len;
        if rest == 0 || child != NONE || !stays(all, rest, scale) {
            return None;
        }
        let cut = self.marks.spare;
        let block = self.blocks.get_mut(cut as usize)?;
        self.marks.spare = block.above;
        (block.start, block.len, block.below, block.above, block.state) = (start, len, below, index, state);
        edit(self.blocks, index, |b| (b.start, b.len, b.below) = (start + len, rest, cut));
        self.set_above(below, cut);
        Some(Carved { run: cut, start })
    }

    /// Joins the run `gone`, which is in no heap, to the free run beside it, which is returned, if there is one and it stays
    /// where it is. `None`, and nothing is changed, if not.
    #[inline]
    pub(super) fn lengthen(&mut self, gone: u32) -> Option<u32> {
        let &Block { len, below, above, .. } = self.blocks.get(gone as usize)?;
        let is_free = |run| self.blocks.get(run as usize).is_some_and(|b: &Block| b.state == State::Free);
        let whole = if !is_free(below) {
            let run = self.stretch(above, len)?;
            (run.start, run.below) = (run.start - len, below);
            self.set_above(below, above);
            above
        } else if !is_free(above) {
            self.stretch(below, len)?.above = above;
            edit(self.blocks, above, |b| b.below = below);
            below
        } else {
            return None;
        };
        self.give_back(gone);
        Some(whole)
    }

    /// Lengthens the free run `index` by `len` bytes, if it is one that stays where it is.
    #[inline(always)]
    fn stretch(&mut self, index: u32, len: u64) -> Option<&mut Block> {
        let run = self.blocks.get_mut(index as usize)?;
        if run.state != State::Free || run.prev != NONE || !stays(run.len, run.len + len, run.scale) {
            return None;
        }
        run.len += len;
        Some(run)
    }
}

/// Whether a run of `old` bytes, whose class has this scale, stays in it with `new` bytes, not zero.
#[inline(always)]
fn stays(old: u64, new: u64, scale: u8) -> bool {
    ((old - 1) ^ (new - 1)) >> (scale % 64) == 0
}
