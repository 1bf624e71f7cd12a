// What compilers make of C: calls, tables, strings, floating point, thread-local variables. No system's headers are needed.

extern int elsewhere(const char *, ...);
extern int variable_elsewhere;
extern int *absent __attribute__((weak_import));

typedef struct {
    const char *name;
    int (*function)(int);
    double number;
} Row;

_Thread_local int counter = 7;
_Thread_local long zeros[4];
static _Thread_local short own = 3;

static int twice(int x) { return 2 * x + own; }
static int call(int x) { return elsewhere("%d\n", x) + ++counter + (int)zeros[x & 3]++; }
int exported = 5;
__attribute__((visibility("hidden"))) int hidden[16];
static char buffer[0x3000];

static Row rows[] = {{"twice", twice, 2.5}, {"call", call, 1e300}, {"none", 0, -0.0}};
static int *const inner = &hidden[5];
static const char *const ends[] = {buffer + sizeof buffer, buffer - 0, "the end"};

static int pick(int day) {
    switch (day) {
    case 0: return 'm' * 3;
    case 1: return 't' + exported;
    case 2: return 'w' - day;
    case 3: return elsewhere("three");
    case 4: return 'f' ^ 0x55;
    case 5: return 's' % 10;
    case 6: return hidden[1] << 1;
    case 7: return elsewhere("seven %s", ends[day & 1]);
    default: return -1;
    }
}

static int interpret(const unsigned char *code) {
    static void *const steps[] = {&&add, &&negate, &&stop};
    static const int distances[] = {(int)((char *)&&negate - (char *)&&add), (int)((char *)&&stop - (char *)&&add)};
    int value = distances[0] + distances[1];
    goto *steps[*code++];
add:
    value += 5;
    goto *steps[*code++];
negate:
    value = -value;
    goto *steps[*code++];
stop:
    return value;
}

typedef float Four __attribute__((vector_size(16)));
Four shift(Four x) { return x + (Four){1.5f, 2.5f, 3.5f, 4.5f}; }
double scale(double x) { return x * 3.14159265358979 + 1e-9; }
long double square(long double x) { return x * x; }

int code_main(int count, char **words) {
    int sum = interpret((const unsigned char *)words[0]);
    for (int i = 0; i < count; i++) {
        buffer[i] = (char)pick(i);
        Row *row = &rows[i % 3];
        sum += row->function ? row->function(i) : elsewhere(row->name);
        sum += (int)scale(row->number) + *inner + variable_elsewhere;
    }
    if (&absent)
        sum += *absent;
    return sum + hidden[count & 15];
}
