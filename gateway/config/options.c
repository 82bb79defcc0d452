/* The scalar options, one row each from gw/tbl/config.def: found by path, set from a text, printed. Used while loading,
 * on one thread. Checks across options are in check.c. */
#include "private.h"

#include "gw/json.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct gw_opt gw_opts[] = {
#define GW_OPT_STR(field, path, def, flags, help) \
    {path, GW_OPT_TYPE_STR, offsetof(struct gw_config, field), def, 0, 0, 0, flags, help},
#define GW_OPT_INT(field, path, def, min, max, flags, help) \
    {path, GW_OPT_TYPE_INT, offsetof(struct gw_config, field), NULL, def, min, max, flags, help},
#define GW_OPT_BOOL(field, path, def, flags, help) \
    {path, GW_OPT_TYPE_BOOL, offsetof(struct gw_config, field), NULL, def, 0, 1, flags, help},
#define GW_OPT_ENUM(field, path, def, names, flags, help) \
    {path, GW_OPT_TYPE_ENUM, offsetof(struct gw_config, field), names, def, 0, 0, flags, help},
#include "gw/tbl/config.def"
#undef GW_OPT_STR
#undef GW_OPT_INT
#undef GW_OPT_BOOL
#undef GW_OPT_ENUM
};
const size_t gw_opts_n = sizeof(gw_opts) / sizeof(gw_opts[0]);

const struct gw_opt *gw_opt_find(const char *path)
{
    for (size_t i = 0; i < gw_opts_n; i++)
        if (!strcmp(gw_opts[i].path, path))
            return &gw_opts[i];
    return NULL;
}

void gw_opt_env_name(const char *path, char out[GW_CFG_NAME_MAX])
{
    static const char prefix[] = "SLUICE_";
    size_t n = sizeof(prefix) - 1;
    memcpy(out, prefix, n);
    for (; *path && n + 1 < GW_CFG_NAME_MAX; path++)
        out[n++] = *path == '.' ? '_' : (char)toupper((unsigned char)*path);
    out[n] = 0;
}

void gw_opt_flag_name(const char *path, char out[GW_CFG_NAME_MAX])
{
    size_t n = 0;
    for (; *path && n + 1 < GW_CFG_NAME_MAX; path++)
        out[n++] = *path == '.' || *path == '_' ? '-' : *path;
    out[n] = 0;
}

static void *field_of(struct gw_config *c, const struct gw_opt *o)
{
    return (char *)c + o->offset;
}

static const void *field_const(const struct gw_config *c, const struct gw_opt *o)
{
    return (const char *)c + o->offset;
}

void gw_opt_set_default(struct gw_config *c, const struct gw_opt *o)
{
    switch (o->type) {
    case GW_OPT_TYPE_STR: *(char **)field_of(c, o) = gw_strdup(o->text); break;
    case GW_OPT_TYPE_INT: *(int64_t *)field_of(c, o) = o->def; break;
    case GW_OPT_TYPE_BOOL: *(bool *)field_of(c, o) = o->def != 0; break;
    case GW_OPT_TYPE_ENUM: *(int *)field_of(c, o) = (int)o->def; break;
    }
}

int gw_cfg_bool(const char *text, bool words)
{
    static const char *const yes[] = {"true", "1", "yes", "on"}, *const no[] = {"false", "0", "no", "off"};
    if (!words) /* the spellings of YAML 1.2's core schema, section 10.3.2 */
        return !strcmp(text, "true") || !strcmp(text, "True") || !strcmp(text, "TRUE")      ? 1
               : !strcmp(text, "false") || !strcmp(text, "False") || !strcmp(text, "FALSE") ? 0
                                                                                            : -1;
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (!strcasecmp(text, yes[i]))
            return 1;
        if (!strcasecmp(text, no[i]))
            return 0;
    }
    return -1;
}

/* Decimal digits with a sign at most; strtoll alone lets white space and other bases through. */
static int parse_int(const char *text, int64_t *out)
{
    const char *digits = text + (*text == '-' || *text == '+');
    size_t n = strspn(digits, "0123456789");
    if (!n || n > 18 || digits[n])
        return -1;
    *out = strtoll(text, NULL, 10);
    return 0;
}

static int name_index(const char *names, const char *text)
{
    size_t len = strlen(text);
    for (int i = 0;; i++) {
        size_t n = strcspn(names, "|");
        if (n == len && !memcmp(names, text, n))
            return i;
        if (!names[n])
            return -1;
        names += n + 1;
    }
}

static struct gw_str name_at(const char *names, int index)
{
    for (; index > 0; index--)
        names += strcspn(names, "|") + 1;
    return (struct gw_str){names, strcspn(names, "|")};
}

