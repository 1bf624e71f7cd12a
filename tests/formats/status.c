// A program that needs no library, for every format: data, a call, a switch of its own.
static int numbers[] = {1, 2, 3, 4, 5};
int shared = 6;
extern int twice(int);
int main(int argc, char **argv) {
    (void)argv;
    int sum = 0;
    for (int i = 0; i < 5; i++)
        sum += numbers[i];
    numbers[0] = argc;
    return twice(sum) + shared + numbers[0];
}
