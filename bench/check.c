/*
 * bench_check: does the instrument measure right? The histogram against sorted values, the time in the payload against snprintf,
 * frame headers against themselves, the accept key against RFC 6455. Exit code 0 when all holds; part of ctest.
 */
#include "hist.h"
#include "payload.h"
#include "wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUES 20000

static int failures;

#define CHECK(condition)                                                 \
    do {                                                                 \
        if (!(condition)) {                                              \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            failures++;                                                  \
        }                                                                \
    } while (0)

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* Quantiles are never too low, and too high by 1/64 at most. */
static void check_hist(void)
{
    static struct bench_hist hist;
    static uint64_t values[VALUES];
    uint64_t seed = 88172645463325252U;
    for (unsigned i = 0; i < VALUES; i++) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        values[i] = seed >> (30 + seed % 34);
        bench_hist_add(&hist, values[i]);
    }
    qsort(values, VALUES, sizeof *values, by_value);
    const double shares[] = {0, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999};
    for (unsigned i = 0; i < sizeof shares / sizeof *shares; i++) {
        uint64_t exact = values[(unsigned)(shares[i] * VALUES)], got = bench_hist_quantile(&hist, shares[i]);
        CHECK(got >= exact && got <= exact + exact / 64);
    }
    CHECK(bench_hist_quantile(&hist, 1) == values[VALUES - 1]);
    CHECK(hist.total == VALUES);
    bench_hist_reset(&hist);
    CHECK(bench_hist_quantile(&hist, 0.5) == 0);
    bench_hist_add(&hist, UINT64_MAX);
    CHECK(bench_hist_quantile(&hist, 0.5) == hist.max);
}

static void check_payload(void)
{
    const uint64_t times[] = {1000000000000000, 1732179999123456, 9999999999999999, 1700000000000001};
    char data[BENCH_DATA_BYTES], event[BENCH_EVENT_BYTES_MAX];
    for (unsigned i = 0; i < sizeof times / sizeof *times; i++) {
        bench_payload_data(data, 7, times[i]);
        CHECK(data[0] == '{' && data[BENCH_DATA_BYTES - 1] == '}' && !memchr(data, '\0', sizeof data));
        size_t n = bench_payload_event(event, 7, 1202, data);
        CHECK(n < BENCH_EVENT_BYTES_MAX && event[n - 1] == '}');
        CHECK(bench_payload_is_event(event, n));
        CHECK(bench_payload_ts(event, n) == times[i]);
    }
    static const char elsewhere[] = "{\"type\":\"event\",\"data\":{\"ts\":1732179999123456,\"more\":[1,2,3,4,5,6,7,8,9]}}";
    CHECK(bench_payload_ts(elsewhere, sizeof elsewhere - 1) == 1732179999123456);
    CHECK(bench_payload_ts("{}", 2) == 0);
    CHECK(!bench_payload_is_event("{\"type\":\"pong\"}", 15) && !bench_payload_is_event("{", 1));
}

static void check_wire(void)
{
    const size_t lengths[] = {0, 1, 125, 126, 65535, 65536, 1000000};
    const uint8_t mask[4] = {1, 2, 3, 4};
    for (unsigned i = 0; i < 2 * sizeof lengths / sizeof *lengths; i++) {
        uint8_t head[BENCH_WIRE_HEAD_MAX];
        struct bench_wire_frame frame;
        size_t n = bench_wire_head(head, BENCH_WIRE_TEXT, lengths[i / 2], i % 2 ? mask : NULL);
        for (size_t cut = 0; cut < n; cut++)
            CHECK(bench_wire_read(head, cut, &frame) == 0);
        CHECK(bench_wire_read(head, n, &frame) == 1);
        CHECK(frame.head == n && frame.len == lengths[i / 2] && frame.op == BENCH_WIRE_TEXT);
        CHECK(memcmp(frame.mask, i % 2 ? mask : (const uint8_t[4]){0}, 4) == 0);
    }
    struct bench_wire_frame frame;
    CHECK(bench_wire_read((const uint8_t *)"\x01\x00", 2, &frame) == -1); /* a fragment */
    CHECK(bench_wire_read((const uint8_t *)"\xC1\x00", 2, &frame) == -1); /* a compressed message */
    char accept[BENCH_WIRE_ACCEPT_BYTES];
    bench_wire_accept("dGhlIHNhbXBsZSBub25jZQ==", 24, accept); /* RFC 6455, 1.3 */
    CHECK(strcmp(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == 0);
}

int main(void)
{
    check_hist();
    check_payload();
    check_wire();
    return failures ? 1 : 0;
}
