/* Routing: a record and the routes of a configuration -> an event and its rooms, or a reason with a text. */
#include "route_kit.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void expect_text(const char *name, const char *got, const char *want)
{
    if (strcmp(got, want) != 0)
        fail_msg("%s:\n  got  \"%s\"\n  want \"%s\"", name, got, want);
}

/* The learning platform: two lists of users, one conditional route, actions routed back. */
static const struct route_spec learning[KIT_ROUTES] = {
    {.topics = {"session-notifications"},
     .event = "session.starting",
     .rooms = {"session:{value.sessionId}", "user:{value.userIds[*]}"},
     .require = {"sessionId", "userIds"}},
    {.topics = {"concept-notifications"},
     .event = "concept.mastered",
     .rooms = {"concept:{value.conceptId}", "user:{value.userIds[*]}"},
     .when = {{"value.masteryLevel", {NULL}}}},
    {.topics = {"concept-notifications"}, .event = "notification", .rooms = {"user:{value.userIds[*]}"}},
    {.topics = {"session-actions"}, .event = "{value.eventType}", .rooms = {"{value.metadata.room}"}},
};

/* Everything that a reference can be. */
static const struct route_spec every[KIT_ROUTES] = {
    {.topics = {"keys"}, .event = "e", .rooms = {"key:{key}"}},
    {.topics = {"headers"}, .event = "{header.event-type}", .rooms = {"h:{header.id}"}},
    {.topics = {"^App\\.([a-z]+)\\.(new-)?(.*)$"}, .event = "{topic.1}.{topic.3}", .rooms = {"{topic}:{partition}"}},
    {.topics = {"^App2\\.(x)?y"}, .event = "e", .rooms = {"r:{topic.1}"}},
    {.topics = {"items"}, .event = "items", .rooms = {"{value.kind}:{value.items[*].id}:{value.end}"}},
    {.topics = {"deep"}, .event = "deep", .rooms = {"d:{value.a.b[1].c}"}},
    {.topics = {"whole"}, .event = "whole", .rooms = {"w:{value.[*]}"}},
    {.topics = {"braces"}, .event = "{{{key}}}", .rooms = {"r:1"}, .require = {"list[*].x"}},
};

/* Conditions, in the order of the configuration. */
static const struct route_spec choosing[KIT_ROUTES] = {
    {.topics = {"t"}, .event = "a-or-b", .rooms = {"r:1"}, .when = {{"value.type", {"a", "b"}}}},
    {.topics = {"t"}, .event = "c-and-key", .rooms = {"r:2"}, .when = {{"value.type", {"c"}}, {"key", {"k"}}}},
    {.topics = {"t"}, .event = "c", .rooms = {"r:3"}, .when = {{"value.type", {"c", "\xC3\xA9"}}}},
    {.topics = {"t"}, .event = "number", .rooms = {"r:4"}, .when = {{"value.n", {"1.50", "true"}}}},
    {.topics = {"t"}, .event = "header", .rooms = {"r:5"}, .when = {{"header.h", {NULL}}}},
    {.topics = {"t"}, .event = "object", .rooms = {"r:6"}, .when = {{"value.o", {NULL}}}},
    {.topics = {"t"}, .event = "partition", .rooms = {"r:7"}, .when = {{"partition", {"-7"}}}},
    {.topics = {"t"}, .event = "empty", .rooms = {"r:8"}, .when = {{"value.type", {""}}}},
};

#define STR(s) {s, sizeof(s) - 1}
#define NONE {NULL, 0}

struct example {
    const struct route_spec *routes;
    const char *topic;
    struct gw_str value;
    const char *outcome; /* "event | room room", or "reason: text" */
    struct gw_str key;
    struct gw_record_header headers[3];
    int32_t partition;
};

