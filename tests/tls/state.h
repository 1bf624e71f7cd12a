// Thread-local variables of state.c, as other objects see them.

struct pair {
    long first, second;
};

struct page {
    _Alignas(4096) char first;
};

extern _Thread_local int counter;
extern _Thread_local struct pair pair;
extern _Thread_local int *pointer;
extern _Thread_local char odd[3];
extern _Thread_local long zeros[100];
extern _Thread_local struct page page;

extern int shared;

int bump(int by);
int check_own(int seed);
long find_nowhere(void);
