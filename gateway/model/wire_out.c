/* Messages to clients, and the names and texts of the protocol's tables. Pure functions; any thread. */
#include "gw/wire.h"

static const struct {
    const char *name;
    bool retry;
} errors[] = {
#define GW_ERROR(id, code, retry, help) {code, retry},
#include "gw/tbl/errors.def"
#undef GW_ERROR
};

const char *gw_error_name(enum gw_error_code e)
{
    return errors[e].name;
}

bool gw_error_retry(enum gw_error_code e)
{
    return errors[e].retry;
}

const char *gw_close_reason(enum gw_close_code c)
{
    switch (c) {
#define GW_CLOSE(id, code, back, reason, help) \
    case GW_CLOSE_##id: \
        return reason;
#include "gw/tbl/close.def"
#undef GW_CLOSE
    }
    return "";
}

static void open_message(struct gw_buf *b, const char *type, struct gw_str id)
{
    gw_buf_addf(b, "{\"type\":\"%s\"", type);
    if (id.p) {
        gw_buf_add_c(b, ",\"id\":");
        gw_buf_add_str(b, id);
    }
}

static void add_string(struct gw_buf *b, const char *field, struct gw_str value)
{
    gw_buf_addf(b, ",\"%s\":", field);
    gw_buf_add_json(b, value);
}

static void add_number(struct gw_buf *b, const char *field, int64_t value)
{
    gw_buf_addf(b, ",\"%s\":", field);
    gw_buf_add_i64(b, value);
}

static void add_who(struct gw_buf *b, const struct gw_wire_welcome *w)
{
    add_string(b, "user", w->user);
    gw_buf_add_c(b, ",\"rooms\":[");
    for (size_t i = 0; i < w->nrooms; i++) {
        if (i)
            gw_buf_add_char(b, ',');
        gw_buf_add_json(b, w->rooms[i]);
    }
    gw_buf_add_char(b, ']');
    if (w->expires_ms != INT64_MAX)
        add_number(b, "expires", w->expires_ms / 1000);
}

void gw_wire_put_welcome(struct gw_buf *b, const struct gw_wire_welcome *w)
{
    open_message(b, "welcome", w->id);
    add_string(b, "connection", w->connection);
    add_who(b, w);
    add_number(b, "heartbeat", w->heartbeat_s);
    gw_buf_addf(b, ",\"limits\":{\"messageBytes\":%lld,\"rooms\":%lld,\"inFlight\":%lld}}", (long long)w->message_bytes,
                (long long)w->rooms_max, (long long)w->in_flight);
}

void gw_wire_put_renewed(struct gw_buf *b, const struct gw_wire_welcome *w)
{
    open_message(b, "renewed", w->id);
    add_who(b, w);
    gw_buf_add_char(b, '}');
}

void gw_wire_put_room(struct gw_buf *b, const char *type, struct gw_str id, struct gw_str room, const char *reason)
{
    open_message(b, type, id);
    add_string(b, "room", room);
    if (reason)
        add_string(b, "reason", gw_str_of(reason));
    gw_buf_add_char(b, '}');
}

void gw_wire_put_ack(struct gw_buf *b, struct gw_str id, struct gw_str topic, int32_t partition, int64_t offset,
                     struct gw_str event_id)
{
    open_message(b, "ack", id);
    add_string(b, "topic", topic);
    add_number(b, "partition", partition);
    add_number(b, "offset", offset);
    add_string(b, "eventId", event_id);
    gw_buf_add_char(b, '}');
}

void gw_wire_put_error(struct gw_buf *b, struct gw_str id, enum gw_error_code code, const char *message)
{
    open_message(b, "error", id);
    add_string(b, "code", gw_str_of(errors[code].name));
    add_string(b, "message", gw_str_of(message));
    gw_buf_addf(b, ",\"retry\":%s}", errors[code].retry ? "true" : "false");
}

void gw_wire_put_pong(struct gw_buf *b, struct gw_str id)
{
    open_message(b, "pong", id);
    gw_buf_add_char(b, '}');
}

void gw_wire_put_number(struct gw_buf *b, const char *type, const char *field, int64_t value)
{
    open_message(b, type, (struct gw_str){0});
    add_number(b, field, value);
    gw_buf_add_char(b, '}');
}

void gw_wire_put_status(struct gw_buf *b, const char *kafka)
{
    open_message(b, "status", (struct gw_str){0});
    add_string(b, "kafka", gw_str_of(kafka));
    gw_buf_add_char(b, '}');
}
