// One half of a program with thread-local variables: it defines them.

#include "state.h"

int shared = 3;

_Thread_local int counter = 42;
_Thread_local struct pair pair = {7, -7};
_Thread_local int *pointer = &shared;
_Thread_local char odd[3] = {1, 2, 3};
_Thread_local long zeros[100];
_Thread_local struct page page;

static _Thread_local int own = 5;
static _Thread_local int own_zero;

int bump(int by) {
    own += by;
    own_zero -= by;
    counter++;
    return own + own_zero;
}

// Whether this object's own variables are what they were at first; then they are another thread's no more.
int check_own(int seed) {
    if (own != 5 || own_zero != 0)
        return 1;
    own = seed;
    own_zero = -seed;
    if (bump(1) != 0)
        return 2;
    return 0;
}

#if defined __PIC__ && !defined __PIE__
// Code that has a fixed offset from the thread pointer cannot tell; nor will clang compare the address with null.
extern __attribute__((weak)) _Thread_local int nowhere;

long find_nowhere(void) { return (long)&nowhere; }
#endif
