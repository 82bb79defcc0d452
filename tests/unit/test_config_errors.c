/* What is wrong with a configuration, to the letter: people read these. */
#include "config_load.h"

#include <stdlib.h>
#include <string.h>

struct bad {
    const char *yaml;
    const char *error;
};

static void expect_errors(const struct bad *cases, size_t n, bool dev)
{
    for (size_t i = 0; i < n; i++) {
        struct gw_err err;
        struct gw_config *c = load(cases[i].yaml, dev, NULL, &err);
        if (c)
            fail_msg("loaded: %s", cases[i].yaml);
        assert_string_equal(err.text, cases[i].error);
    }
}
#define EXPECT_ERRORS(cases, dev) expect_errors(cases, sizeof(cases) / sizeof((cases)[0]), dev)

#define B "(built in):"
#define ROUTE "topics, event, rooms, require, when"
#define RULES "any, none, a rule or a list of rules"

static void yaml_errors(void **state)
{
    (void)state;
    static const struct bad cases[] = {
        {"kafka:\n  brokers: a\n bad: x\n", B "3:2: did not find expected key while parsing a block mapping"},
        {"kafka:\n\tbrokers: a\n", B "2:1: found character that cannot start any token while scanning for the next token; "
                                     "YAML is indented with spaces, never with tabs"},
        {"listen: \"abc", B "1:13: found unexpected end of stream while scanning a quoted scalar"},
        {"listen: *x\n", B "1: *x: no such anchor before it"},
        {"listen: a\xff\n", B "1:10: invalid leading UTF-8 octet"},
        {"listen: a\x01\n", B "1:10: control characters are not allowed"},
        {"listen: 'a:1'\nloops: 1\nlisten: 'b:1'\n", B "3: listen: double key; it was given in line 1 already"},
        {"kafka: {ssl: true, ssl: false}\n", B "1: ssl: double key; it was given in line 1 already"},
        {"? [a]\n: b\n", B "1: a key must be text"},
        {"listen: \"a\\0:1\"\n", B "1: a NUL character is not allowed"},
        {"loops: !mine 1\n", B "1: tags (!...) are not used here"},
        {"loops: 1\n---\nloops: 2\n", B "2: a second document; expected one"},
        {"- a\n", B "1: is a list; expected a map of options"},
        {"listen\n", B "1: is a text; expected a map of options"},
        {"rooms: &a [*a]\n", B "1: *a: no such anchor before it"},
        {"rooms: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n", B "1: nested more than 64 deep"},
    };
    EXPECT_ERRORS(cases, true);
}

static void scalar_errors(void **state)
{
    (void)state;
    static const struct bad cases[] = {
        {"lisetn: ':1'\n", B "1: lisetn: unknown key; did you mean listen? Expected one of: listen, loops, tls, http, log, "
                             "kafka, auth, limits, ws, producer, drain, origins, proxies, rooms, routes, actions"},
        {"tls:\n  cret: x\n", B "2: tls.cret: unknown key; did you mean cert? Expected one of: cert, key"},
        {"tls: {whatever: x}\n", B "1: tls.whatever: unknown key; expected one of: cert, key"},
        {"listen.x: 1\n", B "1: listen.x: unknown key; did you mean listen? Expected one of: listen, loops, tls, http, log, "
                            "kafka, auth, limits, ws, producer, drain, origins, proxies, rooms, routes, actions"},
        {"log: {level: loud}\n", B "1: log.level: \"loud\": expected one of: debug, info, warn, error"},
        {"log: {level: INFO}\n", B "1: log.level: \"INFO\": expected one of: debug, info, warn, error"},
        {"log: debug\n", B "1: log: is a text; expected a map of options"},
        {"log:\n  level: [info]\n", B "2: log.level: is a list; expected debug, info, warn, error"},
        {"loops: -1\n", B "1: loops: \"-1\": expected an integer from 0 to 64"},
        {"loops: 65\n", B "1: loops: \"65\": expected an integer from 0 to 64"},
        {"loops: 0x10\n", B "1: loops: \"0x10\": expected an integer from 0 to 64"},
        {"loops: 1.0\n", B "1: loops: \"1.0\": expected an integer from 0 to 64"},
        {"loops: ' 1'\n", B "1: loops: \" 1\": expected an integer from 0 to 64"},
        {"loops: 99999999999999999999999\n",
         B "1: loops: \"99999999999999999999999\": expected an integer from 0 to 64"},
        {"loops:\n", B "1: loops: is empty; expected 0 to 64"},
        {"loops: {a: 1}\n", B "1: loops: is a map; expected 0 to 64"},
        {"kafka:\n  ssl: yes\n", B "2: kafka.ssl: \"yes\": expected true or false"},
        {"kafka:\n  ssl: 1\n", B "2: kafka.ssl: \"1\": expected true or false"},
        {"kafka: {brokers: ~}\n", B "1: kafka.brokers: is empty; expected text"},
        {"kafka: {properties: [a]}\n",
         B "1: kafka.properties: is a list; expected a map of librdkafka's properties"},
        {"kafka:\n  properties:\n    a.b: [x]\n", B "3: kafka.properties.a.b: is a list; expected a text or number"},
        {"kafka:\n  properties: {\"a\\tb\": x}\n",
         B "2: kafka.properties.a?b: a key must have 1 to 256 bytes and no control characters"},
    };
    EXPECT_ERRORS(cases, true);
}

