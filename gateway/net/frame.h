/* Frames: server-to-client WebSocket frames (RFC 6455 section 5.2), ready to be written as they are. Made once, shared by
 * all their receivers on one loop: the count is not atomic, a frame never leaves its loop. */
#ifndef GW_FRAME_H
#define GW_FRAME_H

#include "gw/buf.h"

struct frame {
    uint32_t refs;
    uint32_t len;
    unsigned char bytes[];
};

enum frame_opcode { FRAME_TEXT = 1, FRAME_CLOSE = 8, FRAME_PING = 9 };

/* One reference, the caller's. The payload is `a` followed by `b`; a ping always has one. */
struct frame *frame_new(enum frame_opcode opcode, struct gw_str a, struct gw_str b);
struct frame *frame_text(const struct gw_buf *b);
struct frame *frame_close(unsigned code, const char *reason);

static inline struct frame *frame_ref(struct frame *f)
{
    f->refs++;
    return f;
}
void frame_unref(struct frame *f);

#endif
