//! Proof that the core needs neither `std` nor an allocator, and that no input makes it panic: see `run.sh`.
//!
//! Each exported function lets a part of the core loose on arguments that the optimizer knows nothing of. What they reach
//! is all that is left of this library after link-time optimization. A panic would be a call of [`on_panic`], which is
//! defined nowhere, so that the library's symbols tell whether one is left.

#![no_std]

mod core_types;
mod display;
mod ledgers;
mod link;
mod plant;

use core::hint::black_box;

unsafe extern "C" {
    safe fn on_panic() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    on_panic()
}

/// Makes every item, for nothing.
fn drain<T>(items: impl Iterator<Item = T>) {
    items.for_each(|item| {
        black_box(item);
    });
}
