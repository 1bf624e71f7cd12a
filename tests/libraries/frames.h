// What throw.cc and frames.cc share: definitions that both objects bring, of which one is kept (COMDAT).

#include <cstdio>
#include <stdexcept>
#include <string>
#include <typeinfo>

// Says when it ends, and so how far the stack was unwound.
struct Loud {
    const char *name;
    ~Loud() { std::printf("~%s\n", name); }
};

struct Shape {
    virtual ~Shape() {}
    virtual double area() const { return 0; }
};

template <class T> struct Counter {
    static T count;
    T next() { return count++; }
};
template <class T> T Counter<T>::count = 5;

inline int shared(int x) {
    static int sum = 100;
    return sum += x;
}

inline std::string &log() {
    static std::string text = "log:";
    return text;
}

struct Failure : std::runtime_error {
    int code;
    explicit Failure(int code) : std::runtime_error("failure " + std::to_string(code)), code(code) {}
};

int deep(int depth);
int compare(const void *a, const void *b);
Shape *make_square(double side);
int other();
