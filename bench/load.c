/*
 * bench_load: opens many WebSocket connections, joins them to rooms, feeds events (or lets another feed them), counts what comes
 * back and says how fast, how late, and what it cost the server's threads; or holds idle connections and weighs the server.
 * One thread (librdkafka's beside it with --feed kafka). It measures; it judges nothing: report.py does.
 */
#include "args.h"
#include "client.h"
#include "kafka.h"
#include "payload.h"
#include "proc.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define BURST_MAX 200
#define DRAIN_SECONDS 10
#define PRIME_SECONDS 20
#define LATE_US 50000 /* how long a surplus delivery is waited for */

enum feed { FEED_NONE, FEED_WS, FEED_KAFKA };

struct options {
    const char *connect, *path, *room, *token, *secret, *issuer, *audience, *feed, *brokers, *topic, *label, *json, *loop;
    long connections, rooms, burst, window, cpu, pid, opening, round;
    double rate, warmup, seconds, hold, settle;
    bool tls, spin;
};

struct load {
    struct options options;
    enum feed feed;
    struct bench_client_config config;
    struct bench_token_key key;
    struct bench_client *client;
    struct bench_client_stats *stats;
    struct bench_producer *producer;
    uint64_t concept; /* of the room's name, where it is one room for all */
    uint64_t batches, expected;
    uint64_t next_due_us; /* rate mode */
};

/* What a phase is measured by: read before and after. */
struct reading {
    uint64_t at_us;
    uint64_t client_cpu_us;
    struct bench_threads threads;
};

static const struct options DEFAULTS = {
    .connect = "127.0.0.1:8080", .path = "/ws", .room = "concept:7", .issuer = "https://bench.invalid/", .audience = "bench",
    .feed = "none", .topic = "bench-events", .label = "load", .loop = "sluice-loop",
    .connections = 1000, .rooms = 1, .burst = 1, .window = 1, .cpu = -1, .opening = 64, .warmup = 1, .seconds = 5, .settle = 1,
};

static int parse(struct options *o, int argc, char **argv)
{
    const struct bench_arg args[] = {
        {"connect", BENCH_ARG_TEXT, &o->connect, 0, 0, "server, IPv4:port"},
        {"path", BENCH_ARG_TEXT, &o->path, 0, 0, "request target (/ws)"},
        {"tls", BENCH_ARG_FLAG, &o->tls, 0, 0, "wss, certificate not verified"},
        {"connections", BENCH_ARG_NUMBER, &o->connections, 1, BENCH_CLIENT_CONNECTIONS_MAX, "connections (1000)"},
        {"opening", BENCH_ARG_NUMBER, &o->opening, 1, 4096, "handshakes at a time (64)"},
        {"room", BENCH_ARG_TEXT, &o->room, 0, 0, "room to join (concept:7), `%` = connection mod rooms, empty joins none"},
        {"rooms", BENCH_ARG_NUMBER, &o->rooms, 1, 1000000, "number of rooms where --room holds a %"},
        {"token", BENCH_ARG_TEXT, &o->token, 0, 0, "bearer token for all connections"},
        {"secret", BENCH_ARG_TEXT, &o->secret, 0, 0, "HS256 secret's file: mints a token a connection, sub u0, u1, ..."},
        {"issuer", BENCH_ARG_TEXT, &o->issuer, 0, 0, "iss of minted tokens (https://bench.invalid/)"},
        {"audience", BENCH_ARG_TEXT, &o->audience, 0, 0, "aud of minted tokens (bench)"},
        {"feed", BENCH_ARG_TEXT, &o->feed, 0, 0, "none, kafka, or ws (asks the server itself: bench_rawref)"},
        {"brokers", BENCH_ARG_TEXT, &o->brokers, 0, 0, "for --feed kafka"},
        {"topic", BENCH_ARG_TEXT, &o->topic, 0, 0, "for --feed kafka (bench-events)"},
        {"burst", BENCH_ARG_NUMBER, &o->burst, 1, BURST_MAX, "events fed at once (1)"},
        {"window", BENCH_ARG_NUMBER, &o->window, 1, 100000, "bursts under way; 1 awaits each to the last delivery (1)"},
        {"rate", BENCH_ARG_REAL, &o->rate, 0, 10000000, "events a second instead of a window; ages count from the due time"},
        {"spin", BENCH_ARG_FLAG, &o->spin, 0, 0, "do not sleep amid a batch, so that the server pays for no wake-ups of this client"},
        {"warmup", BENCH_ARG_REAL, &o->warmup, 0, 600, "seconds fed before measuring (1)"},
        {"seconds", BENCH_ARG_REAL, &o->seconds, 0, 86400, "seconds measured (5)"},
        {"hold", BENCH_ARG_REAL, &o->hold, 0, 86400, "feed nothing; hold the connections this long, then weigh --pid"},
        {"settle", BENCH_ARG_REAL, &o->settle, 0, 600, "seconds before the first weighing (1)"},
        {"pid", BENCH_ARG_NUMBER, &o->pid, 1, 1L << 30, "server's process, whose CPU time and memory are read"},
        {"loop", BENCH_ARG_TEXT, &o->loop, 0, 0, "how the names of the server's loop threads begin (sluice-loop)"},
        {"cpu", BENCH_ARG_NUMBER, &o->cpu, 0, 1023, "core to run on"},
        {"label", BENCH_ARG_TEXT, &o->label, 0, 0, "name of the run in the JSON line"},
        {"round", BENCH_ARG_NUMBER, &o->round, 0, 1000000, "number of the round in the JSON line"},
        {"json", BENCH_ARG_TEXT, &o->json, 0, 0, "file to append the JSON line to (else standard output)"},
    };
    return bench_args_parse(argc, argv, args, sizeof args / sizeof *args);
}

