/* The environment and the command line: KAFKA_* as existing services have it, then SLUICE_*, then flags. Each comes after
 * the file and beats what was there before. */
#include "private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 160u /* options and lists */

const struct gw_kafka_name gw_kafka_names[] = {
    {"KAFKA_ENABLED", "kafka.enabled"},
    {"KAFKA_BROKERS", "kafka.brokers"},
    {"KAFKA_CLIENT_ID", "kafka.client_id"},
    {"KAFKA_GROUP_ID", "kafka.group_id"},
    {"KAFKA_SSL", "kafka.ssl"},
    {"KAFKA_USERNAME", "kafka.username"},
    {"KAFKA_PASSWORD", "kafka.password"},
    {"KAFKA_CONNECTION_TIMEOUT", "kafka.connection_timeout_ms"},
    {"KAFKA_REQUEST_TIMEOUT", "kafka.request_timeout_ms"},
    {"KAFKA_RETRY_INITIAL_RETRY_TIME", "kafka.retry_initial_ms"},
    {"KAFKA_RETRY_RETRIES", "kafka.retries"},
};
const size_t gw_kafka_names_n = sizeof(gw_kafka_names) / sizeof(gw_kafka_names[0]);

/* Read by the program itself or by its tests, not options. */
const char *const gw_env_allowed[] = {"SLUICE_BIN", "SLUICE_CONFIG", "SLUICE_DEV_FEED", NULL};

static bool is_allowed(const char *name)
{
    for (size_t i = 0; gw_env_allowed[i]; i++)
        if (!strcmp(gw_env_allowed[i], name))
            return true;
    return false;
}

/* Kubernetes and Docker put addresses of every service into the environment of its neighbours: a service called "sluice" gives
 * SLUICE_SERVICE_HOST, SLUICE_SERVICE_PORT_HTTP, SLUICE_PORT, SLUICE_PORT_8080_TCP_ADDR and so on. */
static bool is_service_link(const char *name)
{
    const char *host = strstr(name, "_SERVICE_HOST"), *port = strstr(name, "_PORT");
    if (host && !host[strlen("_SERVICE_HOST")])
        return true;
    return strstr(name, "_SERVICE_PORT") || (port && (!port[5] || (port[5] == '_' && isdigit((unsigned char)port[6]))));
}

static struct gw_cfg_texts *texts_of(struct gw_config *c, const struct gw_list *l)
{
    return (struct gw_cfg_texts *)(void *)((char *)c + l->texts);
}

/* How a name is made of a path, and how it is called in errors: SLUICE_KAFKA_BROKERS, --kafka-brokers. */
struct style {
    void (*spell)(const char *path, char out[GW_CFG_NAME_MAX]);
    const char *dashes;
    const char *unknown;
};
static const struct style env_style = {gw_opt_env_name, "", "unknown variable"};
static const struct style flag_style = {gw_opt_flag_name, "--", "unknown option"};

static const struct gw_opt *opt_named(const struct style *style, const char *name)
{
    char spelt[GW_CFG_NAME_MAX];
    for (size_t i = 0; i < gw_opts_n; i++) {
        style->spell(gw_opts[i].path, spelt);
        if (!strcmp(spelt, name))
            return &gw_opts[i];
    }
    return NULL;
}

static const struct gw_list *list_named(const struct style *style, const char *name)
{
    char spelt[GW_CFG_NAME_MAX];
    for (size_t i = 0; i < gw_lists_n; i++) {
        style->spell(gw_lists[i].path, spelt);
        if (gw_lists[i].texts && !strcmp(spelt, name))
            return &gw_lists[i];
    }
    return NULL;
}

static int fail_unknown(const struct style *style, const char *name, struct gw_err *err)
{
    static const char start[] = "SLUICE_";
    char spelt[NAMES_MAX][GW_CFG_NAME_MAX];
    struct gw_str names[NAMES_MAX];
    size_t n = 0, skip = style == &env_style ? sizeof(start) - 1 : 0; /* what all share says nothing of likeness */
    for (size_t i = 0; i < gw_opts_n && n < NAMES_MAX; i++)
        style->spell(gw_opts[i].path, spelt[n++]);
    for (size_t i = 0; i < gw_lists_n && n < NAMES_MAX; i++)
        if (gw_lists[i].texts)
            style->spell(gw_lists[i].path, spelt[n++]);
    for (size_t i = 0; i < n; i++)
        names[i] = gw_str_of(spelt[i] + skip);
    int near = gw_cfg_nearest(gw_str_of(name + skip), names, n);
    const char *shown = style->dashes;
    if (near < 0)
        return gw_err_set(err, "%s%s: %s", shown, gw_cfg_show(name).s, style->unknown);
    return gw_err_set(err, "%s%s: %s; did you mean %s%s?", shown, gw_cfg_show(name).s, style->unknown, shown,
                      spelt[near]);
}

static int set_named(struct gw_config *c, const struct style *style, const char *name, const char *value,
                     const char *dir, struct gw_err *err)
{
    const struct gw_opt *o = opt_named(style, name);
    const struct gw_list *l = list_named(style, name);
    char at[GW_CFG_NAME_MAX + 2];
    if (!o && !l)
        return fail_unknown(style, name, err);
    snprintf(at, sizeof(at), "%s%s", style->dashes, name);
    if (o)
        return gw_opt_set(c, o, value, true, dir, at, err);
    if (strlen(value) > GW_CFG_TEXT_BYTES_MAX)
        return gw_err_set(err, "%s: longer than %u bytes", at, GW_CFG_TEXT_BYTES_MAX);
    gw_cfg_texts_split(texts_of(c, l), value, at);
    return 0;
}

/* An empty KAFKA_* counts as not set: compose files pass them on like that. */
static int read_kafka(struct gw_config *c, const char *entry, const char *dir, struct gw_err *err)
{
    for (size_t i = 0; i < gw_kafka_names_n; i++) {
        size_t n = strlen(gw_kafka_names[i].name);
        if (!strncmp(entry, gw_kafka_names[i].name, n) && entry[n] == '=' && entry[n + 1])
            return gw_opt_set(c, gw_opt_find(gw_kafka_names[i].path), entry + n + 1, true, dir,
                              gw_kafka_names[i].name, err);
    }
    return 0;
}

static int read_own(struct gw_config *c, const char *entry, const char *dir, struct gw_err *err)
{
    size_t n = strcspn(entry, "=");
    if (strncmp(entry, "SLUICE_", 7) != 0 || !entry[n])
        return 0;
    char *name = gw_str_dup((struct gw_str){entry, n});
    int rc = is_allowed(name) || is_service_link(name) ? 0 : set_named(c, &env_style, name, entry + n + 1, dir, err);
    free(name);
    return rc;
}

int gw_env_read(struct gw_config *c, char *const *env, const char *dir, struct gw_err *err)
{
    for (size_t i = 0; env && env[i]; i++)
        if (read_kafka(c, env[i], dir, err) < 0)
            return -1;
    for (size_t i = 0; env && env[i]; i++)
        if (read_own(c, env[i], dir, err) < 0)
            return -1;
    return 0;
}

int gw_flags_read(struct gw_config *c, const struct gw_cfg_flag *flags, size_t n, const char *dir, struct gw_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (set_named(c, &flag_style, flags[i].name, flags[i].value, dir, err) < 0)
            return -1;
    return 0;
}

bool gw_config_is_flag(const char *name)
{
    return opt_named(&flag_style, name) || list_named(&flag_style, name);
}
