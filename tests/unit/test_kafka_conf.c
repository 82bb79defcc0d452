/* What librdkafka is told: options, properties of either client, properties that would break a promise; and what is read
 * out of its statistics. No broker. */
#include "config_load.h"

#include "../../gateway/kafka/client.h"

#include <string.h>

static struct gw_config *with_kafka(const char *kafka)
{
    struct gw_buf yaml;
    gw_buf_init(&yaml);
    gw_buf_addf(&yaml, "kafka:\n%s", kafka);
    struct gw_config *c = must_load(gw_buf_c(&yaml));
    gw_buf_fini(&yaml);
    return c;
}

static void expect_line(const char *text, const char *line, bool there)
{
    char whole[200];
    snprintf(whole, sizeof(whole), "%s\n", line);
    const char *at = strstr(text, whole);
    bool found = at && (at == text || at[-1] == '\n');
    if (found != there)
        fail_msg("%s: %s, in:\n%s", line, there ? "missing" : "not expected", text);
}

static void test_print(void **state)
{
    (void)state;
    struct gw_config *c = with_kafka("  brokers: a:1,b:2\n  ssl: true\n  username: me\n  password: hush\n  sasl_mechanism: SCRAM-SHA-512\n"
                                     "  retry_initial_ms: 300\n  retries: 0\n  queue_kbytes: 128\n"
                                     "  properties: {compression.type: lz4, fetch.min.bytes: 5, ssl.key.password: hush2, client.rack: r1}\n");
    struct gw_buf out;
    gw_buf_init(&out);
    gw_kafka_conf_print(c, &out);
    const char *text = gw_buf_c(&out);
    expect_line(text, "consumer.bootstrap.servers=a:1,b:2", true);
    expect_line(text, "producer.security.protocol=SASL_SSL", true);
    expect_line(text, "consumer.sasl.mechanisms=SCRAM-SHA-512", true);
    expect_line(text, "consumer.sasl.password=********", true);
    expect_line(text, "consumer.enable.auto.commit=false", true);
    expect_line(text, "consumer.auto.offset.reset=error", true);
    expect_line(text, "consumer.isolation.level=read_committed", true);
    expect_line(text, "consumer.queued.max.messages.kbytes=128", true);
    expect_line(text, "producer.acks=all", true);
    expect_line(text, "producer.enable.idempotence=true", true);
    expect_line(text, "producer.partitioner=murmur2_random", true);
    expect_line(text, "producer.retries=1", true); /* idempotence needs one */
    expect_line(text, "producer.retry.backoff.ms=300", true);
    expect_line(text, "consumer.reconnect.backoff.ms=300", true);
    /* Each property goes where it belongs. */
    expect_line(text, "producer.compression.type=lz4", true);
    expect_line(text, "consumer.compression.type=lz4", false);
    expect_line(text, "consumer.fetch.min.bytes=5", true);
    expect_line(text, "producer.fetch.min.bytes=5", false);
    expect_line(text, "consumer.client.rack=r1", true);
    expect_line(text, "producer.client.rack=r1", true);
    expect_line(text, "consumer.ssl.key.password=********", true);
    assert_null(strstr(text, "hush"));
    gw_buf_fini(&out);
    gw_config_free(c);
}

