// The last offset seen of every (topic, partition), and the rule that makes the stream exactly-once:
// what is not above the position has been seen. Events that a join asked for (`replay`) stand outside it.
//
// While a resume is under way the positions stand still: live events may overtake the ones that are being
// caught up, so they are remembered one by one until the resume is complete and only then move the positions.

export class Positions {
  #last = new Map();
  #overtaken = null;

  get empty() {
    return this.#last.size === 0;
  }

  /** Takes an event in; false when it was here before. */
  admit(event) {
    if (event.replay !== undefined) return true;
    const partition = `${event.topic}/${event.partition}`;
    if (event.offset <= (this.#last.get(partition) ?? -1)) return false;
    if (!this.#overtaken) {
      this.#last.set(partition, event.offset);
      return true;
    }
    const seen = this.#overtaken.get(partition) ?? new Set();
    if (seen.has(event.offset)) return false;
    this.#overtaken.set(partition, seen.add(event.offset));
    return true;
  }

  /** A heartbeat: everything up to these positions that concerns this client has been sent. */
  advance(positions) {
    if (this.#overtaken) return;
    for (const [topic, partitions] of Object.entries(positions ?? {})) {
      for (const [partition, offset] of Object.entries(partitions)) this.#raise(`${topic}/${partition}`, offset);
    }
  }

  beginResume() {
    this.#overtaken ??= new Map();
  }

  /** `gaps`: partitions whose past is gone; they count from whatever comes next. */
  endResume(gaps = []) {
    for (const { topic, partition } of gaps) this.#last.delete(`${topic}/${partition}`);
    for (const [partition, offsets] of this.#overtaken ?? []) this.#raise(partition, Math.max(...offsets));
    this.#overtaken = null;
  }

  /** Forgets everything: the stream starts anew. */
  clear() {
    this.#last.clear();
    this.#overtaken = null;
  }

  toJSON() {
    const out = {};
    for (const [key, offset] of this.#last) {
      const cut = key.lastIndexOf('/');
      (out[key.slice(0, cut)] ??= {})[key.slice(cut + 1)] = offset;
    }
    return out;
  }

  #raise(partition, offset) {
    if (offset > (this.#last.get(partition) ?? -1)) this.#last.set(partition, offset);
  }
}
