struct item {
    int number;
    const char *name;
    int (*function)(int);
};

extern struct item items[3];
extern const float sizes[4];
extern unsigned char far_byte;
int twice(int);
int thrice(int);
int choose(int);
int fallback(int);
int perhaps(void);
extern __attribute__((weak)) int maybe(int);
