/* Time on a loop, with a clock of the test's own: time-outs, heartbeats, pings, the end of a token, the drain. */
#include "session_kit.h"

#include "gw/json.h"
#include "gw/metrics.h"

#define CONFIG                                                                                                        \
    "rooms: [{pattern: \"r:{id}\", join: any}]\n"                                                                      \
    "auth: {timeout_ms: 2000, warn_s: 60}\n"                                                                           \
    "ws: {heartbeat_s: 25, pong_timeout_s: 20, close_timeout_ms: 3000}\n"                                              \
    "drain: {ms: 10000}\n"
#define USER "{\"sub\":\"u1\"}"

/* Ticks as libuv would. */
static void pass(struct world *w, int64_t ms)
{
    for (int64_t end = w->loop->now_ms + ms; w->loop->now_ms < end;) {
        int64_t step = end - w->loop->now_ms < TICK_MS ? end - w->loop->now_ms : TICK_MS;
        w->loop->now_ms += step;
        heartbeat_update(w->loop);
        wheel_tick(w->loop);
        flush_dirty(w->loop);
    }
}

static void test_auth_timeout(void **state)
{
    (void)state;
    struct world *w = world_new(CONFIG);
    struct lws *c = conn_open(w, NULL);
    pass(w, 1900);
    assert_int_equal(session_of_conn(c)->state, SESSION_AUTH);
    pass(w, 300);
    expect_close_frame(c, 4508, "no auth message in time");
    pass(w, 2800);
    assert_false(c->killed);
    pass(w, 400); /* the close is not answered */
    assert_true(c->killed);
    conn_gone(c);
    world_free(w);
}

static void test_heartbeats_and_pings(void **state)
{
    (void)state;
    struct world *w = world_new(CONFIG);
    struct lws *c = conn_open(w, USER);
    struct gw_str text;
    skip_frames(c);
    pass(w, 24900);
    expect_text_frame(c, NULL);
    gw_hub_advance(w->net.hub, GW_STR("t"), 1, 43);
    gw_hub_advance(w->net.hub, GW_STR("u"), 0, 0); /* nothing was in it yet */
    pass(w, 200);
    expect_text_frame(c, "{\"type\":\"heartbeat\",\"positions\":{\"t\":{\"1\":42}}}");
    assert_int_equal(next_frame(c, &text), FRAME_PING);
    expect_text_frame(c, NULL);
    conn_event(c, LWS_CALLBACK_RECEIVE_PONG, NULL, 0);
    for (int32_t i = 0; i < 3; i++) {
        gw_hub_advance(w->net.hub, GW_STR("t"), i, 100);
        gw_hub_advance(w->net.hub, GW_STR("u"), i, 10);
    }
    pass(w, 25100);
    expect_text_frame(c, "{\"type\":\"heartbeat\",\"positions\":{\"t\":{\"1\":99,\"0\":99,\"2\":99},\"u\":{\"0\":9,\"1\":9,\"2\":9}}}");
    skip_frames(c);
    pass(w, 19800); /* this ping is not answered */
    assert_int_equal(session_of_conn(c)->state, SESSION_OPEN);
    pass(w, 400);
    expect_close_frame(c, 4010, "ping was not answered in time");
    conn_gone(c);
    world_free(w);
}

