// The drawer with the raw frames, sent and received, newest first. Pausing freezes the list, not the recording:
// both are bounded. A token is shown shortened, here and nowhere else.
import { $, h, setText, trim } from '../dom.js';
import { clock } from '../format.js';

const FRAMES_MAX = 300;

export function mountFrames(connection) {
  const frames = [];
  const list = $('frame-list');
  let paused = false;
  let total = 0;

  const isOpen = () => !$('frames').hidden;
  const wanted = (frame) => {
    const filter = $('frame-filter').value;
    return filter === 'all' || (filter === 'sent') === frame.sent;
  };

  function count() {
    setText($('frame-count'), total > FRAMES_MAX ? `${total} · last ${FRAMES_MAX} kept` : String(total));
  }

  function redraw() {
    list.replaceChildren(...frames.filter(wanted).reverse().map(row));
    count();
  }

  function toggle(open = !isOpen()) {
    $('frames').hidden = !open;
    document.body.classList.toggle('drawer-open', open);
    for (const button of document.querySelectorAll('[aria-controls=frames]')) button.setAttribute('aria-expanded', String(open));
    if (open) redraw();
    else $('frames-toggle').focus();
  }

  function pause() {
    paused = !paused;
    $('frame-pause').setAttribute('aria-pressed', String(paused));
    setText($('frame-pause'), paused ? 'Resume' : 'Pause');
    if (!paused) redraw();
  }

  connection.addEventListener('frame', ({ detail }) => {
    frames.push(detail);
    if (frames.length > FRAMES_MAX) frames.shift();
    total++;
    if (!isOpen() || paused) return;
    if (wanted(detail)) list.prepend(row(detail));
    trim(list, FRAMES_MAX, 'last');
    count();
  });
  $('frames-toggle').addEventListener('click', () => toggle());
  $('frame-close').addEventListener('click', () => toggle(false));
  $('frame-pause').addEventListener('click', pause);
  $('frame-filter').addEventListener('change', redraw);
  $('frame-clear').addEventListener('click', () => { frames.length = 0; redraw(); });
  $('frames').addEventListener('keydown', (event) => event.key === 'Escape' && toggle(false));
}

function parse(text) {
  return text.split('\n').filter(Boolean).map((line) => {
    try {
      return JSON.parse(line);
    } catch {
      return line;
    }
  });
}

const veil = (key, value) => (key === 'token' && typeof value === 'string' ? `${value.slice(0, 12)}… (${value.length} characters)` : value);

/** One line that says what a message is about. */
function summary(message) {
  const parts = [message.name ?? message.event, message.room ?? message.rooms?.join(' '), message.code];
  if (message.topic) parts.push(`@${message.topic}/${message.partition}/${message.offset}`);
  if (message.kafka) parts.push(message.kafka);
  return parts.filter(Boolean).join('  ');
}

function row(frame) {
  const messages = parse(frame.text);
  const first = messages[0] ?? {};
  const more = messages.length > 1 ? ` +${messages.length - 1}` : '';
  const body = h('pre', { tabIndex: 0 });
  const details = h('details', {},
    h('summary', {},
      h('span', { class: 'frame-dir' }, frame.sent ? 'sent' : 'received'),
      h('span', { class: 'frame-time' }, clock(frame.at)),
      h('span', { class: 'frame-type' }, `${first.type ?? 'text'}${more}`),
      h('span', { class: 'frame-sum' }, summary(first)),
      h('span', { class: 'frame-size' }, `${frame.text.length} B`)),
    body);
  details.addEventListener('toggle', () => {
    if (details.open) setText(body, messages.map((message) => JSON.stringify(message, veil, 2)).join('\n'));
  });
  return h('li', { class: frame.sent ? 'frame out' : 'frame in', dataset: { type: first.type ?? '' } }, details);
}
