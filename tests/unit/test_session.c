/* One connection without a socket: welcome, rooms, limits, slow clients, reloads, the end. */
#include "session_kit.h"

#include "gw/metrics.h"

#define CONFIG(limits)                                                                     \
    "rooms:\n"                                                                             \
    "  - {pattern: \"session:{id}\", join: {claim: sessions, contains: \"{id}\"}}\n"       \
    "  - {pattern: \"concept:{id}\", join: any}\n"                                         \
    "limits: {" limits "}\n"
#define USER "{\"sub\":\"u1\",\"sessions\":[\"1\",\"2\",\"3\"]}"

static void test_welcome_and_rooms(void **state)
{
    (void)state;
    struct world *w = world_new(CONFIG("rooms_per_connection: 3"));
    int64_t connections = gw_metric_sum(GW_M_CONNECTIONS);
    struct lws *c = conn_open(w, USER);
    struct gw_str text;
    assert_int_equal(gw_metric_sum(GW_M_CONNECTIONS) - connections, 1);
    assert_int_equal(next_frame(c, &text), FRAME_TEXT);
    const char *welcome = "{\"type\":\"welcome\",\"connection\":\"c-0000abcd-0-0-1\",\"user\":\"u1\",\"rooms\":[\"user:u1\"],\"expires\":";
    assert_memory_equal(text.p, welcome, strlen(welcome));
    conn_says(c, "{\"type\":\"join\",\"id\":1,\"room\":\"session:2\"}\n{\"type\":\"join\",\"id\":2,\"room\":\"session:9\"}");
    expect_text_frame(c, "{\"type\":\"joined\",\"id\":1,\"room\":\"session:2\"}");
    expect_text_frame(c, "{\"type\":\"error\",\"id\":2,\"code\":\"forbidden\",\"message\":\"you may not join this room\",\"retry\":false}");
    conn_says(c, "{\"type\":\"join\",\"id\":3,\"room\":\"concept:a\"}");
    expect_text_frame(c, "{\"type\":\"joined\",\"id\":3,\"room\":\"concept:a\"}");
    conn_says(c, "{\"type\":\"join\",\"id\":4,\"room\":\"concept:b\"}\n{\"type\":\"join\",\"id\":5,\"room\":\"concept:a\"}");
    expect_text_frame(c, "{\"type\":\"error\",\"id\":4,\"code\":\"limit\",\"message\":\"limits.rooms_per_connection is reached\",\"retry\":false}");
    expect_text_frame(c, "{\"type\":\"joined\",\"id\":5,\"room\":\"concept:a\"}"); /* is in it already */
    conn_says(c, "{\"type\":\"leave\",\"id\":6,\"room\":\"concept:a\"}\n{\"type\":\"leave\",\"room\":\"no:where\"}\n\n{\"type\":\"ping\",\"id\":\"p\"}");
    expect_text_frame(c, "{\"type\":\"left\",\"id\":6,\"room\":\"concept:a\"}");
    expect_text_frame(c, "{\"type\":\"left\",\"room\":\"no:where\"}");
    expect_text_frame(c, "{\"type\":\"pong\",\"id\":\"p\"}");
    expect_text_frame(c, NULL);
    assert_int_equal(session_of_conn(c)->rooms.n, 2);
    conn_gone(c);
    assert_int_equal(gw_metric_sum(GW_M_CONNECTIONS), connections);
    world_free(w);
}

static void test_auth_comes_first(void **state)
{
    (void)state;
    struct world *w = world_new(CONFIG(""));
    struct lws *c = conn_open(w, NULL);
    expect_text_frame(c, NULL);
    conn_says(c, "{\"type\":\"ping\",\"id\":1}\n{\"type\":\"ping\",\"id\":2}");
    expect_text_frame(c, "{\"type\":\"error\",\"id\":1,\"code\":\"unauthenticated\",\"message\":\"the first message must be auth\",\"retry\":false}");
    expect_close_frame(c, 4501, "the first message must be auth");
    expect_text_frame(c, NULL); /* what came behind is not looked at */
    conn_gone(c);
    c = conn_open(w, NULL);
    conn_says(c, "{\"type\":\"auth\",\"id\":1,\"token\":\"nonsense\"}");
    struct gw_str text;
    assert_int_equal(next_frame(c, &text), FRAME_TEXT);
    assert_int_equal(next_frame(c, &text), FRAME_CLOSE);
    conn_gone(c);
    world_free(w);
}

