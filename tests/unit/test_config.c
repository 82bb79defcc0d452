/* The configuration: precedence, what lists become, files. Errors are in test_config_errors.c, printing and documentation in
 * test_config_print.c. */
#include "config_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define B "(built in):"

/* ---- environment and flags ---- */
static void env_that_is_none_of_ours(void **state)
{
    (void)state;
    char entries[][48] = {"SLUICE_BIN=x",           "SLUICE_DEV_FEED=1",           "SLUICE_SERVICE_HOST=10.0.0.1",
                          "SLUICE_SERVICE_PORT=80", "SLUICE_SERVICE_PORT_HTTP=80", "SLUICE_PORT=tcp://10.0.0.1:80",
                          "SLUICE_PORT_80_TCP_ADDR=10.0.0.1", "SLUICE_EDGE_SERVICE_HOST=x", "KAFKA_HEAP_OPTS=-Xmx1G",
                          "KAFKA_PORT=tcp://10.0.0.2:9092", "KAFKA_CLIENT_ID=", "PATH=/bin", "SLUICE_NO_VALUE"};
    char *env[sizeof(entries) / sizeof(entries[0]) + 1] = {NULL};
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
        env[i] = entries[i];
    struct gw_err err;
    struct gw_config *c = load("", true, env, &err);
    if (!c)
        fail_msg("%s", err.text);
    assert_string_equal(c->kafka_client_id, "sluice");
    gw_config_free(c);
}

static void kafka_names(void **state)
{
    (void)state;
    char entries[][48] = {"KAFKA_ENABLED=FALSE",
                          "KAFKA_BROKERS=a:1,b:2",
                          "KAFKA_CLIENT_ID=realtime-service",
                          "KAFKA_GROUP_ID=g",
                          "KAFKA_SSL=true",
                          "KAFKA_USERNAME=u",
                          "KAFKA_PASSWORD=p w",
                          "KAFKA_CONNECTION_TIMEOUT=3000",
                          "KAFKA_REQUEST_TIMEOUT=24000",
                          "KAFKA_RETRY_INITIAL_RETRY_TIME=101",
                          "KAFKA_RETRY_RETRIES=9"};
    char *env[sizeof(entries) / sizeof(entries[0]) + 1] = {NULL};
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
        env[i] = entries[i];
    struct gw_err err;
    struct gw_config *c = load("kafka: {client_id: file}", true, env, &err);
    assert_non_null(c);
    assert_false(c->kafka_enabled);
    assert_string_equal(c->kafka_brokers, "a:1,b:2");
    assert_string_equal(c->kafka_client_id, "realtime-service");
    assert_string_equal(c->kafka_group_id, "g");
    assert_true(c->kafka_ssl);
    assert_string_equal(c->kafka_username, "u");
    assert_string_equal(c->kafka_password, "p w");
    assert_int_equal(c->kafka_connection_timeout_ms, 3000);
    assert_int_equal(c->kafka_request_timeout_ms, 24000);
    assert_int_equal(c->kafka_retry_initial_ms, 101);
    assert_int_equal(c->kafka_retries, 9);
    gw_config_free(c);
}