static void check_errors(void **state)
{
    (void)state;
    static const struct bad cases[] = {
        {"listen: localhost\n", B "1: listen: \"localhost\": expected host:port, such as 0.0.0.0:8080 or [::]:8080"},
        {"listen: a:70000\n", B "1: listen: \"a:70000\": expected host:port, such as 0.0.0.0:8080 or [::]:8080"},
        {"listen: '::1:80'\n", B "1: listen: \"::1:80\": expected host:port, such as 0.0.0.0:8080 or [::]:8080"},
        {"listen: '[nope]:80'\n", B "1: listen: \"[nope]:80\": expected host:port, such as 0.0.0.0:8080 or [::]:8080"},
        {"tls:\n  cert: a.pem\n", B "2: tls.cert: tls.key is missing; expected both or none"},
        {"tls:\n  key: a.pem\n", B "2: tls.key: tls.cert is missing; expected both or none"},
        {"kafka: {brokers: ''}\n", B "1: kafka.brokers: is empty; expected host:port, or kafka.enabled: false"},
        {"kafka: {username: u}\n", B "1: kafka.username: kafka.password is missing; expected both or none"},
        {"kafka: {password: p}\n", B "1: kafka.password: kafka.username is missing; expected both or none"},
        {"kafka: {sasl_mechanism: GSSAPI}\n",
         B "1: kafka.sasl_mechanism: expected PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"},
        {"kafka: {dlt_suffix: ''}\n", B "1: kafka.dlt_suffix: expected letters, digits, dots, dashes and underscores; dead "
                                        "letters must not come back"},
        {"auth: {cookie: 'a b'}\n", B "1: auth.cookie: expected a cookie's name"},
        {"auth: {query: 'a&b'}\n", B "1: auth.query: expected a query parameter's name: letters, digits, - . _ ~"},
        {"origins: https://a.example/\n",
         B "1: origins: \"https://a.example/\": expected self, * or scheme://host[:port] without a path"},
        {"origins: [self, a.example]\n",
         B "1: origins[1]: \"a.example\": expected self, * or scheme://host[:port] without a path"},
        {"origins: ['https://*.example']\n",
         B "1: origins[0]: \"https://*.example\": expected self, * or scheme://host[:port] without a path"},
        {"origins: {a: b}\n", B "1: origins: is a map; expected a text or a list of texts"},
        {"proxies: [10.0.0.0/33]\n", B "1: proxies[0]: \"10.0.0.0/33\": expected an address or a network such as 10.0.0.0/8"},
        {"proxies: lb.example\n", B "1: proxies: \"lb.example\": expected an address or a network such as 10.0.0.0/8"},
    };
    EXPECT_ERRORS(cases, true);
}

