//! The free runs by length.
//!
//! Lengths fall into classes as numbers into a float with three bits of fraction: up to 16 pages each length has its own,
//! above that a class is at most an eighth wide. A class ends with a round length, so that a range of one loses much before
//! it leaves its class. A bitmap says which classes have runs. The runs of a class form a pairing heap, longest at the
//! root, so that the root answers both "does any run of this class fit" and "which is the longest run of all"; in a class
//! of one length it is a plain stack.
//!
//! ```text
//! class      ... 14   15   16      17      18  ...
//! pages      ... 15   16   17-18   19-20   21-22
//!                 |         |
//!                15        18            root: the longest
//!                 |       /  \
//!                15      17   18         child, its next, ...
//! ```

use super::Zone;
use super::block::{Block, NONE, State, Table, edit, get};

const FRACTION: u32 = 3;

/// A range has fewer than 2^64 bytes, hence fewer than 2^52 pages.
const CLASSES: usize = class((1 << 52) - 1) + 1;

const WORDS: usize = CLASSES.div_ceil(64);

#[inline(always)]
const fn class(pages: u64) -> usize {
    let last = pages.wrapping_sub(1);
    let shift = (last | 1 << FRACTION).ilog2() - FRACTION;
    ((shift as usize) << FRACTION) + (last >> shift) as usize
}

#[derive(Debug)]
pub(super) struct Bins {
    roots: [u32; CLASSES],
    used: [u64; WORDS],
    /// Which words of `used` are not zero.
    words: u32,
}

const _: () = assert!(WORDS < 31);

impl Bins {
    pub(super) const EMPTY: Self = Self { roots: [NONE; CLASSES], used: [0; WORDS], words: 0 };

    /// A free run of at least `pages` pages, not zero, if there is one; from the narrowest class whose longest run fits.
    #[inline]
    pub(super) fn fit(&self, blocks: &[Block], pages: u64) -> Option<u32> {
        let own = class(pages);
        let first = self.first_used(own)?;
        let root = self.root(first);
        if first != own || get(blocks, root).pages >= pages {
            return Some(root);
        }
        self.first_used(own + 1).map(|class| self.root(class))
    }

    /// Pages of the longest free run.
    pub(super) fn largest(&self, blocks: &[Block]) -> u64 {
        let words = self.used.iter().enumerate().rev();
        let last = words.filter_map(|(i, word)| Some(i * 64 + word.checked_ilog2()? as usize)).next();
        last.map_or(0, |class| get(blocks, self.root(class)).pages)
    }

    /// Adds `run`, which is in no heap and free from now on.
    pub(super) fn insert(&mut self, blocks: &mut [Block], run: u32) {
        let class = class(get(blocks, run).pages);
        edit(blocks, run, |b| {
            (b.state, b.class, b.child, b.next, b.prev) = (State::Free, class as u16, NONE, NONE, NONE);
        });
        let (Some(root), Some(word)) = (self.roots.get_mut(class), self.used.get_mut(class / 64)) else { return };
        if *root != NONE {
            *root = meld(blocks, run, *root);
            return;
        }
        *root = run;
        *word |= 1 << (class % 64);
        self.words |= 1 << (class / 64);
    }

    /// Takes `run`, whose length has changed, out of its heap and into that of its class.
    fn reinsert(&mut self, blocks: &mut [Block], run: u32) {
        self.remove(blocks, run);
        self.insert(blocks, run);
    }

    /// Takes `run` out of its heap. Its children take its place, which keeps the order: none was longer than it.
    pub(super) fn remove(&mut self, blocks: &mut [Block], run: u32) {
        let &Block { child, next, prev, class, .. } = get(blocks, run);
        let (mut after, mut before) = (next, prev);
        let mut heir = NONE;
        if child != NONE {
            heir = meld_siblings(blocks, child);
            edit(blocks, heir, |b| (b.next, b.prev) = (next, prev));
            (after, before) = (heir, heir);
        }
        if prev == NONE {
            // A root has no siblings.
            return self.succeed(class.into(), heir);
        }
        edit(blocks, next, |b| b.prev = before);
        let is_first = get(blocks, prev).child == run;
        edit(blocks, prev, |b| *(if is_first { &mut b.child } else { &mut b.next }) = after);
    }

    /// Takes `pages` pages, not zero, of the lower end of a run that fits, as `state`.
    #[inline]
    pub(super) fn take(&mut self, table: &mut Table<'_>, pages: u64, state: State) -> Result<Carved, Want> {
        let run = self.fit(table.blocks, pages).ok_or(Want::Run)?;
        self.carve(table, run, pages, state).ok_or(Want::Block)
    }

