// The chat of a session. What is written goes to Kafka as the action session.chat and comes back from there as an
// event, to everyone in the room, the writer included: a bubble is sent, then acked, then delivered.
// Every room keeps its own list, so that switching loses nothing; a list is bounded.
import { $, h, icon, setText, trim } from '../dom.js';
import { clock, identity, meta, position, showLag } from '../format.js';
import { newKey } from '../connection.js';
import { receipt } from '../receipt.js';

const MESSAGES_MAX = 200;
const TOGETHER_MS = 120000;
const NEAR_END_PX = 80;
const ATTENDANCE = new Set(['session.join', 'session.leave']);

export function mountChat({ connection, me, people, sessions }) {
  const rooms = new Map();
  let current = null;
  const attendance = receipt();
  $('attendance').append(attendance.node);

  function roomOf(id) {
    if (!rooms.has(id)) {
      const list = h('ol', { class: 'messages', role: 'log', 'aria-label': `Messages of session ${id}`, tabIndex: 0, hidden: true });
      const room = { id, list, own: new Map(), seen: new Set(), unread: 0, draft: '', inside: false, atEnd: true };
      list.addEventListener('scroll', () => { room.atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_END_PX; });
      rooms.set(id, room);
      $('logs').append(list);
    }
    return rooms.get(id);
  }

  function open(id) {
    if (current) current.draft = $('message').value;
    current = roomOf(id);
    for (const room of rooms.values()) room.list.hidden = room !== current;
    current.unread = 0;
    sessions.select(id);
    sessions.unread(id, 0);
    setText($('h-chat'), `Session ${id}`);
    $('message').value = current.draft;
    $('message').setAttribute('aria-label', `Message to session ${id}`);
    $('chat').dataset.session = id;
    attendance.node.hidden = true;
    refresh();
    current.list.scrollTop = current.list.scrollHeight;
  }

  function refresh() {
    $('chat-empty').hidden = !current || current.list.children.length > 0;
    $('chat').dataset.ready = String(Boolean(current));
    setText($('attend'), current?.inside ? 'Leave session' : 'Join session');
  }

  /** Puts a line where its time belongs, which is nearly always the end, and stays at the end if it was there. */
  function place(room, node) {
    const { list } = room;
    let after = list.lastElementChild;
    while (after && Number(after.dataset.time) > Number(node.dataset.time)) after = after.previousElementSibling;
    list.insertBefore(node, after ? after.nextElementSibling : list.firstElementChild);
    trim(list, MESSAGES_MAX);
    regroup(node);
    if (node.nextElementSibling) regroup(node.nextElementSibling);
    if (room.atEnd || node.classList.contains('mine')) list.scrollTop = list.scrollHeight;
    refresh();
  }

  function send(text) {
    const room = current;
    const key = newKey();
    const bubble = makeBubble({ who: me.user, text, time: Date.now(), mine: true, people });
    remember(room.own, key, bubble);
    place(room, bubble.node);
    const attempt = () => bubble.follow(connection.act('session.chat', { room: `session:${room.id}`, data: { message: text }, key }), attempt, connection.ready);
    attempt();
  }

  /** An event of the topic session-actions: its data is the envelope. */
  function receive(event) {
    const name = event.data?.metadata?.room ?? event.rooms?.find((candidate) => candidate.startsWith('session:')) ?? '';
    if (!name.startsWith('session:')) return;
    const room = roomOf(name.slice('session:'.length));
    if (room.seen.has(identity(event))) return;
    remember(room.seen, identity(event));
    const who = event.data.metadata?.userId;
    if (ATTENDANCE.has(event.event)) place(room, attended(room, event, who));
    else if (who === me.user && room.own.has(event.data.eventId)) returned(room, event);
    else arrived(room, event, who);
  }

  /** The writer's own message is back from Kafka; its place is where Kafka's time puts it. */
  function returned(room, event) {
    const bubble = room.own.get(event.data.eventId);
    bubble.delivered(event);
    const { nextElementSibling: next, previousElementSibling: previous } = bubble.node;
    if (Number(next?.dataset.time) < event.time || Number(previous?.dataset.time) > event.time) {
      bubble.node.remove();
      place(room, bubble.node);
    }
  }

  function arrived(room, event, who) {
    const bubble = makeBubble({ who, text: String(event.data.data?.message ?? ''), time: event.time, mine: who === me.user, people });
    bubble.delivered(event);
    place(room, bubble.node);
    if (room === current || who === me.user || event.replay !== undefined) return;
    room.unread++;
    sessions.unread(room.id, room.unread);
  }

  function attended(room, event, who) {
    const joined = event.event === 'session.join';
    if (who === me.user) room.inside = joined;
    return h('li', { class: 'aside', dataset: { time: event.time } },
      h('span', {}, `${people.name(who)} ${joined ? 'joined' : 'left'} the session`), meta(event));
  }

  function attend() {
    const name = current.inside ? 'session.leave' : 'session.join';
    const room = current;
    attendance.follow(connection.act(name, { room: `session:${room.id}`, data: {} }), connection.ready)
      .then(() => { room.inside = name === 'session.join'; refresh(); }, () => {});
  }

  wireComposer(send);
  new ResizeObserver(() => {
    if (current?.atEnd) current.list.scrollTop = current.list.scrollHeight;
  }).observe($('logs'));
  $('attend').addEventListener('click', attend);
  for (const id of me.sessions) roomOf(id);
  if (me.sessions.length) open(me.sessions[0]);
  else refresh();
  return { open, receive };
}

