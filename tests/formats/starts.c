// What runs before and after a program, in the order that a format gives it: each tells the letter that it is.

extern void note(int letter);

__attribute__((constructor)) static void plain(void) { note('c'); }
__attribute__((constructor(500))) static void later(void) { note('b'); }
__attribute__((constructor(101))) static void first(void) { note('a'); }
__attribute__((destructor)) static void after(void) { note('z'); }

#ifdef _WIN32
// Before all constructors, and before all other terminators.
static int initialise(void) {
    note('i');
    return 0;
}
static void leave(void) { note('p'); }
#pragma section(".CRT$XIU", read)
#pragma section(".CRT$XPU", read)
#pragma section(".CRT$XCA", read)
__attribute__((used)) __declspec(allocate(".CRT$XIU")) int (*const initialiser)(void) = initialise;
__attribute__((used)) __declspec(allocate(".CRT$XPU")) void (*const terminator)(void) = leave;
// As C runtimes mark where their arrays begin.
__attribute__((used)) __declspec(allocate(".CRT$XCA")) void (*const begin)(void) = 0;
#endif

int run(void) {
    note('r');
    return 42;
}
