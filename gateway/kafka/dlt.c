/* Dead letters. On the reader's thread but for the delivery reports, which come on the producer's. Keeps no records: what no
 * topic takes is counted, logged and gone. */
#include "dlt.h"

#include "gw/clock.h"
#include "gw/log.h"
#include "gw/metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_MS 1000
#define WAIT_STEP_US 5000
#define OWN_HEADERS 8

struct gw_dlt {
    struct gw_producer *producer; /* [const] borrowed; NULL: count and log only */
    const char *suffix;           /* [const] borrowed from the configuration */
    const char *node;             /* [const] borrowed from the configuration */
    bool choked;                  /* the last one found no room */
    struct gw_buf topic;          /* scratch */
    struct gw_record_header *headers; /* scratch, owned */
    size_t headers_cap;
};

struct gw_dlt *gw_dlt_new(const struct gw_config *cfg, struct gw_producer *producer)
{
    struct gw_dlt *d = gw_alloc(sizeof(*d));
    d->producer = cfg->kafka_dlt ? producer : NULL;
    d->suffix = cfg->kafka_dlt_suffix;
    d->node = cfg->kafka_client_id;
    gw_buf_init(&d->topic);
    return d;
}

void gw_dlt_free(struct gw_dlt *d)
{
    if (!d)
        return;
    gw_buf_fini(&d->topic);
    free(d->headers);
    free(d);
}

/* arg: the topic's name, owned */
static void on_done(void *arg, const struct gw_produced *result)
{
    gw_metric_add(result->ok ? GW_M_DLT : GW_M_DLT_FAILED, 1);
    if (!result->ok)
        GW_LOG(GW_LOG_WARN, "dlt.failed", GW_KS("topic", arg), GW_KS("text", result->error));
    free(arg);
}

/* The suffix alone would make a topic's letters their own source. */
static bool is_dlt_topic(const struct gw_dlt *d, struct gw_str topic)
{
    size_t n = strlen(d->suffix);
    return n == 0 || (topic.len >= n && memcmp(topic.p + topic.len - n, d->suffix, n) == 0);
}

static void own_header(struct gw_record_header *h, const char *name, const char *value)
{
    h->name = gw_str_of(name);
    h->value = gw_str_of(value);
}

/* The record's own headers, then where it comes from and why. numbers must outlive the use. */
static size_t fill_headers(struct gw_dlt *d, const struct gw_record *rec, enum gw_route_reason reason, const char *text,
                           char numbers[4][24])
{
    if (d->headers_cap < rec->nheaders + OWN_HEADERS) {
        d->headers_cap = rec->nheaders + OWN_HEADERS;
        d->headers = gw_realloc(d->headers, d->headers_cap * sizeof(*d->headers));
    }
    if (rec->nheaders > 0)
        memcpy(d->headers, rec->headers, rec->nheaders * sizeof(*d->headers));
    struct gw_record_header *h = d->headers + rec->nheaders;
    snprintf(numbers[0], sizeof(numbers[0]), "%" PRId32, rec->partition);
    snprintf(numbers[1], sizeof(numbers[1]), "%" PRId64, rec->offset);
    snprintf(numbers[2], sizeof(numbers[2]), "%" PRId64, rec->time_ms);
    own_header(h++, "sluice.reason", gw_route_reason_name(reason));
    own_header(h++, "sluice.error", text);
    *h++ = (struct gw_record_header){GW_STR("sluice.topic"), rec->topic};
    own_header(h++, "sluice.partition", numbers[0]);
    own_header(h++, "sluice.offset", numbers[1]);
    own_header(h++, "sluice.timestamp", numbers[2]);
    own_header(h++, "sluice.node", d->node);
    return (size_t)(h - d->headers);
}

/* A value that the producer does not take whole is left out, and its size told: where it lies is in the headers. */
static enum gw_send send_one(struct gw_dlt *d, struct gw_produce *out, char number[24], struct gw_err *err)
{
    enum gw_send result = gw_producer_send_dlt(d->producer, out, err);
    if (result != GW_SEND_TOO_LARGE || out->value.len == 0)
        return result;
    snprintf(number, 24, "%zu", out->value.len);
    own_header(&d->headers[out->nheaders++], "sluice.value_bytes", number);
    out->value = GW_STR("");
    *err = (struct gw_err){0};
    return gw_producer_send_dlt(d->producer, out, err);
}

static int produce(struct gw_dlt *d, const struct gw_record *rec, enum gw_route_reason reason, const char *text,
                   struct gw_err *err)
{
    char numbers[4][24];
    gw_buf_clear(&d->topic);
    gw_buf_add_str(&d->topic, rec->topic);
    gw_buf_add_c(&d->topic, d->suffix);
    struct gw_produce out = {.topic = gw_buf_c(&d->topic), .key = rec->key, .value = rec->value, .done = on_done};
    out.nheaders = fill_headers(d, rec, reason, text, numbers);
    out.headers = d->headers;
    out.arg = gw_str_dup(rec->topic);
    int64_t until = gw_clock_mono_ms() + (d->choked ? 0 : WAIT_MS);
    enum gw_send result;
    while ((result = send_one(d, &out, numbers[3], err)) == GW_SEND_FULL && gw_clock_mono_ms() < until) {
        usleep(WAIT_STEP_US);
        *err = (struct gw_err){0};
    }
    d->choked = result == GW_SEND_FULL;
    if (result == GW_SEND_OK)
        return 0;
    free(out.arg);
    return -1;
}

void gw_dlt_take(struct gw_dlt *d, const struct gw_record *rec, enum gw_route_reason reason, const char *text)
{
    GW_LOG(GW_LOG_WARN, "record.refused", GW_KV("topic", rec->topic), GW_KI("partition", rec->partition), GW_KI("offset", rec->offset),
           GW_KS("reason", gw_route_reason_name(reason)), GW_KS("text", text));
    if (!d->producer || is_dlt_topic(d, rec->topic))
        return;
    struct gw_err err = {0};
    if (produce(d, rec, reason, text, &err) == 0)
        return;
    gw_metric_add(GW_M_DLT_FAILED, 1);
    GW_LOG(GW_LOG_WARN, "dlt.failed", GW_KV("topic", rec->topic), GW_KS("text", err.text));
}
