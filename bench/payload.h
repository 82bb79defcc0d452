/*
 * The one event that all benchmarks move: its data (a ConceptMastered of exactly 200 bytes that carries the time it was made),
 * the protocol's event message around it, and the reading of the time out of such a message. Any thread; no memory of its own.
 */
#ifndef BENCH_PAYLOAD_H
#define BENCH_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_DATA_BYTES 200
#define BENCH_EVENT_BYTES_MAX 512

/* Microseconds since 1970, CLOCK_REALTIME: the clock of the payload's `ts`, shared by every process of a machine. */
uint64_t bench_now_us(void);

/* Writes the event's data, `{"conceptId":...,"ts":<16 digits>}`, BENCH_DATA_BYTES long, no terminating zero. concept < 10^9. */
void bench_payload_data(char out[BENCH_DATA_BYTES], uint64_t concept, uint64_t ts_us);

/* Writes the message in which the gateway delivers such data. Returns its length (<= BENCH_EVENT_BYTES_MAX). */
size_t bench_payload_event(char out[BENCH_EVENT_BYTES_MAX], uint64_t concept, uint64_t offset, const char data[BENCH_DATA_BYTES]);

/* True when a server's message of n bytes is an event. */
bool bench_payload_is_event(const char *text, size_t n);

/* The `ts` of an event message, 0 when it has none. Cheap when `ts` comes last, as in this payload. */
uint64_t bench_payload_ts(const char *text, size_t n);

#endif
