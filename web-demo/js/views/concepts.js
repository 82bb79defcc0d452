// Concepts and how well they are mastered: the person's own level as a bar, the others' as marks upon it.
// Under each, a small form answers a question about the concept (action concept.answer).
import { $, flash, h, setText } from '../dom.js';
import { meta } from '../format.js';
import { receipt } from '../receipt.js';

const CONCEPTS_MAX = 50;
const USERS_MAX = 20;
export const CONCEPTS = new Map([['7', 'Recursion'], ['8', 'Pointers'], ['9', 'Concurrency']]);

export function mountConcepts({ connection, me, people }) {
  const cards = new Map();
  const list = $('concepts');

  function card(id) {
    if (cards.has(id)) return cards.get(id);
    if (cards.size >= CONCEPTS_MAX) return null;
    const made = makeCard(id, { connection, me, people });
    cards.set(id, made);
    list.append(made.node);
    return made;
  }

  for (const id of CONCEPTS.keys()) card(id);
  return {
    /** A concept.mastered event. */
    mastered(event) {
      card(String(event.data.conceptId))?.mastered(event);
    },
  };
}

function makeCard(id, { connection, me, people }) {
  const name = h('h3', {}, CONCEPTS.get(id) ?? `Concept ${id}`);
  const level = h('span', { class: 'level' }, '–');
  const fill = h('span', { class: 'fill' });
  const bar = h('div', { class: 'bar', role: 'meter', 'aria-valuemin': '0', 'aria-valuemax': '100', 'aria-valuenow': '0' }, fill);
  const from = h('div', { class: 'card-meta' });
  const marks = new Map();
  const latest = new Map();
  const node = h('li', { class: 'card concept', dataset: { concept: id } },
    h('div', { class: 'card-head' }, name, level), bar, from, CONCEPTS.has(id) ? answerForm(id, connection) : null);
  bar.setAttribute('aria-label', `Your mastery of ${name.textContent}`);

  function mark(user, value) {
    if (!marks.has(user)) {
      marks.set(user, h('span', { class: 'mark' }, people.avatar(user, 'tiny')));
      bar.append(marks.get(user));
    }
    marks.get(user).title = `${people.name(user)}: ${percent(value)}`;
    marks.get(user).style.setProperty('--at', value);
  }

  function mine(value) {
    fill.style.setProperty('--level', value);
    setText(level, percent(value));
    bar.setAttribute('aria-valuenow', String(Math.round(value * 100)));
    node.classList.toggle('complete', value >= 1);
  }

  return {
    node,
    mastered(event) {
      const users = (event.data.userIds ?? []).slice(0, USERS_MAX).filter((user) => event.time >= (latest.get(user) ?? 0));
      if (!users.length) return;
      const value = Math.min(1, Math.max(0, Number(event.data.masteryLevel) || 0));
      if (event.data.conceptName) setText(name, event.data.conceptName);
      bar.setAttribute('aria-label', `Your mastery of ${name.textContent}`);
      for (const user of users) {
        if (user !== me.user && !marks.has(user) && marks.size >= USERS_MAX) continue;
        latest.set(user, event.time);
        if (user === me.user) mine(value);
        else mark(user, value);
      }
      from.replaceChildren(meta(event));
      flash(node);
    },
  };
}

const percent = (value) => `${Math.round(value * 100)} %`;

function answerForm(id, connection) {
  const outcome = receipt();
  const field = h('input', { class: 'field', name: 'answer', maxLength: 500, autocomplete: 'off', required: true, placeholder: 'Your answer', 'aria-label': 'Your answer' });
  const form = h('form', { class: 'answer-form' }, field, h('button', { class: 'button small', type: 'submit' }, 'Send'));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const answer = field.value.trim();
    if (!answer) return;
    outcome.follow(connection.act('concept.answer', { room: `concept:${id}`, data: { answer } }), connection.ready)
      .then(() => form.reset(), () => field.focus());
  });
  return h('details', { class: 'answer' }, h('summary', {}, 'Answer a question'), form, outcome.node);
}