function wireComposer(send) {
  const field = $('message');
  const submit = (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (!text) return;
    field.value = '';
    send(text);
  };
  $('composer').addEventListener('submit', submit);
  field.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) submit(event);
  });
}

/** Keeps a Map or Set bounded: the oldest entry goes. */
function remember(store, key, value) {
  if (store.size >= MESSAGES_MAX) store.delete(store.keys().next().value);
  store instanceof Map ? store.set(key, value) : store.add(key);
}

/** Several messages of one person in a row stand together under one name. */
function regroup(node) {
  const before = node.previousElementSibling;
  const together = before && before.dataset.who && before.dataset.who === node.dataset.who
    && node.dataset.time - before.dataset.time < TOGETHER_MS;
  node.classList.toggle('follow', Boolean(together));
}

function makeBubble({ who, text, time, mine, people }) {
  const state = h('span', { class: 'receipt', hidden: true });
  const again = h('button', { type: 'button', class: 'button small', hidden: true }, 'Try again');
  const when = h('time', {}, clock(time));
  const lag = h('span', { class: 'lag' });
  const pos = h('span', { class: 'pos', title: 'topic/partition/offset' });
  const node = h('li', { class: mine ? 'message mine' : 'message', dataset: { who: who ?? '', time } },
    people.avatar(who),
    h('div', { class: 'bubble-box' },
      h('span', { class: 'author' }, people.name(who)),
      h('p', { class: 'bubble' }, text),
      h('span', { class: 'meta' }, when, lag, state, pos, again)));
  let retry = null;
  again.addEventListener('click', () => retry?.());

  const show = (name, label, mark) => {
    node.dataset.state = name;
    state.hidden = !label;
    state.dataset.state = name;
    state.replaceChildren(...(mark ? [icon(mark)] : []), label);
  };
  return {
    node,
    async follow(promise, attempt, ready) {
      retry = attempt;
      again.hidden = true;
      show('sent', ready ? 'sent' : 'queued', null);
      try {
        const ack = await promise;
        setText(pos, `@${position(ack)}`);
        if (node.dataset.state !== 'delivered') show('acked', 'acked', 'check');
      } catch (error) {
        if (node.dataset.state === 'delivered') return;
        show('failed', error.message, 'alert');
        again.hidden = !error.retry;
      }
    },
    delivered(event) {
      setText(when, clock(event.time));
      node.dataset.time = event.time;
      showLag(lag, event);
      setText(pos, `@${position(event)}`);
      again.hidden = true;
      show('delivered', mine ? 'delivered' : '', mine ? 'checks' : null);
    },
  };
}
