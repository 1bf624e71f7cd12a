//! The free runs by length.
//!
//! Lengths fall into classes as numbers into a float with three bits of fraction: up to 15 pages each length has its own,
//! above that a class is at most an eighth wide. A bitmap says which classes have runs. The runs of a class form a pairing
//! heap, longest at the root, so that the root answers both "does any run of this class fit" and "which is the longest
//! run of all"; in a class of one length it is a plain stack.
//!
//! ```text
//! class      ... 14   15   16      17      18  ...
//! pages      ... 14   15   16-17   18-19   20-21
//!                 |         |
//!                14        17            root: the longest
//!                 |       /  \
//!                14      16   17         child, its next, ...
//! ```

use super::block::{Block, Blocks, NONE, State};

const FRACTION: u32 = 3;

/// A range has fewer than 2^64 bytes, hence fewer than 2^52 pages.
const CLASSES: usize = class((1 << 52) - 1) + 1;

const WORDS: usize = CLASSES.div_ceil(64);

#[inline(always)]
const fn class(pages: u64) -> usize {
    let shift = (pages | 1).ilog2().saturating_sub(FRACTION);
    ((shift as usize) << FRACTION) + (pages >> shift) as usize
}

/// Whether runs of `long` pages and of `short`, which are no more, are of one class.
const fn is_one_class(long: u64, short: u64) -> bool {
    let shift = (long | 1).ilog2().saturating_sub(FRACTION);
    long >> shift == short >> shift
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
    pub(super) fn fit<T: Storage>(&self, blocks: &Blocks<T>, pages: u64) -> Option<u32> {
        let class = class(pages);
        let own = self.root(class);
        if blocks.get(own).pages >= pages { Some(own) } else { self.first_used(class + 1).map(|c| self.root(c)) }
    }

    /// Pages of the longest free run.
    pub(super) fn largest<T: Storage>(&self, blocks: &Blocks<T>) -> u64 {
        let words = self.used.iter().enumerate().rev();
        let last = words.filter_map(|(i, word)| Some(i * 64 + word.checked_ilog2()? as usize)).next();
        last.map_or(0, |class| blocks.get(self.root(class)).pages)
    }

    /// Adds the free run `run`, which is in no heap.
    pub(super) fn insert<T: Storage>(&mut self, blocks: &mut Blocks<T>, run: u32) {
        let class = class(blocks.get(run).pages);
        blocks.edit(run, |b| (b.child, b.next, b.prev) = (NONE, NONE, NONE));
        let root = self.root(class);
        let top = if root == NONE { run } else { meld(blocks, run, root) };
        if top != root {
            self.set_root(class, top);
        }
    }

    /// Takes `run` out of its heap. Its children take its place, which keeps the order: none is longer than it.
    pub(super) fn remove<T: Storage>(&mut self, blocks: &mut Blocks<T>, run: u32) {
        let Block { pages, child, next, prev, .. } = *blocks.get(run);
        let (mut after, mut before) = (next, prev);
        let mut heir = NONE;
        if child != NONE {
            heir = meld_siblings(blocks, child);
            blocks.edit(heir, |b| (b.next, b.prev) = (next, prev));
            (after, before) = (heir, heir);
        }
        if prev == NONE {
            // A root has no siblings.
            return self.set_root(class(pages), heir);
        }
        blocks.edit(next, |b| b.prev = before);
        let is_first = blocks.get(prev).child == run;
        blocks.edit(prev, |b| *(if is_first { &mut b.child } else { &mut b.next }) = after);
    }

    /// Cuts `pages` pages, `skip` pages into the free `run`, out of it; what is left below and above stays free. `None`, and
    /// nothing is changed, if there are too few blocks.
    pub(super) fn carve<T: Storage>(&mut self, blocks: &mut Blocks<T>, run: u32, skip: u64, pages: u64) -> Option<u32> {
        let Block { pages: all, child, .. } = *blocks.get(run);
        let rest = all - skip - pages;
        if blocks.unused() < usize::from(skip > 0) + usize::from(rest > 0) {
            return None;
        }
        if skip == 0 && rest > 0 {
            // A run without children may become shorter where it is in its heap.
            let stays = child == NONE && is_one_class(all, rest);
            if !stays {
                self.remove(blocks, run);
            }
            let carved = blocks.split_below(run, pages);
            if !stays {
                self.insert(blocks, run);
            }
            return Some(carved);
        }
        self.remove(blocks, run);
        let mut carved = run;
        if skip > 0 {
            carved = blocks.split(run, skip);
            self.insert(blocks, run);
        }
        if rest > 0 {
            let upper = blocks.split(carved, pages);
            self.insert(blocks, upper);
        }
        Some(carved)
    }

    /// Joins `run`, free and in no heap, with the free runs beside it of the same zone, and adds the whole.
    pub(super) fn add<T: Storage>(&mut self, blocks: &mut Blocks<T>, run: u32) {
        let Block { pages, below, above, .. } = *blocks.get(run);
        let (is_below, is_above) = (joins(blocks, run, below), joins(blocks, run, above));
        if is_below == is_above {
            let run = self.join(blocks, run);
            return self.insert(blocks, run);
        }
        let whole = if is_below { below } else { above };
        // The longest may become longer where it is in its heap.
        let Block { pages: before, prev, .. } = *blocks.get(whole);
        let stays = prev == NONE && is_one_class(before + pages, before);
        if !stays {
            self.remove(blocks, whole);
        }
        if is_below {
            blocks.join_above(below);
        } else {
            blocks.join_below(above);
        }
        if !stays {
            self.insert(blocks, whole);
        }
    }

    /// Joins `run`, free and in no heap, with the free runs beside it of the same zone: the whole, in no heap either.
    pub(super) fn join<T: Storage>(&mut self, blocks: &mut Blocks<T>, run: u32) -> u32 {
        let Block { below, above, .. } = *blocks.get(run);
        if joins(blocks, run, above) {
            self.remove(blocks, above);
            blocks.join_above(run);
        }
        if !joins(blocks, run, below) {
            return run;
        }
        self.remove(blocks, below);
        blocks.join_above(below);
        below
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

    #[inline(always)]
    fn set_root(&mut self, class: usize, run: u32) {
        if let (Some(root), Some(word)) = (self.roots.get_mut(class), self.used.get_mut(class / 64)) {
            *root = run;
            let bit = 1 << (class % 64);
            *word = if run == NONE { *word & !bit } else { *word | bit };
            let bit = 1 << (class / 64);
            self.words = if *word == 0 { self.words & !bit } else { self.words | bit };
        }
    }
}

/// Whether `other` is a free run of the zone of `run`.
fn joins<T: Storage>(blocks: &Blocks<T>, run: u32, other: u32) -> bool {
    let (run, other) = (blocks.get(run), blocks.get(other));
    other.state == State::Free && other.zone == run.zone
}

/// One heap of two, given by their roots. Of equals `a` stays on top: what was freed last is taken first.
fn meld<T: Storage>(blocks: &mut Blocks<T>, a: u32, b: u32) -> u32 {
    if a == NONE || b == NONE {
        return a.min(b);
    }
    let (top, sub) = if blocks.get(a).pages >= blocks.get(b).pages { (a, b) } else { (b, a) };
    let child = blocks.get(top).child;
    blocks.edit(child, |c| c.prev = sub);
    blocks.edit(sub, |s| (s.next, s.prev) = (child, top));
    blocks.edit(top, |t| (t.child, t.next, t.prev) = (sub, NONE, NONE));
    top
}

/// One heap of the siblings from `first` on: by pairs left to right, then together right to left, which is what makes the
/// heap logarithmic.
fn meld_siblings<T: Storage>(blocks: &mut Blocks<T>, first: u32) -> u32 {
    let (mut rest, mut pairs) = (first, NONE);
    while rest != NONE {
        let second = blocks.get(rest).next;
        let third = blocks.get(second).next;
        let pair = meld(blocks, rest, second);
        blocks.edit(pair, |b| b.next = pairs);
        (rest, pairs) = (third, pair);
    }
    let mut heap = NONE;
    while pairs != NONE {
        let next = blocks.get(pairs).next;
        heap = meld(blocks, heap, pairs);
        pairs = next;
    }
    heap
}

/// What [`Blocks`] wants of the caller's storage.
pub(super) trait Storage: AsRef<[Block]> + AsMut<[Block]> {}

impl<T: AsRef<[Block]> + AsMut<[Block]>> Storage for T {}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

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
        assert!(last < CLASSES && class(15) != class(14) && class(16) == class(17));
    }

    /// Runs come and go in every order; half of them share one class, the others have theirs nearly alone.
    #[test]
    fn heaps_stay_heaps() {
        fn law(steps: Vec<(u8, u8)>) {
            let mut blocks = Blocks::new([Block::EMPTY; RUNS]);
            let mut bins = Bins::EMPTY;
            for i in 0..RUNS as u64 {
                let pages = if i % 2 == 0 { 1024 + i } else { 16 * i };
                blocks.add(Block { pages, state: State::Free, ..Block::EMPTY });
            }
            let mut inside = [false; RUNS];
            for (run, ask) in steps {
                let run = usize::from(run) % RUNS;
                if inside[run] {
                    bins.remove(&mut blocks, run as u32);
                } else {
                    bins.insert(&mut blocks, run as u32);
                }
                inside[run] = !inside[run];

                let pages = |&run: &usize| blocks.get(run as u32).pages;
                let lengths = || (0..RUNS).filter(|&run| inside[run]).map(|run| pages(&run));
                let roots = (0..CLASSES).map(|class| bins.root(class)).filter(|&root| root != NONE);
                assert_eq!(roots.map(|root| check(&blocks, root)).sum::<usize>(), lengths().count());
                assert_eq!(bins.largest(&blocks), lengths().max().unwrap_or(0));
                let asked = 8 * u64::from(ask) + 1;
                let fit = bins.fit(&blocks, asked).map(|run| run as usize);
                assert_eq!(fit.is_some(), lengths().any(|pages| pages >= asked));
                assert!(fit.is_none_or(|run| inside[run] && pages(&run) >= asked));
            }
        }
        quickcheck::QuickCheck::new().rng(quickcheck::Gen::new(300)).quickcheck(law as fn(Vec<(u8, u8)>));
    }
}
