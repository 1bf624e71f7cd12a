//! One range, cut into zones by purpose.
//!
//! The range is counted in *stretches*, 32 at the most, of which each is one zone's or nobody's. A zone takes stretches as
//! it grows and gives them back as it empties, so any purpose may fill the whole range, yet what is freed in a zone is
//! reused by that zone first, and pages of different protections meet at the borders of stretches only: whoever maps by
//! zones needs a mapping a stretch at the most, however many segments live.
//!
//! ```text
//!  base                                                                        base + len
//!  | text          | text          | read-only     | nobody's      | data          |
//!  |:|r-x|r-x|     |     |r-x|     |r--|r--|       |               |rw-|           |
//!   `- corridor    `- a border inside a zone is none to its segments
//! ```
//!
//! Text in a range that is longer than a branch reaches gets *corridors*: pages for islands at the low end of each piece
//! of text, and no piece longer than the branch reaches, so that every branch reaches its corridor.

use super::bins::Bins;
use super::block::{NONE, State, edit, get};
use super::{Arena, ArenaError, Block, PageSize, Prot, Segment, Stretch, Taken, Zone};
use crate::addr::Addr;
use crate::reloc::Reloc;
use core::fmt;

/// Stretches in a range, at the most, unless corridors ask for shorter ones.
const STRETCHES: u64 = 32;

/// Hands out the pages of one range, those of one purpose together.
///
/// It is an [`Arena`] in which every free run belongs to a zone or to nobody, with the same storage and the same costs; *n*
/// live segments in *s* stretches need at most 2*n* + 2*s* + 1 blocks. With fewer a zone may keep stretches that it has
/// emptied until it is freed more. The zones themselves are under 10 KiB.
///
/// Everything lies in the range, so what the range [guarantees](Self::guarantees) holds between any two segments, whatever
/// was taken and freed before.
///
/// ```
/// use aarch64_reloc::{addr::Addr, arena::{Block, PageSize, Zone, Zones}, reloc::Reloc};
///
/// let mut zones = Zones::new([Block::EMPTY; 32], Addr::new(0x4000_0000), 1 << 30, PageSize::K4, 0)?;
/// let text = zones.alloc(Zone::Text, 0x1234)?.segment;
/// let got = zones.alloc(Zone::Got, 0x40)?.segment;
/// let more = zones.alloc(Zone::Text, 0x1000)?.segment;
/// assert!(zones.guarantees(Reloc::ADR_GOT_PAGE));
/// assert_eq!(more.addr(), text.addr().at(0x2000));
/// assert_eq!(got.addr(), text.addr().at(1 << 25));
/// # Ok::<(), aarch64_reloc::arena::ArenaError>(())
/// ```
#[derive(Debug)]
pub struct Zones<T> {
    /// The table of runs, and the free ones that are nobody's: whole stretches, the last of the range perhaps cut short.
    arena: Arena<T>,
    text: Bins,
    got: Bins,
    read_only: Bins,
    data: Bins,
    /// Bytes in a stretch, a power of two.
    stretch: u64,
    /// Bytes in a corridor, and in the longest piece of text with its corridor.
    corridor: Option<(u64, u64)>,
}

impl<T: AsRef<[Block]> + AsMut<[Block]>> Zones<T> {
    /// Zones over the `len` bytes from `base`, all free. The blocks of `storage` are overwritten.
    ///
    /// If the range is longer than `BL` reaches (AAELF64, `R_AARCH64_CALL26`), text has corridors of `corridor` bytes,
    /// rounded up to whole pages; 0 is for none. A text segment is then no longer than the reach less a corridor.
    ///
    /// # Errors
    /// As for [`Arena::new`].
    pub fn new(storage: T, base: Addr, len: u64, page: PageSize, corridor: u64) -> Result<Self, ArenaError> {
        let arena = Arena::new(storage, base, len, page)?;
        let branch = Reloc::CALL26.reach().min.unsigned_abs();
        let has_corridors = corridor > 0 && !arena.guarantees(Reloc::CALL26);
        // A power of two divides the reach of a branch, which is one as well.
        let stretch = len.div_ceil(STRETCHES).max(page.bytes()).next_power_of_two();
        Ok(Self {
            arena,
            text: Bins::EMPTY,
            got: Bins::EMPTY,
            read_only: Bins::EMPTY,
            data: Bins::EMPTY,
            stretch: if has_corridors { stretch.min(branch) } else { stretch },
            corridor: has_corridors.then(|| (page.whole(corridor), branch)),
        })
    }

