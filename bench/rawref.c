/*
 * bench_rawref: the raw reference. A bare epoll server that speaks just enough of the protocol for bench_load and fans the same
 * event frame out to every member with plain send() or writev(): what the kernel alone costs, and so the yardstick for the gateway.
 * No tokens, no rooms, no limits, no second room, no Kafka: nothing but sockets. One thread, named raw-loop-0.
 *
 * Fed by bench_load (--feed ws), or with --saturate as fast as the sockets take it. --coalesce: all pending events of a member in
 * one writev; without it one send() a member and event. At SIGTERM it prints its own account (getrusage) as a JSON line.
 */
#include "args.h"
#include "payload.h"
#include "proc.h"
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define BURST_MAX 200
#define FRAME_BYTES_MAX (BENCH_WIRE_HEAD_MAX + BENCH_EVENT_BYTES_MAX)
#define IN_BYTES_MAX 65536
#define REST_BYTES_MAX (4U << 20)
#define EVENTS_MAX 256
#define CONCEPT 7

struct conn {
    int fd;
    bool upgraded;
    unsigned member; /* index into members + 1, 0 when it is none */
    uint8_t *in;     /* owned: what has come and is not complete */
    size_t in_len;
    uint8_t *rest; /* owned: what the socket did not take */
    size_t rest_len;
};

struct options {
    const char *listen;
    long cpu, burst, sndbuf, members;
    bool coalesce, saturate;
};

struct server {
    struct options options;
    int epoll, listener, signals;
    struct conn **members;
    unsigned member_count, member_cap, blocked;
    uint8_t frames[BURST_MAX][FRAME_BYTES_MAX];
    struct iovec parts[BURST_MAX];
    uint64_t offset;
    uint64_t deliveries, calls;
    bool running, done;
    uint64_t began_us, ended_us;
    struct rusage began, ended;
};

static double cpu_seconds(const struct timeval *from, const struct timeval *to)
{
    return (double)(to->tv_sec - from->tv_sec) + (double)(to->tv_usec - from->tv_usec) / 1e6;
}

static void report(const struct server *s)
{
    double user = cpu_seconds(&s->began.ru_utime, &s->ended.ru_utime), sys = cpu_seconds(&s->began.ru_stime, &s->ended.ru_stime);
    double wall = (double)(s->ended_us - s->began_us) / 1e6, n = (double)s->deliveries;
    printf("{\"deliveries\":%.0f,\"calls\":%" PRIu64 ",\"user_cpu\":%.3f,\"system_cpu\":%.3f,\"seconds\":%.3f,\"per_cpu_second\":%.0f}\n", n,
           s->calls, user, sys, wall, user + sys > 0 ? n / (user + sys) : 0);
    fflush(stdout);
}

static void free_conn(struct server *s, struct conn *c)
{
    if (c->member) {
        struct conn *last = s->members[--s->member_count];
        s->members[c->member - 1] = last;
        last->member = c->member;
    }
    if (c->rest_len)
        s->blocked--;
    close(c->fd);
    free(c->in);
    free(c->rest);
    free(c);
}

static int arm(const struct server *s, struct conn *c, int op, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    return epoll_ctl(s->epoll, op, c->fd, &event);
}

