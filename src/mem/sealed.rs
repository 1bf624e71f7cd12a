//! What was linked.

use core::slice;
use core::sync::atomic::{AtomicU64, Ordering};

use super::pages::Pages;
use super::{Error, linux};
use crate::addr::Addr;
use crate::arena::{Prot, Segment};
use crate::function::Function;

/// Pages of final protection, caches clean: code that can be called. Dropping it gives the pages back.
#[derive(Debug)]
pub struct Sealed {
    pages: Pages,
}

impl Sealed {
    /// `pages` are sorted and sealed.
    pub(super) fn new(pages: Pages) -> Self {
        Self { pages }
    }

    /// What was placed, in address order.
    pub fn segments(&self) -> &[Segment] {
        self.pages.segments()
    }

    /// The function at `entry`.
    ///
    /// # Errors
    /// [`Error::Outside`] if `entry` is not in code of this value; [`Error::Misaligned`] if it is not a multiple of 4, as
    /// instructions are (Arm ARM B2.7.1); [`Error::ForeignHost`] if this process is not AArch64.
    ///
    /// # Safety
    /// At `entry` begins a function of type `F` that keeps the rules of AAPCS64, and of Rust if `F` is a safe function. It
    /// does not run, and is not called, once `self` is dropped.
    pub unsafe fn function<F: Function>(&self, entry: Addr) -> Result<F, Error> {
        self.check(Prot::ReadExec, entry, 4)?;
        if cfg!(not(target_arch = "aarch64")) {
            return Err(Error::ForeignHost);
        }
        // SAFETY: the caller vouches for the code, and `Draft::seal` made it fetchable.
        Ok(unsafe { F::at(linux::pointer(entry).cast_const().cast()) })
    }

    /// The `len` bytes from `addr`, if all are in one segment that nothing writes: constants or code.
    pub fn bytes(&self, addr: Addr, len: usize) -> Option<&[u8]> {
        let find = |prot| self.pages.find(prot, addr, len);
        find(Prot::Read).or_else(|| find(Prot::ReadExec))?;
        // SAFETY: the bytes are in a segment, which is readable while `self` lives (`Pages`), and no page of it has been
        // writable since `Draft::seal`.
        Some(unsafe { slice::from_raw_parts(linux::pointer(addr), len) })
    }

    /// Reads the 8 bytes at `at`, which are in writable memory, with acquire ordering.
    ///
    /// # Errors
    /// [`Error::Outside`] if they are not in writable memory of this value; [`Error::Misaligned`] if `at` is not a multiple
    /// of 8.
    ///
    /// # Safety
    /// Nothing writes any of them meanwhile but by [`store`](Self::store) or one 8-byte instruction (single-copy atomic,
    /// Arm ARM B2.2.1).
    pub unsafe fn load(&self, at: Addr) -> Result<u64, Error> {
        self.check(Prot::ReadWrite, at, 8)?;
        // SAFETY: aligned, readable and writable while `self` lives, as checked; the caller rules races out.
        let word = unsafe { AtomicU64::from_ptr(linux::pointer(at).cast()) };
        Ok(word.load(Ordering::Acquire))
    }

    /// Writes the 8 bytes at `at`, which are in writable memory, at once and with release ordering: re-points a GOT slot
    /// under the code that uses it. Code that sees `value` sees what was written before it, too.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    ///
    /// # Safety
    /// Whatever reads these bytes expects what `value` is (of a slot: code or data of the right type that outlives its
    /// use), and reads or writes them meanwhile as `load` says.
    pub unsafe fn store(&self, at: Addr, value: u64) -> Result<(), Error> {
        self.check(Prot::ReadWrite, at, 8)?;
        // SAFETY: as in `load`.
        let word = unsafe { AtomicU64::from_ptr(linux::pointer(at).cast()) };
        word.store(value, Ordering::Release);
        Ok(())
    }

    /// Whether a word of `size` bytes at `at`, aligned to itself, is in a segment of protection `prot`.
    fn check(&self, prot: Prot, at: Addr, size: usize) -> Result<(), Error> {
        self.pages.find(prot, at, size).ok_or(Error::Outside { addr: at, len: size, prot })?;
        if !at.is_aligned_to(size as u64) {
            return Err(Error::Misaligned { addr: at, align: size as u64 });
        }
        Ok(())
    }
}
