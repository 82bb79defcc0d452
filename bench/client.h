/*
 * A load client: many WebSocket connections on one epoll, made to cost as little as possible per delivery, since it shares the
 * machine with what it measures. It counts events and files the age of each (now - the payload's ts) in a histogram.
 * One thread owns it. It does not parse JSON, does not reconnect, and ends the run when a peer misbehaves.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "hist.h"
#include "token.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_CLIENT_CONNECTIONS_MAX 60000

struct bench_client_config {
    struct sockaddr_in address;
    const char *host;  /* of the Host header, borrowed */
    const char *path;  /* borrowed */
    const char *room;  /* borrowed; "" joins none; a `%` in it stands for (connection mod rooms) */
    unsigned rooms;    /* >= 1 */
    unsigned count;    /* connections */
    const char *token; /* borrowed, for all connections; NULL: minted by `key`, a user a connection; both NULL: none */
    const struct bench_token_key *key;
    bool tls;             /* the server's certificate is not verified: it is the one just made for the run */
    unsigned opening_max; /* handshakes at a time */
};

struct bench_client_stats {
    uint64_t deliveries;  /* events */
    uint64_t event_bytes; /* their JSON, without framing */
    uint64_t reads;       /* recv calls that brought something */
    struct bench_hist age;
};

struct bench_client;

/* Borrows the configuration, which must outlive it. NULL after a line on standard error. */
struct bench_client *bench_client_new(const struct bench_client_config *config);
void bench_client_free(struct bench_client *client);

/* Brings all connections up: handshake done, welcomed, room joined. 0, or -1 after a line on standard error. */
int bench_client_open(struct bench_client *client, double seconds_max);

/* Waits up to timeout_ns for traffic and handles what is there. 0, or -1 when a connection was lost (said on standard error). */
int bench_client_poll(struct bench_client *client, uint64_t timeout_ns);

/* Sends a text message on connection `index`. 0 or -1. n <= 60000. */
int bench_client_send(struct bench_client *client, unsigned index, const char *text, size_t n);

unsigned bench_client_up(const struct bench_client *client);

/* Counters; the caller may reset them between two polls. */
struct bench_client_stats *bench_client_stats(struct bench_client *client);

#endif
