/* The memory managers for LLVM, called as LLVM would, without LLVM: the same on every machine. */
#define _GNU_SOURCE
#include "test.h"

#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of libgcc. */
struct dwarf_eh_bases {
    void *text, *data, *function;
};
extern const void *_Unwind_Find_FDE(void *pc, struct dwarf_eh_bases *bases);
extern void __register_frame(void *begin);

static a64r_llvm_arena *arena_of(size_t length, uint32_t flags) {
    a64r_llvm_arena *arena;
    DONE(a64r_llvm_arena_new(length, flags, &arena, &text));
    return arena;
}

static uint64_t free_of(const a64r_llvm_arena *arena) {
    a64r_range_facts facts;
    DONE(a64r_llvm_arena_describe(arena, &facts));
    return facts.free;
}

static void sections_share_pages_and_come_back(void) {
    a64r_llvm_arena *arena = arena_of(0, 0);
    const uint64_t before = free_of(arena);
    char *message = NULL;
    void *context = a64r_llvm_create_context(arena);
    uint8_t *code = a64r_llvm_allocate_code(context, 100, 4, 1, ".text");
    uint8_t *more = a64r_llvm_allocate_code(context, 100, 64, 2, ".text.more");
    uint8_t *constants = a64r_llvm_allocate_data(context, 8, 8, 3, ".rodata", 1);
    uint8_t *variables = a64r_llvm_allocate_data(context, 5000, 0, 4, ".data", 0);
    uint8_t *got = a64r_llvm_allocate_data(context, 16, 8, 5, ".got", 0);
    uint8_t *nothing = a64r_llvm_allocate_data(context, 0, 1, 6, "", 0);
    EXPECT(code && constants && variables && nothing);
    EXPECT(more == code + 128);
    EXPECT((uintptr_t)variables % 16 == 0 && got == variables + 5000 && nothing == got + 16);
    memset(code, 0x1f, 100);
    memset(variables, 1, 5000);
    const uint64_t during = free_of(arena);
    EXPECT(before - during <= 4 * 65536);
    EXPECT(a64r_llvm_finalize(context, &message) == 0 && message == NULL);
    /* MCJIT goes on after it. */
    uint8_t *later = a64r_llvm_allocate_data(context, 8, 8, 7, ".data", 0);
    uint8_t *constant = a64r_llvm_allocate_data(context, 8, 8, 8, ".rodata", 1);
    EXPECT(later && constant && variables[4999] == 1);
    *later = *constant = 1;
    EXPECT(a64r_llvm_finalize(context, &message) == 0);
    /* A variable stays writable. */
    variables[0] = 2;
    *got = 1;
    a64r_llvm_destroy(context);
    EXPECT(free_of(arena) == before);
    a64r_llvm_arena_release(arena);
}

/* `.eh_frame` with one frame, of no augmentation, for the 256 bytes from `function`. */
static void write_frames(uint8_t *start, uint64_t function) {
    const uint32_t head[] = {12, 0}, frame[] = {20, 20}, end = 0;
    const uint8_t common[8] = {1, 0, 1, 0x7c, 30};
    const uint64_t range[] = {function, 256};
    memcpy(start, head, 8);
    memcpy(start + 8, common, 8);
    memcpy(start + 16, frame, 8);
    memcpy(start + 24, range, 16);
    memcpy(start + 40, &end, 4);
}

