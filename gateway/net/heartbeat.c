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
    struct loop_position *p = &l->position[pos->index];
    p->topic = pos->topic;
    p->partition = pos->partition;
    p->next_offset = pos->next_offset;
    p->moved_ms = l->now_ms;
}

/* Puts a new position behind the others of its topic. Once for each: frames are then written in one walk. */
static void chain(struct loop *l, size_t i)
{
    struct loop_position *p = &l->position[i];
    size_t head = 0;
    while (head < i && !(l->position[head].heads && gw_str_eq(l->position[head].topic, p->topic)))
        head++;
    p->heads = head == i;
    if (!p->heads)
        l->position[l->position[head].last].next = i;
    l->position[head].last = i;
}

void heartbeat_update(struct loop *l)
{
    if (l->heartbeat) {
        frame_unref(l->heartbeat);
        l->heartbeat = NULL;
    }
    size_t known = l->npositions; /* new ones come in a row: the hub numbers them, and gives out all that are new */
    l->position_version = gw_hub_positions(l->net->hub, l->position_version, take_position, l);
    for (; known < l->npositions; known++)
        chain(l, known);
    loop_take_mail(l, gw_mailbox_len(l->mailbox));
}

static bool has_moved(const struct loop *l, const struct loop_position *p)
{
    int64_t since = l->now_ms - l->net->cfg->ws_heartbeat_s * 1000 - 2 * TICK_MS;
    return p->topic.p && p->moved_ms >= since && p->next_offset > 0;
}

/* Appends the partitions of one topic that moved; nothing where none did. */
static void put_topic(struct loop *l, size_t head, const char **comma)
{
    const struct loop_position *p = &l->position[head];
    size_t n = 0;
    for (; p; p = p->next ? &l->position[p->next] : NULL) {
        if (!has_moved(l, p))
            continue;
        if (n++ == 0) {
            gw_buf_add_c(&l->text, *comma);
            gw_buf_add_json(&l->text, p->topic);
            *comma = ",";
        }
        gw_buf_addf(&l->text, "%s\"%d\":%lld", n == 1 ? ":{" : ",", p->partition, (long long)p->next_offset - 1);
    }
    if (n)
        gw_buf_add_char(&l->text, '}');
}

struct frame *heartbeat_frame(struct loop *l)
{
    if (l->heartbeat)
        return l->heartbeat;
    gw_buf_clear(&l->text);
    gw_buf_add_c(&l->text, "{\"type\":\"heartbeat\",\"positions\":{");
    const char *comma = "";
    for (size_t i = 0; i < l->npositions; i++)
        if (l->position[i].heads)
            put_topic(l, i, &comma);
    gw_buf_add_c(&l->text, "}}");
    l->heartbeat = frame_text(&l->text);
    return l->heartbeat;
}
