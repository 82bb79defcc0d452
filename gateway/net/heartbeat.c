/* Heartbeats: which partitions moved, "complete up to here". One frame a tick, shared by all whose turn it is.
 *
 * Order is what makes the positions true: they are read first, then the mailbox is emptied (every event below them was put in
 * before they were published), then the frame goes out behind those events. */
#include "net_private.h"

static void take_position(const struct gw_hub_position *pos, void *arg)
{
    struct loop *l = arg;
    if (pos->index >= l->npositions) {
        l->position = gw_realloc(l->position, (pos->index + 1) * sizeof(*l->position));
        for (size_t i = l->npositions; i <= pos->index; i++)
            l->position[i] = (struct loop_position){0};
        l->npositions = pos->index + 1;
    }
    l->position[pos->index] = (struct loop_position){pos->topic, pos->partition, pos->next_offset, l->now_ms};
}

void heartbeat_update(struct loop *l)
{
    if (l->heartbeat) {
        frame_unref(l->heartbeat);
        l->heartbeat = NULL;
    }
    l->position_version = gw_hub_positions(l->net->hub, l->position_version, take_position, l);
    loop_take_mail(l, gw_mailbox_len(l->mailbox));
}

static bool has_moved(const struct loop *l, const struct loop_position *p)
{
    int64_t since = l->now_ms - l->net->cfg->ws_heartbeat_s * 1000 - 2 * TICK_MS;
    return p->topic.p && p->moved_ms >= since && p->next_offset > 0;
}

/* Appends the moved partitions of one topic, from index i on, and marks nothing: topics are few, partitions come in order. */
static void put_topic(struct loop *l, size_t i)
{
    struct gw_str topic = l->position[i].topic;
    gw_buf_add_json(&l->text, topic);
    gw_buf_add_c(&l->text, ":{");
    const char *comma = "";
    for (; i < l->npositions; i++) {
        const struct loop_position *p = &l->position[i];
        if (!has_moved(l, p) || !gw_str_eq(p->topic, topic))
            continue;
        gw_buf_addf(&l->text, "%s\"%d\":%lld", comma, p->partition, (long long)p->next_offset - 1);
        comma = ",";
    }
    gw_buf_add_char(&l->text, '}');
}

static bool topic_is_done(const struct loop *l, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (has_moved(l, &l->position[k]) && gw_str_eq(l->position[k].topic, l->position[i].topic))
            return true;
    return false;
}

struct frame *heartbeat_frame(struct loop *l)
{
    if (l->heartbeat)
        return l->heartbeat;
    gw_buf_clear(&l->text);
    gw_buf_add_c(&l->text, "{\"type\":\"heartbeat\",\"positions\":{");
    const char *comma = "";
    for (size_t i = 0; i < l->npositions; i++) {
        if (!has_moved(l, &l->position[i]) || topic_is_done(l, i))
            continue;
        gw_buf_add_c(&l->text, comma);
        put_topic(l, i);
        comma = ",";
    }
    gw_buf_add_c(&l->text, "}}");
    l->heartbeat = frame_text(&l->text);
    return l->heartbeat;
}
