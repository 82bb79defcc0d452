/* The messages of the subprotocol sluice.v1, in and out. docs/protocol.md is the contract; tbl/messages.def, errors.def and
 * close.def are its tables. Nothing here knows of connections. */
#ifndef GW_WIRE_H
#define GW_WIRE_H

#include "gw/buf.h"
#include "gw/err.h"

#include <stdbool.h>
#include <stdint.h>

enum gw_verb {
#define GW_VERB(id, type, may, must) GW_VERB_##id,
#include "gw/tbl/messages.def"
#undef GW_VERB
    GW_VERB_COUNT
};

enum gw_error_code {
#define GW_ERROR(id, code, retry, help) GW_ERROR_##id,
#include "gw/tbl/errors.def"
#undef GW_ERROR
    GW_ERROR_COUNT
};
const char *gw_error_name(enum gw_error_code e);
bool gw_error_retry(enum gw_error_code e);

enum gw_close_code {
#define GW_CLOSE(id, code, back, reason, help) GW_CLOSE_##id = code,
#include "gw/tbl/close.def"
#undef GW_CLOSE
};
const char *gw_close_reason(enum gw_close_code c); /* at most 123 bytes: RFC 6455 section 5.5.1 */

/* One message of a client. Strings are unescaped, in memory of the parser: valid until its next use. */
struct gw_message {
    enum gw_verb verb;
    struct gw_str id;   /* as the client wrote it, a JSON number or string of at most 66 bytes; absent: none */
    struct gw_str token;
    struct gw_str room;
    struct gw_str name;
    struct gw_str key;
    struct gw_str data; /* raw JSON; absent: none */
};

struct gw_wire;
struct gw_wire *gw_wire_new(unsigned depth_max); /* a parser with its scratch; one thread */
void gw_wire_free(struct gw_wire *w);

/* 0, or -1 with the error's code and text for the client. out->id is set whenever it could be read. */
int gw_wire_parse(struct gw_wire *w, struct gw_str text, struct gw_message *out, enum gw_error_code *code,
                  struct gw_err *err);

/* ---- out: each appends one JSON object; `id` is the raw JSON of the message that is answered, or absent ---- */
struct gw_wire_welcome {
    struct gw_str id, connection, user;
    const struct gw_str *rooms;
    size_t nrooms;
    int64_t expires_ms; /* INT64_MAX: none */
    int64_t heartbeat_s, message_bytes, rooms_max, in_flight;
};
void gw_wire_put_welcome(struct gw_buf *b, const struct gw_wire_welcome *w);
void gw_wire_put_renewed(struct gw_buf *b, const struct gw_wire_welcome *w); /* id, user, rooms, expires */
void gw_wire_put_room(struct gw_buf *b, const char *type, struct gw_str id, struct gw_str room, const char *reason);
void gw_wire_put_ack(struct gw_buf *b, struct gw_str id, struct gw_str topic, int32_t partition, int64_t offset,
                     struct gw_str event_id);
void gw_wire_put_error(struct gw_buf *b, struct gw_str id, enum gw_error_code code, const char *message);
void gw_wire_put_pong(struct gw_buf *b, struct gw_str id);
void gw_wire_put_number(struct gw_buf *b, const char *type, const char *field, int64_t value); /* expiring, reconnect */
void gw_wire_put_status(struct gw_buf *b, const char *kafka);

#endif
