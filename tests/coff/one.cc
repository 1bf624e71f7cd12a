// Constructors, virtual functions, templates: sections that both objects have.

#include "classes.h"

int Shape::area() const { return side * side; }
static Shape *const made = new (Shape);
static int at_start = counted(3);
extern "C" int start() { return use(Shape()) + counted(1) + at_start + made->area() + Box<int>().get(3); }
