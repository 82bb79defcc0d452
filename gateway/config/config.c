/* Loading: defaults, file, environment, flags, checks, in this order; and what others ask of a loaded configuration. Loading is
 * the main thread's; the result is read by all. */
#include "private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void set_defaults(struct gw_config *c)
{
    c->from = gw_alloc(gw_opts_n * sizeof(*c->from));
    for (size_t i = 0; i < gw_opts_n; i++)
        gw_opt_set_default(c, &gw_opts[i]);
    gw_cfg_texts_split(&c->origins, "self", "origins");
    if (c->dev) { /* a gateway whose keys lie open is not for the neighbours */
        free(c->listen);
        c->listen = gw_strdup("127.0.0.1:8080");
    }
}

static int read_all(FILE *in, const char *file, struct gw_buf *out, struct gw_err *err)
{
    size_t n;
    do {
        n = fread(gw_buf_reserve(out, 65536), 1, 65536, in);
        out->len += n;
    } while (n && out->len <= GW_CFG_FILE_BYTES_MAX);
    if (ferror(in))
        return gw_err_set(err, "%s: cannot be read: %s", file, strerror(errno));
    if (out->len > GW_CFG_FILE_BYTES_MAX)
        return gw_err_set(err, "%s: longer than %zu bytes", file, GW_CFG_FILE_BYTES_MAX);
    return 0;
}

static int read_file(const char *file, struct gw_buf *out, struct gw_err *err)
{
    FILE *in = fopen(file, "rbe");
    if (!in)
        return gw_err_set(err, "%s: cannot be opened: %s", file, strerror(errno));
    int rc = read_all(in, file, out, err);
    fclose(in);
    return rc;
}

static int load_text(struct gw_config *c, const char *text, size_t len, const char *dir_file, struct gw_err *err)
{
    struct gw_node *root = gw_node_parse(c->source, text, len, err);
    if (!root)
        return -1;
    struct gw_reading r = {.c = c, .source = c->source, .dir = gw_cfg_dir_of(dir_file), .err = err};
    int rc = gw_read_document(&r, root);
    free(r.dir);
    gw_node_free(root);
    return rc;
}

static int load_yaml(struct gw_config *c, const struct gw_config_source *src, struct gw_err *err)
{
    if (!src->file)
        return src->builtin ? load_text(c, src->builtin, strlen(src->builtin), NULL, err) : 0;
    struct gw_buf text;
    gw_buf_init(&text);
    int rc = read_file(src->file, &text, err);
    if (!rc)
        rc = load_text(c, text.len ? text.data : "", text.len, src->file, err);
    gw_buf_fini(&text);
    return rc;
}

static int load(struct gw_config *c, const struct gw_config_source *src, struct gw_err *err)
{
    char *here = gw_cfg_dir_of(NULL);
    int rc = load_yaml(c, src, err);
    if (!rc)
        rc = gw_env_read(c, src->env, here, err);
    if (!rc)
        rc = gw_flags_read(c, src->flags, src->nflags, here, err);
    if (!rc)
        rc = gw_cfg_check(c, err);
    free(here);
    return rc;
}

struct gw_config *gw_config_load(const struct gw_config_source *src, struct gw_err *err)
{
    struct gw_err own = {.set = false};
    struct gw_config *c = gw_alloc(sizeof(*c));
    c->source = gw_strdup(src->file ? src->file : src->builtin ? "(built in)" : "(no file)");
    c->dev = src->dev;
    set_defaults(c);
    if (!load(c, src, err ? err : &own))
        return c;
    gw_config_free(c);
    return NULL;
}

void gw_config_use_dev(struct gw_config *c, const char *brokers, const char *key_file)
{
    if (brokers) {
        free(c->kafka_brokers);
        c->kafka_brokers = gw_strdup(brokers);
    }
    gw_cfg_issuers_free(c);
    c->issuers = gw_alloc(sizeof(*c->issuers));
    c->nissuers = 1;
    c->issuers->key = gw_strdup(key_file);
    c->issuers->at = gw_strdup("--dev");
    gw_cfg_texts_split(&c->issuers->algorithms, "HS256", "--dev");
}

const char *gw_config_from(const struct gw_config *c, const char *path)
{
    const struct gw_opt *o = gw_opt_find(path);
    return o ? c->from[o - gw_opts] : NULL;
}

static bool list_equal(const struct gw_config *a, const struct gw_config *b, const struct gw_list *l)
{
    struct gw_buf x, y;
    gw_buf_init(&x);
    gw_buf_init(&y);
    l->print(a, false, &x);
    l->print(b, false, &y);
    bool equal = gw_str_eq(gw_buf_str(&x), gw_buf_str(&y));
    gw_buf_fini(&x);
    gw_buf_fini(&y);
    return equal;
}

size_t gw_config_compare(const struct gw_config *a, const struct gw_config *b,
                         void (*fn)(void *arg, const char *path, bool reload), void *arg)
{
    size_t n = 0;
    for (size_t i = 0; i < gw_opts_n; i++) {
        if (gw_opt_equal(a, b, &gw_opts[i]))
            continue;
        fn(arg, gw_opts[i].path, gw_opts[i].flags & GW_OPT_RELOAD);
        n++;
    }
    for (size_t i = 0; i < gw_lists_n; i++) {
        if (list_equal(a, b, &gw_lists[i]))
            continue;
        fn(arg, gw_lists[i].path, gw_lists[i].flags & GW_OPT_RELOAD);
        n++;
    }
    return n;
}
