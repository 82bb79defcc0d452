/* Development mode: a key of this checkout, a few people with tokens, and a gentle feed of events. Nothing of it is there
 * without --dev. */
#ifndef GW_DEV_H
#define GW_DEV_H

#include "gw/buf.h"
#include "gw/err.h"
#include "gw/kafka.h"

/* The development key's file in the current directory (.sluice-dev/hs256.secret, mode 0600), made on first use. All --dev
 * nodes of the directory share it. NULL with err. */
const char *gw_dev_key_file(struct gw_err *err);

/* Reads the key. -1 with err. */
int gw_dev_key(struct gw_buf *out, struct gw_err *err);

void gw_dev_people(void *arg, struct gw_buf *json);
int gw_dev_token(void *arg, struct gw_str user, struct gw_buf *json); /* -1: nobody of that name */

/* A thread that produces a demo event every few seconds. */
struct gw_dev_feed;
struct gw_dev_feed *gw_dev_feed_start(struct gw_producer *producer);
void gw_dev_feed_stop(struct gw_dev_feed *f); /* NULL is fine */

#endif
