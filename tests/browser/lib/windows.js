// Chromium windows with the demo page, one person each, and what went wrong in them: console errors, exceptions and
// violations of the Content-Security-Policy.
import { existsSync } from 'node:fs';

const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const EXECUTABLE = process.env.CHROMIUM || '/usr/bin/chromium';

const playwright = await import('playwright-core').catch(() => null);

/** Why no browser can be had here, or an empty text. */
export function browserMissing() {
  if (!playwright) return 'no playwright-core: run tests/browser/run.sh';
  return existsSync(EXECUTABLE) ? '' : `no chromium at ${EXECUTABLE}`;
}

export const launch = () => playwright.chromium.launch({ executablePath: EXECUTABLE, args: FLAGS });

export class Window {
  faults = [];
  /** While the gateway is away on purpose, failed requests are no fault. */
  outage = false;

  static async open(browser, url, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
    const self = new Window();
    self.page = await context.newPage();
    self.page.setDefaultTimeout(15000);
    await self.#watch();
    self.response = await self.page.goto(url);
    return self;
  }

  async #watch() {
    this.page.on('console', (message) => {
      const refused = /net::ERR_|WebSocket connection to/.test(message.text());
      if (message.type() === 'error' && !(this.outage && refused)) this.faults.push(`console: ${message.text()}`);
    });
    this.page.on('pageerror', (error) => this.faults.push(`exception: ${error.message}`));
    await this.page.exposeFunction('reportViolation', (text) => this.faults.push(`policy: ${text}`));
    await this.page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        window.reportViolation(`${event.violatedDirective} ${event.blockedURI}`);
      });
    });
  }

  state(name, options) {
    return this.page.waitForSelector(`#state[data-state=${name}]`, options);
  }

  /** Waits for an element with this text. */
  sees(selector, text) {
    return this.page.locator(selector).filter({ hasText: text }).first().waitFor();
  }

  count(selector, text) {
    return this.page.locator(selector).filter({ hasText: text }).count();
  }

  async say(text) {
    await this.page.fill('#message', text);
    await this.page.press('#message', 'Enter');
  }

  shot(path) {
    return this.page.screenshot({ path, animations: 'disabled' });
  }
}
