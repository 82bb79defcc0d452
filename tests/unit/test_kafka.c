/* The reader against the embedded broker: where it starts, what it hands over, what it does when Kafka or the hub is in
 * trouble. What only a real broker shows (deleted topics, more partitions, transactions) is in tests/e2e. */
#include "kafka_kit.h"

/* hub notes [at, at + count) are first, first + 1 ... of one partition, with rising offsets. */
static void expect_numbers(struct kit *k, int first, int count, size_t at)
{
    AWAIT(hub_flushed(k->hub) >= at + (size_t)count);
    int64_t before = -1;
    for (int i = 0; i < count; i++) {
        struct seen s = hub_at(k->hub, at + (size_t)i);
        char expected[32];
        snprintf(expected, sizeof(expected), "{\"n\":%d}", first + i);
        assert_string_equal(s.value, expected);
        assert_true(s.offset > before);
        before = s.offset;
    }
}

static void test_from_the_end(void **state)
{
    (void)state;
    struct kit k;
    kit_start(&k, "[events]", "");
    gw_embedded_create_topic(k.broker, "events", 4, NULL);
    kit_put_numbers(&k, "events", 1, 0, 5);
    kit_read(&k);
    assert_int_equal(gw_reader_state(k.reader), GW_KAFKA_UP);
    assert_int_equal(atomic_load(&k.states[GW_KAFKA_UP]), 1);
    AWAIT(hub_next(k.hub, 1) == 5); /* the start is a position before there is a record */
    int64_t before = gw_clock_wall_ms();
    kit_put_numbers(&k, "events", 1, 5, 5);
    expect_numbers(&k, 5, 5, 0);
    struct seen s = hub_at(k.hub, 0);
    assert_string_equal(s.topic, "events");
    assert_string_equal(s.event, "test.event");
    assert_string_equal(s.room, "all:events");
    assert_string_equal(s.key, "k");
    assert_int_equal(s.partition, 1);
    assert_int_equal(s.offset, 5);
    assert_true(s.time_ms >= before - 1000 && s.time_ms <= gw_clock_wall_ms() + 1000);
    AWAIT(hub_next(k.hub, 1) == 10);
    kit_stop(&k);
}

static void test_headers_and_null_key(void **state)
{
    (void)state;
    struct kit k;
    kit_start(&k, "[events]", "");
    kit_read(&k);
    const struct gw_record_header h[] = {{GW_STR("a"), GW_STR("1")}, {GW_STR("b"), {NULL, 0}}};
    struct gw_produce rec = {.topic = "events", .value = GW_STR("{\"n\":1}"), .headers = h, .nheaders = 2};
    assert_int_equal(gw_producer_send(k.producer, &rec, NULL), 0);
    AWAIT(hub_flushed(k.hub) == 1);
    struct seen s = hub_at(k.hub, 0);
    assert_true(s.null_key);
    assert_int_equal(s.nheaders, 2);
    assert_string_equal(s.header, "1");
    kit_stop(&k);
}

/* Made while the gateway runs: nothing of it may be lost, however late it is found. */
static void test_new_topic_from_its_beginning(void **state)
{
    (void)state;
    struct kit k;
    kit_start(&k, "['^room\\.']", "");
    gw_embedded_create_topic(k.broker, "room.old", 1, NULL);
    gw_embedded_create_topic(k.broker, "other", 1, NULL);
    kit_put_numbers(&k, "room.old", 0, 0, 3);
    kit_read(&k);
    kit_put_numbers(&k, "other", 0, 100, 3);
    kit_put_numbers(&k, "room.new", 0, 0, 50);
    expect_numbers(&k, 0, 50, 0);
    assert_string_equal(hub_at(k.hub, 0).topic, "room.new");
    kit_put_numbers(&k, "room.old", 0, 3, 1);
    expect_numbers(&k, 3, 1, 50);
    assert_string_equal(hub_at(k.hub, 50).topic, "room.old");
    kit_stop(&k);
}

