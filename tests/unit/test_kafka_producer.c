/* The producer and the dead letters against the embedded broker: acks with positions, partitions by key, exactly one answer for
 * each accepted record whatever happens, a new instance after a fatal error. */
#include "kafka_kit.h"

struct outcome {
    atomic_int answers, ok, retry;
    _Atomic int32_t partition;
    _Atomic int64_t offset;
};

static void on_done(void *arg, const struct gw_produced *result)
{
    struct outcome *o = arg;
    if (result->ok) {
        atomic_store(&o->partition, result->partition);
        atomic_store(&o->offset, result->offset);
        atomic_fetch_add(&o->ok, 1);
    } else {
        assert_non_null(result->error);
        atomic_fetch_add(&o->retry, result->retry);
    }
    atomic_fetch_add(&o->answers, 1);
}

static int put(struct kit *k, const char *topic, const char *key, struct outcome *o, struct gw_err *err)
{
    struct gw_produce rec = {.topic = topic, .key = gw_str_of(key), .value = GW_STR("{\"n\":1}"), .done = on_done, .arg = o};
    return gw_producer_send(k->producer, &rec, err);
}

/* The vectors are those of Apache Kafka's own test of Utils.murmur2. */
static void test_partition_by_key(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        int32_t hash;
    } rows[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };
    struct kit k;
    kit_start(&k, "[events]", "");
    gw_embedded_create_topic(k.broker, "spread", 7, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct outcome o = {0};
        assert_int_equal(put(&k, "spread", rows[i].key, &o, NULL), 0);
        AWAIT(atomic_load(&o.answers) == 1);
        assert_int_equal(atomic_load(&o.ok), 1);
        assert_int_equal(atomic_load(&o.partition), (rows[i].hash & 0x7fffffff) % 7);
    }
    kit_stop(&k);
}

static void test_acks_carry_positions(void **state)
{
    (void)state;
    struct kit k;
    kit_start(&k, "[events]", "");
    for (int i = 0; i < 5; i++) {
        struct outcome o = {0};
        assert_int_equal(put(&k, "actions", "same", &o, NULL), 0);
        AWAIT(atomic_load(&o.answers) == 1);
        assert_int_equal(atomic_load(&o.ok), 1);
        assert_int_equal(atomic_load(&o.offset), i);
    }
    AWAIT(gw_producer_pending(k.producer) == 0);
    kit_stop(&k);
}

