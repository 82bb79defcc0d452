/* From the hub to the outboxes: who gets an event, once and with which rooms, while slow clients drop out in the middle. */
#include "session_kit.h"

#include "gw/json.h"
#include "gw/metrics.h"

#define CONNS 60
#define ROOMS 12
#define CONFIG "rooms: [{pattern: \"r:{id}\", join: any}]\nlimits: {outbox_bytes: 4096}\n"

struct client {
    struct lws *c;
    bool in[ROOMS];
};

static void publish(struct world *w, const unsigned *rooms, size_t n, int64_t offset, size_t bytes)
{
    static char names[ROOMS][8], value[3000];
    struct gw_str list[ROOMS];
    for (size_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof(names[i]), "r:%u", rooms[i]);
        list[i] = gw_str_of(names[i]);
    }
    memset(value, 'v', sizeof(value));
    value[0] = value[bytes - 1] = '"';
    struct gw_record rec = {.topic = GW_STR("t"), .offset = offset, .time_ms = -1, .value = {value, bytes}};
    struct gw_routed routed = {.event = GW_STR("e"), .rooms = list, .nrooms = n};
    gw_hub_publish(w->net.hub, &rec, &routed);
}

/* The frame's rooms must be exactly those of the event that the client is in. */
static void check_event(struct client *cl, struct gw_str frame, const unsigned *rooms, size_t n, int64_t offset)
{
    static const char *const wanted[] = {"rooms", "offset", "type"};
    struct gw_json_paths *paths = gw_json_paths_new(wanted, 3, NULL);
    struct gw_json_val v[3], room;
    struct gw_json_out out = {.vals = v};
    struct gw_err err = {0};
    int64_t got;
    bool seen[ROOMS] = {false};
    size_t pos = 0, nseen = 0, want = 0;
    if (gw_json_scan(frame, NULL, paths, &out, &err) != 0)
        fail_msg("%.*s: %s", (int)frame.len, frame.p, err.text);
    expect_str("type", v[2].raw, "\"event\"");
    assert_int_equal(gw_json_i64(&v[1], &got), 0);
    assert_int_equal(got, offset);
    for (; gw_json_next(v[0].raw, &pos, NULL, NULL, &room); nseen++) {
        unsigned r = (unsigned)atoi(room.raw.p + 3);
        assert_true(r < ROOMS && !seen[r]);
        seen[r] = true;
    }
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(seen[rooms[i]], cl->in[rooms[i]]);
        want += cl->in[rooms[i]];
    }
    assert_int_equal(nseen, want);
    gw_json_paths_free(paths);
}

static bool wants(const struct client *cl, const unsigned *rooms, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (cl->in[rooms[i]])
            return true;
    return false;
}

static void come(struct world *w, struct client *cl, uint32_t *seed)
{
    struct gw_buf b = {0};
    memset(cl->in, 0, sizeof(cl->in));
    cl->c = conn_open(w, "{\"sub\":\"u\"}");
    for (unsigned r = 0; r < ROOMS; r++) {
        cl->in[r] = random_below(seed, 3) == 0;
        if (cl->in[r])
            gw_buf_addf(&b, "{\"type\":\"join\",\"room\":\"r:%u\"}\n", r);
    }
    conn_says(cl->c, gw_buf_c(&b));
    gw_buf_fini(&b);
    skip_frames(cl->c);
    if (random_below(seed, 4) == 0)
        cl->c->room = random_below(seed, 3000); /* will be slow sooner or later */
}

/* Different rooms, in any order. */
static size_t choose_rooms(unsigned *rooms, uint32_t *seed)
{
    unsigned all[ROOMS];
    size_t n = 1 + (random_below(seed, 3) ? random_below(seed, 3) : random_below(seed, ROOMS));
    for (unsigned i = 0; i < ROOMS; i++)
        all[i] = i;
    for (size_t i = 0; i < n; i++) {
        size_t k = i + random_below(seed, (uint32_t)(ROOMS - i));
        rooms[i] = all[k];
        all[k] = all[i];
    }
    return n;
}

static void check_client(struct client *cl, const unsigned *rooms, size_t n, int64_t offset)
{
    struct gw_str frame;
    struct session *s = session_of_conn(cl->c);
    unsigned opcode = next_frame(cl->c, &frame);
    if (s->state == SESSION_CLOSING) {
        assert_int_equal(s->rooms.n, 0);
        return;
    }
    if (opcode == 0) { /* only the slow wait */
        assert_true(s->blocked || !wants(cl, rooms, n));
        return;
    }
    if (s->blocked || cl->c->room != SIZE_MAX)
        return; /* an older one; the fast ones are looked at */
    assert_true(wants(cl, rooms, n));
    check_event(cl, frame, rooms, n, offset);
    expect_text_frame(cl->c, NULL);
}

