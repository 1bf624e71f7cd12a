//! What is being linked.

use core::slice;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use super::pages::{Pages, Run};
use super::{Error, Sealed, linux};
use crate::addr::Addr;
use crate::arena::Prot;
use crate::cache::{Cache, Native};
use crate::patch::Section;

/// Pages that are writable and not executable yet, at the addresses they will run at. Dropping it gives them back.
///
/// A section borrows from its draft, so the draft cannot be sealed under it:
///
/// ```compile_fail,E0505
/// # use aarch64_reloc::{arena::Prot, mem::{Error, Reservation}, reloc::Reloc};
/// let draft = Reservation::new(1 << 20)?.draft();
/// let mut text = draft.place(Prot::ReadExec, &[0, 0, 0, 0x14])?;
/// let code = draft.seal()?;
/// text.patch(0, Reloc::JUMP26, text.addr());
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Draft {
    pages: Mutex<Pages>,
}

/// A section that is to be placed with others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// What its pages will be once sealed.
    pub prot: Prot,
    /// Bytes; none at all take a page too.
    pub len: usize,
    /// What its address is a multiple of, in bytes: a power of two.
    pub align: u64,
}

impl Draft {
    pub(super) fn new(pages: Pages) -> Self {
        Self { pages: Mutex::new(pages) }
    }

    /// Copies `bytes` to fresh pages that will be `prot` once sealed.
    ///
    /// # Errors
    /// [`Error::Arena`] if the reservation has no run of pages long enough; [`Error::System`] if the system has no memory.
    pub fn place(&self, prot: Prot, bytes: &[u8]) -> Result<Section<'_>, Error> {
        let mut section = self.alloc(prot, bytes.len())?;
        section.bytes_mut().copy_from_slice(bytes);
        Ok(section)
    }

    /// `len` zero bytes on fresh pages that will be `prot` once sealed. No bytes at all take a page too.
    ///
    /// # Errors
    /// As for [`place`](Self::place).
    pub fn alloc(&self, prot: Prot, len: usize) -> Result<Section<'_>, Error> {
        let mut run = self.alloc_run(&[Part { prot, len, align: 1 }])?;
        // One section a part.
        Ok(run.swap_remove(0))
    }

    /// Zero bytes for each of `parts`, on pages of its own, all in the one reservation: each among the pages of its final
    /// protection, so as far from the others as the reservation is long at the most. All parts are had, or none.
    ///
    /// # Errors
    /// As for [`place`](Self::place).
    pub fn alloc_run(&self, parts: &[Part]) -> Result<Vec<Section<'_>>, Error> {
        let starts = self.pages().add(parts)?;
        let section = |(part, addr): (&Part, Addr)| {
            // SAFETY: `Pages::add` made the part's `len` or more bytes readable, writable and zero, and returns each page
            // once. They stay so while the draft is borrowed: sealing consumes it, and dropping ends it.
            let bytes = unsafe { slice::from_raw_parts_mut(linux::pointer(addr), part.len) };
            Section::new(bytes, addr)
        };
        Ok(parts.iter().zip(starts).map(section).collect())
    }

    /// Makes the pages what they were placed as, and their code what every core fetches.
    ///
    /// Caches are cleaned first, protections set next, and then the other cores told, if the system can
    /// ([`synchronises_cores`](super::synchronises_cores)).
    ///
    /// # Errors
    /// [`Error::System`] if the system refuses a protection; [`Error::Barrier`]. All pages are given back then.
    pub fn seal(self) -> Result<Sealed, Error> {
        self.seal_or_keep().map_err(|(_, error)| error)
    }

    /// As [`seal`](Self::seal), but what was refused comes back as it was, unless the system refuses that too.
    pub(crate) fn seal_or_keep(self) -> Result<Sealed, (Option<Self>, Error)> {
        let mut pages = self.pages.into_inner().unwrap_or_else(PoisonError::into_inner);
        pages.sort();
        match publish(&pages) {
            Ok(()) => Ok(Sealed::new(pages)),
            Err(error) => Err((reopen(&pages).is_ok().then(|| Self::new(pages)), error)),
        }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // A panic under the lock is one of allocation, before the list of segments changed.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives `pages`, which nothing borrows, their final protections, and makes their code what every core fetches.
fn publish(pages: &Pages) -> Result<(), Error> {
    for Run { addr, len, prot, .. } in pages.runs() {
        if prot == Prot::ReadExec {
            // SAFETY: the segments are readable (`Pages`), and no section borrows them.
            Native.publish(unsafe { slice::from_raw_parts(linux::pointer(addr), len) });
        }
        // SAFETY: the pages are ours (`Pages`), and nothing borrows them.
        unsafe { linux::protect(addr, len, prot) }?;
    }
    if pages.segments().iter().any(|segment| segment.prot() == Prot::ReadExec) {
        linux::synchronise_cores()?;
    }
    Ok(())
}

/// Makes `pages`, which nothing borrows, writable again.
fn reopen(pages: &Pages) -> Result<(), Error> {
    // SAFETY: the pages are ours (`Pages`), and nothing borrows them.
    let open = |run: Run<'_>| unsafe { linux::protect(run.addr, run.len, Prot::ReadWrite) };
    pages.runs().try_for_each(open)
}