    /// Cuts the lowest `pages` pages of the free `run` out of it as `state`; what is left above stays free. `None`, and nothing
    /// is changed, if there are too few blocks.
    #[inline]
    pub(super) fn carve(&mut self, table: &mut Table<'_>, run: u32, pages: u64, state: State) -> Option<Carved> {
        let &Block { start, pages: all, child, class: before, .. } = table.blocks.get(run as usize)?;
        if all == pages {
            self.remove(table.blocks, run);
            edit(table.blocks, run, |b| b.state = state);
            return Some(Carved { run, start });
        }
        let carved = table.split_below(run, pages, state)?;
        // A run without children may become shorter where it is in its heap.
        if child != NONE || class(all - pages) != usize::from(before) {
            self.reinsert(table.blocks, run);
        }
        Some(Carved { run: carved, start })
    }

    /// The same, `skip` pages into the run; what is left below stays free too.
    pub(super) fn carve_at(
        &mut self,
        table: &mut Table<'_>,
        run: u32,
        skip: u64,
        pages: u64,
        state: State,
    ) -> Option<Carved> {
        let &Block { start, pages: all, .. } = get(table.blocks, run);
        if skip == 0 {
            return self.carve(table, run, pages, state);
        }
        let rest = all - skip - pages;
        if table.unused() < 1 + usize::from(rest > 0) {
            return None;
        }
        self.remove(table.blocks, run);
        let carved = table.split(run, skip);
        self.insert(table.blocks, run);
        if rest > 0 {
            let upper = table.split(carved, pages);
            self.insert(table.blocks, upper);
        }
        edit(table.blocks, carved, |b| b.state = state);
        Some(Carved { run: carved, start: start + skip })
    }

    /// Joins `run`, in no heap, with the free runs beside it of the same zone, and adds the whole.
    #[inline]
    pub(super) fn add(&mut self, table: &mut Table<'_>, run: u32) {
        let Some(&Block { below, above, zone, .. }) = table.blocks.get(run as usize) else { return };
        let whole = match (joins(table.blocks, below, zone), joins(table.blocks, above, zone)) {
            (false, true) => table.join_below(above, run),
            (true, false) => table.join_above(below, run),
            (false, false) => return self.insert(table.blocks, run),
            (true, true) => {
                self.remove(table.blocks, above);
                table.join_above(below, run);
                table.join_above(below, above)
            }
        };
        // The longest may become longer where it is in its heap.
        let Some(&Block { pages, prev, class: before, .. }) = table.blocks.get(whole as usize) else { return };
        if prev != NONE || class(pages) != usize::from(before) {
            self.reinsert(table.blocks, whole);
        }
    }

    /// Joins `run`, in no heap, with the free runs beside it of the same zone: the whole, in no heap either.
    pub(super) fn join(&mut self, table: &mut Table<'_>, run: u32) -> u32 {
        let &Block { below, above, zone, .. } = get(table.blocks, run);
        if joins(table.blocks, above, zone) {
            self.remove(table.blocks, above);
            table.join_above(run, above);
        }
        if !joins(table.blocks, below, zone) {
            return run;
        }
        self.remove(table.blocks, below);
        table.join_above(below, run)
    }

    /// The first class from `from` on that has runs.
    #[inline]
    fn first_used(&self, from: usize) -> Option<usize> {
        let first = from / 64;
        let upper = self.used.get(first)? >> (from % 64);
        if upper != 0 {
            return Some(from + upper.trailing_zeros() as usize);
        }
        let later = self.words & (u32::MAX << 1 << first);
        let next = later.trailing_zeros() as usize;
        Some(next * 64 + self.used.get(next)?.trailing_zeros() as usize)
    }

    #[inline(always)]
    fn root(&self, class: usize) -> u32 {
        self.roots.get(class).copied().unwrap_or(NONE)
    }

    /// Makes `heir`, or none, the root of `class`, which has had one.
    #[inline]
    fn succeed(&mut self, class: usize, heir: u32) {
        let (Some(root), Some(word)) = (self.roots.get_mut(class), self.used.get_mut(class / 64)) else { return };
        *root = heir;
        if heir == NONE {
            *word &= !(1 << (class % 64));
            self.words &= !(u32::from(*word == 0) << (class / 64));
        }
    }
}

/// What there is none of.
pub(super) enum Want {
    /// A free run that is long enough.
    Run,
    /// A block to record another run in.
    Block,
}

/// A run that was cut out of a free one, and its first page.
pub(super) struct Carved {
    pub(super) run: u32,
    pub(super) start: u64,
}

