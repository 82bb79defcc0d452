/* What actions.c compiles and action_record.c uses. */
#ifndef GW_ACTION_PRIVATE_H
#define GW_ACTION_PRIVATE_H

#include "gw/action.h"

struct gw_template;

struct gw_action {
    const struct gw_cfg_action *cfg; /* borrowed from the configuration */
    size_t index;
    struct gw_pattern *room;      /* owned, or NULL */
    struct gw_template *key;      /* owned */
    struct gw_template **headers; /* owned; as many as cfg->nheaders */
};

#endif
