// Figures and times as people read them, and the small elements that show where and when an event came from.
import { h } from './dom.js';

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
const HOUR = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hour12: false });
const DAY = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });

export const clock = (ms) => CLOCK.format(ms);

/** 11:09, with the day in front when it is another one. */
export function moment(ms, now = Date.now()) {
  const sameDay = new Date(ms).toDateString() === new Date(now).toDateString();
  return sameDay ? HOUR.format(ms) : `${DAY.format(ms)}, ${HOUR.format(ms)}`;
}

/** ISO 8601 text, seconds or milliseconds since 1970; NaN when it is none of them. */
export function instant(value) {
  if (typeof value === 'number') return value < 1e11 ? value * 1000 : value;
  return typeof value === 'string' ? Date.parse(value) : NaN;
}

export function duration(ms) {
  if (ms < 1) return '<1 ms';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.round(ms / 60000)} min`;
}

/** 4:05, 1:04:05 or 2 days, rounded up so that 0:00 means now. */
export function countdown(ms) {
  const total = Math.max(0, Math.ceil(ms / 1000));
  const hours = Math.floor(total / 3600);
  if (hours >= 48) return `${Math.floor(hours / 24)} days`;
  const two = (n) => String(n).padStart(2, '0');
  const rest = `${two(Math.floor(total / 60) % 60)}:${two(total % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
}

export const position = ({ topic, partition, offset }) => `${topic}/${partition}/${offset}`;

/** From the record's timestamp to its arrival here; 0 when the clocks disagree. */
export const latency = (event) => Math.max(0, event.receivedAt - event.time);

/** Names an event for good: a new broker may hand out the same position again, not at the same time. */
export const identity = (event) => `${position(event)}@${event.time}`;

/** When, how fast, and (on hover or focus) exactly where an event was. */
export function meta(event) {
  return h('span', { class: 'meta' },
    h('time', { dateTime: new Date(event.time).toISOString() }, clock(event.time)),
    showLag(h('span', { title: 'From the record’s timestamp to its arrival here' }), event),
    h('span', { class: 'pos', title: `${position(event)} (topic/partition/offset)` }, position(event)));
}

/** How long the event took; one that came from a room's past says so instead. */
export function showLag(node, event) {
  const past = event.replay !== undefined;
  node.className = past ? 'lag old' : 'lag';
  node.textContent = past ? 'from history' : duration(latency(event));
  return node;
}
