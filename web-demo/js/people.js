// Who is who: the people that the gateway's development mode offers, their colours, and their tokens.
import { h } from './dom.js';

const COLOURS = ['#0b7285', '#a23b72', '#5b5bd6', '#b3541e', '#2b8a3e', '#8a6d00'];
const FALLBACK = { u1: ['Ada', '42', '43'], u2: ['Grace', '42'], u3: ['Edsger', '43'] };

async function getJson(path) {
  const response = await fetch(path, { cache: 'no-store' });
  if (!response.ok) {
    const error = new Error(`${path.split('?')[0]} answered ${response.status}`);
    error.permanent = response.status >= 400 && response.status < 500 && response.status !== 429;
    throw error;
  }
  return response.json();
}

export class People {
  #byId = new Map();

  async load() {
    for (const [index, person] of (await getJson('dev/people')).entries()) this.#add(person, index);
    return [...this.#byId.values()];
  }

  get(user) {
    return this.#byId.get(user);
  }

  name(user) {
    return this.#byId.get(user)?.name ?? user ?? 'someone';
  }

  /** A round initial in the person's colour; the name stands beside it, so it says nothing to a screen reader. */
  avatar(user, size = '') {
    const node = h('span', { class: `avatar ${size}`, 'aria-hidden': 'true' }, this.name(user).slice(0, 1).toUpperCase());
    node.style.setProperty('--person', this.#byId.get(user)?.color ?? COLOURS[hash(user) % COLOURS.length]);
    return node;
  }

  #add(person, index) {
    const [name, ...sessions] = FALLBACK[person.user] ?? [person.user];
    const color = person.color ?? person.colour;
    this.#byId.set(person.user, {
      user: person.user,
      name: person.name ?? name,
      color: /^#[0-9a-f]{6}$/i.test(color) ? color : COLOURS[index % COLOURS.length],
      sessions: (person.sessions ?? sessions).map(String),
    });
  }
}

function hash(text = '') {
  let sum = 0;
  for (const char of String(text)) sum = (sum * 31 + char.codePointAt(0)) >>> 0;
  return sum;
}

/** A fresh development token for the person. */
export async function fetchToken(user) {
  const { token } = await getJson(`dev/token?user=${encodeURIComponent(user)}`);
  return token;
}
