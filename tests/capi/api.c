/* The C face of what is arithmetic and bytes alone: the same on every machine. */
#include "test.h"

/* `ADRP x0, .` and `ADD x0, x0, #0` of a table. */
static void pairs_are_patched(void) {
    uint32_t words[] = {0x90000000, 0x91000000};
    const a64r_section code = section(words, 2, 0x400000);
    int64_t x = 0;
    DONE(a64r_patch(&code, 0, R_AARCH64_ADR_PREL_PG_HI21, addr(0x412345), &text));
    DONE(a64r_patch(&code, 4, R_AARCH64_ADD_ABS_LO12_NC, addr(0x412345), &text));
    EXPECT(words[0] == 0xd0000080 && words[1] == 0x910d1400);
    DONE(a64r_read(&code, 0, R_AARCH64_ADR_PREL_PG_HI21, &x, &text));
    EXPECT(x == 0x12000);
    DONE(a64r_write_word(&code, 4, 0xd503201f, NULL));
    EXPECT(words[1] == 0xd503201f);
}

static void refusals_say_why_and_change_nothing(void) {
    uint32_t words[] = {0x90000000, 0x91000000};
    const a64r_section code = section(words, 2, 0x400000);
    const a64r_value wild = {0, 9}, slot = {0x410000, A64R_CLASS_SLOT};
    a64r_section middle = code, none = {NULL, 4, 0, 0};
    REFUSED(A64R_STATUS_OUT_OF_RANGE,
            "R_AARCH64_ADR_PREL_PG_HI21 at 0x400000: target page 0x140010000 is +0x13fc10000 bytes away, outside "
            "-0x100000000..=+0xfffff000; needs a detour",
            a64r_patch(&code, 0, R_AARCH64_ADR_PREL_PG_HI21, addr(0x140010000), &text));
    REFUSED(A64R_STATUS_WRONG_OPCODE, "R_AARCH64_CALL26 at 0x400000: expected BL, found 0x90000000",
            a64r_check(&code, 0, R_AARCH64_CALL26, addr(0x400100), &text));
    REFUSED(A64R_STATUS_OUT_OF_BOUNDS, "R_AARCH64_ADD_ABS_LO12_NC at 0x400008: the place is outside the section",
            a64r_patch(&code, 8, R_AARCH64_ADD_ABS_LO12_NC, addr(0), &text));
    REFUSED(A64R_STATUS_WRONG_VALUE, "R_AARCH64_ADR_PREL_PG_HI21 at 0x400000: takes an address, was given a GOT slot",
            a64r_patch(&code, 0, R_AARCH64_ADR_PREL_PG_HI21, slot, &text));
    REFUSED(A64R_STATUS_INVALID, "takes cannot be 0x9", a64r_patch(&code, 0, R_AARCH64_CALL26, wild, &text));
    REFUSED(A64R_STATUS_UNKNOWN_RELOCATION, "AAELF64 has no static relocation of code 12345",
            a64r_patch(&code, 0, 12345, addr(0), &text));
    REFUSED(A64R_STATUS_NULL, "section is null", a64r_patch(NULL, 0, R_AARCH64_CALL26, addr(0), &text));
    REFUSED(A64R_STATUS_NULL, "section is null", a64r_patch(&none, 0, R_AARCH64_CALL26, addr(0), &text));
    REFUSED(A64R_STATUS_NULL, "out is null", a64r_read(&code, 0, R_AARCH64_ADR_PREL_PG_HI21, NULL, &text));
    none.bytes = (uint8_t *)words;
    none.len = SIZE_MAX;
    REFUSED(A64R_STATUS_INVALID, "section cannot be 0xffffffffffffffff", a64r_patch(&none, 0, 283, addr(0), &text));
    middle.addr += 2;
    REFUSED(A64R_STATUS_MISALIGNED_PLACE, "R_AARCH64_ADR_PREL_PG_HI21 at 0x400002: the place is not a multiple of 4",
            a64r_patch(&middle, 0, R_AARCH64_ADR_PREL_PG_HI21, addr(0), &text));
    middle.endian = 2;
    REFUSED(A64R_STATUS_INVALID, "endian cannot be 0x2", a64r_patch(&middle, 0, R_AARCH64_CALL26, addr(0), &text));
    EXPECT(words[0] == 0x90000000 && words[1] == 0x91000000);
    EXPECT(a64r_reaches(0x400000, 0, R_AARCH64_CALL26, addr(0x400000 + 0x7fffffc)));
    EXPECT(!a64r_reaches(0x400000, 0, R_AARCH64_CALL26, addr(0x400000 + 0x8000000)));
    EXPECT(!a64r_reaches(0x400000, 0, 12345, addr(0x400000)) && !a64r_reaches(0x400000, 0, R_AARCH64_CALL26, wild));
}