static int resolve(const char *text, struct sockaddr_in *out)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof host)
        return -1;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    long port = strtol(colon + 1, NULL, 10);
    *out = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return port > 0 && port < 65536 && inet_pton(AF_INET, host, &out->sin_addr) == 1 ? 0 : -1;
}

static int prepare(struct load *load)
{
    const struct options *o = &load->options;
    struct bench_client_config *c = &load->config;
    *c = (struct bench_client_config){.host = o->connect, .path = o->path, .room = o->room, .rooms = (unsigned)o->rooms,
        .count = (unsigned)o->connections, .token = o->token, .tls = o->tls, .opening_max = (unsigned)o->opening};
    if (resolve(o->connect, &c->address) != 0) {
        fprintf(stderr, "--connect: %s is not an IPv4 address and a port\n", o->connect);
        return -1;
    }
    if (o->secret) {
        load->key.issuer = o->issuer;
        load->key.audience = o->audience;
        if (bench_token_load(&load->key, o->secret) != 0)
            return -1;
        c->key = &load->key;
    }
    const char *colon = strchr(o->room, ':');
    load->concept = colon ? strtoull(colon + 1, NULL, 10) : 0;
    load->feed = strcmp(o->feed, "ws") == 0 ? FEED_WS : strcmp(o->feed, "kafka") == 0 ? FEED_KAFKA : FEED_NONE;
    if (load->feed == FEED_NONE && strcmp(o->feed, "none") != 0) {
        fprintf(stderr, "--feed: none, ws or kafka\n");
        return -1;
    }
    if (load->feed == FEED_KAFKA && !o->brokers) {
        fprintf(stderr, "--feed kafka needs --brokers\n");
        return -1;
    }
    return 0;
}

/* Connections in the room of concept `concept`. */
static uint64_t members(const struct load *load, uint64_t concept)
{
    uint64_t all = load->config.count, rooms = load->config.rooms;
    if (!strchr(load->config.room, '%'))
        return all;
    return all / rooms + (concept < all % rooms ? 1 : 0);
}

static uint64_t next_concept(const struct load *load)
{
    return strchr(load->config.room, '%') ? load->batches % load->config.rooms : load->concept;
}

static int feed_kafka(struct load *load, uint64_t concept, uint64_t ts_us)
{
    char key[24], data[BENCH_DATA_BYTES];
    snprintf(key, sizeof key, "%" PRIu64, concept);
    bench_payload_data(data, concept, ts_us);
    for (long i = 0; i < load->options.burst; i++) {
        if (bench_producer_send(load->producer, key, data, sizeof data) != 0)
            return -1;
    }
    return bench_producer_poll(load->producer) == 0 ? 0 : -1;
}

