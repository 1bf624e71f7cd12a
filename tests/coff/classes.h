inline int counted(int x) {
    static int count = 5;
    return count += x;
}

template <class T> struct Box {
    T value;
    virtual T get(T more) { return value + more; }
    virtual ~Box() {}
};

struct Shape {
    virtual int area() const;
    virtual const char *name() const { return "shape"; }
    int side = 3;
};

int use(const Shape &shape);
