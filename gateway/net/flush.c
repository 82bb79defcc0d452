/* Writing: all that is pending for a connection in one write, straight from the hand-over. Nothing here frames or copies for
 * a single frame; connections with the same frames pending share one gathered batch.
 *
 * The rules of this path (RAW writes behind lws's back are outside its documented contract; tests/e2e pins them): every byte
 * goes out by LWS_WRITE_RAW; while lws holds a partial write nothing is written; only a negative return means dead. */
#include "net_private.h"

#include "gw/metrics.h"

void flush_mark(struct session *s)
{
    if (s->dirty || s->blocked || s->dead)
        return;
    s->dirty = true;
    s->dirty_next = s->loop->dirty;
    s->loop->dirty = s;
}

void flush_forget(struct session *s)
{
    if (!s->dirty)
        return;
    struct session **at = &s->loop->dirty;
    while (*at != s)
        at = &(*at)->dirty_next;
    *at = s->dirty_next;
    s->dirty = false;
}

void flush_gauge(struct session *s)
{
    size_t now = s->blocked && !s->dead ? s->out.bytes : 0;
    if (now == s->waiting_bytes)
        return;
    gw_metric_add(GW_M_OUTBOX_BYTES, (int64_t)now - (int64_t)s->waiting_bytes);
    s->waiting_bytes = now;
}

static void block(struct session *s)
{
    if (!s->blocked) {
        s->blocked = true;
        s->blocked_ms = s->loop->now_ms;
    }
    flush_gauge(s);
    lws_callback_on_writable(s->wsi);
}

/* Writes one batch. False: nothing more can be written now. */
static bool write_batch(struct session *s)
{
    struct loop *l = s->loop;
    size_t nframes;
    struct gw_str head = outbox_head(&s->out, &l->batch, WRITE_BYTES_MAX, &nframes);
    int n = lws_write(s->wsi, (unsigned char *)(uintptr_t)head.p, head.len, LWS_WRITE_RAW);
    gw_metric_add(GW_M_WRITES, 1);
    gw_metric_add(GW_M_WRITE_BYTES, (int64_t)head.len);
    outbox_drop(&s->out, &l->chunks, nframes);
    if (n < 0) {
        session_kill(s);
        return false;
    }
    if (lws_partial_buffered(s->wsi)) {
        block(s);
        return false;
    }
    return true;
}

static void write_pending(struct session *s)
{
    if (s->dead || !s->out.first)
        return;
    if (lws_partial_buffered(s->wsi)) {
        block(s);
        return;
    }
    while (s->out.first && write_batch(s))
        ;
}

void flush_dirty(struct loop *l)
{
    while (l->dirty) {
        struct session *s = l->dirty;
        l->dirty = s->dirty_next;
        s->dirty = false;
        write_pending(s);
    }
    batch_reset(&l->batch);
    l->unflushed_bytes = 0;
    if (l->kick) {
        l->kick = false;
        lws_cancel_service(l->lws);
    }
}

void flush_writeable(struct session *s)
{
    if (s->dead)
        return;
    s->blocked = false;
    s->blocked_ms = 0;
    write_pending(s);
    flush_gauge(s);
}
