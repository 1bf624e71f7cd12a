extern int shared;
int twice(int number) {
    int before = shared;
    shared += 5;
    return number * 2 + before - 6;
}
