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
        let mut segments: Vec<_> = taken.iter().map(|&(segment, _)| segment).collect();
        sort(&mut segments);
        // SAFETY: the zones gave these pages to nobody else, so no reference into them exists.
        let open = |run: Run<'_>| unsafe { linux::protect(run.addr, run.len, Prot::ReadWrite) };
        if let Err(error) = runs(&segments).try_for_each(open) {
            self.give_back(&segments);
            return Err(error);
        }
        self.segments.extend(segments);
        Ok(taken.into_iter().map(|(_, start)| start).collect())
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The runs of them, once they are [sorted](Self::sort).
    pub(super) fn runs(&self) -> impl Iterator<Item = Run<'_>> {
        runs(&self.segments)
    }

    /// The segment of protection `prot` that holds all `len` bytes from `addr`. The segments are [sorted](Self::sort).
    pub(super) fn find(&self, prot: Prot, addr: Addr, len: usize) -> Option<Segment> {
        let above = self.segments.partition_point(|segment| segment.addr() <= addr);
        let segment = *self.segments.get(above.checked_sub(1)?)?;
        (segment.prot() == prot && segment.contains(addr, len as u64)).then_some(segment)
    }

    /// Puts the segments in address order.
    pub(super) fn sort(&mut self) {
        sort(&mut self.segments);
    }

    /// Empties sorted segments that nothing uses any more and lets the reservation hand out their pages again.
    fn give_back(&self, segments: &[Segment]) {
        for Run { addr, len, prot, segments } in runs(segments) {
            // SAFETY: the pages are this owner's, and the callers have seen to it that nobody uses them.
            let protect = |prot| unsafe { linux::protect(addr, len, prot) };
            // Not executable in between: qemu goes on running its translation of code until then. And not writable: that may be
            // what the system has just refused (`RLIMIT_DATA`).
            let closed = protect(Prot::Read)
                // SAFETY: as above.
                .and_then(|()| unsafe { linux::discard(addr, len) })
                .and_then(|()| protect(prot));
            // Where the system refuses, the segments stay held, so that nobody is given pages with contents or without W^X.
            if closed.is_ok() {
                segments.iter().for_each(|&segment| self.reservation.put_back(segment));
            }
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // No section borrows them: it would borrow the draft. Whoever got a function, or stored or loaded, vouched that
        // this would be over by now.
        self.sort();
        self.give_back(&self.segments);
    }
}

/// Segments of one protection, side by side, of which the system is told at once.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) addr: Addr,
    /// Bytes.
    pub(super) len: usize,
    pub(super) prot: Prot,
    segments: &'a [Segment],
}

/// The runs of segments that are sorted.
fn runs(segments: &[Segment]) -> impl Iterator<Item = Run<'_>> {
    let end = |segment: &Segment| segment.addr().plus(segment.len().cast_signed());
    let joins = move |one: &Segment, next: &Segment| end(one) == next.addr() && one.prot() == next.prot();
    segments.chunk_by(joins).filter_map(|segments| {
        let first = segments.first()?;
        let len = segments.iter().map(|&segment| bytes(segment)).sum();
        Some(Run { addr: first.addr(), len, prot: first.prot(), segments })
    })
}

/// Puts segments in address order.
fn sort(segments: &mut [Segment]) {
    segments.sort_unstable_by_key(Segment::addr);
}

/// Bytes of a segment, which is mapped and so fits a `usize`.
fn bytes(segment: Segment) -> usize {
    segment.len() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_sealed_together_are_one_run() {
        let memory = Reservation::new(1 << 24).unwrap();
        let mut pages = Pages::new(memory);
        let part = |prot| Part { prot, len: 8, align: 1 };
        for _ in 0..50 {
            pages.add(&[part(Prot::ReadExec), part(Prot::Read), part(Prot::ReadExec)]).unwrap();
        }
        pages.sort();
        let found: Vec<_> = pages.runs().map(|run| (run.prot, run.segments.len())).collect();
        assert_eq!(pages.segments().len(), 150);
        assert_eq!(found, [(Prot::ReadExec, 100), (Prot::Read, 50)]);
    }
}