void gw_opt_print_range(const struct gw_opt *o, struct gw_buf *out)
{
    switch (o->type) {
    case GW_OPT_TYPE_STR: gw_buf_add_c(out, o->flags & GW_OPT_PATH ? "a file's name" : "text"); break;
    case GW_OPT_TYPE_INT: gw_buf_addf(out, "%lld to %lld", (long long)o->min, (long long)o->max); break;
    case GW_OPT_TYPE_BOOL: gw_buf_add_c(out, "true or false"); break;
    case GW_OPT_TYPE_ENUM:
        for (const char *p = o->text; *p; p++)
            gw_buf_add_c(out, *p == '|' ? ", " : (char[2]){*p, 0});
        break;
    }
}

static int fail_range(const struct gw_opt *o, const char *text, const char *at, struct gw_err *err)
{
    struct gw_buf range;
    gw_buf_init(&range);
    gw_opt_print_range(o, &range);
    const char *lead = o->type == GW_OPT_TYPE_INT ? "an integer from " : o->type == GW_OPT_TYPE_ENUM ? "one of: " : "";
    gw_err_set(err, "%s: \"%s\": expected %s%s", at, gw_cfg_show(text).s, lead, gw_buf_c(&range));
    gw_buf_fini(&range);
    return -1;
}

static int set_str(struct gw_config *c, const struct gw_opt *o, const char *text, const char *dir, const char *at,
                   struct gw_err *err)
{
    if (strlen(text) > GW_CFG_TEXT_BYTES_MAX)
        return gw_err_set(err, "%s: longer than %u bytes", at, GW_CFG_TEXT_BYTES_MAX);
    if (!gw_utf8_valid(gw_str_of(text)))
        return gw_err_set(err, "%s: not valid UTF-8", at);
    char **field = field_of(c, o);
    free(*field);
    *field = o->flags & GW_OPT_PATH ? gw_cfg_join_path(dir, text) : gw_strdup(text);
    return 0;
}

static int set_number(struct gw_config *c, const struct gw_opt *o, const char *text, bool words)
{
    int64_t i = 0;
    int v;
    switch (o->type) {
    case GW_OPT_TYPE_STR: return -1;
    case GW_OPT_TYPE_INT:
        if (parse_int(text, &i) < 0 || i < o->min || i > o->max)
            return -1;
        *(int64_t *)field_of(c, o) = i;
        return 0;
    case GW_OPT_TYPE_BOOL:
        if ((v = gw_cfg_bool(text, words)) < 0)
            return -1;
        *(bool *)field_of(c, o) = v == 1;
        return 0;
    case GW_OPT_TYPE_ENUM:
        if ((v = name_index(o->text, text)) < 0)
            return -1;
        *(int *)field_of(c, o) = v;
        return 0;
    }
    return -1;
}

int gw_opt_set(struct gw_config *c, const struct gw_opt *o, const char *text, bool words, const char *dir,
               const char *at, struct gw_err *err)
{
    if (o->type == GW_OPT_TYPE_STR) {
        if (set_str(c, o, text, dir, at, err) < 0)
            return -1;
    } else if (set_number(c, o, text, words) < 0) {
        return fail_range(o, text, at, err);
    }
    char **from = &c->from[o - gw_opts];
    free(*from);
    *from = gw_strdup(at);
    return 0;
}

void gw_opt_print(const struct gw_config *c, const struct gw_opt *o, bool mask, struct gw_buf *out)
{
    const void *field = field_const(c, o);
    switch (o->type) {
    case GW_OPT_TYPE_STR: {
        const char *text = *(char *const *)field;
        gw_cfg_quote(out, mask && (o->flags & GW_OPT_SECRET) && *text ? GW_CFG_MASK : text);
        break;
    }
    case GW_OPT_TYPE_INT: gw_buf_add_i64(out, *(const int64_t *)field); break;
    case GW_OPT_TYPE_BOOL: gw_buf_add_c(out, *(const bool *)field ? "true" : "false"); break;
    case GW_OPT_TYPE_ENUM: gw_buf_add_str(out, name_at(o->text, *(const int *)field)); break;
    }
}

void gw_opt_print_default(const struct gw_opt *o, struct gw_buf *out)
{
    switch (o->type) {
    case GW_OPT_TYPE_STR: gw_buf_add_c(out, *o->text ? o->text : "\"\""); break;
    case GW_OPT_TYPE_INT: gw_buf_add_i64(out, o->def); break;
    case GW_OPT_TYPE_BOOL: gw_buf_add_c(out, o->def ? "true" : "false"); break;
    case GW_OPT_TYPE_ENUM: gw_buf_add_str(out, name_at(o->text, (int)o->def)); break;
    }
}

bool gw_opt_equal(const struct gw_config *a, const struct gw_config *b, const struct gw_opt *o)
{
    const void *x = field_const(a, o), *y = field_const(b, o);
    switch (o->type) {
    case GW_OPT_TYPE_STR: return !strcmp(*(char *const *)x, *(char *const *)y);
    case GW_OPT_TYPE_INT: return *(const int64_t *)x == *(const int64_t *)y;
    case GW_OPT_TYPE_BOOL: return *(const bool *)x == *(const bool *)y;
    case GW_OPT_TYPE_ENUM: return *(const int *)x == *(const int *)y;
    }
    return false;
}
