/*
 * The command line of the bench programs: a table of long options, each with its kind, its bounds and the variable it sets.
 * Main thread, before anything else runs. No short options, no positional arguments.
 */
#ifndef BENCH_ARGS_H
#define BENCH_ARGS_H

#include <stddef.h>

enum bench_arg_kind {
    BENCH_ARG_FLAG,   /* bool, set to true; takes no value */
    BENCH_ARG_TEXT,   /* const char *, borrows from argv */
    BENCH_ARG_NUMBER, /* long, within min..max */
    BENCH_ARG_REAL,   /* double, within min..max */
};

struct bench_arg {
    const char *name; /* without the dashes */
    enum bench_arg_kind kind;
    void *value; /* of the kind's type, holds the default */
    long min, max;
    const char *help;
};

/* Reads `--name value` and `--name=value`. 0, or -1 after having said on standard error what is wrong (`--help`: prints the table). */
int bench_args_parse(int argc, char **argv, const struct bench_arg *args, size_t count);

#endif
