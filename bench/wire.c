/*
 * Frames and the accept key of RFC 6455 (wire.h). Any thread.
 */
#include "wire.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

int bench_wire_read(const uint8_t *in, size_t n, struct bench_wire_frame *out)
{
    if (n < 2)
        return 0;
    if ((in[0] & 0xF0) != 0x80 || (in[0] & 0x0F) == 0)
        return -1;
    out->op = in[0] & 0x0F;
    size_t len = in[1] & 0x7F, head = 2, extra = len == 126 ? 2 : len == 127 ? 8 : 0;
    if (n < head + extra)
        return 0;
    if (extra) {
        len = 0;
        for (size_t i = 0; i < extra; i++)
            len = len << 8 | in[head + i];
        head += extra;
    }
    memset(out->mask, 0, sizeof out->mask);
    if (in[1] & 0x80) {
        if (n < head + 4)
            return 0;
        memcpy(out->mask, in + head, 4);
        head += 4;
    }
    out->head = head;
    out->len = len;
    return 1;
}

size_t bench_wire_head(uint8_t out[BENCH_WIRE_HEAD_MAX], enum bench_wire_op op, size_t len, const uint8_t *mask)
{
    size_t n = 2;
    out[0] = (uint8_t)(0x80 | op);
    if (len < 126) {
        out[1] = (uint8_t)len;
    } else {
        size_t extra = len <= 0xFFFF ? 2 : 8;
        out[1] = extra == 2 ? 126 : 127;
        for (size_t i = 0; i < extra; i++)
            out[n + i] = (uint8_t)(len >> (8 * (extra - 1 - i)));
        n += extra;
    }
    if (mask) {
        out[1] |= 0x80;
        memcpy(out + n, mask, 4);
        n += 4;
    }
    return n;
}

void bench_wire_mask(uint8_t *payload, size_t n, const uint8_t mask[4])
{
    for (size_t i = 0; i < n; i++)
        payload[i] ^= mask[i & 3];
}

void bench_wire_accept(const char *key, size_t key_len, char out[BENCH_WIRE_ACCEPT_BYTES])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[128] = {0};
    unsigned char digest[SHA_DIGEST_LENGTH];
    if (key_len > sizeof text - sizeof guid)
        key_len = sizeof text - sizeof guid;
    memcpy(text, key, key_len);
    memcpy(text + key_len, guid, sizeof guid - 1);
    SHA1((const unsigned char *)text, key_len + sizeof guid - 1, digest);
    EVP_EncodeBlock((unsigned char *)out, digest, sizeof digest);
}
