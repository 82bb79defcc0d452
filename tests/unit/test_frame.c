/* Server frames, byte by byte: RFC 6455 sections 5.2 and 5.5. */
#include "frame.h"

#include "gw/json.h"

#include "unit_kit.h"

static const struct {
    size_t len;
    const char *header;
    size_t header_len;
} rows[] = {
    {0, "\x81\x00", 2},
    {1, "\x81\x01", 2},
    {125, "\x81\x7D", 2},
    {126, "\x81\x7E\x00\x7E", 4},
    {127, "\x81\x7E\x00\x7F", 4},
    {256, "\x81\x7E\x01\x00", 4},
    {65535, "\x81\x7E\xFF\xFF", 4},
    {65536, "\x81\x7F\x00\x00\x00\x00\x00\x01\x00\x00", 10},
    {1048576, "\x81\x7F\x00\x00\x00\x00\x00\x10\x00\x00", 10},
};

static void test_lengths(void **state)
{
    (void)state;
    char *payload = malloc(1048576);
    uint32_t seed = 1;
    for (size_t i = 0; i < 1048576; i++)
        payload[i] = (char)random_below(&seed, 256);
    for (size_t i = 0; i < 3 * ROWS(rows); i++) {
        size_t len = rows[i / 3].len, cut = i % 3 == 0 ? 0 : i % 3 == 1 ? len : len / 2, header = rows[i / 3].header_len;
        struct frame *f = frame_new(FRAME_TEXT, (struct gw_str){payload, cut}, (struct gw_str){payload + cut, len - cut});
        assert_int_equal(f->refs, 1);
        assert_int_equal(f->len, header + len);
        assert_memory_equal(f->bytes, rows[i / 3].header, header);
        assert_memory_equal(f->bytes + header, payload, len);
        frame_unref(f);
    }
    free(payload);
}

static void test_opcodes(void **state)
{
    (void)state;
    struct gw_buf b = {0};
    gw_buf_add_c(&b, "{}");
    struct frame *text = frame_text(&b), *ping = frame_new(FRAME_PING, (struct gw_str){0}, (struct gw_str){0});
    assert_memory_equal(text->bytes, "\x81\x02{}", 4);
    assert_int_equal(ping->bytes[0], 0x89);
    assert_in_range(ping->bytes[1], 1, 125); /* never empty: libwebsockets would not tell of the pong */
    assert_int_equal(ping->len, 2u + ping->bytes[1]);
    frame_unref(text);
    frame_unref(ping);
    gw_buf_clear(&b);
    text = frame_text(&b);
    assert_int_equal(text->len, 2);
    frame_unref(text);
    gw_buf_fini(&b);
}

static void test_references(void **state)
{
    (void)state;
    struct frame *f = frame_new(FRAME_TEXT, GW_STR("x"), GW_STR("y"));
    assert_ptr_equal(frame_ref(f), f);
    assert_int_equal(f->refs, 2);
    frame_unref(f);
    assert_int_equal(f->refs, 1);
    assert_memory_equal(f->bytes, "\x81\x02xy", 4);
    frame_unref(f);
}

static void expect_close(unsigned code, const char *reason, const char *want)
{
    struct frame *f = frame_close(code, reason);
    struct gw_str got = {(char *)f->bytes + 4, f->len - 4};
    assert_int_equal(f->bytes[0], 0x88);
    assert_int_equal(f->bytes[1], f->len - 2);
    assert_true(f->bytes[1] <= 125);
    assert_int_equal(f->bytes[2] << 8 | f->bytes[3], code);
    expect_str(reason, got, want);
    assert_true(gw_utf8_valid(got));
    frame_unref(f);
}

/* A control frame has room for 125 bytes, and a reason must be UTF-8 (section 5.5.1): browsers fail the connection otherwise
 * and never see the code. */
static void test_close(void **state)
{
    (void)state;
    char text[400], want[400];
    expect_close(1000, "", "");
    expect_close(4008, "too slow", "too slow");
    memset(text, 'x', sizeof(text));
    text[399] = '\0';
    expect_close(4999, text + 399 - 123, text + 399 - 123);
    memcpy(want, text, 123);
    want[123] = '\0';
    expect_close(4501, text, want);
    for (size_t at = 118; at < 126; at++) { /* a character on and around the edge */
        for (size_t k = 0; k < 3; k++) {
            static const char *const chars[] = {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
            size_t n = strlen(chars[k]);
            memset(text, 'x', 300);
            memcpy(text + at, chars[k], n);
            text[300] = '\0';
            size_t fits = at >= 123 ? 123 : at + n > 123 ? at : 123;
            memcpy(want, text, fits);
            want[fits] = '\0';
            expect_close(4501, text, want);
        }
    }
    expect_close(4501, "no key for kid \xFF and more", "no key for kid ");
    expect_close(4501, "cut \xE2\x82", "cut ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_opcodes),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
