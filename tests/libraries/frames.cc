// The frames that exceptions of throw.cc pass.

#include "frames.h"
#include <cstdlib>

static Loud second{"second static"};

__attribute__((constructor(102))) static void early() { log() += " 102"; }
__attribute__((constructor)) static void plain() {
    log() += " frames-plain";
    std::atexit([] { std::printf("at exit, from a constructor\n"); });
}
__attribute__((destructor(200))) static void last() { std::printf("destructor 200 of frames\n"); }

namespace {
struct Init {
    Init() { log() += " frames-object"; }
} init;
} // namespace

int deep(int depth) {
    Loud loud{"deep"};
    if (depth < 0)
        return shared(depth);
    if (depth == 0)
        throw Failure(42);
    return deep(depth - 1) + 1;
}

int compare(const void *a, const void *b) {
    Loud loud{"compare"};
    int one = *static_cast<const int *>(a), two = *static_cast<const int *>(b);
    if (one == 13 || two == 13)
        throw Failure(13);
    return one - two;
}

struct Square : Shape {
    double side;
    explicit Square(double side) : side(side) {}
    double area() const override { return side * side; }
};

Shape *make_square(double side) { return new Square(side); }

int other() {
    Counter<int> counter;
    counter.next();
    return counter.next() + shared(10);
}
