/* The gateway as a whole: builds the modules in order, obeys signals, takes them down in reverse. */
#ifndef GW_APP_H
#define GW_APP_H

#include "gw/config.h"

extern const char gw_builtin_config[]; /* examples/learning.yaml */

/* Loads the configuration that src names, with what --dev changes. NULL with err. */
struct gw_config *gw_app_config(const struct gw_config_source *src, struct gw_err *err);

/* Everything that can be checked without opening a port or asking Kafka. 0, or -1 with err. Takes cfg. */
int gw_app_check(struct gw_config *cfg, struct gw_err *err);

/* Runs until SIGTERM or SIGINT; SIGHUP loads src again. Returns the exit code of the process. */
int gw_app_run(const struct gw_config_source *src, struct gw_err *err);

#endif
