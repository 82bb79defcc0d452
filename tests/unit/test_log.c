/* Log lines as they stand on standard error: format, escaping, levels, the limit of each place, lines of several threads. */
#include "gw/log.h"

#include "gw/json.h"
#include "gw/metrics.h"

#include "unit_kit.h"

#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <sys/mman.h>

/* ---- standard error goes into a file of memory ---- */

static int real_stderr = -1, captured = -1;

static void capture(void)
{
    fflush(stderr);
    real_stderr = dup(STDERR_FILENO);
    captured = memfd_create("stderr", MFD_CLOEXEC);
    assert_true(real_stderr >= 0 && captured >= 0);
    dup2(captured, STDERR_FILENO);
}

/* Owned by the caller. */
static char *captured_text(void)
{
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    off_t size = lseek(captured, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);
    assert_int_equal(pread(captured, text, (size_t)size, 0), size);
    close(captured);
    return text;
}

static size_t lines_in(const char *text)
{
    size_t n = 0;
    for (; (text = strchr(text, '\n')); text++)
        n++;
    return n;
}

static bool matches(const char *text, const char *pattern)
{
    regex_t re;
    assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool yes = regexec(&re, text, 0, NULL, 0) == 0;
    regfree(&re);
    return yes;
}

#define TIME "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"

/* ---- one line ---- */

static const struct {
    struct gw_log_field field;
    const char *logfmt, *json;
} rows[] = {
    {{.key = "n", .kind = GW_FIELD_INT, .num = -7}, " n=-7", ",\"n\":-7"},
    {{.key = "f", .kind = GW_FIELD_NUM, .real = 0.25}, " f=0.25", ",\"f\":0.25"},
    {{.key = "s", .str = {"plain:/.-_", 10}}, " s=plain:/.-_", ",\"s\":\"plain:/.-_\""},
    {{.key = "s", .str = {"", 0}}, " s=\"\"", ",\"s\":\"\""},
    {{.key = "s", .str = {NULL, 0}}, "", ""},
    {{.key = "s", .str = {"two words", 9}}, " s=\"two words\"", ",\"s\":\"two words\""},
    {{.key = "s", .str = {"a=b", 3}}, " s=\"a=b\"", ",\"s\":\"a=b\""},
    {{.key = "s", .str = {"q\"q", 3}}, " s=\"q\\\"q\"", ",\"s\":\"q\\\"q\""},
    {{.key = "s", .str = {"b\\s", 3}}, " s=\"b\\\\s\"", ",\"s\":\"b\\\\s\""},
    {{.key = "s", .str = {"x\nlevel=error", 13}}, " s=\"x\\nlevel=error\"", ",\"s\":\"x\\nlevel=error\""},
    {{.key = "s", .str = {"\x1B[31m", 5}}, " s=\"\\u001b[31m\"", ",\"s\":\"\\u001b[31m\""},
    {{.key = "s", .str = {"\0", 1}}, " s=\"\\u0000\"", ",\"s\":\"\\u0000\""},
    {{.key = "s", .str = {"\x7F", 1}}, " s=\"\\u007f\"", ",\"s\":\"\\u007f\""},
    {{.key = "s", .str = {"\xC3\xA9", 2}}, " s=\"\xC3\xA9\"", ",\"s\":\"\xC3\xA9\""},
    {{.key = "s", .str = {"\xFF", 1}}, " s=\"\xEF\xBF\xBD\"", ",\"s\":\"\xEF\xBF\xBD\""},
};

static void test_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * ROWS(rows); i++) {
        bool json = i >= ROWS(rows);
        const struct gw_log_field fields[] = {rows[i % ROWS(rows)].field, {0}};
        gw_log_setup(GW_LOG_INFO, json ? GW_LOG_JSON : GW_LOG_LOGFMT);
        capture();
        gw_log_write(NULL, GW_LOG_WARN, "a.test", fields);
        char *text = captured_text();
        const char *head = json ? "^\\{\"time\":\"" TIME "\",\"level\":\"warn\",\"event\":\"a.test\"" : "^time=" TIME " level=warn event=a.test";
        const char *tail = strstr(text, "a.test");
        char want[200];
        snprintf(want, sizeof(want), json ? "a.test\"%s}\n" : "a.test%s\n", json ? rows[i % ROWS(rows)].json : rows[i % ROWS(rows)].logfmt);
        if (!matches(text, head) || !tail || strcmp(tail, want) != 0)
            fail_msg("row %zu: %s", i % ROWS(rows), text);
        if (json)
            assert_int_equal(gw_json_scan(gw_str_of(text), NULL, NULL, NULL, NULL), 0);
        free(text);
    }
    gw_log_setup(GW_LOG_INFO, GW_LOG_LOGFMT);
}

