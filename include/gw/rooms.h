/* One loop's rooms: name -> array of members. Belongs to the loop's thread; nothing is locked but the hub's interest
 * table when a room gets its first member or loses its last. */
#ifndef GW_ROOMS_H
#define GW_ROOMS_H

#include "gw/hub.h"
#include "gw/map.h"

struct gw_room;

/* One connection's membership of one room; in a list that begins in the connection. */
struct gw_membership {
    struct gw_room *room;
    void *owner;                /* the connection */
    struct gw_membership *next; /* the owner's next membership */
    uint32_t at;                /* its place in room->member */
    bool automatic;             /* given at welcome, not asked for */
};

struct gw_member {
    void *owner; /* what delivery needs, side by side */
    struct gw_membership *membership;
};

struct gw_room {
    struct gw_member *member;
    uint32_t n, cap;
    struct gw_str name; /* in the room's own memory */
};

struct gw_rooms {
    struct gw_hub *hub;
    unsigned loop;
    size_t rooms_max; /* of the node */
    struct gw_map map;
};

/* The members that one connection has. */
struct gw_memberships {
    struct gw_membership *first;
    uint32_t n;
};

void gw_rooms_init(struct gw_rooms *r, struct gw_hub *hub, unsigned loop, size_t rooms_max);
void gw_rooms_fini(struct gw_rooms *r); /* every member has left */

struct gw_room *gw_rooms_find(const struct gw_rooms *r, struct gw_str name, uint64_t hash);
struct gw_membership *gw_rooms_membership(const struct gw_memberships *of, struct gw_str room);

/* Joins; the hub knows of it when this returns. A second join of the same room is no error (automatic stays as it was). -1: limits.rooms is reached. */
int gw_rooms_join(struct gw_rooms *r, struct gw_memberships *of, void *owner, struct gw_str room, bool automatic);
void gw_rooms_leave(struct gw_rooms *r, struct gw_memberships *of, struct gw_membership *m);
void gw_rooms_leave_all(struct gw_rooms *r, struct gw_memberships *of);

#endif
