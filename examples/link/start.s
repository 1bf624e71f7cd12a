// What an emitted executable starts with, for Linux. Nothing here reads text or needs anything in reach.

        // The number `symbol`, wherever and whatever it is.
        .macro  number register, symbol
        movz    \register, #:abs_g3:\symbol
        movk    \register, #:abs_g2_nc:\symbol
        movk    \register, #:abs_g1_nc:\symbol
        movk    \register, #:abs_g0_nc:\symbol
        .endm

        .section .start,"ax"
        .balign 4

// Makes the one thread's block of thread-local storage on the stack, has the resolvers of indirect functions fill their slots,
// calls `entry(argc, argv)`, and ends the process with what that returns.
        .type   _start, %function
_start: mov     x29, #0                 // the outermost frame
        mov     x30, #0
        mov     x19, sp                 // argc, then argv, as Linux leaves them
        number  x10, __tdata_start
        number  x11, __tdata_size
        number  x12, __tls_size
        number  x13, __arm64_tls_tcb_offset
        sub     x14, sp, x12
        sub     x14, x14, x13
        neg     x15, x13                // a multiple of the block's alignment, and of 16
        and     x14, x14, x15
        mov     sp, x14
        stp     xzr, xzr, [x14]
        msr     tpidr_el0, x14
        add     x14, x14, x13
        add     x12, x12, x14
        add     x11, x11, x14
1:      cmp     x14, x11                // the bytes of .tdata
        b.hs    2f
        ldrb    w15, [x10], #1
        strb    w15, [x14], #1
        b       1b
2:      cmp     x14, x12                // the zeros of .tbss
        b.hs    3f
        strb    wzr, [x14], #1
        b       2b
3:      add     x0, x19, #8
        bl      next_after_null         // argv
        bl      next_after_null         // the environment
        mov     x20, #0
        mov     x21, #0
4:      ldp     x1, x2, [x0], #16       // the auxiliary vector
        cmp     x1, #16                 // AT_HWCAP
        csel    x20, x2, x20, eq
        cmp     x1, #26                 // AT_HWCAP2
        csel    x21, x2, x21, eq
        cbnz    x1, 4b                  // AT_NULL
        sub     sp, sp, #32             // __ifunc_arg_t: its size, and both
        mov     x0, #24
        stp     x0, x20, [sp]
        str     x21, [sp, #16]
        orr     x20, x20, #1 << 62      // _IFUNC_ARG_HWCAP
        number  x21, __rela_iplt_start
        number  x22, __rela_iplt_size
        add     x22, x22, x21
5:      cmp     x21, x22
        b.hs    6f
        ldr     x2, [x21, #16]
        ldr     x23, [x21], #24
        cbz     x23, 5b                 // not in use
        mov     x0, x20
        mov     x1, sp
        blr     x2
        str     x0, [x23]
        b       5b
6:      add     sp, sp, #32
        ldr     x0, [x19]
        add     x1, x19, #8
        bl      entry
        mov     x8, #94                 // exit_group
        svc     #0
        .size   _start, . - _start

// Takes an address of long words, and returns that behind the first of them which is null; changes x1 besides.
next_after_null:
        ldr     x1, [x0], #8
        cbnz    x1, next_after_null
        ret

// Takes the address of a module's number and an offset, and returns the variable's; null for the module 0.
        .weak   __tls_get_addr
        .type   __tls_get_addr, %function
__tls_get_addr:
        ldp     x1, x0, [x0]
        cbz     x1, 7f
        mrs     x1, tpidr_el0
        add     x0, x0, x1
        number  x1, __arm64_tls_tcb_offset
        add     x0, x0, x1
7:      ret
        .size   __tls_get_addr, . - __tls_get_addr

// Takes the address of a TLS descriptor, and returns its argument; for 0 what makes the address null.
        .weak   __tlsdesc_static
        .type   __tlsdesc_static, %function
__tlsdesc_static:
        ldr     x0, [x0, #8]
        cbnz    x0, 8f
        mrs     x0, tpidr_el0
        neg     x0, x0
8:      ret
        .size   __tlsdesc_static, . - __tlsdesc_static

// Relocations R_AARCH64_IRELATIVE, each the address of a slot, its kind, and the resolver: start.rs says how many.
        .section .rela.iplt,"a",%progbits
        .balign 8
__rela_iplt_start:
