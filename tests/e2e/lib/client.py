"""A WebSocket client of the gateway for tests: blocking calls for the test, the python-websockets library behind them.

For: speaking sluice.v1 as a validating peer; keeping every message that came; saying what came and what did not.
Not for: load (bench/) and for broken frames (tests write those on a bare socket).

All connections share one asyncio loop in a thread of its own; everything a test touches is guarded by one condition
per client. A message that is no JSON object, or a binary frame, fails the test at its next call.
"""
import asyncio
import collections
import itertools
import json
import socket
import threading
import time
import urllib.parse
import warnings

with warnings.catch_warnings():  # from websockets 14 on the legacy client warns, and is the one that 10.4 has too
    warnings.simplefilter("ignore", DeprecationWarning)
    from websockets.legacy.client import connect as ws_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

PROTOCOL = "sluice.v1"
Close = collections.namedtuple("Close", "code reason")
_loop = None
_loop_lock = threading.Lock()


class Refused(Exception):
    """The handshake was answered with something other than 101."""

    def __init__(self, status, headers):
        super().__init__(f"HTTP {status}")
        self.status = status
        self.headers = headers


def loop():
    global _loop
    with _loop_lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="ws-clients", daemon=True).start()
    return _loop


def run(coroutine, timeout=15):
    return asyncio.run_coroutine_threadsafe(coroutine, loop()).result(timeout)


def match(wanted):
    """A dict matches a message that has all of it (nested dicts likewise; lists and values exactly); a function decides itself."""
    if callable(wanted):
        return wanted
    return lambda message: holds(wanted, message)


def holds(wanted, got):
    if isinstance(wanted, dict):
        return isinstance(got, dict) and all(k in got and holds(v, got[k]) for k, v in wanted.items())
    return wanted == got and isinstance(wanted, bool) == isinstance(got, bool)


def event(name=None, room=None, **fields):
    """A predicate for event messages: event('session.chat', room='session:42', data={'x': 1}, topic='t')."""
    wanted = {"type": "event", **fields}
    if name is not None:
        wanted["event"] = name

    def matches(message):
        return holds(wanted, message) and (room is None or room in message.get("rooms", []))
    return matches


