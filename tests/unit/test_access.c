/* Identities, rules and rooms: who may join what, and what is joined for whom. */
#include "../../gateway/auth/auth_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char person[] =
    "{\"sub\":\"u1\",\"sessions\":[\"42\",\"a:b\",\"\",\"with space\",\"42\",7,true,null,[\"nested\"],{\"x\":1},\"caf\\u00e9\"],"
    "\"team\":\"red\",\"level\":3,\"real\":4.50,\"active\":true,\"nothing\":null,\"empty\":[],\"role.admin\":\"yes\","
    "\"realm_access\":{\"roles\":[\"admin\",\"user\"],\"deep\":{\"er\":\"x\"}},\"a.b\":{\"c\":\"dotted\"},\"a\":{\"b\":{\"c\":\"path\"}},"
    "\"tenant\":\"acme\",\"zero\":\"a\\u0000b\",\"scope\":\"read session:42:join  write\",\"others\":[\"user:u2\",\"free\"]}";

static struct gw_identity *identity(const char *claims)
{
    struct gw_err err = {0};
    struct gw_identity *id;

    assert_int_equal(gw_json_scan(gw_str_of(claims), &gw_claims_opts, NULL, NULL, &err), 0);
    id = gw_identity_new(gw_str_of(claims), 1000, &err);
    if (id == NULL)
        fail_msg("%s", err.text);
    return id;
}

static bool collect(struct gw_str text, void *arg)
{
    gw_buf_addf(arg, "%.*s;", (int)text.len, text.p);
    return true;
}

static bool collect_one(struct gw_str text, void *arg)
{
    collect(text, arg);
    return false;
}

static void collect_room(struct gw_str text, void *arg)
{
    collect(text, arg);
}

static void test_claims(void **state)
{
    static const struct {
        const char *claim, *want;
    } rows[] = {
        {"sub", "u1;"},
        {"sessions", "42;a:b;;with space;42;7;true;caf\xc3\xa9;"},
        {"level", "3;"},
        {"real", "4.50;"},
        {"active", "true;"},
        {"nothing", ""},
        {"empty", ""},
        {"missing", ""},
        {"", ""},
        {".", ""},
        {"sub.x", ""},
        {"realm_access", ""},
        {"realm_access.roles", "admin;user;"},
        {"realm_access.deep.er", "x;"},
        {"realm_access.deep.", ""},
        {"realm_access..roles", ""},
        {"role.admin", "yes;"},
        {"a.b.c", "path;"}, /* the shortest head that leads there */
        {"zero", ""},
    };
    struct gw_identity *id = identity(person);
    struct gw_buf got;

    (void)state;
    gw_buf_init(&got);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n, semicolons = 0;

        gw_buf_clear(&got);
        n = gw_identity_claim(id, rows[i].claim, collect, &got);
        if (strcmp(gw_buf_c(&got), rows[i].want) != 0)
            fail_msg("%s: %s", rows[i].claim, gw_buf_c(&got));
        for (const char *c = rows[i].want; *c != '\0'; c++)
            semicolons += *c == ';';
        assert_int_equal(n, semicolons);
    }
    gw_buf_clear(&got);
    assert_int_equal(gw_identity_claim(id, "sessions", collect_one, &got), 1);
    assert_string_equal(gw_buf_c(&got), "42;");
    gw_buf_fini(&got);
    gw_identity_unref(gw_identity_ref(id));
    gw_identity_unref(id);
    gw_identity_unref(NULL);
}

