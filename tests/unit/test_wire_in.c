/* Messages of clients: every message with its fields, every fault with its code and text. */
#include "gw/wire.h"

#include "gw/json.h"

#include "unit_kit.h"

#define DEPTH 8

static const struct {
    const char *text;
    enum gw_verb verb;
    const char *id, *token, *room, *name, *key, *data; /* NULL: absent */
} good[] = {
    {"{\"type\":\"auth\",\"id\":1,\"token\":\"a.b.c\"}", GW_VERB_AUTH, "1", "a.b.c", NULL, NULL, NULL, NULL},
    {"{\"type\":\"auth\",\"token\":\"t\"}", GW_VERB_AUTH, NULL, "t", NULL, NULL, NULL, NULL},
    {"{\"type\":\"join\",\"id\":2,\"room\":\"session:42\"}", GW_VERB_JOIN, "2", NULL, "session:42", NULL, NULL, NULL},
    {"{\"room\":\"session:42\",\"type\":\"join\"}", GW_VERB_JOIN, NULL, NULL, "session:42", NULL, NULL, NULL},
    {"{\"type\":\"leave\",\"id\":\"x\",\"room\":\"a\"}", GW_VERB_LEAVE, "\"x\"", NULL, "a", NULL, NULL, NULL},
    {"{\"type\":\"action\",\"id\":4,\"name\":\"session.chat\",\"room\":\"session:42\",\"data\":{\"message\":\"hi\"},\"key\":\"k-1\"}", GW_VERB_ACTION,
     "4", NULL, "session:42", "session.chat", "k-1", "{\"message\":\"hi\"}"},
    {"{\"type\":\"action\",\"name\":\"n\"}", GW_VERB_ACTION, NULL, NULL, NULL, "n", NULL, NULL},
    {"{\"type\":\"action\",\"name\":\"n\",\"data\":null}", GW_VERB_ACTION, NULL, NULL, NULL, "n", NULL, "null"},
    {"{\"type\":\"action\",\"name\":\"n\",\"data\": [ 1.50 , 2 ] }", GW_VERB_ACTION, NULL, NULL, NULL, "n", NULL, "[ 1.50 , 2 ]"},
    {"{\"type\":\"ping\",\"id\":7}", GW_VERB_PING, "7", NULL, NULL, NULL, NULL, NULL},
    {"{\"type\":\"ping\"}", GW_VERB_PING, NULL, NULL, NULL, NULL, NULL, NULL},
    {" \t\r\n{ \"id\" : -9007199254740993 , \"type\" : \"ping\" }\r\n", GW_VERB_PING, "-9007199254740993", NULL, NULL, NULL, NULL, NULL},
    {"{\"type\":\"\\u0070ing\",\"id\":\"\\u0041\\\"\"}", GW_VERB_PING, "\"\\u0041\\\"\"", NULL, NULL, NULL, NULL, NULL},
    {"{\"type\":\"join\",\"room\":\"a\\u00e9\\/\\ud83d\\ude00\"}", GW_VERB_JOIN, NULL, NULL, "a\xC3\xA9/\xF0\x9F\x98\x80", NULL, NULL, NULL},
    {"{\"type\":\"ping\",\"id\":\"\"}", GW_VERB_PING, "\"\"", NULL, NULL, NULL, NULL, NULL},
    {"{\"type\":\"ping\",\"id\":9223372036854775807}", GW_VERB_PING, "9223372036854775807", NULL, NULL, NULL, NULL, NULL},
    {"{\"type\":\"action\",\"name\":\"n\",\"data\":[[[[[[[]]]]]]]}", GW_VERB_ACTION, NULL, NULL, NULL, "n", NULL, "[[[[[[[]]]]]]]"},
};

