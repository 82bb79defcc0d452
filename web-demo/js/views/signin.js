// The first screen: who do you want to be?
import { $, h, icon } from '../dom.js';

/** Shows the people to choose from; `choose(user)` is called with the one that was clicked. */
export function showPeople(people, list, choose) {
  $('people').replaceChildren(...list.map((person) => h('li', {}, personButton(people, person, choose))));
  setNote('Open a second window as someone else: they see the same rooms, live.');
}

function personButton(people, person, choose) {
  const sessions = person.sessions.length ? `Sessions ${person.sessions.join(', ')}` : 'No sessions';
  return h('button', { type: 'button', class: 'person', dataset: { user: person.user }, onclick: () => choose(person.user) },
    people.avatar(person.user, 'large'),
    h('span', { class: 'person-text' },
      h('span', { class: 'person-name' }, person.name),
      h('span', { class: 'person-sub' }, `${sessions} · ${person.user}`)),
    icon('arrow'));
}

/** No people: say so and offer another try. */
export function showTrouble(message, retry) {
  const button = h('button', { type: 'button', class: 'button', onclick: retry }, 'Try again');
  $('people').replaceChildren(h('li', { class: 'trouble', role: 'alert' }, h('p', {}, message), button));
  setNote('Signing in from this page needs the gateway’s development mode: sluice --dev');
}

function setNote(text) {
  $('signin-note').textContent = text;
}
