//! What most allocations come to: a free run that becomes shorter, and longer again, and stays where it is in its heap.
//!
//! A run that none is below may become shorter there, and one that none is above may become longer, as long as it keeps to its
//! class. So no heap is changed; nor is one known here, which leaves little to do.

use super::Zone;
use super::block::{Block, NONE, State, Table, edit, number};

/// A run that was cut out of a free one, and where it starts.
#[derive(Clone, Copy)]
pub(super) struct Carved {
    pub(super) run: u32,
    pub(super) start: u64,
}

impl Carved {
    pub(super) const NONE: Self = Self { run: NONE, start: 0 };
}

impl Block {
    /// Whether a free run stays in its class with `len` bytes, not zero.
    #[inline]
    fn stays(&self, len: u64) -> bool {
        ((self.len - 1) ^ (len - 1)) >> (self.scale % 64) == 0
    }
}

impl Table<'_> {
    /// Cuts the lowest `len` bytes off the free run `index` as `state`, if the rest stays where it is. [`Carved::NONE`], and
    /// nothing is changed, if not, if there is no such run, or no block to record another in.
    #[inline]
    pub(super) fn shorten(&mut self, index: u32, len: u64, state: State) -> Carved {
        let Some(run) = self.blocks.get(index as usize) else { return Carved::NONE };
        let (start, rest) = (run.start, run.len - len);
        if rest == 0 || run.child != NONE || !run.stays(rest) {
            return Carved::NONE;
        }
        let Some(cut) = self.take() else { return Carved::NONE };
        self.split_below(cut, index, len, state);
        Carved { run: cut, start }
    }

    /// Joins the run `gone`, which is in no heap, to the free run beside it, if there is one and it stays where it is. `false`,
    /// and nothing is changed, if not.
    #[inline]
    pub(super) fn lengthen(&mut self, gone: u32) -> bool {
        let Some(&Block { len, below, above, zone, .. }) = self.blocks.get(gone as usize) else { return false };
        let is_free = |run| self.blocks.get(run as usize).is_some_and(|b: &Block| b.state == State::Free);
        match (is_free(below), is_free(above)) {
            (false, true) => {
                let Some(run) = self.stretch(above, len, zone) else { return false };
                (run.start, run.below) = (run.start - len, below);
                self.set_above(below, above);
            }
            (true, false) => {
                let Some(run) = self.stretch(below, len, zone) else { return false };
                run.above = above;
                edit(self.blocks, above, |b| b.below = below);
            }
            _ => return false,
        }
        self.give_back(gone);
        true
    }

    /// Lengthens the free run `index` by `len` bytes of `zone`, if it stays where it is.
    #[inline(always)]
    fn stretch(&mut self, index: u32, len: u64, zone: Option<Zone>) -> Option<&mut Block> {
        let run = self.blocks.get_mut(index as usize)?;
        let whole = run.len + len;
        if run.prev != NONE || number(run.zone) != number(zone) || !run.stays(whole) {
            return None;
        }
        run.len = whole;
        Some(run)
    }
}