static void test_good(void **state)
{
    (void)state;
    struct gw_wire *w = gw_wire_new(DEPTH);
    for (size_t i = 0; i < ROWS(good); i++) {
        struct gw_message m;
        enum gw_error_code code;
        struct gw_err err = {0};
        if (gw_wire_parse(w, gw_str_of(good[i].text), &m, &code, &err) != 0)
            fail_msg("%s: %s", good[i].text, err.text);
        assert_int_equal(m.verb, good[i].verb);
        expect_str(good[i].text, m.id, good[i].id);
        expect_str(good[i].text, m.token, good[i].token);
        expect_str(good[i].text, m.room, good[i].room);
        expect_str(good[i].text, m.name, good[i].name);
        expect_str(good[i].text, m.key, good[i].key);
        expect_str(good[i].text, m.data, good[i].data);
    }
    gw_wire_free(w);
    gw_wire_free(NULL);
}

#define S64 "0123456789012345678901234567890123456789012345678901234567890123"
#define BAD_ID "id: expected an integer or a string of at most 64 bytes"
#define NO_TYPE "type: expected a string such as \"join\""
#define TYPES "no message has this type; known: auth, join, leave, action, ping"

static const struct {
    const char *text;
    enum gw_error_code code;
    const char *message;
    const char *id;
} faults[] = {
    /* no JSON object */
    {"", GW_ERROR_BAD_MESSAGE, "byte 0: expected a value", NULL},
    {"   ", GW_ERROR_BAD_MESSAGE, "byte 3: expected a value", NULL},
    {"hello", GW_ERROR_BAD_MESSAGE, "byte 0: expected a value", NULL},
    {"[]", GW_ERROR_BAD_MESSAGE, "expected a JSON object", NULL},
    {" \"{\"", GW_ERROR_BAD_MESSAGE, "expected a JSON object", NULL},
    {"null", GW_ERROR_BAD_MESSAGE, "expected a JSON object", NULL},
    {"{\"type\":\"ping\",\"id\":1", GW_ERROR_BAD_MESSAGE, "byte 21: expected ',' or '}'", NULL},
    {"{\"type\":\"ping\"} {}", GW_ERROR_BAD_MESSAGE, "byte 16: expected the end of the text", NULL},
    {"{'type':'ping'}", GW_ERROR_BAD_MESSAGE, "byte 1: expected a key", NULL},
    {"{\"type\":\"ping\",}", GW_ERROR_BAD_MESSAGE, "byte 15: expected a key", NULL},
    {"{\"type\":\"p\xFFing\"}", GW_ERROR_BAD_MESSAGE, "byte 10: invalid UTF-8", NULL},
    {"{\"type\":\"ping\",\"type\":\"join\"}", GW_ERROR_BAD_MESSAGE, "byte 15: the object has this key twice", NULL},
    {"{\"type\":\"ping\",\"\\u0074ype\":\"join\"}", GW_ERROR_BAD_MESSAGE, "byte 15: the object has this key twice", NULL},
    {"{\"type\":\"action\",\"name\":\"n\",\"data\":{\"deep\":1,\"deep\":2}}", GW_ERROR_BAD_MESSAGE, "byte 45: the object has this key twice", NULL},
    /* nesting */
    {"{\"type\":\"action\",\"name\":\"n\",\"data\":[[[[[[[[]]]]]]]]}", GW_ERROR_TOO_DEEP, "byte 42: nested too deeply", NULL},
    /* id */
    {"{\"type\":\"ping\",\"id\":1.5}", GW_ERROR_BAD_FIELD, BAD_ID, NULL},
    {"{\"type\":\"ping\",\"id\":1e3}", GW_ERROR_BAD_FIELD, BAD_ID, NULL},
    {"{\"type\":\"ping\",\"id\":9223372036854775808}", GW_ERROR_BAD_FIELD, BAD_ID, NULL},
    {"{\"type\":\"ping\",\"id\":null}", GW_ERROR_BAD_FIELD, BAD_ID, NULL},
    {"{\"type\":\"ping\",\"id\":{}}", GW_ERROR_BAD_FIELD, BAD_ID, NULL},
    {"{\"type\":\"ping\",\"id\":\"" S64 "x\"}", GW_ERROR_BAD_FIELD, BAD_ID, NULL},
    {"{\"id\":[1],\"type\":17}", GW_ERROR_BAD_FIELD, BAD_ID, NULL},
    /* type */
    {"{}", GW_ERROR_BAD_FIELD, NO_TYPE, NULL},
    {"{\"id\":3}", GW_ERROR_BAD_FIELD, NO_TYPE, "3"},
    {"{\"type\":7}", GW_ERROR_BAD_FIELD, NO_TYPE, NULL},
    {"{\"type\":\"\"}", GW_ERROR_BAD_FIELD, NO_TYPE, NULL},
    {"{\"type\":\"ping\\u0000\"}", GW_ERROR_BAD_FIELD, NO_TYPE, NULL},
    {"{\"\\u0074ype\":\"ping\"}", GW_ERROR_BAD_FIELD, NO_TYPE, NULL},
    {"{\"Type\":\"ping\"}", GW_ERROR_BAD_FIELD, NO_TYPE, NULL},
    {"{\"type\":\"Ping\",\"id\":4}", GW_ERROR_UNKNOWN_TYPE, TYPES, "4"},
    {"{\"type\":\"resume\",\"id\":\"a\"}", GW_ERROR_UNKNOWN_TYPE, TYPES, "\"a\""},
    {"{\"type\":\"pin\"}", GW_ERROR_UNKNOWN_TYPE, TYPES, NULL},
    /* fields that are missing */
    {"{\"type\":\"auth\",\"id\":5}", GW_ERROR_BAD_FIELD, "token: is missing", "5"},
    {"{\"type\":\"join\",\"id\":5}", GW_ERROR_BAD_FIELD, "room: is missing", "5"},
    {"{\"type\":\"leave\"}", GW_ERROR_BAD_FIELD, "room: is missing", NULL},
    {"{\"type\":\"action\",\"room\":\"r\",\"data\":{}}", GW_ERROR_BAD_FIELD, "name: is missing", NULL},
    /* fields that do not belong there */
    {"{\"type\":\"ping\",\"id\":6,\"room\":\"r\"}", GW_ERROR_BAD_FIELD, "room: no such field in ping", "6"},
    {"{\"type\":\"join\",\"room\":\"r\",\"data\":{}}", GW_ERROR_BAD_FIELD, "data: no such field in join", NULL},
    {"{\"type\":\"auth\",\"token\":\"t\",\"name\":\"n\"}", GW_ERROR_BAD_FIELD, "name: no such field in auth", NULL},
    {"{\"type\":\"leave\",\"room\":\"r\",\"key\":\"k\"}", GW_ERROR_BAD_FIELD, "key: no such field in leave", NULL},
    {"{\"type\":\"action\",\"name\":\"n\",\"token\":\"t\"}", GW_ERROR_BAD_FIELD, "token: no such field in action", NULL},
    {"{\"type\":\"join\",\"\\u0072oom\":\"r\"}", GW_ERROR_BAD_FIELD, "\\u0072oom: no such field in join", NULL},
    {"{\"type\":\"ping\",\"" S64 S64 "\":1}", GW_ERROR_BAD_FIELD, S64 ": no such field in ping", NULL},
    {"{\"type\":\"ping\",\"\":1}", GW_ERROR_BAD_FIELD, ": no such field in ping", NULL},
    /* fields of the wrong kind */
    {"{\"type\":\"auth\",\"token\":1}", GW_ERROR_BAD_FIELD, "token: expected a string that is not empty", NULL},
    {"{\"type\":\"auth\",\"token\":\"\"}", GW_ERROR_BAD_FIELD, "token: expected a string that is not empty", NULL},
    {"{\"type\":\"join\",\"room\":[\"r\"]}", GW_ERROR_BAD_FIELD, "room: expected a string that is not empty", NULL},
    {"{\"type\":\"join\",\"room\":null}", GW_ERROR_BAD_FIELD, "room: expected a string that is not empty", NULL},
    {"{\"type\":\"join\",\"room\":\"a\\u0000b\"}", GW_ERROR_BAD_FIELD, "room: expected a string that is not empty", NULL},
    {"{\"type\":\"action\",\"name\":true}", GW_ERROR_BAD_FIELD, "name: expected a string that is not empty", NULL},
    {"{\"type\":\"action\",\"name\":\"n\",\"key\":7}", GW_ERROR_BAD_FIELD, "key: expected a string that is not empty", NULL},
    /* fields that are too long */
    {"{\"type\":\"join\",\"room\":\"" S64 S64 S64 S64 "x\"}", GW_ERROR_BAD_FIELD, "room: longer than 256 bytes", NULL},
    {"{\"type\":\"action\",\"name\":\"" S64 S64 "x\"}", GW_ERROR_BAD_FIELD, "name: longer than 128 bytes", NULL},
    {"{\"type\":\"action\",\"name\":\"n\",\"key\":\"" S64 S64 "x\"}", GW_ERROR_BAD_FIELD, "key: longer than 128 bytes", NULL},
};

