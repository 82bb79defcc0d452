/*
 * What Linux says about a process: CPU time by thread name, memory; and pinning oneself to a core. Linux only, reads /proc.
 * Any thread. It measures from outside, so that the gateway and the raw reference are read with the same instrument.
 */
#ifndef BENCH_PROC_H
#define BENCH_PROC_H

#include <stdint.h>
#include <sys/types.h>

#define BENCH_PROC_THREADS_MAX 128

struct bench_thread {
    long tid;
    char name[16];
    uint64_t cpu_ns;
};

struct bench_threads {
    unsigned count;
    struct bench_thread list[BENCH_PROC_THREADS_MAX];
};

struct bench_memory {
    uint64_t rss;   /* bytes */
    uint64_t owned; /* bytes that belong to this process alone (private clean + private dirty) */
};

/* Runs the calling thread, and those it will start, on core `cpu` alone. 0 or -1 with errno. */
int bench_proc_pin(int cpu);

/* Raises the limit of open files to what is allowed. */
void bench_proc_raise_files(void);

/* CPU time so far of each thread of `pid`. 0, or -1 when the process is gone. Threads beyond the maximum are left out. */
int bench_proc_threads(pid_t pid, struct bench_threads *out);

/* Nanoseconds of CPU that `thread` (of the later reading) used since the earlier one. */
uint64_t bench_proc_used(const struct bench_threads *before, const struct bench_thread *thread);

/* The same, summed over the threads whose names begin with `prefix` ("" for all). */
uint64_t bench_proc_used_by(const struct bench_threads *before, const struct bench_threads *after, const char *prefix);

/* Memory of `pid` from smaps_rollup; kernel memory (sockets) is not in it. 0 or -1. */
int bench_proc_memory(pid_t pid, struct bench_memory *out);

#endif
