/* The configuration: that what is printed can be loaded again, what differs, and that the example and the documentation are
 * right. Run in the project's directory, or built with GW_SOURCE_DIR. */
#include "config_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef GW_SOURCE_DIR
#define GW_SOURCE_DIR "."
#endif

/* What gw_config_print writes, without the comments on where values came from. Owned. */
static char *printed(const struct gw_config *c)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    gw_config_print(c, out);
    fclose(out);
    char *to = text;
    for (char *line = text, *next; *line; line = next) {
        next = line + strcspn(line, "\n");
        next += *next == '\n';
        char *comment = strstr(line, "  # ");
        size_t keep = comment && comment < next ? (size_t)(comment - line) : (size_t)(next - line - 1);
        if (*line == '#')
            continue;
        memmove(to, line, keep);
        to += keep;
        *to++ = '\n';
    }
    *to = 0;
    return text;
}

static void expect_round_trip(struct gw_config *c, bool dev)
{
    char *first = printed(c);
    struct gw_err err;
    struct gw_config *again = load(first, dev, NULL, &err);
    if (!again)
        fail_msg("%s in:\n%s", err.text, first);
    char *second = printed(again);
    assert_string_equal(first, second);
    gw_config_free(again);
    free(second);
    free(first);
}

static void printed_loads_again(void **state)
{
    (void)state;
    struct gw_config *c = must_load(
        "listen: '[::1]:9'\nloops: 3\ntls: {cert: a b.pem, key: k}\nlog: {level: error, format: json}\n"
        "kafka:\n  brokers: \"a:1,b:2\"\n  client_id: \"q\\\"\\\\ \\t\\n \\u0085\\u2028\\uFEFF\\x7f # é 😀\"\n  username: u\n"
        "  password: geheim\n  dlt: false\n"
        "  properties: {compression.type: lz4, linger.ms: 5, 'od d': '', ssl.key.password: geheim}\n"
        "auth: {cookie: c, issuers: [{issuer: i, audience: [a, b], algorithms: [ES256], key: k, kid: '1', require: x},\n"
        "  {issuer: j, algorithms: [RS256, HS256], jwks: j}]}\n"
        "origins: ['*']\nproxies: [10.0.0.0/8, '::1']\n"
        "rooms: [{pattern: 'a:{id}', join: {claim: sub, equals: '{id}'}, auto: true}, {pattern: b, join: none}, {pattern: c},\n"
        "  {pattern: d, join: [any, {scope: s}]}]\n"
        "routes: [{topics: [a, '^b'], event: '{value.x}', rooms: r, require: [x.y], when: {value.a: '*', 'he ad': ['*', ''], z: 1}}]\n"
        "actions: [{name: a, topic: t, room: 'x:{y}', allow: any, fields: {a: any, 'b c': 'array?'}, open: true, rate: 7/2h,\n"
        "  headers: {h: '{user}'}}, {name: b, topic: t, rate: 3/m}]\n");
    expect_round_trip(c, true);
    gw_config_free(c);
}

static void secrets_are_masked(void **state)
{
    (void)state;
    struct gw_config *c = must_load("kafka:\n  username: u\n  password: geheim\n"
                                    "  properties: {ssl.key.password: geheim, sasl.oauthbearer.client.secret: geheim,\n"
                                    "    ssl.key.pem: geheim, ssl.ca.location: ca.pem}\n");
    char *text = printed(c);
    assert_null(strstr(text, "geheim"));
    assert_non_null(strstr(text, "  password: \"********\"\n"));
    assert_non_null(strstr(text, "    ssl.key.password: \"********\"\n"));
    assert_non_null(strstr(text, "    ssl.ca.location: \"ca.pem\"\n"));
    free(text);
    gw_config_free(c);
}

static void printed_says_where_from(void **state)
{
    (void)state;
    char entry[] = "KAFKA_GROUP_ID=g", *text = NULL;
    char *const env[] = {entry, NULL};
    size_t len = 0;
    struct gw_err err;
    struct gw_config *c = load("loops: 2\nkafka:\n  client_id: x\n", true, env, &err);
    FILE *out = open_memstream(&text, &len);
    gw_config_print(c, out);
    fclose(out);
    assert_non_null(strstr(text, "# What is in force; file: (built in), --dev\n"));
    assert_non_null(strstr(text, "\nloops: 2  # (built in):1\n"));
    assert_non_null(strstr(text, "\n  client_id: \"x\"  # (built in):3\n"));
    assert_non_null(strstr(text, "\n  group_id: \"g\"  # KAFKA_GROUP_ID\n"));
    assert_non_null(strstr(text, "\n  ssl: false\n"));
    free(text);
    gw_config_free(c);
}

