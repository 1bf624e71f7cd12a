//! The module in Rust: it calls the one in C, and is called by it.

#![no_std]

use core::sync::atomic::{AtomicU64, Ordering};

unsafe extern "C" {
    /// Of the module in C.
    safe fn c_twice(x: u64) -> u64;
    /// Of the image: out of reach of an `ADRP`.
    safe static BOARD_SERIAL: u64;
}

/// Data, and zeros.
static CALLS: AtomicU64 = AtomicU64::new(100);
static SEEN: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];

/// Functions in a table.
static STEPS: [fn(u64) -> u64; 3] = [add_serial, twice, count];

#[inline(never)]
fn add_serial(x: u64) -> u64 {
    x.wrapping_add(BOARD_SERIAL)
}

#[inline(never)]
fn twice(x: u64) -> u64 {
    c_twice(x)
}

#[inline(never)]
fn count(x: u64) -> u64 {
    let calls = CALLS.fetch_add(1, Ordering::Relaxed);
    let seen = SEEN.get(x as usize % SEEN.len()).map_or(0, |seen| seen.fetch_add(1, Ordering::Relaxed));
    x.wrapping_add(calls).wrapping_add(seen)
}

/// `2 * (x + BOARD_SERIAL)`, plus 100 and the number of calls so far, plus that of those with the same sum.
#[unsafe(no_mangle)]
pub extern "C" fn rust_mix(x: u64) -> u64 {
    STEPS.iter().fold(x, |x, step| step(x))
}
