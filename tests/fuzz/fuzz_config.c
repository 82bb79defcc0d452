/* Fuzz target: YAML text, and behind a NUL each an entry of the environment, through the whole loading. What loads must
 * print, load again, and be the same. */
#include "gw/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENV_MAX 16

static struct gw_config *load(const char *yaml, char *const *env)
{
    struct gw_config_source src = {.builtin = yaml, .dev = true, .env = env};
    struct gw_err err = {.set = false};
    struct gw_config *c = gw_config_load(&src, &err);
    if (!c && (!err.set || !err.text[0]))
        abort(); /* no failure without a reason */
    return c;
}

static char *print(const struct gw_config *c)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    gw_config_print(c, out);
    fclose(out);
    return text;
}

/* Masked secrets come back as the mask; nothing else may change. */
static void on_change(void *arg, const char *path, bool reload)
{
    (void)arg;
    (void)reload;
    if (strcmp(path, "kafka.password") != 0 && strcmp(path, "kafka.properties") != 0)
        abort();
}

static void check_round_trip(const struct gw_config *c)
{
    char *first = print(c);
    struct gw_config *again = load(first, NULL);
    if (!again)
        abort();
    gw_config_compare(c, again, on_change, NULL);
    char *second = print(again);
    struct gw_config *third = load(second, NULL);
    if (!third)
        abort();
    char *last = print(third);
    if (strcmp(second, last) != 0)
        abort();
    gw_config_free(third);
    gw_config_free(again);
    free(last);
    free(second);
    free(first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *env[ENV_MAX + 1];
    size_t n = 0;
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    for (char *p = text + strlen(text); p < text + size && n < ENV_MAX; p += strlen(p))
        env[n++] = ++p;
    env[n] = NULL;
    struct gw_config *c = load(text, env);
    if (c)
        check_round_trip(c);
    gw_config_free(c);
    free(text);
    return 0;
}