class Client:
    def __init__(self, url):
        self.url = url
        self.ws = None
        self.changed = threading.Condition()
        self.messages = []  # every message, in order
        self.frames = 0     # how many text frames they came in
        self.close_info = None
        self.broken = None  # what the peer did wrong
        self.cursor = 0     # recv_until reads on from here
        self.ids = itertools.count(1)
        self.welcome = None
        self.gate = None    # cleared = the collector stops reading

    # -- connecting ------------------------------------------------------------------------------------------------

    @classmethod
    def connect(cls, url, token=None, by="header", origin=None, protocols=(PROTOCOL,), cookie="sluice_token", headers=None,
                ssl=None, welcome=True, timeout=10, rcvbuf=None):
        """by: 'header' (Authorization), 'auth' (first message), 'cookie', 'query', or 'none'. Waits for the welcome unless
        told not to. rcvbuf: a small kernel buffer, for slow clients. Raises Refused, ConnectionError."""
        self = cls(url)
        extra = dict(headers or {})
        if token is not None and by == "header":
            extra["Authorization"] = f"Bearer {token}"
        elif token is not None and by == "cookie":
            extra["Cookie"] = f"{cookie}={token}"
        elif token is not None and by == "query":
            self.url = f"{url}?token={urllib.parse.quote(token)}"
        run(self.open(extra, origin, protocols, ssl, timeout, rcvbuf), timeout + 5)
        if token is not None and by == "auth":
            self.send({"type": "auth", "id": next(self.ids), "token": token})
        if welcome:
            self.welcome = self.recv_until({"type": "welcome"}, timeout)
        return self

    async def open(self, headers, origin, protocols, ssl, timeout, rcvbuf):
        more = {}
        if rcvbuf is not None:
            more["sock"] = small_socket(self.url, rcvbuf)
        if ssl is not None:
            more["ssl"] = ssl
        try:
            self.ws = await ws_connect(self.url, subprotocols=list(protocols) or None, origin=origin, extra_headers=headers,
                                       compression=None, ping_interval=None, open_timeout=timeout, close_timeout=5,
                                       max_size=None, max_queue=1, read_limit=4096 if rcvbuf else 65536, **more)
        except InvalidHandshake as refused:
            raise Refused(getattr(refused, "status_code", None), dict(getattr(refused, "headers", {}) or {})) from refused
        self.gate = asyncio.Event()
        self.gate.set()
        asyncio.ensure_future(self.collect())

    async def collect(self):
        try:
            while True:
                await self.gate.wait()
                frame = await self.ws.recv()
                with self.changed:
                    self.take(frame)
                    self.changed.notify_all()
        except ConnectionClosed:
            pass
        with self.changed:
            self.close_info = Close(self.ws.close_code, self.ws.close_reason or "")
            self.changed.notify_all()

    def take(self, frame):
        self.frames += 1
        if isinstance(frame, bytes):
            self.broken = f"a binary frame of {len(frame)} bytes"
            return
        for line in frame.split("\n"):
            if not line:
                continue
            try:
                message = json.loads(line, parse_constant=lambda name: self.fault(f"{name} in JSON"))
            except ValueError as why:
                self.broken = f"no JSON: {why}: {line[:200]!r}"
                return
            if not isinstance(message, dict) or not isinstance(message.get("type"), str):
                self.broken = f"no object with a type: {line[:200]!r}"
            self.messages.append(message)

    @staticmethod
    def fault(text):
        raise ValueError(text)

    # -- sending ---------------------------------------------------------------------------------------------------

    def send(self, *messages):
        """Objects, in one frame when there are several."""
        self.send_text("\n".join(json.dumps(m, ensure_ascii=False) for m in messages))

    def send_text(self, text):
        run(self.ws.send(text))

    def send_bytes(self, data):
        run(self.ws.send(data))

    def ping(self, data=b"", timeout=5):
        """A protocol ping; returns when its pong is here."""
        async def there_and_back():
            await asyncio.wait_for(await self.ws.ping(data), timeout)
        run(there_and_back(), timeout + 5)

    def request(self, message, timeout=5):
        """Sends with an id of its own (unless it has one) and returns the answer with that id. Leaves the cursor alone."""
        message = dict(message)
        message.setdefault("id", next(self.ids))
        with self.changed:
            start = len(self.messages)
        self.send(message)
        want = message["id"]
        return self.search(lambda m: m.get("id") == want and type(m.get("id")) is type(want), start, timeout,
                           f"the answer to {json.dumps(message)[:200]}")[1]

    def join(self, room, timeout=5, **more):
        """Returns the joined message; anything else fails."""
        return self.expect(self.request({"type": "join", "room": room, **more}, timeout), "joined")

    def leave(self, room, timeout=5):
        return self.expect(self.request({"type": "leave", "room": room}, timeout), "left")

    def action(self, name, room=None, data=None, key=None, timeout=10):
        """Returns the answer, ack or error."""
        message = {"type": "action", "name": name}
        message.update({k: v for k, v in (("room", room), ("data", data), ("key", key)) if v is not None})
        return self.request(message, timeout)

    @staticmethod
    def expect(answer, kind):
        assert answer["type"] == kind, f"expected {kind}: {answer}"
        return answer

    # -- what came -------------------------------------------------------------------------------------------------

    def search(self, predicate, start, timeout, what):
        """(index, message) of the first at or after start; waits for it."""
        deadline = time.monotonic() + timeout
        at = start
        with self.changed:
            while True:
                while at < len(self.messages):
                    if predicate(self.messages[at]):
                        return at, self.messages[at]
                    at += 1
                self.give_up_if(deadline, timeout, what, start)
                self.changed.wait(max(0.0, deadline - time.monotonic()))

    def give_up_if(self, deadline, timeout, what, start):
        assert self.broken is None, f"the server sent {self.broken}"
        since = f"since then: {brief(self.messages[start:])}"
        assert self.close_info is None, f"closed with {self.close_info} while waiting for {what}; {since}"
        assert time.monotonic() < deadline, f"no {what} in {timeout} s; {since}"

    def recv_until(self, wanted, timeout=5):
        """Reads on to the first message that matches (a dict or a predicate) and returns it; the cursor stands behind it."""
        at, message = self.search(match(wanted), self.cursor, timeout, wanted if isinstance(wanted, dict) else "matching message")
        self.cursor = at + 1
        return message

    def wait_for(self, wanted, timeout=5):
        """Like recv_until, but over all that ever came, and the cursor stays."""
        return self.search(match(wanted), 0, timeout, wanted if isinstance(wanted, dict) else "matching message")[1]

    def wait_count(self, wanted, count, timeout=5):
        """Waits until so many messages that match have come, and returns all that did."""
        deadline, test = time.monotonic() + timeout, match(wanted)
        found, seen = [], 0
        with self.changed:
            while True:
                found += [m for m in self.messages[seen:] if test(m)]
                seen = len(self.messages)
                if len(found) >= count:
                    return found
                self.give_up_if(deadline, timeout, f"{count} messages ({len(found)} came)", max(0, len(self.messages) - 5))
                self.changed.wait(max(0.0, deadline - time.monotonic()))

    def expect_nothing_until(self, marker, unwanted=None, timeout=5):
        """Reads on to the marker and asserts that nothing before it matched `unwanted` (default: any event). Returns the marker."""
        start = self.cursor
        found = self.recv_until(marker, timeout)
        test = match(unwanted if unwanted is not None else {"type": "event"})
        with self.changed:
            between = [m for m in self.messages[start:self.cursor - 1] if test(m)]
        assert not between, f"came before the marker: {brief(between)}"
        return found

    def events(self, name=None, room=None, **fields):
        """All matching events so far."""
        test = event(name, room, **fields)
        with self.changed:
            return [m for m in self.messages if test(m)]

    # -- slow reading, closing ---------------------------------------------------------------------------------------

    def pause(self):
        """Stops reading; what the kernel and the library hold already (little, with rcvbuf) is all that still comes."""
        loop().call_soon_threadsafe(self.gate.clear)

    def resume_reading(self):
        loop().call_soon_threadsafe(self.gate.set)

    def wait_closed(self, timeout=5):
        """Close(code, reason) once the connection is down; 1006 when it went without a close frame."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while self.close_info is None:
                assert time.monotonic() < deadline, f"not closed in {timeout} s; last: {brief(self.messages[-5:])}"
                self.changed.wait(max(0.0, deadline - time.monotonic()))
            return self.close_info

    def close(self, code=1000, reason=""):
        self.resume_reading()
        run(self.ws.close(code, reason))
        return self.wait_closed(10)

    def abort(self):
        """Gone without a word, as when a laptop lid closes."""
        loop().call_soon_threadsafe(self.ws.transport.abort)
        self.resume_reading()
        return self.wait_closed(5)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.close_info is None:
            self.abort()


def brief(messages):
    text = json.dumps(messages, ensure_ascii=False)
    return text if len(text) < 2000 else text[:2000] + "..."


def small_socket(url, rcvbuf):
    parts = urllib.parse.urlsplit(url)
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    s.connect((parts.hostname, parts.port))
    s.setblocking(False)
    return s
