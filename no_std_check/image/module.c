// The module in C: it calls the one in Rust, and is called by it. Position independent, so that it wants a GOT.

typedef unsigned long u64;

extern u64 rust_mix(u64 x);
// Of the image, which is out of reach of a call.
extern u64 board_add(u64 a, u64 b);

u64 shared = 7;
u64 zeros[512];
static u64 *const table[] = {&shared, &zeros[3]};
static u64 is_started;

__attribute__((constructor)) static void start(void) { is_started = 1; }

u64 c_twice(u64 x) { return 2 * x; }

extern u64 at_the_end_of_a_page(u64 *any);
__asm__(".pushsection .text.erratum, \"ax\"\n"
        ".p2align 12\n"
        ".space 0xff8\n"
        ".globl at_the_end_of_a_page\n"
        ".type at_the_end_of_a_page, %function\n"
        "at_the_end_of_a_page:\n"
        // Cortex-A53 erratum 843419.
        "adrp x1, shared\n"
        "str x30, [x0]\n"
        "ldr x0, [x1, :lo12:shared]\n"
        "ret\n"
        ".popsection\n");

// 0 unless the initialiser ran.
u64 entry(u64 x) {
    u64 any;
    zeros[3]++;
    shared += *table[1];
    return is_started * board_add(rust_mix(x), at_the_end_of_a_page(&any));
}
