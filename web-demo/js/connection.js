// The client side of the WebSocket subprotocol `sluice.v1`: one connection that keeps itself up.
// It signs in, joins and re-joins rooms, resumes from its positions, renews its token in band, sends actions and
// keeps them until they are answered. It knows nothing of the page: what happens is told as events
//   state   {state, kafka, token, ...}   whenever any of it changes (see `status`)
//   event   the protocol's event message, each once, with `receivedAt` (ms) added
//   room    {room, status, message}      joined, refused, taken
//   frame   {sent, text, at}             every frame as it is on the wire
//   notice  {text, tone}                 something a person may want to read
import { Positions } from './positions.js';
import { mayReturn, retryDelay } from './retry.js';

const PROTOCOL = 'sluice.v1';
const ACTIONS_MAX = 64;
const ACTION_TIMEOUT_MS = 30000;
const REQUEST_TIMEOUT_MS = 10000;
const PING_EVERY_MS = 10000;
const STEADY_AFTER_MS = 10000;

/** What the gateway answered instead of what was asked for. `retry`: the same may work later. */
export class ProtocolError extends Error {
  constructor(code, message, retry = false) {
    super(message || code);
    this.code = code;
    this.retry = retry;
  }
}

export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export class Connection extends EventTarget {
  /** What stands: state is idle, connecting, live, waiting or stopped. */
  status = { state: 'idle', kafka: 'up', token: 'ok', expires: 0, rtt: null, reason: '', retryAt: 0 };
  rooms = new Map();

  #url;
  #fetchToken;
  #socket = null;
  #epoch = 0;
  #nextId = 1;
  #requests = new Map();
  #actions = new Map();
  #positions = new Positions();
  #ownRooms = [];
  #inRooms = false;
  #attempt = 0;
  #liveSince = 0;
  #lastHeard = 0;
  #heartbeatMs = 25000;
  #returnAt = 0;
  #retryTimer = 0;
  #pulseTimer = 0;

  /** `token`: async function that returns a fresh token; an error of it with `permanent` ends the attempts. */
  constructor({ url, token }) {
    super();
    this.#url = url;
    this.#fetchToken = token;
  }

  start() {
    clearTimeout(this.#retryTimer);
    this.#open();
  }

  /** False: what is sent now waits until the connection stands and its rooms are joined. */
  get ready() {
    return this.#inRooms;
  }

  /** Wants the room from now on, across reconnects. `history`: that many recent events come first. */
  join(room, { history = 0 } = {}) {
    this.rooms.set(room, { history, status: 'wanted' });
    if (this.#inRooms) this.#join(room);
  }

  /**
   * Sends an action; resolves with the ack, rejects with a ProtocolError. An action that lost its connection is sent
   * again with the same idempotency key once the rooms are joined again, so it takes effect once.
   */
  act(name, { room, data, key = newKey() }) {
    if (this.#actions.size >= ACTIONS_MAX) {
      return Promise.reject(new ProtocolError('busy', 'Too many actions are waiting for an answer', true));
    }
    const id = this.#nextId++;
    const message = { type: 'action', id, name, room, data, key };
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#actions.delete(id);
        reject(new ProtocolError('timeout', 'No answer in 30 s', true));
      }, ACTION_TIMEOUT_MS);
      this.#actions.set(id, { message, resolve, reject, timer });
      if (this.#inRooms) this.#send(message);
    });
  }

  // ---- the socket's life

  async #open() {
    this.#drop();
    const epoch = this.#epoch;
    this.#tell({ state: 'connecting', reason: '', retryAt: 0 });
    let token;
    try {
      token = await this.#fetchToken();
    } catch (error) {
      if (epoch === this.#epoch) this.#lost(error.permanent ? 4501 : 1006, error.message);
      return;
    }
    if (epoch === this.#epoch) this.#dial(epoch, token);
  }

  #dial(epoch, token) {
    const socket = new WebSocket(this.#url, PROTOCOL);
    const current = (handler) => (event) => {
      if (epoch === this.#epoch) handler(event);
    };
    this.#socket = socket;
    socket.addEventListener('open', current(() => this.#signIn(token)));
    socket.addEventListener('message', current((event) => this.#receive(event.data)));
    socket.addEventListener('close', current((event) => this.#lost(event.code, event.reason)));
  }

  async #signIn(token) {
    const epoch = this.#epoch;
    this.#lastHeard = Date.now();
    try {
      await this.#request({ type: 'auth', token });
    } catch (error) {
      // A refusal is followed by the server's close, whose code is the verdict; silence is a lost connection.
      if (error.code === 'timeout' && epoch === this.#epoch) this.#lost(1006, 'No answer to the sign-in');
      return;
    }
    await this.#enterRooms(epoch);
  }

  /** Runs before the next message of the same frame is looked at: a status or an event may be right behind. */
  #welcomed(welcome) {
    const now = Date.now();
    this.#liveSince = now;
    this.#heartbeatMs = 1000 * (welcome.heartbeat || 25);
    this.#returnAt = 0;
    this.#ownRooms = welcome.rooms ?? [];
    if (!this.#positions.empty) this.#positions.beginResume();
    this.#tell({ state: 'live', kafka: 'up', token: 'ok', expires: welcome.expires ?? 0, reason: '' });
    this.#pulseTimer = setInterval(() => this.#pulse(), PING_EVERY_MS);
    this.#ping();
  }

  /** Ends the current socket without a word to the page; what it still says is not listened to. */
  #drop() {
    this.#epoch++;
    clearTimeout(this.#retryTimer);
    clearInterval(this.#pulseTimer);
    this.#inRooms = false;
    const socket = this.#socket;
    this.#socket = null;
    if (socket && socket.readyState <= WebSocket.OPEN) socket.close(1000);
    for (const { reject, timer } of this.#requests.values()) {
      clearTimeout(timer);
      reject(new ProtocolError('lost', 'Connection lost', true));
    }
    this.#requests.clear();
  }

  #lost(code, reason) {
    const now = Date.now();
    const steady = this.#liveSince && now - this.#liveSince > STEADY_AFTER_MS;
    this.#attempt = steady ? 0 : this.#attempt;
    this.#liveSince = 0;
    this.#drop();
    for (const room of this.rooms.values()) if (room.status === 'joined') room.status = 'wanted';
    if (!mayReturn(code)) {
      this.#tell({ state: 'stopped', reason: reason || `Closed with code ${code}`, code, rtt: null });
      return;
    }
    const asked = this.#returnAt > now ? this.#returnAt - now : 0;
    const delay = asked || retryDelay(this.#attempt++);
    this.#retryTimer = setTimeout(() => this.#open(), delay);
    this.#tell({ state: 'waiting', reason, code, retryAt: now + delay, rtt: null });
  }

  /** Every few seconds: is the other side still there? */
  #pulse() {
    const now = Date.now();
    if (now - this.#lastHeard > 2.5 * this.#heartbeatMs) {
      this.#lost(1006, 'Nothing heard for too long');
    } else if (this.#returnAt && now >= this.#returnAt) {
      this.#lost(1012, 'This node is being taken down');
    } else if (!document.hidden) {
      this.#ping();
    }
  }

  async #ping() {
    const start = performance.now();
    try {
      await this.#request({ type: 'ping' });
      this.#tell({ rtt: performance.now() - start });
    } catch {
      // A lost ping says nothing that #pulse and the close do not say.
    }
  }

  // ---- rooms

  async #enterRooms(epoch) {
    const wanted = [...this.rooms].filter(([, room]) => room.status !== 'refused').map(([name]) => name);
    const resumed = !this.#positions.empty && (await this.#resume(wanted));
    if (!resumed && epoch === this.#epoch) await Promise.all(wanted.map((room) => this.#join(room)));
    if (epoch !== this.#epoch) return;
    this.#inRooms = true;
    for (const { message } of this.#actions.values()) this.#send(message);
  }

  async #join(room) {
    const { history } = this.rooms.get(room);
    try {
      await this.#request({ type: 'join', room, history: history || undefined });
      this.#room(room, 'joined');
    } catch (error) {
      if (error.code !== 'lost' && error.code !== 'timeout') this.#room(room, 'refused', error.message);
    }
  }

  /** True when the stream goes on where it was (or with gaps that were told); false: join anew. */
  async #resume(wanted) {
    const rooms = [...new Set([...this.#ownRooms, ...wanted])];
    try {
      const answer = await this.#request({ type: 'resume', rooms, positions: this.#positions });
      this.#positions.endResume(answer.gaps);
      wanted.forEach((room) => this.#room(room, 'joined'));
      this.#noticeResumed(answer);
      return true;
    } catch (error) {
      if (error.code !== 'lost') this.#positions.clear();
      return false;
    }
  }

  #noticeResumed({ complete, events = 0 }) {
    const count = events === 1 ? '1 event' : `${events} events`;
    const text = complete === false
      ? 'Back. Some events from while you were away are no longer in Kafka.'
      : `Back where you were: ${events ? `${count} caught up` : 'nothing missed'}.`;
    this.#emit('notice', { text, tone: complete === false ? 'warn' : 'good' });
  }

  #room(room, status, message = '') {
    const entry = this.rooms.get(room);
    if (entry) entry.status = status;
    this.#emit('room', { room, status, message });
  }

  // ---- token

  async #renew() {
    this.#tell({ token: 'renewing' });
    try {
      const token = await this.#fetchToken();
      const { expires } = await this.#request({ type: 'auth', token });
      this.#tell({ token: 'renewed', expires: expires ?? 0 });
    } catch (error) {
      this.#tell({ token: 'expiring' });
      this.#emit('notice', { text: `The token could not be renewed: ${error.message}`, tone: 'warn' });
    }
  }

  // ---- messages

  #receive(text) {
    this.#lastHeard = Date.now();
    this.#emit('frame', { sent: false, text, at: this.#lastHeard });
    for (const line of text.split('\n')) {
      if (!line) continue;
      let message;
      try {
        message = JSON.parse(line);
      } catch {
        this.#emit('notice', { text: 'A frame arrived that is not JSON', tone: 'warn' });
        continue;
      }
      this.#handle(message);
    }
  }

  #handle(message) {
    switch (message.type) {
      case 'welcome':
        this.#welcomed(message);
        break;
      case 'event':
        if (this.#positions.admit(message)) this.#emit('event', { ...message, receivedAt: this.#lastHeard });
        return;
      case 'heartbeat':
        this.#positions.advance(message.positions);
        return;
      case 'status':
        this.#tell({ kafka: message.kafka });
        return;
      case 'expiring':
        this.#renew();
        return;
      case 'reconnect':
        this.#returnAt = Date.now() + (message.after || 0);
        return;
      case 'left':
        if (message.id === undefined) this.#room(message.room, 'taken', message.reason);
    }
    this.#answer(message);
  }

  #answer(message) {
    const waiting = this.#actions.get(message.id) ?? this.#requests.get(message.id);
    if (!waiting) {
      if (message.type === 'error') this.#emit('notice', { text: message.message || message.code, tone: 'bad' });
      return;
    }
    this.#actions.delete(message.id);
    this.#requests.delete(message.id);
    clearTimeout(waiting.timer);
    if (message.type === 'error') waiting.reject(new ProtocolError(message.code, message.message, message.retry));
    else waiting.resolve(message);
  }

  /** A message with an answer that belongs to this socket only. */
  #request(message) {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#requests.delete(id);
        reject(new ProtocolError('timeout', 'No answer in 10 s', true));
      }, REQUEST_TIMEOUT_MS);
      this.#requests.set(id, { resolve, reject, timer });
      this.#send({ ...message, id });
    });
  }

  #send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    const text = JSON.stringify(message);
    this.#socket.send(text);
    this.#emit('frame', { sent: true, text, at: Date.now() });
  }

  #tell(changes) {
    this.status = { ...this.status, ...changes };
    this.#emit('state', this.status);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
