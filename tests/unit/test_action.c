/* Actions: what the configuration may say, the check of a client's data, the record that it becomes. */
#include "gw/action.h"

#include "gw/json.h"

#include "config_load.h"
#include "unit_kit.h"

/* ---- compilation ---- */

struct world {
    struct gw_config *cfg;
    struct gw_actions *as;
};

static struct world world_of(const char *yaml)
{
    struct gw_err err = {0};
    struct world w = {.cfg = must_load(yaml)};
    w.as = gw_actions_new(w.cfg, &err);
    if (!w.as)
        fail_msg("%s: %s", yaml, err.text);
    return w;
}

static void world_end(struct world *w)
{
    gw_actions_free(w->as);
    gw_config_free(w->cfg);
}

static void test_lookup(void **state)
{
    (void)state;
    struct world w = world_of("actions:\n"
                              "  - {name: a.b, topic: t1, room: \"session:{id}\"}\n"
                              "  - {name: c, topic: t2}\n");
    assert_int_equal(gw_actions_count(w.as), 2);
    const struct gw_action *a = gw_actions_find(w.as, GW_STR("a.b")), *c = gw_actions_find(w.as, GW_STR("c"));
    assert_int_equal(gw_action_index(a), 0);
    assert_int_equal(gw_action_index(c), 1);
    assert_string_equal(gw_action_cfg(c)->topic, "t2");
    assert_string_equal(gw_pattern_text(gw_action_room(a)), "session:{id}");
    assert_null(gw_action_room(c));
    assert_null(gw_actions_find(w.as, GW_STR("a")));
    assert_null(gw_actions_find(w.as, GW_STR("a.b ")));
    assert_null(gw_actions_find(w.as, GW_STR("C")));
    world_end(&w);
    w = world_of("actions: []\n");
    assert_int_equal(gw_actions_count(w.as), 0);
    assert_null(gw_actions_find(w.as, GW_STR("a")));
    world_end(&w);
    gw_actions_free(NULL);
}

/* Errors say where and what. */
static const char *const bad_configs[][2] = {
    {"actions: [{name: a, topic: t, room: \"session:{id\"}]\n", "room: "},
    {"actions: [{name: a, topic: t, room: \"{a}{b}\"}]\n", "room: "},
    {"actions: [{name: a, topic: t, key: \"{room.id}\"}]\n", "key: {room.id}: the action's room has no such capture"},
    {"actions: [{name: a, topic: t, key: \"{room}\"}]\n", "key: {room}: the action's room has no such capture"},
    {"actions: [{name: a, topic: t, room: \"s:{id}\", key: \"{room.other}\"}]\n", "key: {room.other}: the action's room has no such capture"},
    {"actions: [{name: a, topic: t, key: \"{value.x}\"}]\n", "key: "},
    {"actions: [{name: a, topic: t, key: \"{data.x[*]}\"}]\n", "key: "},
    {"actions: [{name: a, topic: t, key: \"{data}\"}]\n", "key: "},
    {"actions: [{name: a, topic: t, headers: {h: \"{room.id}\"}}]\n", "headers.h: {room.id}: the action's room has no such capture"},
    {"actions: [{name: a, topic: t, headers: {h: \"{nonsense}\"}}]\n", "headers.h: "},
};

static void test_bad_configs(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(bad_configs); i++) {
        struct gw_err err = {0};
        struct gw_config *cfg = must_load(bad_configs[i][0]);
        struct gw_actions *as = gw_actions_new(cfg, &err);
        if (as)
            fail_msg("%s: was accepted", bad_configs[i][0]);
        if (!strstr(err.text, bad_configs[i][1]) || !strstr(err.text, ":1: actions[0]."))
            fail_msg("%s:\n  got  %s\n  want %s", bad_configs[i][0], err.text, bad_configs[i][1]);
        gw_config_free(cfg);
    }
}

static void test_too_many_headers(void **state)
{
    (void)state;
    for (int n = 29; n <= 30; n++) {
        struct gw_buf yaml = {0};
        struct gw_err err = {0};
        gw_buf_add_c(&yaml, "actions:\n  - name: a\n    topic: t\n    headers:\n");
        for (int i = 0; i < n; i++)
            gw_buf_addf(&yaml, "      h%d: x\n", i);
        struct gw_config *cfg = must_load(gw_buf_c(&yaml));
        struct gw_actions *as = gw_actions_new(cfg, &err);
        assert_int_equal(as != NULL, n == 29);
        if (!as)
            assert_non_null(strstr(err.text, "headers: at most 29"));
        gw_actions_free(as);
        gw_config_free(cfg);
        gw_buf_fini(&yaml);
    }
}

