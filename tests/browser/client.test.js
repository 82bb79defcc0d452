// The page's protocol rules that need no browser: when to come back, and what counts as new.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Positions } from '../../web-demo/js/positions.js';
import { mayReturn, retryDelay } from '../../web-demo/js/retry.js';

const at = (offset, more = {}) => ({ topic: 't', partition: 0, offset, ...more });

test('close codes: come back or not', () => {
  for (const code of [1001, 1006, 1012, 4000, 4001, 4008, 4013, 4499]) assert.equal(mayReturn(code), true, code);
  for (const code of [1000, 1002, 1003, 1007, 1009, 4500, 4501, 4503, 4999]) assert.equal(mayReturn(code), false, code);
});

test('the delay has full jitter between 0.5 and 20 s', () => {
  assert.equal(retryDelay(0, () => 0), 500);
  assert.equal(retryDelay(50, () => 0), 500);
  assert.equal(retryDelay(0, () => 1), 1000);
  assert.equal(retryDelay(3, () => 1), 8000);
  assert.equal(retryDelay(50, () => 1), 20000);
});

test('an event counts once, per partition', () => {
  const positions = new Positions();
  assert.equal(positions.admit(at(5)), true);
  assert.equal(positions.admit(at(5)), false);
  assert.equal(positions.admit(at(4)), false);
  assert.equal(positions.admit(at(4, { partition: 1 })), true);
  assert.deepEqual(positions.toJSON(), { t: { 0: 5, 1: 4 } });
});

test('history stands outside the rule and moves nothing', () => {
  const positions = new Positions();
  positions.admit(at(5));
  assert.equal(positions.admit(at(2, { replay: 7 })), true);
  assert.equal(positions.admit(at(9, { replay: 7 })), true);
  assert.deepEqual(positions.toJSON(), { t: { 0: 5 } });
});

test('a heartbeat moves positions forward, never back', () => {
  const positions = new Positions();
  positions.advance({ t: { 0: 8 } });
  positions.advance({ t: { 0: 3 } });
  assert.deepEqual(positions.toJSON(), { t: { 0: 8 } });
});

test('a live event that overtakes the resume hides nothing and is not seen twice', () => {
  const positions = new Positions();
  positions.admit(at(5));
  positions.beginResume();
  assert.equal(positions.admit(at(9)), true);
  positions.advance({ t: { 0: 9 } });
  assert.deepEqual(positions.toJSON(), { t: { 0: 5 } }, 'a resume that breaks off starts at the same place again');
  positions.beginResume();
  assert.equal(positions.admit(at(6)), true);
  assert.equal(positions.admit(at(9)), false);
  positions.endResume();
  assert.deepEqual(positions.toJSON(), { t: { 0: 9 } });
});

test('behind a gap a partition counts anew', () => {
  const positions = new Positions();
  positions.admit(at(100));
  positions.beginResume();
  positions.endResume([{ topic: 't', partition: 0, from: 101, to: 200 }]);
  assert.equal(positions.admit(at(0)), true);
});
