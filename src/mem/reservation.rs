//! Address space that is ours.

use core::fmt;
use std::string::{String, ToString};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::vec;
use std::vec::Vec;

use super::pages::Pages;
use super::{Draft, Error, Part, linux};
use crate::addr::Addr;
use crate::arena::{Arena, Block, PageSize, Segment};

/// A range of addresses of this process that nobody else maps. It costs no memory until it is drafted into.
///
/// Clones share the range. It outlives every [`Draft`] and [`Sealed`](super::Sealed) made of it and goes back to the
/// system with the last of them.
#[derive(Clone)]
pub struct Reservation(Arc<Range>);

struct Range {
    addr: Addr,
    len: usize,
    page: PageSize,
    arena: Mutex<Arena<Vec<Block>>>,
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
        match Arena::new(storage, addr, len as u64, page) {
            Ok(arena) => Ok(Self(Arc::new(Range { addr, len, page, arena: Mutex::new(arena) }))),
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
        self.arena().free_bytes()
    }

    /// Bytes of the longest section that there is still room for.
    pub fn largest_free(&self) -> u64 {
        self.arena().largest_free()
    }

    /// The range drawn for people, as by [`Arena::map`]. `names` must not use this reservation.
    pub fn map<'a>(&self, names: impl Fn(&Segment) -> Option<&'a str>) -> String {
        self.arena().map(names).to_string()
    }

    /// An empty draft in this range.
    pub fn draft(&self) -> Draft {
        Draft::new(Pages::new(self.clone()))
    }

    /// Whole pages for all of `parts`, in one run: addresses nobody else is given until they are
    /// [given back](Self::give_back). With each part's pages comes the address in them where the part begins; all of the
    /// part lies in its pages.
    pub(super) fn take(&self, parts: &[Part]) -> Result<Vec<(Segment, Addr)>, Error> {
        let Some(first) = parts.first() else { return Ok(Vec::new()) };
        if let Some(part) = parts.iter().find(|part| !part.align.is_power_of_two()) {
            return Err(Error::Alignment { align: part.align });
        }
        let page = self.page().bytes();
        // From a multiple of the greatest alignment on, each part's offset is the same wherever the run lies.
        let greatest = parts.iter().fold(page, |greatest, part| greatest.max(part.align));
        let (offsets, len) = line_up(parts, page).unwrap_or_default();
        // Pages are aligned to their own size; where more is wanted there is room to move up in.
        let len = len.checked_add(greatest - page).filter(|_| !offsets.is_empty()).unwrap_or(u64::MAX);
        let mut arena = self.arena();
        // The run takes two blocks at the most, each cut another: once there is a run, no cut is refused.
        arena.ensure_blocks(parts.len() + 1);
        let mut rest = arena.alloc(first.prot, len)?;
        let base = rest.addr().align_up(greatest);
        let starts = offsets.iter().map(|offset| base.plus(offset.cast_signed()));
        let mut taken = Vec::new();
        let mut before = base;
        for (part, start) in parts.iter().zip(starts).skip(1) {
            let [held, upper] = arena.cut(rest, start.distance_from(rest.addr()).cast_unsigned(), part.prot)?;
            taken.push((held, before));
            (rest, before) = (upper, start);
        }
        taken.push((rest, before));
        Ok(taken)
    }

    /// Takes `segment` back, its memory already decommitted.
    pub(super) fn give_back(&self, segment: Segment) -> Result<(), Error> {
        Ok(self.arena().free(segment)?)
    }

    fn arena(&self) -> MutexGuard<'_, Arena<Vec<Block>>> {
        // A panic under the lock comes from `names` of `map` alone, which reads; the arena is whole.
        self.0.arena.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Where each of `parts` begins in a run of pages that begins on a multiple of all their alignments, and how long that is;
/// `None` where it is longer than any address space.
fn line_up(parts: &[Part], page: u64) -> Option<(Vec<u64>, u64)> {
    let mut end = 0_u64;
    let mut place = |part: &Part| {
        let offset = end.checked_next_multiple_of(part.align.max(page))?;
        end = offset.checked_add(part.len.max(1) as u64)?;
        Some(offset)
    };
    let offsets = parts.iter().map(&mut place).collect::<Option<_>>()?;
    Some((offsets, end))
}