/* ---- the check of the data ---- */

#define FIELDS                                                                                                        \
    "actions:\n"                                                                                                       \
    "  - {name: closed, topic: t, fields: {s: string, n: number?, i: integer?, b: boolean?, o: object?, a: array?, x: any?}}\n" \
    "  - {name: open, topic: t, open: true, fields: {s: string, n: number?}}\n"                                        \
    "  - {name: none, topic: t}\n"                                                                                      \
    "  - {name: anything, topic: t, open: true}\n"                                                                      \
    "  - {name: any, topic: t, fields: {x: any}}\n"

static const struct {
    const char *action, *data, *error; /* error NULL: fine */
} checks[] = {
    {"closed", "{\"s\":\"\"}", NULL},
    {"closed", "{ \"s\" : \"x\" , \"n\" : -1.5e3 , \"i\" : -7 , \"b\" : false , \"o\" : { } , \"a\" : [ ] , \"x\" : null }", NULL},
    {"closed", "{\"\\u0073\":\"x\"}", NULL}, /* the same key */
    {"closed", NULL, "data.s: is missing; expected a string"},
    {"closed", "{}", "data.s: is missing; expected a string"},
    {"closed", "{\"S\":\"x\"}", "data.s: is missing; expected a string"},
    {"closed", "{\"s\":null}", "data.s: expected a string"},
    {"closed", "{\"s\":1}", "data.s: expected a string"},
    {"closed", "{\"s\":[\"x\"]}", "data.s: expected a string"},
    {"closed", "{\"s\":\"x\",\"n\":\"1\"}", "data.n: expected a number"},
    {"closed", "{\"s\":\"x\",\"n\":null}", "data.n: expected a number"},
    {"closed", "{\"s\":\"x\",\"i\":1.0}", "data.i: expected an integer"},
    {"closed", "{\"s\":\"x\",\"i\":1e2}", "data.i: expected an integer"},
    {"closed", "{\"s\":\"x\",\"i\":9223372036854775808}", "data.i: expected an integer"},
    {"closed", "{\"s\":\"x\",\"b\":0}", "data.b: expected true or false"},
    {"closed", "{\"s\":\"x\",\"o\":[]}", "data.o: expected an object"},
    {"closed", "{\"s\":\"x\",\"a\":{}}", "data.a: expected an array"},
    {"closed", "{\"s\":\"x\",\"more\":1}", "data.more: this action has no such field"},
    {"closed", "{\"s\":\"x\",\"\":1}", "data.: this action has no such field"},
    {"closed", "{\"s\":\"x\",\"\\u006e\":\"1\"}", "data.n: expected a number"},
    {"closed", "[]", "data: expected an object"},
    {"closed", "null", "data: expected an object"},
    {"closed", "\"{}\"", "data: expected an object"},
    {"open", "{\"s\":\"x\",\"more\":[{}],\"\":1}", NULL},
    {"open", "{\"more\":1}", "data.s: is missing; expected a string"},
    {"open", "{\"s\":\"x\",\"n\":true}", "data.n: expected a number"},
    {"open", "{\"s\":\"x\",\"\\u006e\":true}", "data.n: expected a number"}, /* in other letters the type holds as well */
    {"open", "{\"\\u0073\":7}", "data.s: expected a string"},
    {"none", NULL, NULL},
    {"none", "{}", NULL},
    {"none", "{\"x\":1}", "data.x: this action has no such field"},
    {"anything", "{\"x\":1}", NULL},
    {"anything", "7", "data: expected an object"},
    {"any", "{\"x\":null}", NULL},
    {"any", "{}", "data.x: is missing; expected any value"},
};

static void test_checks(void **state)
{
    (void)state;
    struct world w = world_of(FIELDS);
    for (size_t i = 0; i < ROWS(checks); i++) {
        struct gw_err err = {0};
        int rc = gw_action_check(gw_actions_find(w.as, gw_str_of(checks[i].action)), gw_str_of(checks[i].data), &err);
        const char *want = checks[i].error ? checks[i].error : "";
        if (rc != (checks[i].error ? -1 : 0) || strcmp(err.text, want) != 0)
            fail_msg("%s %s:\n  got  %s\n  want %s", checks[i].action, checks[i].data, err.text, want);
    }
    world_end(&w);
}

