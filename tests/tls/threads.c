// Four threads at once, each with variables of its own.

#include <pthread.h>

int check(int seed);

static pthread_barrier_t all;

static void *run(void *seed) {
    pthread_barrier_wait(&all);
    long line = check((int)(long)seed);
    // None ends before all have their variables.
    pthread_barrier_wait(&all);
    return (void *)line;
}

int main(void) {
    pthread_t threads[4];
    long lines = 0;
    pthread_barrier_init(&all, 0, 4);
    for (long i = 0; i < 4; i++)
        if (pthread_create(&threads[i], 0, run, (void *)(1000 * (i + 1))) != 0)
            return 1;
    for (long i = 0; i < 4; i++) {
        void *line;
        pthread_join(threads[i], &line);
        lines += (long)line;
    }
    return (int)lines + check(9);
}