/* Ids of another thread's messages are looked up: what is gone, or a newcomer in its place, is not found. */
static void test_stale_ids(void **state)
{
    (void)state;
    struct world *w = world_new(CONFIG(""));
    struct lws *a = conn_open(w, USER), *b = conn_open(w, USER);
    struct session_id id = session_of_conn(a)->id;
    assert_ptr_equal(session_find(w->loop, id), session_of_conn(a));
    conn_gone(a);
    assert_null(session_find(w->loop, id));
    for (int i = 0; i < 200; i++) { /* the same slot again and again, and then many */
        a = conn_open(w, USER);
        assert_int_equal(session_of_conn(a)->id.slot, id.slot);
        assert_true(session_of_conn(a)->id.generation != id.generation);
        assert_null(session_find(w->loop, id));
        conn_gone(a);
    }
    struct lws *many[300];
    for (size_t i = 0; i < ROWS(many); i++)
        many[i] = conn_open(w, USER);
    for (size_t i = 0; i < ROWS(many); i++) {
        assert_ptr_equal(session_find(w->loop, session_of_conn(many[i])->id), session_of_conn(many[i]));
        conn_gone(many[i]);
    }
    assert_null(session_find(w->loop, (struct session_id){1000000, 1}));
    conn_gone(b);
    world_free(w);
}

/* ---- a client that does not read ---- */

static void send_bytes(struct lws *c, size_t n)
{
    struct gw_buf b = {0};
    memset(gw_buf_reserve(&b, n), 'x', n);
    b.len = n;
    session_send_text(session_of_conn(c), &b);
    gw_buf_fini(&b);
}

static void test_slow_client(void **state)
{
    (void)state;
    struct world *w = world_new(CONFIG("outbox_bytes: 4096"));
    int64_t waiting = gw_metric_sum(GW_M_OUTBOX_BYTES), hits = gw_metric_sum(GW_M_LIMIT_OUTBOX);
    struct lws *c = conn_open(w, USER);
    struct session *s = session_of_conn(c);
    skip_frames(c);
    c->room = 10;
    send_bytes(c, 100);
    flush_dirty(w->loop);
    assert_true(c->wants_write && s->blocked);
    for (int i = 0; i < 4; i++)
        send_bytes(c, 1000); /* 4016 with their headers: all of them fit */
    flush_dirty(w->loop);
    assert_int_equal(gw_metric_sum(GW_M_OUTBOX_BYTES) - waiting, 4016);
    assert_int_equal(s->state, SESSION_OPEN);
    send_bytes(c, 1000);
    assert_int_equal(s->state, SESSION_CLOSING);
    assert_int_equal(gw_metric_sum(GW_M_LIMIT_OUTBOX) - hits, 1);
    assert_int_equal(s->rooms.n, 0);
    assert_in_range(gw_metric_sum(GW_M_OUTBOX_BYTES) - waiting, 2, 127); /* the close frame alone */
    send_bytes(c, 10); /* too late */
    conn_writable(c, SIZE_MAX);
    struct gw_str text;
    assert_int_equal(next_frame(c, &text), FRAME_TEXT);
    assert_int_equal(text.len, 100);
    expect_close_frame(c, 4008, "too slow: limits.outbox_bytes exceeded, come back and resume"); /* and nothing of what waited */
    expect_text_frame(c, NULL);
    conn_gone(c);
    assert_int_equal(gw_metric_sum(GW_M_OUTBOX_BYTES), waiting);
    world_free(w);
}

/* A message longer than the bound goes out where nothing else waits. */
static void test_slow_but_not_too_slow(void **state)
{
    (void)state;
    struct world *w = world_new(CONFIG("outbox_bytes: 4096"));
    struct lws *c = conn_open(w, USER);
    skip_frames(c);
    c->room = 0;
    send_bytes(c, 1);
    flush_dirty(w->loop);
    send_bytes(c, 9000);
    assert_int_equal(session_of_conn(c)->state, SESSION_OPEN);
    conn_writable(c, 0);
    assert_true(session_of_conn(c)->blocked);
    conn_writable(c, SIZE_MAX);
    assert_false(session_of_conn(c)->blocked);
    send_bytes(c, 2);
    flush_dirty(w->loop);
    static const size_t sizes[] = {1, 9000, 2};
    struct gw_str text;
    for (size_t i = 0; i < ROWS(sizes); i++) {
        assert_int_equal(next_frame(c, &text), FRAME_TEXT);
        assert_int_equal(text.len, sizes[i]);
    }
    conn_gone(c);
    world_free(w);
}

