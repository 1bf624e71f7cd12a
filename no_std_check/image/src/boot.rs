//! From reset to [`main`](crate::main): floating point on, a stack, exceptions that end the run.

use crate::board;
use core::arch::global_asm;

global_asm!(
    r#"
    .section .text.boot, "ax"
    .globl _start
_start:
    adr x1, vectors
    mrs x0, CurrentEL
    cmp x0, #8
    b.eq 2f
    msr vbar_el1, x1
    mov x0, #0x300000
    msr cpacr_el1, x0
    b 3f
2:  msr vbar_el2, x1
    msr hcr_el2, xzr
    mov x0, #0x33ff
    msr cptr_el2, x0
3:  isb
    adrp x0, bss_start
    add x0, x0, :lo12:bss_start
    adrp x1, bss_end
    add x1, x1, :lo12:bss_end
4:  cmp x0, x1
    b.hs 5f
    stp xzr, xzr, [x0], #16
    b 4b
    // The stack is painted, so that its depth can be seen.
5:  adrp x0, stack_start
    adrp x1, stack_end
    mov x2, #0x5555555555555555
6:  stp x2, x2, [x0], #16
    cmp x0, x1
    b.lo 6b
    mov sp, x1
    bl main

    .section .text.vectors, "ax"
    .p2align 11
vectors:
    .rept 16
    b 7f
    .p2align 7
    .endr
7:  mrs x0, CurrentEL
    cmp x0, #8
    b.eq 8f
    mrs x0, esr_el1
    mrs x1, elr_el1
    mrs x2, far_el1
    b exception
8:  mrs x0, esr_el2
    mrs x1, elr_el2
    mrs x2, far_el2
    b exception
"#
);

/// Any exception is one too many.
#[unsafe(no_mangle)]
extern "C" fn exception(syndrome: u64, from: u64, address: u64) -> ! {
    board::say!("exception {syndrome:#x} at {from:#x}, address {address:#x}");
    board::exit(2)
}

unsafe extern "C" {
    static stack_start: [u64; 0x4000];
}

/// Bytes of the stack that were ever in use.
pub fn stack_depth() -> usize {
    const PAINT: u64 = 0x5555_5555_5555_5555;
    let stack = &raw const stack_start;
    let count = 0x4000;
    // SAFETY: the linker script makes room for so many words, and they are only read.
    let word = |index: usize| unsafe { stack.cast::<u64>().add(index).read_volatile() };
    let unused = (0..count).take_while(|&index| word(index) == PAINT).count();
    (count - unused) * 8
}
