// Templates and inline functions, each in a section group of its own.

template <int N> struct Counter {
    static int count;
    virtual ~Counter() {}
    virtual int next(int by) { return count += by * N; }
};
template <int N> int Counter<N>::count = N;

inline int inlined(int x) {
    static int sum = 1;
    return sum += x;
}

__attribute__((constructor(101))) static void early() { inlined(1); }
__attribute__((constructor)) static void late() { inlined(2); }

int all(int x) {
    Counter<1> one;
    Counter<2> two;
    try {
        if (x > 3)
            throw x;
        return one.next(x) + two.next(x) + inlined(x);
    } catch (int y) {
        return y;
    }
}
