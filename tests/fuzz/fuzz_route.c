/* Fuzz target: lines of a route (topic, event, two rooms, require, when "ref=text", key, header), and behind them the
 * record's value. Whatever comes out keeps its promises, twice the same; the second route, which is always the same, is held
 * against a slow reading of the value. */
#include "../unit/route_kit.h"

#define LINES 8
#define ROOMS_MAX 6

enum line { TOPIC, EVENT, ROOM, ROOM2, REQUIRE, WHEN, KEY, HEADER };

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* The slow reading: "u:" + each of userIds, in the first member of that name. NULL: no such array. */
static bool find_users(struct gw_str value, struct gw_json_val *users)
{
    size_t pos = 0;
    struct gw_str key, name = GW_STR("userIds");
    bool escaped;

    while (gw_json_next(value, &pos, &key, &escaped, users))
        if (key.p && gw_json_key_is(key, escaped, name))
            return users->type == GW_JSON_ARRAY;
    return false;
}

static struct gw_str trimmed(struct gw_str s)
{
    while (s.len && strchr(" \t\r\n", *s.p))
        s = (struct gw_str){s.p + 1, s.len - 1};
    return s;
}

static void check_users(struct gw_str value, const struct gw_routed *out)
{
    struct gw_json_val users, one;
    struct gw_buf room = {0};
    size_t pos = 0, n = 0;

    if (find_users(trimmed(value), &users))
        while (gw_json_next(users.raw, &pos, NULL, NULL, &one)) {
            bool known = false;
            gw_buf_clear(&room);
            gw_buf_add_c(&room, "u:");
            require(gw_json_text(&one, &room) == 0);
            for (size_t i = 0; i < n; i++)
                known = known || gw_str_eq(out->rooms[i], gw_buf_str(&room));
            if (known)
                continue;
            require(n < out->nrooms && gw_str_eq(out->rooms[n], gw_buf_str(&room)));
            n++;
        }
    require(n == out->nrooms);
    gw_buf_fini(&room);
}

static void check_routed(const struct gw_record *rec, const struct gw_routed *out)
{
    struct gw_json_opts opts = {.depth_max = 8};

    require(gw_json_scan(rec->value, &opts, NULL, NULL, NULL) == 0);
    require(out->event.len >= 1 && out->event.len <= 128 && gw_utf8_valid(out->event));
    require(out->nrooms <= ROOMS_MAX);
    for (size_t i = 0; i < out->nrooms; i++) {
        require(gw_room_name_valid(out->rooms[i]));
        for (size_t k = 0; k < i; k++)
            require(!gw_str_eq(out->rooms[i], out->rooms[k]));
    }
    if (gw_str_is(out->event, "the second"))
        check_users(rec->value, out);
}

static void apply(const struct gw_topic_routes *t, const struct gw_record *rec, struct gw_route_scratch *s)
{
    struct gw_routed out;
    struct gw_err err = {0}, again = {0};
    enum gw_route_reason reason = gw_route_apply(t, rec, s, &out, &err);
    size_t nrooms = out.nrooms;

    require((reason == GW_ROUTE_OK) == !err.set);
    if (reason == GW_ROUTE_OK)
        check_routed(rec, &out);
    else
        require(!out.event.p && out.nrooms == 0 && err.text[0]);
    require(gw_route_apply(t, rec, s, &out, &again) == reason);
    require(out.nrooms == nrooms && strcmp(err.text, again.text) == 0);
}

static void run(char *const *lines, struct gw_str value)
{
    char *equals = strchr(lines[WHEN], '=');
    if (equals)
        *equals++ = '\0';
    const struct route_spec specs[] = {
        {.topics = {lines[TOPIC][0] == 'a' ? "^a([a-z]*)\\.?(.*)" : "t"},
         .event = lines[EVENT],
         .rooms = {lines[ROOM], lines[ROOM2][0] ? lines[ROOM2] : NULL},
         .require = {lines[REQUIRE][0] ? lines[REQUIRE] : NULL},
         .when = {{lines[WHEN][0] ? lines[WHEN] : NULL, {equals}}}},
        {.topics = {"^."}, .event = "the second", .rooms = {"u:{value.userIds[*]}"}},
    };
    struct kit_limits limits = {.event_bytes = 4096, .event_depth = 8, .rooms_per_event = ROOMS_MAX};
    struct gw_err err = {0};
    struct gw_routes *r = kit_routes(specs, 2, limits, &err);
    struct gw_record_header header = {GW_STR("h"), {lines[HEADER], strlen(lines[HEADER])}};
    struct gw_record rec = {.key = {lines[KEY], strlen(lines[KEY])}, .value = value, .headers = &header, .nheaders = 1};

    require(r ? !err.set : err.set && err.text[0]);
    if (!r)
        return;
    struct gw_topic_routes *t = gw_topic_routes_new(r, lines[TOPIC]);
    struct gw_route_scratch *s = gw_route_scratch_new(r);
    apply(t, &rec, s);
    rec.key = (struct gw_str){0};
    rec.nheaders = 0;
    apply(t, &rec, s);
    gw_route_scratch_free(s);
    gw_topic_routes_free(t);
    gw_routes_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = size ? gw_str_dup((struct gw_str){(const char *)data, size}) : NULL, *lines[LINES], *at = text;
    size_t n = 0;

    for (; text && n < LINES; n++) {
        char *end = memchr(at, '\n', size - (size_t)(at - text));
        if (!end)
            break;
        *end = '\0';
        lines[n] = at;
        at = end + 1;
    }
    if (n == LINES)
        run(lines, (struct gw_str){at, size - (size_t)(at - text)});
    free(text);
    return 0;
}
