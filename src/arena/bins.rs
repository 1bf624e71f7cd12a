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

use super::PageSize;
use super::block::{Block, NONE, State, Table, edit, get};

const FRACTION: u32 = 3;

/// Of the smallest pages, the logarithm of their bytes.
const PAGE: u32 = PageSize::K4.bytes().ilog2();

const CLASSES: usize = class(u64::MAX) + 1;

const WORDS: usize = CLASSES.div_ceil(64);

/// What is left of `len` bytes less one, shifted by it, is below 16; and not below 8, if it is not of the smallest pages.
#[inline(always)]
const fn scale(len: u64) -> u32 {
    (len.wrapping_sub(1) | 1 << (PAGE + FRACTION)).ilog2() - FRACTION
}

/// The class of runs of `len` bytes, which are whole pages.
#[inline(always)]
const fn class(len: u64) -> usize {
    class_at(scale(len), len)
}

/// The same, of which the scale is known.
#[inline(always)]
const fn class_at(scale: u32, len: u64) -> usize {
    ((scale.wrapping_sub(PAGE) as usize) << FRACTION) + (len.wrapping_sub(1) >> (scale % u64::BITS)) as usize
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

    /// A free run of at least `len` bytes, not zero, or [`NONE`]; from the narrowest class whose longest run fits.
    #[inline]
    pub(super) fn fit(&self, blocks: &[Block], len: u64) -> u32 {
        let own = class(len);
        let first = own / 64;
        let Some(word) = self.used.get(first) else { return NONE };
        let mut classes = word >> (own % 64);
        if classes & 1 != 0 {
            let root = self.root(own);
            if get(blocks, root).len >= len {
                return root;
            }
            classes -= 1;
        }
        if classes != 0 {
            return self.root(own + classes.trailing_zeros() as usize);
        }
        let later = self.words & (u32::MAX << 1 << first);
        let next = later.trailing_zeros() as usize;
        let Some(word) = self.used.get(next) else { return NONE };
        self.root(next * 64 + word.trailing_zeros() as usize)
    }

    /// Bytes of the longest free run.
    pub(super) fn largest(&self, blocks: &[Block]) -> u64 {
        let words = self.used.iter().enumerate().rev();
        let last = words.filter_map(|(i, word)| Some(i * 64 + word.checked_ilog2()? as usize)).next();
        last.map_or(0, |class| get(blocks, self.root(class)).len)
    }

    /// Adds `run`, which is in no heap and free from now on.
    #[cfg_attr(feature = "fast", inline)]
    pub(super) fn insert(&mut self, blocks: &mut [Block], run: u32) {
        let len = get(blocks, run).len;
        let scale = scale(len);
        let class = class_at(scale, len);
        let (Some(root), Some(word)) = (self.roots.get_mut(class), self.used.get_mut(class / 64)) else { return };
        let longest = get(blocks, *root).len;
        let Some(block) = blocks.get_mut(run as usize) else { return };
        (block.state, block.scale, block.child, block.next, block.prev) = (State::Free, scale as u8, NONE, NONE, NONE);
        if *root == NONE {
            *root = run;
            *word |= 1 << (class % 64);
            self.words |= 1 << (class / 64);
        } else if block.len >= longest {
            block.child = *root;
            edit(blocks, *root, |b| b.prev = run);
            *root = run;
        } else {
            *root = meld(blocks, run, *root);
        }
    }

    /// Takes `run` out of its heap. Its children take its place, which keeps the order: none was longer than it.
    pub(super) fn remove(&mut self, blocks: &mut [Block], run: u32) {
        let Some(&Block { len, child, prev, scale, .. }) = blocks.get(run as usize) else { return };
        // Mostly it is the root, and has one child, or none.
        match blocks.get_mut(child as usize) {
            None if prev == NONE => self.succeed(class_at(scale.into(), len), NONE),
            Some(heir) if prev == NONE && heir.next == NONE => {
                heir.prev = NONE;
                self.succeed(class_at(scale.into(), len), child);
            }
            _ => self.remove_inner(blocks, run),
        }
    }

    /// The same, wherever it lies.
    #[inline(never)]
    fn remove_inner(&mut self, blocks: &mut [Block], run: u32) {
        let &Block { len, child, next, prev, scale, .. } = get(blocks, run);
        let (mut after, mut before) = (next, prev);
        let mut heir = NONE;
        if child != NONE {
            heir = meld_siblings(blocks, child);
            edit(blocks, heir, |b| (b.next, b.prev) = (next, prev));
            (after, before) = (heir, heir);
        }
        if prev == NONE {
            // A root has no siblings.
            return self.succeed(class_at(scale.into(), len), heir);
        }
        edit(blocks, next, |b| b.prev = before);
        let is_first = get(blocks, prev).child == run;
        edit(blocks, prev, |b| *(if is_first { &mut b.child } else { &mut b.next }) = after);
    }

    /// Cuts the lowest `len` bytes of the free `run` out of it as `state`; what is left above stays free. `None`, and nothing
    /// is changed, if there are too few blocks.
    #[cfg_attr(feature = "fast", inline)]
    pub(super) fn carve(&mut self, table: &mut Table<'_>, run: u32, len: u64, state: State) -> Option<u32> {
        if table.blocks.get(run as usize)?.len == len {
            self.remove(table.blocks, run);
            edit(table.blocks, run, |b| b.state = state);
            return Some(run);
        }
        let cut = table.take()?;
        self.remove(table.blocks, run);
        table.split_below(cut, run, len, state);
        self.insert(table.blocks, run);
        Some(cut)
    }

    /// The same, `skip` bytes into the run; what is left below stays free too.
    pub(super) fn carve_at(
        &mut self,
        table: &mut Table<'_>,
        run: u32,
        skip: u64,
        len: u64,
        state: State,
    ) -> Option<u32> {
        let all = get(table.blocks, run).len;
        if skip == 0 {
            return self.carve(table, run, len, state);
        }
        let rest = all - skip - len;
        if !table.has(1 + usize::from(rest > 0)) {
            return None;
        }
        self.remove(table.blocks, run);
        let carved = table.split(run, skip);
        self.insert(table.blocks, run);
        if rest > 0 {
            let upper = table.split(carved, len);
            self.insert(table.blocks, upper);
        }
        edit(table.blocks, carved, |b| b.state = state);
        Some(carved)
    }

    /// Joins `run`, in no heap, with the free runs beside it of the same zone: the whole, in no heap either.
    #[cfg_attr(feature = "fast", inline)]
    pub(super) fn join(&mut self, table: &mut Table<'_>, run: u32) -> u32 {
        let Some(&Block { below, above, .. }) = table.blocks.get(run as usize) else { return run };
        if table.joins(run, above) {
            self.remove(table.blocks, above);
            table.join_above(run, above);
        }
        if !table.joins(run, below) {
            return run;
        }
        self.remove(table.blocks, below);
        table.join_above(below, run)
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

/// One heap of two, given by their roots. Of equals `a` stays on top: what was freed last is taken first.
fn meld(blocks: &mut [Block], a: u32, b: u32) -> u32 {
    if a == NONE || b == NONE {
        return a.min(b);
    }
    let (top, sub) = if get(blocks, a).len >= get(blocks, b).len { (a, b) } else { (b, a) };
    let child = get(blocks, top).child;
    edit(blocks, child, |c| c.prev = sub);
    edit(blocks, sub, |s| (s.next, s.prev) = (child, top));
    edit(blocks, top, |t| (t.child, t.next, t.prev) = (sub, NONE, NONE));
    top
}

/// One heap of the siblings from `first` on: by pairs left to right, then together right to left, which is what makes the
/// heap logarithmic.
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
            assert!(blocks.get(child).len <= blocks.get(root).len);
            count += check(blocks, child);
            (before, child) = (child, blocks.get(child).next);
        }
        count
    }

    #[test]
    fn classes_are_in_order_and_narrow() {
        let class = |pages: u64| class(pages << PAGE);
        let mut last = 0;
        for pages in (1..1 << 12).chain((12..51).flat_map(|e| [(1 << e) - 1, 1 << e, (1 << e) + 1])) {
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
                let len = if i % 2 == 0 { 1024 + i } else { 16 * i } << PAGE;
                blocks.table().add(Block { len, state: State::Free, ..Block::EMPTY });
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

                let len = |&run: &usize| blocks.get(run as u32).len;
                let lengths = || (0..RUNS).filter(|&run| inside[run]).map(|run| len(&run));
                let roots = (0..CLASSES).map(|class| bins.root(class)).filter(|&root| root != NONE);
                assert_eq!(roots.map(|root| check(&blocks, root)).sum::<usize>(), lengths().count());
                assert_eq!(bins.largest(blocks.all()), lengths().max().unwrap_or(0));
                let asked = (8 * u64::from(ask) + 1) << PAGE;
                let fit = Some(bins.fit(blocks.all(), asked) as usize).filter(|&run| run != NONE as usize);
                assert_eq!(fit.is_some(), lengths().any(|len| len >= asked));
                assert!(fit.is_none_or(|run| inside[run] && len(&run) >= asked));
            }
        }
        quickcheck::QuickCheck::new().rng(quickcheck::Gen::new(300)).quickcheck(law as fn(Vec<(u8, u8)>));
    }
}
