//! Address space that is ours.

use core::fmt;
use std::string::{String, ToString};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::vec;
use std::vec::Vec;

use super::pages::Pages;
use super::{Draft, Error, Part, linux};
use crate::addr::Addr;
use crate::arena::{Block, PageSize, Segment, Zone, Zones};

/// A range of addresses of this process that nobody else maps. It costs no memory until it is drafted into.
///
/// Pages of one final protection lie together, in [`Zones`]: the system keeps a mapping a stretch at the most, 32 in all,
/// and two more for each run of pages that is being drafted, however many objects live. Each protection may fill the whole
/// range, if the others leave it. Pages that were freed in a stretch that still holds others keep its protection and read
/// as zero, which to a processor is `UDF #0`: calling code that is no more traps.
///
/// A stretch is a 32nd of the range, and writable as a whole for a moment when it is first drafted into: a limit on data
/// (`RLIMIT_DATA`, strict overcommit) must allow for it. Segments of different protections lie a stretch or more apart: code
/// of the tiny model, whose `ADR` and literal loads reach 1 MiB, wants a range of that length.
///
/// Clones share the range. It outlives every [`Draft`] and [`Sealed`](super::Sealed) made of it and goes back to the
/// system with the last of them.
#[derive(Clone)]
pub struct Reservation(Arc<Range>);

struct Range {
    addr: Addr,
    len: usize,
    page: PageSize,
    zones: Mutex<Zones<Vec<Block>>>,
}

impl Reservation {
    /// Reserves `len` bytes, rounded up to whole pages, wherever the system likes.
    ///
    /// # Errors
    /// [`Error::System`] if the system has no such range (`len` is zero, or too long); [`Error::PageSize`].
    pub fn new(len: usize) -> Result<Self, Error> {
        Self::over(len, linux::reserve)
    }

    /// Reserves the `len` bytes from `addr`, rounded up to whole pages. `addr` is a multiple of the page size.
    ///
    /// # Errors
    /// [`Error::System`] or, from old systems, [`Error::Elsewhere`] if a byte of the range is in use; [`Error::System`] if
    /// the range is none (`len` is zero, `addr` is not of a page); [`Error::PageSize`].
    pub fn at(addr: Addr, len: usize) -> Result<Self, Error> {
        Self::over(len, |len| linux::reserve_at(addr, len))
    }

    fn over(len: usize, reserve: impl FnOnce(usize) -> Result<Addr, Error>) -> Result<Self, Error> {
        let page = linux::page_size()?;
        // What does not round up is longer than any address space, which the system will say.
        let len = len.checked_next_multiple_of(page.bytes() as usize).unwrap_or(len);
        let addr = reserve(len)?;
        let storage = vec![Block::EMPTY; 64];
        // No corridors: islands lie in the text that they serve.
        match Zones::new(storage, addr, len as u64, page, 0) {
            Ok(zones) => Ok(Self(Arc::new(Range { addr, len, page, zones: Mutex::new(zones) }))),
            Err(error) => {
                // SAFETY: the range was reserved above and nobody else has heard of it.
                unsafe { linux::release(addr, len) }?;
                Err(error.into())
            }
        }
    }

    /// The first address.
    pub fn addr(&self) -> Addr {
        self.0.addr
    }

    /// Bytes in the range.
    #[expect(clippy::len_without_is_empty, reason = "a reservation is at least a page")]
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// The page size of this system.
    pub fn page(&self) -> PageSize {
        self.0.page
    }

    /// Bytes that no draft and nothing sealed holds.
    pub fn free_bytes(&self) -> u64 {
        self.zones().free_bytes()
    }

    /// Bytes of the longest section that there is still room for, of whichever protection has most.
    pub fn largest_free(&self) -> u64 {
        let zones = self.zones();
        Zone::ALL.into_iter().map(|zone| zones.largest_free(zone)).max().unwrap_or(0)
    }

    /// The range drawn for people, as by [`Zones::map`]. `names` must not use this reservation.
    pub fn map<'a>(&self, names: impl Fn(&Segment) -> Option<&'a str>) -> String {
        self.zones().map(names).to_string()
    }

    /// An empty draft in this range.
    pub fn draft(&self) -> Draft {
        Draft::new(Pages::new(self.clone()))
    }

    /// Whole pages for each of `parts`: addresses nobody else is given until they are [put back](Self::put_back), in
    /// pages of the part's final protection. With them comes the address where the part begins; all of it lies in its pages.
    pub(super) fn take(&self, parts: &[Part]) -> Result<Vec<(Segment, Addr)>, Error> {
        let mut taken: Vec<(Segment, Addr)> = Vec::with_capacity(parts.len());
        for part in parts {
            match self.take_one(part) {
                Ok(pages) => taken.push(pages),
                Err(error) => {
                    taken.iter().for_each(|&(segment, _)| self.put_back(segment));
                    return Err(error);
                }
            }
        }
        Ok(taken)
    }

    fn take_one(&self, part: &Part) -> Result<(Segment, Addr), Error> {
        if !part.align.is_power_of_two() {
            return Err(Error::Alignment { align: part.align });
        }
        // Pages are aligned to their own size; where more is wanted there is room to move up in.
        let slack = part.align.max(self.page().bytes()) - self.page().bytes();
        let len = (part.len.max(1) as u64).saturating_add(slack);
        let mut zones = self.zones();
        zones.ensure_blocks();
        let taken = zones.alloc(part.prot.into(), len)?;
        if let Some(stretch) = taken.grown {
            // SAFETY: the stretch was nobody's, and the lock keeps it from everybody until it is mapped.
            let opened = unsafe { linux::open(stretch.addr, stretch.len as usize, part.prot) };
            if let Err(error) = opened {
                put_back(&mut zones, taken.segment);
                return Err(error);
            }
        }
        Ok((taken.segment, taken.segment.addr().align_up(part.align)))
    }

    /// Lets others have the pages of `segment`, which hold nothing and have their final protection.
    pub(super) fn put_back(&self, segment: Segment) {
        put_back(&mut self.zones(), segment);
    }

    fn zones(&self) -> MutexGuard<'_, Zones<Vec<Block>>> {
        // A panic under the lock comes from `names` of `map`, which reads, or from lack of memory for blocks, before any is
        // changed: the zones are whole.
        self.0.zones.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn put_back(zones: &mut MutexGuard<'_, Zones<Vec<Block>>>, segment: Segment) {
    // Only a segment that is not held would be refused, and this one is.
    if let Ok(Some(stretch)) = zones.free(segment) {
        // SAFETY: nobody holds pages of the stretch, and the lock keeps it so.
        let closed = unsafe { linux::decommit(stretch.addr, stretch.len as usize) };
        // A refusal leaves pages mapped that hold nothing, until the stretch is taken again.
        drop(closed);
    }
}

impl Drop for Range {
    fn drop(&mut self) {
        // SAFETY: the range was reserved by `over`. Every user of its pages holds this `Range` alive, so there is none.
        let released = unsafe { linux::release(self.addr, self.len) };
        // Nothing can be done about a refusal: the address space stays reserved, and nobody hands it out.
        drop(released);
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("addr", &self.0.addr).field("len", &self.0.len).finish_non_exhaustive()
    }
}
