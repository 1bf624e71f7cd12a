/* The C face of executable memory. Code is called where it can run. */
#include "test.h"

static void code_is_placed_sealed_and_called(void) {
    /* ADRP x0, . ; LDR x0, [x0] ; LDR x0, [x0] ; RET: what the slot's variable holds. */
    static const uint32_t words[] = {0x90000000, 0xf9400000, 0xf9400000, 0xd65f03c0};
    static const uint64_t variables[2] = {42, 43};
    const uint64_t first = (uintptr_t)&variables[0], second = (uintptr_t)&variables[1];
    a64r_reservation *memory;
    a64r_draft *draft;
    a64r_sealed *sealed;
    a64r_section code, slots;
    a64r_range_facts before;
    a64r_got *got;
    a64r_value slot;
    a64r_function function;
    uint64_t held = 0;
    DONE(a64r_reservation_new(1 << 24, &memory, &text));
    DONE(a64r_reservation_describe(memory, &before));
    EXPECT(before.len == 1 << 24 && before.free == before.len && before.addr % before.page == 0);
    DONE(a64r_draft_new(memory, &draft, &text));
    DONE(a64r_draft_alloc(draft, A64R_PROT_READ_EXEC, sizeof words, 64, &code, &text));
    DONE(a64r_draft_alloc(draft, A64R_PROT_READ_WRITE, 8, 8, &slots, &text));
    EXPECT(code.addr % 64 == 0 && code.len == sizeof words);
    memcpy(code.bytes, words, sizeof words);
    DONE(a64r_got_new(slots.addr, 1, &got, &text));
    DONE(a64r_got_slot_for(got, 0, (a64r_got_content){A64R_GOT_KIND_GDAT, first, 0}, &slot, &text));
    DONE(a64r_got_write(got, &slots, &text));
    DONE(a64r_patch(&code, 0, R_AARCH64_ADR_GOT_PAGE, slot, &text));
    DONE(a64r_patch(&code, 4, R_AARCH64_LD64_GOT_LO12_NC, slot, &text));
    DONE(a64r_draft_seal(draft, &sealed, &text));
    a64r_reservation_free(memory);
    DONE(a64r_sealed_load(sealed, slot.bits, &held, &text));
    EXPECT(held == first);
#ifdef __aarch64__
    DONE(a64r_sealed_function(sealed, code.addr, &function, &text));
    uint64_t (*const run)(void) = (uint64_t (*)(void))function;
    EXPECT(run() == 42);
    DONE(a64r_sealed_store(sealed, slot.bits, second, &text));
    EXPECT(run() == 43);
#else
    REFUSED(A64R_STATUS_FOREIGN_HOST, "AArch64 code cannot be called on this host",
            a64r_sealed_function(sealed, code.addr, &function, &text));
    DONE(a64r_sealed_store(sealed, slot.bits, second, &text));
#endif
    EXPECT(a64r_sealed_function(sealed, slot.bits, &function, &text) == A64R_STATUS_OUTSIDE);
    EXPECT(a64r_sealed_store(sealed, code.addr, 0, &text) == A64R_STATUS_OUTSIDE);
    EXPECT(a64r_sealed_load(sealed, slot.bits + 1, &held, &text) == A64R_STATUS_MISALIGNED);
    a64r_sealed_free(sealed);
    a64r_got_free(got);
}

static void refusals_say_why(void) {
    static char map[4096];
    a64r_text drawing = {map, sizeof map, 0};
    a64r_reservation *memory, *same;
    a64r_draft *draft;
    a64r_sealed *sealed;
    a64r_section part;
    a64r_range_facts facts;
    EXPECT(a64r_reservation_new(SIZE_MAX, &memory, &text) == A64R_STATUS_SYSTEM && strncmp(line, "mmap of ", 8) == 0);
    REFUSED(A64R_STATUS_NULL, "out is null", a64r_reservation_new(1, NULL, &text));
    DONE(a64r_reservation_new(1 << 20, &memory, &text));
    DONE(a64r_reservation_describe(memory, &facts));
    const a64r_status again = a64r_reservation_at(facts.addr, 1 << 20, &same, &text);
    EXPECT(again == A64R_STATUS_SYSTEM || again == A64R_STATUS_TAKEN);
    DONE(a64r_draft_new(memory, &draft, &text));
    REFUSED(A64R_STATUS_FULL, "arena is full: 0x200000 bytes asked for, 0x100000 free, 0x100000 in one run",
            a64r_draft_alloc(draft, A64R_PROT_READ, 1 << 21, 1, &part, &text));
    REFUSED(A64R_STATUS_MISALIGNED, "alignment of 0x3 bytes is not a power of two",
            a64r_draft_alloc(draft, A64R_PROT_READ, 1, 3, &part, &text));
    REFUSED(A64R_STATUS_INVALID, "prot cannot be 0x7", a64r_draft_alloc(draft, 7, 1, 1, &part, &text));
    DONE(a64r_draft_alloc(draft, A64R_PROT_READ, 1, 1, &part, &text));
    DONE(a64r_reservation_map(memory, &drawing));
    EXPECT(strstr(map, "r--") != NULL);
    a64r_draft_free(draft);
    DONE(a64r_draft_new(memory, &draft, &text));
    REFUSED(A64R_STATUS_NULL, "out is null", a64r_draft_seal(draft, NULL, &text));
    REFUSED(A64R_STATUS_NULL, "draft is null", a64r_draft_seal(NULL, &sealed, &text));
    DONE(a64r_reservation_describe(memory, &facts));
    EXPECT(facts.free == facts.len);
    a64r_reservation_free(memory);
    a64r_reservation_free(NULL);
}

int main(void) {
    code_is_placed_sealed_and_called();
    refusals_say_why();
    puts("memory: passed");
    return 0;
}
