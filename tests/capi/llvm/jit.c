#define _GNU_SOURCE
#include "jit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const char first[] =
    "define i64 @before_0(i64 %x) noinline uwtable {\n"
    "  ret i64 %x\n"
    "}\n";

static const char later[] =
    "declare i64 @entry_M(i64)\n"
    "define i64 @before_N(i64 %x) noinline uwtable {\n"
    "  %y = call i64 @entry_M(i64 %x)\n"
    "  %z = sub i64 %y, 38\n"
    "  ret i64 %z\n"
    "}\n";

static const char common[] =
    "declare i64 @host(i64)\n"
    "@variable_N = global i64 30\n"
    "@constants_N = constant [4 x i64] [i64 1, i64 10, i64 100, i64 1000]\n"
    "define i64 @callback_N(i64 %x) noinline uwtable {\n"
    "  %v = load volatile i64, ptr @variable_N\n"
    "  %p = getelementptr [4 x i64], ptr @constants_N, i64 0, i64 1\n"
    "  %c = load volatile i64, ptr %p\n"
    "  %h = call i64 @host(i64 %x)\n"
    "  %b = call i64 @before_N(i64 %h)\n"
    "  %s = add i64 %v, %c\n"
    "  %r = add i64 %b, %s\n"
    "  ret i64 %r\n"
    "}\n"
    "define i64 @apply_N(ptr %f, i64 %x) noinline uwtable {\n"
    "  %r = call i64 %f(i64 %x)\n"
    "  ret i64 %r\n"
    "}\n"
    "define i64 @entry_N(i64 %x) noinline uwtable {\n"
    "  %r = call i64 @apply_N(ptr @callback_N, i64 %x)\n"
    "  ret i64 %r\n"
    "}\n";

/* Appends `text` with the number for each `_N`, and the one before for each `_M`. */
static char *append(char *end, const char *text, unsigned number) {
    while (*text) {
        if (text[0] == '_' && (text[1] == 'N' || text[1] == 'M')) {
            end += sprintf(end, "_%u", text[1] == 'N' ? number : number - 1);
            text += 2;
        } else {
            *end++ = *text++;
        }
    }
    *end = 0;
    return end;
}

const char *module_text(unsigned number) {
    static char text[4096];
    char *end = append(text, number ? later : first, number);
    append(end, common, number);
    return text;
}

int64_t host(int64_t x) { return x; }

unsigned repeat(unsigned count, int (*run)(void)) {
    const struct rlimit none = {0, 0};
    unsigned right = 0, wrong = 0, killed[65] = {0};
    setrlimit(RLIMIT_CORE, &none);
    for (unsigned i = 0; i < count; i++) {
        pid_t child = fork();
        int status;
        if (child == 0)
            _exit(run());
        if (child < 0 || waitpid(child, &status, 0) != child)
            abort();
        if (WIFSIGNALED(status))
            killed[WTERMSIG(status)]++;
        else if (WEXITSTATUS(status) == 0)
            right++;
        else
            wrong++;
    }
    printf("%u right", right);
    if (wrong)
        printf(", %u wrong", wrong);
    for (int number = 1; number <= 64; number++)
        if (killed[number])
            printf(", %u SIG%s", killed[number], sigabbrev_np(number));
    printf("\n");
    return right;
}
