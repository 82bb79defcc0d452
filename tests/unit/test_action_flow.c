/* An action's way through the gateway, without Kafka: what is refused and in which words, the record, the answer; idempotency
 * keys; connections that are gone when the answer comes. The producer here only takes notes. */
#include "session_kit.h"

#include "gw/metrics.h"

#include "idempotency.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

/* ---- the producer ---- */

#define RECORDS_MAX 64

static struct {
    struct record {
        char topic[40], key[80], value[600];
        gw_produced_fn done;
        void *arg;
    } v[RECORDS_MAX];
    size_t n;
    const char *refuses;
    bool for_good; /* and another try would not help */
} kafka;

/* A producer in a hurry: answers on its thread as soon as it has a record, while the loop is at work. */
#define HURRIED 3000
static struct {
    bool on;
    gw_produced_fn done;
    unsigned n;
    _Atomic(void *) arg[HURRIED];
} hurry;

int gw_producer_send(struct gw_producer *p, const struct gw_produce *rec, struct gw_err *err)
{
    (void)p;
    if (hurry.on) {
        atomic_store(&hurry.arg[hurry.n++], rec->arg);
        return 0;
    }
    if (kafka.refuses) {
        gw_err_set(err, "%s", kafka.refuses);
        return kafka.for_good ? -2 : -1;
    }
    assert_true(kafka.n < RECORDS_MAX);
    struct record *r = &kafka.v[kafka.n++];
    snprintf(r->topic, sizeof(r->topic), "%s", rec->topic);
    snprintf(r->key, sizeof(r->key), "%.*s", (int)rec->key.len, rec->key.p);
    snprintf(r->value, sizeof(r->value), "%.*s", (int)rec->value.len, rec->value.p);
    r->done = rec->done;
    r->arg = rec->arg;
    return 0;
}

static void *answer_in_a_hurry(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < HURRIED; i++) {
        void *arg;
        while (!(arg = atomic_load(&hurry.arg[i])))
            sched_yield();
        hurry.done(arg, &(struct gw_produced){.ok = true, .offset = i});
    }
    return NULL;
}

static void *deliver_on_another_thread(void *arg)
{
    struct gw_produced *result = arg;
    size_t i = (size_t)result->offset;
    kafka.v[i].done(kafka.v[i].arg, result);
    return NULL;
}

/* Kafka answers record i; its number is the offset. The answer comes from the producer's thread. */
static void answer(struct world *w, size_t i, const char *error)
{
    struct gw_produced result = {.ok = !error, .partition = 3, .offset = (int64_t)i, .error = error, .retry = !kafka.for_good};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, deliver_on_another_thread, &result), 0);
    pthread_join(thread, NULL);
    loop_take_mail(w->loop, 100);
}

/* ---- the world ---- */

#define CONFIG                                                                                                        \
    "rooms: [{pattern: \"session:{id}\", join: any}]\n"                                                                \
    "limits: {in_flight: 3, errors_per_min: 1000, messages_per_s: 1000}\n"                                             \
    "producer: {idempotency_entries: 4}\n"                                                                             \
    "actions:\n"                                                                                                       \
    "  - {name: chat, topic: session-actions, room: \"session:{id}\", fields: {message: string}}\n"                    \
    "  - {name: note, topic: notes, open: true}\n"                                                                     \
    "  - {name: keyed, topic: notes, open: true, key: \"{data.k}\"}\n"                                                 \
    "  - {name: admin, topic: admin, allow: {claim: role, equals: admin}}\n"                                           \
    "  - {name: rare, topic: notes, rate: 2/m}\n"

/* Without sleeping: the loop is to be as quick as it can. */
#define AWAIT_BUSY(condition, work)                                                                                   \
    for (int64_t until_ = gw_clock_mono_ms() + 20000; !(condition);) {                                                \
        work;                                                                                                         \
        assert_true(gw_clock_mono_ms() < until_);                                                                     \
    }

static struct world *flow_new(void)
{
    struct world *w = world_new(CONFIG);
    memset(&kafka, 0, sizeof(kafka));
    w->net.producer = (struct gw_producer *)&kafka;
    w->net.idempotency = idempotency_new((size_t)w->net.cfg->producer_idempotency_entries);
    return w;
}

static void flow_free(struct world *w)
{
    idempotency_free(w->net.idempotency);
    world_free(w);
}