static void test_broken_write(void **state)
{
    (void)state;
    struct world *w = world_new(CONFIG(""));
    struct lws *c = conn_open(w, USER);
    c->broken = true;
    send_bytes(c, 10);
    send_bytes(c, 10);
    flush_dirty(w->loop);
    assert_true(c->killed && session_of_conn(c)->dead);
    assert_int_equal(session_of_conn(c)->rooms.n, 0);
    send_bytes(c, 10);
    session_close(session_of_conn(c), GW_CLOSE_DRAIN, NULL);
    flush_dirty(w->loop); /* a second write would be the end of the fake */
    conn_gone(c);
    world_free(w);
}

/* ---- reloads ---- */

static void reload(struct world *w, const char *yaml)
{
    gw_mailbox_put(w->loop->mailbox, (struct gw_mail){.kind = MAIL_POLICY, .item = policy_of(yaml)});
    loop_take_mail(w->loop, 100);
}

static void test_reload_takes_rooms_away(void **state)
{
    (void)state;
    struct world *w = world_new(CONFIG(""));
    struct lws *c = conn_open(w, USER);
    conn_says(c, "{\"type\":\"join\",\"room\":\"session:1\"}\n{\"type\":\"join\",\"room\":\"concept:a\"}\n{\"type\":\"join\",\"room\":\"session:3\"}");
    skip_frames(c);
    reload(w, CONFIG("")); /* the same */
    expect_text_frame(c, NULL);
    reload(w, "rooms: [{pattern: \"session:{id}\", join: {claim: sub, equals: \"u{id}\"}}]\n");
    expect_text_frame(c, "{\"type\":\"left\",\"room\":\"session:3\",\"reason\":\"no longer allowed\"}");
    expect_text_frame(c, "{\"type\":\"left\",\"room\":\"concept:a\",\"reason\":\"no longer allowed\"}");
    expect_text_frame(c, NULL);
    assert_int_equal(session_of_conn(c)->rooms.n, 2);
    assert_non_null(gw_rooms_membership(&session_of_conn(c)->rooms, GW_STR("user:u1")));
    assert_non_null(gw_rooms_membership(&session_of_conn(c)->rooms, GW_STR("session:1")));
    conn_gone(c);
    world_free(w);
}

/* The message that a room is gone is one too many for a slow client: it is closed in the middle of the list of its rooms. */
static void test_reload_closes_a_slow_client(void **state)
{
    (void)state;
    struct world *w = world_new(CONFIG("outbox_bytes: 4096"));
    struct lws *c = conn_open(w, USER);
    struct session *s = session_of_conn(c);
    conn_says(c, "{\"type\":\"join\",\"room\":\"session:1\"}\n{\"type\":\"join\",\"room\":\"session:2\"}\n{\"type\":\"join\",\"room\":\"session:3\"}");
    c->room = 0;
    send_bytes(c, 10);
    flush_dirty(w->loop);
    send_bytes(c, 4000);
    assert_int_equal(s->state, SESSION_OPEN);
    reload(w, "rooms: []\n");
    assert_int_equal(s->state, SESSION_CLOSING);
    assert_int_equal(s->close_code, 4008);
    assert_int_equal(s->rooms.n, 0); /* nor is it put into its automatic rooms again */
    assert_int_equal(w->loop->rooms.map.len, 0);
    conn_gone(c);
    world_free(w);
}

/* ---- faults and floods ---- */

