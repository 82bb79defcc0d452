/* Which pages may connect: origins of the configuration against the request's Origin and Host. */
#include "gw/policy.h"

#include "config_load.h"
#include "unit_kit.h"

static const struct {
    const char *origins, *origin, *host;
    bool allowed;
} rows[] = {
    /* self: the page that this very host served. Ports may be left out where they are the scheme's own */
    {"[self]", "http://example.com", "example.com", true},
    {"[self]", "https://example.com", "example.com", true},
    {"[self]", "http://example.com:8080", "example.com:8080", true},
    {"[self]", "https://example.com", "example.com:443", true},
    {"[self]", "http://example.com", "example.com:80", true},
    {"[self]", "https://EXAMPLE.com", "example.COM", true},
    {"[self]", "http://127.0.0.1:9000", "127.0.0.1:9000", true},
    {"[self]", "http://[::1]:9000", "[::1]:9000", true},
    {"[self]", "http://example.com", "example.com:443", false},
    {"[self]", "https://example.com", "example.com:80", false},
    {"[self]", "http://example.com", "example.com:8080", false},
    {"[self]", "http://example.com:8081", "example.com:8080", false},
    {"[self]", "http://evil.com", "example.com", false},
    {"[self]", "http://example.com.evil.com", "example.com", false},
    {"[self]", "http://xexample.com", "example.com", false},
    {"[self]", "http://example.co", "example.com", false},
    {"[self]", "http://example.com@evil.com", "example.com", false},
    {"[self]", "http://evil.com/example.com", "example.com", false},
    {"[self]", "http://example.com/", "example.com", false},
    {"[self]", "http://", "", false},
    {"[self]", "https://", "", false},
    {"[self]", "example.com", "example.com", false},
    {"[self]", "//example.com", "example.com", false},
    {"[self]", "ftp://example.com", "example.com", false},
    {"[self]", "file://", "", false},
    {"[self]", "chrome-extension://example.com", "example.com", false},
    {"[self]", "null", "null", false},
    {"[self]", "", "", false},
    {"[self]", "http://example.com http://evil.com", "example.com", false},
    /* others, to the letter, but for upper and lower case */
    {"[\"https://app.example.com\"]", "https://app.example.com", "gw.example.com", true},
    {"[\"https://app.example.com\"]", "https://APP.example.com", "gw.example.com", true},
    {"[\"https://App.Example.com:443\"]", "https://app.example.com", "gw.example.com", true}, /* as browsers write it */
    {"[\"https://app.example.com\"]", "http://app.example.com", "gw.example.com", false},
    {"[\"https://app.example.com\"]", "https://app.example.com:8443", "gw.example.com", false},
    {"[\"https://app.example.com:8443\"]", "https://app.example.com:8443", "gw.example.com", true},
    {"[\"https://app.example.com\"]", "https://app.example.com.evil.com", "gw.example.com", false},
    {"[\"https://app.example.com\"]", "https://sub.app.example.com", "gw.example.com", false},
    {"[\"https://app.example.com\"]", "https://gw.example.com", "gw.example.com", false}, /* self is not in the list */
    {"[\"https://app.example.com\"]", "https://app.example.co", "gw.example.com", false},
    {"[self, \"http://a.test\", \"http://b.test\"]", "http://b.test", "c.test", true},
    {"[self, \"http://a.test\", \"http://b.test\"]", "http://c.test", "c.test", true},
    {"[self, \"http://a.test\", \"http://b.test\"]", "http://d.test", "c.test", false},
    {"[\"*\"]", "http://anything.test", "c.test", true},
    {"[\"*\"]", "null", "c.test", true},
};

static struct gw_policy *policy_of(const char *yaml)
{
    struct gw_err err = {0};
    struct gw_policy *p = gw_policy_new(must_load(yaml), &err);
    if (!p)
        fail_msg("%s: %s", yaml, err.text);
    return p;
}

static void test_origins(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        char yaml[200];
        snprintf(yaml, sizeof(yaml), "origins: %s\n", rows[i].origins);
        struct gw_policy *p = policy_of(yaml);
        size_t n = strlen(rows[i].origin), m = strlen(rows[i].host);
        char *origin = malloc(n + 1), *host = malloc(m + 1); /* without a NUL behind them */
        memcpy(origin, rows[i].origin, n);
        memcpy(host, rows[i].host, m);
        origin = realloc(origin, n ? n : 1);
        host = realloc(host, m ? m : 1);
        if (gw_policy_origin(p, (struct gw_str){origin, n}, (struct gw_str){host, m}) != rows[i].allowed)
            fail_msg("%s: Origin %s, Host %s", rows[i].origins, rows[i].origin, rows[i].host);
        free(origin);
        free(host);
        gw_policy_unref(p);
    }
    struct gw_policy *p = policy_of("listen: 127.0.0.1:0\n"); /* nothing given: self */
    assert_true(gw_policy_origin(p, GW_STR("http://a.test"), GW_STR("a.test")));
    assert_false(gw_policy_origin(p, GW_STR("http://a.test"), GW_STR("b.test")));
    assert_false(gw_policy_origin(p, GW_STR("http://a.test"), (struct gw_str){0}));
    gw_policy_unref(p);
}

static void test_client_ip(void **state)
{
    (void)state;
    struct gw_buf b = {0};
    struct gw_policy *p = policy_of("proxies: [10.0.0.0/8]\n");
    assert_string_equal(gw_policy_forwarded_header(p), "x-forwarded-for:");
    gw_policy_client_ip(p, GW_STR("10.0.0.1"), GW_STR("5.6.7.8"), &b);
    assert_string_equal(gw_buf_c(&b), "5.6.7.8");
    gw_policy_unref(p);
    p = policy_of("proxies: [10.0.0.0/8]\nhttp: {forwarded_header: forwarded}\n");
    assert_string_equal(gw_policy_forwarded_header(p), "forwarded:");
    gw_buf_clear(&b);
    gw_policy_client_ip(p, GW_STR("10.0.0.1"), GW_STR("for=5.6.7.8"), &b);
    assert_string_equal(gw_buf_c(&b), "5.6.7.8");
    gw_policy_unref(p);
    gw_buf_fini(&b);
}

/* What cannot be compiled is an error, and nothing is left of it. */
static void test_bad_policies(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "rooms: [{pattern: \"a:{\", join: any}]\n",
        "actions: [{name: a, topic: t, room: \"{\"}]\n",
        "actions: [{name: a, topic: t}, {name: b, topic: t, allow: {claim: x, equals: \"{id}\"}}]\n",
        "routes: [{topics: [t], event: \"{nonsense}\", rooms: [r]}]\n",
    };
    for (size_t i = 0; i < ROWS(bad); i++) {
        struct gw_err err = {0};
        if (gw_policy_new(must_load(bad[i]), &err))
            fail_msg("%s: was accepted", bad[i]);
        assert_true(err.set);
        assert_non_null(strstr(err.text, ":1: "));
    }
    gw_policy_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_client_ip),
        cmocka_unit_test(test_bad_policies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
