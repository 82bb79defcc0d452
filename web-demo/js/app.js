// The page: signs a person in, opens the connection and hands what arrives to the views.
// State lives in this tab's memory only; ?user=u1 in the address signs in directly.
import { $, h, setText } from './dom.js';
import { Connection } from './connection.js';
import { People, fetchToken } from './people.js';
import { mountChat } from './views/chat.js';
import { CONCEPTS, mountConcepts } from './views/concepts.js';
import { mountFrames } from './views/frames.js';
import { mountInbox } from './views/inbox.js';
import { mountSessions } from './views/sessions.js';
import { showPeople, showTrouble } from './views/signin.js';
import { mountStatus } from './views/status.js';
import { mountStream } from './views/stream.js';
import { mountTryIt } from './views/tryit.js';

const TICK_MS = 250;

const people = new People();

async function begin() {
  let list;
  try {
    list = await people.load();
  } catch (error) {
    $('signin').hidden = false;
    showTrouble(`The list of people did not come: ${error.message}`, begin);
    return;
  }
  const asked = people.get(new URLSearchParams(location.search).get('user'));
  if (asked) {
    enter(asked);
  } else {
    $('signin').hidden = false;
    showPeople(people, list, (user) => enter(people.get(user)));
  }
}

function enter(me) {
  const url = new URL('ws', location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  url.search = '';
  const connection = new Connection({ url, token: () => fetchToken(me.user) });
  history.replaceState(null, '', `?user=${encodeURIComponent(me.user)}`);
  $('signin').hidden = true;
  $('app').hidden = false;
  $('me').replaceChildren(people.avatar(me.user), h('span', { class: 'wide' }, me.name));
  $('me').title = `${me.name} (${me.user})`;
  wire(connection, me);
  for (const id of me.sessions) connection.join(`session:${id}`);
  for (const id of CONCEPTS.keys()) connection.join(`concept:${id}`);
  connection.start();
}

function wire(connection, me) {
  const sessions = mountSessions({ me, onOpen: openChat });
  const chat = mountChat({ connection, me, people, sessions });
  const concepts = mountConcepts({ connection, me, people });
  const inbox = mountInbox({ connection, onUnread: (count) => showUnread(count, me) });
  const status = mountStatus(connection);
  const stream = mountStream();
  mountFrames(connection);
  mountTryIt(me);
  const showTab = wireTabs();

  const handlers = {
    'session.starting': sessions.starting,
    'concept.mastered': concepts.mastered,
    'session.chat': chat.receive,
    'session.join': chat.receive,
    'session.leave': chat.receive,
    notification: inbox.notify,
  };
  function openChat(id) {
    chat.open(id);
    showTab('chat');
    $('message').focus();
  }

  connection.addEventListener('event', ({ detail }) => {
    stream.event(detail);
    if (detail.data && typeof detail.data === 'object') handlers[detail.event]?.(detail);
  });
  connection.addEventListener('room', ({ detail }) => {
    const [kind, id] = detail.room.split(/:(.*)/s);
    if (kind === 'session') sessions.room(id, detail.status, detail.message);
  });
  setInterval(() => {
    const now = Date.now();
    sessions.tick(now);
    status.tick(now);
  }, TICK_MS);
}

/** On a narrow screen one part shows at a time; on a wide one the tabs are not there. */
function wireTabs() {
  const buttons = [...document.querySelectorAll('.tabs button')];
  const show = (tab) => {
    $('main').dataset.tab = tab;
    for (const button of buttons) {
      if (button.dataset.tab === tab) button.setAttribute('aria-current', 'true');
      else button.removeAttribute('aria-current');
    }
  };
  for (const button of buttons) button.addEventListener('click', () => show(button.dataset.tab));
  return show;
}

function showUnread(count, me) {
  $('tab-unread').hidden = count === 0;
  setText($('tab-unread'), String(count));
  document.title = `${count ? `(${count}) ` : ''}${me.name} · Sluice`;
}

begin();
