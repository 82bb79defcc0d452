/* Messages of clients: a strict scan, then the table of messages decides which fields are allowed and needed.
 * Used by one thread at a time; does not know who sent the message. */
#include "gw/wire.h"

#include "gw/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_BYTES_MAX 66 /* 64 as they are written, and two quotes */
#define NAME_BYTES_MAX 128
#define KEY_BYTES_MAX 128

struct verb_row {
    const char *type;
    unsigned may, must;
};

static const struct verb_row verbs[] = {
#define GW_VERB(id, type, may, must) {type, may, must},
#include "gw/tbl/messages.def"
#undef GW_VERB
};

/* A field's place in gw_message and the longest value that it may have; 0 leaves the length to the message's own limit. */
static const struct field_row {
    const char *name;
    unsigned bit;
    size_t offset;
    size_t bytes_max;
} fields[] = {
    {"token", GW_F_TOKEN, offsetof(struct gw_message, token), 0},
    {"room", GW_F_ROOM, offsetof(struct gw_message, room), 256},
    {"name", GW_F_NAME, offsetof(struct gw_message, name), NAME_BYTES_MAX},
    {"key", GW_F_KEY, offsetof(struct gw_message, key), KEY_BYTES_MAX},
};
#define NFIELDS (sizeof(fields) / sizeof(*fields))

struct gw_wire {
    unsigned depth_max;
    struct gw_buf text[NFIELDS + 1]; /* unescaped strings; the last one holds the type */
};

struct gw_wire *gw_wire_new(unsigned depth_max)
{
    struct gw_wire *w = gw_alloc(sizeof(*w));
    w->depth_max = depth_max;
    return w;
}

void gw_wire_free(struct gw_wire *w)
{
    if (!w)
        return;
    for (size_t i = 0; i <= NFIELDS; i++)
        gw_buf_fini(&w->text[i]);
    free(w);
}

static int bad(enum gw_error_code *code, enum gw_error_code is)
{
    *code = is;
    return -1;
}

static int set_id(struct gw_message *m, const struct gw_json_val *v, enum gw_error_code *code, struct gw_err *err)
{
    int64_t number;
    bool ok = v->type == GW_JSON_STRING || (v->type == GW_JSON_NUMBER && gw_json_i64(v, &number) == 0);
    if (ok && v->raw.len <= ID_BYTES_MAX) {
        m->id = v->raw;
        return 0;
    }
    gw_err_set(err, "id: expected an integer or a string of at most 64 bytes");
    return bad(code, GW_ERROR_BAD_FIELD);
}

static int set_string(struct gw_wire *w, struct gw_message *m, size_t i, const struct gw_json_val *v,
                      enum gw_error_code *code, struct gw_err *err)
{
    gw_buf_clear(&w->text[i]);
    if (v->type != GW_JSON_STRING || gw_json_text(v, &w->text[i]) != 0 || w->text[i].len == 0) {
        gw_err_set(err, "%s: expected a string that is not empty", fields[i].name);
        return bad(code, GW_ERROR_BAD_FIELD);
    }
    if (fields[i].bytes_max && w->text[i].len > fields[i].bytes_max) {
        gw_err_set(err, "%s: longer than %zu bytes", fields[i].name, fields[i].bytes_max);
        return bad(code, GW_ERROR_BAD_FIELD);
    }
    *(struct gw_str *)((char *)m + fields[i].offset) = gw_buf_str(&w->text[i]);
    return 0;
}

static int find_type(struct gw_wire *w, struct gw_str text, struct gw_message *out, enum gw_error_code *code,
                     struct gw_err *err)
{
    struct gw_buf *type = &w->text[NFIELDS];
    struct gw_json_val v;
    struct gw_str key;
    bool escaped;
    gw_buf_clear(type);
    for (size_t pos = 0; gw_json_next(text, &pos, &key, &escaped, &v);)
        if (gw_str_is(key, "type") && v.type == GW_JSON_STRING && gw_json_text(&v, type) == 0)
            break;
    for (size_t i = 0; i < GW_VERB_COUNT; i++)
        if (gw_str_is(gw_buf_str(type), verbs[i].type)) {
            out->verb = (enum gw_verb)i;
            return 0;
        }
    if (type->len == 0) {
        gw_err_set(err, "type: expected a string such as \"join\"");
        return bad(code, GW_ERROR_BAD_FIELD);
    }
    gw_err_set(err, "no message has this type; known: auth, join, leave, action, ping");
    return bad(code, GW_ERROR_UNKNOWN_TYPE);
}

/* Takes one member of the message. *have collects the bits of the fields seen. */
static int set_member(struct gw_wire *w, struct gw_message *out, struct gw_str key, const struct gw_json_val *v,
                      unsigned *have, enum gw_error_code *code, struct gw_err *err)
{
    if (gw_str_is(key, "type"))
        return 0;
    if (gw_str_is(key, "id"))
        return set_id(out, v, code, err);
    const struct verb_row *row = &verbs[out->verb];
    if (gw_str_is(key, "data") && (row->may & GW_F_DATA)) {
        *have |= GW_F_DATA;
        out->data = v->raw;
        return 0;
    }
    for (size_t i = 0; i < NFIELDS; i++)
        if (gw_str_is(key, fields[i].name) && (row->may & fields[i].bit)) {
            *have |= fields[i].bit;
            return set_string(w, out, i, v, code, err);
        }
    gw_err_set(err, "%.*s: no such field in %s", (int)(key.len < 64 ? key.len : 64), key.p, row->type);
    return bad(code, GW_ERROR_BAD_FIELD);
}

/* Leaves the object without the white space in front. The scanner counts nesting; its text tells "too deep" from other
 * faults. */
static int scan(struct gw_wire *w, struct gw_str *text, enum gw_error_code *code, struct gw_err *err)
{
    struct gw_json_opts opts = {.depth_max = w->depth_max, .unique_keys = true};
    if (gw_json_scan(*text, &opts, NULL, NULL, err) != 0)
        return bad(code, err && strstr(err->text, "deep") ? GW_ERROR_TOO_DEEP : GW_ERROR_BAD_MESSAGE);
    while (strchr(" \t\r\n", *text->p)) /* a value is there: it was scanned */
        text->p++, text->len--;
    if (*text->p != '{') {
        gw_err_set(err, "expected a JSON object");
        return bad(code, GW_ERROR_BAD_MESSAGE);
    }
    return 0;
}

int gw_wire_parse(struct gw_wire *w, struct gw_str text, struct gw_message *out, enum gw_error_code *code,
                  struct gw_err *err)
{
    *out = (struct gw_message){0};
    if (scan(w, &text, code, err) != 0)
        return -1;
    struct gw_json_val v;
    struct gw_str key;
    bool escaped;
    for (size_t pos = 0; gw_json_next(text, &pos, &key, &escaped, &v);)
        if (gw_str_is(key, "id") && set_id(out, &v, code, err) != 0)
            return -1;
    if (find_type(w, text, out, code, err) != 0)
        return -1;
    unsigned have = 0;
    for (size_t pos = 0; gw_json_next(text, &pos, &key, &escaped, &v);)
        if (set_member(w, out, key, &v, &have, code, err) != 0)
            return -1;
    unsigned missing = verbs[out->verb].must & ~have;
    for (size_t i = 0; missing && i < NFIELDS; i++)
        if (missing & fields[i].bit) {
            gw_err_set(err, "%s: is missing", fields[i].name);
            return bad(code, GW_ERROR_BAD_FIELD);
        }
    return 0;
}
