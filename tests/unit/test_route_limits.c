/* Routing at its bounds: which topics are meant, sizes and depths of values, numbers and lengths of rooms. */
#include "route_kit.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void expect_text(const char *name, const char *got, const char *want)
{
    if (strcmp(got, want) != 0)
        fail_msg("%s:\n  got  \"%s\"\n  want \"%s\"", name, got, want);
}

/* ---- topics ---- */

static void test_topics(void **state)
{
    (void)state;
    static const struct route_spec specs[] = {
        {.topics = {"a", "b", "^c\\..*", "a"}, .event = "e", .rooms = {"r:1"}},
        {.topics = {"b", "d", "x.DLT"}, .event = "e", .rooms = {"r:1"}},
        {.topics = {"^.*_o"}, .event = "e", .rooms = {"r:1"}},
    };
    static const struct {
        const char *topic;
        bool wanted;
    } wanted[] = {
        {"a", true},      {"b", true},     {"d", true},      {"x.DLT", true},
        {"ab", false},    {"A", false},    {"c.x", true},    {"c.", true},
        {"c", false},     {"xc.x", false}, {"c.x.DLT", false}, {"c.x.DLTx", true},
        {"c..DLT", false}, {"", false},    {"my_offsets", true}, {"__consumer_offsets", false},
    };
    struct gw_routes *r = kit_routes(specs, 3, (struct kit_limits){0}, NULL);
    const char *const *names;

    assert_non_null(r);
    assert_true(gw_routes_has_regex(r));
    assert_int_equal(gw_routes_exact_topics(r, &names), 4);
    assert_string_equal(names[0], "a");
    assert_string_equal(names[1], "b");
    assert_string_equal(names[2], "d");
    assert_string_equal(names[3], "x.DLT");
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
        if (gw_routes_wants_topic(r, wanted[i].topic) != wanted[i].wanted)
            fail_msg("wants_topic(%s)", wanted[i].topic);
    gw_routes_free(r);

    r = kit_routes(&specs[1], 1, (struct kit_limits){0}, NULL);
    assert_false(gw_routes_has_regex(r));
    gw_routes_free(r);
    r = kit_routes(specs, 0, (struct kit_limits){0}, NULL);
    assert_int_equal(gw_routes_exact_topics(r, &names), 0);
    assert_false(gw_routes_wants_topic(r, "a"));
    gw_routes_free(r);
    gw_routes_free(NULL);
    gw_topic_routes_free(NULL);
    gw_route_scratch_free(NULL);
}

/* ---- limits ---- */

struct rig {
    struct gw_routes *r;
    struct gw_topic_routes *t;
    struct gw_route_scratch *s;
    struct gw_buf value;
    struct gw_routed out;
    struct gw_err err;
};

static void rig_up(struct rig *rig, const struct route_spec *specs, struct kit_limits limits, const char *topic)
{
    *rig = (struct rig){0};
    rig->r = kit_routes(specs, KIT_ROUTES, limits, &rig->err);
    if (!rig->r)
        fail_msg("%s", rig->err.text);
    rig->t = gw_topic_routes_new(rig->r, topic);
    rig->s = gw_route_scratch_new(rig->r);
}

static void rig_down(struct rig *rig)
{
    gw_route_scratch_free(rig->s);
    gw_topic_routes_free(rig->t);
    gw_routes_free(rig->r);
    gw_buf_fini(&rig->value);
}

static enum gw_route_reason rig_apply(struct rig *rig)
{
    struct gw_record rec = {.value = gw_buf_str(&rig->value)};
    rig->err.set = false;
    return gw_route_apply(rig->t, &rec, rig->s, &rig->out, &rig->err);
}

static void add_ids(struct gw_buf *b, const char *name, size_t n, size_t modulo)
{
    gw_buf_addf(b, "\"%s\":[", name);
    for (size_t i = 0; i < n; i++)
        gw_buf_addf(b, "%s\"u%zu\"", i ? "," : "", i % modulo);
    gw_buf_add_c(b, "]");
}

static const struct route_spec lists[KIT_ROUTES] = {
    {.topics = {"t"}, .event = "a", .rooms = {"user:{value.a[*]}"}, .when = {{"value.kind", {"a"}}}},
    {.topics = {"t"}, .event = "b", .rooms = {"user:{value.b[*]}"}, .when = {{"value.kind", {"b"}}}},
    {.topics = {"t"}, .event = "c", .rooms = {"r:1"}, .when = {{"value.kind", {"c"}}}},
    {.topics = {"t"}, .event = "d", .rooms = {"user:{value.a[*]}", "user:{value.b[*]}"}},
};

static void fill_lists(struct rig *rig, const char *kind, size_t a, size_t b, size_t modulo)
{
    gw_buf_clear(&rig->value);
    gw_buf_addf(&rig->value, "{\"kind\":\"%s\",", kind);
    add_ids(&rig->value, "a", a, modulo);
    gw_buf_add_char(&rig->value, ',');
    add_ids(&rig->value, "b", b, modulo);
    gw_buf_add_char(&rig->value, '}');
}

