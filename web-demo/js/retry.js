// When to come back after a connection ended, and how long to wait first.
// Pure functions; nothing here touches a socket or a clock.

const DELAY_MIN_MS = 500;
const DELAY_MAX_MS = 20000;

/** Close codes of RFC 6455 after which another attempt makes sense: going away, lost, service restart. */
const PASSING = new Set([1001, 1006, 1012]);

/** True when the close code says "come back": the ranges are the protocol's own. */
export function mayReturn(code) {
  return PASSING.has(code) || (code >= 4000 && code <= 4499);
}

/** Full jitter: anywhere between the floor and a ceiling that doubles with each attempt (0, 1, 2 ...). */
export function retryDelay(attempt, random = Math.random) {
  const ceiling = Math.min(DELAY_MAX_MS, 2 * DELAY_MIN_MS * 2 ** Math.min(attempt, 10));
  return Math.round(DELAY_MIN_MS + random() * (ceiling - DELAY_MIN_MS));
}