static void a_text_is_cut_off_where_its_buffer_ends(void) {
    char small[8] = "......!";
    a64r_text cut = {small, 6, 0}, nowhere = {NULL, 100, 0};
    EXPECT(a64r_patch(NULL, 0, 0, addr(0), &cut) == A64R_STATUS_NULL);
    EXPECT(memcmp(small, "secti\0!", 8) == 0 && cut.length == strlen("section is null"));
    EXPECT(a64r_patch(NULL, 0, 0, addr(0), &nowhere) == A64R_STATUS_NULL && nowhere.length == cut.length);
}

static void relocations_are_described(void) {
    a64r_reloc_facts facts;
    DONE(a64r_reloc_describe(R_AARCH64_CALL26, &facts, NULL));
    EXPECT(facts.min == -0x8000000 && facts.max == 0x7fffffc && facts.alignment == 4 && facts.place_alignment == 4);
    EXPECT(facts.size == 4 && facts.takes == A64R_CLASS_ADDR && facts.is_pc_relative);
    EXPECT(a64r_reloc_describe(R_AARCH64_ABS64, NULL, &text) == A64R_STATUS_OK && strcmp(line, "R_AARCH64_ABS64") == 0);
    REFUSED(A64R_STATUS_UNKNOWN_RELOCATION, "AAELF64 has no static relocation of code 2", a64r_reloc_describe(2, &facts, &text));
}

/* `BL`s, enough for several of the library's own chunks; every seventh is too far, and two are of no relocation. */
static void batches_report_each_fixup(void) {
    enum { COUNT = 500 };
    static uint32_t words[COUNT], before[COUNT];
    static a64r_fixup fixups[COUNT];
    const a64r_section code = section(words, COUNT, 0x400000);
    size_t refused = 0, expected = 2;
    for (unsigned i = 0; i < COUNT; i++) {
        a64r_fixup fixup = {4 * i, 0x400000 + 4 * i + 0x10000, R_AARCH64_CALL26, A64R_CLASS_ADDR, 77};
        if (i % 7 == 3)
            fixup.bits += 0x8000000, expected++;
        words[i] = 0x94000000;
        fixups[i] = fixup;
    }
    fixups[1].reloc = 12345;
    fixups[COUNT - 1].offset = 1ull << 32;
    memcpy(before, words, sizeof words);
    REFUSED(A64R_STATUS_UNKNOWN_RELOCATION, "AAELF64 has no static relocation of code 12345",
            a64r_check_all(&code, fixups, COUNT, &refused, &text));
    EXPECT(refused == expected && memcmp(before, words, sizeof words) == 0);
    refused = 0;
    REFUSED(A64R_STATUS_UNKNOWN_RELOCATION, "AAELF64 has no static relocation of code 12345",
            a64r_patch_all(&code, fixups, COUNT, &refused, &text));
    EXPECT(refused == expected);
    for (unsigned i = 0; i < COUNT; i++) {
        const a64r_status status = i == 1           ? A64R_STATUS_UNKNOWN_RELOCATION
                                   : i == COUNT - 1 ? A64R_STATUS_INVALID
                                   : i % 7 == 3     ? A64R_STATUS_OUT_OF_RANGE
                                                    : A64R_STATUS_OK;
        EXPECT(fixups[i].status == status);
        EXPECT(words[i] == (status == A64R_STATUS_OK ? 0x94004000 : 0x94000000));
    }
    DONE(a64r_patch_all(&code, fixups + 4, 5, &refused, &text));
    EXPECT(refused == 0);
    fixups[6].reloc = 12345;
    EXPECT(a64r_patch_all(&code, fixups + 4, 5, &refused, &text) == A64R_STATUS_UNKNOWN_RELOCATION && refused == 1);
    DONE(a64r_patch_all(&code, NULL, 0, NULL, &text));
    REFUSED(A64R_STATUS_NULL, "fixups is null", a64r_patch_all(&code, NULL, 1, NULL, &text));
}

