/*
 * bench_produce: feeds a Kafka topic with the benchmarks' event at a rate, in bursts; or, with --serve, is the broker for a
 * benchmark that has none (librdkafka's mock cluster: memory only, one partition). Beside bench_load, which can feed by itself
 * but cannot when several of it share the work. Main thread; it measures nothing.
 */
#include "args.h"
#include "kafka.h"
#include "payload.h"
#include "proc.h"

#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

struct options {
    const char *brokers, *topic;
    long burst, concept, cpu;
    double rate, seconds;
    bool serve;
};

static int parse(struct options *o, int argc, char **argv)
{
    const struct bench_arg args[] = {
        {"brokers", BENCH_ARG_TEXT, &o->brokers, 0, 0, "bootstrap brokers to produce to"},
        {"topic", BENCH_ARG_TEXT, &o->topic, 0, 0, "topic (bench-events)"},
        {"rate", BENCH_ARG_REAL, &o->rate, 1, 10000000, "events a second (100)"},
        {"burst", BENCH_ARG_NUMBER, &o->burst, 1, 100000, "events produced at once, as one batch (1)"},
        {"concept", BENCH_ARG_NUMBER, &o->concept, 0, 999999999, "conceptId of the events (7)"},
        {"seconds", BENCH_ARG_REAL, &o->seconds, 0, 86400, "how long (5)"},
        {"cpu", BENCH_ARG_NUMBER, &o->cpu, 0, 1023, "core to run on"},
        {"serve", BENCH_ARG_FLAG, &o->serve, 0, 0, "produce nothing: serve as the broker, print BROKERS=host:port, until SIGTERM"},
    };
    return bench_args_parse(argc, argv, args, sizeof args / sizeof *args);
}

static int serve(const struct options *o)
{
    sigset_t stop;
    int caught;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    struct bench_broker *broker = bench_broker_new(o->topic);
    if (!broker)
        return 1;
    printf("BROKERS=%s\n", bench_broker_address(broker));
    fflush(stdout);
    sigwait(&stop, &caught);
    bench_broker_free(broker);
    return 0;
}

static void sleep_until(uint64_t due_us)
{
    struct timespec due = {(time_t)(due_us / 1000000), (long)(due_us % 1000000) * 1000};
    clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &due, NULL);
}

static int produce(const struct options *o)
{
    char key[24], data[BENCH_DATA_BYTES];
    struct bench_producer *producer = bench_producer_new(o->brokers, o->topic, (unsigned)o->burst);
    if (!producer)
        return 1;
    snprintf(key, sizeof key, "%ld", o->concept);
    uint64_t events = 0, begin = bench_now_us(), due = begin, end = begin + (uint64_t)(o->seconds * 1e6);
    int failed = 0;
    while (due < end && !failed) {
        sleep_until(due);
        bench_payload_data(data, (uint64_t)o->concept, due);
        for (long i = 0; i < o->burst && !failed; i++, events++)
            failed = bench_producer_send(producer, key, data, sizeof data) != 0;
        bench_producer_poll(producer);
        due = begin + (uint64_t)((double)events * 1e6 / o->rate);
    }
    double seconds = (double)(bench_now_us() - begin) / 1e6;
    uint64_t lost = bench_producer_free(producer, 5000);
    fprintf(stderr, "%" PRIu64 " events in %.2f s, %" PRIu64 " refused\n", events, seconds, lost);
    return failed || lost ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct options options = {.topic = "bench-events", .burst = 1, .concept = 7, .cpu = -1, .rate = 100, .seconds = 5};
    if (parse(&options, argc, argv) != 0)
        return 2;
    if (options.cpu >= 0 && bench_proc_pin((int)options.cpu) != 0) {
        perror("--cpu");
        return 2;
    }
    if (options.serve)
        return serve(&options);
    if (!options.brokers) {
        fprintf(stderr, "--brokers or --serve is needed\n");
        return 2;
    }
    return produce(&options);
}
