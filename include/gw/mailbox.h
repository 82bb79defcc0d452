/* A bounded queue of pointers from any threads to one, with a coalesced wake-up. Order of one sender is kept. */
#ifndef GW_MAILBOX_H
#define GW_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gw_mailbox;
/* Full at `max` items, or at bytes_max bytes and at least one item. */
struct gw_mailbox *gw_mailbox_new(size_t max, size_t bytes_max); /* owned */
void gw_mailbox_free(struct gw_mailbox *m);    /* what is still inside is the caller's to have drained */

/* What gw_mailbox_wake calls, at most once between two drains; set before the first sender starts. Must be safe on any thread. */
void gw_mailbox_on_wake(struct gw_mailbox *m, void (*wake)(void *arg), void *arg);

/* Items are a kind and a pointer; the mailbox owns neither. */
struct gw_mail {
    uint32_t kind;
    uint32_t bytes; /* what it weighs against bytes_max; 0 where that does not matter */
    void *item;
};

bool gw_mailbox_try_put(struct gw_mailbox *m, struct gw_mail mail); /* false: full */
/* Waits for a place. false: closed meanwhile. Wakes the receiver first. */
bool gw_mailbox_put_wait(struct gw_mailbox *m, struct gw_mail mail);
/* Past the bound: for answers whose number is bounded elsewhere (delivery reports, control). Never fails. */
void gw_mailbox_put(struct gw_mailbox *m, struct gw_mail mail);
void gw_mailbox_wake(struct gw_mailbox *m);
void gw_mailbox_close(struct gw_mailbox *m); /* put_wait and try_put refuse from here on */

/* [receiver] Takes up to max items. Call until it returns 0: only then is the next wake-up armed. */
size_t gw_mailbox_take(struct gw_mailbox *m, struct gw_mail *out, size_t max);
size_t gw_mailbox_len(struct gw_mailbox *m);

#endif
