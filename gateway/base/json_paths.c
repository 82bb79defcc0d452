/* Paths into JSON, compiled to a tree of states that the scanner (json.c) walks down while it reads. The set is built by
 * its owner at load, is immutable then, and may be read by any thread. It reads no JSON.
 *
 * A path is a list of steps. A state stands for a place in a document and is made from all the paths that are still
 * possible there (the usual subset construction): so at an element that both [3] and [*] name, the state behind index 3
 * carries the rest of both, and the scanner never has to follow two branches. */
#include "gw/json_inner.h"

#include <stdlib.h>
#include <string.h>

enum step_kind { STEP_KEY, STEP_INDEX, STEP_ANY };

struct step {
    enum step_kind kind;
    char *key; /* owned; unescaped */
    size_t key_len;
    size_t index;
};

struct path {
    struct step steps[GW_JSON_STEPS_MAX];
    size_t len;
    bool any;
};

/* A path of which the first `done` steps have been taken on the way to a state. */
struct item {
    uint16_t path;
    uint16_t done;
};

struct gw_json_paths {
    size_t count;
    struct gw_json_state **states; /* owned, with all that is in them; [0] is the root */
    size_t states_len;
};

struct build {
    struct gw_json_paths *set;
    const struct path *paths;
    struct gw_err *err;
};

/* ---- reading one path */

static int bad_path(struct gw_err *err, const char *path, size_t at, const char *why)
{
    return gw_err_set(err, "path \"%s\": byte %zu: %s", path, at, why);
}

/* Reads a key at s into step; returns the place behind it. */
static const char *read_key(const char *s, struct step *step)
{
    step->kind = STEP_KEY;
    step->key = gw_alloc(strlen(s) + 1);
    while (*s && *s != '.' && *s != '[') {
        if (*s == '\\' && s[1])
            s++;
        step->key[step->key_len++] = *s++;
    }
    return s;
}

/* Reads "[3]" or "[*]" at s into step; NULL for anything else. */
static const char *read_index(const char *s, struct step *step)
{
    s++;
    step->kind = STEP_INDEX;
    if (*s == '*') {
        step->kind = STEP_ANY;
        s++;
    } else {
        const char *first = s;
        while (*s >= '0' && *s <= '9' && s - first < 9)
            step->index = step->index * 10 + (size_t)(*s++ - '0');
        if (s == first || (*first == '0' && s - first > 1))
            return NULL;
    }
    return *s == ']' ? s + 1 : NULL;
}

static int read_path(const char *text, struct path *path, struct gw_err *err)
{
    const char *s = text;
    if (strlen(text) > GW_JSON_PATH_BYTES_MAX)
        return gw_err_set(err, "a path is longer than %d bytes: \"%.40s...\"", GW_JSON_PATH_BYTES_MAX, text);
    if (!gw_utf8_valid(gw_str_of(text)))
        return gw_err_set(err, "a path is not valid UTF-8");
    while (*s) {
        if (path->len == GW_JSON_STEPS_MAX)
            return gw_err_set(err, "path \"%s\" has more than %d steps", text, GW_JSON_STEPS_MAX);
        struct step *step = &path->steps[path->len++];
        size_t at = (size_t)(s - text);
        if (*s == '[') {
            s = read_index(s, step);
            if (!s)
                return bad_path(err, text, at, "expected [*] or an index such as [0]");
            path->any |= step->kind == STEP_ANY;
            continue;
        }
        if (s > text && *s++ != '.')
            return bad_path(err, text, at, "expected '.', '[' or the end");
        s = read_key(s, step);
        if (step->key_len == 0)
            return bad_path(err, text, at, "expected a key");
    }
    return 0;
}

static void free_path(struct path *path)
{
    for (size_t i = 0; i < path->len; i++)
        free(path->steps[i].key);
}

/* ---- building states */

static struct gw_json_state *build_state(struct build *b, const struct item *items, size_t n);

/* The step that an item takes next, or NULL where its path ends. */
static const struct step *next_step(const struct build *b, struct item item)
{
    const struct path *path = &b->paths[item.path];
    return item.done < path->len ? &path->steps[item.done] : NULL;
}

static bool same_step(const struct step *a, const struct step *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == STEP_KEY)
        return a->key_len == b->key_len && memcmp(a->key, b->key, a->key_len) == 0;
    return a->kind == STEP_ANY || a->index == b->index;
}

/* The state behind `step`: from all items whose next step is that one, or is [*] where the step is an index. */
static struct gw_json_state *build_behind(struct build *b, const struct item *items, size_t n, const struct step *step)
{
    struct item *behind = gw_alloc(n * sizeof(*behind));
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        const struct step *s = next_step(b, items[i]);
        if (s && (same_step(s, step) || (step->kind == STEP_INDEX && s->kind == STEP_ANY)))
            behind[len++] = (struct item){items[i].path, (uint16_t)(items[i].done + 1)};
    }
    struct gw_json_state *state = build_state(b, behind, len);
    free(behind);
    return state;
}

static int too_many_branches(struct build *b, const struct step *step)
{
    return gw_err_set(b->err, "the paths name more than %d different %s at one place", GW_JSON_BRANCHES_MAX,
                      step->kind == STEP_KEY ? "keys" : "indexes");
}