static void issuer_errors(void **state)
{
    (void)state;
    static const struct bad cases[] = {
        {"", "(built in): auth.issuers: missing; at least one issuer is needed; for a first try: sluice --dev"},
        {"auth:\n  issuers:\n", "(built in): auth.issuers: missing; at least one issuer is needed; for a first try: sluice --dev"},
        {"auth:\n  issuers: x\n", B "2: auth.issuers: is a text; expected a list of issuers"},
        {"auth:\n  issuers:\n  - x\n", B "3: auth.issuers[0]: is a text; expected a map"},
        {"auth:\n  issuers:\n  - {key: k}\n",
         B "3: auth.issuers[0]: algorithms is missing; expected a list such as [RS256, ES256]"},
        {"auth:\n  issuers:\n  - {algorithms: [], key: k}\n",
         B "3: auth.issuers[0].algorithms: is empty; expected a text or a list of texts"},
        {"auth:\n  issuers:\n  - {algorithms: [none], key: k}\n",
         B "3: auth.issuers[0].algorithms[0]: \"none\": expected one of: HS256, HS384, HS512, RS256, RS384, RS512, ES256, "
           "ES384, ES512"},
        {"auth:\n  issuers:\n  - {algorithms: [HS256, RS256], key: k}\n",
         B "3: auth.issuers[0]: algorithms: HS* takes a secret, RS* and ES* a public key; expected one sort for one key"},
        {"auth:\n  issuers:\n  - {algorithms: RS256}\n",
         B "3: auth.issuers[0]: key is missing; expected key or jwks, each a file"},
        {"auth:\n  issuers:\n  - {algorithms: RS256, key: k, jwks: j}\n",
         B "3: auth.issuers[0]: expected key or jwks, not both"},
        {"auth:\n  issuers:\n  - {algorithms: RS256, jwks: 'https://id.example/jwks.json'}\n",
         B "3: auth.issuers[0].jwks: fetching \"https://id.example/jwks.json\" is not supported yet; save it to a file and "
           "name that"},
        {"auth:\n  issuers:\n  - {algorithms: RS256, jwks: j, kid: k}\n",
         B "3: auth.issuers[0]: kid goes with key; a JWK set has its own"},
        {"auth:\n  issuers:\n  - {algorithms: RS256, jwks: j, issuer: a}\n  - {algorithms: RS256, jwks: j}\n",
         B "4: auth.issuers[1]: issuer is missing; expected one in each where there are several"},
        {"auth:\n  issuers:\n  - algorithms: RS256\n    audiense: x\n",
         B "4: auth.issuers[0].audiense: unknown key; did you mean audience? Expected one of: issuer, audience, algorithms, "
           "key, jwks, kid, require"},
        {"auth:\n  issuers:\n  - algorithms: RS256\n    audience: [a, '']\n",
         B "4: auth.issuers[0].audience[1]: is empty; expected a text"},
    };
    EXPECT_ERRORS(cases, false);
}

static void room_errors(void **state)
{
    (void)state;
    static const struct bad cases[] = {
        {"rooms: {a: b}\n", B "1: rooms: is a map; expected a list of rooms"},
        {"rooms:\n- join: any\n", B "2: rooms[0]: pattern is missing; expected a text such as \"session:{id}\""},
        {"rooms:\n- {pattern: a, jion: any}\n",
         B "2: rooms[0].jion: unknown key; did you mean join? Expected one of: pattern, join, auto"},
        {"rooms:\n- pattern: {id}\n", B "2: rooms[0].pattern: is a map; expected a text"},
        {"rooms:\n- pattern: a\n- pattern: a\n",
         B "3: rooms[1].pattern: \"a\" was given already ((built in):2: rooms[0].pattern)"},
        {"rooms:\n- {pattern: a, join: some}\n", B "2: rooms[0].join: \"some\": expected " RULES},
        {"rooms:\n- {pattern: a, join: []}\n", B "2: rooms[0].join: is empty; expected " RULES},
        {"rooms:\n- pattern: a\n  join:\n", B "3: rooms[0].join: is empty; expected " RULES},
        {"rooms:\n- {pattern: a, join: [any, none]}\n",
         B "2: rooms[0].join[1]: expected any, {claim, equals}, {claim, contains} or {scope}"},
        {"rooms:\n- pattern: a\n  join: {claim: x}\n",
         B "3: rooms[0].join: expected claim with equals, claim with contains, or scope alone"},
        {"rooms:\n- pattern: a\n  join: {claim: x, equals: a, contains: b}\n",
         B "3: rooms[0].join: expected claim with equals, claim with contains, or scope alone"},
        {"rooms:\n- pattern: a\n  join: [{scope: s, claim: x, equals: a}]\n",
         B "3: rooms[0].join[0]: expected claim with equals, claim with contains, or scope alone"},
        {"rooms:\n- pattern: a\n  join: {claim: x, equal: a}\n",
         B "3: rooms[0].join.equal: unknown key; did you mean equals? Expected one of: claim, equals, contains, scope"},
        {"rooms:\n- {pattern: a, auto: 1}\n", B "2: rooms[0].auto: \"1\": expected true or false"},
        {"rooms:\n- {pattern: \"a:{id}\", join: any, auto: true}\n",
         B "2: rooms[0].pattern: auto: true needs a join rule with a claim, such as {claim: sub, equals: \"{id}\"}"},
    };
    EXPECT_ERRORS(cases, true);
}

