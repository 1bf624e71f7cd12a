/* What the tests of the C face share. Words were encoded by llvm-mc. */
#ifndef TEST_H
#define TEST_H

#include "aarch64_reloc.h"

#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the test where `holds` does not. */
#define EXPECT(holds) \
    do { \
        if (!(holds)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #holds); \
            exit(1); \
        } \
    } while (0)

/* Where every call writes its line. */
static char line[256];
static a64r_text text = {line, sizeof line, 0};

/* That `call` is refused with `status` and `message`. */
#define REFUSED(status, message, call) \
    do { \
        line[0] = 0; \
        a64r_status answer = (call); \
        if (answer != (status) || strcmp(line, message) != 0) { \
            fprintf(stderr, "%s:%d: %s answers %d: %s\n", __FILE__, __LINE__, #call, (int)answer, line); \
            exit(1); \
        } \
    } while (0)

/* That `call` is done. */
#define DONE(call) REFUSED(A64R_STATUS_OK, "", call)

static inline a64r_value addr(uint64_t bits) {
    a64r_value value = {bits, A64R_CLASS_ADDR};
    return value;
}

/* A section of `count` words that will run at `start`. */
static inline a64r_section section(uint32_t *words, size_t count, uint64_t start) {
    a64r_section section = {(uint8_t *)words, 4 * count, start, A64R_ENDIAN_LITTLE};
    return section;
}

#endif