static const struct example examples[] = {
    /* rooms */
    {learning, "session-notifications",
     STR("{\"sessionId\":\"42\",\"userIds\":[\"u1\",\"u2\"],\"message\":\"soon\"}"),
     "session.starting | session:42 user:u1 user:u2", NONE, {{NONE, NONE}}, 0},
    {learning, "session-notifications", STR("{\"userIds\":[7,true,1.50],\"sessionId\":42}"),
     "session.starting | session:42 user:7 user:true user:1.50", NONE, {{NONE, NONE}}, 0},
    {learning, "session-notifications", STR("{\"sessionId\":\"a\\u00e9\\/b\",\"userIds\":[\"\\ud83d\\ude00\"]}"),
     "session.starting | session:a\xC3\xA9/b user:\xF0\x9F\x98\x80", NONE, {{NONE, NONE}}, 0},
    {learning, "session-notifications", STR("{\"sessionId\":\"42\",\"userIds\":[\"a\",\"b\",\"a\",\"\\u0061\"]}"),
     "session.starting | session:42 user:a user:b", NONE, {{NONE, NONE}}, 0},
    {learning, "session-notifications", STR("{\"sessionId\":\"42\",\"userIds\":[]}"), "session.starting | session:42", NONE,
     {{NONE, NONE}}, 0},
    {learning, "session-actions", STR("{\"eventType\":\"session.chat\",\"metadata\":{\"room\":\"session:42\"}}"),
     "session.chat | session:42", NONE, {{NONE, NONE}}, 0},
    /* require */
    {learning, "session-notifications", STR("{\"sessionId\":\"42\"}"), "missing: require: userIds is missing", NONE,
     {{NONE, NONE}}, 0},
    {learning, "session-notifications", STR("{\"sessionId\":null,\"userIds\":[]}"), "missing: require: sessionId is null",
     NONE, {{NONE, NONE}}, 0},
    {learning, "session-notifications", STR("[1]"), "missing: require: sessionId is missing", NONE, {{NONE, NONE}}, 0},
    {every, "braces", STR("{\"list\":[]}"), "{k} | r:1", STR("k"), {{NONE, NONE}}, 0},
    {every, "braces", STR("{\"list\":[{}]}"), "{k} | r:1", STR("k"), {{NONE, NONE}}, 0},
    {every, "braces", STR("{}"), "missing: require: list[*].x is missing; expected an array", STR("k"), {{NONE, NONE}}, 0},
    {every, "braces", STR("{\"list\":\"x\"}"), "missing: require: list[*].x is a string; expected an array", STR("k"),
     {{NONE, NONE}}, 0},
    /* arrays that are not required */
    {learning, "concept-notifications", STR("{\"conceptId\":7,\"masteryLevel\":0.9}"), "concept.mastered | concept:7", NONE,
     {{NONE, NONE}}, 0},
    {learning, "concept-notifications", STR("{\"userIds\":null}"), "notification |", NONE, {{NONE, NONE}}, 0},
    {learning, "concept-notifications", STR("{}"), "notification |", NONE, {{NONE, NONE}}, 0},
    {learning, "concept-notifications", STR("{\"userIds\":\"u1\"}"),
     "missing: rooms[0]: value.userIds is a string; expected an array", NONE, {{NONE, NONE}}, 0},
    {learning, "concept-notifications", STR("{\"userIds\":{\"0\":\"u1\"}}"),
     "missing: rooms[0]: value.userIds is an object; expected an array", NONE, {{NONE, NONE}}, 0},
    /* elements */
    {learning, "concept-notifications", STR("{\"userIds\":[\"u1\",null]}"), "missing: rooms[0]: value.userIds[1] is null",
     NONE, {{NONE, NONE}}, 0},
    {learning, "concept-notifications", STR("{\"userIds\":[{}]}"), "missing: rooms[0]: value.userIds[0] is an object", NONE,
     {{NONE, NONE}}, 0},
    {learning, "concept-notifications", STR("{\"userIds\":[\"a\",\"b\",[\"c\"]]}"),
     "missing: rooms[0]: value.userIds[2] is an array", NONE, {{NONE, NONE}}, 0},
    {learning, "concept-notifications", STR("{\"userIds\":[\"a\\u0000b\"]}"),
     "missing: rooms[0]: value.userIds[0] contains U+0000", NONE, {{NONE, NONE}}, 0},
    {every, "items", STR("{\"items\":[{\"id\":1},{\"id\":\"x\",\"id\":\"y\"}],\"kind\":\"k\",\"end\":0}"),
     "items | k:1:0 k:x:0", NONE, {{NONE, NONE}}, 0},
    {every, "items", STR("{\"items\":[{\"id\":1},{},5],\"kind\":\"k\",\"end\":0}"),
     "missing: rooms[0]: value.items[*].id is missing in 2 of 3 elements", NONE, {{NONE, NONE}}, 0},
    {every, "items", STR("{\"items\":[{\"id\":1},{\"id\":null}],\"kind\":\"k\",\"end\":0}"),
     "missing: rooms[0]: value.items[1].id is null", NONE, {{NONE, NONE}}, 0},
    {every, "items", STR("{\"items\":[{\"id\":1}],\"kind\":\"k\"}"), "missing: rooms[0]: value.end is missing", NONE,
     {{NONE, NONE}}, 0},
    {every, "items", STR("{\"items\":[]}"), "items |", NONE, {{NONE, NONE}}, 0},
    {every, "whole", STR("[\"a\",\"b\"]"), "whole | w:a w:b", NONE, {{NONE, NONE}}, 0},
    {every, "whole", STR("{\"a\":1}"), "missing: rooms[0]: value. is an object; expected an array", NONE, {{NONE, NONE}}, 0},
    {every, "deep", STR("{\"a\":{\"b\":[0,{\"c\":\"x\"}]}}"), "deep | d:x", NONE, {{NONE, NONE}}, 0},
    {every, "deep", STR("{\"a\":{\"b\":[0]}}"), "missing: rooms[0]: value.a.b[1].c is missing", NONE, {{NONE, NONE}}, 0},
    {every, "deep", STR("{\"a\":{\"b\":[0,{\"c\":[]}]}}"), "missing: rooms[0]: value.a.b[1].c is an array", NONE,
     {{NONE, NONE}}, 0},
    /* names of rooms */
    {learning, "session-actions", STR("{\"eventType\":\"x\",\"metadata\":{\"room\":\"\"}}"),
     "bad_room: rooms[0]: value.metadata.room is empty", NONE, {{NONE, NONE}}, 0},
    {learning, "session-actions", STR("{\"eventType\":\"x\",\"metadata\":{\"room\":\"a b\\n\"}}"),
     "bad_room: rooms[0]: \"a b\\n\" is no room's name: expected 1 to 256 printable characters without white space", NONE,
     {{NONE, NONE}}, 0},
    {learning, "concept-notifications", STR("{\"userIds\":[\"u1\",\"\"]}"),
     "bad_room: rooms[0]: value.userIds[1] is empty", NONE, {{NONE, NONE}}, 0},
    /* names of events */
    {learning, "session-actions", STR("{\"metadata\":{\"room\":\"r:1\"}}"), "missing: event: value.eventType is missing", NONE,
     {{NONE, NONE}}, 0},
    {learning, "session-actions", STR("{\"eventType\":\"\",\"metadata\":{\"room\":\"r:1\"}}"),
     "missing: event: the name is empty", NONE, {{NONE, NONE}}, 0},
    {learning, "session-actions", STR("{\"eventType\":\"a\\tb\",\"metadata\":{\"room\":\"r:1\"}}"),
     "missing: event: the name contains a control character", NONE, {{NONE, NONE}}, 0},
    {learning, "session-actions", STR("{\"eventType\":\"\xC2\x85\",\"metadata\":{\"room\":\"r:1\"}}"),
     "missing: event: the name contains a control character", NONE, {{NONE, NONE}}, 0},
    {learning, "session-actions", STR("{\"eventType\":\"a \xC2\xA0 b\",\"metadata\":{\"room\":\"r:1\"}}"),
     "a \xC2\xA0 b | r:1", NONE, {{NONE, NONE}}, 0},
    /* keys */
    {every, "keys", STR("{}"), "e | key:k1", STR("k1"), {{NONE, NONE}}, 0},
    {every, "keys", STR("{}"), "missing: rooms[0]: key is null", NONE, {{NONE, NONE}}, 0},
    {every, "keys", STR("{}"), "bad_room: rooms[0]: key is empty", STR(""), {{NONE, NONE}}, 0},
    {every, "keys", STR("{}"), "missing: rooms[0]: key is not valid UTF-8", STR("\xC0\x80"), {{NONE, NONE}}, 0},
    {every, "keys", STR("{}"),
     "bad_room: rooms[0]: \"key:a\\u0000\" is no room's name: expected 1 to 256 printable characters without white space",
     STR("a\0"), {{NONE, NONE}}, 0},
    /* headers: the last one of the name */
    {every, "headers", STR("{}"), "two | h:7", NONE,
     {{STR("event-type"), STR("one")}, {STR("id"), STR("7")}, {STR("event-type"), STR("two")}}, 0},
    {every, "headers", STR("{}"), "missing: event: header.event-type is null", NONE,
     {{STR("event-type"), STR("one")}, {STR("id"), STR("7")}, {STR("event-type"), NONE}}, 0},
    {every, "headers", STR("{}"), "missing: rooms[0]: header.id is missing", NONE,
     {{STR("event-type"), STR("one")}, {STR("ID"), STR("7")}}, 0},
    {every, "headers", STR("{}"), "missing: rooms[0]: header.id is not valid UTF-8", NONE,
     {{STR("event-type"), STR("one")}, {STR("id"), STR("\xFF")}}, 0},
    /* topics */
    {every, "App.message.new-sent", STR("{}"), "message.sent | App.message.new-sent:3", NONE, {{NONE, NONE}}, 3},
    {every, "App.message.", STR("0"), "message. | App.message.:0", NONE, {{NONE, NONE}}, 0},
    {every, "App2.y", STR("{}"), "missing: rooms[0]: topic.1 took no part in the match", NONE, {{NONE, NONE}}, 0},
    {every, "App2.xyz", STR("{}"), "e | r:x", NONE, {{NONE, NONE}}, 0},
    {every, "unknown", STR("{}"), "no_match: no route's conditions hold", NONE, {{NONE, NONE}}, 0},
    /* conditions */
    {choosing, "t", STR("{\"type\":\"b\"}"), "a-or-b | r:1", NONE, {{NONE, NONE}}, 0},
    {choosing, "t", STR("{\"type\":\"\\u0061\",\"n\":1.50}"), "a-or-b | r:1", NONE, {{NONE, NONE}}, 0},
    {choosing, "t", STR("{\"type\":\"c\"}"), "c-and-key | r:2", STR("k"), {{NONE, NONE}}, 0},
    {choosing, "t", STR("{\"type\":\"c\"}"), "c | r:3", STR("kk"), {{NONE, NONE}}, 0},
    {choosing, "t", STR("{\"type\":\"c\"}"), "c | r:3", NONE, {{NONE, NONE}}, 0},
    {choosing, "t", STR("{\"type\":\"\xC3\xA9\"}"), "c | r:3", NONE, {{NONE, NONE}}, 0},
    {choosing, "t", STR("{\"n\":1.50}"), "number | r:4", NONE, {{NONE, NONE}}, 0},
    {choosing, "t", STR("{\"n\":1.5}"), "no_match: no route's conditions hold", NONE, {{NONE, NONE}}, 0},
    {choosing, "t", STR("{\"n\":true}"), "number | r:4", NONE, {{NONE, NONE}}, 0},
    {choosing, "t", STR("{}"), "header | r:5", NONE, {{STR("h"), STR("")}}, 0},
    {choosing, "t", STR("{}"), "no_match: no route's conditions hold", NONE, {{STR("h"), NONE}}, 0},
    {choosing, "t", STR("{\"o\":{}}"), "object | r:6", NONE, {{NONE, NONE}}, 0},
    {choosing, "t", STR("{\"o\":null}"), "no_match: no route's conditions hold", NONE, {{NONE, NONE}}, 0},
    {choosing, "t", STR("{\"type\":[\"a\"]}"), "no_match: no route's conditions hold", NONE, {{NONE, NONE}}, 0},
    {choosing, "t", STR("1"), "partition | r:7", NONE, {{NONE, NONE}}, -7},
    {choosing, "t", STR("{\"type\":\"\"}"), "empty | r:8", NONE, {{NONE, NONE}}, 0},
    /* values */
    {learning, "session-notifications", NONE, "tombstone: the value is null", NONE, {{NONE, NONE}}, 0},
    {choosing, "t", STR("{\"type\":\"a\"} x"), "not_json: byte 13: ", NONE, {{NONE, NONE}}, 0},
    {choosing, "t", STR("{'type':'a'}"), "not_json: byte 1: ", NONE, {{NONE, NONE}}, 0},
    {choosing, "t", STR("{\"type\":\"a\xFF\"}"), "not_json: byte 10: ", NONE, {{NONE, NONE}}, 0},
    {choosing, "t", STR(""), "not_json: byte 0: ", NONE, {{NONE, NONE}}, 0},
    {every, "keys", STR("nonsense"), "not_json: byte 0: ", STR("k"), {{NONE, NONE}}, 0},
};