static void test_several_fields(void **state)
{
    (void)state;
    char long_text[2000];
    memset(long_text, 'x', sizeof(long_text));
    capture();
    GW_LOG(GW_LOG_INFO, "many", GW_KS("a", "1"), GW_KI("b", 2), GW_KF("c", 3.5), GW_KS("d", NULL),
           GW_KV("e", ((struct gw_str){long_text, sizeof(long_text)})));
    GW_LOG(GW_LOG_ERROR, "bare");
    char *text = captured_text();
    assert_true(matches(text, "^time=" TIME " level=info event=many a=1 b=2 c=3.5 e=x+\ntime=" TIME " level=error event=bare\n$"));
    assert_int_equal(strspn(strstr(text, " e=") + 3, "x"), 512); /* cut */
    free(text);
}

static void test_levels(void **state)
{
    (void)state;
    static const enum gw_log_level levels[] = {GW_LOG_DEBUG, GW_LOG_INFO, GW_LOG_WARN, GW_LOG_ERROR};
    for (size_t min = 0; min < ROWS(levels); min++) {
        gw_log_setup(levels[min], GW_LOG_LOGFMT);
        capture();
        for (size_t i = 0; i < ROWS(levels); i++) {
            assert_int_equal(gw_log_enabled(levels[i]), i >= min);
            GW_LOG(levels[i], "x", GW_KI("i", i));
        }
        char *text = captured_text();
        assert_int_equal(lines_in(text), ROWS(levels) - min);
        free(text);
    }
    gw_log_setup(GW_LOG_INFO, GW_LOG_LOGFMT);
}

/* ---- the limit of each place ---- */

static void test_rate_limit(void **state)
{
    (void)state;
    const struct gw_log_field none[] = {{0}};
    struct gw_log_site site = {0}, other = {0};
    int64_t before = gw_metric_sum(GW_M_LOG_SUPPRESSED);
    capture();
    for (int i = 0; i < GW_LOG_SITE_LINES_MAX + 30; i++)
        gw_log_write(&site, GW_LOG_INFO, "often", none);
    gw_log_write(&other, GW_LOG_INFO, "elsewhere", none); /* has its own limit */
    site.window_start_ms -= GW_LOG_SITE_WINDOW_MS;        /* as if the time had passed */
    gw_log_write(&site, GW_LOG_INFO, "again", none);
    gw_log_write(&site, GW_LOG_INFO, "once-more", none);
    char *text = captured_text();
    assert_int_equal(gw_metric_sum(GW_M_LOG_SUPPRESSED) - before, 30);
    assert_int_equal(lines_in(text), GW_LOG_SITE_LINES_MAX + 3);
    assert_non_null(strstr(text, "event=elsewhere\n"));
    assert_non_null(strstr(text, "event=again suppressed=30\n"));
    assert_non_null(strstr(text, "event=once-more\n"));
    free(text);
}

#define WRITERS 4
#define LINES 300

static void *write_lines(void *arg)
{
    char text[400];
    int me = *(int *)arg;
    memset(text, 'a' + me, sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < LINES; i++)
        gw_log_write(NULL, GW_LOG_INFO, "line", (const struct gw_log_field[]){GW_KI("n", i), GW_KS("text", text), {0}});
    return NULL;
}

static void test_threads_do_not_mix(void **state)
{
    (void)state;
    pthread_t threads[WRITERS];
    int numbers[WRITERS], next[WRITERS] = {0};
    capture();
    int flags = fcntl(STDERR_FILENO, F_GETFL);
    fcntl(STDERR_FILENO, F_SETFL, flags | O_APPEND); /* as standard error of a service is */
    for (int i = 0; i < WRITERS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &numbers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    char *text = captured_text(), *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) && *line;) {
        char *n = strstr(line, " event=line n="), *value = strstr(line, " text=");
        assert_true(strncmp(line, "time=", 5) == 0 && n && value);
        int who = value[6] - 'a';
        assert_in_range(who, 0, WRITERS - 1);
        assert_int_equal(atoi(n + 14), next[who]++);
        assert_int_equal(strspn(value + 6, (char[]){value[6], '\0'}), 399);
        assert_int_equal(strlen(value), 6 + 399);
    }
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(next[i], LINES);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),     cmocka_unit_test(test_several_fields),
        cmocka_unit_test(test_levels),     cmocka_unit_test(test_rate_limit),
        cmocka_unit_test(test_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