static void route_errors(void **state)
{
    (void)state;
    static const struct bad cases[] = {
        {"routes:\n- {topcis: a, event: e, rooms: r}\n",
         B "2: routes[0].topcis: unknown key; did you mean topics? Expected one of: " ROUTE},
        {"routes:\n- {event: e, rooms: r}\n", B "2: routes[0]: topics is missing; expected topics' names or ^regexes"},
        {"routes:\n- {topics: t, rooms: r}\n",
         B "2: routes[0]: event is missing; expected a name such as session.starting or \"{value.type}\""},
        {"routes:\n- {topics: t, event: e}\n",
         B "2: routes[0]: rooms is missing; expected rooms such as \"session:{value.sessionId}\""},
        {"routes:\n- {topics: [], event: e, rooms: r}\n",
         B "2: routes[0].topics: is empty; expected a text or a list of texts"},
        {"routes:\n- {topics: [a, [b]], event: e, rooms: r}\n", B "2: routes[0].topics[1]: is a list; expected a text"},
        {"routes:\n- {topics: 'orders.*', event: e, rooms: r}\n",
         B "2: routes[0].topics: \"orders.*\": expected a topic's name, or a regular expression that starts with ^"},
        {"routes:\n- {topics: t, event: '', rooms: r}\n", B "2: routes[0].event: is empty; expected a text"},
        {"routes:\n- topics: t\n  event: e\n  rooms:\n  - r\n  - \n",
         B "6: routes[0].rooms[1]: is empty; expected a text"},
        {"routes:\n- {topics: t, event: e, rooms: r, when: [a]}\n",
         B "2: routes[0].when: is a list; expected a map of conditions, such as {value.type: chat}"},
        {"routes:\n- {topics: t, event: e, rooms: r, when: {value.a: {b: c}}}\n",
         B "2: routes[0].when.value.a: expected a text, a list of texts, or \"*\" for a field that is there"},
        {"routes:\n- {topics: t, event: e, rooms: r, when: {value.a: []}}\n",
         B "2: routes[0].when.value.a: expected a text, a list of texts, or \"*\" for a field that is there"},
        {"routes:\n- {topics: t, event: e, rooms: r, when: {value.a: [x, [y]]}}\n",
         B "2: routes[0].when.value.a[1]: is a list; expected a text"},
    };
    EXPECT_ERRORS(cases, true);
}

