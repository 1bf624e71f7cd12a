//! Pointers and numbers from C, checked.

use super::answer::Refused;
use core::mem::MaybeUninit;
use core::slice;
use std::boxed::Box;
use std::vec::Vec;

/// What `pointer` points to, which is the argument `name`.
pub(super) fn given<T>(pointer: Option<T>, name: &'static str) -> Result<T, Refused> {
    pointer.ok_or(Refused::Null(name))
}

/// Writes `value` to where the argument `out` points to.
pub(super) fn put<T>(out: Option<&mut MaybeUninit<T>>, value: T) -> Result<(), Refused> {
    given(out, "out")?.write(value);
    Ok(())
}

/// Gives `make`'s value to C, which gives it back to the function that frees it.
pub(super) fn hand_out<T>(
    out: Option<&mut MaybeUninit<*mut T>>,
    make: impl FnOnce() -> Result<T, Refused>,
) -> Result<(), Refused> {
    let out = given(out, "out")?;
    out.write(Box::into_raw(Box::new(make()?)));
    Ok(())
}

/// Storage of `count` records.
pub(super) fn records<T: Clone + Default>(count: usize) -> Result<Vec<T>, Refused> {
    let mut records = Vec::new();
    records.try_reserve_exact(count).map_err(|_| Refused::NoMemory(count))?;
    records.resize(count, T::default());
    Ok(records)
}

/// Checks that `len` bytes from `start` may be a slice: not null, unless there are none, and no longer than memory.
fn check<T>(start: *const T, len: usize, name: &'static str) -> Result<(), Refused> {
    if start.is_null() && len > 0 {
        return Err(Refused::Null(name));
    }
    match len.checked_mul(size_of::<T>()) {
        Some(bytes) if isize::try_from(bytes).is_ok() => Ok(()),
        _ => Err(Refused::Invalid(name, len as u64)),
    }
}

/// The `len` elements from `start`, the argument `name`.
///
/// # Safety
///
/// They are there, and nothing writes them while the slice is used.
pub(super) unsafe fn elements<'a, T>(start: *const T, len: usize, name: &'static str) -> Result<&'a [T], Refused> {
    check(start, len, name)?;
    if len == 0 {
        return Ok(&[]);
    }
    // SAFETY: the caller's, and of a length that a slice may have.
    Ok(unsafe { slice::from_raw_parts(start, len) })
}

/// As [`elements`], to be changed.
///
/// # Safety
///
/// They are there, and nothing else reads or writes them while the slice is used.
pub(super) unsafe fn elements_mut<'a, T>(
    start: *mut T,
    len: usize,
    name: &'static str,
) -> Result<&'a mut [T], Refused> {
    check(start, len, name)?;
    if len == 0 {
        return Ok(&mut []);
    }
    // SAFETY: the caller's, and of a length that a slice may have.
    Ok(unsafe { slice::from_raw_parts_mut(start, len) })
}