/* Many partitions, found in any order: each stands once, under its topic, and only while it moves. */
static void test_many_partitions(void **state)
{
    (void)state;
    struct world *w = world_new(CONFIG);
    struct lws *c = conn_open(w, USER);
    static char names[40][8];
    for (int32_t i = 0; i < 4000; i++) {
        snprintf(names[i % 40], sizeof(names[0]), "t%d", i % 40);
        gw_hub_advance(w->net.hub, gw_str_of(names[i % 40]), i / 40, i + 1);
        if (i % 500 == 0)
            heartbeat_update(w->loop);
    }
    skip_frames(c);
    pass(w, 25100);
    for (int round = 0; round < 3; round++) { /* all, none, one */
        struct gw_str text;
        struct gw_json_val v, topic, offset;
        struct gw_str key;
        struct gw_json_opts opts = {.unique_keys = false};
        static const char *const wanted[] = {"positions"};
        struct gw_json_paths *paths = gw_json_paths_new(wanted, 1, NULL);
        struct gw_json_out out = {.vals = &v};
        bool seen[4000] = {false};
        size_t n = 0, ntopics = 0;
        assert_int_equal(next_frame(c, &text), FRAME_TEXT);
        assert_int_equal(gw_json_scan(text, &opts, paths, &out, NULL), 0);
        for (size_t i = 0; gw_json_next(v.raw, &i, &key, NULL, &topic); ntopics++) {
            int t = atoi(key.p + 1);
            for (size_t k = 0; gw_json_next(topic.raw, &k, &key, NULL, &offset); n++) {
                int number = atoi(key.p) * 40 + t;
                assert_false(seen[number]);
                seen[number] = true;
                assert_int_equal(atoi(offset.raw.p), round == 2 ? 9999 : number);
            }
        }
        assert_int_equal(n, round == 0 ? 4000 : round == 1 ? 0 : 1);
        assert_int_equal(ntopics, round == 0 ? 40 : round == 1 ? 0 : 1);
        gw_json_paths_free(paths);
        conn_event(c, LWS_CALLBACK_RECEIVE_PONG, NULL, 0);
        skip_frames(c);
        if (round == 1)
            gw_hub_advance(w->net.hub, GW_STR("t7"), 3, 10000);
        pass(w, 25100);
    }
    conn_gone(c);
    world_free(w);
}

/* Heartbeats of many clients are one frame, and their turns are not all at once. */
static void test_quiet_stays_quiet(void **state)
{
    (void)state;
    struct world *w = world_new(CONFIG);
    struct lws *c[50];
    for (size_t i = 0; i < ROWS(c); i++) {
        c[i] = conn_open(w, USER);
        skip_frames(c[i]);
        pass(w, 130);
    }
    for (int round = 0; round < 10; round++) {
        pass(w, 25100); /* a turn is up to a tick late */
        for (size_t i = 0; i < ROWS(c); i++) {
            struct gw_str text;
            expect_text_frame(c[i], "{\"type\":\"heartbeat\",\"positions\":{}}");
            assert_int_equal(next_frame(c[i], &text), FRAME_PING);
            expect_text_frame(c[i], NULL);
            conn_event(c[i], LWS_CALLBACK_RECEIVE_PONG, NULL, 0);
        }
    }
    for (size_t i = 0; i < ROWS(c); i++)
        conn_gone(c[i]);
    world_free(w);
}

/* A blocked client gets no heartbeats; when no byte leaves for too long it is given up. */
static void test_blocked_for_too_long(void **state)
{
    (void)state;
    struct world *w = world_new(CONFIG);
    struct lws *c = conn_open(w, USER);
    c->room = 0;
    conn_says(c, "{\"type\":\"ping\"}");
    assert_true(session_of_conn(c)->blocked);
    pass(w, 44000);
    assert_int_equal(session_of_conn(c)->state, SESSION_OPEN);
    pass(w, 32000);
    assert_int_equal(session_of_conn(c)->close_code, 4010);
    pass(w, 3200);
    assert_true(c->killed);
    conn_gone(c);
    world_free(w);
}

