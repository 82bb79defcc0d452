/* Events: made by the reader, read by the loops, freed by whoever is last. */
#include "gw/event.h"

#include "gw/json.h"
#include "gw/map.h"

#include <stdlib.h>
#include <string.h>

/* The JSON that all receivers of the event share. A key that is not text goes out as base64. */
static void encode_tail(struct gw_buf *b, const struct gw_event_init *in)
{
    gw_buf_add_c(b, ",\"event\":");
    gw_buf_add_json(b, in->name);
    gw_buf_add_c(b, ",\"topic\":");
    gw_buf_add_json(b, in->topic);
    gw_buf_add_c(b, ",\"partition\":");
    gw_buf_add_i64(b, in->partition);
    gw_buf_add_c(b, ",\"offset\":");
    gw_buf_add_i64(b, in->offset);
    if (in->time_ms >= 0) {
        gw_buf_add_c(b, ",\"time\":");
        gw_buf_add_i64(b, in->time_ms);
    }
    if (in->key.p && gw_utf8_valid(in->key)) {
        gw_buf_add_c(b, ",\"key\":");
        gw_buf_add_json(b, in->key);
    } else if (in->key.p) {
        gw_buf_add_c(b, ",\"keyBase64\":\"");
        gw_buf_add_base64(b, in->key.p, in->key.len);
        gw_buf_add_char(b, '"');
    }
    gw_buf_add_c(b, ",\"data\":");
    size_t start = b->len;
    gw_buf_add_str(b, in->data);
    for (char *lf = b->data + start; (lf = memchr(lf, '\n', (size_t)(b->data + b->len - lf)));)
        *lf = ' ';
    gw_buf_add_char(b, '}');
}

static struct gw_str put(char **at, struct gw_str s)
{
    struct gw_str copy = {*at, s.len};
    if (s.len)
        memcpy(*at, s.p, s.len);
    *at += s.len;
    return copy;
}

struct gw_event *gw_event_new(const struct gw_event_init *in, struct gw_buf *scratch)
{
    gw_buf_clear(scratch);
    encode_tail(scratch, in);

    size_t bytes = scratch->len + in->topic.len;
    for (size_t i = 0; i < in->nrooms; i++)
        bytes += in->rooms[i].len;
    struct gw_event *ev = malloc(sizeof(*ev) + in->nrooms * sizeof(struct gw_event_room) + bytes);
    if (!ev)
        abort();
    struct gw_event_room *rooms = (struct gw_event_room *)(ev + 1);
    char *at = (char *)(rooms + in->nrooms);
    *ev = (struct gw_event){.refs = 1, .partition = in->partition, .offset = in->offset, .time_ms = in->time_ms,
                            .rooms = rooms, .nrooms = in->nrooms};
    ev->topic = put(&at, in->topic);
    ev->tail = put(&at, gw_buf_str(scratch));
    for (size_t i = 0; i < in->nrooms; i++) {
        rooms[i].name = put(&at, in->rooms[i]);
        rooms[i].hash = gw_hash(in->rooms[i].p, in->rooms[i].len);
    }
    return ev;
}

struct gw_event *gw_event_ref(struct gw_event *ev)
{
    atomic_fetch_add_explicit(&ev->refs, 1, memory_order_relaxed);
    return ev;
}

void gw_event_unref(struct gw_event *ev)
{
    if (ev && atomic_fetch_sub_explicit(&ev->refs, 1, memory_order_acq_rel) == 1)
        free(ev);
}
