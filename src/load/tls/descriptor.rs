//! The function that TLS descriptors of images call (SYSVABI64, "TLS descriptors").

use super::{Last, Thread};
use core::arch::naked_asm;
use core::ptr;

/// Takes the address of a descriptor in x0 and returns there the distance of its variable from the thread pointer, in bytes.
/// Every other register but x30 stays as it is, SIMD and flags included; of SVE registers the lower 128 bits do where the
/// thread has no block of the image yet, as in the C library's own.
///
/// # Safety
///
/// For code of an image that is there.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn resolve() {
    naked_asm!(
        // The thread's `Last`, zeros at first: whoever asks for the argument 0 gets null.
        ".pushsection .tbss.aarch64_reloc_last, \"awT\", %nobits",
        ".balign 8",
        ".type aarch64_reloc_last, %object",
        ".size aarch64_reloc_last, 16",
        "aarch64_reloc_last: .zero 16",
        ".popsection",
        "hint #34", // BTI c
        "stp x29, x30, [sp, #-48]!",
        "mov x29, sp",
        "stp x1, x2, [sp, #16]",
        "str x3, [sp, #32]",
        // Where the library is a shared one, this calls the system's function for its own descriptor, which may change flags.
        "mrs x3, nzcv",
        "ldr x2, [x0, #8]",
        "adrp x0, :tlsdesc:aarch64_reloc_last",
        "ldr x1, [x0, :tlsdesc_lo12:aarch64_reloc_last]",
        "add x0, x0, :tlsdesc_lo12:aarch64_reloc_last",
        ".tlsdesccall aarch64_reloc_last",
        "blr x1",
        "mrs x1, tpidr_el0",
        "add x0, x0, x1",
        "ldr x1, [x0]",
        "eor x1, x1, x2, lsr #32",
        "cbnz x1, 3f",
        "ldr x0, [x0, #8]",
        "add x0, x0, w2, uxtw",
        "2:",
        "mrs x1, tpidr_el0",
        "sub x0, x0, x1",
        "msr nzcv, x3",
        "ldr x3, [sp, #32]",
        "ldp x1, x2, [sp, #16]",
        "ldp x29, x30, [sp], #48",
        "ret",
        "3:",
        "sub sp, sp, #656",
        "stp x3, x4, [sp]",
        "stp x5, x6, [sp, #16]",
        "stp x7, x8, [sp, #32]",
        "stp x9, x10, [sp, #48]",
        "stp x11, x12, [sp, #64]",
        "stp x13, x14, [sp, #80]",
        "stp x15, x16, [sp, #96]",
        "stp x17, x18, [sp, #112]",
        "mrs x3, fpsr",
        "str x3, [sp, #128]",
        "stp q0, q1, [sp, #144]",
        "stp q2, q3, [sp, #176]",
        "stp q4, q5, [sp, #208]",
        "stp q6, q7, [sp, #240]",
        "stp q8, q9, [sp, #272]",
        "stp q10, q11, [sp, #304]",
        "stp q12, q13, [sp, #336]",
        "stp q14, q15, [sp, #368]",
        "stp q16, q17, [sp, #400]",
        "stp q18, q19, [sp, #432]",
        "stp q20, q21, [sp, #464]",
        "stp q22, q23, [sp, #496]",
        "stp q24, q25, [sp, #528]",
        "stp q26, q27, [sp, #560]",
        "stp q28, q29, [sp, #592]",
        "stp q30, q31, [sp, #624]",
        "mov x1, x0",
        "mov x0, x2",
        "bl {find}",
        "ldp q30, q31, [sp, #624]",
        "ldp q28, q29, [sp, #592]",
        "ldp q26, q27, [sp, #560]",
        "ldp q24, q25, [sp, #528]",
        "ldp q22, q23, [sp, #496]",
        "ldp q20, q21, [sp, #464]",
        "ldp q18, q19, [sp, #432]",
        "ldp q16, q17, [sp, #400]",
        "ldp q14, q15, [sp, #368]",
        "ldp q12, q13, [sp, #336]",
        "ldp q10, q11, [sp, #304]",
        "ldp q8, q9, [sp, #272]",
        "ldp q6, q7, [sp, #240]",
        "ldp q4, q5, [sp, #208]",
        "ldp q2, q3, [sp, #176]",
        "ldp q0, q1, [sp, #144]",
        "ldr x3, [sp, #128]",
        "msr fpsr, x3",
        "ldp x17, x18, [sp, #112]",
        "ldp x15, x16, [sp, #96]",
        "ldp x13, x14, [sp, #80]",
        "ldp x11, x12, [sp, #64]",
        "ldp x9, x10, [sp, #48]",
        "ldp x7, x8, [sp, #32]",
        "ldp x5, x6, [sp, #16]",
        "ldp x3, x4, [sp]",
        "add sp, sp, #656",
        "b 2b",
        find = sym find,
    )
}

/// The address of the variable that the argument of a descriptor is of, and its block as the thread's last.
///
/// # Safety
///
/// `last` is this thread's.
unsafe extern "C" fn find(argument: u64, last: *mut Last) -> *mut u8 {
    let module = argument >> 32;
    let block = match module as u32 {
        0 => ptr::null_mut(),
        number => {
            let thread = Thread::own();
            thread.last = last;
            thread.block(number).0
        }
    };
    // SAFETY: the caller's; nothing else looks at it meanwhile.
    unsafe { last.write(Last { module, block }) };
    block.wrapping_add(argument as u32 as usize)
}