/* The reference server's own verb: "feed", and one event's data a line. */
static int feed_ws(struct load *load, uint64_t concept, uint64_t ts_us)
{
    char text[8 + BURST_MAX * (BENCH_DATA_BYTES + 1)];
    size_t n = 4;
    memcpy(text, "feed", n);
    for (long i = 0; i < load->options.burst; i++) {
        text[n++] = '\n';
        bench_payload_data(text + n, concept, ts_us);
        n += BENCH_DATA_BYTES;
    }
    return bench_client_send(load->client, 0, text, n);
}

static int feed_batch(struct load *load, uint64_t ts_us)
{
    uint64_t concept = next_concept(load);
    int result = load->feed == FEED_KAFKA ? feed_kafka(load, concept, ts_us) : feed_ws(load, concept, ts_us);
    load->batches++;
    load->expected += members(load, concept) * (uint64_t)load->options.burst;
    return result;
}

/* Feeds what may be fed now. Sets how long the caller may sleep. */
static int feed_due(struct load *load, uint64_t *sleep_ns)
{
    const struct options *o = &load->options;
    *sleep_ns = 20000000;
    if (load->feed == FEED_NONE)
        return 0;
    if (o->rate > 0) {
        uint64_t now = bench_now_us();
        while (load->next_due_us <= now) {
            if (feed_batch(load, load->next_due_us) != 0)
                return -1;
            load->next_due_us += (uint64_t)((double)o->burst * 1e6 / o->rate);
        }
        *sleep_ns = (load->next_due_us - now) * 1000;
        return 0;
    }
    uint64_t slack = members(load, next_concept(load)) * (uint64_t)(o->burst * (o->window - 1));
    while (load->stats->deliveries + slack >= load->expected) {
        if (feed_batch(load, bench_now_us()) != 0)
            return -1;
    }
    return 0;
}

/* Between the first and the last delivery of a batch the client may spin: a server whose clients are on other machines wakes none
 * of them either, and on a virtual machine waking an idle core costs more than the send itself. Before the first delivery it
 * sleeps, since the feed's way through Kafka needs this core. */
static uint64_t patience(const struct load *load, uint64_t sleep_ns)
{
    if (!load->options.spin)
        return sleep_ns;
    if (load->feed == FEED_NONE)
        return 0;
    uint64_t due = load->expected - load->stats->deliveries, batch = members(load, load->concept) * (uint64_t)load->options.burst;
    return load->stats->deliveries < load->expected && due % batch != 0 ? 0 : sleep_ns;
}

/* Waits for the last delivery of what was fed, and a moment more for any that should not come. */
static int drain(struct load *load, uint64_t *finished_us)
{
    uint64_t deadline = bench_now_us() + DRAIN_SECONDS * UINT64_C(1000000);
    while (load->stats->deliveries < load->expected) {
        if (bench_client_poll(load->client, patience(load, 20000000)) != 0)
            return -1;
        if (bench_now_us() > deadline) {
            fprintf(stderr, "%" PRIu64 " of %" PRIu64 " deliveries never came\n", load->expected - load->stats->deliveries,
                    load->expected);
            return -1;
        }
    }
    *finished_us = bench_now_us();
    while (bench_now_us() < *finished_us + LATE_US) {
        if (bench_client_poll(load->client, LATE_US * 1000) != 0)
            return -1;
    }
    if (load->stats->deliveries == load->expected)
        return 0;
    fprintf(stderr, "%" PRIu64 " deliveries too many\n", load->stats->deliveries - load->expected);
    return -1;
}