static void test_token_expires(void **state)
{
    (void)state;
    struct world *w = world_new(CONFIG);
    struct lws *c = conn_open(w, USER);
    struct session *s = session_of_conn(c);
    skip_frames(c);
    s->heartbeat_ms += 1000000; /* not what this is about */
    s->expires_ms = w->loop->now_ms + 105000; /* auth.leeway_s behind the token's end */
    s->warn_ms = w->loop->now_ms + 40000;
    wheel_schedule(s);
    pass(w, 39900);
    expect_text_frame(c, NULL);
    pass(w, 200);
    expect_text_frame(c, "{\"type\":\"expiring\",\"seconds\":60}");
    pass(w, 64700);
    expect_text_frame(c, NULL);
    pass(w, 300);
    expect_close_frame(c, 4001, "token expired, come back with a new one");
    conn_gone(c);
    world_free(w);
}

/* What is due when it is put into the wheel, or was before, is looked at in the next tick and not a round later. */
static void test_due_already(void **state)
{
    (void)state;
    struct world *w = world_new(CONFIG);
    w->loop->now_ms = w->loop->now_ms / TICK_MS * TICK_MS;
    pass(w, TICK_MS);
    for (int64_t late = 0; late <= 1000; late += 50) {
        struct lws *c = conn_open(w, USER);
        struct session *s = session_of_conn(c);
        skip_frames(c);
        s->expires_ms = w->loop->now_ms - late;
        wheel_schedule(s);
        pass(w, TICK_MS);
        expect_close_frame(c, 4001, "token expired, come back with a new one");
        conn_gone(c);
    }
    world_free(w);
}

/* Clients are told a time, closed at it, and not before an answer that they wait for. */
static void test_drain(void **state)
{
    (void)state;
    struct world *w = world_new(CONFIG);
    struct lws *c[20], *early = conn_open(w, NULL);
    for (size_t i = 0; i < ROWS(c); i++) {
        c[i] = conn_open(w, USER);
        skip_frames(c[i]);
    }
    session_of_conn(c[0])->in_flight = 1;
    drain_start(w->loop);
    flush_dirty(w->loop);
    expect_close_frame(early, 1012, "node is going down, come back to another one");
    for (size_t i = 0; i < ROWS(c); i++) {
        struct gw_str text;
        assert_int_equal(next_frame(c[i], &text), FRAME_TEXT);
        int after = -1;
        assert_int_equal(sscanf(text.p, "{\"type\":\"reconnect\",\"after\":%d}", &after), 1);
        assert_in_range(after, 0, 9999);
    }
    pass(w, 5200);
    for (size_t i = 1; i < ROWS(c); i++)
        expect_close_frame(c[i], 1012, "node is going down, come back to another one");
    expect_text_frame(c[0], NULL);
    session_of_conn(c[0])->in_flight = 0;
    pass(w, 200);
    expect_close_frame(c[0], 1012, "node is going down, come back to another one");
    assert_false(w->loop->drained);
    for (size_t i = 0; i < ROWS(c); i++)
        conn_gone(c[i]);
    conn_gone(early);
    assert_true(w->loop->drained);
    assert_int_equal(w->net.drained, 1);
    world_free(w);
}

/* The loop was held up for longer than the wheel is round: nothing is forgotten. */
static void test_long_stall(void **state)
{
    (void)state;
    struct world *w = world_new(CONFIG);
    struct lws *c[30];
    for (size_t i = 0; i < ROWS(c); i++) {
        c[i] = conn_open(w, NULL);
        pass(w, 50);
    }
    w->loop->now_ms += 10 * WHEEL_BUCKETS * TICK_MS;
    wheel_tick(w->loop);
    flush_dirty(w->loop);
    for (size_t i = 0; i < ROWS(c); i++) {
        expect_close_frame(c[i], 4508, "no auth message in time");
        conn_gone(c[i]);
    }
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_auth_timeout),      cmocka_unit_test(test_heartbeats_and_pings),
        cmocka_unit_test(test_many_partitions),   cmocka_unit_test(test_quiet_stays_quiet),
        cmocka_unit_test(test_blocked_for_too_long), cmocka_unit_test(test_token_expires),
        cmocka_unit_test(test_due_already),       cmocka_unit_test(test_drain),
        cmocka_unit_test(test_long_stall),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
