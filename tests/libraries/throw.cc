// Catches what is thrown here, in another object, through the C library's frames, and by the C++ library.

#include "frames.h"
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <vector>

static Loud first{"first static"};

__attribute__((constructor(65000))) static void late() { log() += " 65000"; }
__attribute__((constructor(101))) static void early() { log() += " 101"; }
__attribute__((constructor)) static void plain() { log() += " main-plain"; }
__attribute__((destructor)) static void last() { std::printf("destructor of main\n"); }

namespace {
struct Init {
    Init() { log() += " main-object"; }
} init;
} // namespace

static int rethrow() {
    Loud loud{"rethrow"};
    try {
        return deep(2);
    } catch (const Failure &failure) {
        std::printf("passing on %d\n", failure.code);
        throw;
    }
}

static void specified() noexcept(false) {
    Loud loud{"specified"};
    throw 7;
}

template <class F> static void attempt(const char *name, F f) {
    try {
        std::printf("%s: %d\n", name, f());
    } catch (const Failure &failure) {
        std::printf("%s: caught %s\n", name, failure.what());
    } catch (const std::exception &error) {
        std::printf("%s: caught %s, %s\n", name, typeid(error).name(), error.what());
    } catch (int number) {
        std::printf("%s: caught %d\n", name, number);
    } catch (...) {
        std::printf("%s: caught something\n", name);
    }
}

int main() {
    std::printf("%s\n", log().c_str());
    std::atexit([] { std::printf("at exit\n"); });
    attempt("no throw", [] { return deep(-1); });
    attempt("deep", [] { return deep(3); });
    attempt("rethrow", rethrow);
    attempt("int", [] { return specified(), 0; });
    attempt("literal", []() -> int { throw "text"; });
    attempt("library", [] { return std::vector<int>(3).at(7); });
    attempt("map", [] { return std::map<std::string, int>{{"a", 1}}.at("b"); });
    attempt("stoi", [] { return std::stoi("no number"); });
    attempt("function", [] { return std::function<int()>()(); });
    attempt("through qsort", [] {
        int numbers[] = {3, 1, 13, 2};
        Loud loud{"frame below qsort"};
        std::qsort(numbers, 4, sizeof *numbers, compare);
        return numbers[0];
    });

    std::unique_ptr<Shape> square{make_square(3)};
    std::printf("%s %g\n", typeid(*square).name(), square->area());
    std::printf("%d\n", other());
    std::printf("%d %d\n", shared(1), Counter<int>().next());
    return 3;
}