static struct lws *member(struct world *w, const char *claims)
{
    struct lws *c = conn_open(w, claims);
    conn_says(c, "{\"type\":\"join\",\"room\":\"session:42\"}");
    skip_frames(c);
    return c;
}

#define ADA "{\"sub\":\"u1\",\"role\":\"admin\"}"
#define GRACE "{\"sub\":\"u2\"}"

static void test_there_and_back(void **state)
{
    (void)state;
    struct world *w = flow_new();
    struct lws *c = member(w, ADA);
    int64_t acked = gw_metric_sum(GW_M_ACTION_ACKED);
    conn_says(c, "{\"type\":\"action\",\"id\":\"a\",\"name\":\"chat\",\"room\":\"session:42\",\"data\":{\"message\":\"hi\"},\"key\":\"k1\"}");
    expect_text_frame(c, NULL); /* nothing is acked that Kafka has not acked */
    assert_int_equal(kafka.n, 1);
    assert_string_equal(kafka.v[0].topic, "session-actions");
    assert_string_equal(kafka.v[0].key, "42");
    assert_non_null(strstr(kafka.v[0].value, "{\"eventId\":\"k1\",\"eventType\":\"chat\","));
    assert_non_null(strstr(kafka.v[0].value, "\"data\":{\"message\":\"hi\"},"));
    assert_non_null(strstr(kafka.v[0].value, "\"userId\":\"u1\",\"connectionId\":\"c-0000abcd-0-0-1\",\"room\":\"session:42\""));
    assert_int_equal(session_of_conn(c)->in_flight, 1);
    answer(w, 0, NULL);
    expect_text_frame(c, "{\"type\":\"ack\",\"id\":\"a\",\"topic\":\"session-actions\",\"partition\":3,\"offset\":0,\"eventId\":\"k1\"}");
    assert_int_equal(session_of_conn(c)->in_flight, 0);
    assert_int_equal(gw_metric_sum(GW_M_ACTION_ACKED) - acked, 1);
    conn_says(c, "{\"type\":\"action\",\"name\":\"note\"}"); /* no id, no key, no data */
    answer(w, 1, NULL);
    struct gw_str text;
    assert_int_equal(next_frame(c, &text), FRAME_TEXT);
    assert_memory_equal(text.p, "{\"type\":\"ack\",\"topic\":\"notes\",\"partition\":3,\"offset\":1,\"eventId\":\"", 64);
    assert_string_equal(kafka.v[1].key, "u1");
    conn_says(c, "{\"type\":\"action\",\"id\":1,\"name\":\"note\"}");
    answer(w, 2, "broker is away");
    expect_text_frame(c, "{\"type\":\"error\",\"id\":1,\"code\":\"unavailable\",\"message\":\"Kafka did not take it: broker is away\",\"retry\":true}");
    conn_gone(c);
    flow_free(w);
}

static const struct {
    const char *action, *code, *message; /* without type and id */
} refused[] = {
    {"\"name\":\"none\"", "forbidden", "there is no such action for you"},
    {"\"name\":\"admin\"", "forbidden", "there is no such action for you"},
    {"\"name\":\"chat\",\"data\":{\"message\":\"x\"}", "bad_field", "room: is missing"},
    {"\"name\":\"chat\",\"room\":\"user:u2\",\"data\":{\"message\":\"x\"}", "bad_field", "room: not of the kind that this action is for"},
    {"\"name\":\"chat\",\"room\":\"session:7\",\"data\":{\"message\":\"x\"}", "not_member", "join the room first"},
    {"\"name\":\"chat\",\"room\":\"session:42\"", "invalid", "data.message: is missing; expected a string"},
    {"\"name\":\"chat\",\"room\":\"session:42\",\"data\":{\"message\":1}", "invalid", "data.message: expected a string"},
    {"\"name\":\"note\",\"room\":\"session:42\"", "bad_field", "room: this action is not for a room"},
    {"\"name\":\"note\",\"data\":[]", "invalid", "data: expected an object"},
    {"\"name\":\"note\",\"key\":\"a b\"", "bad_field", "key: expected 1 to 128 printable ASCII characters without spaces"},
    {"\"name\":\"note\",\"key\":\"\xC3\xA9\"", "bad_field", "key: expected 1 to 128 printable ASCII characters without spaces"},
    {"\"name\":\"keyed\"", "invalid", "key: {data.k} is missing or not a text"},
    {"\"name\":\"keyed\",\"key\":\"k\"", "invalid", "key: {data.k} is missing or not a text"},
};