/* A call that is too far goes through a slot and a veneer. */
static void far_calls_are_rescued(void) {
    uint32_t words[] = {0x94000000}, island_words[8] = {0};
    uint64_t table[3] = {1, 2, 3};
    const a64r_section code = section(words, 1, 0x400000), isle = section(island_words, 8, 0x410000);
    const a64r_section slots = {(uint8_t *)table, sizeof table, 0x420000, A64R_ENDIAN_LITTLE};
    const a64r_got_content puts_content = {A64R_GOT_KIND_GDAT, 0x7fff00001000, 0}, wild = {5, 0, 0};
    const a64r_got_content variable = {A64R_GOT_KIND_GTLSIDX, 1, 16};
    a64r_got *got;
    a64r_island *island;
    a64r_value slot, same, offset;
    a64r_ledger_facts facts;
    uint64_t veneer;
    DONE(a64r_got_new(0x420000, 3, &got, &text));
    DONE(a64r_island_new(0x410000, 2, &island, &text));
    DONE(a64r_got_slot_for(got, 7, puts_content, &slot, &text));
    EXPECT(slot.bits == 0x420000 && slot.takes == A64R_CLASS_SLOT);
    DONE(a64r_island_veneer_for(island, slot, &veneer, &text));
    EXPECT(veneer == 0x410000);
    DONE(a64r_patch(&code, 0, R_AARCH64_CALL26, addr(veneer), &text));
    EXPECT(words[0] == 0x94004000);
    DONE(a64r_island_write(island, &isle, &text));
    EXPECT(island_words[0] == 0x90000090 && island_words[1] == 0xf9400210 && island_words[2] == 0xd61f0200);
    DONE(a64r_got_repoint(got, 7, (a64r_got_content){A64R_GOT_KIND_GDAT, 0x1234, 0}, &text));
    DONE(a64r_got_slot_for(got, 7, puts_content, &same, &text));
    EXPECT(same.bits == slot.bits);
    DONE(a64r_got_write(got, &slots, &text));
    EXPECT(table[0] == 0x1234 && table[1] == 2);
    DONE(a64r_got_offset_of(got, slot, false, &offset, &text));
    EXPECT(offset.bits == 0 && offset.takes == A64R_CLASS_OFFSET);
    REFUSED(A64R_STATUS_INVALID, "slot cannot be 0x5", a64r_got_offset_of(got, addr(5), true, &offset, &text));
    REFUSED(A64R_STATUS_INVALID, "kind cannot be 0x5", a64r_got_slot_for(got, 7, wild, &slot, &text));
    REFUSED(A64R_STATUS_NULL, "got is null", a64r_got_slot_for(NULL, 7, puts_content, &slot, &text));
    DONE(a64r_got_slot_for(got, 8, puts_content, &slot, &text));
    REFUSED(A64R_STATUS_FULL, "GOT is full: no two slots side by side are free, 2 of 3 are in use",
            a64r_got_slot_for(got, 9, variable, &slot, &text));
    DONE(a64r_got_remove(got, 8, A64R_GOT_KIND_GDAT, &text));
    REFUSED(A64R_STATUS_NOT_FOUND, "there is no such entry or segment", a64r_got_remove(got, 8, A64R_GOT_KIND_GDAT, &text));
    REFUSED(A64R_STATUS_NOT_FOUND, "there is no such entry or segment", a64r_got_repoint(got, 8, puts_content, &text));
    DONE(a64r_got_describe(got, &facts));
    EXPECT(facts.base == 0x420000 && facts.used == 1 && facts.capacity == 3 && facts.size == 16);
    REFUSED(A64R_STATUS_MISALIGNED, "0x420004 is not a multiple of 8", a64r_got_new(0x420004, 3, &got, &text));
    REFUSED(A64R_STATUS_NO_MEMORY, "no memory for 18446744073709551615 records", a64r_got_new(0, SIZE_MAX, &got, &text));
    a64r_island_free(island);
    a64r_got_free(got);
    a64r_got_free(NULL);
}

