/* A hash map from byte strings to pointers: open addressing, linear probing. The map copies its keys, values are the
 * caller's. One owner; no thread safety. Hashes are seeded per process, so that a client cannot choose collisions. */
#ifndef GW_MAP_H
#define GW_MAP_H

#include "gw/buf.h"

#include <stdbool.h>

struct gw_map_slot;
struct gw_map {
    struct gw_map_slot *slots;
    size_t cap; /* power of two, or 0 */
    size_t len;
};

uint64_t gw_hash(const void *p, size_t n);

void gw_map_init(struct gw_map *m);
void gw_map_fini(struct gw_map *m, void (*free_value)(void *)); /* free_value may be NULL */
void *gw_map_get(const struct gw_map *m, struct gw_str key);    /* NULL: not there */
void *gw_map_get_hashed(const struct gw_map *m, struct gw_str key, uint64_t hash);
void *gw_map_put(struct gw_map *m, struct gw_str key, void *value); /* value not NULL; returns the one replaced */
void *gw_map_del(struct gw_map *m, struct gw_str key);              /* returns what was there */

/* Iteration in no order; the map must not change meanwhile. Start with *pos = 0; false at the end. */
bool gw_map_next(const struct gw_map *m, size_t *pos, struct gw_str *key, void **value);

#endif
