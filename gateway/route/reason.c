/* The names of the reasons why a record goes to no room; they stand in logs, metrics and headers of dead letters. */
#include "gw/route.h"

const char *gw_route_reason_name(enum gw_route_reason r)
{
    switch (r) {
    case GW_ROUTE_OK:
        return "ok";
    case GW_ROUTE_NO_MATCH:
        return "no_match";
    case GW_ROUTE_TOMBSTONE:
        return "tombstone";
    case GW_ROUTE_TOO_LARGE:
        return "too_large";
    case GW_ROUTE_NOT_JSON:
        return "not_json";
    case GW_ROUTE_MISSING:
        return "missing";
    case GW_ROUTE_BAD_ROOM:
        return "bad_room";
    case GW_ROUTE_TOO_MANY:
        return "too_many_rooms";
    }
    return "unknown";
}

bool gw_route_reason_is_dlt(enum gw_route_reason r)
{
    return r != GW_ROUTE_OK && r != GW_ROUTE_NO_MATCH && r != GW_ROUTE_TOMBSTONE;
}