static void islands_hold_hops_pads_and_detours(void) {
    uint32_t words[] = {0x90000001, 0x91000021}, island_words[16] = {0};
    const a64r_section code = section(words, 2, 0x400000), isle = section(island_words, 16, 0x410000);
    a64r_island *island;
    a64r_ledger_facts facts;
    uint64_t at;
    DONE(a64r_island_new(0x410000, 4, &island, &text));
    DONE(a64r_island_hop_to(island, 0x420000, &at, &text));
    EXPECT(at == 0x410000);
    DONE(a64r_island_pad_for(island, 0x420004, &at, &text));
    EXPECT(at == 0x410010);
    REFUSED(A64R_STATUS_OUT_OF_RANGE, "0x7fff00001000 is out of reach of a B at 0x410020",
            a64r_island_hop_to(island, 0x7fff00001000, &at, &text));
    DONE(a64r_island_detour(island, &code, 0, R_AARCH64_ADR_PREL_PG_HI21, addr(0x7fff00001234), &text));
    EXPECT(words[0] == 0x14004008);
    REFUSED(A64R_STATUS_WRONG_OPCODE, "R_AARCH64_ADR_PREL_PG_HI21 at 0x400004: expected ADRP, found 0x91000021",
            a64r_island_detour(island, &code, 4, R_AARCH64_ADR_PREL_PG_HI21, addr(0x7fff00001234), &text));
    REFUSED(A64R_STATUS_NO_DETOUR, "R_AARCH64_CALL26 at 0x400004: no detour serves it",
            a64r_island_detour(island, &code, 4, R_AARCH64_CALL26, addr(0), &text));
    REFUSED(A64R_STATUS_OUT_OF_BOUNDS, "R_AARCH64_PATCHINST at 0x400008: the place is outside the section",
            a64r_island_detour(island, &code, 8, R_AARCH64_ADR_PREL_PG_HI21, addr(0), &text));
    DONE(a64r_island_write(island, &isle, &text));
    /* B; BTI c, B; MOVZ x1, #0x7fff, LSL #32, MOVK x1, #0x1000, B back. */
    EXPECT(island_words[0] == 0x14004000 && island_words[4] == 0xd503245f && island_words[5] == 0x14003ffc);
    EXPECT(island_words[8] == 0xd2cfffe1 && island_words[9] == 0xf2820001 && island_words[10] == 0x17ffbff7);
    DONE(a64r_island_remove(island, A64R_PURPOSE_DETOUR, addr(0x400000), &text));
    DONE(a64r_island_remove(island, A64R_PURPOSE_HOP, addr(0x420000), &text));
    DONE(a64r_island_remove(island, A64R_PURPOSE_PAD, addr(0x420004), &text));
    REFUSED(A64R_STATUS_NOT_FOUND, "there is no such entry or segment",
            a64r_island_remove(island, A64R_PURPOSE_VENEER, addr(0x420004), &text));
    REFUSED(A64R_STATUS_INVALID, "purpose cannot be 0x4", a64r_island_remove(island, 4, addr(0), &text));
    DONE(a64r_island_describe(island, &facts));
    EXPECT(facts.used == 0 && facts.capacity == 4 && facts.base == 0x410000);
    a64r_island_free(island);
}

