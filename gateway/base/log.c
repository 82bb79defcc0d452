/* Structured logging to standard error: one write() a line, so that lines of several threads never mix. */
#include "gw/log.h"

#include "gw/clock.h"
#include "gw/metrics.h"

#include <string.h>
#include <unistd.h>

#define VALUE_BYTES_MAX 512

static _Atomic int min_level = GW_LOG_INFO;
static _Atomic int out_format = GW_LOG_LOGFMT;
static const char *const level_names[] = {"debug", "info", "warn", "error"};

void gw_log_setup(enum gw_log_level min, enum gw_log_format format)
{
    atomic_store(&min_level, (int)min);
    atomic_store(&out_format, (int)format);
}

int gw_log_enabled(enum gw_log_level level)
{
    return (int)level >= atomic_load_explicit(&min_level, memory_order_relaxed);
}

/* True where the place may write; *before is how many lines it left out since the last one that got through. */
static int may_write(struct gw_log_site *site, uint32_t *before)
{
    int64_t now = gw_clock_mono_ms();
    int64_t start = atomic_load(&site->window_start_ms);
    if (start == 0 || now - start >= GW_LOG_SITE_WINDOW_MS) {
        atomic_store(&site->window_start_ms, now);
        atomic_store(&site->lines, 0);
    }
    if (atomic_fetch_add(&site->lines, 1) >= GW_LOG_SITE_LINES_MAX) {
        atomic_fetch_add(&site->suppressed, 1);
        gw_metric_add(GW_M_LOG_SUPPRESSED, 1);
        return 0;
    }
    *before = atomic_exchange(&site->suppressed, 0);
    return 1;
}

static int needs_quotes(struct gw_str s)
{
    if (s.len == 0)
        return 1;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7F)
            return 1;
    }
    return 0;
}

static struct gw_str cut(struct gw_str s)
{
    return s.len > VALUE_BYTES_MAX ? (struct gw_str){s.p, VALUE_BYTES_MAX} : s;
}

static void add_value(struct gw_buf *b, const struct gw_log_field *f, int json)
{
    if (f->kind == GW_FIELD_INT)
        gw_buf_add_i64(b, f->num);
    else if (f->kind == GW_FIELD_NUM)
        gw_buf_addf(b, "%.6g", f->real);
    else if (json || needs_quotes(cut(f->str)))
        gw_buf_add_json(b, cut(f->str));
    else
        gw_buf_add_str(b, cut(f->str));
}

static void add_field(struct gw_buf *b, const struct gw_log_field *f, int json)
{
    if (f->kind == GW_FIELD_STR && !f->str.p)
        return;
    if (json) {
        gw_buf_add_char(b, ',');
        gw_buf_add_json(b, gw_str_of(f->key));
        gw_buf_add_char(b, ':');
    } else {
        gw_buf_addf(b, " %s=", f->key);
    }
    add_value(b, f, json);
}

void gw_log_write(struct gw_log_site *site, enum gw_log_level level, const char *event,
                  const struct gw_log_field *fields)
{
    uint32_t before = 0;
    if (site && !may_write(site, &before))
        return;
    int json = atomic_load(&out_format) == GW_LOG_JSON;
    char time[25];
    gw_clock_rfc3339(gw_clock_wall_ms(), time);
    struct gw_buf b;
    gw_buf_init(&b);
    gw_buf_addf(&b, json ? "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\"" : "time=%s level=%s event=%s", time,
                level_names[level], event);
    for (; fields->key; fields++)
        add_field(&b, fields, json);
    if (before)
        add_field(&b, &GW_KI("suppressed", before), json);
    gw_buf_add_c(&b, json ? "}\n" : "\n");
    ssize_t ignored = write(STDERR_FILENO, b.data, b.len);
    (void)ignored;
    gw_buf_fini(&b);
}
