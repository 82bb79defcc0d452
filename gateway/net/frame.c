/* Frames, encoded. Servers do not mask (RFC 6455 section 5.1). */
#include "frame.h"

#include "gw/json.h"

#include <stdlib.h>
#include <string.h>

#define REASON_BYTES_MAX 123 /* a control frame has 125, the code takes two */

static size_t put_header(unsigned char *at, enum frame_opcode opcode, size_t len)
{
    at[0] = (unsigned char)(0x80 | opcode);
    if (len < 126) {
        at[1] = (unsigned char)len;
        return 2;
    }
    size_t width = len < 65536 ? 2 : 8;
    at[1] = width == 2 ? 126 : 127;
    for (size_t i = 0; i < width; i++)
        at[2 + i] = (unsigned char)(len >> (8 * (width - 1 - i)));
    return 2 + width;
}

struct frame *frame_new(enum frame_opcode opcode, struct gw_str a, struct gw_str b)
{
    if (opcode == FRAME_PING && a.len + b.len == 0) /* libwebsockets tells nobody of a pong without a payload (ops-ws.c) */
        a = GW_STR(".");
    struct frame *f = malloc(sizeof(*f) + 10 + a.len + b.len);
    if (!f)
        abort();
    size_t n = put_header(f->bytes, opcode, a.len + b.len);
    if (a.len)
        memcpy(f->bytes + n, a.p, a.len);
    if (b.len)
        memcpy(f->bytes + n + a.len, b.p, b.len);
    f->refs = 1;
    f->len = (uint32_t)(n + a.len + b.len);
    return f;
}

struct frame *frame_text(const struct gw_buf *b)
{
    return frame_new(FRAME_TEXT, gw_buf_str(b), (struct gw_str){0});
}

struct frame *frame_close(unsigned code, const char *reason)
{
    char head[2] = {(char)(code >> 8), (char)(code & 0xFF)};
    struct gw_str text = {reason, strnlen(reason, REASON_BYTES_MAX)};
    while (!gw_utf8_valid(text)) /* cut inside a character: RFC 6455 section 5.5.1 wants UTF-8 */
        text.len--;
    return frame_new(FRAME_CLOSE, (struct gw_str){head, 2}, text);
}

void frame_unref(struct frame *f)
{
    if (--f->refs == 0)
        free(f);
}
