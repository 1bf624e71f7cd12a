//! Telling the processor what is read next, so that it waits for many places together, which lie in no order.

#![allow(unsafe_code)]

/// Has the line that `value` begins in brought into the cache. Nothing waits for it, and nothing else comes of it.
#[allow(unused_variables, reason = "other processors are told nothing")]
#[inline(always)]
pub(crate) fn prefetch<T>(value: &T) {
    // SAFETY: the address is a reference's; and a hint never faults (Intel SDM, "PREFETCHh").
    #[cfg(all(feature = "fast", target_arch = "x86_64", target_feature = "sse"))]
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(core::ptr::from_ref(value).cast());
    }
    // SAFETY: the same (Arm ARM C6.2, "PRFM"); no register and no flag is changed.
    #[cfg(all(feature = "fast", target_arch = "aarch64"))]
    unsafe {
        core::arch::asm!("prfm pldl1keep, [{}]", in(reg) value, options(nostack, preserves_flags, readonly));
    }
}