static const char *outcome(enum gw_route_reason reason, const struct gw_routed *out, const struct gw_err *err,
                           struct gw_buf *text)
{
    gw_buf_clear(text);
    if (reason != GW_ROUTE_OK) {
        assert_true(err->set);
        assert_int_equal(out->nrooms, 0);
        gw_buf_addf(text, "%s: %s", gw_route_reason_name(reason), err->text);
        return gw_buf_c(text);
    }
    assert_false(err->set);
    gw_buf_add_str(text, out->event);
    gw_buf_add_c(text, " |");
    for (size_t i = 0; i < out->nrooms; i++) {
        gw_buf_add_char(text, ' ');
        gw_buf_add_str(text, out->rooms[i]);
    }
    return gw_buf_c(text);
}

static void run_example(const struct example *ex, struct gw_route_scratch *s)
{
    struct gw_err err = {0};
    struct gw_buf text = {0};
    struct gw_routed out;
    size_t nheaders = 0;

    while (nheaders < 3 && ex->headers[nheaders].name.p)
        nheaders++;
    struct gw_record rec = {.topic = gw_str_of(ex->topic), .partition = ex->partition, .key = ex->key,
                            .value = ex->value, .headers = ex->headers, .nheaders = nheaders};
    struct gw_routes *r = kit_routes(ex->routes, KIT_ROUTES, (struct kit_limits){0}, &err);
    if (!r)
        fail_msg("%s", err.text);
    struct gw_topic_routes *t = gw_topic_routes_new(r, ex->topic);
    const char *got = outcome(gw_route_apply(t, &rec, s, &out, &err), &out, &err, &text);
    size_t len = strlen(ex->outcome);
    if (strncmp(ex->outcome, "not_json", 8) == 0 ? strncmp(got, ex->outcome, len) != 0 : strcmp(got, ex->outcome) != 0)
        fail_msg("%s %.*s:\n  got  %s\n  want %s", ex->topic, (int)ex->value.len, ex->value.p ? ex->value.p : "null", got,
                 ex->outcome);
    gw_buf_fini(&text);
    gw_topic_routes_free(t);
    gw_routes_free(r);
}