static int run_phase(struct load *load, double seconds, uint64_t *finished_us)
{
    *load->stats = (struct bench_client_stats){0};
    load->expected = 0;
    uint64_t now = bench_now_us(), end = now + (uint64_t)(seconds * 1e6), progress_us = now, seen = 0;
    load->next_due_us = now;
    while (now < end) {
        uint64_t sleep_ns;
        if (feed_due(load, &sleep_ns) != 0 || bench_client_poll(load->client, patience(load, sleep_ns)) != 0)
            return -1;
        now = bench_now_us();
        if (load->stats->deliveries != seen) {
            seen = load->stats->deliveries;
            progress_us = now;
        } else if (now - progress_us > DRAIN_SECONDS * UINT64_C(1000000)) {
            fprintf(stderr, "no delivery for %d seconds\n", DRAIN_SECONDS);
            return -1;
        }
    }
    *finished_us = now;
    return load->feed == FEED_NONE ? 0 : drain(load, finished_us);
}

static int wait_seconds(struct load *load, double seconds)
{
    uint64_t end = bench_now_us() + (uint64_t)(seconds * 1e6);
    for (uint64_t now = bench_now_us(); now < end; now = bench_now_us()) {
        if (bench_client_poll(load->client, (end - now) * 1000) != 0)
            return -1;
    }
    return 0;
}

/* Feeds probes until one has come through: a gateway may accept connections before its reader stands at the topic's end. Then lets
 * whatever else is under way arrive, so that the first phase starts from silence. */
static int prime(struct load *load)
{
    uint64_t deadline = bench_now_us() + PRIME_SECONDS * UINT64_C(1000000), seen = 0;
    while (load->stats->deliveries == 0) {
        if (bench_now_us() > deadline) {
            fprintf(stderr, "no event came through in %d seconds\n", PRIME_SECONDS);
            return -1;
        }
        if (feed_batch(load, bench_now_us()) != 0 || wait_seconds(load, 0.2) != 0)
            return -1;
    }
    do {
        seen = load->stats->deliveries;
        if (wait_seconds(load, 0.3) != 0)
            return -1;
    } while (load->stats->deliveries != seen);
    return 0;
}

static void take_reading(const struct load *load, struct reading *out)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    out->client_cpu_us = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                         (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    out->threads.count = 0;
    if (load->options.pid)
        (void)bench_proc_threads((pid_t)load->options.pid, &out->threads);
    out->at_us = bench_now_us();
}

static void print_threads(FILE *out, const struct reading *before, const struct reading *after)
{
    fprintf(out, ",\"threads\":{");
    const char *comma = "";
    for (unsigned i = 0; i < after->threads.count; i++) {
        const struct bench_thread *thread = &after->threads.list[i];
        char name[16];
        snprintf(name, sizeof name, "%.15s", thread->name);
        for (char *p = name; *p; p++)
            *p = *p == '"' || *p == '\\' || (unsigned char)*p < 32 ? '_' : *p;
        fprintf(out, "%s\"%s/%ld\":%.6f", comma, name, thread->tid, (double)bench_proc_used(&before->threads, thread) / 1e9);
        comma = ",";
    }
    fprintf(out, "}");
}

static void print_run(const struct load *load, FILE *out, const struct reading *before, const struct reading *after, double seconds)
{
    const struct bench_client_stats *s = load->stats;
    double n = (double)s->deliveries;
    double loop = (double)bench_proc_used_by(&before->threads, &after->threads, load->options.loop) / 1e9;
    double process = (double)bench_proc_used_by(&before->threads, &after->threads, "") / 1e9;
    double p50 = (double)bench_hist_quantile(&s->age, 0.5), p99 = (double)bench_hist_quantile(&s->age, 0.99);
    double p999 = (double)bench_hist_quantile(&s->age, 0.999), max = (double)s->age.max;
    double bytes = n > 0 ? (double)s->event_bytes / n : 0, per_read = s->reads ? n / (double)s->reads : 0;
    double client = (double)(after->client_cpu_us - before->client_cpu_us) / 1e6;
    fprintf(stderr, "%s: %u connections, %.0f deliveries in %.2f s = %.0f/s; age p50 %.0f p99 %.0f p99.9 %.0f max %.0f us",
            load->options.label, bench_client_up(load->client), n, seconds, n / seconds, p50, p99, p999, max);
    if (loop > 0)
        fprintf(stderr, "; loop %.3f CPU s, %.0f deliveries per CPU s", loop, n / loop);
    fprintf(stderr, "; %.1f a read, %.0f bytes each, client %.0f %% busy\n", per_read, bytes, 100 * client / seconds);
    fprintf(out,
            "{\"label\":\"%s\",\"round\":%ld,\"connections\":%u,\"burst\":%ld,\"window\":%ld,\"rate\":%.0f,\"deliveries\":%.0f,\"seconds\":%.3f,\"per_second\":%.0f,"
            "\"bytes_per_delivery\":%.1f,\"deliveries_per_read\":%.2f,\"p50_us\":%.0f,\"p99_us\":%.0f,\"p999_us\":%.0f,\"max_us\":%.0f,"
            "\"loop_cpu\":%.6f,\"process_cpu\":%.6f,\"client_cpu\":%.6f",
            load->options.label, load->options.round, bench_client_up(load->client), load->options.burst, load->options.window, load->options.rate, n, seconds,
            n / seconds, bytes, per_read, p50, p99, p999, max, loop, process, client);
    print_threads(out, before, after);
    fprintf(out, "}\n");
}