static void later_beats_earlier(void **state)
{
    (void)state;
    char a[] = "SLUICE_KAFKA_CLIENT_ID=own", b[] = "KAFKA_CLIENT_ID=kafka", d[] = "SLUICE_LOOPS=3",
         e[] = "KAFKA_GROUP_ID=kafka", f[] = "SLUICE_PROXIES= 10.0.0.1 ,::1,", g[] = "SLUICE_KAFKA_SSL=YES";
    char *const env[] = {a, b, d, e, f, g, NULL};
    const struct gw_cfg_flag flags[] = {{"loops", "5"}, {"loops", "4"}, {"origins", "https://A.example:443"}};
    struct gw_config_source src = {
        .builtin = "kafka:\n  client_id: file\n  group_id: file\n  username: u\n  password: p\nproxies: 10.0.0.9\nloops: 2\n",
        .dev = true, .env = env, .flags = flags, .nflags = 3};
    struct gw_err err = {.set = false};
    struct gw_config *c = gw_config_load(&src, &err);
    assert_non_null(c);
    assert_string_equal(c->kafka_client_id, "own");
    assert_string_equal(gw_config_from(c, "kafka.client_id"), "SLUICE_KAFKA_CLIENT_ID");
    assert_string_equal(c->kafka_group_id, "kafka");
    assert_string_equal(gw_config_from(c, "kafka.group_id"), "KAFKA_GROUP_ID");
    assert_string_equal(gw_config_from(c, "kafka.username"), B "4: kafka.username");
    assert_null(gw_config_from(c, "kafka.brokers"));
    assert_true(c->kafka_ssl);
    assert_int_equal(c->loops, 4);
    assert_string_equal(gw_config_from(c, "loops"), "--loops");
    assert_int_equal(c->proxies.n, 2);
    assert_string_equal(c->proxies.v[0].text, "10.0.0.1");
    assert_string_equal(c->proxies.v[1].text, "::1");
    assert_int_equal(c->origins.n, 1);
    assert_string_equal(c->origins.v[0].text, "https://a.example");
    assert_string_equal(c->origins.v[0].at, "--origins");
    gw_config_free(c);
}

static void flags_are_known(void **state)
{
    (void)state;
    assert_true(gw_config_is_flag("listen"));
    assert_true(gw_config_is_flag("kafka-client-id"));
    assert_true(gw_config_is_flag("origins"));
    assert_false(gw_config_is_flag("kafka.client_id"));
    assert_false(gw_config_is_flag("rooms"));
    assert_false(gw_config_is_flag(""));
    const struct gw_cfg_flag flag = {"lisetn", ":1"};
    struct gw_config_source src = {.dev = true, .flags = &flag, .nflags = 1};
    struct gw_err err = {.set = false};
    assert_null(gw_config_load(&src, &err));
    assert_string_equal(err.text, "--lisetn: unknown option; did you mean --listen?");
    assert_null(gw_config_load(&src, NULL));
}

/* ---- what comes of a good file ---- */
static void defaults(void **state)
{
    (void)state;
    struct gw_config *c = must_load("# nothing\n");
    assert_string_equal(c->listen, "127.0.0.1:8080");
    assert_true(c->dev);
    assert_string_equal(c->source, "(built in)");
    assert_int_equal(c->log_level, 1);
    assert_int_equal(c->limits_outbox_bytes, 1048576);
    assert_int_equal(c->origins.n, 1);
    assert_string_equal(c->origins.v[0].text, "self");
    assert_int_equal(c->nissuers + c->nrooms + c->nroutes + c->nactions + c->proxies.n, 0);
    gw_config_free(c);
    struct gw_err err;
    c = load("auth: {issuers: [{algorithms: HS256, key: /k}]}", false, NULL, &err);
    assert_non_null(c);
    assert_string_equal(c->listen, "0.0.0.0:8080");
    gw_config_free(c);
    gw_config_free(NULL);
}

static void empty_sections_are_fine(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\xef\xbb\xbfloops: 1\n", "kafka:\n", "routes:\nrooms: []\nactions: ~\n",
                                        "origins:\n", "auth: {}\n", "---\nloops: 1\n...\n",
                                        "kafka: {properties: }\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct gw_config *c = must_load(texts[i]);
        assert_int_equal(c->origins.n, 1);
        gw_config_free(c);
    }
}