static void test_refused(void **state)
{
    (void)state;
    struct world *w = flow_new();
    struct lws *c = member(w, GRACE);
    for (size_t i = 0; i < 2 * ROWS(refused); i++) { /* twice: nothing is left behind */
        char text[300], want[300];
        snprintf(text, sizeof(text), "{\"type\":\"action\",\"id\":%zu,%s}", i, refused[i / 2].action);
        snprintf(want, sizeof(want), "{\"type\":\"error\",\"id\":%zu,\"code\":\"%s\",\"message\":\"%s\",\"retry\":false}", i, refused[i / 2].code,
                 refused[i / 2].message);
        conn_says(c, text);
        expect_text_frame(c, want);
        expect_text_frame(c, NULL);
        assert_int_equal(session_of_conn(c)->in_flight, 0);
    }
    assert_int_equal(kafka.n, 0);
    struct lws *ada = member(w, ADA);
    conn_says(ada, "{\"type\":\"action\",\"name\":\"admin\"}");
    assert_int_equal(kafka.n, 1);
    answer(w, 0, NULL);
    conn_gone(ada);
    conn_gone(c);
    flow_free(w);
}

static void test_rates_and_limits(void **state)
{
    (void)state;
    struct world *w = flow_new();
    struct lws *c = member(w, ADA);
    for (size_t i = 0; i < 2; i++) {
        conn_says(c, "{\"type\":\"action\",\"name\":\"rare\"}");
        answer(w, i, NULL);
    }
    skip_frames(c);
    conn_says(c, "{\"type\":\"action\",\"name\":\"rare\"}");
    expect_text_frame(c, "{\"type\":\"error\",\"code\":\"rate_limited\",\"message\":\"this action's rate is exceeded\",\"retry\":true}");
    for (int i = 0; i < 30; i++) { /* to ask again and again does not hold it up */
        w->loop->now_ms += 1000;
        conn_says(c, "{\"type\":\"action\",\"name\":\"rare\"}");
    }
    assert_int_equal(kafka.n, 3);
    answer(w, 2, NULL);
    for (int i = 0; i < 3; i++)
        conn_says(c, "{\"type\":\"action\",\"name\":\"note\"}");
    skip_frames(c);
    conn_says(c, "{\"type\":\"action\",\"name\":\"note\"}");
    expect_text_frame(c, "{\"type\":\"error\",\"code\":\"limit\",\"message\":\"limits.in_flight actions wait for Kafka already\",\"retry\":false}");
    for (size_t i = 3; i < 6; i++)
        answer(w, i, NULL);
    skip_frames(c);
    kafka.refuses = "producer.queue is full";
    conn_says(c, "{\"type\":\"action\",\"id\":2,\"name\":\"note\",\"key\":\"k\"}");
    loop_take_mail(w->loop, 100);
    expect_text_frame(c, "{\"type\":\"error\",\"id\":2,\"code\":\"unavailable\",\"message\":\"Kafka did not take it: producer.queue is full\",\"retry\":true}");
    kafka.refuses = NULL;
    conn_says(c, "{\"type\":\"action\",\"id\":2,\"name\":\"note\",\"key\":\"k\"}"); /* the key is free again */
    assert_int_equal(kafka.n, 7);
    answer(w, 6, NULL);
    w->net.producer = NULL;
    skip_frames(c);
    conn_says(c, "{\"type\":\"action\",\"name\":\"note\"}");
    expect_text_frame(c, "{\"type\":\"error\",\"code\":\"unavailable\",\"message\":\"Kafka is off on this gateway\",\"retry\":true}");
    assert_int_equal(session_of_conn(c)->in_flight, 0);
    conn_gone(c);
    flow_free(w);
}

#define SEND(id, key) "{\"type\":\"action\",\"id\":" #id ",\"name\":\"note\",\"key\":\"" key "\"}"
#define ACK(id, offset, key) "{\"type\":\"ack\",\"id\":" #id ",\"topic\":\"notes\",\"partition\":3,\"offset\":" #offset ",\"eventId\":\"" key "\"}"

