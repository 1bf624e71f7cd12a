//! Placement: which pages of a range hold what.
//!
//! Text, GOT, data and veneers that come from one [`Arena`] lie within reach of each other by construction, because the
//! range was chosen no longer than the reach ([`Reach::spans`]). An arena is arithmetic: it touches no memory, so its
//! addresses may be those of another process, another machine or none.
//!
//! ```text
//!  base                                                            base + len
//!  |  r-x text   |r-- rodata|       free        |rw- got| free ... |
//!  `- Segment ---'          `---- free run -----'
//! ```
//!
//! Runs of pages, held or free, tile the range. Each is a [`Block`] of the caller's storage, linked to the runs below and
//! above it, so that a freed segment joins its free neighbours at once and no two free runs ever touch. Free runs are
//! found by length: [`Arena::alloc`] succeeds whenever one fits.
//!
//! ```
//! use aarch64_reloc::addr::Addr;
//! use aarch64_reloc::arena::{Arena, Block, PageSize, Prot};
//!
//! let mut arena = Arena::new([Block::EMPTY; 16], Addr::new(0x4000_0000), 1 << 20, PageSize::K4)?;
//! let text = arena.alloc(Prot::ReadExec, 0x1234)?;
//! assert_eq!((text.addr(), text.len()), (Addr::new(0x4000_0000), 0x2000));
//! arena.free(text)?;
//! assert_eq!(arena.largest_free(), 1 << 20);
//! # Ok::<(), aarch64_reloc::arena::ArenaError>(())
//! ```

mod bins;
mod block;
mod error;
mod guarantee;
mod in_place;
mod map;
mod page;
mod reach;
mod zone;
mod zones;

pub use block::Block;
pub use error::ArenaError;
pub use page::{PageSize, Prot, Segment};
pub use reach::Reach;
pub use zone::{Stretch, Taken, Zone};
pub use zones::Zones;

use crate::addr::Addr;
use bins::Bins;
use block::{Blocks, NONE, State};
use in_place::Carved;

/// Hands out the pages of one range of addresses.
///
/// `T` is the caller's storage, one [`Block`] a run of pages: `[Block; N]`, `&mut [Block]`, a `heapless::Vec` or a `Vec`
/// filled to its length. *n* live segments need at most 2*n* + 1 blocks, which is when every one has free space on both
/// sides. The arena itself is under 2 KiB.
///
/// [`alloc`](Self::alloc) and [`free`](Self::free) take constant time but for the order of free runs inside one size
/// class, which costs O(log *n*) amortised; neither depends on how fragmented the range is.
#[derive(Debug)]
pub struct Arena<T> {
    blocks: Blocks<T>,
    bins: Bins,
    base: Addr,
    len: u64,
    free: u64,
    page: PageSize,
}

impl<T: AsRef<[Block]> + AsMut<[Block]>> Arena<T> {
    /// An arena over the `len` bytes from `base`, all free. The blocks of `storage` are overwritten.
    ///
    /// # Errors
    /// [`ArenaError::NotPages`] if `base` or `len` is not a multiple of `page`, or `len` is zero;
    /// [`ArenaError::Wraps`] if the range runs past 2^64; [`ArenaError::NoBlocks`] if `storage` is empty.
    pub fn new(storage: T, base: Addr, len: u64, page: PageSize) -> Result<Self, ArenaError> {
        if len == 0 || !page.divides(len) || !base.is_aligned_to(page.bytes()) {
            return Err(ArenaError::NotPages { addr: base, len, page });
        }
        // The last byte, not the end: a range may end at 2^64 exactly.
        if base.get().checked_add(len - 1).is_none() {
            return Err(ArenaError::Wraps { addr: base, len });
        }
        let mut blocks = Blocks::new(storage);
        let mut bins = Bins::EMPTY;
        let all = Block { len, state: State::Free, ..Block::EMPTY };
        let whole = blocks.table().add(all).ok_or(blocks.exhausted())?;
        bins.insert(blocks.table().blocks, whole);
        Ok(Self { blocks, bins, base, len, free: len, page })
    }

    /// Takes `len` bytes, rounded up to whole pages and to one page at least, to be mapped with `prot`.
    ///
    /// Succeeds whenever a free run is long enough. The segment lies at the low end of its run.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if no free run is long enough; [`ArenaError::NoBlocks`] if the storage is. Nothing is changed.
    #[inline]
    pub fn alloc(&mut self, prot: Prot, len: u64) -> Result<Segment, ArenaError> {
        let whole = self.page.whole(len);
        let Carved { run, start } = self.take(whole, prot);
        if run == NONE {
            return Err(self.refuse(len));
        }
        Ok(Segment { addr: self.address(start), len: whole, prot, block: run })
    }

    /// The work of [`alloc`](Self::alloc); what it answers fits into registers.
    #[inline(never)]
    fn take(&mut self, len: u64, prot: Prot) -> Carved {
        let Some(mut table) = self.blocks.used() else { return self.take_of(NONE, len, prot) };
        let run = self.bins.fit(table.blocks, len);
        let Some(carved) = table.shorten(run, len, State::Held(prot)) else { return self.take_of(run, len, prot) };
        self.free -= len;
        carved
    }

    /// The same of the free `run`, whatever becomes of it.
    #[inline(never)]
    fn take_of(&mut self, run: u32, len: u64, prot: Prot) -> Carved {
        let table = &mut self.blocks.table();
        let Some(&Block { start, .. }) = table.blocks.get(run as usize) else { return Carved::NONE };
        let Some(run) = self.bins.carve(table, run, len, State::Held(prot)) else { return Carved::NONE };
        self.free -= len;
        Carved { run, start }
    }