static void rooms(void **state)
{
    (void)state;
    struct gw_config *c = must_load("rooms:\n"
                                    "- {pattern: 'user:{id}', join: {claim: sub, equals: '{id}'}, auto: true}\n"
                                    "- pattern: closed\n"
                                    "  join: none\n"
                                    "- {pattern: 'doc:{a}:{b}', join: [any, {scope: 'doc:{a}'}, {claim: x.y, contains: z}]}\n"
                                    "- pattern: silent\n");
    assert_int_equal(c->nrooms, 4);
    assert_string_equal(c->rooms[0].pattern.text, "user:{id}");
    assert_string_equal(c->rooms[0].pattern.at, B "2: rooms[0].pattern");
    assert_true(c->rooms[0].automatic);
    assert_int_equal(c->rooms[0].join.v[0].kind, GW_RULE_EQUALS);
    assert_string_equal(c->rooms[0].join.v[0].claim, "sub");
    assert_string_equal(c->rooms[0].join.v[0].value, "{id}");
    assert_int_equal(c->rooms[1].join.n, 1);
    assert_int_equal(c->rooms[1].join.v[0].kind, GW_RULE_NONE);
    assert_string_equal(c->rooms[1].join.v[0].at, B "4: rooms[1].join");
    assert_int_equal(c->rooms[2].join.n, 3);
    assert_int_equal(c->rooms[2].join.v[0].kind, GW_RULE_ANY);
    assert_int_equal(c->rooms[2].join.v[1].kind, GW_RULE_SCOPE);
    assert_string_equal(c->rooms[2].join.v[1].value, "doc:{a}");
    assert_null(c->rooms[2].join.v[1].claim);
    assert_int_equal(c->rooms[2].join.v[2].kind, GW_RULE_CONTAINS);
    assert_string_equal(c->rooms[2].join.v[2].at, B "5: rooms[2].join[2]");
    assert_int_equal(c->rooms[3].join.n, 0);
    assert_false(c->rooms[3].automatic);
    gw_config_free(c);
}

static void routes(void **state)
{
    (void)state;
    struct gw_config *c = must_load("routes:\n"
                                    "- topics: ['^Quik\\.(.*)', plain]\n"
                                    "  event: '{value.type}'\n"
                                    "  rooms: 'channel:{value.id}'\n"
                                    "  require: id\n"
                                    "  when:\n"
                                    "    value.type: [a, b]\n"
                                    "    header.x: '*'\n"
                                    "    value.urgent: true\n"
                                    "    value.n: ['*', '', 7]\n");
    const struct gw_cfg_route *r = &c->routes[0];
    assert_int_equal(c->nroutes, 1);
    assert_string_equal(r->at, B "2: routes[0]");
    assert_int_equal(r->topics.n, 2);
    assert_string_equal(r->topics.v[1].text, "plain");
    assert_string_equal(r->event.at, B "3: routes[0].event");
    assert_int_equal(r->rooms.n, 1);
    assert_string_equal(r->rooms.v[0].text, "channel:{value.id}");
    assert_int_equal(r->require.n, 1);
    assert_int_equal(r->nwhen, 4);
    assert_string_equal(r->when[0].ref, "value.type");
    assert_string_equal(r->when[0].at, B "7: routes[0].when.value.type");
    assert_int_equal(r->when[0].values.n, 2);
    assert_int_equal(r->when[1].values.n, 0);
    assert_int_equal(r->when[2].values.n, 1);
    assert_string_equal(r->when[2].values.v[0].text, "true");
    assert_int_equal(r->when[3].values.n, 3);
    assert_string_equal(r->when[3].values.v[0].text, "*");
    assert_string_equal(r->when[3].values.v[1].text, "");
    gw_config_free(c);
}

