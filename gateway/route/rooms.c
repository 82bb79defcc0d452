/* The rooms of one record, without repeats. A handful is compared one by one; from there on a hash table answers, so that
 * an array of thousands of ids costs no more for each of them. Nothing is allocated once the set has seen its largest
 * record. On the thread of the scratch. */
#include "route_private.h"

#include "gw/map.h"

#include <stdlib.h>
#include <string.h>

#define ROOMS_SCANNED 8

void room_set_fini(struct room_set *rs)
{
    free(rs->spans);
    free(rs->names);
    free(rs->cells);
    *rs = (struct room_set){0};
}

void room_set_clear(struct room_set *rs)
{
    rs->n = 0;
    rs->indexed = false;
}

static bool span_is(const struct room_span *span, const struct gw_buf *text, struct gw_str name)
{
    return span->len == name.len && memcmp(text->data + span->start, name.p, name.len) == 0;
}

void room_set_reserve(struct room_set *rs, size_t rooms_max)
{
    size_t want = 4 * ROOMS_SCANNED;
    while (want < 2 * rooms_max) /* never more than half full: room_set_add keeps to rooms_max */
        want *= 2;
    if (want <= rs->ncells)
        return;
    free(rs->cells);
    rs->cells = gw_alloc(want * sizeof(*rs->cells));
    rs->ncells = want;
    rs->round = 0;
}

static void start_round(struct room_set *rs, size_t rooms_max)
{
    room_set_reserve(rs, rooms_max);
    if (++rs->round == 0) {
        memset(rs->cells, 0, rs->ncells * sizeof(*rs->cells));
        rs->round = 1;
    }
}

/* The cell of the name, or the free one where it would be. */
static struct room_cell *find_cell(struct room_set *rs, const struct gw_buf *text, struct gw_str name)
{
    for (size_t i = gw_hash(name.p, name.len) & (rs->ncells - 1);; i = (i + 1) & (rs->ncells - 1)) {
        struct room_cell *cell = &rs->cells[i];
        if (cell->round != rs->round || span_is(&rs->spans[cell->index], text, name))
            return cell;
    }
}

static void index_spans(struct room_set *rs, const struct gw_buf *text, size_t rooms_max)
{
    start_round(rs, rooms_max);
    for (uint32_t i = 0; i < rs->n; i++) {
        const struct room_span *span = &rs->spans[i];
        *find_cell(rs, text, (struct gw_str){text->data + span->start, span->len}) =
            (struct room_cell){rs->round, i};
    }
    rs->indexed = true;
}

static bool seen_by_scan(const struct room_set *rs, const struct gw_buf *text, struct gw_str name)
{
    for (size_t i = 0; i < rs->n; i++)
        if (span_is(&rs->spans[i], text, name))
            return true;
    return false;
}

static void append(struct room_set *rs, struct room_span span)
{
    if (rs->n == rs->cap) {
        rs->cap = rs->cap ? rs->cap * 2 : 2 * ROOMS_SCANNED;
        rs->spans = gw_realloc(rs->spans, rs->cap * sizeof(*rs->spans));
        rs->names = gw_realloc(rs->names, rs->cap * sizeof(*rs->names));
    }
    rs->spans[rs->n++] = span;
}

enum gw_route_reason room_set_add(struct room_set *rs, struct gw_buf *text, size_t start, size_t rooms_max)
{
    struct gw_str name = {text->data + start, text->len - start};
    struct room_cell *cell = NULL;
    bool seen;

    if (!gw_room_name_valid(name))
        return GW_ROUTE_BAD_ROOM;
    if (rs->n < ROOMS_SCANNED) {
        seen = seen_by_scan(rs, text, name);
    } else {
        if (!rs->indexed)
            index_spans(rs, text, rooms_max);
        cell = find_cell(rs, text, name);
        seen = cell->round == rs->round;
    }
    if (seen) {
        text->len = start;
        return GW_ROUTE_OK;
    }
    if (rs->n >= rooms_max)
        return GW_ROUTE_TOO_MANY;
    if (cell)
        *cell = (struct room_cell){rs->round, (uint32_t)rs->n};
    append(rs, (struct room_span){start, name.len});
    return GW_ROUTE_OK;
}

const struct gw_str *room_set_names(struct room_set *rs, const struct gw_buf *text)
{
    for (size_t i = 0; i < rs->n; i++)
        rs->names[i] = (struct gw_str){text->data + rs->spans[i].start, rs->spans[i].len};
    return rs->names;
}