static void test_check(void **state)
{
    (void)state;
    static const struct {
        const char *property, *error; /* NULL: fine */
    } rows[] = {
        {"compression.type: zstd", NULL},
        {"linger.ms: 3", NULL},
        {"acks: -1", NULL},
        {"max.in.flight: 5", NULL},
        {"isolation.level: read_committed", NULL},
        {"debug: all", NULL},
        {"enable.auto.commit: true", "nothing is committed"},
        {"auto.offset.reset: earliest", "must never jump"},
        {"isolation.level: read_uncommitted", "aborted transactions"},
        {"enable.idempotence: false", "written twice"},
        {"acks: 1", "an ack means"},
        {"request.required.acks: 0", "an ack means"},
        {"max.in.flight.requests.per.connection: 6", "1 to 5"},
        {"max.in.flight: 05", "1 to 5"},
        {"group.instance.id: x", "not balanced"},
        {"transactional.id: x", "without transactions"},
        {"bootstrap.servers: x", "kafka.brokers"},
        {"message.timeout.ms: 1", "producer.timeout_ms"},
        {"no.such.thing: 1", "knows no such property"},
        {"linger.ms: often", "linger.ms"},
        {"fetch.min.bytes: 0", "fetch.min.bytes"},
        {"ssl.ca.location: /no/such/file, security.protocol: ssl", "ssl.ca.location"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char yaml[200];
        struct gw_err err = {0};
        snprintf(yaml, sizeof(yaml), "  properties:\n    {%s}\n", rows[i].property);
        struct gw_config *c = with_kafka(yaml);
        int rc = gw_kafka_conf_check(c, &err);
        if (!rows[i].error && rc != 0)
            fail_msg("%s: %s", rows[i].property, err.text);
        if (rows[i].error && (rc == 0 || !strstr(err.text, rows[i].error)))
            fail_msg("%s: %s", rows[i].property, rc == 0 ? "taken" : err.text);
        gw_config_free(c);
    }
}

static void test_error_says_where(void **state)
{
    (void)state;
    struct gw_err err = {0};
    struct gw_config *c = with_kafka("  properties:\n    linger.ms: 1\n    acks: 1\n");
    assert_int_equal(gw_kafka_conf_check(c, &err), -1);
    assert_non_null(strstr(err.text, ":4:"));
    assert_non_null(strstr(err.text, "acks"));
    gw_config_free(c);
}

/* Each client is made of what it knows: librdkafka has nothing to warn of. */
static void test_no_stranger_in_a_client(void **state)
{
    (void)state;
    struct gw_config *c = with_kafka("  properties: {compression.type: lz4, fetch.min.bytes: 5}\n");
    struct gw_kafka_scopes *scopes = gw_kafka_scopes_new();
    assert_true(gw_kafka_scopes_has(scopes, "acks", GW_KAFKA_PRODUCER));
    assert_false(gw_kafka_scopes_has(scopes, "acks", GW_KAFKA_CONSUMER));
    assert_true(gw_kafka_scopes_has(scopes, "client.id", GW_KAFKA_CONSUMER));
    assert_false(gw_kafka_scopes_known(scopes, "Property"));
    struct gw_buf out;
    gw_buf_init(&out);
    gw_kafka_conf_print(c, &out);
    char *rest = out.data;
    gw_buf_add_char(&out, '\0');
    for (char *line; (line = strsep(&rest, "\n")) && *line;) {
        enum gw_kafka_role role = strncmp(line, "consumer.", 9) == 0 ? GW_KAFKA_CONSUMER : GW_KAFKA_PRODUCER;
        char *name = line + 9;
        name[strcspn(name, "=")] = '\0';
        if (!gw_kafka_scopes_has(scopes, name, role))
            fail_msg("%s is none of its properties", line);
    }
    gw_buf_fini(&out);
    gw_kafka_scopes_free(scopes);
    gw_config_free(c);
}

static void test_statistics(void **state)
{
    (void)state;
    static const char text[] =
        "{\"name\":\"x\",\"rxmsgs\":7,\"rxmsg_bytes\":700,\"txmsgs\":3,\"txmsg_bytes\":30,\"brokers\":{"
        "\"boot\":{\"nodeid\":-1,\"nodename\":\"b:1\",\"rtt\":{\"cnt\":9,\"p50\":1,\"p95\":1,\"p99\":1}},"
        "\"h:9092/1\":{\"nodeid\":1,\"nodename\":\"h:9092\",\"rtt\":{\"cnt\":5,\"p50\":1000,\"p95\":2000,\"p99\":3000}},"
        "\"h:9093/2\":{\"nodeid\":2,\"nodename\":\"h:9093\",\"rtt\":{\"cnt\":0,\"p50\":0,\"p95\":0,\"p99\":0}}}}";
    struct gw_kafka_stats s;
    gw_kafka_stats_init(&s);
    gw_kafka_stats_parse(&s, text, sizeof(text) - 1);
    assert_int_equal(s.rx_msgs, 7);
    assert_int_equal(s.rx_bytes, 700);
    assert_int_equal(s.tx_msgs, 3);
    assert_int_equal(s.tx_bytes, 30);
    assert_int_equal(s.nbrokers, 1);
    assert_string_equal(s.brokers[0].broker, "h:9092");
    assert_int_equal(s.brokers[0].p50_us, 1000);
    assert_int_equal(s.brokers[0].p99_us, 3000);
    static const char *const junk[] = {"", "[]", "{\"rxmsgs\":", "{\"brokers\":[]}", "null"};
    for (size_t i = 0; i < sizeof(junk) / sizeof(junk[0]); i++)
        gw_kafka_stats_parse(&s, junk[i], strlen(junk[i]));
    assert_int_equal(s.nbrokers, 1); /* no requests, no new figures */
    gw_kafka_stats_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_error_says_where),
        cmocka_unit_test(test_no_stranger_in_a_client),
        cmocka_unit_test(test_statistics),
    };
    return cmocka_run_group_tests_name("kafka_conf", tests, NULL, NULL);
}