static void actions(void **state)
{
    (void)state;
    struct gw_config *c = must_load("actions:\n"
                                    "- {name: a, topic: t, room: 'session:{id}', fields: {m: string, n: 'integer?'}, rate: 5/10s}\n"
                                    "- {name: b, topic: t, open: true, rate: 100/m, headers: {tenant: '{claim.t}'}}\n"
                                    "- {name: c, topic: t, room: 'doc:{a}:{b}', allow: {scope: write}, rate: 10/s}\n"
                                    "- {name: d, topic: t, key: '{data.k}'}\n");
    const struct gw_cfg_action *a = c->actions;
    assert_int_equal(c->nactions, 4);
    assert_string_equal(a[0].key.text, "{room.id}");
    assert_int_equal(a[0].nfields, 2);
    assert_int_equal(a[0].fields[0].type, GW_TYPE_STRING);
    assert_false(a[0].fields[0].optional);
    assert_int_equal(a[0].fields[1].type, GW_TYPE_INTEGER);
    assert_true(a[0].fields[1].optional);
    assert_int_equal(a[0].rate_count, 5);
    assert_int_equal(a[0].rate_ms, 10000);
    assert_false(a[0].open);
    assert_string_equal(a[1].key.text, "{user}");
    assert_null(a[1].room.text);
    assert_int_equal(a[1].rate_ms, 60000);
    assert_true(a[1].open);
    assert_string_equal(a[1].headers[0].name, "tenant");
    assert_string_equal(a[1].headers[0].value.text, "{claim.t}");
    assert_string_equal(a[2].key.text, "{room}");
    assert_int_equal(a[2].allow.v[0].kind, GW_RULE_SCOPE);
    assert_int_equal(a[2].rate_ms, 1000);
    assert_string_equal(a[3].key.text, "{data.k}");
    assert_int_equal(a[3].rate_count, 0);
    gw_config_free(c);
}

static void origins_as_browsers_send_them(void **state)
{
    (void)state;
    struct gw_config *c = must_load("origins: [self, '*', 'HTTPS://App.Example.com:443', 'http://a:8080', 'http://a:80',\n"
                                    "  'http://[::1]:3000', 'capacitor://localhost', 'https://a:80']\n");
    static const char *const want[] = {"self", "*", "https://app.example.com", "http://a:8080", "http://a",
                                       "http://[::1]:3000", "capacitor://localhost", "https://a:80"};
    assert_int_equal(c->origins.n, sizeof(want) / sizeof(want[0]));
    for (size_t i = 0; i < c->origins.n; i++)
        assert_string_equal(c->origins.v[i].text, want[i]);
    gw_config_free(c);
}

static void split_listen(void **state)
{
    (void)state;
    static const struct {
        const char *listen, *host; /* host NULL: refused */
        uint16_t port;
    } cases[] = {
        {"0.0.0.0:8080", "0.0.0.0", 8080}, {"[::1]:0", "::1", 0},  {":65535", "", 65535}, {"local-host:1", "local-host", 1},
        {"a:65536", NULL, 0},              {"a:", NULL, 0},        {"a", NULL, 0},        {"", NULL, 0},
        {"[::1]", NULL, 0},                {"[::1:80", NULL, 0},   {"a b:80", NULL, 0},   {"a:80x", NULL, 0},
        {"a:-1", NULL, 0},                 {"a:000080", NULL, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gw_str host;
        uint16_t port;
        int rc = gw_config_split_listen(cases[i].listen, &host, &port);
        assert_int_equal(rc, cases[i].host ? 0 : -1);
        if (rc)
            continue;
        assert_true(gw_str_is(host, cases[i].host));
        assert_int_equal(port, cases[i].port);
    }
}

/* ---- files ---- */
static char *write_file(const char *dir, const char *name, const char *text, size_t len)
{
    char *path = NULL;
    assert_true(asprintf(&path, "%s/%s", dir, name) > 0);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, len, out), len);
    fclose(out);
    return path;
}

