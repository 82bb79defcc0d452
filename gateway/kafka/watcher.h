/* The watcher's state: what Kafka has, and what of it the reader was told to read. Private to gateway/kafka/; all of it belongs to
 * the watcher's thread. */
#ifndef GW_KAFKA_WATCHER_H
#define GW_KAFKA_WATCHER_H

#include "reader.h"

/* Where a partition is to start. */
enum gw_from {
    GW_FROM_END,       /* it was there when its topic was first looked at */
    GW_FROM_BEGINNING, /* it was made while the gateway runs: nothing of it may be lost */
    GW_FROM_POSITION,  /* Kafka said that there is no such offset: is it gone, or was the topic made again? */
};

struct gw_watch_part {
    bool given;       /* the reader has been told where to start */
    enum gw_from from;
    int64_t position; /* FROM_POSITION */
    int32_t leader;   /* -1: none */
    int64_t retry_ms; /* monotonic; not to be asked for before */
    int64_t backoff_ms; /* 0: has not failed yet */
};

struct gw_watch_topic {
    char *name;             /* owned */
    rd_kafka_topic_t *rkt;  /* owned; for topics that are asked for one by one; else NULL */
    bool wanted;            /* some route reads it */
    enum gw_from from;      /* where partitions start that are not known yet: from its end where it was there when it was first looked
                               at; from the beginning once it has been missing, or has had its first partitions */
    unsigned misses;        /* listings in a row without it, or with fewer partitions */
    unsigned listing;       /* the last one that had it */
    struct gw_watch_part *parts; /* owned; none where it is not wanted, or not there */
    int32_t nparts;
};

struct gw_watch {
    struct gw_reader *r;
    struct gw_map topics;    /* name -> struct gw_watch_topic: those asked for, or all of the cluster where a full list was read */
    char **exact;            /* owned copies: routes may be replaced while Kafka is being asked */
    size_t nexact;
    bool by_list;            /* topics come from a list of the whole cluster, not from questions for single ones */
    bool full_listed;        /* `topics` is that list as it was last time */
    unsigned listing;        /* number of the listing at hand */
    unsigned routes_version;
    bool listed;             /* a listing has succeeded */
    bool suspicious;         /* something is missing: look again soon */
    int64_t refresh_ms, health_ms; /* when they are due, monotonic */
    int64_t started_ms;      /* monotonic */
    int64_t answered_ms;     /* when Kafka last answered, monotonic; 0: never */
    struct gw_notes orders;  /* collected, then given at once */
    int norders;
};

/* topics.c */
void gw_watch_take_routes(struct gw_watch *w);
int gw_watch_list(struct gw_watch *w);            /* 0: Kafka answered */
int gw_watch_ping(struct gw_watch *w);            /* 0: Kafka answered */
void gw_watch_free_topics(struct gw_watch *w);
struct gw_watch_part *gw_watch_find(struct gw_watch *w, const char *topic, int32_t partition);
void gw_watch_order(struct gw_watch *w, enum gw_note_kind kind, const char *topic, int32_t partition, int64_t offset);
void gw_watch_give_orders(struct gw_watch *w);

/* offsets.c: finds the starts of partitions that wait for one, and orders them as they become known. Returns when the next
 * try is due, monotonic ms; INT64_MAX: nothing waits. */
int64_t gw_watch_resolve(struct gw_watch *w);

#endif
