/* The reader's inside. Private to gateway/kafka/.
 *
 * Two threads. sluice-reader alone touches the assignment, positions and routes: it takes records and hands them to the
 * hub (poll.c). sluice-kafka, the watcher, alone asks Kafka questions that may take their time: is it there, which
 * topics are there, where do partitions begin and end (watcher.c, topics.c, offsets.c). They talk through two lists of notes under one
 * lock: orders to the reader, reports to the watcher. */
#ifndef GW_KAFKA_READER_H
#define GW_KAFKA_READER_H

#include "client.h"
#include "dlt.h"

#include "gw/map.h"

#define GW_KAFKA_PARTITIONS_MAX 100000 /* of one topic; more are not believed */

/* ---- notes ---- */
enum gw_note_kind {
    GW_NOTE_START,   /* order: read the partition from `offset` on (from there again where it is being read) */
    GW_NOTE_DROP,    /* order: read it no more */
    GW_NOTE_FORGET,  /* order: the same where Kafka no longer has it */
    GW_NOTE_RESET,   /* report: Kafka has no `offset` in this partition, nothing is fetched until it is started again */
    GW_NOTE_REFUSED, /* report: could not be started at `offset` */
};
struct gw_note {
    struct gw_note *next;
    enum gw_note_kind kind;
    char *topic; /* owned */
    int32_t partition;
    int64_t offset;
};
struct gw_notes {
    struct gw_note *first, **last;
};

void gw_notes_init(struct gw_notes *l);
void gw_notes_add(struct gw_notes *l, enum gw_note_kind kind, const char *topic, int32_t partition, int64_t offset);
void gw_notes_take(struct gw_notes *from, struct gw_notes *to); /* moves all of them to the end of `to` */
void gw_notes_fini(struct gw_notes *l);

/* ---- what is being read ---- */
struct gw_part {
    struct gw_read_topic *topic;
    int32_t id;
    bool touched;             /* [reader] had a record or an end since the last flush */
    _Atomic int64_t position; /* next offset; written by the reader */
};
struct gw_read_topic {
    char *name; /* owned */
    struct gw_topic_routes *routes; /* [reader] owned; NULL until the first record, and after a reload */
    struct gw_part **parts;   /* [parts_lock] by id; NULL: not read */
    size_t nparts;            /* [parts_lock] */
};

struct gw_watch; /* the watcher's own state, watcher.h */

struct gw_reader {
    const struct gw_config *cfg; /* [const] borrowed */
    struct gw_hub *hub;          /* [const] borrowed */
    gw_kafka_state_fn on_state;  /* [const] */
    void *on_state_arg;          /* [const] */
    struct gw_dlt *dlt;          /* [const] owned; used by the reader's thread */
    struct gw_kafka_client client;
    rd_kafka_t *rk;              /* [const] owned */
    rd_kafka_queue_t *queue;     /* [const] the consumer's queue, to wake its poller */
    pthread_t reader_thread, watcher_thread;
    atomic_bool stop;

    pthread_mutex_t lock;
    pthread_cond_t watcher_wake; /* with lock, CLOCK_MONOTONIC */
    pthread_cond_t routes_taken; /* with lock */
    struct gw_notes orders;      /* [lock] */
    struct gw_notes reports;     /* [lock] */
    atomic_bool have_orders;     /* so that the reader looks without the lock */
    const struct gw_routes *routes; /* [lock] borrowed; the newest */
    atomic_uint routes_version;  /* written under lock */
    unsigned routes_reader_has;  /* [lock] */
    bool reader_ended;           /* [lock] */

    atomic_int state;            /* enum gw_kafka_state; written by the watcher */
    atomic_bool listed;          /* the first topic list has been read */
    atomic_int unresolved;       /* partitions with a leader whose start is not known yet */
    atomic_int ordered;          /* orders that the reader has not carried out yet */
    atomic_bool settled;         /* all of them were started, once */

    pthread_mutex_t parts_lock;  /* held by the reader to change the tables, by others to read them */
    struct gw_map topics;        /* [parts_lock] name -> struct gw_read_topic */

    /* [reader] */
    const struct gw_routes *routes_now;
    unsigned routes_now_version;
    struct gw_route_scratch *scratch;
    struct gw_read_topic *last_topic; /* of the last record: the next one is mostly of the same */
    struct gw_part **touched;
    size_t ntouched, touched_cap;
    struct gw_record_header *headers;
    size_t headers_cap;
    int64_t batch_records, batch_bytes; /* not yet in the metrics */
};

void *gw_reader_thread(void *arg);  /* poll.c */
void *gw_watcher_thread(void *arg); /* watcher.c */

/* [reader] assign.c */
void gw_assign_carry_out(struct gw_reader *r);  /* the orders at hand */
void gw_assign_free(struct gw_reader *r);       /* [main] at the end: the tables, not the assignment */
struct gw_part *gw_assign_find(struct gw_reader *r, const char *topic, int32_t partition);
void gw_assign_forget_routes(struct gw_reader *r);

/* [any thread] */
void gw_reader_order(struct gw_reader *r, struct gw_notes *orders);   /* takes them all */
void gw_reader_report(struct gw_reader *r, enum gw_note_kind kind, const char *topic, int32_t partition, int64_t offset);

#endif
