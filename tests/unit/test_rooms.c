/* One loop's rooms, against a table of who is where; and the hub's interest that goes along. */
#include "gw/rooms.h"

#include "gw/metrics.h"

#include "unit_kit.h"

#define CONNS 40
#define ROOMS 25

struct conn {
    struct gw_memberships in;
    bool member[ROOMS]; /* the model */
};

struct world {
    struct gw_hub *hub;
    struct gw_rooms rooms;
    struct conn conn[CONNS];
};

static struct gw_str room_name(unsigned i, char out[16])
{
    snprintf(out, 16, "room:%u", i);
    return gw_str_of(out);
}

static struct world *world_new(size_t rooms_max)
{
    struct world *w = calloc(1, sizeof(*w));
    w->hub = gw_hub_new(2, 16, SIZE_MAX);
    gw_rooms_init(&w->rooms, w->hub, 1, rooms_max);
    return w;
}

static void world_free(struct world *w)
{
    for (size_t i = 0; i < CONNS; i++)
        gw_rooms_leave_all(&w->rooms, &w->conn[i].in);
    assert_int_equal(w->rooms.map.len, 0);
    gw_rooms_fini(&w->rooms);
    gw_hub_free(w->hub);
    free(w);
}

/* 1 where the hub would give this loop (and no other) an event of the room. */
static unsigned wanted(struct world *w, struct gw_str room)
{
    struct gw_record rec = {.topic = GW_STR("t"), .value = GW_STR("1"), .time_ms = -1};
    struct gw_routed routed = {.event = GW_STR("e"), .rooms = &room, .nrooms = 1};
    unsigned n = gw_hub_publish(w->hub, &rec, &routed);
    struct gw_mail mail;
    while (gw_mailbox_take(gw_hub_mailbox(w->hub, 1), &mail, 1))
        gw_event_unref(mail.item);
    return n;
}

static void check_room(struct world *w, unsigned r)
{
    char name[16];
    struct gw_str room = room_name(r, name);
    struct gw_room *found = gw_rooms_find(&w->rooms, room, gw_hash(room.p, room.len));
    size_t n = 0;
    for (size_t i = 0; i < CONNS; i++) {
        struct gw_membership *m = gw_rooms_membership(&w->conn[i].in, room);
        assert_int_equal(m != NULL, w->conn[i].member[r]);
        if (!m)
            continue;
        n++;
        assert_ptr_equal(m->room, found);
        assert_ptr_equal(m->owner, &w->conn[i]);
        assert_true(m->at < found->n);
        assert_ptr_equal(found->member[m->at].owner, &w->conn[i]);
        assert_ptr_equal(found->member[m->at].membership, m);
    }
    assert_int_equal(found ? found->n : 0, n);
    if (found)
        expect_str("name", found->name, name);
    assert_int_equal(wanted(w, room), n > 0);
}

static void check_all(struct world *w)
{
    size_t alive = 0;
    for (unsigned r = 0; r < ROOMS; r++) {
        bool any = false;
        check_room(w, r);
        for (size_t i = 0; i < CONNS; i++)
            any |= w->conn[i].member[r];
        alive += any;
    }
    assert_int_equal(w->rooms.map.len, alive);
    for (size_t i = 0; i < CONNS; i++) {
        size_t n = 0;
        for (unsigned r = 0; r < ROOMS; r++)
            n += w->conn[i].member[r];
        assert_int_equal(w->conn[i].in.n, n);
    }
}

static void one_step(struct world *w, uint32_t *seed, uint32_t join_share)
{
    struct conn *c = &w->conn[random_below(seed, CONNS)];
    unsigned r = random_below(seed, ROOMS);
    char name[16];
    struct gw_str room = room_name(r, name);
    struct gw_membership *m = gw_rooms_membership(&c->in, room);
    if (random_below(seed, 100) < join_share) {
        assert_int_equal(gw_rooms_join(&w->rooms, &c->in, c, room, r % 2), 0);
        memset(name, '#', sizeof(name)); /* the room has its own name */
        c->member[r] = true;
    } else if (random_below(seed, 30) == 0) {
        gw_rooms_leave_all(&w->rooms, &c->in);
        memset(c->member, 0, sizeof(c->member));
    } else if (m) {
        gw_rooms_leave(&w->rooms, &c->in, m);
        c->member[r] = false;
    }
}

static void test_against_model(void **state)
{
    (void)state;
    struct world *w = world_new(1000);
    uint32_t seed = 77;
    int64_t rooms = gw_metric_sum(GW_M_ROOMS), memberships = gw_metric_sum(GW_M_MEMBERSHIPS);
    for (uint32_t round = 0; round < 60; round++) {
        for (int i = 0; i < 200; i++)
            one_step(w, &seed, round % 3 == 0 ? 80 : 25);
        check_all(w);
        size_t n = 0;
        for (size_t i = 0; i < CONNS; i++)
            n += w->conn[i].in.n;
        assert_int_equal(gw_metric_sum(GW_M_ROOMS) - rooms, w->rooms.map.len);
        assert_int_equal(gw_metric_sum(GW_M_MEMBERSHIPS) - memberships, n);
    }
    world_free(w);
    assert_int_equal(gw_metric_sum(GW_M_ROOMS), rooms);
    assert_int_equal(gw_metric_sum(GW_M_MEMBERSHIPS), memberships);
}

static void test_joining_twice(void **state)
{
    (void)state;
    struct world *w = world_new(1000);
    struct conn *c = &w->conn[0];
    assert_int_equal(gw_rooms_join(&w->rooms, &c->in, c, GW_STR("a"), true), 0);
    assert_int_equal(gw_rooms_join(&w->rooms, &c->in, c, GW_STR("a"), false), 0);
    assert_int_equal(c->in.n, 1);
    assert_true(gw_rooms_membership(&c->in, GW_STR("a"))->automatic); /* stays as it was */
    assert_null(gw_rooms_membership(&c->in, GW_STR("b")));
    world_free(w);
}

static void test_limit(void **state)
{
    (void)state;
    struct world *w = world_new((size_t)gw_metric_sum(GW_M_ROOMS) + 2);
    int64_t hits = gw_metric_sum(GW_M_LIMIT_ROOMS);
    struct conn *c = &w->conn[0], *d = &w->conn[1];
    assert_int_equal(gw_rooms_join(&w->rooms, &c->in, c, GW_STR("a"), false), 0);
    assert_int_equal(gw_rooms_join(&w->rooms, &c->in, c, GW_STR("b"), false), 0);
    assert_int_equal(gw_rooms_join(&w->rooms, &c->in, c, GW_STR("c"), false), -1);
    assert_int_equal(gw_metric_sum(GW_M_LIMIT_ROOMS) - hits, 1);
    assert_int_equal(c->in.n, 2);
    assert_int_equal(wanted(w, GW_STR("c")), 0);
    assert_int_equal(gw_rooms_join(&w->rooms, &d->in, d, GW_STR("a"), false), 0); /* no new room */
    gw_rooms_leave(&w->rooms, &c->in, gw_rooms_membership(&c->in, GW_STR("b")));
    assert_int_equal(gw_rooms_join(&w->rooms, &c->in, c, GW_STR("c"), false), 0);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_joining_twice),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