static void file_names_are_relative_to_the_file(void **state)
{
    (void)state;
    char dir[] = "/tmp/sluice-config-XXXXXX", want[128], cwd[4096], env0[] = "SLUICE_HTTP_STATIC_DIR=www";
    char *const env[] = {env0, NULL};
    assert_non_null(mkdtemp(dir));
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    static const char text[] = "tls: {cert: ./t/c.pem, key: /abs/k.pem}\n"
                               "auth: {issuers: [{algorithms: HS256, key: k}]}\n";
    char *path = write_file(dir, "c.yaml", text, sizeof(text) - 1);
    struct gw_config_source src = {.file = path, .env = env};
    struct gw_err err = {.set = false};
    struct gw_config *c = gw_config_load(&src, &err);
    assert_non_null(c);
    assert_string_equal(c->source, path);
    snprintf(want, sizeof(want), "%s/t/c.pem", dir);
    assert_string_equal(c->tls_cert, want);
    assert_string_equal(c->tls_key, "/abs/k.pem");
    snprintf(want, sizeof(want), "%s/k", dir);
    assert_string_equal(c->issuers[0].key, want);
    size_t n = strlen(cwd);
    assert_memory_equal(c->http_static_dir, cwd, n);
    assert_string_equal(c->http_static_dir + n, "/www");
    gw_config_free(c);
    unlink(path);
    rmdir(dir);
    free(path);
}

static void unreadable_files(void **state)
{
    (void)state;
    char dir[] = "/tmp/sluice-config-XXXXXX", want[128];
    assert_non_null(mkdtemp(dir));
    struct gw_config_source src = {.file = dir};
    struct gw_err err = {.set = false};
    assert_null(gw_config_load(&src, &err));
    snprintf(want, sizeof(want), "%s: cannot be read: Is a directory", dir);
    assert_string_equal(err.text, want);

    size_t len = (4u << 20) + 1;
    char *big = malloc(len);
    assert_non_null(big);
    memset(big, '#', len);
    char *path = write_file(dir, "big.yaml", big, len);
    src.file = path;
    err.set = false;
    assert_null(gw_config_load(&src, &err));
    snprintf(want, sizeof(want), "%s: longer than 4194304 bytes", path);
    assert_string_equal(err.text, want);
    unlink(path);
    err.set = false;
    assert_null(gw_config_load(&src, &err));
    snprintf(want, sizeof(want), "%s: cannot be opened: No such file or directory", path);
    assert_string_equal(err.text, want);
    free(path);
    free(big);
    rmdir(dir);
}

static void aliases_are_bounded(void **state)
{
    (void)state;
    struct gw_config *c = must_load("rooms:\n- pattern: a\n  join: &mine {claim: x, equals: y}\n- {pattern: b, join: *mine}\n");
    assert_string_equal(c->rooms[1].join.v[0].claim, "x");
    gw_config_free(c);

    char bomb[1024];
    size_t n = (size_t)snprintf(bomb, sizeof(bomb), "rooms:\n- &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 9; i++)
        n += (size_t)snprintf(bomb + n, sizeof(bomb) - n, "- &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i,
                              i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    struct gw_err err;
    assert_null(load(bomb, true, NULL, &err));
    assert_string_equal(err.text, B "2: more than 100000 nodes, aliases expanded");
}

static void long_texts_are_refused(void **state)
{
    (void)state;
    char text[5000];
    struct gw_err err;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    memcpy(text, "kafka: {client_id: '", 20);
    memcpy(text + sizeof(text) - 3, "'}", 2);
    assert_null(load(text, true, NULL, &err));
    assert_string_equal(err.text, B "1: kafka.client_id: longer than 4096 bytes");
    memcpy(text, "kafka: {xxxxxxxxxx: '", 21);
    assert_null(load(text, true, NULL, &err));
    assert_non_null(strstr(err.text, "kafka.xxxxxxxxxx: unknown key; expected one of: enabled, "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(env_that_is_none_of_ours),
        cmocka_unit_test(kafka_names),
        cmocka_unit_test(later_beats_earlier),
        cmocka_unit_test(flags_are_known),
        cmocka_unit_test(defaults),
        cmocka_unit_test(empty_sections_are_fine),
        cmocka_unit_test(rooms),
        cmocka_unit_test(routes),
        cmocka_unit_test(actions),
        cmocka_unit_test(origins_as_browsers_send_them),
        cmocka_unit_test(split_listen),
        cmocka_unit_test(file_names_are_relative_to_the_file),
        cmocka_unit_test(unreadable_files),
        cmocka_unit_test(aliases_are_bounded),
        cmocka_unit_test(long_texts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
