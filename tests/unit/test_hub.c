/* The hub: who wants what, the hand-over to those loops alone, back-pressure, positions. */
#include "gw/hub.h"

#include "gw/metrics.h"

#include "unit_kit.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#define LOOPS 3

static struct gw_hub *hub_of(size_t queue_events)
{
    return gw_hub_new(LOOPS, queue_events, SIZE_MAX);
}

/* Publishes a record with up to three rooms; its offset is its number. */
static unsigned publish(struct gw_hub *h, int64_t offset, const char *a, const char *b, const char *c)
{
    const struct gw_str rooms[] = {gw_str_of(a), gw_str_of(b), gw_str_of(c)};
    struct gw_record rec = {.topic = GW_STR("t"), .partition = 1, .offset = offset, .time_ms = 5, .key = GW_STR("k"), .value = GW_STR("{\"v\":1}")};
    struct gw_routed routed = {.event = GW_STR("e"), .rooms = rooms, .nrooms = c ? 3 : b ? 2 : a ? 1 : 0};
    return gw_hub_publish(h, &rec, &routed);
}

/* The rooms of the next event in the loop's mailbox, each with a space behind; "-" where there is none. */
static const char *next_rooms(struct gw_hub *h, unsigned loop, int64_t offset)
{
    static char text[200];
    struct gw_mail mail;
    if (gw_mailbox_take(gw_hub_mailbox(h, loop), &mail, 1) == 0)
        return "-";
    struct gw_event *ev = mail.item;
    assert_int_equal(mail.kind, GW_MAIL_EVENT);
    assert_int_equal(mail.bytes, ev->tail.len);
    assert_int_equal(ev->offset, offset);
    text[0] = '\0';
    for (size_t i = 0; i < ev->nrooms; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%.*s ", (int)ev->rooms[i].name.len, ev->rooms[i].name.p);
    gw_event_unref(ev);
    return text;
}

static void test_only_those_who_want_it(void **state)
{
    (void)state;
    struct gw_hub *h = hub_of(16);
    int64_t unwanted = gw_metric_sum(GW_M_EVENTS_UNWANTED), published = gw_metric_sum(GW_M_EVENTS_PUBLISHED);
    assert_int_equal(gw_hub_loops(h), LOOPS);
    gw_hub_want(h, 0, GW_STR("a"));
    gw_hub_want(h, 2, GW_STR("a"));
    gw_hub_want(h, 2, GW_STR("b"));
    assert_int_equal(publish(h, 1, "a", NULL, NULL), 2);
    assert_int_equal(publish(h, 2, "x", "b", NULL), 1);
    assert_int_equal(publish(h, 3, "b", "a", "y"), 2);
    assert_int_equal(publish(h, 4, "x", "y", "z"), 0);
    assert_int_equal(publish(h, 5, NULL, NULL, NULL), 0);
    assert_int_equal(publish(h, 6, "A", "", "a "), 0); /* names are bytes */
    assert_string_equal(next_rooms(h, 0, 1), "a ");
    assert_string_equal(next_rooms(h, 0, 3), "b a "); /* b is loop 2's, but the event is one */
    assert_string_equal(next_rooms(h, 0, 0), "-");
    assert_string_equal(next_rooms(h, 1, 0), "-");
    assert_string_equal(next_rooms(h, 2, 1), "a ");
    assert_string_equal(next_rooms(h, 2, 2), "b ");
    assert_string_equal(next_rooms(h, 2, 3), "b a ");
    gw_hub_unwant(h, 2, GW_STR("a"));
    gw_hub_unwant(h, 1, GW_STR("a")); /* was never there */
    assert_int_equal(publish(h, 7, "a", NULL, NULL), 1);
    gw_hub_unwant(h, 0, GW_STR("a"));
    assert_int_equal(publish(h, 8, "a", NULL, NULL), 0);
    assert_int_equal(publish(h, 9, "b", NULL, NULL), 1);
    assert_int_equal(gw_metric_sum(GW_M_EVENTS_UNWANTED) - unwanted, 4);
    assert_int_equal(gw_metric_sum(GW_M_EVENTS_PUBLISHED) - published, 5);
    gw_hub_free(h); /* two events are still inside: the leak checker watches */
    gw_hub_free(NULL);
}

/* Random interest, against a table. The last loop of 64 is the last bit of the mask. */
static void test_interest_against_model(void **state)
{
    (void)state;
    struct gw_hub *h = gw_hub_new(GW_LOOPS_MAX, 1 << 20, SIZE_MAX);
    static bool wants[GW_LOOPS_MAX][50];
    size_t queued[GW_LOOPS_MAX] = {0};
    uint32_t seed = 12;
    for (int i = 0; i < 20000; i++) {
        unsigned loop = random_below(&seed, GW_LOOPS_MAX), room = random_below(&seed, 50);
        char name[16];
        snprintf(name, sizeof(name), "room:%u", room);
        if (random_below(&seed, 20)) {
            wants[loop][room] = random_below(&seed, 2);
            (wants[loop][room] ? gw_hub_want : gw_hub_unwant)(h, loop, gw_str_of(name));
            continue;
        }
        unsigned want = 0;
        for (unsigned k = 0; k < GW_LOOPS_MAX; k++) {
            want += wants[k][room];
            queued[k] += wants[k][room];
        }
        assert_int_equal(publish(h, i, name, NULL, NULL), want);
    }
    for (unsigned k = 0; k < GW_LOOPS_MAX; k++)
        assert_int_equal(gw_mailbox_len(gw_hub_mailbox(h, k)), queued[k]);
    gw_hub_free(h);
}

/* ---- a slow loop ---- */

#define EVENTS 400

struct flow {
    struct gw_hub *h;
    sem_t bell[LOOPS];
    _Atomic int published;
};

static void ring(void *arg)
{
    sem_post(arg);
}

static void *publish_all(void *arg)
{
    struct flow *f = arg;
    for (int i = 0; i < EVENTS; i++) {
        publish(f->h, i, "a", NULL, NULL);
        atomic_fetch_add(&f->published, 1);
    }
    gw_hub_flush(f->h);
    return NULL;
}

static void flow_start(struct flow *f, pthread_t *thread)
{
    memset(f, 0, sizeof(*f));
    f->h = hub_of(16);
    for (unsigned i = 0; i < LOOPS; i++) {
        sem_init(&f->bell[i], 0, 0);
        gw_mailbox_on_wake(gw_hub_mailbox(f->h, i), ring, &f->bell[i]);
    }
    gw_hub_want(f->h, 0, GW_STR("a"));
    gw_hub_want(f->h, 2, GW_STR("a"));
    assert_int_equal(pthread_create(thread, NULL, publish_all, f), 0);
}

static void flow_end(struct flow *f)
{
    for (unsigned i = 0; i < LOOPS; i++)
        sem_destroy(&f->bell[i]);
    gw_hub_free(f->h);
}

/* The reader waits for the slowest loop; nothing is lost, nothing overtakes, no queue outgrows its bound. */
static void test_back_pressure(void **state)
{
    (void)state;
    struct flow f;
    pthread_t thread;
    int64_t next[LOOPS] = {0}, hits = gw_metric_sum(GW_M_LIMIT_QUEUE);
    flow_start(&f, &thread);
    sem_wait(&f.bell[0]); /* full: the waiting reader wakes the loop itself */
    assert_in_range(atomic_load(&f.published), 16, 17);
    assert_int_equal(gw_mailbox_len(gw_hub_mailbox(f.h, 0)), 16);
    while (next[0] < EVENTS || next[2] < EVENTS)
        for (unsigned loop = 0; loop < LOOPS; loop += 2) {
            struct gw_mail mail;
            assert_true(gw_mailbox_len(gw_hub_mailbox(f.h, loop)) <= 16);
            if (gw_mailbox_take(gw_hub_mailbox(f.h, loop), &mail, 1) == 0)
                continue;
            assert_int_equal(((struct gw_event *)mail.item)->offset, next[loop]++);
            gw_event_unref(mail.item);
        }
    pthread_join(thread, NULL);
    assert_true(gw_metric_sum(GW_M_LIMIT_QUEUE) > hits);
    assert_int_equal(gw_mailbox_len(gw_hub_mailbox(f.h, 1)), 0);
    flow_end(&f);
}

static void test_stop_frees_the_reader(void **state)
{
    (void)state;
    struct flow f;
    pthread_t thread;
    flow_start(&f, &thread);
    sem_wait(&f.bell[0]);
    gw_hub_stop(f.h);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&f.published), EVENTS);
    assert_true(gw_mailbox_len(gw_hub_mailbox(f.h, 0)) <= 16);
    flow_end(&f);
}

