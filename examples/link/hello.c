// The object that comes with the crate. It needs nothing but Linux, and uses what relocations are for: calls, data, a
// switch table, function pointers in data and taken in code, and the GOT.

typedef unsigned long size_t;

static long system_call(long number, long a, long b, long c) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}

static void print(const char *text) {
    size_t length = 0;
    while (text[length] != 0)
        length++;
    system_call(64, 1, (long)text, (long)length);
}

static void print_number(unsigned long number) {
    char digits[21];
    char *first = digits + 20;
    *first = 0;
    do
        *--first = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    print(first);
}

static unsigned long add(unsigned long a, unsigned long b) { return a + b; }
static unsigned long multiply(unsigned long a, unsigned long b) { return a * b; }

struct operation {
    const char *name;
    unsigned long (*apply)(unsigned long, unsigned long);
};

static const struct operation operations[] = {{" + ", add}, {" * ", multiply}};

int runs;
extern int runs_through_got __attribute__((alias("runs")));

__attribute__((noinline)) static const char *describe(int status) {
    switch (status) {
    case 0: return "every relocation applied";
    case 1: return "a sum is wrong";
    case 2: return "a product is wrong";
    case 3: return "the GOT is wrong";
    case 4: return "the arguments are wrong";
    default: return "something is wrong";
    }
}

int main(int argc, char **argv) {
    int status = 0;
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        unsigned long result = operations[i].apply(6, 7);
        print("6");
        print(operations[i].name);
        print("7 = ");
        print_number(result);
        print("\n");
        if (result != (i == 0 ? 13 : 42))
            status = (int)i + 1;
    }
    runs++;
    if (runs_through_got != 1)
        status = 3;
    if (argc < 1 || argv[argc] != 0)
        status = 4;
    print(describe(status));
    print("\n");
    return status;
}