static int add_key(struct build *b, struct gw_json_state *state, const struct item *items, size_t n,
                   const struct step *step)
{
    for (size_t i = 0; i < state->keys_len; i++)
        if (state->keys[i].len == step->key_len && memcmp(state->keys[i].p, step->key, step->key_len) == 0)
            return 0;
    if (state->keys_len == GW_JSON_BRANCHES_MAX)
        return too_many_branches(b, step);
    state->keys = gw_realloc(state->keys, (state->keys_len + 1) * sizeof(*state->keys));
    struct gw_json_key *key = &state->keys[state->keys_len++];
    *key = (struct gw_json_key){gw_str_dup((struct gw_str){step->key, step->key_len}), step->key_len, NULL};
    state->key_lens |= 1ull << (step->key_len < 63 ? step->key_len : 63);
    key->next = build_behind(b, items, n, step);
    return key->next ? 0 : -1;
}

static int add_index(struct build *b, struct gw_json_state *state, const struct item *items, size_t n,
                     const struct step *step)
{
    size_t at = 0;
    while (at < state->indexes_len && state->indexes[at].n < step->index)
        at++;
    if (at < state->indexes_len && state->indexes[at].n == step->index)
        return 0;
    if (state->indexes_len == GW_JSON_BRANCHES_MAX)
        return too_many_branches(b, step);
    state->indexes = gw_realloc(state->indexes, (state->indexes_len + 1) * sizeof(*state->indexes));
    struct gw_json_index *index = &state->indexes[at];
    memmove(index + 1, index, (state->indexes_len++ - at) * sizeof(*index));
    *index = (struct gw_json_index){step->index, build_behind(b, items, n, step)};
    return index->next ? 0 : -1;
}

static int add_branch(struct build *b, struct gw_json_state *state, const struct item *items, size_t n,
                      const struct step *step)
{
    if (step->kind == STEP_KEY)
        return add_key(b, state, items, n, step);
    if (step->kind == STEP_INDEX)
        return add_index(b, state, items, n, step);
    if (!state->any)
        state->any = build_behind(b, items, n, step);
    return state->any ? 0 : -1;
}

static void add_hit(const struct build *b, struct gw_json_state *state, uint16_t path)
{
    state->hits = gw_realloc(state->hits, (state->hits_len + 1) * sizeof(*state->hits));
    state->hits[state->hits_len++] = (struct gw_json_hit){path, b->paths[path].any};
}

/* Recursion: one level a step, GW_JSON_STEPS_MAX at most. NULL with err set when a bound is hit. */
static struct gw_json_state *build_state(struct build *b, const struct item *items, size_t n)
{
    struct gw_json_paths *set = b->set;
    if (set->states_len == GW_JSON_STATES_MAX) {
        gw_err_set(b->err, "the paths need more than %d states: too many [*] and [n] crossed", GW_JSON_STATES_MAX);
        return NULL;
    }
    struct gw_json_state *state = gw_alloc(sizeof(*state));
    set->states = gw_realloc(set->states, (set->states_len + 1) * sizeof(struct gw_json_state *));
    set->states[set->states_len++] = state;
    for (size_t i = 0; i < n; i++) {
        const struct step *step = next_step(b, items[i]);
        if (!step)
            add_hit(b, state, items[i].path);
        else if (add_branch(b, state, items, n, step))
            return NULL;
    }
    return state;
}

static int compile(struct gw_json_paths *set, const struct path *paths, struct gw_err *err)
{
    struct build b = {.set = set, .paths = paths, .err = err};
    struct item *all = gw_alloc(set->count * sizeof(*all));
    for (size_t i = 0; i < set->count; i++)
        all[i] = (struct item){(uint16_t)i, 0};
    const struct gw_json_state *root = build_state(&b, all, set->count);
    free(all);
    return root ? 0 : -1;
}

/* ---- the set */

struct gw_json_paths *gw_json_paths_new(const char *const *texts, size_t n, struct gw_err *err)
{
    if (n > GW_JSON_PATHS_MAX) {
        gw_err_set(err, "%zu paths, more than %d", n, GW_JSON_PATHS_MAX);
        return NULL;
    }
    struct gw_json_paths *set = gw_alloc(sizeof(*set));
    struct path *paths = gw_alloc(n * sizeof(*paths));
    set->count = n;
    int failed = 0;
    for (size_t i = 0; i < n && !failed; i++)
        failed = read_path(texts[i], &paths[i], err);
    if (!failed)
        failed = compile(set, paths, err);
    for (size_t i = 0; i < n; i++)
        free_path(&paths[i]);
    free(paths);
    if (failed) {
        gw_json_paths_free(set);
        return NULL;
    }
    return set;
}

void gw_json_paths_free(struct gw_json_paths *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->states_len; i++) {
        struct gw_json_state *state = set->states[i];
        for (size_t k = 0; k < state->keys_len; k++)
            free((char *)state->keys[k].p);
        free(state->keys);
        free(state->indexes);
        free(state->hits);
        free(state);
    }
    free(set->states);
    free(set);
}

size_t gw_json_paths_count(const struct gw_json_paths *set)
{
    return set->count;
}

const struct gw_json_state *gw_json_paths_root(const struct gw_json_paths *set)
{
    return set->states[0];
}