static void what_is_full_is_refused_when_it_is_finalized(void) {
    a64r_llvm_arena *arena = arena_of(1 << 20, 0);
    const uint64_t before = free_of(arena);
    const uint64_t function = 0x123456000;
    struct dwarf_eh_bases bases;
    for (int is_late = 0; is_late < 2; is_late++) {
        char *message = NULL;
        void *context = a64r_llvm_create_context(arena);
        uint8_t *frames = is_late ? NULL : a64r_llvm_allocate_data(context, 44, 8, 2, ".eh_frame", 1);
        uint8_t *big = a64r_llvm_allocate_data(context, 2 << 20, 4096, 1, ".bss", 0);
        uint8_t *code = a64r_llvm_allocate_code(context, 64, 64, 3, ".text");
        if (is_late)
            frames = a64r_llvm_allocate_data(context, 44, 8, 2, ".eh_frame", 1);
        EXPECT(big && code && frames && (uintptr_t)big % 4096 == 0 && (uintptr_t)code % 64 == 0);
        EXPECT(big[0] == 0 && big[(2 << 20) - 1] == 0);
        memset(big, 1, 2 << 20);
        memset(code, 1, 64);
        write_frames(frames, function);
        __register_frame(frames);
        EXPECT(_Unwind_Find_FDE((void *)(function + 8), &bases) == frames + 16);
        EXPECT(a64r_llvm_finalize(context, &message) == 1);
        EXPECT(strncmp(message, "section .bss of 0x200000 bytes: arena is full: ", 47) == 0);
        EXPECT(_Unwind_Find_FDE((void *)(function + 8), &bases) == NULL);
        free(message);
        a64r_llvm_destroy(context);
        EXPECT(free_of(arena) == before);
    }
    void *context = a64r_llvm_create_context(arena);
    EXPECT(a64r_llvm_allocate_data(context, SIZE_MAX, 1, 1, ".bss", 0) == NULL);
    EXPECT(a64r_llvm_finalize(context, NULL) == 1);
    a64r_llvm_destroy(context);
    context = a64r_llvm_create_context(arena);
    EXPECT(a64r_llvm_allocate_data(context, 8, 3, 1, ".odd", 0) == NULL);
    a64r_llvm_destroy(context);
    a64r_llvm_arena_release(arena);
}

/* From now on the system refuses to make writable memory executable, as hardened ones do (prctl(2), since Linux 6.3). */
static int deny_execution(void) {
    enum { SET_MDWE = 65, REFUSE_EXEC_GAIN = 1 };
    return prctl(SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0);
}

static int what_the_system_refuses_is_an_error(void) {
    a64r_llvm_arena *arena = arena_of(1 << 20, 0);
    const uint64_t function = 0x123456000;
    struct dwarf_eh_bases bases;
    char *message = NULL;
    void *context = a64r_llvm_create_context(arena);
    uint8_t *code = a64r_llvm_allocate_code(context, 64, 64, 1, ".text");
    uint8_t *frames = a64r_llvm_allocate_data(context, 44, 8, 2, ".eh_frame", 1);
    write_frames(frames, function);
    __register_frame(frames);
    if (deny_execution() != 0) {
        fprintf(stderr, "not run: this system cannot be made to refuse execution\n");
        return 0;
    }
    EXPECT(a64r_llvm_finalize(context, &message) == 1 && strncmp(message, "mprotect of ", 12) == 0);
    EXPECT(_Unwind_Find_FDE((void *)(function + 8), &bases) == NULL);
    code[0] = 1;
    free(message);
    EXPECT(a64r_llvm_finalize(context, NULL) == 1);
    a64r_llvm_destroy(context);
    a64r_llvm_arena_release(arena);
    return 0;
}