/* A stranger's long name of a field does not flood the error. */
static void test_long_names(void **state)
{
    (void)state;
    struct world w = world_of(FIELDS);
    struct gw_buf data = {0};
    struct gw_err err = {0};
    gw_buf_add_c(&data, "{\"");
    for (int i = 0; i < 500; i++)
        gw_buf_add_char(&data, 'x');
    gw_buf_add_c(&data, "\":1}");
    assert_int_equal(gw_action_check(gw_actions_find(w.as, GW_STR("none")), gw_buf_str(&data), &err), -1);
    assert_int_equal(strlen(err.text), strlen("data.: this action has no such field") + 64);
    gw_buf_fini(&data);
    world_end(&w);
}

/* ---- the record ---- */

static int claim(void *arg, struct gw_str path, struct gw_buf *out)
{
    assert_string_equal(arg, "claims");
    if (!gw_str_is(path, "tenant.id"))
        return -1;
    gw_buf_add_c(out, "acme");
    return 0;
}

static struct gw_captures captures;

static struct gw_action_input input_of(const struct gw_action *a, const char *room, const char *data)
{
    struct gw_action_input in = {.data = gw_str_of(data), .user = GW_STR("u\"1"), .connection = GW_STR("c-1"), .ip = GW_STR("1.2.3.4"),
                                 .user_agent = GW_STR("Mozilla\\\xFF"), .room = gw_str_of(room), .captures = &captures,
                                 .event_id = GW_STR("e-1"), .correlation_id = GW_STR("corr"), .now_ms = 1767225600042, .claim = claim,
                                 .claim_arg = (char *)(uintptr_t) "claims"};
    captures.n = 0;
    if (room)
        assert_true(gw_pattern_match(gw_action_room(a), in.room, &captures));
    return in;
}

#define RECORDS                                                                                                       \
    "actions:\n"                                                                                                       \
    "  - {name: default.id, topic: t, room: \"session:{id}\"}\n"                                                       \
    "  - {name: default.room, topic: t, room: \"doc:{tenant}:{doc}\"}\n"                                               \
    "  - {name: default.user, topic: t, open: true}\n"                                                                 \
    "  - {name: made, topic: t, open: true, room: \"doc:{tenant}:{doc}\", key: \"{room.tenant}/{room.doc}/{data.a.b}/{user}\",\n" \
    "     headers: {plain: text, room: \"{room}\", tenant: \"{claim.tenant.id}\", n: \"<{data.n}>\"}}\n"               \
    "  - {name: claims, topic: t, key: \"{claim.none}\"}\n"                                                            \
    "  - {name: odd\\name, topic: t}\n"

static const struct {
    const char *action, *room, *data;
    const char *key, *headers, *error;
} records[] = {
    {"default.id", "session:42", NULL, "42", "", NULL},
    {"default.room", "doc:acme:x:y", "{}", "doc:acme:x:y", "", NULL},
    {"default.user", NULL, "{\"n\":1.50}", "u\"1", "", NULL},
    {"made", "doc:a:b", "{\"a\":{\"b\":\"\\u00e9\"},\"n\":1.50}", "a/b/\xC3\xA9/u\"1", "plain=text room=doc:a:b tenant=acme n=<1.50> ", NULL},
    {"made", "doc:a:b", "{\"a\":{\"b\":true},\"n\":\"\"}", "a/b/true/u\"1", "plain=text room=doc:a:b tenant=acme n=<> ", NULL},
    {"made", "doc:a:b", "{\"a\":{\"\\u0062\":1},\"n\":2}", "a/b/1/u\"1", "plain=text room=doc:a:b tenant=acme n=<2> ", NULL},
    {"made", "doc:a:b", "{\"a\":{\"b\":null},\"n\":1}", NULL, NULL, "key: {data.a.b} is missing or not a text"},
    {"made", "doc:a:b", "{\"a\":{\"b\":[]},\"n\":1}", NULL, NULL, "key: {data.a.b} is missing or not a text"},
    {"made", "doc:a:b", "{\"a\":\"b\",\"n\":1}", NULL, NULL, "key: {data.a.b} is missing or not a text"},
    {"made", "doc:a:b", "{\"a\":{\"b\":\"x\\u0000y\"},\"n\":1}", NULL, NULL, "key: {data.a.b} is missing or not a text"},
    {"made", "doc:a:b", NULL, NULL, NULL, "key: {data.a.b} is missing or not a text"},
    {"made", "doc:a:b", "{\"a\":{\"b\":1}}", NULL, NULL, "n: {data.n} is missing or not a text"},
    {"claims", NULL, NULL, NULL, NULL, "key: {claim.none} is missing or not a text"},
};

