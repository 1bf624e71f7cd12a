#define _GNU_SOURCE
#include "far.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static const uintptr_t step = 5ull << 30;
static uintptr_t next = 1ull << 44;
static bool is_far;
static unsigned requests;

void far_begin(void) { is_far = true; }

unsigned far_requests(void) { return requests; }

static void *map(void *addr, size_t length, int prot, int flags, int fd, off_t offset) {
    return (void *)syscall(SYS_mmap, addr, length, prot, flags, fd, offset);
}

static void *map_far(size_t length, int prot, int flags, int fd, off_t offset) {
    next += step;
    requests++;
    return map((void *)next, length, prot, flags | MAP_FIXED_NOREPLACE, fd, offset);
}

/* In the place of the C library's, for all of the process: LLVM's SectionMemoryManager calls it. */
void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset) {
    if (is_far && !(flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)))
        return map_far(length, prot, flags, fd, offset);
    return map(addr, length, prot, flags, fd, offset);
}

struct sections {
    struct {
        void *start;
        size_t size;
        int prot;
    } section[64];
    unsigned count;
};

void *naive_create(void *unused) {
    (void)unused;
    return calloc(1, sizeof(struct sections));
}

void naive_terminate(void *unused) { (void)unused; }

static uint8_t *naive_section(struct sections *sections, size_t size, int prot) {
    if (sections->count == sizeof sections->section / sizeof *sections->section)
        return NULL;
    void *start = map_far(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED)
        return NULL;
    sections->section[sections->count].start = start;
    sections->section[sections->count].size = size;
    sections->section[sections->count++].prot = prot;
    return start;
}

uint8_t *naive_code(void *context, uintptr_t size, unsigned alignment, unsigned section, const char *name) {
    (void)alignment, (void)section, (void)name;
    return naive_section(context, size, PROT_READ | PROT_EXEC);
}

uint8_t *naive_data(void *context, uintptr_t size, unsigned alignment, unsigned section, const char *name, int is_read_only) {
    (void)alignment, (void)section, (void)name;
    return naive_section(context, size, is_read_only ? PROT_READ : PROT_READ | PROT_WRITE);
}

int naive_finalize(void *context, char **message) {
    struct sections *sections = context;
    (void)message;
    for (unsigned i = 0; i < sections->count; i++) {
        char *start = sections->section[i].start;
        if (mprotect(start, sections->section[i].size, sections->section[i].prot) != 0)
            return 1;
        __builtin___clear_cache(start, start + sections->section[i].size);
    }
    return 0;
}

void naive_destroy(void *context) { free(context); }
