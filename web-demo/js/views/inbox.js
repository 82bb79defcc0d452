// Notifications as they come in, newest first, with the number of those not read yet. "Mark read" is an action
// (notification.read), so it is on Kafka before it counts here.
import { $, flash, h, icon, setText, trim } from '../dom.js';
import { meta, position } from '../format.js';
import { receipt } from '../receipt.js';

const NOTIFICATIONS_MAX = 100;

export function mountInbox({ connection, onUnread }) {
  const list = $('notifications');

  function count() {
    const unread = list.querySelectorAll('.note.unread').length;
    setText($('unread'), String(unread));
    $('unread').hidden = unread === 0;
    $('inbox-empty').hidden = list.children.length > 0;
    onUnread(unread);
  }

  count();
  return {
    /** A notification event. */
    notify(event) {
      const node = makeNote(event, connection, count);
      list.prepend(node);
      trim(list, NOTIFICATIONS_MAX, 'last');
      flash(node);
      count();
    },
  };
}

/** The id that the sender gave it; else its position, which is as good a name as any. */
function notificationId(event) {
  const { data } = event;
  return String(data.notificationId ?? data.id ?? data.data?.notificationId ?? data.data?.id ?? position(event));
}

function makeNote(event, connection, changed) {
  const outcome = receipt();
  const id = notificationId(event);
  const button = h('button', { type: 'button', class: 'button small quiet' }, icon('check'), 'Mark read');
  const node = h('li', { class: 'note unread', dataset: { notification: id } },
    h('p', { class: 'note-text' }, String(event.data.message ?? '')),
    meta(event),
    h('div', { class: 'note-foot' }, event.data.type ? h('span', { class: 'tag' }, String(event.data.type)) : null, outcome.node, button));

  button.addEventListener('click', async () => {
    button.disabled = true;
    try {
      await outcome.follow(connection.act('notification.read', { data: { notificationId: id } }), connection.ready);
      node.classList.remove('unread');
      button.remove();
      changed();
    } catch {
      button.disabled = false;
    }
  });
  return node;
}
