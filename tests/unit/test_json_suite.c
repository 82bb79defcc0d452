/* The scanner against the public JSON parsing suite: test_json_suite DIR, as fetched by scripts/json-suite.sh.
 *
 * Files y_*.json must be accepted, n_*.json refused; i_*.json may be either and must only be survived. Exit 77 (skipped)
 * where DIR is not there. A directory with too few files fails: a suite that tests nothing is no suite. */
#include "gw/json.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SKIPPED 77
#define CASES_MIN 250
#define FILE_BYTES_MAX (1 << 20)

struct tally {
    unsigned passed, failed;
};

/* The file's bytes in memory of just their size, owned; -1 where it cannot be read. */
static int load(const char *path, struct gw_str *text)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return -1;
    char *bytes = gw_alloc(FILE_BYTES_MAX);
    size_t len = fread(bytes, 1, FILE_BYTES_MAX, f);
    bool whole = !ferror(f) && len < FILE_BYTES_MAX;
    fclose(f);
    *text = (struct gw_str){gw_realloc(bytes, len), len};
    return whole ? 0 : -1;
}

static void run_case(const char *dir, const char *name, struct tally *t)
{
    struct gw_buf path;
    struct gw_str text = {0};
    struct gw_err err = {0};
    gw_buf_init(&path);
    gw_buf_addf(&path, "%s/%s", dir, name);
    if (load(gw_buf_c(&path), &text)) {
        printf("FAIL %s: cannot be read\n", name);
        t->failed++;
    } else {
        int rc = gw_json_scan(text, NULL, NULL, NULL, &err);
        if ((name[0] == 'y' && rc != 0) || (name[0] == 'n' && rc == 0)) {
            printf("FAIL %s: %s\n", name, rc ? err.text : "accepted");
            t->failed++;
        } else {
            t->passed++;
        }
    }
    free((char *)text.p);
    gw_buf_fini(&path);
}

static bool is_case(const char *name)
{
    size_t len = strlen(name);
    return len > 7 && strchr("yni", name[0]) && name[1] == '_' && strcmp(name + len - 5, ".json") == 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: test_json_suite DIR\n");
        return 2;
    }
    DIR *d = opendir(argv[1]);
    if (!d) {
        printf("SKIP json_suite: %s: %s (scripts/json-suite.sh fetches it)\n", argv[1], strerror(errno));
        return SKIPPED;
    }
    struct tally t = {0};
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        if (is_case(e->d_name))
            run_case(argv[1], e->d_name, &t);
    closedir(d);
    printf("%u passed, %u failed\n", t.passed, t.failed);
    if (t.passed + t.failed < CASES_MIN) {
        printf("FAIL json_suite: expected at least %d cases\n", CASES_MIN);
        return 1;
    }
    return t.failed ? 1 : 0;
}
