/* Events: the part of the frame that all receivers share, and who owns what. */
#include "gw/event.h"

#include "gw/json.h"
#include "gw/map.h"

#include "unit_kit.h"

#include <pthread.h>

static const struct {
    const char *label;
    struct gw_event_init in;
    const char *tail;
} rows[] = {
    {"everything",
     {.topic = {"t", 1}, .name = {"a.b", 3}, .key = {"42", 2}, .data = {"{\"n\":1.50}", 10}, .partition = 3, .offset = 991, .time_ms = 1732179999123},
     ",\"event\":\"a.b\",\"topic\":\"t\",\"partition\":3,\"offset\":991,\"time\":1732179999123,\"key\":\"42\",\"data\":{\"n\":1.50}}"},
    {"no key, no time",
     {.topic = {"t", 1}, .name = {"e", 1}, .data = {"null", 4}, .time_ms = -1},
     ",\"event\":\"e\",\"topic\":\"t\",\"partition\":0,\"offset\":0,\"data\":null}"},
    {"time 0, empty key",
     {.topic = {"t", 1}, .name = {"e", 1}, .key = {"", 0}, .data = {"[]", 2}, .offset = INT64_MAX},
     ",\"event\":\"e\",\"topic\":\"t\",\"partition\":0,\"offset\":9223372036854775807,\"time\":0,\"key\":\"\",\"data\":[]}"},
    {"key that is escaped",
     {.topic = {"t", 1}, .name = {"\"\xC3\xA9", 3}, .key = {"a\"\n\0", 4}, .data = {"1", 1}, .time_ms = -1},
     ",\"event\":\"\\\"\xC3\xA9\",\"topic\":\"t\",\"partition\":0,\"offset\":0,\"key\":\"a\\\"\\n\\u0000\",\"data\":1}"},
    {"key that is not text",
     {.topic = {"t", 1}, .name = {"e", 1}, .key = {"\x00\xFF\x10", 3}, .data = {"1", 1}, .time_ms = -1},
     ",\"event\":\"e\",\"topic\":\"t\",\"partition\":0,\"offset\":0,\"keyBase64\":\"AP8Q\",\"data\":1}"},
    {"key cut in a character",
     {.topic = {"t", 1}, .name = {"e", 1}, .key = {"ab\xE2\x82", 4}, .data = {"1", 1}, .time_ms = -1},
     ",\"event\":\"e\",\"topic\":\"t\",\"partition\":0,\"offset\":0,\"keyBase64\":\"YWLigg==\",\"data\":1}"},
    {"line feeds between tokens",
     {.topic = {"t", 1}, .name = {"e", 1}, .data = {"\n{\n \"a\"\r\n:\n\"b\\n\"\n}\n\n", 20}, .time_ms = -1},
     ",\"event\":\"e\",\"topic\":\"t\",\"partition\":0,\"offset\":0,\"data\": {  \"a\"\r : \"b\\n\" }  }"},
    {"number with all its digits",
     {.topic = {"t", 1}, .name = {"e", 1}, .data = {"12345678901234567890.10", 23}, .time_ms = -1},
     ",\"event\":\"e\",\"topic\":\"t\",\"partition\":0,\"offset\":0,\"data\":12345678901234567890.10}"},
};

static void test_tail(void **state)
{
    (void)state;
    struct gw_buf scratch = {0}, whole = {0};
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct gw_event *ev = gw_event_new(&rows[i].in, &scratch);
        expect_str(rows[i].label, ev->tail, rows[i].tail);
        gw_buf_clear(&whole);
        gw_buf_add_c(&whole, "{\"type\":\"event\",\"rooms\":[]");
        gw_buf_add_str(&whole, ev->tail);
        struct gw_err err = {0};
        if (gw_json_scan(gw_buf_str(&whole), NULL, NULL, NULL, &err) != 0)
            fail_msg("%s: %s", rows[i].label, err.text);
        gw_event_unref(ev);
    }
    gw_buf_fini(&scratch);
    gw_buf_fini(&whole);
}

/* An event owns all its bytes. */
static void test_copies(void **state)
{
    (void)state;
    char topic[] = "topic", name[] = "name", key[] = "key", data[] = "{\"a\":1}", one[] = "session:42", two[] = "user:u1";
    struct gw_str names[] = {gw_str_of(one), gw_str_of(two)};
    struct gw_buf scratch = {0};
    struct gw_event_init in = {.topic = gw_str_of(topic), .name = gw_str_of(name), .key = gw_str_of(key), .data = gw_str_of(data),
                               .rooms = names, .nrooms = 2, .partition = 7, .offset = 8, .time_ms = 9};
    struct gw_event *ev = gw_event_new(&in, &scratch);
    memset(topic, '#', sizeof(topic));
    memset(data, '#', sizeof(data));
    memset(one, '#', sizeof(one));
    memset(two, '#', sizeof(two));
    memset(scratch.data, '#', scratch.cap);
    expect_str("topic", ev->topic, "topic");
    expect_str("tail", ev->tail, ",\"event\":\"name\",\"topic\":\"topic\",\"partition\":7,\"offset\":8,\"time\":9,\"key\":\"key\",\"data\":{\"a\":1}}");
    assert_int_equal(ev->nrooms, 2);
    expect_str("room", ev->rooms[0].name, "session:42");
    expect_str("room", ev->rooms[1].name, "user:u1");
    assert_true(ev->rooms[1].hash == gw_hash("user:u1", 7));
    assert_int_equal(ev->partition, 7);
    assert_int_equal(ev->offset, 8);
    assert_int_equal(ev->time_ms, 9);
    struct gw_event *next = gw_event_new(&(struct gw_event_init){.topic = GW_STR("x"), .name = GW_STR("y"), .data = GW_STR("2")}, &scratch);
    expect_str("topic", ev->topic, "topic"); /* the scratch is shared, its bytes are not */
    gw_event_unref(next);
    gw_event_unref(ev);
    gw_event_unref(NULL);
    gw_buf_fini(&scratch);
}

static void *ref_and_unref(void *arg)
{
    for (int i = 0; i < 20000; i++) {
        struct gw_event *ev = gw_event_ref(arg);
        gw_event_unref(ev);
    }
    gw_event_unref(arg);
    return NULL;
}

static void test_references(void **state)
{
    (void)state;
    pthread_t threads[4];
    struct gw_buf scratch = {0};
    struct gw_event *ev = gw_event_new(&(struct gw_event_init){.topic = GW_STR("x"), .name = GW_STR("y"), .data = GW_STR("2")}, &scratch);
    for (size_t i = 0; i < ROWS(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ref_and_unref, gw_event_ref(ev)), 0);
    for (size_t i = 0; i < ROWS(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&ev->refs), 1);
    gw_event_unref(ev);
    gw_buf_fini(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tail),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
