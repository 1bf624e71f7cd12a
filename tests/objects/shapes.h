// What main.c and shapes.c know of each other.

struct shape {
    const char *name;
    double (*area)(const struct shape *);
    double size[2];
};

enum { SHAPES = 5 };

extern struct shape shapes[SHAPES];
extern int areas_taken;
extern const char *const shape_order;
__attribute__((visibility("hidden"))) extern unsigned char hidden_zeros[1 << 16];
__attribute__((visibility("hidden"))) int hidden_sum(const unsigned char *bytes, unsigned length);

int compare_by_area(const void *a, const void *b);
int compare_by_name(const void *a, const void *b);
double (*area_of(unsigned kind))(const struct shape *);

int report(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Defined weakly in both objects or in one, and nowhere.
__attribute__((weak)) const char *weak_in_both(void);
__attribute__((weak)) const char *weak_overridden(void);
__attribute__((weak)) extern int weak_nowhere;
__attribute__((weak)) int weak_function_nowhere(int);

// A number with a name, not an address.
extern char absolute_number[];