/* Runs `test` in a process of its own. */
static void alone(int (*test)(void)) {
    int status;
    const pid_t child = fork();
    if (child == 0)
        _exit(test());
    EXPECT(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void mcjit_has_no_memory_where_it_is_full(void) {
    a64r_llvm_arena *arena = arena_of(1 << 20, 0);
    a64r_llvm_context *context;
    DONE(a64r_llvm_mcjit_context(arena, &context, &text));
    /* The context keeps the arena. */
    a64r_llvm_arena_release(a64r_llvm_arena_retain(arena));
    a64r_llvm_arena_release(arena);
    EXPECT(a64r_llvm_allocate_code(context, 64, 64, 1, ".text") != NULL);
    EXPECT(a64r_llvm_allocate_data(context, 2 << 20, 8, 2, ".bss", 0) == NULL);
    EXPECT(a64r_llvm_allocate_data(context, 8, 8, 3, ".data", 0) == NULL);
    EXPECT(a64r_llvm_finalize(context, NULL) == 1);
    a64r_llvm_destroy(context);
}

/* One code section of `count` words, before `.got` and `.data` of 16 bytes each, which share a page: what the audit says. */
static char *audited(const uint32_t *words, size_t count) {
    a64r_llvm_arena *arena = arena_of(0, A64R_LLVM_FLAG_AUDIT);
    void *context = a64r_llvm_create_context(arena);
    char *message = NULL;
    uint8_t *code = a64r_llvm_allocate_code(context, 4 * count, 4, 1, ".text");
    uint8_t *got = a64r_llvm_allocate_data(context, 16, 8, 2, ".got", 0);
    uint8_t *data = a64r_llvm_allocate_data(context, 16, 8, 3, ".data", 0);
    EXPECT(code && data == got + 16);
    a64r_section section = {code, 4 * count, (uintptr_t)code, A64R_ENDIAN_LITTLE};
    memcpy(code, words, 4 * count);
    /* The first word of each test is an `ADRP` of the page of the two, if it is one of its own page. */
    if ((words[0] & 0xffffffe0) == 0x90000000)
        DONE(a64r_patch(&section, 0, R_AARCH64_ADR_PREL_PG_HI21, addr((uintptr_t)got), &text));
    EXPECT(a64r_llvm_finalize(context, &message) == (message != NULL));
    a64r_llvm_destroy(context);
    a64r_llvm_arena_release(arena);
    return message;
}

static void expect_audit(const char *expected, const uint32_t *words, size_t count) {
    char *message = audited(words, count);
    const char *at = message ? strstr(message, " at 0x") : NULL;
    const char *why = message ? strstr(message, ", where ") : NULL;
    /* The kind of the relocation, and why, without the addresses. */
    snprintf(line, sizeof line, "%.*s%s", at ? (int)(at - message) : 0, message ? message : "", why ? why : "");
    if (strcmp(line, expected) != 0) {
        fprintf(stderr, "expected `%s`, is `%s`\n", expected, line);
        exit(1);
    }
    free(message);
}

#define AUDIT(expected, ...) \
    do { \
        const uint32_t words[] = {__VA_ARGS__}; \
        expect_audit(expected, words, sizeof words / sizeof *words); \
    } while (0)

#define NO_SECTION ", where the arena has no section: truncated, or of the process and not reached through the GOT"

#define ADRP 0x90000000
#define RET 0xd65f03c0

static void the_audit_follows_addresses(void) {
    /* The first slot, the second, the first variable. */
    AUDIT("", ADRP, 0xf9400000, RET);
    AUDIT("", ADRP, 0xf9400400, RET);
    AUDIT("", ADRP, 0x91004000, RET);
    /* The end of the last section, as of an array; and what is behind it, by ADD, LDR x1, STR w1, LDRB w1. */
    AUDIT("", ADRP, 0x91008000, RET);
    AUDIT("R_AARCH64_ADD_ABS_LO12_NC" NO_SECTION, ADRP, 0x91008400, RET);
    AUDIT("R_AARCH64_LDST64_ABS_LO12_NC" NO_SECTION, ADRP, 0xf9401001, RET);
    AUDIT("R_AARCH64_LDST32_ABS_LO12_NC" NO_SECTION, ADRP, 0xb9002001, RET);
    AUDIT("R_AARCH64_LDST8_ABS_LO12_NC" NO_SECTION, ADRP, 0x39408001, RET);
    /* A page far from all: 4 GiB below. */
    AUDIT("R_AARCH64_ADR_PREL_PG_HI21" NO_SECTION, 0x90800000, RET);
    /* Half a slot: LDR w1, [x0, #4]. */
    AUDIT("R_AARCH64_LDST32_ABS_LO12_NC, where the GOT has no slot", ADRP, 0xb9400401, RET);
    /* The register is another by then: MOV w0, #7 between; or after a branch. */
    AUDIT("", ADRP, 0x528000e0, 0x91008400, RET);
    AUDIT("", 0x90000003, 0x14000001, 0x91008463, RET);
    AUDIT("", ADRP, 0xd503201f, 0xf9400000, RET);
    /* ADR of itself and of what is a MiB below; a literal load a MiB above. */
    AUDIT("", 0x10000000, RET);
    AUDIT("R_AARCH64_ADR_PREL_LO21" NO_SECTION, 0x10800000, RET);
    AUDIT("R_AARCH64_LD_PREL_LO19" NO_SECTION, 0x587fffe0, RET);
    /* BL and B.EQ to the RET, and to what is behind it. */
    AUDIT("", 0x94000001, RET);
    AUDIT("", 0x54000020, RET);
    AUDIT("R_AARCH64_CALL26, where the arena has no code", 0x94000002, RET);
    AUDIT("R_AARCH64_CONDBR19, where the arena has no code", 0x54000040, RET);
}

/* What another object was, is no target any more. */
static void the_audit_knows_who_lives(void) {
    a64r_llvm_arena *arena = arena_of(0, A64R_LLVM_FLAG_AUDIT);
    for (int is_gone = 0; is_gone < 2; is_gone++) {
        char *message = NULL;
        void *context = a64r_llvm_create_context(arena), *other = a64r_llvm_create_context(arena);
        uint8_t *data = a64r_llvm_allocate_data(other, 16, 16, 1, ".data", 0);
        uint32_t *code = (uint32_t *)a64r_llvm_allocate_code(context, 8, 4, 1, ".text");
        const a64r_section section = {(uint8_t *)code, 8, (uintptr_t)code, A64R_ENDIAN_LITTLE};
        code[0] = ADRP;
        code[1] = RET;
        DONE(a64r_patch(&section, 0, R_AARCH64_ADR_PREL_PG_HI21, addr((uintptr_t)data), &text));
        EXPECT(a64r_llvm_finalize(other, &message) == 0);
        if (is_gone)
            a64r_llvm_destroy(other);
        EXPECT(a64r_llvm_finalize(context, &message) == is_gone && (message != NULL) == is_gone);
        free(message);
        a64r_llvm_destroy(context);
        if (!is_gone)
            a64r_llvm_destroy(other);
    }
    a64r_llvm_arena_release(arena);
}

static void refusals_say_why(void) {
    a64r_llvm_arena *arena;
    a64r_llvm_context *context;
    char *message = NULL;
    REFUSED(A64R_STATUS_TOO_LONG, "0x80000001 bytes are too many: at most 0x80000000 are in reach",
            a64r_llvm_arena_new((size_t)A64R_LLVM_MOST + 1, 0, &arena, &text));
    REFUSED(A64R_STATUS_INVALID, "flags cannot be 0x2", a64r_llvm_arena_new(0, 2, &arena, &text));
    REFUSED(A64R_STATUS_NULL, "arena is null", a64r_llvm_mcjit_context(NULL, &context, &text));
    EXPECT(a64r_llvm_create_context(NULL) == NULL && a64r_llvm_allocate_code(NULL, 1, 1, 1, "") == NULL);
    EXPECT(a64r_llvm_finalize(NULL, &message) == 1 && strcmp(message, "context is null") == 0);
    free(message);
    a64r_llvm_destroy(NULL);
    a64r_llvm_notify_terminating(NULL);
    a64r_llvm_notify_terminating(arena_of(0, 0));
}

int main(void) {
    sections_share_pages_and_come_back();
    what_is_full_is_refused_when_it_is_finalized();
    alone(what_the_system_refuses_is_an_error);
    mcjit_has_no_memory_where_it_is_full();
    the_audit_follows_addresses();
    the_audit_knows_who_lives();
    refusals_say_why();
    puts("manager: passed");
    return 0;
}
