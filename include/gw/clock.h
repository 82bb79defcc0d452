/* Time. All functions are safe on any thread. */
#ifndef GW_CLOCK_H
#define GW_CLOCK_H

#include <stdint.h>

int64_t gw_clock_mono_ms(void); /* for deadlines and intervals; never jumps */
int64_t gw_clock_wall_ms(void); /* Unix time in milliseconds; for time stamps and token expiry */

/* RFC 3339 in UTC with milliseconds, "2026-01-01T00:00:00.000Z"; out must hold 25 bytes. */
void gw_clock_rfc3339(int64_t wall_ms, char out[25]);

#endif
