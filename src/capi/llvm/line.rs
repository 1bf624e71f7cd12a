//! A line that LLVM frees.

use core::ffi::{c_char, c_void};

unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
}

/// A copy of `line` as C wants it, to be freed by `free`; null where there is no memory.
pub(super) fn copy(line: &str) -> *mut c_char {
    // SAFETY: it takes any size.
    let copy = unsafe { malloc(line.len() + 1) }.cast::<u8>();
    if !copy.is_null() {
        // SAFETY: there is room for the line and a NUL, and nobody else knows it.
        unsafe { copy.copy_from_nonoverlapping(line.as_ptr(), line.len()) };
        // SAFETY: as above.
        unsafe { copy.add(line.len()).write(0) };
    }
    copy.cast()
}
