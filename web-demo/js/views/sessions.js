// The sessions of the person, each with a live count-down to its start. Choosing one opens its chat.
import { $, flash, h, icon, setText } from '../dom.js';
import { countdown, instant, meta, moment } from '../format.js';

const SESSIONS_MAX = 50;
const SOON_MS = 60000;

export function mountSessions({ me, onOpen }) {
  const cards = new Map();
  const list = $('sessions');

  function card(id) {
    if (cards.has(id)) return cards.get(id);
    if (cards.size >= SESSIONS_MAX) return null;
    const made = makeCard(id, me.sessions.includes(id), onOpen);
    cards.set(id, made);
    list.append(made.node);
    return made;
  }

  me.sessions.forEach(card);
  return {
    /** A session.starting event. */
    starting(event) {
      const shown = card(String(event.data.sessionId));
      if (!shown || (event.replay !== undefined && event.time <= shown.time)) return;
      shown.announce(event);
      shown.tick(Date.now());
    },
    tick(now) {
      for (const shown of cards.values()) shown.tick(now);
    },
    select(id) {
      for (const [key, shown] of cards) shown.select(key === id);
    },
    unread(id, count) {
      cards.get(id)?.unread(count);
    },
    room(id, status, message) {
      cards.get(id)?.room(status, message);
    },
  };
}

function makeCard(id, enrolled, onOpen) {
  const time = h('span', { class: 'count', role: 'timer', 'aria-label': `Time until session ${id} starts` }, '–:––');
  const when = h('span', { class: 'count-label' }, 'no start announced');
  const message = h('p', { class: 'card-text', hidden: true });
  const from = h('div', { class: 'card-meta' });
  const note = h('p', { class: 'card-note', hidden: true });
  const bar = h('span', { class: 'fuse', 'aria-hidden': 'true' });
  const badge = h('span', { class: 'badge', hidden: true });
  const title = h('button', { type: 'button', class: 'card-title', disabled: !enrolled, onclick: () => onOpen(id) },
    h('span', {}, `Session ${id}`), badge, enrolled ? icon('chat') : null);
  const node = h('li', { class: 'card session', dataset: { session: id, phase: 'idle' } },
    h('div', { class: 'card-head' }, title, h('div', { class: 'count-box' }, time, when)), message, note, from, bar);
  let start = NaN;
  let span = 1;

  return {
    node,
    time: 0,
    announce(event) {
      this.time = event.time;
      start = instant(event.data.scheduledTime);
      span = Math.max(1, start - event.time);
      setText(message, event.data.message ?? '');
      message.hidden = !event.data.message;
      from.replaceChildren(meta(event));
      flash(node);
    },
    tick(now) {
      if (Number.isNaN(start)) return;
      const left = start - now;
      node.dataset.phase = left <= 0 ? 'started' : left <= SOON_MS ? 'soon' : 'ahead';
      setText(time, left <= 0 ? 'now' : countdown(left));
      setText(when, left <= 0 ? `started ${moment(start, now)}` : `starts ${moment(start, now)}`);
      bar.style.setProperty('--left', Math.min(1, Math.max(0, left / span)).toFixed(4));
    },
    select(on) {
      node.classList.toggle('selected', on);
      title.setAttribute('aria-pressed', String(on));
    },
    unread(count) {
      badge.hidden = count === 0;
      setText(badge, count ? String(count) : '');
      badge.setAttribute('aria-label', `${count} new messages`);
    },
    room(status, text) {
      node.dataset.room = status;
      note.hidden = status === 'joined';
      setText(note, status === 'joined' ? '' : `Not in the room: ${text || status}`);
    },
  };
}