static void action_errors(void **state)
{
    (void)state;
    static const struct bad cases[] = {
        {"actions:\n- {topic: t}\n", B "2: actions[0]: name is missing; expected a name such as session.chat"},
        {"actions:\n- {name: n}\n", B "2: actions[0]: topic is missing; expected the topic to produce to"},
        {"actions:\n- {name: n, topic: t}\n- {name: n, topic: u}\n",
         B "3: actions[1]: name: \"n\" was given already ((built in):2: actions[0])"},
        {"actions:\n- {name: a b, topic: t}\n",
         B "2: actions[0]: name: \"a b\": expected up to 128 bytes without spaces"},
        {"actions:\n- {name: n, topic: ^t}\n", B "2: actions[0]: topic: \"^t\": expected a topic's name"},
        {"actions:\n- {name: n, topic: t, rate: fast}\n",
         B "2: actions[0].rate: \"fast\": expected a rate such as 10/s, 100/m or 5/10s, up to a day"},
        {"actions:\n- {name: n, topic: t, rate: 0/s}\n",
         B "2: actions[0].rate: \"0/s\": expected a rate such as 10/s, 100/m or 5/10s, up to a day"},
        {"actions:\n- {name: n, topic: t, rate: 1/25h}\n",
         B "2: actions[0].rate: \"1/25h\": expected a rate such as 10/s, 100/m or 5/10s, up to a day"},
        {"actions:\n- {name: n, topic: t, rate: 4294967297/s}\n",
         B "2: actions[0].rate: \"4294967297/s\": expected a rate such as 10/s, 100/m or 5/10s, up to a day"},
        {"actions:\n- {name: n, topic: t, fields: {a: text}}\n",
         B "2: actions[0].fields.a: \"text\": expected any, string, number, integer, boolean, object or array, with ? behind "
           "it where the field may be missing"},
        {"actions:\n- {name: n, topic: t, fields: [a]}\n",
         B "2: actions[0].fields: is a list; expected a map of fields, such as {message: string}"},
        {"actions:\n- {name: n, topic: t, headers: {h: ''}}\n", B "2: actions[0].headers.h: is empty; expected a text"},
        {"actions:\n- {name: n, topic: t, open: maybe}\n", B "2: actions[0].open: \"maybe\": expected true or false"},
        {"actions:\n- {name: n, topic: t, allow: nobody}\n", B "2: actions[0].allow: \"nobody\": expected " RULES},
    };
    EXPECT_ERRORS(cases, true);
}

static void env_errors(void **state)
{
    (void)state;
    static const struct {
        const char *entry, *error;
    } cases[] = {
        {"SLUICE_LIMITS_OUTBOX_BYTES=lots",
         "SLUICE_LIMITS_OUTBOX_BYTES: \"lots\": expected an integer from 4096 to 1073741824"},
        {"SLUICE_LOOPS=", "SLUICE_LOOPS: \"\": expected an integer from 0 to 64"},
        {"SLUICE_LISTNE=:1", "SLUICE_LISTNE: unknown variable; did you mean SLUICE_LISTEN?"},
        {"SLUICE_NONSENSE_AT_ALL=1", "SLUICE_NONSENSE_AT_ALL: unknown variable"},
        {"SLUICE_ROOMS=a", "SLUICE_ROOMS: unknown variable; did you mean SLUICE_LOOPS?"},
        {"SLUICE_KAFKA_SSL=maybe", "SLUICE_KAFKA_SSL: \"maybe\": expected true or false"},
        {"SLUICE_KAFKA_CLIENT_ID=\xff", "SLUICE_KAFKA_CLIENT_ID: not valid UTF-8"},
        {"SLUICE_ORIGINS=self,nope", "SLUICE_ORIGINS: \"nope\": expected self, * or scheme://host[:port] without a path"},
        {"SLUICE_LISTEN=x", "SLUICE_LISTEN: \"x\": expected host:port, such as 0.0.0.0:8080 or [::]:8080"},
        {"SLUICE_TLS_KEY=k", "SLUICE_TLS_KEY: tls.cert is missing; expected both or none"},
        {"KAFKA_CONNECTION_TIMEOUT=3", "KAFKA_CONNECTION_TIMEOUT: \"3\": expected an integer from 1000 to 300000"},
        {"KAFKA_SSL=2", "KAFKA_SSL: \"2\": expected true or false"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *entry = strdup(cases[i].entry);
        char *const env[] = {entry, NULL};
        struct gw_err err;
        assert_null(load("", true, env, &err));
        assert_string_equal(err.text, cases[i].error);
        free(entry);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml_errors),
        cmocka_unit_test(scalar_errors),
        cmocka_unit_test(check_errors),
        cmocka_unit_test(issuer_errors),
        cmocka_unit_test(room_errors),
        cmocka_unit_test(route_errors),
        cmocka_unit_test(action_errors),
        cmocka_unit_test(env_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