static void test_flush_wakes_once(void **state)
{
    (void)state;
    struct gw_hub *h = hub_of(16);
    sem_t bell[LOOPS];
    int rings;
    for (unsigned i = 0; i < LOOPS; i++) {
        sem_init(&bell[i], 0, 0);
        gw_mailbox_on_wake(gw_hub_mailbox(h, i), ring, &bell[i]);
    }
    gw_hub_want(h, 1, GW_STR("a"));
    for (int i = 0; i < 5; i++)
        publish(h, i, "a", NULL, NULL);
    sem_getvalue(&bell[1], &rings);
    assert_int_equal(rings, 0);
    gw_hub_flush(h);
    gw_hub_flush(h);
    for (unsigned i = 0; i < LOOPS; i++) {
        sem_getvalue(&bell[i], &rings);
        assert_int_equal(rings, i == 1);
        sem_destroy(&bell[i]);
    }
    gw_hub_free(h);
}

/* ---- positions ---- */

struct positions {
    char text[400];
    size_t n;
};

static void note(const struct gw_hub_position *pos, void *arg)
{
    struct positions *p = arg;
    snprintf(p->text + strlen(p->text), sizeof(p->text) - strlen(p->text), "%.*s/%d=%lld@%zu ", (int)pos->topic.len, pos->topic.p,
             pos->partition, (long long)pos->next_offset, pos->index);
    p->n++;
}

