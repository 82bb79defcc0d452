/* Time, on any thread. */
#include "gw/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t now_ms(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t gw_clock_mono_ms(void)
{
    return now_ms(CLOCK_MONOTONIC);
}

int64_t gw_clock_wall_ms(void)
{
    return now_ms(CLOCK_REALTIME);
}

void gw_clock_rfc3339(int64_t wall_ms, char out[25])
{
    time_t sec = (time_t)(wall_ms / 1000);
    struct tm tm;
    gmtime_r(&sec, &tm);
    char text[64];
    size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof(text) - n, ".%03uZ", (unsigned)(wall_ms % 1000));
    memcpy(out, text, 24);
    out[24] = '\0';
}
