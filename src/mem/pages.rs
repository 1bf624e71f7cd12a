//! Pages with an owner: what a draft and what it is sealed into hold.

use std::vec::Vec;

use super::{Error, Part, Reservation, linux};
use crate::addr::Addr;
use crate::arena::{Prot, Segment};

/// Segments of a reservation, given back on drop.
///
/// Invariant: each segment is readable memory, taken from the reservation by this owner and by nobody else.
#[derive(Debug)]
pub(super) struct Pages {
    reservation: Reservation,
    segments: Vec<Segment>,
}

impl Pages {
    pub(super) fn new(reservation: Reservation) -> Self {
        Self { reservation, segments: Vec::new() }
    }

    /// Fresh pages for `parts`, which read as zero and can be written: where each part begins. All of a part lies in its own
    /// pages.
    pub(super) fn add(&mut self, parts: &[Part]) -> Result<Vec<Addr>, Error> {
        let taken = self.reservation.take(parts)?;
        debug_assert!(taken.iter().zip(parts).all(|((pages, start), part)| pages.contains(*start, part.len as u64)));
        let segments = || taken.iter().map(|&(segment, _)| segment);
        // SAFETY: the zones gave these pages to nobody else, so no reference into them exists.
        let open = |segment: Segment| unsafe { linux::protect(segment.addr(), bytes(segment), Prot::ReadWrite) };
        if let Err(error) = segments().try_for_each(open) {
            segments().for_each(|segment| self.give_back(segment));
            return Err(error);
        }
        self.segments.extend(segments());
        Ok(taken.into_iter().map(|(_, start)| start).collect())
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The segment of protection `prot` that holds all `len` bytes from `addr`. The segments are [sorted](Self::sort).
    pub(super) fn find(&self, prot: Prot, addr: Addr, len: usize) -> Option<Segment> {
        let above = self.segments.partition_point(|segment| segment.addr() <= addr);
        let segment = *self.segments.get(above.checked_sub(1)?)?;
        (segment.prot() == prot && segment.contains(addr, len as u64)).then_some(segment)
    }

    /// Puts the segments in address order.
    pub(super) fn sort(&mut self) {
        self.segments.sort_unstable_by_key(Segment::addr);
    }

    /// Empties a segment that nothing uses any more and lets the reservation hand out its pages again.
    fn give_back(&self, segment: Segment) {
        let (addr, len) = (segment.addr(), bytes(segment));
        // SAFETY: the pages are this owner's, and the callers below have seen to it that nobody uses them.
        let protect = |prot| unsafe { linux::protect(addr, len, prot) };
        // Not executable in between: qemu goes on running its translation of code until then. And not writable: that may be
        // what the system has just refused (`RLIMIT_DATA`).
        let closed = protect(Prot::Read)
            // SAFETY: as above.
            .and_then(|()| unsafe { linux::discard(addr, len) })
            .and_then(|()| protect(segment.prot()));
        // Where the system refuses, the segment stays held, so that nobody is given pages with contents or without W^X.
        if closed.is_ok() {
            self.reservation.put_back(segment);
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // No section borrows them: it would borrow the draft. Whoever got a function, or stored or loaded, vouched that
        // this would be over by now.
        for &segment in &self.segments {
            self.give_back(segment);
        }
    }
}

/// Bytes of a segment, which is mapped and so fits a `usize`.
pub(super) fn bytes(segment: Segment) -> usize {
    segment.len() as usize
}
