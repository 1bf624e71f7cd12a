// Half of a program without a library: calls, data of all sections, tables of addresses, switches.

#include "both.h"

static const char *const names[] = {"none", "one", "two", "many"};
static unsigned counter;
unsigned long long zeros[700];
struct item items[] = {{1, "name1", twice}, {2, names[2], thrice}, {3, "name3", 0}};
__declspec(selectany) int anywhere = 7;

static int local(int x) {
    static int last;
    int before = last;
    last = x + (int)counter++;
    return before;
}

int choose(int kind) {
    switch (kind) {
    case 0: return local(1);
    case 1: return twice(local(2));
    case 2: return thrice(3) + anywhere;
    case 3: return (int)zeros[69];
    case 4: return perhaps();
    case 5: return fallback(8);
    default: return (int)(sizes[2] * 2.5f);
    }
}

__attribute__((weak)) int fallback(int x) { return x - 1; }

int start(void) {
    int sum = 0;
    for (struct item *item = items; item < items + 3; item++)
        sum += item->function ? item->function(item->number) : (int)item->name[1];
    for (int kind = 0; kind < 8; kind++)
        sum += choose(kind);
    items[1].function = thrice;
    return sum + (int)far_byte + local(sum);
}
