// The stream at a glance: how many events, how fast, and the latest with their positions. Also the pulse that runs
// along the header whenever an event arrives.
import { $, h, setText, trim } from '../dom.js';
import { clock, duration, latency, position, showLag } from '../format.js';

const SAMPLES = 48;
const RECENT = 12;
const PULSES_MAX = 6;
const FULL_SCALE_MS = 1000;

export function mountStream() {
  const samples = [];
  const bars = Array.from({ length: SAMPLES }, () => h('i'));
  let events = 0;
  $('spark').replaceChildren(...bars);

  function figures() {
    const sorted = [...samples].sort((a, b) => a - b);
    setText($('figure-events'), String(events));
    setText($('figure-median'), sorted.length ? duration(sorted[Math.floor((sorted.length - 1) / 2)]) : '–');
    setText($('figure-max'), sorted.length ? duration(sorted.at(-1)) : '–');
  }

  /** Newest on the right; a logarithmic height, so that 1 ms and 100 ms both show. */
  function draw() {
    bars.forEach((bar, index) => {
      const value = samples[samples.length - SAMPLES + index];
      const height = value === undefined ? 0 : 0.12 + 0.88 * Math.min(1, Math.log1p(value) / Math.log1p(FULL_SCALE_MS));
      bar.style.setProperty('--h', height.toFixed(3));
    });
  }

  return {
    event(event) {
      events++;
      if (event.replay === undefined) {
        samples.push(latency(event));
        if (samples.length > SAMPLES) samples.shift();
        draw();
        pulse();
      }
      figures();
      $('recent').prepend(row(event));
      trim($('recent'), RECENT, 'last');
      $('stream-empty').hidden = true;
    },
  };
}

function row(event) {
  return h('li', { class: 'recent-row', title: `${position(event)} at ${clock(event.time)}, rooms ${(event.rooms ?? []).join(', ')}` },
    h('span', { class: 'recent-name' }, event.event),
    showLag(h('span'), event),
    h('span', { class: 'pos' }, position(event)));
}

function pulse() {
  const rail = $('rail');
  if (matchMedia('(prefers-reduced-motion: reduce)').matches || rail.children.length >= PULSES_MAX) return;
  const drop = h('span', { class: 'drop' });
  rail.append(drop);
  const run = drop.animate([{ transform: 'translateX(-20vw)' }, { transform: 'translateX(110vw)' }], { duration: 1100, easing: 'cubic-bezier(.4,0,.4,1)' });
  run.onfinish = () => drop.remove();
}
