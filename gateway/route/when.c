/* Conditions: whether a route is for this record. On the thread of the scratch. */
#include "route_private.h"

static bool one_holds(struct route_view *view, const struct route_when *when)
{
    const struct route_ref *ref = &view->bound->route->refs[when->ref];
    struct gw_str text;

    if (when->n == 0)
        return view_exists(view, ref);
    if (view_text(view, ref, &text) != 0)
        return false;
    for (size_t i = 0; i < when->n; i++)
        if (gw_str_eq(text, when->values[i]))
            return true;
    return false;
}

bool when_holds(struct route_view *view)
{
    const struct route *rt = view->bound->route;

    for (size_t i = 0; i < rt->nwhen; i++)
        if (!one_holds(view, &rt->when[i]))
            return false;
    return true;
}