static void arenas_place(void) {
    a64r_arena *arena;
    a64r_pages pages[40], more;
    a64r_range_facts facts;
    static char map[4096];
    a64r_text drawing = {map, sizeof map, 0};
    DONE(a64r_arena_new(0x40000000, 1 << 20, 4096, &arena, &text));
    for (int i = 0; i < 40; i++)
        DONE(a64r_arena_alloc(arena, i % 3, 0x1234, &pages[i], &text));
    EXPECT(pages[0].addr == 0x40000000 && pages[0].len == 0x2000);
    for (int i = 0; i < 40; i += 2)
        DONE(a64r_arena_give_back(arena, pages[i].addr, &text));
    DONE(a64r_arena_alloc_at(arena, A64R_PROT_READ, pages[4].addr, 1, &more, &text));
    EXPECT(more.addr == pages[4].addr && more.len == 4096);
    REFUSED(A64R_STATUS_NOT_FOUND, "there is no such entry or segment", a64r_arena_give_back(arena, pages[0].addr, &text));
    REFUSED(A64R_STATUS_TAKEN, "range of 0x1 bytes at 0x40002000 is not free in the arena",
            a64r_arena_alloc_at(arena, A64R_PROT_READ, pages[1].addr, 1, &more, &text));
    REFUSED(A64R_STATUS_INVALID, "prot cannot be 0x3", a64r_arena_alloc(arena, 3, 1, &more, &text));
    EXPECT(a64r_arena_alloc(arena, A64R_PROT_READ, 1 << 20, &more, &text) == A64R_STATUS_FULL);
    EXPECT(a64r_arena_guarantees(arena, R_AARCH64_CALL26) && !a64r_arena_guarantees(arena, R_AARCH64_TSTBR14));
    DONE(a64r_arena_describe(arena, &facts));
    EXPECT(facts.addr == 0x40000000 && facts.len == 1 << 20 && facts.page == 4096);
    EXPECT(facts.free == (1 << 20) - 20 * 0x2000 - 4096 && facts.largest == (1 << 20) - 40 * 0x2000);
    DONE(a64r_arena_map(arena, &drawing));
    EXPECT(strstr(map, "0x40002000") != NULL && drawing.length == strlen(map));
    REFUSED(A64R_STATUS_BAD_RANGE, "range of 0x1 bytes at 0x0 is not whole pages of 0x1000 bytes",
            a64r_arena_new(0, 1, 4096, &arena, &text));
    REFUSED(A64R_STATUS_INVALID, "page cannot be 0x2000", a64r_arena_new(0, 1, 0x2000, &arena, &text));
    a64r_arena_free(arena);
}

/* A `BL` to the `NOP` behind it, where a `RET` was meant. */
static void what_was_linked_is_judged(void) {
    static const uint32_t words[] = {0x94000001, 0xd503201f, 0xd65f03c0};
    const uint64_t nop = 0x400004, ret = 0x400008;
    a64r_image *image;
    DONE(a64r_image_new(A64R_ENDIAN_LITTLE, &image, &text));
    DONE(a64r_image_add(image, 0x400000, (const uint8_t *)words, sizeof words, false, &text));
    DONE(a64r_image_check(image, 0x400000, R_AARCH64_CALL26, &nop, 0, &text));
    REFUSED(A64R_STATUS_WRONG_TARGET, "R_AARCH64_CALL26 at 0x400000: reaches 0x400004, not 0x400008 (-0x4 bytes off)",
            a64r_image_check(image, 0x400000, R_AARCH64_CALL26, &ret, 0, &text));
    DONE(a64r_image_check(image, 0x400000, R_AARCH64_CALL26, NULL, 0, &text));
    REFUSED(A64R_STATUS_UNVERIFIED, "cannot be judged: thread-local",
            a64r_image_check(image, 0x400000, R_AARCH64_TLSLE_ADD_TPREL_HI12, &nop, 0, &text));
    REFUSED(A64R_STATUS_NULL, "bytes is null", a64r_image_add(image, 0, NULL, 1, true, &text));
    a64r_image_free(image);
}

int main(void) {
    pairs_are_patched();
    refusals_say_why_and_change_nothing();
    a_text_is_cut_off_where_its_buffer_ends();
    relocations_are_described();
    batches_report_each_fixup();
    far_calls_are_rescued();
    islands_hold_hops_pads_and_detours();
    arenas_place();
    what_was_linked_is_judged();
    puts("api: passed");
    return 0;
}
