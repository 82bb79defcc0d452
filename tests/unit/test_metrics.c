/* Metrics: sums over threads, buckets, the Prometheus text and its tables. */
#include "gw/metrics.h"

#include "unit_kit.h"

#include <pthread.h>

static void *add_some(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        gw_metric_add(GW_M_EVENTS_READ, 3);
        gw_metric_add(GW_M_CONNECTIONS, i % 2 ? -1 : 2);
    }
    return NULL;
}

static void test_sums_over_threads(void **state)
{
    (void)state;
    pthread_t threads[8];
    int64_t events = gw_metric_sum(GW_M_EVENTS_READ), connections = gw_metric_sum(GW_M_CONNECTIONS);
    add_some(NULL);
    for (size_t i = 0; i < ROWS(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_some, NULL), 0);
    for (int i = 0; i < 1000; i++) /* reading while they write */
        assert_in_range(gw_metric_sum(GW_M_EVENTS_READ) - events, 3000, 9 * 3000);
    for (size_t i = 0; i < ROWS(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(gw_metric_sum(GW_M_EVENTS_READ) - events, 9 * 3000); /* threads that ended count */
    assert_int_equal(gw_metric_sum(GW_M_CONNECTIONS) - connections, 9 * 500);
    gw_metric_add(GW_M_CONNECTIONS, -100000);
    assert_int_equal(gw_metric_sum(GW_M_CONNECTIONS) - connections, 9 * 500 - 100000);
}

/* ---- the text ---- */

/* The value of the line that begins with `series` and a space. */
static double value_of(const char *text, const char *series)
{
    size_t n = strlen(series);
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, series, n) == 0 && line[n] == ' ')
            return atof(line + n + 1);
    fail_msg("no series %s", series);
    return 0;
}

static void test_histogram(void **state)
{
    (void)state;
    static const int64_t us[] = {0, 100, 101, 250, 999, 1000, 60000000, 60000001, 3600000000};
    static const struct {
        const char *le;
        int count;
    } want[] = {{"0.0001", 2}, {"0.00025", 4}, {"0.0005", 4}, {"0.001", 6}, {"1", 6}, {"45", 6}, {"60", 7}, {"+Inf", 9}};
    for (size_t i = 0; i < ROWS(us); i++)
        gw_metric_observe_us(GW_M_DELIVERY_SECONDS, us[i]);
    struct gw_buf b = {0};
    gw_metrics_render(&b);
    const char *text = gw_buf_c(&b);
    for (size_t i = 0; i < ROWS(want); i++) {
        char series[100];
        snprintf(series, sizeof(series), "sluice_delivery_seconds_bucket{le=\"%s\"}", want[i].le);
        assert_int_equal(value_of(text, series), want[i].count);
    }
    assert_int_equal(value_of(text, "sluice_delivery_seconds_count"), ROWS(us));
    assert_int_equal(value_of(text, "sluice_delivery_seconds_sum"), 3720); /* and 2.45 ms */
    gw_buf_fini(&b);
}

/* Text format 0.0.4: a family's HELP, TYPE and samples stand together, once. */
struct reading {
    char family[80];
    char seen[200][80];
    size_t n;
    size_t samples; /* of the family at hand */
    char type[16];
};

static void read_comment(struct reading *r, const char *line)
{
    char name[80], kind[16];
    if (sscanf(line, "# HELP %79s", name) == 1) {
        assert_true(r->n == 0 || r->samples > 0);
        for (size_t i = 0; i < r->n; i++)
            if (strcmp(r->seen[i], name) == 0)
                fail_msg("%s stands in two places", name);
        assert_true(r->n < ROWS(r->seen));
        assert_true(strlen(line) > strlen("# HELP ") + strlen(name) + 1);
        strcpy(r->seen[r->n++], name);
        strcpy(r->family, name);
        r->samples = 0;
    } else if (sscanf(line, "# TYPE %79s %15s", name, kind) == 2) {
        assert_string_equal(name, r->family);
        assert_int_equal(r->samples, 0);
        strcpy(r->type, kind);
        if (strcmp(kind, "counter") == 0)
            assert_string_equal(name + strlen(name) - 6, "_total");
    } else {
        fail_msg("%s", line);
    }
}

static void read_sample(struct reading *r, const char *line)
{
    size_t n = strcspn(line, "{ ");
    const char *value = strrchr(line, ' ');
    char *end;
    assert_true(value != NULL);
    strtod(value + 1, &end);
    assert_string_equal(end, "");
    bool histogram = strcmp(r->type, "histogram") == 0;
    if (strncmp(line, r->family, strlen(r->family)) != 0 || (!histogram && n != strlen(r->family)))
        fail_msg("%s in the family %s", line, r->family);
    if (line[n] == '{')
        assert_int_equal(value[-1], '}');
    r->samples++;
}

