/* What waits to be written to one connection: references to frames, in chunks from a pool of the loop. No allocation for each delivery. */
#ifndef GW_OUTBOX_H
#define GW_OUTBOX_H

#include "frame.h"

#define CHUNK_FRAMES 14
#define CHUNKS_KEPT 65536 /* 8 MiB: one chunk for each of 65536 connections at one time */

struct chunk {
    struct chunk *next;
    uint32_t head, len; /* frames [head, head + len) */
    struct frame *f[CHUNK_FRAMES];
};

struct chunk_pool {
    struct chunk *free;
    size_t n; /* of them; at most CHUNKS_KEPT are kept */
};
void chunk_pool_fini(struct chunk_pool *pool);

struct outbox {
    struct chunk *first, *last;
    size_t bytes;
};

/* Takes a reference of its own. */
void outbox_push(struct outbox *o, struct chunk_pool *pool, struct frame *f);
void outbox_clear(struct outbox *o, struct chunk_pool *pool);

/* A run of frames put together for one write. Connections with the same frames pending share it. */
struct batch {
    struct gw_buf bytes;
    struct frame **frames; /* one reference each */
    size_t n, cap;
};
void batch_fini(struct batch *b);
void batch_reset(struct batch *b);

/* What to write next: frames from the head, as many as fit into bytes_max, at least one. They stay in the outbox. */
struct gw_str outbox_head(const struct outbox *o, struct batch *b, size_t bytes_max, size_t *nframes);
void outbox_drop(struct outbox *o, struct chunk_pool *pool, size_t nframes);

#endif
