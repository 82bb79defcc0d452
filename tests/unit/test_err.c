/* Errors for people, and time. */
#include "gw/err.h"

#include "unit_kit.h"

#include <time.h>

static void test_first_error_wins(void **state)
{
    (void)state;
    struct gw_err err = {0};
    gw_err_prefix(&err, "nothing to put it in front of");
    assert_false(err.set);
    assert_int_equal(gw_err_set(&err, "expected %d, got %s", 3, "four"), -1);
    assert_true(err.set);
    assert_int_equal(gw_err_set(&err, "a later one"), -1);
    assert_string_equal(err.text, "expected 3, got four");
    gw_err_prefix(&err, "rooms[%d]", 2);
    gw_err_prefix(&err, "x.yaml:7");
    assert_string_equal(err.text, "x.yaml:7: rooms[2]: expected 3, got four");
}

static void test_no_error_wanted(void **state)
{
    (void)state;
    assert_int_equal(gw_err_set(NULL, "%s", "x"), -1);
    gw_err_prefix(NULL, "x");
}

/* A text is cut at its end, never a byte further; the context in front stays whole. */
static void test_long_texts(void **state)
{
    (void)state;
    char text[2000];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    struct gw_err err = {0};
    gw_err_set(&err, "%s", text);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    gw_err_prefix(&err, "context");
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    assert_memory_equal(err.text, "context: xxx", 12);
    for (size_t n = sizeof(err.text) - 5; n <= sizeof(err.text) + 5; n++) {
        struct gw_err two = {0};
        gw_err_set(&two, "inner");
        gw_err_prefix(&two, "%.*s", (int)n, text);
        assert_true(strlen(two.text) < sizeof(two.text));
        assert_memory_equal(two.text, text, sizeof(two.text) - 10);
    }
}

static void test_rfc3339(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1, "1970-01-01T00:00:00.001Z"},
        {951782399999, "2000-02-28T23:59:59.999Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {1767225600000, "2026-01-01T00:00:00.000Z"},
        {1767225600042, "2026-01-01T00:00:00.042Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
    };
    setenv("TZ", "America/New_York", 1); /* UTC all the same */
    tzset();
    for (size_t i = 0; i < ROWS(rows); i++) {
        char out[25];
        gw_clock_rfc3339(rows[i].ms, out);
        assert_string_equal(out, rows[i].text);
    }
}

static void test_clocks(void **state)
{
    (void)state;
    int64_t before = (int64_t)time(NULL) * 1000, wall = gw_clock_wall_ms();
    assert_true(wall >= before - 1000 && wall <= (int64_t)time(NULL) * 1000 + 2000);
    int64_t last = gw_clock_mono_ms();
    for (int i = 0; i < 1000; i++) {
        int64_t now = gw_clock_mono_ms();
        assert_true(now >= last);
        last = now;
    }
    AWAIT(gw_clock_mono_ms() > last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_error_wins), cmocka_unit_test(test_no_error_wanted), cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_rfc3339),          cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
