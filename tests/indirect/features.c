// Indirect functions whose resolvers are asked once each, before main, with what the kernel says of the machine: main returns 42.

struct features {
    unsigned long size, hwcap, hwcap2;
};

static unsigned long first;
static struct features given;
static int asked[2];
static __thread int own = 20;

static int twice(int x) { return 2 * x; }
static int one_more(int x) { return x + 1; }

static int (*resolve_twice(unsigned long hwcap, const struct features *features))(int)
{
    first = hwcap;
    given.size = features->size;
    given.hwcap = features->hwcap;
    given.hwcap2 = features->hwcap2;
    asked[0]++;
    return twice;
}

static int (*resolve_one_more(void))(int)
{
    asked[1]++;
    own++;
    return one_more;
}

int by_two(int) __attribute__((ifunc("resolve_twice")));
static int by_one(int) __attribute__((ifunc("resolve_one_more")));
int (*const table[])(int) = {by_one, by_two};

int main(int argc, char **argv)
{
    char **next = argv + argc + 1;
    while (*next++)
        ;
    unsigned long hwcap = 0, hwcap2 = 0;
    for (unsigned long *auxiliary = (unsigned long *)next; auxiliary[0]; auxiliary += 2) {
        if (auxiliary[0] == 16)
            hwcap = auxiliary[1];
        if (auxiliary[0] == 26)
            hwcap2 = auxiliary[1];
    }
    if (asked[0] != 1 || asked[1] != 1 || own != 21)
        return 1;
    if (!hwcap || first != (hwcap | 1UL << 62) || given.hwcap != hwcap || given.hwcap2 != hwcap2 || given.size != 24)
        return 2;
    return table[1] != by_two ? 3 : table[1](table[0](by_one(18)) + by_one(0)) == 42 ? 42 : 4;
}