/* ---- the rest of the interface ---- */
static void add_change(void *arg, const char *path, bool reload)
{
    char *text = arg;
    strcat(text, path);
    strcat(text, reload ? "+ " : " ");
}

static void compare(void **state)
{
    (void)state;
    char changes[256] = "";
    struct gw_config *a = must_load("kafka: {username: u, password: a, properties: {ssl.key.password: a}}\n");
    struct gw_config *b = must_load("log: {level: warn}\nkafka: {username: u, password: b, properties: {ssl.key.password: b}}\n"
                                    "rooms: [{pattern: a}]\norigins: '*'\n");
    assert_int_equal(gw_config_compare(a, a, add_change, changes), 0);
    assert_string_equal(changes, "");
    assert_int_equal(gw_config_compare(a, b, add_change, changes), 5);
    assert_string_equal(changes, "log.level+ kafka.password kafka.properties origins+ rooms+ ");
    gw_config_free(a);
    gw_config_free(b);
}

static void use_dev(void **state)
{
    (void)state;
    struct gw_config *c = must_load("auth: {issuers: [{issuer: a, algorithms: RS256, jwks: j}]}\n");
    gw_config_use_dev(c, "127.0.0.1:1", "/k");
    assert_string_equal(c->kafka_brokers, "127.0.0.1:1");
    assert_int_equal(c->nissuers, 1);
    assert_null(c->issuers[0].issuer);
    assert_null(c->issuers[0].jwks);
    assert_string_equal(c->issuers[0].key, "/k");
    assert_string_equal(c->issuers[0].algorithms.v[0].text, "HS256");
    gw_config_use_dev(c, NULL, "/l");
    assert_string_equal(c->kafka_brokers, "127.0.0.1:1");
    assert_string_equal(c->issuers[0].key, "/l");
    expect_round_trip(c, false);
    gw_config_free(c);
}

static void the_example_is_fine(void **state)
{
    (void)state;
    struct gw_config_source src = {.file = GW_SOURCE_DIR "/examples/learning.yaml"};
    struct gw_err err = {.set = false};
    struct gw_config *c = gw_config_load(&src, &err);
    if (!c)
        fail_msg("%s", err.text);
    assert_string_equal(c->kafka_client_id, "realtime-service");
    assert_int_equal(c->nactions, 5);
    assert_int_equal(c->nrooms, 3);
    expect_round_trip(c, false);
    gw_config_free(c);
}

static char *read_stream(FILE *in)
{
    char *text = NULL;
    size_t len = 0;
    ssize_t n = getdelim(&text, &len, 0, in);
    assert_true(n > 0);
    return text;
}

static void the_documentation_is_up_to_date(void **state)
{
    (void)state;
    FILE *file = fopen(GW_SOURCE_DIR "/docs/configuration.md", "r"), *made = tmpfile();
    assert_non_null(file);
    assert_non_null(made);
    gw_config_docs(made);
    rewind(made);
    char *have = read_stream(file), *want = read_stream(made);
    assert_string_equal(have, want);
    free(have);
    free(want);
    fclose(file);
    fclose(made);
}

/* No two options share a name in any of the three spellings, and each is set by all of them. */
static void every_option_by_every_name(void **state)
{
    (void)state;
    static const char *const paths[] = {
#define GW_OPT_STR(field, path, def, flags, help) path,
#define GW_OPT_INT(field, path, def, min, max, flags, help) path,
#define GW_OPT_BOOL(field, path, def, flags, help) path,
#define GW_OPT_ENUM(field, path, def, names, flags, help) path,
#include "gw/tbl/config.def"
    };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        char env[80] = "SLUICE_", flag[80] = "", want[96];
        size_t start = strlen(env);
        for (size_t k = 0; paths[i][k] && start + k < sizeof(env) - 4; k++) {
            char c = paths[i][k];
            env[start + k] = c == '.' ? '_' : (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
            flag[k] = c == '.' || c == '_' ? '-' : c;
        }
        snprintf(want, sizeof(want), "%s: ", env);
        strcat(env, "=\xff");
        char *const environment[] = {env, NULL};
        struct gw_err err;
        assert_null(load("", true, environment, &err)); /* no option takes this value: it was found, and by this name */
        assert_int_equal(strncmp(err.text, want, strlen(want)), 0);
        assert_null(strstr(err.text, "unknown"));
        assert_true(gw_config_is_flag(flag));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(paths[i], paths[j]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(printed_loads_again),
        cmocka_unit_test(secrets_are_masked),
        cmocka_unit_test(printed_says_where_from),
        cmocka_unit_test(compare),
        cmocka_unit_test(use_dev),
        cmocka_unit_test(the_example_is_fine),
        cmocka_unit_test(the_documentation_is_up_to_date),
        cmocka_unit_test(every_option_by_every_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
