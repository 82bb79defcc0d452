"""The WebSocket handshake byte by byte (RFC 6455 section 4.2): what is let in, and how everything else is turned away."""
import base64
import hashlib
import os
import random
import re
import ssl
import time

import pytest
from lib.certs import make_certs
from lib.gateways import borrowed, offline, shared
from lib.raw import PING, PONG, TEXT, Raw, frame, upgrade

APP = "https://app.example.com"
TRICKLE = b"GET /ws HTTP/1.1\r\nHost: trickle\r\n"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@pytest.fixture(scope="module")
def node(tmp_path_factory, keys):
    yield from shared(tmp_path_factory, config=offline(keys, origins=["self", APP, "http://localhost:3000"]))


@pytest.fixture
def gw(node):
    yield from borrowed(node)


def refusals(gw, reason):
    return gw.metrics().get_sum("sluice_handshakes_refused_total", reason=reason)


def status(gw, token, **options):
    """The handshake's HTTP status; a refusal must say why and close."""
    with Raw(gw) as raw:
        answer = raw.handshake(token, **options)
        if answer.status != 101:
            assert answer.body.strip(), "a refusal says why"
            assert raw.read_to_end() == b""
        return answer.status


def test_a_good_one(gw, token):
    key = base64.b64encode(os.urandom(16)).decode()
    with Raw(gw) as raw:
        answer = raw.handshake(token(), Sec_WebSocket_Key=key)
        assert answer.status == 101 and answer.version == "HTTP/1.1"
        assert answer.header("Upgrade").lower() == "websocket" and answer.header("Connection").lower() == "upgrade"
        assert answer.header("Sec-WebSocket-Accept") == base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()
        assert answer.header("Sec-WebSocket-Protocol") == "sluice.v1"
        assert raw.message()["type"] == "welcome"


