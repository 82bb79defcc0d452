/* Structured logging: one line an event, logfmt or JSON, on standard error.
 *
 *   GW_LOG(GW_LOG_INFO, "connection.open", GW_KS("conn", id), GW_KI("loop", 1));
 *
 * Control characters and quotes in values are escaped, values are cut at 512 bytes. Each place in the source may write
 * 20 lines in 10 seconds (the limit stands below); what is over is counted, and the next line that gets through carries suppressed=N. Secrets
 * (tokens, keys, passwords) are never given to this module. Safe on any thread. */
#ifndef GW_LOG_H
#define GW_LOG_H

#include "gw/buf.h"

#include <stdatomic.h>
#include <stdint.h>

enum gw_log_level { GW_LOG_DEBUG, GW_LOG_INFO, GW_LOG_WARN, GW_LOG_ERROR };
enum gw_log_format { GW_LOG_LOGFMT, GW_LOG_JSON };

struct gw_log_field {
    const char *key; /* NULL ends the list */
    enum { GW_FIELD_STR, GW_FIELD_INT, GW_FIELD_NUM } kind;
    struct gw_str str; /* absent: the field is left out */
    int64_t num;
    double real;
};

#define GW_KS(k, v) ((struct gw_log_field){.key = (k), .kind = GW_FIELD_STR, .str = gw_str_of(v)})
#define GW_KV(k, v) ((struct gw_log_field){.key = (k), .kind = GW_FIELD_STR, .str = (v)}) /* v: struct gw_str */
#define GW_KI(k, v) ((struct gw_log_field){.key = (k), .kind = GW_FIELD_INT, .num = (int64_t)(v)})
#define GW_KF(k, v) ((struct gw_log_field){.key = (k), .kind = GW_FIELD_NUM, .real = (v)})

/* One per place in the source; made by the macro. */
struct gw_log_site {
    _Atomic int64_t window_start_ms;
    _Atomic uint32_t lines;
    _Atomic uint32_t suppressed;
};

#define GW_LOG_SITE_LINES_MAX 20
#define GW_LOG_SITE_WINDOW_MS 10000

#define GW_LOG(level, event, ...)                                                                                     \
    do {                                                                                                              \
        static struct gw_log_site gw_site_;                                                                           \
        if (gw_log_enabled(level))                                                                                    \
            gw_log_write(&gw_site_, (level), (event), (const struct gw_log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}});  \
    } while (0)

void gw_log_setup(enum gw_log_level min, enum gw_log_format format);
int gw_log_enabled(enum gw_log_level level);
void gw_log_write(struct gw_log_site *site, enum gw_log_level level, const char *event,
                  const struct gw_log_field *fields);

#endif