/* Keeps what the socket did not take and waits for room. A member that takes nothing at all any more is cut off. */
static int keep_rest(struct server *s, struct conn *c, const uint8_t *bytes, size_t n)
{
    if (n > REST_BYTES_MAX - c->rest_len)
        return -1;
    uint8_t *rest = realloc(c->rest, c->rest_len + n);
    if (!rest)
        return -1;
    memcpy(rest + c->rest_len, bytes, n);
    c->rest = rest;
    if (c->rest_len == 0) {
        s->blocked++;
        (void)arm(s, c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    }
    c->rest_len += n;
    return 0;
}

static int flush_rest(struct server *s, struct conn *c)
{
    ssize_t sent = send(c->fd, c->rest, c->rest_len, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN ? 0 : -1;
    c->rest_len -= (size_t)sent;
    memmove(c->rest, c->rest + sent, c->rest_len);
    if (c->rest_len > 0)
        return 0;
    s->blocked--;
    free(c->rest);
    c->rest = NULL;
    return arm(s, c, EPOLL_CTL_MOD, EPOLLIN);
}

static int send_bytes(struct server *s, struct conn *c, const uint8_t *bytes, size_t n)
{
    ssize_t sent = 0;
    if (c->rest_len == 0) {
        s->calls++;
        sent = send(c->fd, bytes, n, MSG_NOSIGNAL);
        if (sent == (ssize_t)n)
            return 0;
        if (sent < 0 && errno != EAGAIN)
            return -1;
        sent = sent < 0 ? 0 : sent;
    }
    return keep_rest(s, c, bytes + sent, n - (size_t)sent);
}

static int send_parts(struct server *s, struct conn *c, unsigned count)
{
    size_t sent = 0;
    if (c->rest_len == 0) {
        s->calls++;
        ssize_t n = writev(c->fd, s->parts, (int)count);
        if (n < 0 && errno != EAGAIN)
            return -1;
        sent = n < 0 ? 0 : (size_t)n;
    }
    for (unsigned i = 0; i < count; i++) {
        size_t len = s->parts[i].iov_len, skip = sent < len ? sent : len;
        sent -= skip;
        if (skip < len && keep_rest(s, c, (const uint8_t *)s->parts[i].iov_base + skip, len - skip) != 0)
            return -1;
    }
    return 0;
}

/* A connection that fails while others are being written to is only shut down: epoll reports it, and then it is freed. */
static void drop_later(const struct conn *c)
{
    shutdown(c->fd, SHUT_RDWR);
}

static void fan_out(struct server *s, unsigned count)
{
    if (!s->running) {
        s->running = true;
        s->began_us = bench_now_us();
        getrusage(RUSAGE_THREAD, &s->began);
    }
    if (s->options.coalesce) {
        for (unsigned m = 0; m < s->member_count; m++) {
            if (send_parts(s, s->members[m], count) != 0)
                drop_later(s->members[m]);
        }
    } else {
        for (unsigned i = 0; i < count; i++) {
            for (unsigned m = 0; m < s->member_count; m++) {
                if (send_bytes(s, s->members[m], s->parts[i].iov_base, s->parts[i].iov_len) != 0)
                    drop_later(s->members[m]);
            }
        }
    }
    s->deliveries += (uint64_t)count * s->member_count;
    s->ended_us = bench_now_us();
    getrusage(RUSAGE_THREAD, &s->ended);
}

static void put_event(struct server *s, unsigned index, const char *data)
{
    char event[BENCH_EVENT_BYTES_MAX];
    size_t n = bench_payload_event(event, CONCEPT, 1000 + s->offset++, data);
    size_t head = bench_wire_head(s->frames[index], BENCH_WIRE_TEXT, n, NULL);
    memcpy(s->frames[index] + head, event, n);
    s->parts[index] = (struct iovec){s->frames[index], head + n};
}

/* "feed" and a line of data for each event. */
static int take_feed(struct server *s, const char *text, size_t n)
{
    unsigned count = 0;
    for (size_t at = 4; at + 1 + BENCH_DATA_BYTES <= n && count < BURST_MAX; at += 1 + BENCH_DATA_BYTES)
        put_event(s, count++, text + at + 1);
    fan_out(s, count);
    return 0;
}

static int send_text(struct server *s, struct conn *c, const char *text)
{
    uint8_t frame[FRAME_BYTES_MAX];
    size_t n = strlen(text), head = bench_wire_head(frame, BENCH_WIRE_TEXT, n, NULL);
    memcpy(frame + head, text, n);
    return send_bytes(s, c, frame, head + n);
}

static int take_join(struct server *s, struct conn *c)
{
    if (c->member)
        return -1;
    if (s->member_count == s->member_cap) {
        unsigned cap = s->member_cap ? s->member_cap * 2 : 1024;
        struct conn **members = realloc(s->members, cap * sizeof *members);
        if (!members)
            return -1;
        s->members = members;
        s->member_cap = cap;
    }
    s->members[s->member_count++] = c;
    c->member = s->member_count;
    return send_text(s, c, "{\"type\":\"joined\",\"id\":1,\"room\":\"concept:7\"}");
}

static int take_frame(struct server *s, struct conn *c, const struct bench_wire_frame *frame, uint8_t *payload)
{
    static const char join[] = "{\"type\":\"join\"";
    bench_wire_mask(payload, frame->len, frame->mask);
    if (frame->op != BENCH_WIRE_TEXT)
        return frame->op == BENCH_WIRE_CLOSE ? -1 : 0;
    if (frame->len >= sizeof join - 1 && memcmp(payload, join, sizeof join - 1) == 0)
        return take_join(s, c);
    if (frame->len > 4 && memcmp(payload, "feed", 4) == 0)
        return take_feed(s, (const char *)payload, frame->len);
    return -1;
}

/* The upgrade request: bytes taken, 0 when more must come, -1 when it is none. */
static ssize_t take_request(struct server *s, struct conn *c)
{
    char accept[BENCH_WIRE_ACCEPT_BYTES], answer[256];
    const char *text = (const char *)c->in, *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
    static const char name[] = "\r\nSec-WebSocket-Key: ";
    if (!end)
        return 0;
    const char *key = memmem(text, (size_t)(end - text), name, sizeof name - 1);
    if (!key)
        return -1;
    key += sizeof name - 1;
    bench_wire_accept(key, strcspn(key, "\r"), accept);
    int n = snprintf(answer, sizeof answer,
                     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
                     "Sec-WebSocket-Protocol: sluice.v1\r\n\r\n", accept);
    c->upgraded = true;
    if (send_bytes(s, c, (const uint8_t *)answer, (size_t)n) != 0)
        return -1;
    if (send_text(s, c, "{\"type\":\"welcome\",\"connection\":\"c-raw\",\"user\":\"raw\",\"rooms\":[]}") != 0)
        return -1;
    return end + 4 - text;
}

static int take_input(struct server *s, struct conn *c)
{
    size_t at = 0;
    if (!c->upgraded) {
        ssize_t taken = take_request(s, c);
        if (taken <= 0)
            return (int)taken;
        at = (size_t)taken;
    }
    while (at < c->in_len) {
        struct bench_wire_frame frame;
        int got = bench_wire_read(c->in + at, c->in_len - at, &frame);
        if (got < 0)
            return -1;
        if (got == 0 || frame.len > c->in_len - at - frame.head)
            break;
        if (take_frame(s, c, &frame, c->in + at + frame.head) != 0)
            return -1;
        at += frame.head + frame.len;
    }
    c->in_len -= at;
    memmove(c->in, c->in + at, c->in_len);
    if (c->in_len == 0) {
        free(c->in);
        c->in = NULL;
    }
    return 0;
}

static int read_conn(struct server *s, struct conn *c)
{
    static uint8_t buffer[IN_BYTES_MAX];
    ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
    if (n <= 0)
        return n < 0 && errno == EAGAIN ? 0 : -1;
    if (c->in_len + (size_t)n > IN_BYTES_MAX)
        return -1;
    uint8_t *in = realloc(c->in, c->in_len + (size_t)n);
    if (!in)
        return -1;
    memcpy(in + c->in_len, buffer, (size_t)n);
    c->in = in;
    c->in_len += (size_t)n;
    return take_input(s, c);
}

static void accept_all(struct server *s)
{
    int fd, on = 1, size = (int)s->options.sndbuf;
    while ((fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *c = calloc(1, sizeof *c);
        if (!c) {
            close(fd);
            continue;
        }
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (size)
            setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        if (arm(s, c, EPOLL_CTL_ADD, EPOLLIN) != 0)
            free_conn(s, c);
    }
}

static void handle(struct server *s, const struct epoll_event *event)
{
    struct conn *c = event->data.ptr;
    if ((void *)c == &s->listener) {
        accept_all(s);
    } else if ((void *)c == &s->signals) {
        s->done = true;
    } else {
        int result = 0;
        if ((event->events & EPOLLOUT) && c->rest_len)
            result = flush_rest(s, c);
        if (result == 0 && (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
            result = read_conn(s, c);
        if (result != 0)
            free_conn(s, c);
    }
}

/* A burst of its own making, once all members are there and no socket is full. */
static bool saturate(struct server *s)
{
    if (!s->options.saturate || s->blocked || s->member_count < (unsigned)s->options.members)
        return false;
    char data[BENCH_DATA_BYTES];
    bench_payload_data(data, CONCEPT, bench_now_us());
    for (unsigned i = 0; i < (unsigned)s->options.burst; i++)
        put_event(s, i, data);
    fan_out(s, (unsigned)s->options.burst);
    return true;
}

static void serve(struct server *s)
{
    struct epoll_event events[EVENTS_MAX];
    while (!s->done) {
        bool busy = saturate(s);
        int n = epoll_wait(s->epoll, events, EVENTS_MAX, busy ? 0 : 1000);
        for (int i = 0; i < n; i++)
            handle(s, &events[i]);
    }
}

static int start(struct server *s)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const char *colon = strrchr(s->options.listen, ':');
    address.sin_port = htons((uint16_t)strtol(colon ? colon + 1 : s->options.listen, NULL, 10));
    socklen_t size = sizeof address;
    int on = 1;
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    s->signals = signalfd(-1, &stop, SFD_NONBLOCK | SFD_CLOEXEC);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct epoll_event on_accept = {.events = EPOLLIN, .data.ptr = &s->listener}, on_signal = {.events = EPOLLIN, .data.ptr = &s->signals};
    if (s->signals < 0 || s->epoll < 0 || bind(s->listener, (struct sockaddr *)&address, size) != 0 || listen(s->listener, 1024) != 0 ||
        epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &on_accept) != 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->signals, &on_signal) != 0 ||
        getsockname(s->listener, (struct sockaddr *)&address, &size) != 0) {
        perror("bench_rawref");
        return -1;
    }
    printf("LISTEN=127.0.0.1:%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    static struct server server;
    struct options *o = &server.options;
    *o = (struct options){.listen = "127.0.0.1:0", .cpu = -1, .burst = 1, .members = 1000};
    const struct bench_arg args[] = {
        {"listen", BENCH_ARG_TEXT, &o->listen, 0, 0, "loopback port to serve on, 127.0.0.1:port (0: any)"},
        {"cpu", BENCH_ARG_NUMBER, &o->cpu, 0, 1023, "core to run on"},
        {"coalesce", BENCH_ARG_FLAG, &o->coalesce, 0, 0, "all pending events of a member in one writev"},
        {"saturate", BENCH_ARG_FLAG, &o->saturate, 0, 0, "send by itself, as fast as the sockets take it"},
        {"members", BENCH_ARG_NUMBER, &o->members, 1, 100000, "with --saturate: start when so many have joined (1000)"},
        {"burst", BENCH_ARG_NUMBER, &o->burst, 1, BURST_MAX, "with --saturate: events at once (1)"},
        {"sndbuf", BENCH_ARG_NUMBER, &o->sndbuf, 0, 1L << 24, "SO_SNDBUF in bytes (0: the kernel's)"},
    };
    if (bench_args_parse(argc, argv, args, sizeof args / sizeof *args) != 0)
        return 2;
    if (o->cpu >= 0 && bench_proc_pin((int)o->cpu) != 0) {
        perror("--cpu");
        return 2;
    }
    prctl(PR_SET_NAME, "raw-loop-0");
    bench_proc_raise_files();
    if (start(&server) != 0)
        return 1;
    serve(&server);
    report(&server);
    return 0;
}