static struct gw_config *timeout_config(struct kit *k, int queue)
{
    struct gw_err err = {0};
    struct gw_config_source src = {.builtin = "kafka: {}\n", .dev = true};
    char timeout[] = "SLUICE_PRODUCER_TIMEOUT_MS=500", max[64], brokers[128];
    snprintf(max, sizeof(max), "SLUICE_PRODUCER_QUEUE=%d", queue);
    snprintf(brokers, sizeof(brokers), "SLUICE_KAFKA_BROKERS=%s", gw_embedded_brokers(k->broker));
    char *const env[] = {timeout, max, brokers, NULL};
    src.env = env;
    struct gw_config *c = gw_config_load(&src, &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

static void restart_producer(struct kit *k, struct gw_config *cfg)
{
    struct gw_err err = {0};
    gw_producer_stop(k->producer, 0);
    gw_config_free(k->cfg);
    k->cfg = cfg;
    k->producer = gw_producer_start(k->cfg, &err);
    if (!k->producer)
        fail_msg("%s", err.text);
}

/* Kafka away: the queue fills, one more is refused without an answer, each accepted one is told to try again when its time is over. */
static void test_kafka_away(void **state)
{
    (void)state;
    struct kit k;
    struct outcome o = {0}, none = {0};
    struct gw_err err = {0};
    kit_start(&k, "[events]", "");
    restart_producer(&k, timeout_config(&k, 10));
    rd_kafka_mock_broker_set_down(gw_embedded_cluster(k.broker), 1);
    int64_t hits = gw_metric_sum(GW_M_LIMIT_ACTIONS);
    for (int i = 0; i < 10; i++)
        assert_int_equal(put(&k, "actions", "k", &o, NULL), 0);
    assert_int_equal(put(&k, "actions", "k", &none, &err), -1);
    assert_non_null(strstr(err.text, "producer.queue"));
    assert_int_equal(gw_metric_sum(GW_M_LIMIT_ACTIONS), hits + 1);
    AWAIT(atomic_load(&o.answers) == 10);
    assert_int_equal(atomic_load(&o.ok), 0);
    assert_int_equal(atomic_load(&o.retry), 10);
    assert_int_equal(atomic_load(&none.answers), 0);
    rd_kafka_mock_broker_set_up(gw_embedded_cluster(k.broker), 1);
    /* Some tries may still fall into the back-off. */
    struct outcome back = {0};
    int64_t until = gw_clock_mono_ms() + WAIT_MS;
    while (atomic_load(&back.ok) == 0 && gw_clock_mono_ms() < until) {
        int sent = atomic_load(&back.answers);
        assert_int_equal(put(&k, "actions", "k", &back, NULL), 0);
        AWAIT(atomic_load(&back.answers) == sent + 1);
    }
    assert_int_equal(atomic_load(&back.ok), 1);
    kit_stop(&k);
}

/* What is pending at the end is answered, and nothing is taken any more. */
static void test_stop_answers_what_is_left(void **state)
{
    (void)state;
    struct kit k;
    struct outcome o = {0};
    kit_start(&k, "[events]", "");
    rd_kafka_mock_broker_set_down(gw_embedded_cluster(k.broker), 1);
    for (int i = 0; i < 50; i++)
        assert_int_equal(put(&k, "actions", "k", &o, NULL), 0);
    int64_t before = gw_clock_mono_ms();
    gw_producer_stop(k.producer, 100);
    k.producer = NULL;
    assert_int_equal(atomic_load(&o.answers), 50);
    assert_int_equal(atomic_load(&o.ok), 0);
    assert_int_equal(atomic_load(&o.retry), 50);
    assert_true(gw_clock_mono_ms() - before < 8000);
    kit_stop(&k);
}

static void break_it(rd_kafka_t *rk, void *arg)
{
    (void)arg;
    rd_kafka_test_fatal_error(rk, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "test");
}

static void test_fatal_error(void **state)
{
    (void)state;
    struct kit k;
    struct outcome stuck = {0}, after = {0};
    int64_t made = gw_metric_sum(GW_M_PRODUCER_RECREATED);
    kit_start(&k, "[events]", "");
    rd_kafka_mock_broker_set_down(gw_embedded_cluster(k.broker), 1);
    for (int i = 0; i < 20; i++)
        assert_int_equal(put(&k, "actions", "k", &stuck, NULL), 0);
    gw_producer_with_handle(k.producer, break_it, NULL);
    AWAIT(atomic_load(&stuck.answers) == 20);
    assert_int_equal(atomic_load(&stuck.retry), 20);
    AWAIT(gw_metric_sum(GW_M_PRODUCER_RECREATED) == made + 1);
    rd_kafka_mock_broker_set_up(gw_embedded_cluster(k.broker), 1);
    assert_int_equal(put(&k, "actions", "k", &after, NULL), 0);
    AWAIT(atomic_load(&after.answers) == 1);
    assert_int_equal(atomic_load(&after.ok), 1);
    assert_int_equal(gw_metric_sum(GW_M_PRODUCER_RECREATED), made + 1);
    kit_stop(&k);
}

/* Senders on several threads while the instance is replaced: as many answers as were accepted. */
struct sender {
    struct kit *k;
    struct outcome *o;
    int accepted;
};

static void *send_many(void *arg)
{
    struct sender *s = arg;
    for (int i = 0; i < 2000; i++)
        s->accepted += put(s->k, "actions", NULL, s->o, NULL) == 0;
    return NULL;
}

static void test_senders_and_replacement(void **state)
{
    (void)state;
    struct kit k;
    struct outcome o = {0};
    struct sender s[3];
    pthread_t t[3];
    kit_start(&k, "[events]", "");
    for (int i = 0; i < 3; i++) {
        s[i] = (struct sender){.k = &k, .o = &o};
        assert_int_equal(pthread_create(&t[i], NULL, send_many, &s[i]), 0);
    }
    AWAIT(atomic_load(&o.answers) > 0);
    gw_producer_with_handle(k.producer, break_it, NULL);
    int accepted = 0;
    for (int i = 0; i < 3; i++) {
        pthread_join(t[i], NULL);
        accepted += s[i].accepted;
    }
    assert_true(accepted > 0);
    AWAIT(atomic_load(&o.answers) == accepted);
    AWAIT(gw_producer_pending(k.producer) == 0);
    kit_stop(&k);
    assert_int_equal(atomic_load(&o.answers), accepted);
}

/* ---- dead letters ---- */

static rd_kafka_t *letters_reader(struct kit *k, const char *topic)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", gw_embedded_brokers(k->broker), why, sizeof(why));
    rd_kafka_conf_set(conf, "group.id", "letters", why, sizeof(why));
    rd_kafka_conf_set(conf, "fetch.wait.max.ms", "10", why, sizeof(why));
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    assert_non_null(rk);
    rd_kafka_topic_partition_list_t *l = rd_kafka_topic_partition_list_new(4);
    for (int32_t i = 0; i < 4; i++)
        rd_kafka_topic_partition_list_add(l, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    assert_int_equal(rd_kafka_assign(rk, l), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(l);
    return rk;
}

static rd_kafka_message_t *next_letter(rd_kafka_t *rk)
{
    for (int64_t until = gw_clock_mono_ms() + WAIT_MS; gw_clock_mono_ms() < until;) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 100);
        if (m && m->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            return m;
        if (m)
            rd_kafka_message_destroy(m);
    }
    fail_msg("no dead letter came");
    return NULL;
}

static void expect_header(const rd_kafka_message_t *m, const char *name, const char *value)
{
    rd_kafka_headers_t *h = NULL;
    const void *p = NULL;
    size_t len = 0;
    assert_int_equal(rd_kafka_message_headers(m, &h), RD_KAFKA_RESP_ERR_NO_ERROR);
    if (rd_kafka_header_get_last(h, name, &p, &len) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail_msg("no header %s", name);
    if (value) {
        assert_int_equal(len, strlen(value));
        assert_memory_equal(p, value, len);
    }
}

static void test_dead_letter(void **state)
{
    (void)state;
    struct kit k;
    kit_start(&k, "[events]", "");
    kit_read(&k);
    int64_t letters = gw_metric_sum(GW_M_DLT), bad = gw_metric_sum(GW_M_DROP_NOT_JSON), missing = gw_metric_sum(GW_M_DROP_MISSING);
    const struct gw_record_header own = {GW_STR("trace"), GW_STR("abc")};
    struct gw_produce rec = {.topic = "events", .key = GW_STR("foobar"), .value = GW_STR("not json"), .headers = &own, .nheaders = 1};
    assert_int_equal(gw_producer_send(k.producer, &rec, NULL), 0);
    AWAIT(gw_metric_sum(GW_M_DLT) == letters + 1);
    assert_int_equal(gw_metric_sum(GW_M_DROP_NOT_JSON), bad + 1);
    rd_kafka_t *rk = letters_reader(&k, "events.DLT");
    rd_kafka_message_t *m = next_letter(rk);
    assert_int_equal(m->len, 8);
    assert_memory_equal(m->payload, "not json", 8);
    assert_int_equal(m->key_len, 6);
    assert_memory_equal(m->key, "foobar", 6);
    expect_header(m, "trace", "abc");
    expect_header(m, "sluice.reason", "not_json");
    expect_header(m, "sluice.topic", "events");
    expect_header(m, "sluice.partition", "2"); /* murmur2("foobar") of 4 */
    expect_header(m, "sluice.offset", "0");
    expect_header(m, "sluice.error", NULL);
    expect_header(m, "sluice.timestamp", NULL);
    expect_header(m, "sluice.node", k.cfg->kafka_client_id);
    rd_kafka_message_destroy(m);
    /* The stream goes on. */
    rec.value = GW_STR("{}");
    assert_int_equal(gw_producer_send(k.producer, &rec, NULL), 0);
    rec.value = GW_STR("{\"n\":7}");
    assert_int_equal(gw_producer_send(k.producer, &rec, NULL), 0);
    AWAIT(hub_flushed(k.hub) == 1);
    AWAIT(gw_metric_sum(GW_M_DLT) == letters + 2);
    assert_int_equal(gw_metric_sum(GW_M_DROP_MISSING), missing + 1);
    rd_kafka_destroy(rk);
    kit_stop(&k);
}

/* A record may be larger than what the producer takes: its letter then says how large it was, and where it lies. */
static void test_letter_without_its_value(void **state)
{
    (void)state;
    struct kit k;
    kit_start(&k, "[events]", "  properties: {message.max.bytes: 2000}\n");
    kit_read(&k);
    char *value = malloc(5000);
    memset(value, 'x', 5000);
    int64_t letters = gw_metric_sum(GW_M_DLT);
    kit_put(&k, "events", 1, value, 5000);
    free(value);
    AWAIT(gw_metric_sum(GW_M_DLT) == letters + 1);
    rd_kafka_t *rk = letters_reader(&k, "events.DLT");
    rd_kafka_message_t *m = next_letter(rk);
    assert_int_equal(m->len, 0);
    expect_header(m, "sluice.value_bytes", "5000");
    expect_header(m, "sluice.offset", "0");
    rd_kafka_message_destroy(m);
    rd_kafka_destroy(rk);
    kit_stop(&k);
}

/* A dead letter that is itself read and bad makes no other one. */
static void test_no_letters_of_letters(void **state)
{
    (void)state;
    struct kit k;
    kit_start(&k, "[events, events.DLT]", "");
    kit_read(&k);
    int64_t letters = gw_metric_sum(GW_M_DLT), bad = gw_metric_sum(GW_M_DROP_NOT_JSON), failed = gw_metric_sum(GW_M_DLT_FAILED);
    kit_put(&k, "events", 0, "x", 1);
    AWAIT(gw_metric_sum(GW_M_DROP_NOT_JSON) == bad + 2);
    kit_put_numbers(&k, "events", 0, 0, 1);
    AWAIT(hub_flushed(k.hub) == 1);
    AWAIT(gw_producer_pending(k.producer) == 0);
    assert_int_equal(gw_metric_sum(GW_M_DLT), letters + 1);
    assert_int_equal(gw_metric_sum(GW_M_DLT_FAILED), failed);
    kit_stop(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_partition_by_key),
        cmocka_unit_test(test_acks_carry_positions),
        cmocka_unit_test(test_kafka_away),
        cmocka_unit_test(test_stop_answers_what_is_left),
        cmocka_unit_test(test_fatal_error),
        cmocka_unit_test(test_senders_and_replacement),
        cmocka_unit_test(test_dead_letter),
        cmocka_unit_test(test_letter_without_its_value),
        cmocka_unit_test(test_no_letters_of_letters),
    };
    return cmocka_run_group_tests_name("kafka_producer", tests, NULL, NULL);
}
