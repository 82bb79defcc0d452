/*
 * /proc readers (proc.h). Any thread; nothing is kept between calls.
 */
#include "proc.h"

#include <dirent.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

int bench_proc_pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    return sched_setaffinity(0, sizeof set, &set);
}

void bench_proc_raise_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* First line of a file under /proc, without its newline. */
static int read_line(const char *path, char *out, size_t cap)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    char *line = fgets(out, (int)cap, file);
    fclose(file);
    if (!line)
        return -1;
    out[strcspn(out, "\n")] = '\0';
    return 0;
}

/* stat: "tid (name) S ppid ...", the name may hold anything, so fields are counted from the last ')'. Ticks are 10 ms coarse. */
static int cpu_of_stat(const char *path, uint64_t *cpu_ns)
{
    char line[1024];
    if (read_line(path, line, sizeof line) != 0)
        return -1;
    const char *rest = strrchr(line, ')');
    uint64_t user = 0, system = 0;
    if (!rest || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64, &user, &system) != 2)
        return -1;
    *cpu_ns = (user + system) * (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK));
    return 0;
}

static int read_thread(pid_t pid, long tid, struct bench_thread *out)
{
    char path[96], line[128];
    out->tid = tid;
    snprintf(path, sizeof path, "/proc/%d/task/%ld/comm", (int)pid, tid);
    if (read_line(path, out->name, sizeof out->name) != 0)
        return -1;
    /* schedstat counts in nanoseconds; kernels without it have stat's ticks. */
    snprintf(path, sizeof path, "/proc/%d/task/%ld/schedstat", (int)pid, tid);
    if (read_line(path, line, sizeof line) == 0 && sscanf(line, "%" SCNu64, &out->cpu_ns) == 1 && out->cpu_ns > 0)
        return 0;
    snprintf(path, sizeof path, "/proc/%d/task/%ld/stat", (int)pid, tid);
    return cpu_of_stat(path, &out->cpu_ns);
}

int bench_proc_threads(pid_t pid, struct bench_threads *out)
{
    char path[64];
    out->count = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (!dir)
        return -1;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL && out->count < BENCH_PROC_THREADS_MAX) {
        long tid = strtol(entry->d_name, NULL, 10);
        if (tid > 0 && read_thread(pid, tid, &out->list[out->count]) == 0)
            out->count++;
    }
    closedir(dir);
    return out->count > 0 ? 0 : -1;
}

uint64_t bench_proc_used(const struct bench_threads *before, const struct bench_thread *thread)
{
    for (unsigned i = 0; i < before->count; i++) {
        if (before->list[i].tid == thread->tid)
            return thread->cpu_ns - before->list[i].cpu_ns;
    }
    return thread->cpu_ns;
}

uint64_t bench_proc_used_by(const struct bench_threads *before, const struct bench_threads *after, const char *prefix)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < after->count; i++) {
        if (strncmp(after->list[i].name, prefix, strlen(prefix)) == 0)
            sum += bench_proc_used(before, &after->list[i]);
    }
    return sum;
}

int bench_proc_memory(pid_t pid, struct bench_memory *out)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    *out = (struct bench_memory){0};
    while (fgets(line, sizeof line, file)) {
        uint64_t kib = 0;
        if (sscanf(line, "Rss: %" SCNu64, &kib) == 1)
            out->rss += kib * 1024;
        else if (sscanf(line, "Private_Clean: %" SCNu64, &kib) == 1 || sscanf(line, "Private_Dirty: %" SCNu64, &kib) == 1)
            out->owned += kib * 1024;
    }
    fclose(file);
    return out->rss > 0 ? 0 : -1;
}