static void test_idempotency_keys(void **state)
{
    (void)state;
    struct world *w = flow_new();
    struct lws *a = member(w, ADA), *again = member(w, ADA), *other = member(w, GRACE);
    int64_t repeated = gw_metric_sum(GW_M_ACTION_REPEATED);
    conn_says(a, SEND(1, "k"));
    conn_says(a, SEND(2, "k"));
    conn_says(again, SEND(3, "k")); /* the same user on another connection */
    conn_says(other, SEND(4, "k")); /* another user: another key */
    assert_int_equal(kafka.n, 2);
    answer(w, 0, NULL);
    answer(w, 1, NULL);
    struct gw_str one, two;
    assert_int_equal(next_frame(a, &one), FRAME_TEXT);
    assert_int_equal(next_frame(a, &two), FRAME_TEXT);
    assert_true((gw_str_is(one, ACK(1, 0, "k")) && gw_str_is(two, ACK(2, 0, "k"))) || (gw_str_is(one, ACK(2, 0, "k")) && gw_str_is(two, ACK(1, 0, "k"))));
    expect_text_frame(again, ACK(3, 0, "k"));
    expect_text_frame(other, ACK(4, 1, "k"));
    conn_says(again, SEND(5, "k")); /* long done: at once */
    expect_text_frame(again, ACK(5, 0, "k"));
    assert_int_equal(gw_metric_sum(GW_M_ACTION_REPEATED) - repeated, 3);
    conn_says(a, "{\"type\":\"action\",\"id\":6,\"name\":\"chat\",\"room\":\"session:42\",\"data\":{\"message\":\"x\"},\"key\":\"k\"}");
    assert_int_equal(kafka.n, 3); /* another action */
    answer(w, 2, "no");
    skip_frames(a);
    conn_says(a, SEND(7, "w"));
    conn_says(again, SEND(8, "w"));
    answer(w, 3, "no"); /* fails for both, and may be tried again */
    expect_text_frame(again, "{\"type\":\"error\",\"id\":8,\"code\":\"unavailable\",\"message\":\"Kafka did not take it: no\",\"retry\":true}");
    skip_frames(a);
    conn_says(again, SEND(9, "w"));
    answer(w, 4, NULL);
    expect_text_frame(again, ACK(9, 4, "w"));
    assert_int_equal(session_of_conn(a)->in_flight + session_of_conn(again)->in_flight + session_of_conn(other)->in_flight, 0);
    conn_gone(a);
    conn_gone(again);
    conn_gone(other);
    flow_free(w);
}

/* The answer comes for a connection that is gone, whose place somebody else has. */
static void test_answer_for_nobody(void **state)
{
    (void)state;
    struct world *w = flow_new();
    struct lws *c = member(w, ADA), *waits = member(w, ADA);
    int64_t stale = gw_metric_sum(GW_M_STALE);
    conn_says(c, SEND(1, "k"));
    conn_says(waits, SEND(2, "k"));
    conn_gone(c);
    conn_gone(waits);
    c = member(w, GRACE);
    waits = member(w, GRACE);
    answer(w, 0, NULL);
    expect_text_frame(c, NULL);
    expect_text_frame(waits, NULL);
    assert_int_equal(session_of_conn(c)->in_flight, 0);
    assert_int_equal(gw_metric_sum(GW_M_STALE) - stale, 2);
    conn_gone(c);
    conn_gone(waits);
    flow_free(w);
}

/* The answer finds a connection that is being closed. */
static void test_answer_for_the_closing(void **state)
{
    (void)state;
    struct world *w = flow_new();
    struct lws *c = member(w, ADA);
    conn_says(c, SEND(1, "k"));
    session_close(session_of_conn(c), GW_CLOSE_DRAIN, NULL);
    flush_dirty(w->loop);
    expect_close_frame(c, 1012, "node is going down, come back to another one");
    answer(w, 0, NULL);
    expect_text_frame(c, NULL);
    conn_gone(c);
    flow_free(w);
}

/* Answers come in while the loop takes them and frees what they belong to. */
static void test_answers_in_a_hurry(void **state)
{
    (void)state;
    struct world *w = flow_new();
    struct lws *c = member(w, ADA);
    pthread_t thread;
    size_t acks = 0;
    conn_says(c, "{\"type\":\"action\",\"name\":\"note\"}");
    hurry.done = kafka.v[0].done;
    answer(w, 0, NULL);
    skip_frames(c);
    hurry.on = true;
    assert_int_equal(pthread_create(&thread, NULL, answer_in_a_hurry, NULL), 0);
    for (unsigned i = 0; i < HURRIED; i++) {
        w->loop->now_ms++;
        conn_says(c, "{\"type\":\"action\",\"name\":\"note\"}");
        AWAIT_BUSY(session_of_conn(c)->in_flight == 0, loop_take_mail(w->loop, 100)); /* takes it the moment that it is there */
    }
    pthread_join(thread, NULL);
    hurry.on = false;
    for (struct gw_str text; next_frame(c, &text); acks++)
        assert_memory_equal(text.p, "{\"type\":\"ack\"", 13);
    assert_int_equal(acks, HURRIED);
    conn_gone(c);
    flow_free(w);
}

