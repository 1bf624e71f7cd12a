#include "classes.h"

struct Square : Shape {
    int area() const override { return 4 * side + counted(2); }
};

static Box<int> box;
void operator delete(void *, unsigned long long) noexcept {}
void *operator new(unsigned long long) { return &box; }
extern "C" int atexit(void (*)()) { return 0; }
extern "C" void *type_infos[2] __asm__("??_7type_info@@6B@");
void *type_infos[2];
int use(const Shape &shape) { return shape.area() + Square().area() + (int)Box<long>().get(counted(7)) + shape.name()[1]; }