static void test_value_limits(void **state)
{
    (void)state;
    struct rig rig;

    rig_up(&rig, lists, (struct kit_limits){.event_bytes = 20, .event_depth = 4}, "t");
    gw_buf_add_c(&rig.value, "{\"kind\":\"c\",\"a\":[]}");
    assert_int_equal(rig.value.len, 19);
    assert_int_equal(rig_apply(&rig), GW_ROUTE_OK);
    gw_buf_add_c(&rig.value, " ");
    assert_int_equal(rig_apply(&rig), GW_ROUTE_OK);
    gw_buf_add_c(&rig.value, " ");
    assert_int_equal(rig_apply(&rig), GW_ROUTE_TOO_LARGE);
    expect_text("large", rig.err.text, "the value's 21 bytes are more than limits.event_bytes (20)");
    gw_buf_clear(&rig.value);
    gw_buf_add_c(&rig.value, "[[[[]]]]");
    assert_int_equal(rig_apply(&rig), GW_ROUTE_OK);
    gw_buf_clear(&rig.value);
    gw_buf_add_c(&rig.value, "[[[[[]]]]]");
    assert_int_equal(rig_apply(&rig), GW_ROUTE_NOT_JSON);
    rig_down(&rig);
}

/* Checks that out has the rooms user:u0 to user:u<n-1>, in this order. */
static void expect_users(const struct gw_routed *out, size_t n)
{
    assert_int_equal(out->nrooms, n);
    for (size_t i = 0; i < n; i++) {
        char want[32];
        snprintf(want, sizeof(want), "user:u%zu", i);
        if (!gw_str_is(out->rooms[i], want))
            fail_msg("room %zu is %.*s", i, (int)out->rooms[i].len, out->rooms[i].p);
    }
}

static void test_room_limits(void **state)
{
    (void)state;
    struct rig rig;

    rig_up(&rig, lists, (struct kit_limits){.rooms_per_event = 100}, "t");
    for (size_t n = 0; n <= 100; n++) {
        fill_lists(&rig, "a", n, 0, 1000);
        assert_int_equal(rig_apply(&rig), GW_ROUTE_OK);
        expect_users(&rig.out, n);
    }
    fill_lists(&rig, "a", 101, 0, 1000);
    assert_int_equal(rig_apply(&rig), GW_ROUTE_TOO_MANY);
    expect_text("101", rig.err.text, "rooms[0]: more rooms than limits.rooms_per_event (100)");
    fill_lists(&rig, "d", 60, 60, 1000);
    assert_int_equal(rig_apply(&rig), GW_ROUTE_OK);
    expect_users(&rig.out, 60);
    fill_lists(&rig, "a", 1000, 0, 1000);
    assert_int_equal(rig_apply(&rig), GW_ROUTE_TOO_MANY);
    expect_text("1000", rig.err.text,
                "the arrays that rooms are made of have more elements than limits.rooms_per_event (100)");
    rig_down(&rig);
}

/* An array that is too long matters to the routes alone that make rooms of it. */
static void test_other_routes_arrays(void **state)
{
    (void)state;
    struct rig rig;

    rig_up(&rig, lists, (struct kit_limits){.rooms_per_event = 100}, "t");
    fill_lists(&rig, "b", 5000, 100, 1000);
    assert_int_equal(rig_apply(&rig), GW_ROUTE_OK);
    assert_true(gw_str_is(rig.out.event, "b"));
    expect_users(&rig.out, 100);
    fill_lists(&rig, "c", 5000, 5000, 1000);
    assert_int_equal(rig_apply(&rig), GW_ROUTE_OK);
    assert_int_equal(rig.out.nrooms, 1);
    fill_lists(&rig, "d", 100, 5000, 1000);
    assert_int_equal(rig_apply(&rig), GW_ROUTE_TOO_MANY);
    rig_down(&rig);
}

/* Many names, many repeats, records of all sizes one after the other in one scratch. */
static void test_repeats(void **state)
{
    (void)state;
    struct rig rig;

    rig_up(&rig, lists, (struct kit_limits){.rooms_per_event = 4096}, "t");
    for (size_t modulo = 1; modulo < 4096; modulo = modulo * 3 / 2 + 1) {
        fill_lists(&rig, "d", 4000, 3000, modulo);
        assert_int_equal(rig_apply(&rig), GW_ROUTE_OK);
        expect_users(&rig.out, modulo < 4000 ? modulo : 4000);
        fill_lists(&rig, "a", 3, 0, 1000);
        assert_int_equal(rig_apply(&rig), GW_ROUTE_OK);
        expect_users(&rig.out, 3);
    }
    rig_down(&rig);
}

static void test_long_names(void **state)
{
    (void)state;
    static const struct route_spec spec[KIT_ROUTES] = {
        {.topics = {"t"}, .event = "{value.e}", .rooms = {"{value.r}"}},
    };
    static const struct {
        int event, room;
        enum gw_route_reason reason;
    } cases[] = {
        {128, 256, GW_ROUTE_OK},
        {129, 256, GW_ROUTE_MISSING},
        {128, 257, GW_ROUTE_BAD_ROOM},
        {1, 100000, GW_ROUTE_BAD_ROOM},
    };
    struct rig rig;

    rig_up(&rig, spec, (struct kit_limits){0}, "t");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        gw_buf_clear(&rig.value);
        gw_buf_addf(&rig.value, "{\"e\":\"%0*d\",\"r\":\"%0*d\"}", cases[i].event, 0, cases[i].room, 0);
        assert_int_equal(rig_apply(&rig), cases[i].reason);
    }
    assert_int_equal(strncmp(rig.err.text, "rooms[0]: \"0000", 15), 0);
    assert_non_null(strstr(rig.err.text, "000\"... is no room's name"));
    rig_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_topics),      cmocka_unit_test(test_value_limits),
        cmocka_unit_test(test_room_limits), cmocka_unit_test(test_other_routes_arrays),
        cmocka_unit_test(test_repeats),     cmocka_unit_test(test_long_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