static void test_scopes(void **state)
{
    static const struct {
        const char *claims, *scope;
        bool has;
    } rows[] = {
        {"{\"sub\":\"u\",\"scope\":\"a b:c d\"}", "b:c", true},
        {"{\"sub\":\"u\",\"scope\":\"a b:c d\"}", "b", false},
        {"{\"sub\":\"u\",\"scope\":\"a b:c d\"}", "", false},
        {"{\"sub\":\"u\",\"scope\":\"a  d \"}", "d", true},
        {"{\"sub\":\"u\",\"scope\":\" \"}", "", false},
        {"{\"sub\":\"u\",\"scope\":\"a b\"}", "a b", false},
        {"{\"sub\":\"u\",\"scp\":\"a b\"}", "b", true},
        {"{\"sub\":\"u\",\"scp\":[\"a\",\"b\"]}", "b", true},
        {"{\"sub\":\"u\",\"scope\":\"a\",\"scp\":[\"b\"]}", "b", true},
        {"{\"sub\":\"u\",\"scope\":{\"b\":true}}", "b", false},
        {"{\"sub\":\"u\"}", "b", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gw_identity *id = identity(rows[i].claims);

        if (gw_identity_has_scope(id, gw_str_of(rows[i].scope)) != rows[i].has)
            fail_msg("row %zu", i);
        gw_identity_unref(id);
    }
}

static struct gw_cfg_rule rule_of(enum gw_cfg_rule_kind kind, const char *claim, const char *value)
{
    static char at[] = "t.yaml:3: rooms[0].join";
    struct gw_cfg_rule r = {.kind = kind, .at = at};

    memcpy(&r.claim, &claim, sizeof claim); /* the module only reads them */
    memcpy(&r.value, &value, sizeof value);
    return r;
}

static void test_rules(void **state)
{
    static const struct {
        enum gw_cfg_rule_kind kind;
        const char *claim, *value, *room;
        bool allows;
    } rows[] = {
        {GW_RULE_ANY, NULL, NULL, "session:1", true},
        {GW_RULE_NONE, NULL, NULL, "session:42", false},
        {GW_RULE_CONTAINS, "sessions", "{id}", "session:42", true},
        {GW_RULE_CONTAINS, "sessions", "{id}", "session:4", false}, /* not a part of one */
        {GW_RULE_CONTAINS, "sessions", "{id}", "session:7", true},  /* a number as written */
        {GW_RULE_CONTAINS, "sessions", "{id}", "session:a:b", true},
        {GW_RULE_CONTAINS, "sessions", "{id}", "session:nested", false},
        {GW_RULE_CONTAINS, "sessions", "{id}", "session:null", false},
        {GW_RULE_CONTAINS, "sessions", "4{id}", "session:2", true},
        {GW_RULE_CONTAINS, "team", "{id}", "session:red", true},
        {GW_RULE_CONTAINS, "team", "{id}", "session:re", false},
        {GW_RULE_CONTAINS, "team", "{id}", "session:ed", false},
        {GW_RULE_EQUALS, "team", "{id}", "session:red", true},
        {GW_RULE_EQUALS, "team", "red", "session:9", true},
        {GW_RULE_EQUALS, "team", "{id}", "session:RED", false},
        {GW_RULE_EQUALS, "sessions", "{id}", "session:42", false}, /* an array equals nothing */
        {GW_RULE_EQUALS, "level", "{id}", "session:3", true},
        {GW_RULE_EQUALS, "active", "true", "session:3", true},
        {GW_RULE_EQUALS, "nothing", "null", "session:3", false},
        {GW_RULE_EQUALS, "missing", "{id}", "session:3", false},
        {GW_RULE_CONTAINS, "realm_access.roles", "admin", "session:3", true},
        {GW_RULE_SCOPE, NULL, "session:{id}:join", "session:42", true},
        {GW_RULE_SCOPE, NULL, "session:{id}:join", "session:43", false},
    };
    struct gw_pattern *p = gw_pattern_new("session:{id}", NULL);
    struct gw_identity *id = identity(person);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gw_cfg_rule cfg = rule_of(rows[i].kind, rows[i].claim, rows[i].value);
        struct gw_rule *r = gw_rule_new(&(struct gw_cfg_rules){&cfg, 1}, p, NULL);
        struct gw_captures c;

        assert_non_null(r);
        assert_true(gw_pattern_match(p, gw_str_of(rows[i].room), &c));
        if (gw_rule_allows(r, id, &c) != rows[i].allows)
            fail_msg("row %zu", i);
        gw_rule_free(r);
    }
    gw_identity_unref(id);
    gw_pattern_free(p);
}

static void test_rule_lists(void **state)
{
    struct gw_cfg_rule two[] = {rule_of(GW_RULE_NONE, NULL, NULL), rule_of(GW_RULE_EQUALS, "team", "red")};
    struct gw_identity *id = identity(person);
    struct gw_rule *r = gw_rule_new(&(struct gw_cfg_rules){two, 2}, NULL, NULL);

    (void)state;
    assert_true(gw_rule_allows(r, id, NULL)); /* one of them is enough */
    gw_rule_free(r);
    r = gw_rule_new(&(struct gw_cfg_rules){NULL, 0}, NULL, NULL);
    assert_false(gw_rule_allows(r, id, NULL)); /* none at all is not */
    gw_rule_free(r);
    gw_rule_free(NULL);
    gw_identity_unref(id);
}