    /// Takes `len` bytes for `zone`, rounded up to whole pages and to one page at least.
    ///
    /// Succeeds whenever a free run of the zone is long enough, or a run of nobody's stretches; of text with corridors, whenever
    /// it is no longer besides than from one corridor to the next.
    ///
    /// # Errors
    /// [`ArenaError::Full`] if there is no such run; [`ArenaError::NoBlocks`] if the storage is full. Nothing is changed.
    pub fn alloc(&mut self, zone: Zone, len: u64) -> Result<Taken, ArenaError> {
        let whole = self.arena.page.whole(len);
        let (arena, own) = self.parts(zone);
        let run = own.fit(arena.blocks.all(), whole);
        if run != NONE {
            let held = own.carve(&mut arena.blocks.table(), run, whole, State::Held(zone.prot()));
            let held = arena.carved(held.ok_or(arena.blocks.exhausted())?);
            return Ok(Taken { segment: arena.hold(held, whole, zone.prot()), grown: None });
        }
        let full = ArenaError::Full { asked: len, free: self.free_bytes(), largest: self.largest_free(zone) };
        let (held, grown) = self.grow(zone, whole, full)?;
        Ok(Taken { segment: self.arena.hold(self.arena.carved(held), whole, zone.prot()), grown: Some(grown) })
    }

    /// Gives `segment` back to its zone, and answers which stretches the zone gives back for want of segments in them.
    ///
    /// # Errors
    /// [`ArenaError::Unknown`] if the zones hold no such segment. Nothing is changed.
    pub fn free(&mut self, segment: Segment) -> Result<Option<Stretch>, ArenaError> {
        if !self.arena.holds(segment) {
            return Err(ArenaError::Unknown { addr: segment.addr(), len: segment.len() });
        }
        let run = segment.block;
        // A segment has a zone.
        let zone = self.arena.blocks.get(run).zone.unwrap_or(Zone::Data);
        self.arena.free += segment.len();
        let (arena, own) = self.parts(zone);
        let run = own.join(&mut arena.blocks.table(), run);
        Ok(self.shrink(zone, run))
    }

    /// The corridor of the piece of text that `segment` lies in: every word of either reaches every word of the other by
    /// `BL` and `B`. It is nobody's to free: it goes with the last text of its piece.
    ///
    /// Looks at the text between the two: time is linear in its segments.
    pub fn corridor(&self, segment: Segment) -> Option<Segment> {
        let mut index = Some(segment.block).filter(|_| self.arena.holds(segment))?;
        self.corridor?;
        loop {
            let block = self.arena.blocks.get(index);
            match block.state {
                State::Corridor => {
                    let addr = self.arena.address(block.start);
                    return Some(Segment { addr, len: block.len, prot: Prot::ReadExec, block: index });
                }
                _ if block.zone != Some(Zone::Text) => return None,
                _ => index = block.below,
            }
        }
    }

    /// Bytes of the longest segment that [`alloc`](Self::alloc) can still return for `zone`.
    pub fn largest_free(&self, zone: Zone) -> u64 {
        let nobodys = self.arena.bins.largest(self.arena.blocks.all());
        let grown = match self.corridor {
            Some((corridor, branch)) if zone == Zone::Text => nobodys.min(branch).saturating_sub(corridor),
            _ => nobodys,
        };
        grown.max(self.own(zone).largest(self.arena.blocks.all()))
    }

    /// Bytes in no segment and no corridor.
    pub fn free_bytes(&self) -> u64 {
        self.arena.free_bytes()
    }

