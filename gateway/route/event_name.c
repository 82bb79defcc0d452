/* What an event may be called. Any thread. */
#include "route_private.h"

static bool has_control(struct gw_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        /* C0 and DEL; C1, which is C2 80 to C2 9F in UTF-8 */
        if (c < 0x20 || c == 0x7f || (c == 0xc2 && i + 1 < s.len && (unsigned char)s.p[i + 1] < 0xa0))
            return true;
    }
    return false;
}

const char *event_name_fault(struct gw_str name)
{
    if (name.len == 0)
        return "is empty";
    if (name.len > EVENT_NAME_BYTES_MAX)
        return "is longer than 128 bytes";
    if (!gw_utf8_valid(name))
        return "is not valid UTF-8";
    return has_control(name) ? "contains a control character" : NULL;
}