static void test_bad_rules(void **state)
{
    struct gw_pattern *p = gw_pattern_new("session:{id}", NULL);
    struct {
        struct gw_cfg_rule rule;
        const struct gw_pattern *pattern;
        const char *why;
    } rows[] = {
        {rule_of(GW_RULE_EQUALS, "sub", "{user}"), p, "{user} is no capture of the room pattern \"session:{id}\""},
        {rule_of(GW_RULE_EQUALS, "sub", "{id}"), NULL, "{id} is no capture of a room pattern: there is none here"},
        {rule_of(GW_RULE_EQUALS, "sub", "{id"), p, "a literal brace is written twice"},
        {rule_of(GW_RULE_EQUALS, "sub", ""), p, "expected a text to compare with"},
        {rule_of(GW_RULE_CONTAINS, "sub", NULL), p, "expected a text to compare with"},
        {rule_of(GW_RULE_CONTAINS, "", "{id}"), p, "expected a claim's name"},
        {rule_of(GW_RULE_CONTAINS, NULL, "{id}"), p, "expected a claim's name"},
        {rule_of(GW_RULE_SCOPE, NULL, "x:{y}"), p, "{y} is no capture"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gw_err err = {0};

        assert_null(gw_rule_new(&(struct gw_cfg_rules){&rows[i].rule, 1}, rows[i].pattern, &err));
        if (strstr(err.text, rows[i].why) == NULL || strncmp(err.text, "t.yaml:3: rooms[0].join: ", 25) != 0)
            fail_msg("row %zu: %s", i, err.text);
    }
    gw_pattern_free(p);
}

/* A configuration of rooms, one rule each. */
struct row {
    const char *pattern;
    bool automatic;
    enum gw_cfg_rule_kind kind;
    const char *claim, *value;
    bool no_rule;
};

static struct gw_access *access_of(const struct row *rows, size_t n, struct gw_err *err)
{
    static char at[] = "t.yaml:2: rooms[0].pattern";
    struct gw_cfg_room rooms[16] = {0};
    struct gw_cfg_rule rules[16];
    struct gw_config cfg = {.rooms = rooms, .nrooms = n};

    for (size_t i = 0; i < n; i++) {
        rules[i] = rule_of(rows[i].kind, rows[i].claim, rows[i].value);
        memcpy(&rooms[i].pattern.text, &rows[i].pattern, sizeof rows[i].pattern);
        rooms[i].pattern.at = at;
        rooms[i].automatic = rows[i].automatic;
        rooms[i].join = (struct gw_cfg_rules){&rules[i], rows[i].no_rule ? 0 : 1};
    }
    return gw_access_new(&cfg, err);
}

static void test_join(void **state)
{
    static const struct row cfg[] = {
        {"session:{id}", false, GW_RULE_CONTAINS, "sessions", "{id}", false},
        {"concept:{id}", false, GW_RULE_ANY, NULL, NULL, false},
        {"doc:{tenant}:{id}", false, GW_RULE_EQUALS, "tenant", "{tenant}", false},
        {"closed:{id}", false, GW_RULE_NONE, NULL, NULL, false},
        {"unsaid:{id}", false, GW_RULE_ANY, NULL, NULL, true},
        {"lobby", false, GW_RULE_ANY, NULL, NULL, false},
        {"team:{x}", false, GW_RULE_NONE, NULL, NULL, false},
        {"team:{x}", false, GW_RULE_EQUALS, "team", "{x}", false}, /* a second rule for the same rooms */
    };
    static const struct {
        const char *room;
        bool may;
    } rows[] = {
        {"session:42", true},      {"session:43", false},   {"session:", false},        {"session:with space", false},
        {"session:a:b", true},     {"concept:any", true},   {"concept:", false},        {"concept:a b", false},
        {"concept:a\n", false},    {"doc:acme:7", true},    {"doc:acme:7:8", true},     {"doc:other:7", false},
        {"doc:acme", false},       {"closed:1", false},     {"unsaid:1", false},        {"lobby", true},
        {"lobby2", false},         {"team:red", true},      {"team:blue", false},       {"unknown:1", false},
        {"", false},               {"user:u1", true},       {"user:u2", false},         {"user:", false},
        {"user:u1x", false},       {"user:u", false},       {"User:u1", false},         {"concept:\xff", false},
    };
    struct gw_identity *id = identity(person);
    struct gw_access *a = access_of(cfg, sizeof cfg / sizeof *cfg, NULL);

    (void)state;
    assert_non_null(a);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (gw_access_may_join(a, id, gw_str_of(rows[i].room)) != rows[i].may)
            fail_msg("%s", rows[i].room);
    assert_false(gw_access_may_join(a, id, (struct gw_str){NULL, 0}));
    assert_false(gw_access_may_join(a, id, (struct gw_str){"concept:a\0b", 11}));
    gw_access_free(a);
    gw_identity_unref(id);
}

static void test_user_rooms(void **state)
{
    static const struct row wide[] = {{"{all}", false, GW_RULE_ANY, NULL, NULL, false},
                                      {"{kind}:{id}", false, GW_RULE_ANY, NULL, NULL, false}};
    static const struct row meant[] = {{"user:{id}", false, GW_RULE_CONTAINS, "realm_access.roles", "admin", false}};
    static const struct row closed[] = {{"user:{id}", false, GW_RULE_NONE, NULL, NULL, false}};
    struct gw_identity *id = identity(person), *plain = identity("{\"sub\":\"u:3\"}");
    struct gw_access *a = access_of(wide, 2, NULL);

    (void)state;
    assert_true(gw_access_may_join(a, id, GW_STR("news")));
    assert_true(gw_access_may_join(a, id, GW_STR("user:u1")));
    assert_false(gw_access_may_join(a, id, GW_STR("user:u2"))); /* a pattern that merely matches */
    gw_access_free(a);
    a = access_of(meant, 1, NULL);
    assert_true(gw_access_may_join(a, id, GW_STR("user:u2"))); /* the operator said so */
    assert_false(gw_access_may_join(a, plain, GW_STR("user:u2")));
    assert_true(gw_access_may_join(a, plain, GW_STR("user:u:3")));
    gw_access_free(a);
    a = access_of(closed, 1, NULL);
    assert_true(gw_access_may_join(a, id, GW_STR("user:u1"))); /* one's own is always there */
    assert_false(gw_access_may_join(a, id, GW_STR("user:u2")));
    gw_access_free(a);
    gw_access_free(NULL);
    gw_identity_unref(id);
    gw_identity_unref(plain);
}

static void test_automatic(void **state)
{
    static const struct {
        struct row row;
        const char *want;
    } rows[] = {
        {{"user:{id}", true, GW_RULE_EQUALS, "sub", "{id}", false}, "user:u1;"},
        {{"session:{id}", true, GW_RULE_CONTAINS, "sessions", "{id}", false},
         "user:u1;session:42;session:a:b;session:7;session:true;session:caf\xc3\xa9;"},
        {{"session:{id}:x", true, GW_RULE_CONTAINS, "sessions", "{id}", false}, /* no place for a ':' */
         "user:u1;session:42:x;session:7:x;session:true:x;session:caf\xc3\xa9:x;"},
        {{"session:{id}", true, GW_RULE_EQUALS, "sessions", "{id}", false}, "user:u1;"},
        {{"team:{id}", true, GW_RULE_EQUALS, "team", "{id}", false}, "user:u1;team:red;"},
        {{"role:{r}", true, GW_RULE_CONTAINS, "realm_access.roles", "{r}", false}, "user:u1;role:admin;role:user;"},
        {{"none:{r}", true, GW_RULE_CONTAINS, "missing", "{r}", false}, "user:u1;"},
        {{"{all}", true, GW_RULE_CONTAINS, "others", "{all}", false}, "user:u1;free;"}, /* not another user's room */
        {{"user:{x}", true, GW_RULE_CONTAINS, "realm_access.roles", "{x}", false}, "user:u1;user:admin;user:user;"},
        {{"lobby", true, GW_RULE_ANY, NULL, NULL, false}, "user:u1;lobby;"},
        {{"admins", true, GW_RULE_CONTAINS, "realm_access.roles", "admin", false}, "user:u1;admins;"},
        {{"owners", true, GW_RULE_CONTAINS, "realm_access.roles", "owner", false}, "user:u1;"},
        {{"off:{id}", false, GW_RULE_CONTAINS, "sessions", "{id}", false}, "user:u1;"},
        {{"br{{{id}}}", true, GW_RULE_EQUALS, "team", "{id}", false}, "user:u1;br{red};"},
    };
    struct gw_identity *id = identity(person);
    struct gw_buf got;

    (void)state;
    gw_buf_init(&got);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gw_err err = {0};
        struct gw_access *a = access_of(&rows[i].row, 1, &err);

        if (a == NULL)
            fail_msg("row %zu: %s", i, err.text);
        gw_buf_clear(&got);
        gw_access_auto_rooms(a, id, 100, collect_room, &got);
        if (strcmp(gw_buf_c(&got), rows[i].want) != 0)
            fail_msg("row %zu: %s", i, gw_buf_c(&got));
        gw_access_free(a);
    }
    gw_buf_fini(&got);
    gw_identity_unref(id);
}

