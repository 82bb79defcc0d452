/* One loop's rooms. Members stand in an array, so that delivery walks memory in order; leaving swaps the last one in. */
#include "gw/rooms.h"

#include "gw/metrics.h"

#include <stdlib.h>
#include <string.h>

void gw_rooms_init(struct gw_rooms *r, struct gw_hub *hub, unsigned loop, size_t rooms_max)
{
    *r = (struct gw_rooms){.hub = hub, .loop = loop, .rooms_max = rooms_max};
}

void gw_rooms_fini(struct gw_rooms *r)
{
    gw_map_fini(&r->map, NULL);
}

struct gw_room *gw_rooms_find(const struct gw_rooms *r, struct gw_str name, uint64_t hash)
{
    return gw_map_get_hashed(&r->map, name, hash);
}

struct gw_membership *gw_rooms_membership(const struct gw_memberships *of, struct gw_str room)
{
    for (struct gw_membership *m = of->first; m; m = m->next)
        if (gw_str_eq(m->room->name, room))
            return m;
    return NULL;
}

static struct gw_room *new_room(struct gw_rooms *r, struct gw_str name)
{
    if ((size_t)gw_metric_sum(GW_M_ROOMS) >= r->rooms_max) {
        gw_metric_add(GW_M_LIMIT_ROOMS, 1);
        return NULL;
    }
    struct gw_room *room = gw_alloc(sizeof(*room) + name.len);
    memcpy(room + 1, name.p, name.len);
    room->name = (struct gw_str){(char *)(room + 1), name.len};
    gw_map_put(&r->map, name, room);
    gw_metric_add(GW_M_ROOMS, 1);
    gw_hub_want(r->hub, r->loop, name);
    return room;
}

static void drop_room(struct gw_rooms *r, struct gw_room *room)
{
    gw_hub_unwant(r->hub, r->loop, room->name);
    gw_map_del(&r->map, room->name);
    gw_metric_add(GW_M_ROOMS, -1);
    free(room->member);
    free(room);
}

int gw_rooms_join(struct gw_rooms *r, struct gw_memberships *of, void *owner, struct gw_str name, bool automatic)
{
    struct gw_room *room = gw_map_get(&r->map, name);
    if (room && gw_rooms_membership(of, name))
        return 0;
    if (!room && !(room = new_room(r, name)))
        return -1;
    if (room->n == room->cap) {
        room->cap = room->cap ? room->cap * 2 : 1;
        room->member = gw_realloc(room->member, room->cap * sizeof(*room->member));
    }
    struct gw_membership *m = gw_alloc(sizeof(*m));
    *m = (struct gw_membership){.room = room, .owner = owner, .next = of->first, .at = room->n, .automatic = automatic};
    room->member[room->n++] = (struct gw_member){owner, m};
    of->first = m;
    of->n++;
    gw_metric_add(GW_M_MEMBERSHIPS, 1);
    return 0;
}

/* Takes m out of its room; the owner's list is the caller's. */
static void remove_member(struct gw_rooms *r, struct gw_membership *m)
{
    struct gw_room *room = m->room;
    struct gw_member last = room->member[--room->n];
    room->member[m->at] = last;
    last.membership->at = m->at;
    if (room->n == 0)
        drop_room(r, room);
    gw_metric_add(GW_M_MEMBERSHIPS, -1);
    free(m);
}

void gw_rooms_leave(struct gw_rooms *r, struct gw_memberships *of, struct gw_membership *m)
{
    struct gw_membership **at = &of->first;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    of->n--;
    remove_member(r, m);
}

void gw_rooms_leave_all(struct gw_rooms *r, struct gw_memberships *of)
{
    while (of->first) {
        struct gw_membership *m = of->first;
        of->first = m->next;
        remove_member(r, m);
    }
    of->n = 0;
}
