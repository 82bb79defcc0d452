/*
 * As much of RFC 6455 as a benchmark needs, for either side: frame headers, masking, the accept key. Any thread, no state.
 * No fragmentation, no extensions: the gateway sends neither, and who meets one here should hear of it.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_WIRE_HEAD_MAX 14
#define BENCH_WIRE_ACCEPT_BYTES 29 /* 28 characters of base64 and a zero */

enum bench_wire_op {
    BENCH_WIRE_TEXT = 1,
    BENCH_WIRE_CLOSE = 8,
    BENCH_WIRE_PING = 9,
    BENCH_WIRE_PONG = 10,
};

struct bench_wire_frame {
    uint8_t op;
    size_t head;     /* bytes of header, the mask included */
    size_t len;      /* bytes of payload */
    uint8_t mask[4]; /* all zero when not masked */
};

/* Reads a frame's header from n bytes: 1 read, 0 more bytes are needed, -1 a frame that is not handled (fragment, reserved bits). */
int bench_wire_read(const uint8_t *in, size_t n, struct bench_wire_frame *out);

/* Writes a final frame's header for len bytes of payload. Returns its length. With a mask the payload must be masked as well. */
size_t bench_wire_head(uint8_t out[BENCH_WIRE_HEAD_MAX], enum bench_wire_op op, size_t len, const uint8_t *mask);

/* Masks or unmasks (the same thing) in place. */
void bench_wire_mask(uint8_t *payload, size_t n, const uint8_t mask[4]);

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455, 4.2.2). */
void bench_wire_accept(const char *key, size_t key_len, char out[BENCH_WIRE_ACCEPT_BYTES]);

#endif
