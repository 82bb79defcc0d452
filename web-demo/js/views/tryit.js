// The dialog with commands that put an event on Kafka, made for the person who is signed in.
import { $, h, setText } from '../dom.js';

const IN_MS = 5 * 60000;

export function mountTryIt(me) {
  const dialog = $('tryit');
  $('tryit-open').addEventListener('click', () => {
    $('commands').replaceChildren(...commands(me).map(block));
    dialog.showModal();
  });
  $('tryit-close').addEventListener('click', () => dialog.close());
  dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
}

function commands(me) {
  const users = [me.user];
  const sessionId = me.sessions[0] ?? '42';
  const scheduledTime = new Date(Date.now() + IN_MS).toISOString().slice(0, 19) + 'Z';
  return [
    ['A notification', 'concept-notifications', { userIds: users, message: 'Your answer was reviewed', type: 'review', data: { notificationId: 'n-1' } }],
    ['A session about to start', 'session-notifications', { sessionId, userIds: users, message: 'Starting in five minutes', scheduledTime }],
    ['A concept mastered', 'concept-notifications', { conceptId: '7', userIds: users, conceptName: 'Recursion', masteryLevel: 0.8 }],
  ].map(([title, topic, value]) => [title, `echo '${JSON.stringify(value)}' |\n  kcat -P -b "$BROKERS" -t ${topic}`]);
}

function block([title, command]) {
  const copy = h('button', { type: 'button', class: 'button small' }, 'Copy');
  copy.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(command);
      setText(copy, 'Copied');
    } catch {
      setText(copy, 'Select and copy');
    }
  });
  return h('section', { class: 'command' }, h('div', { class: 'command-head' }, h('h3', {}, title), copy), h('pre', { tabIndex: 0 }, command));
}