static void test_text_format(void **state)
{
    (void)state;
    struct gw_buf b = {0};
    static struct reading r;
    gw_metrics_render(&b);
    gw_buf_c(&b);
    assert_int_equal(b.data[b.len - 1], '\n');
    char *rest = b.data, *line;
    b.data[b.len - 1] = '\0';
    while ((line = strsep(&rest, "\n")))
        if (*line == '#')
            read_comment(&r, line);
        else
            read_sample(&r, line);
    assert_true(r.n > 20);
    assert_true(r.samples > 0);
    gw_buf_fini(&b);
}

static void test_dynamic_series(void **state)
{
    (void)state;
    struct gw_buf b = {0}, labels = {0};
    gw_metrics_head(&b, "sluice_no_such_metric");
    assert_int_equal(b.len, 0);
    gw_metrics_head(&b, "sluice_consumer_lag");
    gw_metrics_label(&labels, "topic", GW_STR("a\"b\\c\nd\xC3\xA9"));
    gw_metrics_label(&labels, "partition", GW_STR("0"));
    gw_metrics_series(&b, "sluice_consumer_lag", gw_buf_c(&labels), 12345678901234);
    gw_metrics_series(&b, "sluice_consumer_lag", "", 0.5);
    assert_string_equal(gw_buf_c(&b),
                        "# HELP sluice_consumer_lag Records between the read position and the high watermark.\n"
                        "# TYPE sluice_consumer_lag gauge\n"
                        "sluice_consumer_lag{topic=\"a\\\"b\\\\c\\nd\xC3\xA9\",partition=\"0\"} 12345678901234\n"
                        "sluice_consumer_lag 0.5\n");
    gw_buf_fini(&b);
    gw_buf_fini(&labels);
}

static const struct {
    const char *name, *label, *value;
} table[] = {
#define GW_COUNTER(id, name, help) {name, NULL, NULL},
#define GW_COUNTER_L(id, name, label, value, help) {name, label, value},
#define GW_GAUGE(id, name, help) {name, NULL, NULL},
#define GW_HISTOGRAM(id, name, help) {name, NULL, NULL},
#define GW_DYNAMIC(name, kind, labels, help) {name, NULL, NULL},
#include "gw/tbl/metrics.def"
};

static void test_docs(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0, lines = 0;
    FILE *out = open_memstream(&text, &size);
    gw_metrics_docs(out);
    fclose(out);
    assert_memory_equal(text, "# Metrics\n", 10);
    for (size_t i = 0; i < ROWS(table); i++) {
        char start[120];
        snprintf(start, sizeof(start), "\n| `%s` | ", table[i].name);
        const char *row = strstr(text, start), *end = row ? strchr(row + 1, '\n') : NULL;
        if (!row || !end || strstr(end, start))
            fail_msg("%s: not there, or twice", table[i].name);
        char *line = strndup(row, (size_t)(end - row));
        if (table[i].label && (!strstr(line, table[i].label) || !strstr(line, table[i].value)))
            fail_msg("%s=%s is missing in: %s", table[i].label, table[i].value, line);
        assert_null(strstr(line, "|  |\n"));
        free(line);
        lines += i == 0 || strcmp(table[i].name, table[i - 1].name) != 0;
    }
    size_t rows = 0;
    for (const char *p = text; (p = strstr(p, "\n| `")); p++)
        rows++;
    assert_int_equal(rows, lines);
    free(text);
}

/* The limits that are counted carry the names of the options. */
static void test_limits_are_options(void **state)
{
    (void)state;
    static const char *const options[] = {
#define GW_OPT_STR(field, path, def, flags, help) path,
#define GW_OPT_INT(field, path, def, min, max, flags, help) path,
#define GW_OPT_BOOL(field, path, def, flags, help) path,
#define GW_OPT_ENUM(field, path, def, names, flags, help) path,
#include "gw/tbl/config.def"
    };
    size_t limits = 0;
    for (size_t i = 0; i < ROWS(table); i++) {
        if (!table[i].label || strcmp(table[i].label, "limit") != 0)
            continue;
        size_t k = 0;
        while (k < ROWS(options) && strcmp(options[k], table[i].value) != 0)
            k++;
        if (k == ROWS(options))
            fail_msg("limit=%s: there is no such option", table[i].value);
        limits++;
    }
    assert_true(limits > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums_over_threads), cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_text_format),       cmocka_unit_test(test_dynamic_series),
        cmocka_unit_test(test_docs),              cmocka_unit_test(test_limits_are_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