    /// The live segments in address order, corridors apart.
    pub fn segments(&self) -> impl Iterator<Item = Segment> + '_ {
        self.arena.segments()
    }

    /// As [`Arena::guarantees`], of the whole range.
    pub fn guarantees(&self, reloc: Reloc) -> bool {
        self.arena.guarantees(reloc)
    }

    /// As [`Arena::map`].
    pub fn map<'a, N: Fn(&Segment) -> Option<&'a str>>(&self, names: N) -> impl fmt::Display {
        self.arena.map(names)
    }

    /// Takes stretches of nobody's for `len` bytes of `zone`: the run of these bytes, in no heap, and the stretches.
    fn grow(&mut self, zone: Zone, len: u64, full: ArenaError) -> Result<(u32, Stretch), ArenaError> {
        let (corridor, most) = self.corridor.filter(|_| zone == Zone::Text).unwrap_or((0, u64::MAX));
        let need = Some(len.saturating_add(corridor)).filter(|&need| need <= most).ok_or(full)?;
        let whole = need.checked_next_multiple_of(self.stretch).ok_or(full)?;
        let (Arena { blocks, bins: nobodys, .. }, own) = self.parts(zone);
        let (no_blocks, mut table) = (blocks.exhausted(), blocks.table());
        // Only the run at the end of the range is no multiple of a stretch.
        let fit = |len| Some(nobodys.fit(table.blocks, len)).filter(|&run| run != NONE);
        let from = fit(whole).or_else(|| fit(need)).ok_or(full)?;
        let piece = whole.min(get(table.blocks, from).len);
        let cuts = [piece < get(table.blocks, from).len, corridor > 0, need < piece];
        if !table.has(cuts.into_iter().filter(|&cut| cut).count()) {
            return Err(no_blocks);
        }
        let held = State::Held(zone.prot());
        let low = nobodys.carve(&mut table, from, piece, held).ok_or(no_blocks)?;
        edit(table.blocks, low, |b| b.zone = Some(zone));
        let mut run = low;
        if corridor > 0 {
            run = table.split(low, corridor);
            edit(table.blocks, low, |b| b.state = State::Corridor);
            edit(table.blocks, run, |b| b.state = held);
        }
        if need < piece {
            let rest = table.split(run, len);
            own.insert(table.blocks, rest);
        }
        let addr = self.arena.address(self.arena.blocks.get(low).start);
        self.arena.free -= corridor;
        Ok((run, Stretch { addr, len: piece }))
    }

    /// Puts `run`, a free run of `zone` joined with those beside it, where it belongs: whole stretches become nobody's.
    fn shrink(&mut self, zone: Zone, mut run: u32) -> Option<Stretch> {
        let (total, into_stretch) = (self.arena.len, self.stretch - 1);
        let has_corridors = zone == Zone::Text && self.corridor.is_some();
        let (Arena { blocks, bins: nobodys, .. }, own) = self.parts(zone);
        let mut table = blocks.table();
        let Block { start, len, below, above, .. } = *get(table.blocks, run);
        let end = start + len;
        let corridor = Some(*get(table.blocks, below)).filter(|b| b.state == State::Corridor);
        // Beyond the last stretch there may be no address.
        let first = corridor.map_or(start, |b| b.start).checked_add(into_stretch);
        let low = first.map_or(total, |first| first & !into_stretch);
        let high = if end == total { end } else { end & !into_stretch };
        let cuts = usize::from(corridor.is_none() && start < low) + usize::from(high < end);
        // Text above goes on needing the corridor below: a piece of text shrinks at its upper end.
        let above = get(table.blocks, above);
        let is_needed = has_corridors && above.zone == Some(Zone::Text) && above.state != State::Corridor;
        if low >= high || is_needed || !table.has(cuts) {
            own.insert(table.blocks, run);
            return None;
        }
        let mut freed = 0;
        if let Some(corridor) = corridor {
            (run, freed) = (table.join_above(below, run), corridor.len);
        } else if start < low {
            let upper = table.split(run, low - start);
            own.insert(table.blocks, run);
            run = upper;
        }
        if high < end {
            let rest = table.split(run, high - low);
            own.insert(table.blocks, rest);
        }
        edit(table.blocks, run, |b| b.zone = None);
        let run = nobodys.join(&mut table, run);
        nobodys.insert(table.blocks, run);
        self.arena.free += freed;
        let addr = self.arena.address(low);
        Some(Stretch { addr, len: high - low })
    }

    /// The zone's own free runs.
    fn own(&self, zone: Zone) -> &Bins {
        match zone {
            Zone::Text => &self.text,
            Zone::Got => &self.got,
            Zone::ReadOnly => &self.read_only,
            Zone::Data => &self.data,
        }
    }

    /// The same to change, with the arena apart.
    fn parts(&mut self, zone: Zone) -> (&mut Arena<T>, &mut Bins) {
        let own = match zone {
            Zone::Text => &mut self.text,
            Zone::Got => &mut self.got,
            Zone::ReadOnly => &mut self.read_only,
            Zone::Data => &mut self.data,
        };
        (&mut self.arena, own)
    }
}

#[cfg(feature = "std")]
impl Zones<std::vec::Vec<Block>> {
    /// Lengthens the storage, if need be, so that a segment more can be had, and then some.
    #[cfg(target_os = "linux")]
    pub(crate) fn ensure_blocks(&mut self) {
        // A segment takes three cuts: of nobody's stretches, of the corridor, of the rest.
        if !self.arena.blocks.table().has(3) {
            let len = self.arena.blocks.storage().len();
            self.add_blocks(len.max(3));
        }
    }

    /// Lengthens the storage by `more` blocks; the cure for [`ArenaError::NoBlocks`]. Allocates.
    pub fn add_blocks(&mut self, more: usize) {
        self.arena.add_blocks(more);
    }
}
