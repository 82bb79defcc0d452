// The connection's state, in the header's pill and, when something is to be done or known, in the banner below it.
import { $, setText } from '../dom.js';
import { duration } from '../format.js';

const RENEWED_SHOWN_MS = 4000;
const NOTICE_SHOWN_MS = 6000;

const LABELS = {
  idle: 'Signing in',
  connecting: 'Connecting',
  live: 'Live',
  'kafka-down': 'Kafka down',
  'kafka-off': 'Kafka off',
  expiring: 'Token expiring',
  renewed: 'Token renewed',
  waiting: 'Reconnecting',
  stopped: 'Disconnected',
};

const BANNERS = {
  'kafka-down': 'The gateway cannot reach Kafka. You stay connected; events go on from where they stopped when it is back.',
  'kafka-off': 'Kafka is switched off in this gateway’s configuration. Nothing will arrive.',
};

/** The one word for all that is going on; a broken connection outweighs Kafka, Kafka outweighs the token. */
function face(status) {
  if (status.state !== 'live') return status.state;
  if (status.kafka === 'down' || status.kafka === 'off') return `kafka-${status.kafka}`;
  if (status.token === 'expiring' || status.token === 'renewing') return 'expiring';
  return status.token === 'renewed' ? 'renewed' : 'live';
}

export function mountStatus(connection) {
  let renewedTimer = 0;
  let calm = false;

  function update() {
    const { status } = connection;
    if (status.token !== 'renewed') calm = false;
    const shown = face(status) === 'renewed' && calm ? 'live' : face(status);
    if (shown === 'renewed') {
      clearTimeout(renewedTimer);
      renewedTimer = setTimeout(() => { calm = true; update(); }, RENEWED_SHOWN_MS);
    }
    $('state').dataset.state = shown;
    setText($('state-label'), LABELS[shown]);
    setText($('state-rtt'), shown === 'live' && status.rtt !== null ? duration(status.rtt) : '');
    showBanner(shown, status);
  }

  function tick(now) {
    const { status } = connection;
    if (status.state === 'waiting') showBanner('waiting', status, now);
    const left = status.expires ? Math.max(0, status.expires * 1000 - now) : 0;
    $('state').title = left ? `Round trip to the gateway. The token is good for another ${duration(left)}.` : '';
  }

  $('banner-action').addEventListener('click', () => connection.start());
  window.addEventListener('online', () => connection.status.state === 'waiting' && connection.start());
  connection.addEventListener('state', update);
  connection.addEventListener('notice', (event) => toast(event.detail));
  update();
  return { tick };
}

function showBanner(shown, status, now = Date.now()) {
  const text = {
    waiting: `Connection lost${status.reason ? `: ${status.reason}` : ''}.`,
    stopped: `Disconnected: ${status.reason}.`,
  }[shown] ?? BANNERS[shown];
  const banner = $('banner');
  banner.hidden = !text;
  banner.dataset.state = shown;
  $('banner-action').hidden = shown !== 'waiting' && shown !== 'stopped';
  setText($('banner-action'), shown === 'waiting' ? 'Try now' : 'Connect again');
  setText($('banner-text'), text ?? '');
  setText($('banner-count'), shown === 'waiting' ? nextAttempt(status.retryAt - now) : '');
}

/** Stands apart from the text, which is read out: a count-down is not. */
const nextAttempt = (ms) => `Next attempt in ${Math.max(0, Math.ceil(ms / 1000))} s.`;

let toastTimer = 0;

/** A short word at the bottom that goes away by itself. */
function toast({ text, tone }) {
  const node = $('toast');
  node.dataset.tone = tone;
  node.hidden = false;
  setText(node, text);
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { node.hidden = true; }, NOTICE_SHOWN_MS);
}
