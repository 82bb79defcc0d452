/* The demo page's files: what is found under which path, types, tags, limits. */
#include "net_private.h"

#include "unit_kit.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

static char root[64];

static int make_root(void **state)
{
    (void)state;
    strcpy(root, "/tmp/gw-static-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static int remove_root(void **state)
{
    (void)state;
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *at(const char *path)
{
    static char full[400];
    snprintf(full, sizeof(full), "%s/%s", root, path);
    return full;
}

static void put(const char *path, const void *content, size_t n)
{
    FILE *out = fopen(at(path), "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(content, 1, n, out), n);
    assert_int_equal(fclose(out), 0);
}

static void make_dir(const char *path)
{
    assert_int_equal(mkdir(at(path), 0755), 0);
}

static struct static_files *must_load_files(void)
{
    struct gw_err err = {0};
    struct static_files *f = static_files_load(root, &err);
    if (!f)
        fail_msg("%s", err.text);
    return f;
}

static const struct static_file *get(const struct static_files *f, const char *path)
{
    return static_files_get(f, gw_str_of(path));
}

static void test_types_and_tags(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"index.html", "text/html; charset=utf-8"}, {"a.css", "text/css; charset=utf-8"}, {"a.js", "text/javascript; charset=utf-8"},
        {"a.mjs", "text/javascript; charset=utf-8"}, {"a.json", "application/json"}, {"a.svg", "image/svg+xml"}, {"a.png", "image/png"},
        {"a.ico", "image/x-icon"}, {"a.webp", "image/webp"}, {"a.txt", "text/plain; charset=utf-8"}, {"a.woff2", "font/woff2"},
        {"a.exe", "application/octet-stream"}, {"none", "application/octet-stream"}, {"a.html.bak", "application/octet-stream"},
    };
    for (size_t i = 0; i < ROWS(names); i++)
        put(names[i][0], "same", 4);
    put("zero.txt", "", 0);
    put("other.txt", "s\0me", 4);
    struct static_files *f = must_load_files();
    for (size_t i = 0; i < ROWS(names); i++) {
        char path[40];
        snprintf(path, sizeof(path), "/%s", names[i][0]);
        const struct static_file *file = get(f, path);
        assert_non_null(file);
        assert_string_equal(file->type, names[i][1]);
        assert_int_equal(file->len, 4);
        assert_memory_equal(file->content, "same", 4);
        assert_string_equal(file->etag, "\"0967115f2813a3541eaef77de9d9d577\""); /* SHA-256 of "same", half of it */
    }
    assert_ptr_equal(get(f, "/"), get(f, "/index.html"));
    assert_int_equal(get(f, "/zero.txt")->len, 0);
    assert_memory_equal(get(f, "/other.txt")->content, "s\0me", 4);
    assert_string_not_equal(get(f, "/other.txt")->etag, get(f, "/zero.txt")->etag);
    static_files_free(f);
    static_files_free(NULL);
}

/* Only what was read at the start is there: no path leads anywhere else. */
static void test_no_escape(void **state)
{
    (void)state;
    char outside[80], climb[160];
    put("index.html", "x", 1);
    put(".secret", "x", 1);
    make_dir("sub");
    put("sub/page.html", "x", 1);
    make_dir(".git");
    put(".git/config", "x", 1);
    make_dir("node_modules");
    put("node_modules/x.js", "x", 1);
    snprintf(outside, sizeof(outside), "%s.outside", root);
    FILE *out = fopen(outside, "w");
    assert_non_null(out);
    fclose(out);
    snprintf(climb, sizeof(climb), "/../%s", strrchr(outside, '/') + 1);
    struct static_files *f = must_load_files();
    static const char *const none[] = {
        "", "//", "index.html", "/index.htm", "/index.html/", "/INDEX.HTML", "//index.html", "/./index.html", "/sub", "/sub/",
        "/sub/../index.html", "/sub//page.html", "/.secret", "/.git/config", "/node_modules/x.js", "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd", "/etc/passwd", "/sub\\page.html", "/index.html?x",
    };
    for (size_t i = 0; i < ROWS(none); i++)
        if (get(f, none[i]))
            fail_msg("%s: is there", none[i]);
    assert_null(get(f, climb));
    assert_null(static_files_get(f, (struct gw_str){"/index.html\0.png", 16}));
    assert_non_null(get(f, "/sub/page.html"));
    static_files_free(f);
    assert_int_equal(remove(outside), 0);
}

/* Read once: later changes do not show. */
static void test_changes_do_not_show(void **state)
{
    (void)state;
    put("a.txt", "before", 6);
    struct static_files *f = must_load_files();
    put("a.txt", "AFTER", 5);
    put("b.txt", "new", 3);
    assert_memory_equal(get(f, "/a.txt")->content, "before", 6);
    assert_null(get(f, "/b.txt"));
    static_files_free(f);
}

static void test_limits(void **state)
{
    (void)state;
    struct gw_err err = {0};
    int fd = open(at("big.png"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, 4 * 1024 * 1024), 0);
    struct static_files *f = must_load_files();
    assert_int_equal(get(f, "/big.png")->len, 4 * 1024 * 1024);
    static_files_free(f);
    assert_int_equal(ftruncate(fd, 4 * 1024 * 1024 + 1), 0);
    close(fd);
    assert_null(static_files_load(root, &err));
    assert_non_null(strstr(err.text, "big.png: static files: at most 1000 files of 4194304 bytes"));
    assert_int_equal(remove(at("big.png")), 0);

    char path[40];
    for (int i = 0; i < 1000; i++) {
        snprintf(path, sizeof(path), "%d.txt", i);
        put(path, "x", 1);
    }
    f = must_load_files();
    assert_non_null(get(f, "/999.txt"));
    static_files_free(f);
    put("one-more.txt", "x", 1);
    err = (struct gw_err){0};
    assert_null(static_files_load(root, &err));
    assert_non_null(strstr(err.text, "static files: at most 1000 files"));
}

static void test_depth(void **state)
{
    (void)state;
    char path[100] = "d", url[120];
    for (int i = 0; i < 10; i++) {
        make_dir(path);
        snprintf(url, sizeof(url), "%s/f.txt", path);
        put(url, "x", 1);
        strcat(path, "/d");
    }
    struct static_files *f = must_load_files();
    assert_non_null(get(f, "/d/d/d/d/d/d/d/d/f.txt"));
    assert_null(get(f, "/d/d/d/d/d/d/d/d/d/f.txt"));
    static_files_free(f);
}

static void test_no_directory(void **state)
{
    (void)state;
    struct gw_err err = {0};
    assert_null(static_files_load("/nowhere/at/all", &err));
    assert_string_equal(err.text, "http.static_dir: /nowhere/at/all: No such file or directory");
    struct static_files *f = static_files_load("", NULL);
    assert_non_null(f);
    assert_null(get(f, "/"));
    static_files_free(f);
}

int main(void)
{
#define WITH_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)
    const struct CMUnitTest tests[] = {
        WITH_ROOT(test_types_and_tags), WITH_ROOT(test_no_escape), WITH_ROOT(test_changes_do_not_show),
        WITH_ROOT(test_limits),         WITH_ROOT(test_depth),     cmocka_unit_test(test_no_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
