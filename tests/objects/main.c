// A program of two objects and the C library. What it prints depends on every relocation that compilers emit for C, and
// on no address.

#include "shapes.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *weak_in_both(void) { return "the first weak definition"; }
extern const char *strong(void) __asm__("weak_overridden");
const char *strong(void) { return "the strong definition"; }

// Data that points to data, to functions of both objects and of the library, and to a number.
static int numbers[4] = {1, 20, 300, 4000};
static int *const middle = &numbers[2];
static size_t (*const length_of)(const char *) = strlen;
static int (*const orders[])(const void *, const void *) = {compare_by_area, compare_by_name};
// Volatile, so that no compiler takes the number for an address near the code.
static char *volatile number_table[] = {absolute_number, absolute_number + 0x10};

static int weekday(int day) {
    switch (day) {
    case 0: return 'm' * 3;
    case 1: return 't' + 7;
    case 2: return 'w' - day;
    case 3: return 't' * 2;
    case 4: return 'f' ^ 0x55;
    case 5: return 's' % 10;
    case 6: return 'S' << 1;
    case 7: return numbers[0];
    default: return -1;
    }
}

// A table of labels.
static int interpret(const char *program) {
    static void *const steps[] = {&&add, &&twice, &&negate, &&stop};
    int value = 1;
    static const char codes[] = "+*-.";
    goto *steps[strchr(codes, *program++) - codes];
add:
    value += 5;
    goto *steps[strchr(codes, *program++) - codes];
twice:
    value *= 2;
    goto *steps[strchr(codes, *program++) - codes];
negate:
    value = -value;
    goto *steps[strchr(codes, *program++) - codes];
stop:
    return value;
}

static double mean(const float *values, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += values[i];
    return sum / count;
}

static void (*volatile at_end)(const char *);
static void say(const char *text) { report("%s\n", text); }

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        report("argument %d of %d is %s\n", i, argc - 1, argv[i]);

    for (unsigned order = 0; order < sizeof orders / sizeof *orders; order++) {
        qsort(shapes, SHAPES, sizeof *shapes, orders[order]);
        for (int i = 0; i < SHAPES; i++)
            report("%-8s %8.4f\n", shapes[i].name, shapes[i].area(&shapes[i]));
    }
    report("%s: %s\n", shape_order, areas_taken > SHAPES ? "areas were taken" : "no area was taken");

    struct shape unit = {"unit", 0, {1, 2}};
    for (unsigned kind = 0; area_of(kind) != 0; kind++)
        report("kind %u has area %.3f\n", kind, area_of(kind)(&unit));

    int sum = 0;
    for (int day = -1; day < 9; day++)
        sum = sum * 3 + weekday(day);
    report("the switch gives %d, the labels %d\n", sum, interpret("+*-*+."));

    int before = hidden_sum(hidden_zeros, sizeof hidden_zeros);
    hidden_zeros[0] = 1;
    hidden_zeros[sizeof hidden_zeros - 1] = 2;
    report("zeros add up to %d, then to %d\n", before, hidden_sum(hidden_zeros, sizeof hidden_zeros));

    report("%s; %s; %s\n", weak_in_both(), weak_overridden(), &weak_nowhere == 0 ? "nowhere" : "somewhere");
    report("a weak function that is nowhere %s\n", weak_function_nowhere ? "was found" : "is null");
    report("absolute %#lx, then %#lx\n", (unsigned long)number_table[0], (unsigned long)number_table[1]);
    report("middle %d, strlen %zu, %s\n", *middle, length_of("relocation"), "100% of it");

    static const float values[] = {1, 2, 4, 8, 16, 32, 64, 128};
    char text[64];
    snprintf(text, sizeof text, "%s %d %ld %c %5.2f %x %s %s %d %d %d", "mixed", 1, 2L, '3', 4.5, 0x67, "eight", "nine",
             10, 11, 12);
    report("%s, mean %.3f\n", text, mean(values, 8));
#ifdef __PIC__
    // Data of the library: only through the GOT is it in reach wherever the library lies.
    fputs("the end\n", stdout);
#else
    puts("the end");
#endif
    at_end = say;
    at_end("really");
    return sum & 0x3f;
}