/* One scratch for all of them: nothing of a record may show in the next. */
static void test_examples(void **state)
{
    (void)state;
    struct gw_routes *r = kit_routes(learning, KIT_ROUTES, (struct kit_limits){0}, NULL);
    struct gw_route_scratch *s = gw_route_scratch_new(r);

    gw_routes_free(r);
    for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++)
        run_example(&examples[i], s);
    gw_route_scratch_free(s);
}

/* ---- errors of the configuration ---- */

#define EXPECTED "unknown reference; expected value., key, header., topic, topic.N, partition"

static const struct {
    struct route_spec route;
    const char *err;
} faults[] = {
    {{.topics = {"t"}, .event = "e", .rooms = {"r:1", "{valeu.x}"}}, "r.yaml:1: routes[0].rooms[1]: {valeu.x}: " EXPECTED},
    {{.topics = {"t"}, .event = "{evnt}", .rooms = {"r:1"}}, "r.yaml:1: routes[0].event: {evnt}: " EXPECTED},
    {{.topics = {"t"}, .event = "{value.a[*]}", .rooms = {"r:1"}},
     "r.yaml:1: routes[0].event: {value.a[*]}: [*] cannot stand here"},
    {{.topics = {"t"}, .event = "e", .rooms = {"r:1"}, .when = {{"value.a[*]", {"x"}}}},
     "r.yaml:1: routes[0].when[0]: {value.a[*]}: [*] cannot stand here"},
    {{.topics = {"t"}, .event = "e", .rooms = {"r:1"}, .when = {{"key", {NULL}}, {"vlaue", {"x"}}}},
     "r.yaml:1: routes[0].when[1]: {vlaue}: " EXPECTED},
    {{.topics = {"t"}, .event = "e", .rooms = {"r:1"}, .when = {{"{key}", {"x"}}}},
     "r.yaml:1: routes[0].when[0]: \"{key}\": expected one reference without braces, such as value.type"},
    {{.topics = {"t"}, .event = "e", .rooms = {"r:1"}, .when = {{"key}{key", {"x"}}}},
     "r.yaml:1: routes[0].when[0]: \"key}{key\": expected one reference without braces, such as value.type"},
    {{.topics = {"t"}, .event = "e", .rooms = {"r:{header.x[*]}"}},
     "r.yaml:1: routes[0].rooms[0]: {header.x[*]}: [*] is for fields of the value"},
    {{.topics = {"t"}, .event = "e", .rooms = {"r:{topic.1}"}},
     "r.yaml:1: routes[0].rooms[0]: {topic.1}: the topic \"t\" has no groups: it is an exact name"},
    {{.topics = {"^a(.*)"}, .event = "{topic.2}", .rooms = {"r:1"}},
     "r.yaml:1: routes[0].event: {topic.2}: the topic \"^a(.*)\" has one group only"},
    {{.topics = {"^a(.*)(b)", "^a.*"}, .event = "{topic.1}", .rooms = {"r:1"}},
     "r.yaml:1: routes[0].event: {topic.1}: the topic \"^a.*\" has no group"},
    {{.topics = {"^a(.*)", "t"}, .event = "e", .rooms = {"r:1"}, .when = {{"topic.1", {NULL}}}},
     "r.yaml:1: routes[0].when[0]: {topic.1}: the topic \"t\" has no groups: it is an exact name"},
    {{.topics = {"t", "^(a"}, .event = "e", .rooms = {"r:1"}},
     "r.yaml:1: routes[0].topics[1]: \"^(a\" is no POSIX extended regular expression: Unmatched ( or \\("},
    {{.topics = {"a b"}, .event = "e", .rooms = {"r:1"}},
     "r.yaml:1: routes[0].topics[0]: \"a b\" is no topic: expected 1 to 249 of letters, digits, '.', '_' and '-', or a "
     "regular expression that starts with '^'"},
    {{.event = "e", .rooms = {"r:1"}}, "r.yaml:1: routes[0]: topics: expected at least one"},
    {{.topics = {"t"}, .event = "e"}, "r.yaml:1: routes[0]: rooms: expected at least one"},
    {{.topics = {"t"}, .event = "", .rooms = {"r:1"}}, "r.yaml:1: routes[0].event: expected a text"},
    {{.topics = {"t"}, .event = "e", .rooms = {""}}, "r.yaml:1: routes[0].rooms[0]: expected a text"},
    {{.topics = {"t"}, .event = "a\nb", .rooms = {"r:1"}},
     "r.yaml:1: routes[0].event: the name contains a control character"},
    {{.topics = {"t"}, .event = "e", .rooms = {"the room {key}"}},
     "r.yaml:1: routes[0].rooms[0]: \"the room {key}\": a room's name is at most 256 printable characters without white "
     "space"},
};

