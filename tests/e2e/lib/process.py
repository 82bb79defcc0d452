"""The gateway as a process under test.

For: starting build/sluice (or $SLUICE_BIN) on a free port, waiting until it says LISTEN=, its log, metrics and HTTP
pages, ending it and judging how it ended. Any sanitizer report on its standard error fails the test.
"""
import collections
import ctypes
import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request

import yaml

from .client import Client
from .records import Records

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".."))
REPORTS = re.compile(r"ERROR: AddressSanitizer|runtime error:|WARNING: ThreadSanitizer|ERROR: LeakSanitizer|"
                     r"WARNING: MemorySanitizer|AddressSanitizer:DEADLYSIGNAL")
PAIR = re.compile(r'([A-Za-z_][\w.-]*)=("(?:[^"\\]|\\.)*"|\S*)')
LIBC = ctypes.CDLL(None, use_errno=True)
START_SECONDS = 20  # generous: a sanitizer build on a busy machine
Answer = collections.namedtuple("Answer", "status headers body")


def binary():
    path = os.environ.get("SLUICE_BIN") or os.path.join(ROOT, "build", "sluice")
    return os.path.abspath(path)


def environment(extra):
    """The caller's environment without anything that would configure the gateway, plus defaults for the sanitizers."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("SLUICE_", "KAFKA_"))}
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    # Libraries from Debian are not instrumented: what they do inside themselves is not judged, their locks are seen.
    env.setdefault("TSAN_OPTIONS", "ignore_noninstrumented_modules=1:second_deadlock_stack=1")
    env.update({k: str(v) for k, v in (extra or {}).items()})
    return env


def parse_logfmt(line):
    found = {}
    for key, value in PAIR.findall(line):
        if value.startswith('"') and value.endswith('"') and len(value) > 1:
            try:
                value = json.loads(value)
            except ValueError:
                value = value[1:-1]
        found[key] = value
    return found


class Metrics(dict):
    """(name, frozenset of label pairs) -> value. Index by name sums over labels: metrics['sluice_x_total'], metrics.get_sum('x', room='a')."""

    @classmethod
    def parse(cls, text):
        self = cls()
        for line in text.splitlines():
            found = re.fullmatch(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?", line)
            if found and not line.startswith("#"):
                labels = frozenset((k, v.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\"))
                                   for k, v in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found.group(2) or ""))
                self[(found.group(1), labels)] = float(found.group(3))
        return self

    def get_sum(self, name, **labels):
        """Sum of the samples with that name and at least these labels; None when there is none."""
        wanted = set(labels.items())
        found = [v for (n, have), v in self.items() if n == name and wanted <= have]
        return sum(found) if found else None

    def __missing__(self, name):
        value = self.get_sum(name) if isinstance(name, str) else None
        if value is None:
            raise KeyError(f"no metric {name}")
        return value

    def names(self):
        return sorted({name for name, _ in self})


class Sluice:
    """One gateway process. Made by the fixtures; start() has been called when a test gets it."""

    def __init__(self, directory, args=(), config=None, env=None, listen="127.0.0.1:0"):
        self.directory = str(directory)
        os.makedirs(self.directory, exist_ok=True)
        self.args = list(args)
        self.env = environment(env)
        self.listen = listen
        self.config_path = None
        if config is not None:
            self.write_config(config)
        self.process = None
        self.starts = 0
        self.host = self.port = self.brokers = None
        self.expected_exit = 0
        self.clients = []
        self._records = None
        self._tokens = {}

    def write_config(self, config):
        """A dict or YAML text; before start(), or to be followed by sighup()."""
        self.config_path = os.path.join(self.directory, "sluice.yaml")
        text = config if isinstance(config, str) else yaml.safe_dump(config, sort_keys=False)
        with open(self.config_path + ".part", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(self.config_path + ".part", self.config_path)

    # -- life ------------------------------------------------------------------------------------------------------

    def command(self):
        cmd = [binary(), *self.args]
        if self.config_path:
            cmd += ["--config", self.config_path]
        if self.listen:
            cmd += ["--listen", self.listen]
        return cmd

    @property
    def log_path(self):
        return os.path.join(self.directory, f"stderr-{self.starts}.log")

    def start(self, timeout=START_SECONDS):
        assert os.access(binary(), os.X_OK), f"no gateway at {binary()}: run 'make build' or set SLUICE_BIN"
        assert self.process is None, "it runs already"
        self.starts += 1
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(self.command(), cwd=self.directory, env=self.env, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=log, text=True, preexec_fn=die_with_parent)
        self.expected_exit = 0
        lines = Lines(self.process.stdout)
        listen = lines.wait("LISTEN=", timeout)
        if listen is None:
            code = self.end_quietly()
            raise AssertionError(f"{' '.join(self.command())}: no LISTEN= in {timeout} s, exit {code}; "
                                 f"stdout: {lines.seen}\nstderr:\n{self.log_tail()}")
        self.host, _, port = listen.rpartition(":")
        self.port = int(port)
        self.brokers = lines.get("BROKERS=")
        return self

    def stop(self, timeout=20):
        """SIGTERM; asserts that it ends in time with exit code 0 and a clean standard error."""
        if self.process is None:
            return
        process = self.process
        process.terminate()
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.end_quietly()
            raise AssertionError(f"did not end within {timeout} s of SIGTERM\n{self.log_tail()}") from None
        self.forget()
        self.check_reports()
        assert code == 0, f"exit code {code} after SIGTERM\n{self.log_tail()}"

    def kill(self):
        """SIGKILL, as when the node's machine dies."""
        if self.process is not None:
            self.end_quietly()
            self.check_reports()

    def wait_exit(self, timeout=10):
        """For a gateway that is to end by itself; returns its exit code."""
        code = self.process.wait(timeout)
        self.forget()
        self.check_reports()
        return code

    def signal(self, number):
        self.process.send_signal(number)

    def sighup(self):
        self.signal(signal.SIGHUP)

    def forget(self):
        self.process.stdout.close()
        self.process = None
        self._records = None

    def end_quietly(self):
        self.process.kill()
        code = self.process.wait()
        self.forget()
        return code

    def finish(self):
        """At a test's end: clients away, then a stop that must be clean; a gateway that died by itself is an error."""
        for client in self.clients:
            client.__exit__()
        self.clients.clear()
        if self.process is None:
            return
        code = self.process.poll()
        if code is not None:
            self.forget()
            self.check_reports()
            raise AssertionError(f"the gateway ended by itself with exit code {code}\n{self.log_tail()}")
        self.stop()

    def check_reports(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            text = f.read()
        found = REPORTS.search(text)
        assert found is None, f"sanitizer report:\n{text[max(0, found.start() - 200):found.start() + 6000]}"

    # -- log -------------------------------------------------------------------------------------------------------

    def log_lines(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read().splitlines()

    def log_tail(self, lines=60):
        return "\n".join(self.log_lines()[-lines:])

    def logs(self, **fields):
        """Parsed log lines that have these fields: logs(level='warn')."""
        parsed = [parse_logfmt(line) for line in self.log_lines()]
        return [p for p in parsed if all(p.get(k) == str(v) for k, v in fields.items())]

    def wait_log(self, pattern, timeout=5):
        """The first log line in which the regular expression is found."""
        return self.wait_until(lambda: next((x for x in self.log_lines() if re.search(pattern, x)), None), timeout,
                               f"log line with /{pattern}/")

    def wait_until(self, probe, timeout=5, what="condition"):
        """Asks until the answer is true; returns it."""
        deadline = time.monotonic() + timeout
        while True:
            value = probe()
            if value:
                return value
            assert time.monotonic() < deadline, f"no {what} in {timeout} s\n{self.log_tail(20)}"
            time.sleep(0.02)

    # -- HTTP ------------------------------------------------------------------------------------------------------

    @property
    def url(self):
        return f"http://{self.host}:{self.port}"

    @property
    def ws_url(self):
        return f"ws://{self.host}:{self.port}/ws"

    def get(self, path, headers=None, timeout=5):
        """Answer(status, headers, body) for any status."""
        request = urllib.request.Request(self.url + path, headers=headers or {})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=timeout) as r:
                return Answer(r.status, r.headers, r.read().decode())
        except urllib.error.HTTPError as e:
            with e:
                return Answer(e.code, e.headers, e.read().decode())

    def metrics(self):
        answer = self.get("/metrics")
        assert answer.status == 200, f"/metrics: {answer}"
        return Metrics.parse(answer.body)

    def wait_metric(self, name, test, timeout=5, **labels):
        """Waits until test(sum) holds (test: a function, or a number to reach); returns the sum."""
        good = test if callable(test) else lambda v: v >= test
        seen = [None]

        def probe():
            seen[0] = self.metrics().get_sum(name, **labels)
            return seen[0] is not None and good(seen[0])
        self.wait_until(probe, timeout, f"{name}{labels or ''} as wanted")
        return seen[0]

    def wait_ready(self, timeout=10):
        self.wait_until(lambda: self.get("/readyz").status == 200, timeout, "ready gateway")
        return self

    # -- clients, tokens, records ----------------------------------------------------------------------------------

    @property
    def records(self):
        """Records of the embedded broker (dev mode)."""
        assert self.brokers, "no BROKERS= line: not in dev mode"
        if self._records is None:
            self._records = Records(self.brokers, embedded=True)
        return self._records

    def dev_token(self, sub="u1", ttl=300, **claims):
        """A token of the development key, by the gateway's own command line."""
        key = (sub, ttl, json.dumps(claims, sort_keys=True))
        if key not in self._tokens:
            cmd = [binary(), "token", "--sub", sub, "--ttl", str(ttl)]
            if claims:
                cmd += ["--claims", json.dumps(claims)]
            done = subprocess.run(cmd, cwd=self.directory, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30)
            assert done.returncode == 0, f"{cmd}: exit {done.returncode}: {done.stderr}"
            self._tokens[key] = done.stdout.strip()
        return self._tokens[key]

    def connect(self, token=None, **options):
        """A Client (options as Client.connect), closed at the end of the test."""
        client = Client.connect(self.ws_url, token, **options)
        self.clients.append(client)
        return client

    def user(self, sub="u1", sessions=(), ttl=300, **options):
        """In dev mode: a connected client of this user."""
        claims = {"sessions": list(sessions)} if sessions else {}
        return self.connect(self.dev_token(sub, ttl, **claims), **options)


class Lines:
    """Standard output's KEY=value lines, read by a thread so that the pipe never fills."""

    def __init__(self, stream):
        self.seen = []
        self.done = False
        self.changed = threading.Condition()
        threading.Thread(target=self.pump, args=(stream,), daemon=True).start()

    def pump(self, stream):
        try:
            for line in stream:
                with self.changed:
                    self.seen.append(line.rstrip("\n"))
                    self.changed.notify_all()
        except ValueError:  # closed under the reader, at the process's end
            pass
        with self.changed:
            self.done = True
            self.changed.notify_all()

    def get(self, prefix):
        with self.changed:
            return next((x[len(prefix):] for x in self.seen if x.startswith(prefix)), None)

    def wait(self, prefix, timeout):
        with self.changed:
            self.changed.wait_for(lambda: self.done or any(x.startswith(prefix) for x in self.seen), timeout)
        return self.get(prefix)


def die_with_parent():
    LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
