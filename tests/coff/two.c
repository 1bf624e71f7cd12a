// The other half.

#include "both.h"

const float sizes[4] = {1.5f, 2.25f, 3.125f, 4};
unsigned char far_byte = 0x5a;
int (*const functions[])(int) = {twice, thrice, choose};
__declspec(selectany) int anywhere = 8;

int twice(int x) { return x + x; }
int thrice(int x) { return x > 100 ? functions[0](x) : x * 3 + items[1].number + anywhere; }
int perhaps(void) { return maybe ? maybe(2) : -1; }