static void test_faults(void **state)
{
    (void)state;
    struct gw_wire *w = gw_wire_new(DEPTH);
    for (size_t i = 0; i < ROWS(faults); i++) {
        struct gw_message m;
        enum gw_error_code code = GW_ERROR_COUNT;
        struct gw_err err = {0};
        if (gw_wire_parse(w, gw_str_of(faults[i].text), &m, &code, &err) == 0)
            fail_msg("%s: was accepted", faults[i].text);
        if (code != faults[i].code || strcmp(err.text, faults[i].message) != 0)
            fail_msg("%s:\n  got  %s: %s\n  want %s: %s", faults[i].text, code < GW_ERROR_COUNT ? gw_error_name(code) : "no code", err.text,
                     gw_error_name(faults[i].code), faults[i].message);
        expect_str(faults[i].text, m.id, faults[i].id);
    }
    gw_wire_free(w);
}

/* What just fits does. */
static void test_longest(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"type\":\"ping\",\"id\":\"" S64 "\"}",
        "{\"type\":\"join\",\"room\":\"" S64 S64 S64 S64 "\"}",
        "{\"type\":\"action\",\"name\":\"" S64 S64 "\",\"key\":\"" S64 S64 "\"}",
        "{\"type\":\"auth\",\"token\":\"" S64 S64 S64 S64 S64 S64 "\"}", /* the message's own limit holds */
    };
    struct gw_wire *w = gw_wire_new(DEPTH);
    for (size_t i = 0; i < ROWS(texts); i++) {
        struct gw_message m;
        enum gw_error_code code;
        struct gw_err err = {0};
        if (gw_wire_parse(w, gw_str_of(texts[i]), &m, &code, &err) != 0)
            fail_msg("%s: %s", texts[i], err.text);
    }
    gw_wire_free(w);
}

/* The parser's memory is used again; nothing of the message before shows. */
static void test_next_message(void **state)
{
    (void)state;
    struct gw_wire *w = gw_wire_new(DEPTH);
    struct gw_message m;
    enum gw_error_code code;
    gw_wire_parse(w, GW_STR("{\"type\":\"action\",\"id\":1,\"name\":\"n\",\"room\":\"r\",\"key\":\"k\",\"data\":{}}"), &m, &code, NULL);
    assert_int_equal(gw_wire_parse(w, GW_STR("{\"type\":\"action\",\"name\":\"other\"}"), &m, &code, NULL), 0);
    expect_str("name", m.name, "other");
    expect_str("id", m.id, NULL);
    expect_str("room", m.room, NULL);
    expect_str("key", m.key, NULL);
    expect_str("data", m.data, NULL);
    assert_int_equal(gw_wire_parse(w, GW_STR("{\"type\":\"join\",\"id\":2}"), &m, &code, NULL), -1);
    expect_str("room", m.room, NULL);
    gw_wire_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_next_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
