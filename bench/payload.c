/*
 * The event of payload.h. Any thread.
 */
#include "payload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TS_DIGITS 16
#define TS_KEY "\"ts\":"
#define TS_KEY_BYTES (sizeof TS_KEY - 1)

uint64_t bench_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void bench_payload_data(char out[BENCH_DATA_BYTES], uint64_t concept, uint64_t ts_us)
{
    char head[96], tail[64];
    int head_n = snprintf(head, sizeof head, "{\"conceptId\":\"%" PRIu64 "\",\"userIds\":[],\"conceptName\":\"", concept);
    int tail_n = snprintf(tail, sizeof tail, "\",\"masteryLevel\":0.87," TS_KEY "%016" PRIu64 "}", ts_us);
    memset(out, 'x', BENCH_DATA_BYTES);
    memcpy(out, head, (size_t)head_n);
    memcpy(out + BENCH_DATA_BYTES - tail_n, tail, (size_t)tail_n);
}

size_t bench_payload_event(char out[BENCH_EVENT_BYTES_MAX], uint64_t concept, uint64_t offset, const char data[BENCH_DATA_BYTES])
{
    int n = snprintf(out, BENCH_EVENT_BYTES_MAX,
                     "{\"type\":\"event\",\"rooms\":[\"concept:%" PRIu64 "\"],\"event\":\"concept.mastered\",\"topic\":\"bench-events\","
                     "\"partition\":0,\"offset\":%" PRIu64 ",\"time\":%" PRIu64 ",\"key\":\"%" PRIu64 "\",\"data\":%.*s}",
                     concept, offset, bench_now_us() / 1000, concept, BENCH_DATA_BYTES, data);
    return (size_t)n;
}

bool bench_payload_is_event(const char *text, size_t n)
{
    static const char head[] = "{\"type\":\"event\"";
    return n >= sizeof head - 1 && memcmp(text, head, sizeof head - 1) == 0;
}

/* Eight ASCII digits at once: pairs, fours, eights, each by one multiplication (little-endian). */
static uint64_t eight_digits(const char *text)
{
    uint64_t word;
    memcpy(&word, text, sizeof word);
    word -= UINT64_C(0x3030303030303030);
    word = (word * 10) + (word >> 8);
    uint64_t low = (word & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x000F424000000064);
    uint64_t high = ((word >> 16) & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x0000271000000001);
    return (low + high) >> 32;
}

uint64_t bench_payload_ts(const char *text, size_t n)
{
    /* the message ends `"ts":1234567890123456}}` */
    const size_t tail = TS_KEY_BYTES + TS_DIGITS + 2;
    if (n > tail && memcmp(text + n - tail, TS_KEY, TS_KEY_BYTES) == 0) {
        const char *digits = text + n - tail + TS_KEY_BYTES;
        return eight_digits(digits) * 100000000 + eight_digits(digits + 8);
    }
    const char *key = memmem(text, n, TS_KEY, TS_KEY_BYTES);
    if (!key)
        return 0;
    uint64_t ts = 0;
    for (const char *p = key + TS_KEY_BYTES; p < text + n && *p >= '0' && *p <= '9'; p++)
        ts = ts * 10 + (uint64_t)(*p - '0');
    return ts;
}
