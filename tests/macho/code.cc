// What a compiler makes of C++: exceptions, virtual functions, templates, constructors at the start. No headers are needed.

extern "C" int elsewhere(const char *, ...);

struct Shape {
    virtual ~Shape();
    virtual int area() const = 0;
    virtual const char *name() const { return "shape"; }
};
Shape::~Shape() { elsewhere("~Shape"); }

struct Square : Shape {
    int side;
    explicit Square(int side) : side(side) {}
    int area() const override { return side * side; }
};
struct Box : virtual Shape {
    int sides[3] = {1, 2, 3};
    int area() const override { return sides[0] * sides[1] * sides[2]; }
    const char *name() const override { return "box"; }
};

template <typename T> struct Cache {
    static T last;
    static thread_local int hits;
    T set(T value) { hits++; return last = value; }
};
template <typename T> T Cache<T>::last = T(3);
template <typename T> thread_local int Cache<T>::hits = elsewhere("hits");

struct Failure { int code; };
inline int counted() { static int calls = elsewhere("once"); return ++calls; }

static Square corner(4);
thread_local Square own(elsewhere("own"));

static int risky(const Shape &shape, int limit) {
    Square guard(limit);
    if (shape.area() > limit) throw Failure{shape.area()};
    return shape.area() + guard.area() + own.side;
}

int code_shapes(int limit) {
    Box box;
    int sum = Cache<int>().set(limit) + static_cast<int>(Cache<double>().set(limit * 0.5)) + counted();
    try {
        sum += risky(corner, limit) + risky(box, limit);
    } catch (const Failure &failure) {
        sum += failure.code + elsewhere(box.name());
    } catch (int number) {
        sum -= number;
    }
    return sum + box.name()[0];
}