static void test_random_rooms_and_slow_clients(void **state)
{
    (void)state;
    struct world *w = world_new(CONFIG);
    static struct client cl[CONNS];
    uint32_t seed = 2024;
    size_t slow = 0;
    for (size_t i = 0; i < CONNS; i++)
        come(w, &cl[i], &seed);
    for (int64_t offset = 0; offset < 1500; offset++) {
        unsigned rooms[ROOMS];
        size_t n = choose_rooms(rooms, &seed);
        publish(w, rooms, n, offset, 2 + random_below(&seed, 1500));
        loop_take_mail(w->loop, 100);
        for (size_t i = 0; i < CONNS; i++) {
            check_client(&cl[i], rooms, n, offset);
            if (session_of_conn(cl[i].c)->state == SESSION_CLOSING || random_below(&seed, 500) == 0) {
                slow += session_of_conn(cl[i].c)->close_code == 4008;
                conn_gone(cl[i].c);
                come(w, &cl[i], &seed);
            }
        }
    }
    assert_true(slow > 20);
    for (size_t i = 0; i < CONNS; i++)
        conn_gone(cl[i].c);
    world_free(w);
}

/* All members of a room are too slow for the same event: the room is gone while its members are walked. */
static void test_all_members_drop_out(void **state)
{
    (void)state;
    struct world *w = world_new(CONFIG);
    struct client cl[5];
    const unsigned rooms[] = {1, 2};
    for (size_t nrooms = 1; nrooms <= 2; nrooms++) {
        for (size_t i = 0; i < ROWS(cl); i++) {
            cl[i].c = conn_open(w, "{\"sub\":\"u\"}");
            conn_says(cl[i].c, "{\"type\":\"join\",\"room\":\"r:1\"}\n{\"type\":\"join\",\"room\":\"r:2\"}");
            cl[i].c->room = 0;
        }
        for (int k = 0; k < 4; k++) { /* the last one is too much */
            publish(w, rooms, nrooms, k, 1900);
            loop_take_mail(w->loop, 100);
        }
        assert_int_equal(w->loop->rooms.map.len, 0);
        for (size_t i = 0; i < ROWS(cl); i++) {
            assert_int_equal(session_of_conn(cl[i].c)->close_code, 4008);
            conn_gone(cl[i].c);
        }
    }
    world_free(w);
}

/* The same event is one frame for all who are in the same of its rooms; several events leave in one write. */
static void test_frames_are_shared(void **state)
{
    (void)state;
    struct world *w = world_new(CONFIG);
    struct lws *c[6];
    const unsigned rooms[] = {1, 2, 3};
    for (size_t i = 0; i < ROWS(c); i++) {
        c[i] = conn_open(w, "{\"sub\":\"u\"}");
        conn_says(c[i], i < 3 ? "{\"type\":\"join\",\"room\":\"r:1\"}\n{\"type\":\"join\",\"room\":\"r:2\"}" : "{\"type\":\"join\",\"room\":\"r:2\"}");
        skip_frames(c[i]);
    }
    int64_t frames = gw_metric_sum(GW_M_FRAMES_ENCODED), writes = gw_metric_sum(GW_M_WRITES), deliveries = gw_metric_sum(GW_M_DELIVERIES);
    for (int k = 0; k < 10; k++)
        publish(w, rooms, 3, k, 50);
    loop_take_mail(w->loop, 100);
    assert_int_equal(gw_metric_sum(GW_M_FRAMES_ENCODED) - frames, 10 * 2);
    assert_int_equal(gw_metric_sum(GW_M_DELIVERIES) - deliveries, 10 * 6);
    assert_int_equal(gw_metric_sum(GW_M_WRITES) - writes, 6);
    for (size_t i = 0; i < ROWS(c); i++) {
        struct gw_str frame;
        size_t n = 0;
        while (next_frame(c[i], &frame))
            n++;
        assert_int_equal(n, 10);
        conn_gone(c[i]);
    }
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_rooms_and_slow_clients),
        cmocka_unit_test(test_all_members_drop_out),
        cmocka_unit_test(test_frames_are_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
