// What became of an action: sent (or queued, while there is no connection), then acked with the position that Kafka
// gave it, or the error's text.
import { h, setText } from './dom.js';
import { position } from './format.js';

/** An element for one action at a time. `follow(promise)` shows its course and passes its outcome on. */
export function receipt() {
  const node = h('span', { class: 'receipt', role: 'status', hidden: true });
  const show = (state, text, title = '') => {
    node.hidden = false;
    node.dataset.state = state;
    node.title = title;
    setText(node, text);
  };
  return {
    node,
    show,
    async follow(promise, ready = true) {
      show('sent', ready ? 'sent' : 'queued');
      try {
        const ack = await promise;
        show('acked', `acked @${position(ack)}`, ack.eventId ? `eventId ${ack.eventId}` : '');
        return ack;
      } catch (error) {
        show('failed', error.message, error.code);
        throw error;
      }
    },
  };
}