    /// Why [`alloc`](Self::alloc) has no `len` bytes.
    #[cold]
    fn refuse(&self, len: u64) -> ArenaError {
        match self.largest_free() {
            largest if largest < len.max(1) => ArenaError::Full { asked: len, free: self.free, largest },
            _ => self.blocks.exhausted(),
        }
    }

    /// Takes the `len` bytes from `addr`, rounded up as by [`alloc`](Self::alloc).
    ///
    /// Looks at every run below `addr`: time is linear in their number.
    ///
    /// # Errors
    /// [`ArenaError::NotPages`] if `addr` is not a multiple of the page size; [`ArenaError::Taken`] if the bytes are not
    /// all free, or not all in the range; [`ArenaError::NoBlocks`] if the storage is full. Nothing is changed.
    pub fn alloc_at(&mut self, prot: Prot, addr: Addr, len: u64) -> Result<Segment, ArenaError> {
        if !addr.is_aligned_to(self.page.bytes()) {
            return Err(ArenaError::NotPages { addr, len, page: self.page });
        }
        let whole = self.page.whole(len);
        // An address below the base wraps to one beyond every run.
        let start = addr.get().wrapping_sub(self.base.get());
        let taken = ArenaError::Taken { addr, len };
        let (run, block) = self.blocks.iter().find(|(_, b)| start - b.start < b.len).ok_or(taken)?;
        let skip = start - block.start;
        if block.state != State::Free || block.len - skip < whole {
            return Err(taken);
        }
        let held = self.bins.carve_at(&mut self.blocks.table(), run, skip, whole, State::Held(prot));
        held.map(|run| self.hold(self.carved(run), whole, prot)).ok_or(self.blocks.exhausted())
    }

    /// Gives `segment` back; its pages join the free runs beside it.
    ///
    /// A copy of a segment is that segment, also when it was freed and the same pages were handed out again the same.
    ///
    /// # Errors
    /// [`ArenaError::Unknown`] if this arena holds no such segment. Nothing is changed.
    #[inline]
    pub fn free(&mut self, segment: Segment) -> Result<(), ArenaError> {
        let Segment { addr, len, prot, block } = segment;
        let start = addr.get().wrapping_sub(self.base.get());
        if self.give(block, start, len, prot) == NONE { Err(ArenaError::Unknown { addr, len }) } else { Ok(()) }
    }

    /// The work of [`free`](Self::free); what it is given fits into registers. The free run that the pages are of then, or
    /// [`NONE`] if no such run was held.
    #[inline(never)]
    fn give(&mut self, run: u32, start: u64, len: u64, prot: Prot) -> u32 {
        let Some(mut table) = self.blocks.used() else { return NONE };
        let Some(block) = table.blocks.get(run as usize) else { return NONE };
        if (block.start, block.len, block.state) != (start, len, State::Held(prot)) {
            return NONE;
        }
        self.free += len;
        let Some(whole) = table.lengthen(run) else { return self.give_joined(run) };
        whole
    }

    /// The same of the held `run`, whatever becomes of those beside it.
    #[inline(never)]
    fn give_joined(&mut self, run: u32) -> u32 {
        let table = &mut self.blocks.table();
        let whole = self.bins.join(table, run);
        self.bins.insert(table.blocks, whole);
        whole
    }

    /// The live segments in address order.
    pub fn segments(&self) -> impl Iterator<Item = Segment> + '_ {
        self.blocks.iter().filter_map(|(index, block)| self.segment(index, block))
    }

    /// Bytes in no segment.
    pub fn free_bytes(&self) -> u64 {
        self.free
    }

    /// Bytes of the longest free run: the longest segment that [`alloc`](Self::alloc) can still return.
    pub fn largest_free(&self) -> u64 {
        self.bins.largest(self.blocks.all())
    }

    /// The first address of the range.
    pub fn base(&self) -> Addr {
        self.base
    }

    /// Bytes in the range, held and free.
    #[expect(clippy::len_without_is_empty, reason = "a range of addresses is never empty")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The page size the range is cut by.
    pub fn page(&self) -> PageSize {
        self.page
    }

    fn carved(&self, run: u32) -> Carved {
        Carved { run, start: self.blocks.get(run).start }
    }

    /// Hands out the `len` bytes of a run that was carved for them.
    fn hold(&mut self, carved: Carved, len: u64, prot: Prot) -> Segment {
        let Carved { run, start } = carved;
        self.free -= len;
        Segment { addr: self.address(start), len, prot, block: run }
    }

    /// Whether `segment` is held.
    fn holds(&self, segment: Segment) -> bool {
        let Segment { addr, len, prot, block } = segment;
        let is_it =
            |block: &Block| (self.address(block.start), block.len, block.state) == (addr, len, State::Held(prot));
        self.blocks.get_used(block).is_some_and(is_it)
    }

    /// The segment that `block`, number `index`, records, if it is held.
    fn segment(&self, index: u32, block: &Block) -> Option<Segment> {
        let State::Held(prot) = block.state else { return None };
        Some(Segment { addr: self.address(block.start), len: block.len, prot, block: index })
    }

    fn address(&self, start: u64) -> Addr {
        Addr::new(self.base.get() + start)
    }
}

#[cfg(feature = "std")]
impl Arena<std::vec::Vec<Block>> {
    /// Lengthens the storage by `more` blocks; the cure for [`ArenaError::NoBlocks`]. Allocates.
    pub fn add_blocks(&mut self, more: usize) {
        let storage = self.blocks.storage();
        storage.resize(storage.len().saturating_add(more), Block::EMPTY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static_assertions::const_assert!(size_of::<Arena<&mut [Block]>>() < 2048);
    static_assertions::assert_impl_all!(Arena<[Block; 1]>: Send, Sync);
}