static void expect_headers(const struct gw_action_record *rec, const char *action, const char *want)
{
    struct gw_buf got = {0};
    assert_true(rec->nheaders >= 3);
    expect_str("header", rec->headers[0].name, "event-type");
    expect_str("header", rec->headers[0].value, action);
    expect_str("header", rec->headers[1].name, "correlation-id");
    expect_str("header", rec->headers[1].value, "corr");
    expect_str("header", rec->headers[2].name, "content-type");
    expect_str("header", rec->headers[2].value, "application/json");
    for (size_t i = 3; i < rec->nheaders; i++)
        gw_buf_addf(&got, "%.*s=%.*s ", (int)rec->headers[i].name.len, rec->headers[i].name.p, (int)rec->headers[i].value.len,
                    rec->headers[i].value.p);
    expect_str(action, gw_buf_str(&got), want);
    gw_buf_fini(&got);
}

static void test_records(void **state)
{
    (void)state;
    struct world w = world_of(RECORDS);
    struct gw_action_scratch scratch = {0};
    for (size_t i = 0; i < ROWS(records); i++) {
        struct gw_err err = {0};
        struct gw_action_record rec;
        const struct gw_action *a = gw_actions_find(w.as, gw_str_of(records[i].action));
        struct gw_action_input in = input_of(a, records[i].room, records[i].data);
        int rc = gw_action_build(a, &in, &scratch, &rec, &err);
        const char *want = records[i].error ? records[i].error : "";
        if (rc != (records[i].error ? -1 : 0) || strcmp(err.text, want) != 0)
            fail_msg("row %zu:\n  got  %s\n  want %s", i, err.text, want);
        if (rc != 0)
            continue;
        expect_str(records[i].action, rec.key, records[i].key);
        expect_headers(&rec, records[i].action, records[i].headers);
        struct gw_json_opts opts = {.unique_keys = true};
        assert_int_equal(gw_json_scan(rec.value, &opts, NULL, NULL, NULL), 0);
    }
    gw_action_scratch_fini(&scratch);
    world_end(&w);
}

/* The envelope to the letter: what a client says goes in as it is, who it is comes from elsewhere. */
static void test_envelope(void **state)
{
    (void)state;
    struct world w = world_of(RECORDS);
    struct gw_action_scratch scratch = {0};
    struct gw_action_record rec;
    const struct gw_action *a = gw_actions_find(w.as, GW_STR("default.id")), *u = gw_actions_find(w.as, GW_STR("default.user"));
    struct gw_action_input in = input_of(a, "session:42", NULL);
    assert_int_equal(gw_action_build(a, &in, &scratch, &rec, NULL), 0);
    expect_str("envelope", rec.value,
               "{\"eventId\":\"e-1\",\"eventType\":\"default.id\",\"timestamp\":\"2026-01-01T00:00:00.042Z\",\"version\":\"1.0\",\"data\":{},"
               "\"metadata\":{\"source\":\"sluice\",\"userId\":\"u\\\"1\",\"connectionId\":\"c-1\",\"room\":\"session:42\",\"correlationId\":\"corr\","
               "\"ip\":\"1.2.3.4\",\"userAgent\":\"Mozilla\\\\\xEF\xBF\xBD\"}}");
    in = input_of(u, NULL, "{ \"userId\" : \"root\", \"n\":12345678901234567890.10 }");
    in.user_agent = (struct gw_str){0};
    assert_int_equal(gw_action_build(u, &in, &scratch, &rec, NULL), 0);
    expect_str("envelope", rec.value,
               "{\"eventId\":\"e-1\",\"eventType\":\"default.user\",\"timestamp\":\"2026-01-01T00:00:00.042Z\",\"version\":\"1.0\","
               "\"data\":{ \"userId\" : \"root\", \"n\":12345678901234567890.10 },"
               "\"metadata\":{\"source\":\"sluice\",\"userId\":\"u\\\"1\",\"connectionId\":\"c-1\",\"correlationId\":\"corr\",\"ip\":\"1.2.3.4\"}}");
    u = gw_actions_find(w.as, GW_STR("odd\\name"));
    in = input_of(u, NULL, NULL);
    assert_int_equal(gw_action_build(u, &in, &scratch, &rec, NULL), 0);
    assert_int_equal(gw_json_scan(rec.value, NULL, NULL, NULL, NULL), 0);
    gw_action_scratch_fini(&scratch);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookup),  cmocka_unit_test(test_bad_configs), cmocka_unit_test(test_too_many_headers),
        cmocka_unit_test(test_checks),  cmocka_unit_test(test_long_names),  cmocka_unit_test(test_records),
        cmocka_unit_test(test_envelope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
