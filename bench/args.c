/*
 * The option table's reader (args.h). Main thread.
 */
#include "args.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_help(const char *program, const struct bench_arg *args, size_t count)
{
    fprintf(stderr, "usage: %s [options]\n", program);
    for (size_t i = 0; i < count; i++) {
        const char *value = args[i].kind == BENCH_ARG_FLAG ? "" : args[i].kind == BENCH_ARG_TEXT ? " TEXT" : " N";
        fprintf(stderr, "  --%s%s\n        %s\n", args[i].name, value, args[i].help);
    }
}

static const struct bench_arg *find(const char *name, size_t len, const struct bench_arg *args, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(args[i].name) == len && memcmp(args[i].name, name, len) == 0)
            return &args[i];
    }
    return NULL;
}

static int set(const struct bench_arg *arg, const char *text)
{
    if (arg->kind == BENCH_ARG_TEXT) {
        *(const char **)arg->value = text;
        return 0;
    }
    char *end = NULL;
    double real = strtod(text, &end);
    bool whole = arg->kind == BENCH_ARG_REAL || (double)(long)real == real;
    if (end == text || *end != '\0' || !whole || !(real >= (double)arg->min && real <= (double)arg->max)) {
        fprintf(stderr, "--%s: %s is not a number from %ld to %ld\n", arg->name, text, arg->min, arg->max);
        return -1;
    }
    if (arg->kind == BENCH_ARG_REAL)
        *(double *)arg->value = real;
    else
        *(long *)arg->value = (long)real;
    return 0;
}

int bench_args_parse(int argc, char **argv, const struct bench_arg *args, size_t count)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--help") == 0) {
            print_help(argv[0], args, count);
            return -1;
        }
        bool dashed = strncmp(name, "--", 2) == 0;
        size_t len = dashed ? strcspn(name + 2, "=") : 0;
        const struct bench_arg *arg = dashed ? find(name + 2, len, args, count) : NULL;
        if (!arg) {
            fprintf(stderr, "%s: no such option (see --help)\n", name);
            return -1;
        }
        const char *value = name[2 + len] == '=' ? name + 3 + len : NULL;
        if (arg->kind == BENCH_ARG_FLAG) {
            *(bool *)arg->value = true;
            continue;
        }
        if (!value && i + 1 < argc)
            value = argv[++i];
        if (!value) {
            fprintf(stderr, "--%s: needs a value\n", arg->name);
            return -1;
        }
        if (set(arg, value) != 0)
            return -1;
    }
    return 0;
}