static void test_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
        struct gw_err err = {0};
        assert_null(kit_routes(&faults[i].route, 1, (struct kit_limits){0}, &err));
        expect_text(faults[i].err, err.text, faults[i].err);
        assert_null(kit_routes(&faults[i].route, 1, (struct kit_limits){0}, NULL));
    }
}

/* Paths are checked by their own compiler; its words stand behind the place. */
static void test_path_faults(void **state)
{
    (void)state;
    const struct route_spec room = {.topics = {"t"}, .event = "e", .rooms = {"r:{value.a..b}"}};
    const struct route_spec require = {.topics = {"t"}, .event = "e", .rooms = {"r:1"}, .require = {"a", "a[*].[x]"}};
    static const char at_room[] = "r.yaml:1: routes[0].rooms[0]: {value.a..b}: ";
    static const char at_require[] = "r.yaml:1: routes[0].require[1]: ";
    struct gw_err err = {0};

    assert_null(kit_routes(&room, 1, (struct kit_limits){0}, &err));
    assert_int_equal(strncmp(err.text, at_room, sizeof(at_room) - 1), 0);
    assert_true(strlen(err.text) > sizeof(at_room));
    err.set = false;
    assert_null(kit_routes(&require, 1, (struct kit_limits){0}, &err));
    assert_int_equal(strncmp(err.text, at_require, sizeof(at_require) - 1), 0);
}

