"""A bare socket to the gateway, for what a well-behaved client library would never send.

For: HTTP requests byte by byte, WebSocket frames with any header, the exact bytes of what came back.
Not for: ordinary conversations (client.py).
"""
import base64
import collections
import json
import os
import socket
import struct
import time

TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 1, 2, 8, 9, 10, 0
Frame = collections.namedtuple("Frame", "fin opcode payload")


class Response:
    """An HTTP answer: status, headers (lower-case names; a list each), body."""

    def __init__(self, head, body=b""):
        lines = head.decode("latin-1").split("\r\n")
        self.version, status, self.reason = (lines[0].split(" ", 2) + ["", ""])[:3]
        self.status = int(status)
        self.headers = collections.defaultdict(list)
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()].append(value.strip())
        self.body = body

    def header(self, name):
        values = self.headers.get(name.lower(), [])
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def text(self):
        return self.body.decode()


def frame(opcode, payload=b"", fin=True, mask=True, rsv=0):
    """A client's frame: RFC 6455 section 5.2."""
    payload = payload.encode() if isinstance(payload, str) else payload
    first, masked = (0x80 if fin else 0) | rsv | opcode, 0x80 if mask else 0
    if len(payload) < 126:
        head = struct.pack("!BB", first, masked | len(payload))
    elif len(payload) < 65536:
        head = struct.pack("!BBH", first, masked | 126, len(payload))
    else:
        head = struct.pack("!BBQ", first, masked | 127, len(payload))
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(b ^ key[i & 3] for i, b in enumerate(payload))


def upgrade(host, path="/ws", token=None, drop=(), first=None, extra=(), **headers):
    """The bytes of a handshake request. drop: names to leave out; headers: others in their place (x_y is X-Y); extra: more lines."""
    fields = {"Host": host, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
              "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(), "Sec-WebSocket-Protocol": "sluice.v1"}
    if token:
        fields["Authorization"] = f"Bearer {token}"
    known = {name.lower(): name for name in fields}
    for name, value in headers.items():
        name = name.replace("_", "-")
        fields[known.get(name.lower(), name)] = value
    for name in drop:
        del fields[name]
    lines = [first or f"GET {path} HTTP/1.1", *(f"{k}: {v}" for k, v in fields.items()), *extra]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Raw:
    def __init__(self, gateway, timeout=5, ssl=None, rcvbuf=None):
        self.host = f"{gateway.host}:{gateway.port}"
        self.socket = socket.socket()
        if rcvbuf:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.socket.settimeout(timeout)
        self.socket.connect((gateway.host, gateway.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if ssl:
            self.socket = ssl.wrap_socket(self.socket, server_hostname=gateway.host)
        self.buffer = b""
        self.lines = collections.deque()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        """More bytes into the buffer; False at the end of the stream."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self.buffer += data
        return bool(data)

    def read_to_end(self, timeout=5):
        """All that still comes until the peer closes, which it must within the time."""
        deadline = time.monotonic() + timeout
        while True:
            self.socket.settimeout(max(0.001, deadline - time.monotonic()))
            if not self.receive():
                data, self.buffer = self.buffer, b""
                return data

    def take(self, count):
        while len(self.buffer) < count:
            assert self.receive(), f"the peer closed; {len(self.buffer)} of {count} bytes: {self.buffer[:200]!r}"
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    # -- HTTP ------------------------------------------------------------------------------------------------------

    def response(self, head=False):
        """The next answer; head: it is one to HEAD, without a body."""
        while b"\r\n\r\n" not in self.buffer:
            assert self.receive(), f"closed without an answer: {self.buffer[:200]!r}"
        top, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        answer = Response(top)
        if not head and answer.status not in (101, 204, 304):
            answer.body = self.take(int(answer.header("Content-Length")))
        return answer

    def get(self, path, method="GET", headers=()):
        self.send(f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\n{''.join(f'{h}{chr(13)}{chr(10)}' for h in headers)}\r\n".encode("latin-1"))
        return self.response(head=method == "HEAD")

    # -- WebSocket -------------------------------------------------------------------------------------------------

    def handshake(self, token=None, **options):
        self.send(upgrade(self.host, token=token, **options))
        return self.response()

    @classmethod
    def open(cls, gateway, token, ssl=None, rcvbuf=None, **options):
        """An established connection; the welcome has been read and is in .welcome."""
        self = cls(gateway, ssl=ssl, rcvbuf=rcvbuf)
        answer = self.handshake(token, **options)
        assert answer.status == 101, f"{answer.status}: {answer.body}"
        self.welcome = self.message()
        assert self.welcome["type"] == "welcome", self.welcome
        return self

    def frame(self):
        """The next frame of the server; one that breaks RFC 6455 fails."""
        first, second = self.take(2)
        size = second & 0x7F
        assert not second & 0x80, "a server's frame must not be masked"
        assert not first & 0x70, f"reserved bits in {first:#x}"
        if size == 126:
            size, = struct.unpack("!H", self.take(2))
            assert size > 125, "length not minimal"
        elif size == 127:
            size, = struct.unpack("!Q", self.take(8))
            assert size > 65535, "length not minimal"
        return Frame(bool(first & 0x80), first & 0x0F, self.take(size))

    def line(self):
        """The text of the next message, exactly as it came; control frames but Close are skipped."""
        while not self.lines:
            got = self.frame()
            assert got.opcode != CLOSE, f"closed with {close_of(got)}"
            if got.opcode in (PING, PONG):
                continue
            assert got.opcode == TEXT and got.fin, f"unexpected frame {got}"
            self.lines.extend(x for x in got.payload.decode().split("\n") if x)
        return self.lines.popleft()

    def message(self):
        return json.loads(self.line())

    def until(self, **wanted):
        """Messages up to the first one that has these fields; returns that one."""
        while True:
            message = self.message()
            if all(message.get(k) == v for k, v in wanted.items()):
                return message

    def text(self, *messages):
        """Objects in one masked text frame."""
        self.send(frame(TEXT, "\n".join(m if isinstance(m, str) else json.dumps(m, ensure_ascii=False) for m in messages)))

    def closed(self, timeout=5):
        """(code, reason) of the server's Close frame; what came before it is dropped. 1006 without one."""
        self.socket.settimeout(timeout)
        while True:
            while len(self.buffer) < 2:
                if not self.receive():
                    return 1006, ""
            got = self.frame()
            if got.opcode == CLOSE:
                return close_of(got)


def close_of(got):
    return (struct.unpack("!H", got.payload[:2])[0], got.payload[2:].decode()) if len(got.payload) > 1 else (1005, "")
