/* Loads YAML texts; for the tests of the configuration. */
#ifndef GW_TEST_CONFIG_LOAD_H
#define GW_TEST_CONFIG_LOAD_H

#include "gw/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static inline struct gw_config *load(const char *yaml, bool dev, char *const *env, struct gw_err *err)
{
    struct gw_config_source src = {.builtin = yaml, .dev = dev, .env = env};
    *err = (struct gw_err){.set = false};
    return gw_config_load(&src, err);
}

static inline struct gw_config *must_load(const char *yaml)
{
    struct gw_err err;
    struct gw_config *c = load(yaml, true, NULL, &err);
    if (!c)
        fail_msg("%s: %s", yaml, err.text);
    return c;
}

#endif