/* Sets of paths are bounded. What does not fit together is refused at load, not when the topic turns up. */
static void test_too_many_paths(void **state)
{
    (void)state;
    enum { N = 20 };
    static char texts[N][KIT_LIST][32];
    struct route_spec specs[N] = {0};

    for (size_t regex = 0; regex < 2; regex++) {
        struct gw_err err = {0};
        for (size_t i = 0; i < N; i++) {
            specs[i] = (struct route_spec){.topics = {regex ? "^t" : "t"}, .event = "e"};
            for (size_t k = 0; k < 4; k++) {
                snprintf(texts[i][k], sizeof(texts[i][k]), "r:{value.k%zu}", i * 4 + k);
                specs[i].rooms[k] = texts[i][k];
            }
        }
        assert_null(kit_routes(specs, N, (struct kit_limits){0}, &err));
        const char *want = regex ? "routes with a ^regex, together: " : "routes of topic t, together: ";
        assert_int_equal(strncmp(err.text, want, strlen(want)), 0);
    }
}

static void test_reasons(void **state)
{
    (void)state;
    static const struct {
        enum gw_route_reason reason;
        const char *name;
        bool dlt;
    } reasons[] = {
        {GW_ROUTE_OK, "ok", false},
        {GW_ROUTE_NO_MATCH, "no_match", false},
        {GW_ROUTE_TOMBSTONE, "tombstone", false},
        {GW_ROUTE_TOO_LARGE, "too_large", true},
        {GW_ROUTE_NOT_JSON, "not_json", true},
        {GW_ROUTE_MISSING, "missing", true},
        {GW_ROUTE_BAD_ROOM, "bad_room", true},
        {GW_ROUTE_TOO_MANY, "too_many_rooms", true},
    };
    for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++) {
        assert_string_equal(gw_route_reason_name(reasons[i].reason), reasons[i].name);
        assert_int_equal(gw_route_reason_is_dlt(reasons[i].reason), reasons[i].dlt);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),    cmocka_unit_test(test_faults),  cmocka_unit_test(test_path_faults),
        cmocka_unit_test(test_too_many_paths), cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
