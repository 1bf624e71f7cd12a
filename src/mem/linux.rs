//! The system calls, of Linux.

use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::mm::{self, Advice, MapFlags, MprotectFlags, ProtFlags};
use rustix::param;
use rustix::thread::{MembarrierCommand, membarrier};

use super::Error;
use crate::addr::Addr;
use crate::arena::{PageSize, Prot};

/// The page size of this system.
pub(super) fn page_size() -> Result<PageSize, Error> {
    let bytes = param::page_size();
    PageSize::from_bytes(bytes as u64).ok_or(Error::PageSize { bytes })
}

/// `len` bytes of address space wherever the system likes; no memory.
pub(super) fn reserve(len: usize) -> Result<Addr, Error> {
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: without an address nor MAP_FIXED the kernel replaces no mapping.
    let start = unsafe { mm::mmap_anonymous(ptr::null_mut(), len, ProtFlags::empty(), flags) };
    start.map(exposed).map_err(|errno| failed("mmap", Addr::new(0), len, errno))
}

/// The `len` bytes of address space from `addr`; no memory.
pub(super) fn reserve_at(addr: Addr, len: usize) -> Result<Addr, Error> {
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED_NOREPLACE;
    // SAFETY: MAP_FIXED_NOREPLACE replaces no mapping; a kernel that does not know it takes the address as a hint.
    let start = unsafe { mm::mmap_anonymous(pointer(addr).cast(), len, ProtFlags::empty(), flags) };
    let start = start.map(exposed).map_err(|errno| failed("mmap", addr, len, errno))?;
    if start != addr {
        // SAFETY: the mapping was made above and nobody else has heard of it.
        unsafe { release(start, len) }?;
        return Err(Error::Elsewhere { asked: addr, offered: start });
    }
    Ok(start)
}

/// Gives address space and memory back to the system.
///
/// # Safety
/// The range is the caller's whole pages, and nothing uses them any more.
pub(super) unsafe fn release(addr: Addr, len: usize) -> Result<(), Error> {
    // SAFETY: passed on.
    unsafe { mm::munmap(pointer(addr).cast(), len) }.map_err(|errno| failed("munmap", addr, len, errno))
}

/// Gives the memory back to the system and keeps the address space. What is mapped there next reads as zero.
///
/// # Safety
/// As for [`release`].
pub(super) unsafe fn decommit(addr: Addr, len: usize) -> Result<(), Error> {
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
    // SAFETY: what this replaces is the caller's, unused.
    let start = unsafe { mm::mmap_anonymous(pointer(addr).cast(), len, ProtFlags::empty(), flags) };
    start.map(drop).map_err(|errno| failed("mmap", addr, len, errno))
}

/// Makes address space memory that reads as zero and allows what `prot` does: one mapping, of which pages may change their
/// protection and come back to it without a mapping more in the end.
///
/// # Safety
/// As for [`release`].
pub(super) unsafe fn open(addr: Addr, len: usize, prot: Prot) -> Result<(), Error> {
    // SAFETY: passed on.
    unsafe { protect(addr, len, Prot::ReadWrite) }?;
    // Linux joins neighbours only if they share the record of their written pages (`anon_vma`), or one has none. Writing
    // while the stretch is one mapping makes the record that all its parts will share.
    // SAFETY: the byte is the caller's, unused, and was made writable.
    unsafe { pointer(addr).write_volatile(0) };
    // SAFETY: passed on.
    unsafe { discard(addr, len) }?;
    // SAFETY: passed on.
    unsafe { protect(addr, len, prot) }
}

/// Gives the memory back to the system and keeps the mapping, which reads as zero.
///
/// # Safety
/// As for [`release`].
pub(super) unsafe fn discard(addr: Addr, len: usize) -> Result<(), Error> {
    // SAFETY: passed on.
    let discarded = unsafe { mm::madvise(pointer(addr).cast(), len, Advice::LinuxDontNeed) };
    discarded.map_err(|errno| failed("madvise", addr, len, errno))
}

/// Sets what the pages allow.
///
/// # Safety
/// The range is the caller's whole pages, and no reference into them asks for more than `prot` allows.
pub(super) unsafe fn protect(addr: Addr, len: usize, prot: Prot) -> Result<(), Error> {
    let flags = match prot {
        Prot::Read => MprotectFlags::READ,
        Prot::ReadWrite => MprotectFlags::READ | MprotectFlags::WRITE,
        Prot::ReadExec => MprotectFlags::READ | MprotectFlags::EXEC,
    };
    // SAFETY: passed on.
    unsafe { mm::mprotect(pointer(addr).cast(), len, flags) }.map_err(|errno| failed("mprotect", addr, len, errno))
}

/// Whether [`Draft::seal`](super::Draft::seal) makes every core of this process see new code, by `membarrier` (Linux 4.16).
///
/// Where it does not, each other thread must go through a context synchronisation event (an `ISB`, a system call, Arm ARM
/// B2.7.4) between the sealing and its first call of the code.
pub fn synchronises_cores() -> bool {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    *REGISTERED.get_or_init(|| membarrier(MembarrierCommand::RegisterPrivateExpeditedSyncCore).is_ok())
}

/// Makes every core that runs a thread of this process forget instructions it has fetched ahead.
pub(super) fn synchronise_cores() -> Result<(), Error> {
    if !synchronises_cores() {
        return Ok(());
    }
    membarrier(MembarrierCommand::PrivateExpeditedSyncCore).map_err(|errno| Error::Barrier { source: errno.into() })
}

/// The pointer to an address of this process. Its provenance is that of the mapping, exposed when it was made.
pub(super) fn pointer(addr: Addr) -> *mut u8 {
    ptr::with_exposed_provenance_mut(addr.get() as usize)
}

fn exposed(start: *mut c_void) -> Addr {
    Addr::new(start.expose_provenance() as u64)
}

fn failed(call: &'static str, addr: Addr, len: usize, errno: Errno) -> Error {
    Error::System { call, addr, len, source: errno.into() }
}