static void test_positions(void **state)
{
    (void)state;
    struct gw_hub *h = hub_of(16);
    struct positions p = {0};
    char topic[] = "t";
    assert_int_equal(gw_hub_positions(h, 0, note, &p), 0);
    assert_int_equal(p.n, 0);
    gw_hub_advance(h, gw_str_of(topic), 0, 5);
    *topic = '#'; /* the hub has its own copy */
    uint64_t v1 = gw_hub_positions(h, 0, note, &p);
    assert_string_equal(p.text, "t/0=5@0 ");
    p = (struct positions){0};
    assert_int_equal(gw_hub_positions(h, v1, note, &p), v1);
    assert_int_equal(p.n, 0);
    gw_hub_advance(h, GW_STR("t"), 1, 7);
    uint64_t v2 = gw_hub_positions(h, v1, note, &p);
    assert_string_equal(p.text, "t/1=7@1 ");
    p = (struct positions){0};
    gw_hub_advance(h, GW_STR("t"), 0, 6);
    gw_hub_advance(h, GW_STR("t"), 0, 9); /* only the newest shows; the index stays */
    uint64_t v3 = gw_hub_positions(h, v2, note, &p);
    assert_true(v3 > v2 && v2 > v1);
    assert_string_equal(p.text, "t/0=9@0 ");
    p = (struct positions){0};
    gw_hub_advance(h, GW_STR("u"), 0, 1); /* the same partition of another topic */
    gw_hub_positions(h, 0, note, &p);
    assert_int_equal(p.n, 3);
    assert_non_null(strstr(p.text, "t/0=9@0 "));
    assert_non_null(strstr(p.text, "t/1=7@1 "));
    assert_non_null(strstr(p.text, "u/0=1@2 "));
    gw_hub_free(h);
}

/* Kafka's longest topics, and many partitions. */
static void test_many_positions(void **state)
{
    (void)state;
    struct gw_hub *h = hub_of(16);
    struct positions p = {0};
    char one[250], two[250];
    memset(one, 'x', 249);
    memset(two, 'x', 249);
    one[249] = two[249] = '\0';
    two[248] = 'y';
    for (int32_t i = 0; i < 1000; i++) {
        gw_hub_advance(h, gw_str_of(one), i, i);
        gw_hub_advance(h, gw_str_of(two), i, i);
    }
    gw_hub_positions(h, 0, note, &p);
    assert_int_equal(p.n, 2000);
    gw_hub_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_those_who_want_it), cmocka_unit_test(test_interest_against_model),
        cmocka_unit_test(test_back_pressure),          cmocka_unit_test(test_stop_frees_the_reader),
        cmocka_unit_test(test_flush_wakes_once),       cmocka_unit_test(test_positions),
        cmocka_unit_test(test_many_positions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
