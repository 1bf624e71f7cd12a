//! Unwind tables of an object that was refused.

use crate::addr::Addr;
use core::ffi::c_void;
use core::ptr;

unsafe extern "C" {
    /// Of libgcc's unwinder, by which LLVM registers the `.eh_frame` of what it links, on Linux.
    fn __deregister_frame(begin: *const c_void);
}

/// Has the unwinder forget the `.eh_frame` at `start`, and makes it one that has no frames: LLVM registers an object's before
/// it hears that the object is refused, and ORC does not deregister it then (`RuntimeDyldImpl::finalizeAsync`). Where LLVM
/// does, as MCJIT in the end, it finds nothing to deregister.
///
/// # Safety
///
/// There are four bytes at `start` that nobody else uses, and LLVM has registered what begins there if they are not zeros.
pub(super) unsafe fn forget(start: Addr) {
    let start: *mut u32 = ptr::with_exposed_provenance_mut(start.get() as usize);
    // SAFETY: as the caller says; what begins with zeros is never registered.
    unsafe { __deregister_frame(start.cast_const().cast()) };
    // SAFETY: as the caller says.
    unsafe { start.write_unaligned(0) };
}
