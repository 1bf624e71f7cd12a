// Brings `stdout` into reach of tiny code that is not position independent, as the system's linker does by a copy
// relocation.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>

#undef stdout
FILE *stdout;

__attribute__((constructor(101))) static void copy(void) { stdout = *(FILE **)dlsym(RTLD_DEFAULT, "stdout"); }
