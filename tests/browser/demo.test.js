// The demo page as two people use it: two windows, one gateway, one broker. What must not arrive is shown to be absent
// by an event that was sent after it, with the same key and so on the same partition, and has arrived.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Gateway, ROOT, gatewayMissing } from './lib/gateway.js';
import { Window, browserMissing, launch } from './lib/windows.js';

const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; "
  + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const NOTIFICATIONS = 'concept-notifications';
const RETURN_MS = 60000;

const missing = browserMissing() || gatewayMissing();
if (missing && process.env.GW_REQUIRE_BROWSER === '1') throw new Error(`GW_REQUIRE_BROWSER=1, but ${missing}`);

const shots = join(ROOT, 'build/browser');
const inMinutes = (minutes) => new Date(Date.now() + minutes * 60000).toISOString();

describe('demo page', { skip: missing || false, timeout: 240000 }, () => {
  const gateway = new Gateway();
  let browser;
  let ada;
  let grace;

  before(async () => {
    mkdirSync(shots, { recursive: true });
    await gateway.start();
    browser = await launch();
  });

  after(async () => {
    await browser?.close();
    await gateway.dispose();
  });

  const notify = (userIds, message, id) => gateway.produce(NOTIFICATIONS, 'n',
    { userIds, message, type: 'review', data: { notificationId: id } });

  test('one signs in from the list, the other by the address', async () => {
    ada = await Window.open(browser, gateway.url, { colorScheme: 'light' });
    await ada.page.waitForSelector('.person');
    await ada.shot(join(shots, 'signin.png'));
    await ada.page.getByRole('button', { name: /Ada/ }).click();
    grace = await Window.open(browser, `${gateway.url}?user=u2`, { colorScheme: 'dark' });
    await Promise.all([ada.state('live'), grace.state('live')]);
    assert.match(ada.page.url(), /\?user=u1$/);
    for (const [window, sessions] of [[ada, ['42', '43']], [grace, ['42']]]) {
      const joined = '.session[data-room=joined]';
      await window.page.waitForFunction(([s, n]) => document.querySelectorAll(s).length === n, [joined, sessions.length]);
      const ids = await window.page.locator(joined).evaluateAll((cards) => cards.map((card) => card.dataset.session));
      assert.deepEqual(ids, sessions);
    }
  });

  test('the page comes with the strict policy', () => {
    assert.equal(ada.response.headers()['content-security-policy'], POLICY);
  });

  test('a chat goes both ways, through Kafka', async () => {
    await ada.say('Is the stack big enough?');
    await grace.sees('.message:not(.mine) .bubble', 'Is the stack big enough?');
    await grace.say('It never is. <b>Use a loop</b>');
    await ada.sees('.message:not(.mine) .bubble', 'It never is. <b>Use a loop</b>');
    await ada.page.waitForSelector('.message.mine[data-state=delivered]');
    const mine = ada.page.locator('.message.mine', { hasText: 'Is the stack big enough?' });
    assert.match(await mine.locator('.pos').textContent(), /^@session-actions\/\d+\/\d+$/);
    assert.match(await mine.locator('.lag').textContent(), /^(<?\d+ ms|\d+\.\d s)$/);
    assert.equal(await ada.page.locator('.message').count(), 2, 'every message once');
    assert.equal(await grace.page.locator('.message .author', { hasText: 'Ada' }).count(), 1);
  });

  test('joining a session is acked with its position and seen by the others', async () => {
    await ada.page.click('#attend');
    await ada.sees('#attendance', /^acked @session-actions\/\d+\/\d+$/);
    await ada.sees('#attend', 'Leave session');
    await grace.sees('.aside', 'Ada joined the session');
  });

  test('a notification reaches its user alone, and is marked read on Kafka', async () => {
    notify(['u1'], 'For Ada only', 'n-1');
    notify(['u1', 'u2'], 'For both', 'n-2');
    await Promise.all([ada.sees('.note', 'For both'), grace.sees('.note', 'For both'), ada.sees('.note', 'For Ada only')]);
    assert.equal(await grace.count('.note', 'For Ada only'), 0);
    assert.equal(await ada.page.textContent('#unread'), '2');
    const note = ada.page.locator('.note[data-notification="n-1"]');
    assert.match(await note.locator('.pos').textContent(), /^concept-notifications\/\d+\/\d+$/);
    await note.getByRole('button', { name: 'Mark read' }).click();
    await note.locator('.receipt[data-state=acked]').waitFor();
    assert.match(await note.locator('.receipt').textContent(), /^acked @notification-actions\/\d+\/\d+$/);
    assert.equal(await ada.page.textContent('#unread'), '1');
    assert.equal(await ada.page.title(), '(1) Ada · Sluice');
  });

  test('a session counts down for those who belong to it', async () => {
    const start = (sessionId, message) => gateway.produce('session-notifications', 's',
      { sessionId, userIds: [], message, scheduledTime: inMinutes(5) });
    start('43', 'Pointers at five');
    start('42', 'Recursion at five');
    await Promise.all([ada.sees('.session[data-session="43"]', 'Pointers at five'), grace.sees('.session', 'Recursion at five')]);
    assert.equal(await grace.count('.session', 'Pointers at five'), 0);
    const count = ada.page.locator('.session[data-session="43"] .count');
    const first = await count.textContent();
    assert.match(first, /^0[45]:\d\d$/);
    await ada.page.waitForFunction((was) => document.querySelector('.session[data-session="43"] .count').textContent !== was, first);
  });

  test('mastery moves the bar of the one and the mark of the other', async () => {
    const master = (conceptId, userIds, conceptName, masteryLevel) => gateway.produce('concept-notifications', 'c',
      { conceptId, userIds, conceptName, masteryLevel });
    master('99', ['u1'], 'Monads', 0.25);
    master('7', ['u1'], 'Recursion', 0.8);
    await ada.sees('.concept[data-concept="7"] .level', '80 %');
    await ada.sees('.concept[data-concept="99"]', 'Monads');
    await grace.page.waitForSelector('.concept[data-concept="7"] .mark[title="Ada: 80 %"]', { state: 'attached' });
    assert.equal(await grace.count('.concept', 'Monads'), 0);
    assert.equal(await ada.page.getAttribute('.concept[data-concept="7"] .bar', 'aria-valuenow'), '80');
  });

  test('an answer to a concept is acked', async () => {
    const card = ada.page.locator('.concept[data-concept="8"]');
    await card.locator('summary').click();
    await card.getByLabel('Your answer').fill('A pointer is an address');
    await card.getByRole('button', { name: 'Send' }).click();
    await card.locator('.receipt[data-state=acked]').waitFor();
    assert.match(await card.locator('.receipt').textContent(), /^acked @concept-actions\/\d+\/\d+$/);
  });

  test('the drawer shows frames both ways, pauses, and hides tokens', async () => {
    await grace.page.click('#frames-toggle');
    await grace.page.waitForSelector('.frame.out[data-type=join]');
    await grace.page.waitForSelector('.frame.in[data-type=welcome], .frame.in[data-type=event]');
    await grace.page.locator('.frame.out[data-type=auth] summary').click();
    assert.match(await grace.page.textContent('.frame[data-type=auth] pre'), /"token": "[^"]{1,12}… \(\d+ characters\)"/);
    await grace.page.click('#frame-pause');
    const frozen = await grace.page.locator('.frame').count();
    await ada.say('While paused');
    await grace.sees('.bubble', 'While paused');
    assert.equal(await grace.page.locator('.frame').count(), frozen);
    await grace.page.click('#frame-pause');
    await grace.page.waitForFunction((was) => document.querySelectorAll('.frame').length > was, frozen);
    await grace.shot(join(shots, 'frames-dark.png'));
    await grace.page.click('#frame-close');
  });

  test('it looks right, light and dark, and fits a phone', async () => {
    await ada.shot(join(shots, 'light.png'));
    await grace.shot(join(shots, 'dark.png'));
    const phone = await Window.open(browser, `${gateway.url}?user=u1`, { viewport: { width: 390, height: 844 }, hasTouch: true });
    await phone.state('live');
    for (const tab of ['Learn', 'Chat', 'Inbox', 'Stream']) {
      await phone.page.getByRole('navigation').getByRole('button', { name: tab }).click();
      const width = await phone.page.evaluate(() => document.documentElement.scrollWidth);
      assert.equal(width, 390, `${tab} is as wide as the screen`);
      await phone.shot(join(shots, `phone-${tab.toLowerCase()}.png`));
    }
    assert.deepEqual(phone.faults, []);
    await phone.page.context().close();
  });

  test('the gateway is killed and comes back: so do the windows', async () => {
    ada.outage = grace.outage = true;
    await gateway.end('SIGKILL');
    await Promise.all([ada.state('waiting'), grace.state('waiting')]);
    await ada.say('Written while away');
    await ada.sees('.message.mine .receipt', 'queued');
    await ada.page.waitForSelector('#banner:not([hidden])');
    await ada.shot(join(shots, 'reconnecting.png'));
    await gateway.start();
    await Promise.all([ada, grace].map((window) => window.state('live', { timeout: RETURN_MS })));
    await ada.page.locator('.message.mine[data-state=delivered]', { hasText: 'Written while away' }).waitFor();
    await grace.say('Good to have you back');
    await ada.sees('.message:not(.mine) .bubble', 'Good to have you back');
    ada.outage = grace.outage = false;
  });

  test('nothing went wrong on the way', () => {
    assert.deepEqual(ada.faults, []);
    assert.deepEqual(grace.faults, []);
  });
});