/* A reload in between: other actions, other rates. */
static void test_reload(void **state)
{
    (void)state;
    struct world *w = flow_new();
    struct lws *c = member(w, ADA);
    conn_says(c, "{\"type\":\"action\",\"id\":1,\"name\":\"rare\"}");
    struct gw_policy *p = policy_of("rooms: [{pattern: \"session:{id}\", join: any}]\nactions:\n"
                                    "  - {name: a1, topic: t, rate: 1/h}\n  - {name: a2, topic: t, rate: 1/h}\n  - {name: a3, topic: t, rate: 1/h}\n"
                                    "  - {name: a4, topic: t, rate: 1/h}\n  - {name: a5, topic: t, rate: 1/h}\n  - {name: a6, topic: t, rate: 1/h}\n");
    gw_mailbox_put(w->loop->mailbox, (struct gw_mail){.kind = MAIL_POLICY, .item = p});
    loop_take_mail(w->loop, 100);
    answer(w, 0, NULL); /* the topic is that of the old policy */
    struct gw_str text;
    assert_int_equal(next_frame(c, &text), FRAME_TEXT);
    assert_memory_equal(text.p, "{\"type\":\"ack\",\"id\":1,\"topic\":\"notes\",", 37);
    conn_says(c, "{\"type\":\"action\",\"id\":2,\"name\":\"a6\"}\n{\"type\":\"action\",\"id\":3,\"name\":\"a6\"}\n{\"type\":\"action\",\"id\":4,\"name\":\"rare\"}");
    expect_text_frame(c, "{\"type\":\"error\",\"id\":3,\"code\":\"rate_limited\",\"message\":\"this action's rate is exceeded\",\"retry\":true}");
    expect_text_frame(c, "{\"type\":\"error\",\"id\":4,\"code\":\"forbidden\",\"message\":\"there is no such action for you\",\"retry\":false}");
    answer(w, 1, NULL);
    conn_gone(c);
    flow_free(w);
}

/* What another try cannot mend is told so, whether the producer says it at once or Kafka later; and it is counted apart. */
static void test_refused_for_good(void **state)
{
    (void)state;
    struct world *w = flow_new();
    struct lws *c = member(w, ADA);
    int64_t refused_before = gw_metric_sum(GW_M_ACTION_REFUSED), unavailable_before = gw_metric_sum(GW_M_ACTION_UNAVAILABLE);
    kafka.for_good = true;
    kafka.refuses = "message too large";
    conn_says(c, "{\"type\":\"action\",\"id\":1,\"name\":\"note\"}");
    loop_take_mail(w->loop, 100);
    expect_text_frame(c, "{\"type\":\"error\",\"id\":1,\"code\":\"refused\",\"message\":\"Kafka did not take it: message too large\",\"retry\":false}");
    kafka.refuses = NULL;
    conn_says(c, "{\"type\":\"action\",\"id\":2,\"name\":\"note\"}");
    answer(w, 0, "no right to the topic");
    expect_text_frame(c, "{\"type\":\"error\",\"id\":2,\"code\":\"refused\",\"message\":\"Kafka did not take it: no right to the topic\",\"retry\":false}");
    assert_int_equal(gw_metric_sum(GW_M_ACTION_REFUSED) - refused_before, 2);
    assert_int_equal(gw_metric_sum(GW_M_ACTION_UNAVAILABLE), unavailable_before);
    assert_int_equal(session_of_conn(c)->in_flight, 0);
    kafka.for_good = false;
    conn_gone(c);
    flow_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_rates_and_limits),  cmocka_unit_test(test_idempotency_keys),
        cmocka_unit_test(test_answer_for_nobody), cmocka_unit_test(test_answer_for_the_closing),
        cmocka_unit_test(test_answers_in_a_hurry), cmocka_unit_test(test_reload),
        cmocka_unit_test(test_refused_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
