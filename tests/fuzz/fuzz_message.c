/* Fuzz target: a client's message, and where it is an action, the check of its data and the record that it becomes.
 *
 * It checks more than survival:
 *  - what the parser takes is a strict JSON object; a refusal has a code of the table and a text;
 *  - what it gives out is within its bounds, and the id and the data are JSON themselves;
 *  - an error's text and a record's value and headers never break the JSON that they end up in;
 *  - the data of a record is what the client sent, to the byte. */
#include "gw/action.h"
#include "gw/json.h"
#include "gw/pattern.h"
#include "gw/wire.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH 16

static const char config_text[] =
    "actions:\n"
    "  - {name: session.chat, topic: t, room: \"session:{id}\", fields: {message: string, n: number?, i: integer?, b: boolean?}}\n"
    "  - {name: open, topic: t, open: true, fields: {o: object?, a: array?, x: any}}\n"
    "  - {name: made, topic: t, open: true, room: \"doc:{tenant}:{doc}\", key: \"{room.tenant}/{data.a.b}/{user}\",\n"
    "     headers: {room: \"{room}\", role: \"{claim.role}\", m: \"<{data.m}>\"}}\n"
    "  - {name: note, topic: t, open: true}\n";

static struct gw_config *cfg;
static struct gw_actions *actions;
static struct gw_wire *wire;

static void check(bool ok)
{
    if (!ok)
        abort();
}

static bool is_json(struct gw_str text)
{
    struct gw_json_opts opts = {.depth_max = GW_JSON_DEPTH_MAX};
    return gw_json_scan(text, &opts, NULL, NULL, NULL) == 0;
}

static int claim(void *arg, struct gw_str path, struct gw_buf *out)
{
    (void)arg;
    (void)path;
    gw_buf_add_c(out, "role");
    return 0;
}

/* The answer that a client would get. */
static void check_error(struct gw_str id, enum gw_error_code code, const struct gw_err *err)
{
    struct gw_buf b = {0};
    check(err->set && err->text[0] && code < GW_ERROR_COUNT);
    gw_wire_put_error(&b, id, code, err->text);
    check(is_json(gw_buf_str(&b)));
    gw_buf_fini(&b);
}

static void check_record(const struct gw_action *a, const struct gw_message *m, const struct gw_action_record *rec)
{
    static const char *const wanted[] = {"data", "metadata.room", "metadata.userId"};
    static struct gw_json_paths *paths;
    struct gw_json_opts opts = {.depth_max = GW_JSON_DEPTH_MAX, .unique_keys = true};
    struct gw_json_val v[3];
    struct gw_json_out out = {.vals = v};
    struct gw_buf text = {0};
    if (!paths)
        paths = gw_json_paths_new(wanted, 3, NULL);
    check(gw_json_scan(rec->value, &opts, paths, &out, NULL) == 0);
    check(gw_str_eq(v[0].raw, m->data.p ? m->data : GW_STR("{}")));
    check(gw_str_is(v[2].raw, "\"u1\""));
    if (gw_action_room(a)) {
        check(gw_json_text(&v[1], &text) == 0 && gw_str_eq(gw_buf_str(&text), m->room));
        gw_buf_fini(&text);
    }
    check(rec->nheaders >= 3 && rec->nheaders <= GW_ACTION_HEADERS_MAX);
    for (size_t i = 0; i < rec->nheaders; i++)
        check(gw_utf8_valid(rec->headers[i].value));
    check(rec->key.p && gw_utf8_valid(rec->key));
}

static void do_action(const struct gw_message *m)
{
    const struct gw_action *a = gw_actions_find(actions, m->name);
    struct gw_captures captures = {0};
    struct gw_err err = {0};
    if (!a || (gw_action_room(a) && (!m->room.p || !gw_pattern_match(gw_action_room(a), m->room, &captures))))
        return;
    if (gw_action_check(a, m->data, &err) != 0) {
        check_error(m->id, GW_ERROR_INVALID, &err);
        return;
    }
    struct gw_action_scratch scratch = {0};
    struct gw_action_record rec;
    struct gw_action_input in = {.data = m->data, .user = GW_STR("u1"), .connection = GW_STR("c"), .ip = GW_STR("::1"),
                                 .room = gw_action_room(a) ? m->room : (struct gw_str){0}, .captures = &captures, .event_id = m->key,
                                 .correlation_id = GW_STR("x"), .claim = claim};
    if (gw_action_build(a, &in, &scratch, &rec, &err) == 0)
        check_record(a, m, &rec);
    else
        check_error(m->id, GW_ERROR_INVALID, &err);
    gw_action_scratch_fini(&scratch);
}

static void one_message(struct gw_str text)
{
    struct gw_message m;
    enum gw_error_code code = GW_ERROR_COUNT;
    struct gw_err err = {0};
    int rc = gw_wire_parse(wire, text, &m, &code, &err);
    check(!m.id.p || (is_json(m.id) && m.id.len <= 66));
    if (rc != 0) {
        check_error(m.id, code, &err);
        return;
    }
    struct gw_json_opts opts = {.depth_max = DEPTH, .unique_keys = true};
    check(!err.set && m.verb < GW_VERB_COUNT && gw_json_scan(text, &opts, NULL, NULL, NULL) == 0);
    check(!m.data.p || (is_json(m.data) && memchr(" \t\r\n", m.data.p[0], 4) == NULL));
    check(m.room.len <= 256 && m.name.len <= 128 && m.key.len <= 128);
    check(gw_utf8_valid(m.room) && gw_utf8_valid(m.name) && gw_utf8_valid(m.key) && gw_utf8_valid(m.token));
    if (m.verb == GW_VERB_ACTION)
        do_action(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!wire) {
        struct gw_config_source src = {.builtin = config_text, .dev = true};
        cfg = gw_config_load(&src, NULL);
        actions = cfg ? gw_actions_new(cfg, NULL) : NULL;
        wire = gw_wire_new(DEPTH);
        check(actions != NULL);
    }
    one_message((struct gw_str){(const char *)data, size});
    return 0;
}
