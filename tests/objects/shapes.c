// The other half of the program: data, functions in tables, zeros, weak and hidden symbols, an absolute symbol.

#include "shapes.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int areas_taken;
unsigned char hidden_zeros[1 << 16];
const char *const shape_order = "square < disc < box";

static double square(const struct shape *shape) {
    areas_taken++;
    return shape->size[0] * shape->size[0];
}

static double box(const struct shape *shape) {
    areas_taken++;
    return shape->size[0] * shape->size[1];
}

static double disc(const struct shape *shape) {
    static const double pi = 3.14159265358979323846;
    areas_taken++;
    return pi * shape->size[0] * shape->size[0];
}

struct shape shapes[SHAPES] = {
    {"box", box, {3, 4}},    {"square", square, {2, 0}}, {"disc", disc, {1.5, 0}},
    {"long box", box, {20, 0.25}}, {"dot", disc, {0.125, 0}},
};

double (*area_of(unsigned kind))(const struct shape *) {
    switch (kind) {
    case 0: return square;
    case 1: return box;
    case 2: return disc;
    default: return 0;
    }
}

int compare_by_area(const void *a, const void *b) {
    const struct shape *one = a, *other = b;
    double difference = one->area(one) - other->area(other);
    return (difference > 0) - (difference < 0);
}

int compare_by_name(const void *a, const void *b) {
    return strcmp(((const struct shape *)a)->name, ((const struct shape *)b)->name);
}

int hidden_sum(const unsigned char *bytes, unsigned length) {
    int sum = 0;
    for (unsigned i = 0; i < length; i++)
        sum += bytes[i];
    return sum;
}

int report(const char *format, ...) {
    static int line;
    va_list list;
    printf("%2d ", ++line);
    va_start(list, format);
    int written = vprintf(format, list);
    va_end(list);
    return written;
}

const char *weak_in_both(void) { return "the first weak definition"; }
const char *weak_overridden(void) { return "a weak definition"; }

__asm__(".globl absolute_number\n.set absolute_number, 0x1234");