static int measure(struct load *load, FILE *out)
{
    struct reading before, after;
    uint64_t finished_us = 0;
    if (load->feed == FEED_KAFKA) {
        load->producer = bench_producer_new(load->options.brokers, load->options.topic, (unsigned)load->options.burst);
        if (!load->producer)
            return -1;
    }
    if (load->feed != FEED_NONE && prime(load) != 0)
        return -1;
    if (load->options.warmup > 0 && run_phase(load, load->options.warmup, &finished_us) != 0)
        return -1;
    take_reading(load, &before);
    if (run_phase(load, load->options.seconds, &finished_us) != 0)
        return -1;
    take_reading(load, &after);
    print_run(load, out, &before, &after, (double)(finished_us - before.at_us) / 1e6);
    return 0;
}

static int hold(struct load *load, FILE *out, const struct bench_memory *before)
{
    struct bench_memory after = {0};
    double n = (double)load->config.count;
    if (wait_seconds(load, load->options.hold) != 0)
        return -1;
    if (load->options.pid && bench_proc_memory((pid_t)load->options.pid, &after) != 0)
        return -1;
    double each = ((double)after.owned - (double)before->owned) / n;
    fprintf(stderr, "%s: %.0f connections held, %.0f bytes of private memory each\n", load->options.label, n, each);
    fprintf(out,
            "{\"label\":\"%s\",\"round\":%ld,\"connections\":%.0f,\"private_before\":%" PRIu64 ",\"private_after\":%" PRIu64 ",\"rss_before\":%" PRIu64
            ",\"rss_after\":%" PRIu64 ",\"bytes_per_connection\":%.0f}\n",
            load->options.label, load->options.round, n, before->owned, after.owned, before->rss, after.rss, each);
    return 0;
}

static int run(struct load *load, FILE *out)
{
    struct bench_memory before = {0};
    const struct options *o = &load->options;
    load->client = bench_client_new(&load->config);
    if (!load->client)
        return -1;
    load->stats = bench_client_stats(load->client);
    if (o->hold > 0 && o->pid) {
        if (wait_seconds(load, o->settle) != 0 || bench_proc_memory((pid_t)o->pid, &before) != 0)
            return -1;
    }
    if (bench_client_open(load->client, 60) != 0)
        return -1;
    return o->hold > 0 ? hold(load, out, &before) : measure(load, out);
}

int main(int argc, char **argv)
{
    static struct load load; /* the histogram is too big for the stack */
    load.options = DEFAULTS;
    if (parse(&load.options, argc, argv) != 0 || prepare(&load) != 0)
        return 2;
    signal(SIGPIPE, SIG_IGN); /* TLS writes have no MSG_NOSIGNAL */
    bench_proc_raise_files();
    if (load.options.cpu >= 0 && bench_proc_pin((int)load.options.cpu) != 0) {
        perror("--cpu");
        return 2;
    }
    FILE *out = load.options.json ? fopen(load.options.json, "ae") : stdout;
    if (!out) {
        perror(load.options.json);
        return 2;
    }
    int result = run(&load, out);
    bench_producer_free(load.producer, 5000);
    bench_client_free(load.client);
    if (fclose(out) != 0)
        result = -1;
    return result == 0 ? 0 : 1;
}