def test_extensions_are_not_negotiated(gw, token):
    with Raw(gw) as raw:
        answer = raw.handshake(token(), Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits")
        assert answer.status == 101 and answer.header("Sec-WebSocket-Extensions") is None


def test_frames_right_behind_the_request_hurt_nobody(gw, token):
    """RFC 6455 section 4.1 has clients wait for the answer. libwebsockets mostly loses what an eager one sends before: then the
    connection ends, and never a message is misread."""
    calm = gw.connect(token("calm"))
    for n in range(0, 400, 20):
        with Raw(gw) as raw:
            raw.send(upgrade(raw.host, token=token("eager")) + frame(TEXT, '{"type":"ping","id":1}' + " " * n))
            assert raw.response().status == 101
            assert raw.message()["user"] == "eager"
            try:
                data = raw.read_to_end(0.02)
            except TimeoutError:
                data = raw.buffer
            kinds = re.findall(rb'"type":"(\w+)"', data)
            assert set(kinds) <= {b"status", b"pong"} and kinds.count(b"pong") <= 1, data
    assert calm.request({"type": "ping"})["type"] == "pong"


def test_a_request_in_many_small_pieces(gw, token):
    with Raw(gw) as raw:
        request = upgrade(raw.host, token=token("slow"))
        for i in range(0, len(request), 7):
            raw.send(request[i:i + 7])
        assert raw.response().status == 101 and raw.message()["user"] == "slow"


@pytest.mark.parametrize("origin", [None, "http://{host}", "https://{host}", "HTTP://{host}", APP, "http://localhost:3000"])
def test_origins_that_may(gw, token, origin):
    more = {"Origin": origin.format(host=f"{gw.host}:{gw.port}")} if origin else {}
    assert status(gw, token(), **more) == 101


@pytest.mark.parametrize("origin", ["https://evil.example.com", "http://app.example.com", "https://app.example.com:444", "https://app.example.com.evil.com",
                                    "https://evil-app.example.com", "null", "", "http://127.0.0.1", "http://127.0.0.1:1", "file://", "https://",
                                    "ftp://{host}", "//{host}", "{host}", "http://{host}/", "http://user@{host}", "http://{host}, http://{host}",
                                    "https://" + "a" * 300])
def test_origins_that_may_not(gw, token, origin):
    before = refusals(gw, "origin")
    answer = status(gw, token(), Origin=origin.format(host=f"{gw.host}:{gw.port}"))
    if origin == "":  # no value: the header is as good as absent, and a browser never sends that
        assert answer in (101, 403)
        return
    assert answer == 403 and refusals(gw, "origin") == before + 1


def test_two_origins_are_refused(gw, token):
    assert status(gw, token(), Origin=APP, extra=["Origin: https://evil.example.com"]) == 403


def test_self_does_not_hold_for_a_host_without_the_port(gw, token):
    assert status(gw, token(), Origin="http://127.0.0.1", Host="127.0.0.1:80") == 101, "80 is http's own"
    assert status(gw, token(), Origin="http://127.0.0.1", Host="127.0.0.1:8080") == 403


BAD_REQUESTS = {
    "version 12": {"Sec_WebSocket_Version": "12"},
    "version 8": {"Sec_WebSocket_Version": "8"},
    "version 013": {"Sec_WebSocket_Version": "013"},
    "version missing": {"drop": ["Sec-WebSocket-Version"]},
    "version twice": {"extra": ["Sec-WebSocket-Version: 13"]},
    "key missing": {"drop": ["Sec-WebSocket-Key"]},
    "key short": {"Sec_WebSocket_Key": "c2hvcnQ="},
    "key twice": {"extra": ["Sec-WebSocket-Key: " + "A" * 22 + "=="]},
    "no subprotocol": {"drop": ["Sec-WebSocket-Protocol"]},
    "another subprotocol": {"Sec_WebSocket_Protocol": "chat"},
    "subprotocol in capitals": {"Sec_WebSocket_Protocol": "SLUICE.V1"},
    "subprotocol longer": {"Sec_WebSocket_Protocol": "sluice.v12"},
    "subprotocol cut": {"Sec_WebSocket_Protocol": "sluice.v"},
    "upgrade to something else too": {"Upgrade": "websocket, h2c"},
    "upgrade to nonsense": {"Upgrade": "websockets"},
    "no host": {"drop": ["Host"]},
    "two hosts": {"extra": ["Host: evil.example.com"]},
    "another path": {"path": "/other"},
    "a longer path": {"path": "/ws/x"},
    "a similar path": {"path": "/wsx"},
    "the root": {"path": "/"},
    "POST": {"first": "POST /ws HTTP/1.1", "extra": ["Content-Length: 0"]},
    "PUT": {"first": "PUT /ws HTTP/1.1", "extra": ["Content-Length: 0"]},
}


@pytest.mark.parametrize("what", BAD_REQUESTS)
def test_bad_requests(gw, token, what):
    with Raw(gw) as raw:
        raw.send(upgrade(raw.host, token=token(), **BAD_REQUESTS[what]))
        data = raw.read_to_end()
    assert data == b"" or re.match(rb"HTTP/1.[01] 4\d\d ", data), data
    if what not in ("no host", "POST", "PUT"):  # libwebsockets drops those itself, some without a word
        assert data, "a refusal is an answer"


@pytest.mark.parametrize("offer", ["sluice.v1", "chat, sluice.v1", "sluice.v1,chat", "  sluice.v1  ,x"])
def test_the_subprotocol_may_stand_among_others(gw, token, offer):
    with Raw(gw) as raw:
        answer = raw.handshake(token(), Sec_WebSocket_Protocol=offer)
        assert answer.status == 101 and answer.header("Sec-WebSocket-Protocol") == "sluice.v1"
        assert raw.message()["type"] == "welcome"


def test_a_query_does_not_matter_to_the_path(gw, token):
    assert status(gw, token(), path="/ws?a=b&c") == 101


def test_no_upgrade_to_http2(gw):
    settings = base64.urlsafe_b64encode(b"\0\3\0\0\0\x64").decode()
    for path in ("/ws", "/healthz"):
        with Raw(gw) as raw:
            raw.send(f"GET {path} HTTP/1.1\r\nHost: {raw.host}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                     f"HTTP2-Settings: {settings}\r\n\r\n".encode())
            data = raw.read_to_end(8) if path == "/ws" else (raw.response(), b"")[1]
            assert b"101" not in data.split(b"\r\n")[0] and b"HTTP/2" not in data
    with Raw(gw) as raw:
        raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        data = raw.read_to_end(8)
        assert b" 200 " not in data and b"\0\0" not in data[:9]


def test_a_plain_get_says_what_is_expected(gw):
    with Raw(gw) as raw:
        answer = raw.get("/ws")
        assert answer.status == 400 and "Upgrade: websocket" in answer.text


@pytest.mark.parametrize("size", [9000, 15000, 20000, 200000])
def test_headers_that_are_too_long_are_dropped(gw, token, size):
    with Raw(gw) as raw:
        try:
            raw.send(upgrade(raw.host, token=token(), extra=["X-Pad: " + "x" * size]))
            data = raw.read_to_end()[:12] if size > 16384 else raw.response().status
        except (BrokenPipeError, ConnectionResetError):
            data = b""
    assert data == 101 if size < 16384 else not data.startswith(b"HTTP/1.1 101"), data


def test_many_headers_are_no_problem(gw, token):
    with Raw(gw) as raw:
        assert raw.handshake(token(), extra=[f"X-{n}: {n}" for n in range(400)]).status == 101


def test_half_a_request_is_closed_in_time(gw, token, sluice, keys, tmp_path):
    """Silence at every stage, of TLS too, and a header every now and then: all at once, as each takes the gateway's patience of
    some seconds. Meanwhile others are served."""
    certs = make_certs(tmp_path / "certs")
    tls = sluice(offline(keys, tls={"cert": str(certs / "server.pem"), "key": str(certs / "server.key")}))
    begun = [(gw, x) for x in (b"", b"G", b"GET /ws HTTP/1.1\r\n", b"GET /ws HTTP/1.1\r\nHost: x\r\nX-Long: ", b"\r\n", b"GET /healthz HTTP/1.1\r\nHost: x\r\n",
                               upgrade(f"{gw.host}:{gw.port}", token=token())[:-2], TRICKLE)]
    begun += [(tls, x) for x in (b"", b"\x16\x03\x01", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 32)]
    waiting = {start: Raw(*start[:1], timeout=0.02) for start in begun}
    for (_, data), raw in waiting.items():
        raw.send(data)
    deadline, next_drop = time.monotonic() + 14, 0
    while waiting:
        assert time.monotonic() < deadline, f"still open: {[x for _, x in waiting]}"
        if (gw, TRICKLE) in waiting and time.monotonic() >= next_drop:
            next_drop = time.monotonic() + 0.3
            try:
                waiting[gw, TRICKLE].send(b"X-A: b\r\n")
            except (BrokenPipeError, ConnectionResetError):
                waiting.pop((gw, TRICKLE)).socket.close()
        for start, raw in list(waiting.items()):
            try:
                if not raw.receive():
                    waiting.pop(start).socket.close()
                assert b"101" not in raw.buffer
            except TimeoutError:
                pass
    context = ssl.create_default_context(cafile=str(certs / "ca.pem"))
    with Raw(tls, ssl=context) as raw:
        assert raw.get("/healthz").status == 200


def test_garbage_is_closed_and_hurts_nobody(gw, token):
    c = gw.connect(token("calm"))
    rng = random.Random(6455)
    hello = bytes.fromhex("16030100a5010000a10303") + bytes(rng.randrange(256) for _ in range(160))
    pieces = [hello, b"\x00" * 4096, b"\r\n" * 3000, b"GET\r\n\r\n", b"GET  HTTP/1.1\r\n\r\n", b"\xff" * 1000 + b"\r\n\r\n", b"GET /ws HTTP/9.9\r\n\r\n",
              b"GET /ws\r\n\r\n", b"SSH-2.0-x\r\n", b"GET http://[ HTTP/1.1\r\n\r\n", b"GET /" + b"%" * 3000 + b" HTTP/1.1\r\n\r\n",
              b"GET /ws HTTP/1.1\r\nHost\r\n: :\r\n\0: x\r\n\r\n", b"GET /ws HTTP/1.1\r\n" + b"Sec-WebSocket-Key: x\r\n" * 700 + b"\r\n"]
    pieces += [bytes(rng.randrange(256) for _ in range(rng.randrange(1, 600))) for _ in range(60)]
    base = upgrade(f"{gw.host}:{gw.port}", token=token())
    for _ in range(60):
        broken = bytearray(base)
        for _ in range(rng.randrange(1, 6)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        pieces.append(bytes(broken))
    raws = []
    for piece in pieces:
        raw = Raw(gw)
        raws.append(raw)
        try:
            raw.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert c.request({"type": "ping"})["type"] == "pong"
    for raw in raws:
        raw.socket.close()
    gw.wait_metric("sluice_connections", lambda n: n == 1, 8)
    assert c.request({"type": "ping"})["type"] == "pong" and gw.get("/healthz").status == 200


def test_a_ping_before_the_welcome_is_fine(gw):
    """No token yet: control frames are the protocol's own."""
    with Raw(gw) as raw:
        assert raw.handshake().status == 101
        raw.send(frame(PING, b"early"))
        got = raw.frame()
        assert (got.opcode, got.payload) == (PONG, b"early")