static void test_faulty_messages(void **state)
{
    (void)state;
    struct world *w = world_new(CONFIG("errors_per_min: 3"));
    struct lws *c = conn_open(w, USER);
    int64_t bad = gw_metric_sum(GW_M_ERROR_BAD_MESSAGE);
    skip_frames(c);
    for (int i = 0; i < 4; i++) {
        conn_says(c, "[]");
        expect_text_frame(c, "{\"type\":\"error\",\"code\":\"bad_message\",\"message\":\"expected a JSON object\",\"retry\":false}");
        w->loop->now_ms += i == 0 ? 20000 : 0; /* time for one to be forgiven */
    }
    assert_int_equal(session_of_conn(c)->state, SESSION_OPEN);
    conn_says(c, "[]\n[]");
    expect_text_frame(c, "{\"type\":\"error\",\"code\":\"bad_message\",\"message\":\"expected a JSON object\",\"retry\":false}");
    expect_close_frame(c, 4529, "too many faulty messages");
    expect_text_frame(c, NULL);
    assert_int_equal(gw_metric_sum(GW_M_ERROR_BAD_MESSAGE) - bad, 5);
    conn_gone(c);
    world_free(w);
}

static void test_message_rate(void **state)
{
    (void)state;
    struct world *w = world_new(CONFIG("messages_per_s: 5"));
    struct lws *c = conn_open(w, USER);
    skip_frames(c);
    for (int i = 0; i < 10; i++) {
        conn_says(c, "{\"type\":\"ping\"}");
        expect_text_frame(c, "{\"type\":\"pong\"}");
    }
    conn_says(c, "{\"type\":\"ping\",\"id\":7}");
    expect_text_frame(c, "{\"type\":\"error\",\"id\":7,\"code\":\"rate_limited\",\"message\":\"more than limits.messages_per_s messages\",\"retry\":true}");
    w->loop->now_ms += 200;
    conn_says(c, "{\"type\":\"ping\"}");
    expect_text_frame(c, "{\"type\":\"pong\"}");
    conn_gone(c);
    world_free(w);
}

/* ---- messages in pieces ---- */

static void piece(struct lws *c, const char *text, bool first, bool final, size_t remaining)
{
    c->first = first;
    c->final = final;
    c->remaining = remaining;
    char *copy = strdup(text);
    conn_event(c, LWS_CALLBACK_RECEIVE, copy, strlen(text));
    free(copy);
}

static void test_messages_in_pieces(void **state)
{
    (void)state;
    struct world *w = world_new(CONFIG("message_bytes: 256"));
    struct lws *c = conn_open(w, USER);
    char long_text[300];
    skip_frames(c);
    piece(c, "{\"type\":\"ping\"}", true, true, 0);
    expect_text_frame(c, "{\"type\":\"pong\"}");
    piece(c, "{\"type\":", true, false, 0);
    piece(c, "\"ping\",\"id\"", false, false, 4);
    piece(c, ":1}", false, false, 0);
    expect_text_frame(c, NULL);
    piece(c, "", false, true, 0);
    expect_text_frame(c, "{\"type\":\"pong\",\"id\":1}");
    assert_null(session_of_conn(c)->rx.data); /* nothing is kept */
    piece(c, "{\"type\":\"ping\"", true, true, 1); /* a frame that lws hands over in parts */
    expect_text_frame(c, NULL);
    piece(c, "}", false, true, 0);
    expect_text_frame(c, "{\"type\":\"pong\"}");
    memset(long_text, ' ', 256);
    memcpy(long_text, "{\"type\":\"ping\"}", 15);
    long_text[256] = '\0';
    piece(c, long_text, true, true, 0); /* just as long as it may be */
    expect_text_frame(c, "{\"type\":\"pong\"}");
    piece(c, long_text, true, false, 0);
    piece(c, " ", false, false, 0);
    expect_close_frame(c, 1009, "message is longer than limits.message_bytes");
    piece(c, "x", false, true, 0); /* passed over */
    conn_gone(c);
    c = conn_open(w, USER);
    skip_frames(c);
    c->binary = true;
    piece(c, "{\"type\":\"ping\"}", true, true, 0);
    expect_close_frame(c, 1003, "only text messages are understood");
    conn_gone(c);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_welcome_and_rooms),       cmocka_unit_test(test_auth_comes_first),
        cmocka_unit_test(test_stale_ids),               cmocka_unit_test(test_slow_client),
        cmocka_unit_test(test_slow_but_not_too_slow),   cmocka_unit_test(test_broken_write),
        cmocka_unit_test(test_reload_takes_rooms_away), cmocka_unit_test(test_reload_closes_a_slow_client),
        cmocka_unit_test(test_faulty_messages),         cmocka_unit_test(test_message_rate),
        cmocka_unit_test(test_messages_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
