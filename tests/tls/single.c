// One thread, and no C library.

int check(int seed);

int main(void) { return check(9); }
