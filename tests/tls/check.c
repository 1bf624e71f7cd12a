// The other half: it looks at the variables from another object.

#include "state.h"

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            return __LINE__;                                                                                           \
    } while (0)

// 0 in a thread that has not called it before, whatever others do; else the line where something is wrong.
int check(int seed) {
    REQUIRE(counter == 42);
    REQUIRE(pair.first == 7 && pair.second == -7);
    REQUIRE(pointer == &shared && *pointer == 3);
    REQUIRE(odd[0] == 1 && odd[1] == 2 && odd[2] == 3);
    for (int i = 0; i < 100; i++)
        REQUIRE(zeros[i] == 0);
    REQUIRE(page.first == 0 && ((unsigned long)&page & 4095) == 0);
    REQUIRE(((unsigned long)&pair & (_Alignof(struct pair) - 1)) == 0);

#if defined __PIC__ && !defined __PIE__
    REQUIRE(find_nowhere() == 0);
#endif

    REQUIRE(check_own(seed) == 0);
    REQUIRE(counter == 43);
    for (int round = 0; round < 1000; round++) {
        counter = seed + round;
        pair.second = -seed;
        odd[round % 3] = (char)(seed + round);
        zeros[round % 100] = seed;
        page.first = (char)seed;
        REQUIRE(bump(seed) == 0);
        REQUIRE(counter == seed + round + 1);
        REQUIRE(pair.first == 7 && pair.second == -seed);
        REQUIRE(odd[round % 3] == (char)(seed + round));
        REQUIRE(zeros[round % 100] == seed && page.first == (char)seed);
    }
    return 0;
}
