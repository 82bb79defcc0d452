// The gateway as a process under test, in development mode: its own broker inside, people and tokens offered.
// Started on any free port; started again on the same one after a kill, as a real restart would be.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = resolve(fileURLToPath(import.meta.url), '../../../..');
const START_MS = 20000;
const STOP_MS = 10000;

export const binary = () => resolve(process.env.SLUICE_BIN || join(ROOT, 'build/sluice'));

export class Gateway {
  #directory = mkdtempSync(join(tmpdir(), 'sluice-browser-'));
  #process = null;
  #log = '';
  address = '127.0.0.1:0';
  brokers = '';

  get url() {
    return `http://${this.address}/`;
  }

  /** Resolves when the gateway says that it listens. */
  async start() {
    const child = spawn(binary(), ['--dev', '--listen', this.address], {
      cwd: this.#directory,
      env: { ...process.env, SLUICE_HTTP_STATIC_DIR: join(ROOT, 'web-demo') },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    child.stderr.on('data', (chunk) => { this.#log = (this.#log + chunk).slice(-20000); });
    await this.#ready(child);
  }

  #ready(child) {
    return new Promise((done, fail) => {
      let out = '';
      const timer = setTimeout(() => fail(new Error(`no LISTEN= in ${START_MS} ms\n${this.#log}`)), START_MS);
      child.once('error', fail);
      child.once('exit', (code, signal) => fail(new Error(`gateway ended (${code ?? signal})\n${this.#log}`)));
      child.stdout.on('data', (chunk) => {
        out += chunk;
        const listen = /^LISTEN=(\S+)$/m.exec(out);
        if (!listen) return;
        clearTimeout(timer);
        this.address = listen[1];
        this.brokers = /^BROKERS=(\S+)$/m.exec(out)?.[1] ?? '';
        done();
      });
    });
  }

  /** Sends the signal and waits for the end; a gateway that does not go is killed. */
  async end(signal = 'SIGTERM') {
    const child = this.#process;
    this.#process = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((done) => child.once('exit', done));
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await gone;
    clearTimeout(timer);
  }

  async dispose() {
    await this.end();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Puts a record on Kafka as a back end would. */
  produce(topic, key, value) {
    const args = ['-P', '-b', this.brokers, '-t', topic, '-k', key];
    const result = spawnSync('kcat', args, { input: JSON.stringify(value), timeout: 15000, encoding: 'utf8' });
    if (result.status !== 0) throw new Error(`kcat: ${result.error ?? result.stderr}`);
  }
}

/** Why the gateway cannot run here, or an empty text. */
export function gatewayMissing() {
  if (!existsSync(binary())) return `no gateway at ${binary()}`;
  return spawnSync('kcat', ['-V']).error ? 'no kcat' : '';
}
