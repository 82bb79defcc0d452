/* Messages to clients: each is read back, field by field, and has no others. Close reasons and error codes. */
#include "gw/wire.h"

#include "gw/json.h"

#include "unit_kit.h"

/* Whether the object has exactly these members: "name=raw name=raw"; spaces in values do not come up here. */
static void expect_members(struct gw_buf *b, const char *want)
{
    struct gw_buf got = {0};
    struct gw_err err = {0};
    struct gw_json_opts opts = {.unique_keys = true};
    struct gw_json_val v;
    struct gw_str key;
    bool escaped;
    if (gw_json_scan(gw_buf_str(b), &opts, NULL, NULL, &err) != 0)
        fail_msg("%s: %s", gw_buf_c(b), err.text);
    assert_null(memchr(b->data, '\n', b->len)); /* messages are split at line feeds */
    for (size_t pos = 0; gw_json_next(gw_buf_str(b), &pos, &key, &escaped, &v);) {
        if (got.len)
            gw_buf_add_char(&got, ' ');
        gw_buf_add_str(&got, key);
        gw_buf_add_char(&got, '=');
        gw_buf_add_str(&got, v.raw);
    }
    assert_string_equal(gw_buf_c(&got), want);
    gw_buf_fini(&got);
    gw_buf_clear(b);
}

#define NO_ID ((struct gw_str){0})

static void test_welcome(void **state)
{
    (void)state;
    struct gw_buf b = {0};
    struct gw_str rooms[] = {GW_STR("user:u1"), GW_STR("a\"b")};
    struct gw_wire_welcome w = {.id = GW_STR("\"x-1\""), .connection = GW_STR("c-1"), .user = GW_STR("u\\1"), .rooms = rooms, .nrooms = 2,
                                .expires_ms = 1732180000999, .heartbeat_s = 25, .message_bytes = 65536, .rooms_max = 100, .in_flight = 64};
    gw_wire_put_welcome(&b, &w);
    expect_members(&b, "type=\"welcome\" id=\"x-1\" connection=\"c-1\" user=\"u\\\\1\" rooms=[\"user:u1\",\"a\\\"b\"] expires=1732180000 heartbeat=25 "
                       "limits={\"messageBytes\":65536,\"rooms\":100,\"inFlight\":64}");
    gw_wire_put_renewed(&b, &w);
    expect_members(&b, "type=\"renewed\" id=\"x-1\" user=\"u\\\\1\" rooms=[\"user:u1\",\"a\\\"b\"] expires=1732180000");
    w.id = NO_ID;
    w.nrooms = 0;
    w.expires_ms = INT64_MAX; /* a token without an end: there is none, but the message can say so */
    gw_wire_put_welcome(&b, &w);
    expect_members(&b, "type=\"welcome\" connection=\"c-1\" user=\"u\\\\1\" rooms=[] heartbeat=25 "
                       "limits={\"messageBytes\":65536,\"rooms\":100,\"inFlight\":64}");
    gw_buf_fini(&b);
}

static void test_answers(void **state)
{
    (void)state;
    struct gw_buf b = {0};
    gw_wire_put_room(&b, "joined", GW_STR("2"), GW_STR("session:42"), NULL);
    expect_members(&b, "type=\"joined\" id=2 room=\"session:42\"");
    gw_wire_put_room(&b, "left", NO_ID, GW_STR("a\nb"), "no longer allowed");
    expect_members(&b, "type=\"left\" room=\"a\\nb\" reason=\"no longer allowed\"");
    gw_wire_put_ack(&b, GW_STR("-4"), GW_STR("session-actions"), 3, INT64_MAX, GW_STR("e\"1"));
    expect_members(&b, "type=\"ack\" id=-4 topic=\"session-actions\" partition=3 offset=9223372036854775807 eventId=\"e\\\"1\"");
    gw_wire_put_pong(&b, GW_STR("\"p\""));
    expect_members(&b, "type=\"pong\" id=\"p\"");
    gw_wire_put_pong(&b, NO_ID);
    expect_members(&b, "type=\"pong\"");
    gw_wire_put_number(&b, "expiring", "seconds", 60);
    expect_members(&b, "type=\"expiring\" seconds=60");
    gw_wire_put_number(&b, "reconnect", "after", -1);
    expect_members(&b, "type=\"reconnect\" after=-1");
    gw_wire_put_status(&b, "down");
    expect_members(&b, "type=\"status\" kafka=\"down\"");
    gw_buf_fini(&b);
}

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        bool retry;
    } rows[] = {
#define GW_ERROR(id, code, retry, help) {code, retry},
#include "gw/tbl/errors.def"
#undef GW_ERROR
    };
    struct gw_buf b = {0};
    assert_int_equal(ROWS(rows), GW_ERROR_COUNT);
    for (size_t i = 0; i < ROWS(rows); i++) {
        char want[200];
        assert_string_equal(gw_error_name((enum gw_error_code)i), rows[i].code);
        assert_int_equal(gw_error_retry((enum gw_error_code)i), rows[i].retry);
        gw_wire_put_error(&b, GW_STR("7"), (enum gw_error_code)i, "bad\"thing");
        snprintf(want, sizeof(want), "type=\"error\" id=7 code=\"%s\" message=\"bad\\\"thing\" retry=%s", rows[i].code,
                 rows[i].retry ? "true" : "false");
        expect_members(&b, want);
    }
    gw_wire_put_error(&b, NO_ID, GW_ERROR_RATE_LIMITED, "\xFF");
    expect_members(&b, "type=\"error\" code=\"rate_limited\" message=\"\xEF\xBF\xBD\" retry=true");
    assert_string_equal(gw_error_name(GW_ERROR_NOT_MEMBER), "not_member");
    gw_buf_fini(&b);
}

/* A verdict in the number: 4000-4499 come back, 4500-4999 do not; and RFC 6455 section 5.5.1 has room for 123 bytes. */
static void test_close_codes(void **state)
{
    (void)state;
    static const struct {
        int code, back;
        const char *reason;
    } rows[] = {
#define GW_CLOSE(id, code, back, reason, help) {code, back, reason},
#include "gw/tbl/close.def"
#undef GW_CLOSE
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_string_equal(gw_close_reason((enum gw_close_code)rows[i].code), rows[i].reason);
        assert_in_range(strlen(rows[i].reason), 1, 123);
        if (rows[i].code >= 4000)
            assert_int_equal(rows[i].back, rows[i].code < 4500);
    }
    assert_string_equal(gw_close_reason((enum gw_close_code)4999), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_welcome),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_close_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
