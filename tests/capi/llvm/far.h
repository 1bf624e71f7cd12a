/* Memory that is far apart: what LLVM's users meet by bad luck, on purpose. */
#ifndef FAR_H
#define FAR_H

#include <stdbool.h>
#include <stdint.h>

/* From now on, `mmap` puts every request that names no address 5 GiB behind the one before. */
void far_begin(void);

/* The requests that were put there. */
unsigned far_requests(void);

/* The callbacks of a memory manager as users write it: each section is mapped by itself, and lands 5 GiB behind the one before. */
void *naive_create(void *unused);
void naive_terminate(void *unused);
uint8_t *naive_code(void *context, uintptr_t size, unsigned alignment, unsigned section, const char *name);
uint8_t *naive_data(void *context, uintptr_t size, unsigned alignment, unsigned section, const char *name, int is_read_only);
int naive_finalize(void *context, char **message);
void naive_destroy(void *context);

#endif
