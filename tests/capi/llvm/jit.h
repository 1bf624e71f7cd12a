/* What the programs here have LLVM compile, and how they say what became of it. */
#ifndef JIT_H
#define JIT_H

#include <stdint.h>

/* The text of module `number`: `entry_N(x)` passes a function and `x` to another function, which calls it; what is called
 * reads a constant and a variable, calls `host`, a function of the process, and adds what `entry_(N-1)` answers. It answers
 * x + 40 + 2 * N. The text is valid until the next call. */
const char *module_text(unsigned number);

/* Called by every module. */
int64_t host(int64_t x);

/* Runs `run` in a child process `count` times, and prints how often it answered 0, otherwise, or died of which signal.
 * Returns how often it answered 0. */
unsigned repeat(unsigned count, int (*run)(void));

#endif
