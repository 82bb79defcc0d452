/* The development key: made once, for its owner alone, the same for all who start in one directory, however many at once. */
#include "gw/dev.h"

#include "gw/auth.h"
#include "gw/json.h"

#include "unit_kit.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define KEY_FILE ".sluice-dev/hs256.secret"

static char root[64];
static int home;

static int enter_root(void **state)
{
    (void)state;
    home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    strcpy(root, "/tmp/gw-dev-XXXXXX");
    return mkdtemp(root) && chdir(root) == 0 ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static int leave_root(void **state)
{
    (void)state;
    int rc = fchdir(home);
    close(home);
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 && rc == 0 ? 0 : -1;
}

static void read_key(struct gw_buf *key)
{
    struct gw_err err = {0};
    gw_buf_clear(key);
    if (gw_dev_key(key, &err) != 0)
        fail_msg("%s", err.text);
}

static size_t files_in_key_dir(void)
{
    DIR *d = opendir(".sluice-dev");
    size_t n = 0;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void test_made_once(void **state)
{
    (void)state;
    struct gw_buf first = {0}, again = {0};
    struct gw_err err = {0};
    struct stat st;
    mode_t before = umask(0);
    read_key(&first);
    umask(before);
    assert_int_equal(first.len, 64); /* 48 random bytes in base64 */
    assert_int_equal(stat(KEY_FILE, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(".sluice-dev", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(files_in_key_dir(), 1);
    assert_string_equal(gw_dev_key_file(&err), KEY_FILE);
    read_key(&again);
    assert_true(gw_str_eq(gw_buf_str(&first), gw_buf_str(&again)));
    assert_int_equal(remove(KEY_FILE), 0);
    read_key(&again);
    assert_false(gw_str_eq(gw_buf_str(&first), gw_buf_str(&again)));
    gw_buf_fini(&first);
    gw_buf_fini(&again);
}

/* What a process of the same number left behind when it was killed, or is writing now in another container. */
static void test_leftovers_do_no_harm(void **state)
{
    (void)state;
    char name[80];
    struct gw_buf key = {0};
    assert_int_equal(mkdir(".sluice-dev", 0700), 0);
    snprintf(name, sizeof(name), KEY_FILE ".%d", (int)getpid());
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    read_key(&key);
    assert_int_equal(key.len, 64);
    gw_buf_fini(&key);
}

static void test_no_place(void **state)
{
    (void)state;
    struct gw_err err = {0};
    struct gw_buf key = {0};
    int fd = open(".sluice-dev", O_WRONLY | O_CREAT | O_CLOEXEC, 0600); /* a file where the directory should be */
    close(fd);
    assert_null(gw_dev_key_file(&err));
    assert_non_null(strstr(err.text, "cannot write " KEY_FILE));
    assert_int_equal(gw_dev_key(&key, NULL), -1);
    gw_buf_fini(&key);
}

/* ---- several at once ---- */

#define PROCESSES 6

/* Waits for the start, makes the key and tells it. */
static void child(int start, int tell)
{
    char c;
    struct gw_buf key = {0};
    bool ok = read(start, &c, 1) == 0; /* the parent closes its end */
    ok = ok && gw_dev_key(&key, NULL) == 0 && write(tell, key.data, key.len) == (ssize_t)key.len;
    _exit(ok ? 0 : 1);
}

static void race(void)
{
    int start[2], told[PROCESSES][2];
    pid_t pid[PROCESSES];
    assert_int_equal(pipe(start), 0);
    for (int i = 0; i < PROCESSES; i++) {
        assert_int_equal(pipe(told[i]), 0);
        pid[i] = fork();
        assert_true(pid[i] >= 0);
        if (pid[i] == 0) {
            close(start[1]);
            child(start[0], told[i][1]);
        }
        close(told[i][1]);
    }
    close(start[0]);
    close(start[1]);
    char keys[PROCESSES][100];
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        assert_int_equal(read(told[i][0], keys[i], sizeof(keys[i])), 64);
        close(told[i][0]);
        assert_memory_equal(keys[i], keys[0], 64);
    }
    assert_int_equal(files_in_key_dir(), 1);
}

static void test_race(void **state)
{
    (void)state;
    for (int i = 0; i < 15; i++) {
        race();
        assert_int_equal(remove(KEY_FILE), 0);
        if (i % 2)
            assert_int_equal(rmdir(".sluice-dev"), 0);
    }
}

/* ---- people and tokens ---- */

static void test_tokens_for_people(void **state)
{
    (void)state;
    struct gw_buf json = {0};
    gw_dev_people(NULL, &json);
    assert_int_equal(gw_json_scan(gw_buf_str(&json), NULL, NULL, NULL, NULL), 0);
    assert_non_null(strstr(gw_buf_c(&json), "{\"user\":\"u1\",\"name\":\"Ada\""));
    gw_buf_clear(&json);
    assert_int_equal(gw_dev_token(NULL, GW_STR("nobody"), &json), -1);
    assert_int_equal(gw_dev_token(NULL, GW_STR("u"), &json), -1);
    assert_int_equal(json.len, 0);
    assert_int_equal(gw_dev_token(NULL, GW_STR("u2"), &json), 0);
    static const char *const wanted[] = {"token", "user", "expires"};
    struct gw_json_paths *paths = gw_json_paths_new(wanted, 3, NULL);
    struct gw_json_val v[3];
    struct gw_json_out out = {.vals = v};
    int64_t expires;
    assert_int_equal(gw_json_scan(gw_buf_str(&json), NULL, paths, &out, NULL), 0);
    expect_str("user", v[1].raw, "\"u2\"");
    assert_int_equal(gw_json_i64(&v[2], &expires), 0);
    assert_in_range(expires - gw_clock_wall_ms() / 1000, 890, 901);
    gw_json_paths_free(paths);
    gw_buf_fini(&json);
}

int main(void)
{
#define IN_ROOT(test) cmocka_unit_test_setup_teardown(test, enter_root, leave_root)
    const struct CMUnitTest tests[] = {
        IN_ROOT(test_made_once), IN_ROOT(test_leftovers_do_no_harm), IN_ROOT(test_no_place),
        IN_ROOT(test_race),      IN_ROOT(test_tokens_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