static void test_automatic_bound(void **state)
{
    static const struct row cfg[] = {
        {"session:{id}", true, GW_RULE_CONTAINS, "sessions", "{id}", false},
        {"session:{other}", true, GW_RULE_CONTAINS, "sessions", "{other}", false}, /* the same again */
        {"lobby", true, GW_RULE_ANY, NULL, NULL, false},
    };
    static const char *const want[] = {"", "user:u1;", "user:u1;session:42;", "user:u1;session:42;session:a:b;"};
    struct gw_identity *id = identity(person);
    struct gw_access *a = access_of(cfg, 3, NULL);
    struct gw_buf got;

    (void)state;
    gw_buf_init(&got);
    for (size_t max = 0; max < 4; max++) {
        gw_buf_clear(&got);
        assert_int_equal(gw_access_auto_rooms(a, id, max, collect_room, &got), max);
        assert_string_equal(gw_buf_c(&got), want[max]);
    }
    gw_buf_clear(&got);
    assert_int_equal(gw_access_auto_rooms(a, id, 100, collect_room, &got), 7);
    gw_buf_fini(&got);
    gw_access_free(a);
    gw_identity_unref(id);
}

static void test_bad_rooms(void **state)
{
    static const struct {
        struct row row;
        const char *why;
    } rows[] = {
        {{"a:{id", false, GW_RULE_ANY, NULL, NULL, false}, "t.yaml:2: rooms[0].pattern: \"a:{id\": expected {name}"},
        {{"", false, GW_RULE_ANY, NULL, NULL, false}, "t.yaml:2: rooms[0].pattern: a room pattern is"},
        {{"a:{id}", false, GW_RULE_EQUALS, "sub", "{x}", false}, "t.yaml:3: rooms[0].join: {x} is no capture"},
        {{"a:{id}", true, GW_RULE_ANY, NULL, NULL, false}, "rooms[0].pattern: auto needs a join rule that compares"},
        {{"a:{id}", true, GW_RULE_EQUALS, "sub", "x", false}, "auto needs a join rule that compares"},
        {{"a:{id}", true, GW_RULE_EQUALS, "sub", "x{id}", false}, "auto needs a join rule that compares"},
        {{"a:{id}", true, GW_RULE_EQUALS, "sub", "{{{id}", false}, "auto needs a join rule that compares"},
        {{"a:{id}", true, GW_RULE_EQUALS, "sub", "{id}{id}", false}, "auto needs a join rule that compares"},
        {{"a:{id}", true, GW_RULE_SCOPE, NULL, "{id}", false}, "auto needs a join rule that compares"},
        {{"a:{x}:{y}", true, GW_RULE_EQUALS, "sub", "{x}", false}, "auto needs a pattern with one capture or none"},
        {{"lobby", true, GW_RULE_ANY, NULL, NULL, true}, "auto needs a join rule that says whom"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gw_err err = {0};

        assert_null(access_of(&rows[i].row, 1, &err));
        if (strstr(err.text, rows[i].why) == NULL)
            fail_msg("row %zu: %s", i, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claims),    cmocka_unit_test(test_scopes),     cmocka_unit_test(test_rules),
        cmocka_unit_test(test_rule_lists), cmocka_unit_test(test_bad_rules), cmocka_unit_test(test_join),
        cmocka_unit_test(test_user_rooms), cmocka_unit_test(test_automatic), cmocka_unit_test(test_automatic_bound),
        cmocka_unit_test(test_bad_rooms),
    };

    return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