static bool shows(struct kit *k, const char *text)
{
    struct gw_buf out;
    gw_buf_init(&out);
    gw_kafka_metrics(k->reader, k->producer, &out);
    bool found = strstr(gw_buf_c(&out), text) != NULL;
    gw_buf_fini(&out);
    return found;
}

/* A topic that one answer does not name is kept; one that several do not name is gone, and new when it comes back. */
static void test_topic_gone_and_back(void **state)
{
    (void)state;
    struct kit k;
    kit_start(&k, "['^room\\.']", "");
    gw_embedded_create_topic(k.broker, "room.a", 1, NULL);
    kit_put_numbers(&k, "room.a", 0, 0, 3);
    kit_read(&k);
    assert_true(shows(&k, "sluice_consumer_position{topic=\"room.a\",partition=\"0\"} 3\n"));
    rd_kafka_mock_topic_set_error(gw_embedded_cluster(k.broker), "room.a", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    AWAIT(!shows(&k, "room.a"));
    rd_kafka_mock_topic_set_error(gw_embedded_cluster(k.broker), "room.a", RD_KAFKA_RESP_ERR_NO_ERROR);
    expect_numbers(&k, 0, 3, 0);
    kit_stop(&k);
}

static void test_broker_away_and_back(void **state)
{
    (void)state;
    struct kit k;
    kit_start(&k, "[events]", "");
    kit_read(&k);
    kit_put_numbers(&k, "events", 0, 0, 10);
    expect_numbers(&k, 0, 10, 0);
    rd_kafka_mock_broker_set_down(gw_embedded_cluster(k.broker), 1);
    AWAIT(atomic_load(&k.states[GW_KAFKA_DOWN]) == 1);
    assert_false(gw_reader_ready(k.reader));
    rd_kafka_mock_broker_set_up(gw_embedded_cluster(k.broker), 1);
    AWAIT(atomic_load(&k.states[GW_KAFKA_UP]) == 2);
    assert_true(gw_reader_ready(k.reader));
    kit_put_numbers(&k, "events", 0, 10, 200);
    expect_numbers(&k, 10, 200, 10);
    assert_int_equal(hub_flushed(k.hub), 210); /* nothing twice */
    kit_stop(&k);
}

/* Kafka away at the start: connecting, then down; up when it comes. */
static void test_broker_late(void **state)
{
    (void)state;
    struct kit k;
    struct gw_err err = {0};
    kit_start(&k, "[events]", "");
    rd_kafka_mock_broker_set_down(gw_embedded_cluster(k.broker), 1);
    k.reader = gw_reader_start(k.cfg, k.routes, k.hub, k.producer, kit_on_state, &k, &err);
    assert_non_null(k.reader);
    assert_int_equal(gw_reader_state(k.reader), GW_KAFKA_CONNECTING);
    AWAIT(gw_reader_state(k.reader) == GW_KAFKA_DOWN);
    rd_kafka_mock_broker_set_up(gw_embedded_cluster(k.broker), 1);
    AWAIT(gw_reader_ready(k.reader));
    kit_put_numbers(&k, "events", 0, 0, 3);
    expect_numbers(&k, 0, 3, 0);
    kit_stop(&k);
}

/* A hub that takes nothing stops the fetching; afterwards all is there, once, in order. */
static void test_back_pressure(void **state)
{
    (void)state;
    struct kit k;
    enum { RECORDS = 2000, SIZE = 1000 };
    kit_start(&k, "[events]", "  queue_kbytes: 64\n  properties: {statistics.interval.ms: 100, fetch.message.max.bytes: 50000}\n");
    kit_read(&k);
    hub_set(k.hub, true, false);
    char *value = malloc(SIZE);
    memset(value, ' ', SIZE);
    for (int i = 0; i < RECORDS; i++) {
        int n = snprintf(value, SIZE, "{\"n\":%d}", i);
        value[n] = ' ';
        kit_put(&k, "events", 0, value, SIZE);
    }
    free(value);
    assert_int_equal(rd_kafka_flush(k.client, WAIT_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    AWAIT(hub_blocked(k.hub));
    AWAIT(!shows(&k, "sluice_kafka_messages_total{client=\"consumer\",direction=\"received\"} 0\n")); /* statistics have come */
    assert_int_equal(hub_flushed(k.hub), 0);
    assert_false(shows(&k, "sluice_kafka_messages_total{client=\"consumer\",direction=\"received\"} 2000\n"));
    hub_set(k.hub, false, false);
    AWAIT(hub_flushed(k.hub) == RECORDS);
    for (int i = 0; i < RECORDS; i++)
        assert_int_equal(hub_at(k.hub, (size_t)i).offset, i);
    kit_stop(&k);
}

/* While the hub takes nothing, retention removes what was not read: the reader goes on with the oldest that is left, and says so. */
static void test_retention_overtakes(void **state)
{
    (void)state;
    struct kit k;
    enum { RECORDS = 8000, SIZE = 1000 };
    int64_t resets = gw_metric_sum(GW_M_OFFSET_RESETS);
    kit_start(&k, "[events]", "  queue_kbytes: 64\n  properties: {fetch.message.max.bytes: 50000}\n");
    kit_read(&k);
    hub_set(k.hub, true, false);
    char *value = malloc(SIZE);
    memset(value, ' ', SIZE);
    memcpy(value, "{\"n\":1}", 7);
    for (int i = 0; i < RECORDS; i++) /* the embedded broker keeps 5 MB */
        kit_put(&k, "events", 0, value, SIZE);
    free(value);
    assert_int_equal(rd_kafka_flush(k.client, WAIT_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    hub_set(k.hub, false, false);
    AWAIT(hub_next(k.hub, 0) == RECORDS);
    assert_int_equal(gw_metric_sum(GW_M_OFFSET_RESETS) - resets, 1);
    size_t n = hub_flushed(k.hub);
    assert_true(n < RECORDS);
    for (size_t i = 1; i < n; i++)
        assert_true(hub_at(k.hub, i).offset > hub_at(k.hub, i - 1).offset);
    assert_int_equal(hub_at(k.hub, n - 1).offset, RECORDS - 1);
    kit_stop(&k);
}

/* A broker that denies an offset which is there: the reader asks, and goes on where it was. */
static void test_false_out_of_range(void **state)
{
    (void)state;
    struct kit k;
    int64_t resets = gw_metric_sum(GW_M_OFFSET_RESETS);
    kit_start(&k, "[events]", "");
    gw_embedded_create_topic(k.broker, "events", 2, NULL);
    kit_read(&k);
    kit_put_numbers(&k, "events", 0, 0, 10);
    expect_numbers(&k, 0, 10, 0);
    rd_kafka_mock_push_request_errors(gw_embedded_cluster(k.broker), 1 /* Fetch */, 1, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE);
    kit_put_numbers(&k, "events", 0, 10, 100);
    expect_numbers(&k, 10, 100, 10);
    assert_int_equal(hub_flushed(k.hub), 110);
    assert_int_equal(gw_metric_sum(GW_M_OFFSET_RESETS), resets);
    kit_stop(&k);
}

/* Ends that cannot be told at first are asked for again; others do not wait for them. */
static void test_ends_refused_at_first(void **state)
{
    (void)state;
    struct kit k;
    kit_start(&k, "[events]", "");
    gw_embedded_create_topic(k.broker, "events", 4, NULL);
    kit_put_numbers(&k, "events", 2, 0, 3);
    rd_kafka_mock_push_request_errors(gw_embedded_cluster(k.broker), 2 /* ListOffsets */, 3, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                      RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_UNKNOWN);
    kit_read(&k);
    kit_put_numbers(&k, "events", 2, 3, 3);
    expect_numbers(&k, 3, 3, 0);
    kit_stop(&k);
}

static void test_new_routes(void **state)
{
    (void)state;
    struct kit k;
    struct gw_err err = {0};
    kit_start(&k, "[one, two]", "");
    gw_embedded_create_topic(k.broker, "three", 1, NULL);
    kit_put_numbers(&k, "three", 0, 0, 5);
    kit_read(&k);
    kit_put_numbers(&k, "one", 0, 0, 1);
    expect_numbers(&k, 0, 1, 0);
    struct gw_config *cfg = kit_config(k.broker, "[two, three]", "");
    struct gw_routes *routes = gw_routes_new(cfg, &err);
    assert_non_null(routes);
    gw_reader_set_routes(k.reader, routes);
    gw_routes_free(k.routes); /* nobody looks at them any more */
    k.routes = routes;
    AWAIT(!shows(&k, "topic=\"one\""));
    AWAIT(shows(&k, "sluice_consumer_position{topic=\"three\",partition=\"0\"} 5\n")); /* an old topic: from its end */
    kit_put_numbers(&k, "one", 0, 1, 1);
    kit_put_numbers(&k, "two", 0, 2, 1);
    expect_numbers(&k, 2, 1, 1);
    kit_put_numbers(&k, "three", 0, 3, 1);
    expect_numbers(&k, 3, 1, 2);
    kit_stop(&k);
    gw_config_free(cfg);
}

static void test_counters_and_metrics(void **state)
{
    (void)state;
    struct kit k;
    kit_start(&k, "[events]", "  properties: {statistics.interval.ms: 100}\n");
    kit_read(&k);
    int64_t read = gw_metric_sum(GW_M_EVENTS_READ), bytes = gw_metric_sum(GW_M_EVENT_BYTES_READ);
    int64_t tombstones = gw_metric_sum(GW_M_DROP_TOMBSTONE);
    assert_int_equal(gw_metric_sum(GW_M_KAFKA_UP), 1);
    kit_put_numbers(&k, "events", 3, 0, 10);
    kit_put(&k, "events", 3, NULL, 0);
    expect_numbers(&k, 0, 10, 0);
    AWAIT(gw_metric_sum(GW_M_EVENTS_READ) == read + 11);
    assert_int_equal(gw_metric_sum(GW_M_EVENT_BYTES_READ), bytes + 70);
    assert_int_equal(gw_metric_sum(GW_M_DROP_TOMBSTONE), tombstones + 1);
    AWAIT(shows(&k, "sluice_consumer_lag{topic=\"events\",partition=\"3\"} 0\n"));
    assert_true(shows(&k, "sluice_consumer_position{topic=\"events\",partition=\"3\"} 11\n"));
    AWAIT(shows(&k, "sluice_kafka_messages_total{client=\"consumer\",direction=\"received\"} 11\n"));
    AWAIT(shows(&k, "sluice_kafka_request_latency_seconds{client=\"consumer\",broker=\"127.0.0.1:"));
    assert_true(shows(&k, "sluice_producer_queue 0\n"));
    kit_stop(&k);
    assert_int_equal(gw_metric_sum(GW_M_KAFKA_UP), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_the_end),
        cmocka_unit_test(test_headers_and_null_key),
        cmocka_unit_test(test_new_topic_from_its_beginning),
        cmocka_unit_test(test_topic_gone_and_back),
        cmocka_unit_test(test_broker_away_and_back),
        cmocka_unit_test(test_broker_late),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_retention_overtakes),
        cmocka_unit_test(test_false_out_of_range),
        cmocka_unit_test(test_ends_refused_at_first),
        cmocka_unit_test(test_new_routes),
        cmocka_unit_test(test_counters_and_metrics),
    };
    return cmocka_run_group_tests_name("kafka", tests, NULL, NULL);
}