/// Whether the run `other` is free, and of `zone`.
#[inline]
fn joins(blocks: &[Block], other: u32, zone: Option<Zone>) -> bool {
    // As numbers, which is one comparison.
    let number = |zone: Option<Zone>| zone.map_or(Zone::ALL.len() as u8, |zone| zone as u8);
    blocks.get(other as usize).is_some_and(|b| b.state == State::Free && number(b.zone) == number(zone))
}

/// One heap of two, given by their roots. Of equals `a` stays on top: what was freed last is taken first.
fn meld(blocks: &mut [Block], a: u32, b: u32) -> u32 {
    if a == NONE || b == NONE {
        return a.min(b);
    }
    let (top, sub) = if get(blocks, a).pages >= get(blocks, b).pages { (a, b) } else { (b, a) };
    let child = get(blocks, top).child;
    edit(blocks, child, |c| c.prev = sub);
    edit(blocks, sub, |s| (s.next, s.prev) = (child, top));
    edit(blocks, top, |t| (t.child, t.next, t.prev) = (sub, NONE, NONE));
    top
}

/// One heap of the siblings from `first` on: by pairs left to right, then together right to left, which is what makes the
/// heap logarithmic.
#[inline(never)]
fn meld_siblings(blocks: &mut [Block], first: u32) -> u32 {
    let (mut rest, mut pairs) = (first, NONE);
    while rest != NONE {
        let second = get(blocks, rest).next;
        let third = get(blocks, second).next;
        let pair = meld(blocks, rest, second);
        edit(blocks, pair, |b| b.next = pairs);
        (rest, pairs) = (third, pair);
    }
    let mut heap = NONE;
    while pairs != NONE {
        let next = get(blocks, pairs).next;
        heap = meld(blocks, heap, pairs);
        pairs = next;
    }
    heap
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::super::block::Blocks;
    use super::*;

    const RUNS: usize = 64;

    /// Visits a heap: every child is no longer than its parent, every link has its converse. Returns how many there are.
    fn check(blocks: &Blocks<[Block; RUNS]>, root: u32) -> usize {
        let mut count = 1;
        let (mut before, mut child) = (root, blocks.get(root).child);
        while child != NONE {
            assert_eq!(blocks.get(child).prev, before);
            assert!(blocks.get(child).pages <= blocks.get(root).pages);
            count += check(blocks, child);
            (before, child) = (child, blocks.get(child).next);
        }
        count
    }

    #[test]
    fn classes_are_in_order_and_narrow() {
        let mut last = 0;
        for pages in (1..1 << 12).chain((12..52).flat_map(|e| [(1 << e) - 1, 1 << e, (1 << e) + 1])) {
            assert!((last..=last + 16).contains(&class(pages)), "{pages}");
            last = class(pages);
            // The first length of the next class is at most an eighth longer.
            assert!(class(pages + pages.div_ceil(8)) > last, "{pages}");
        }
        assert!(last < CLASSES && class(16) != class(15) && class(17) == class(18));
    }

    /// Runs come and go in every order; half of them share one class, the others have theirs nearly alone.
    #[test]
    fn heaps_stay_heaps() {
        fn law(steps: Vec<(u8, u8)>) {
            let mut blocks = Blocks::new([Block::EMPTY; RUNS]);
            let mut bins = Bins::EMPTY;
            for i in 0..RUNS as u64 {
                let pages = if i % 2 == 0 { 1024 + i } else { 16 * i };
                blocks.table().add(Block { pages, state: State::Free, ..Block::EMPTY });
            }
            let mut inside = [false; RUNS];
            for (run, ask) in steps {
                let run = usize::from(run) % RUNS;
                if inside[run] {
                    bins.remove(blocks.table().blocks, run as u32);
                } else {
                    bins.insert(blocks.table().blocks, run as u32);
                }
                inside[run] = !inside[run];

                let pages = |&run: &usize| blocks.get(run as u32).pages;
                let lengths = || (0..RUNS).filter(|&run| inside[run]).map(|run| pages(&run));
                let roots = (0..CLASSES).map(|class| bins.root(class)).filter(|&root| root != NONE);
                assert_eq!(roots.map(|root| check(&blocks, root)).sum::<usize>(), lengths().count());
                assert_eq!(bins.largest(blocks.all()), lengths().max().unwrap_or(0));
                let asked = 8 * u64::from(ask) + 1;
                let fit = bins.fit(blocks.all(), asked).map(|run| run as usize);
                assert_eq!(fit.is_some(), lengths().any(|pages| pages >= asked));
                assert!(fit.is_none_or(|run| inside[run] && pages(&run) >= asked));
            }
        }
        quickcheck::QuickCheck::new().rng(quickcheck::Gen::new(300)).quickcheck(law as fn(Vec<(u8, u8)>));
    }
}
