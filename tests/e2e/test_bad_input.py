"""What clients should not send: each fault has its answer, a single one never costs the connection, and nothing costs the gateway."""
import json
import random
import string
import struct

import pytest
from lib.gateways import borrowed, offline, shared
from lib.raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Raw, frame


@pytest.fixture(scope="module")
def node(tmp_path_factory, keys):
    yield from shared(tmp_path_factory, config=offline(keys, limits={"message_bytes": 4096, "messages_per_s": 10000, "errors_per_min": 5000}))


@pytest.fixture
def gw(node):
    yield from borrowed(node)


PING_TEXT = '{"type":"ping","id":1}'

FAULTS = [
    ("{", "bad_message"), ("hello", "bad_message"), ("[]", "bad_message"), ("1", "bad_message"), ("null", "bad_message"), ('"ping"', "bad_message"), (" ", "bad_message"),
    ('{"type":"ping"}x', "bad_message"), ('{"type":"ping"}{"type":"ping"}', "bad_message"), ('{"type":"ping",}', "bad_message"),
    ("{'type':'ping'}", "bad_message"), ('{"type":"ping","id":NaN}', "bad_message"), ('{"type":"ping","id":01}', "bad_message"),
    ('{"type":"ping","id":+1}', "bad_message"), ('{"type":"ping","id":.5}', "bad_message"), ('{"type":"ping","id":0x1}', "bad_message"),
    ('{"type":"ping"/**/}', "bad_message"), ('{"type":"pi\tng"}', "bad_message"), ('{"type":"ping","id":"\\x"}', "bad_message"),
    ('{"type":"ping","id":"\\ud800"}', "bad_message"), ('{"type":"ping","type":"ping"}', "bad_message"), ('{"type":"ping","id":1,"id":2}', "bad_message"),
    ('\ufeff{"type":"ping"}', "bad_message"), ('{"type":"ping"}\u0000', "bad_message"), ("{}", "bad_field"), ('{"type":7}', "bad_field"), ('{"type":null}', "bad_field"),
    ('{"type":""}', "bad_field"), ('{"Type":"ping"}', "bad_field"), ('{"type":"PING"}', "unknown_type"), ('{"type":"ping "}', "unknown_type"),
    ('{"type":"welcome"}', "unknown_type"), ('{"type":"event"}', "unknown_type"), ('{"type":"ping\\u0000"}', "bad_field"), ('{"type":"__proto__"}', "unknown_type"),
    ('{"type":"ping","extra":1}', "bad_field"), ('{"type":"ping","room":"open:1"}', "bad_field"), ('{"type":"join"}', "bad_field"), ('{"type":"join","room":1}', "bad_field"),
    ('{"type":"join","room":null}', "bad_field"), ('{"type":"join","room":["open:1"]}', "bad_field"), ('{"type":"join","room":"open:1","token":"x"}', "bad_field"),
    ('{"type":"auth"}', "bad_field"), ('{"type":"auth","token":{}}', "bad_field"), ('{"type":"auth","token":"x"}', "unauthenticated"),
    ('{"type":"action"}', "bad_field"), ('{"type":"action","name":""}', "bad_field"), ('{"type":"action","name":"x","key":7}', "bad_field"),
    ('{"type":"action","name":"x","key":"' + "k" * 129 + '"}', "bad_field"), ('{"type":"action","name":"' + "n" * 129 + '"}', "bad_field"),
    ('{"type":"action","name":"no.such"}', "forbidden"), ('{"type":"ping","id":' + "[" * 31 + "]" * 31 + "}", "bad_field"),
    ('{"type":"action","name":"x","data":' + "[" * 32 + "]" * 32 + "}", "too_deep"), ('{"type":"action","name":"x","data":' + '{"a":' * 40 + "1" + "}" * 41, "too_deep"),
    ("[" * 2000, "too_deep"), ('{"a":' * 500, "too_deep"),
]


@pytest.mark.parametrize("text, code", FAULTS, ids=range(len(FAULTS)))
def test_a_single_fault_is_answered_and_the_connection_stays(gw, token, text, code):
    c = gw.connect(token())
    c.send_text(text)
    error = c.recv_until({"type": "error"})
    assert error["code"] == code and error["message"] and error["retry"] is False, error
    assert c.request({"type": "ping"})["type"] == "pong"
    assert len([m for m in c.messages if m["type"] == "error"]) == 1


def test_all_faults_on_one_connection(gw, token):
    c = gw.connect(token())
    for text, _ in FAULTS:
        c.send_text(text)
    got = c.wait_count({"type": "error"}, len(FAULTS))
    assert [m["code"] for m in got] == [code for _, code in FAULTS]
    assert c.request({"type": "ping"})["type"] == "pong"


def test_each_error_is_counted_by_its_code(gw, token):
    before = gw.metrics()
    c = gw.connect(token())
    for text in ("{", '{"type":"x"}', "{}", "{"):
        c.send_text(text)
    c.wait_count({"type": "error"}, 4)
    after = gw.metrics()
    for code, count in (("bad_message", 2), ("unknown_type", 1), ("bad_field", 1)):
        assert after.get_sum("sluice_client_errors_total", code=code) - before.get_sum("sluice_client_errors_total", code=code) == count


def test_the_id_is_echoed_where_there_is_one(gw, token):
    c = gw.connect(token())
    for message in ({"id": 5, "type": "x"}, {"id": 5, "type": "join"}, {"id": 5}, {"id": 5, "type": "ping", "extra": 1}):
        assert c.request(message)["type"] == "error"


def test_an_empty_message_is_nothing(gw, token):
    c = gw.connect(token())
    c.send_text("")
    c.send_text("\n\n")
    assert c.request({"type": "ping"})["type"] == "pong" and not [m for m in c.messages if m["type"] == "error"]


# -- what costs the connection -------------------------------------------------------------------------------------------

def closes(gw, token, data):
    with Raw.open(gw, token("bad")) as raw:
        raw.send(data)
        return raw.closed()


def test_a_message_at_the_limit_and_one_over_it(gw, token):
    with Raw.open(gw, token()) as raw:
        raw.send(frame(TEXT, PING_TEXT + " " * (4096 - len(PING_TEXT))))
        assert raw.until(type="pong")["id"] == 1
    before = gw.metrics().get_sum("sluice_limit_hits_total", limit="limits.message_bytes")
    code, reason = closes(gw, token, frame(TEXT, PING_TEXT + " " * (4097 - len(PING_TEXT))))
    assert code == 1009 and reason
    assert closes(gw, token, struct.pack("!BBQ", 0x81, 0xFF, 1 << 40) + b"mask" + b"x" * 5000)[0] == 1009, "announced is enough"
    pieces = frame(TEXT, "x" * 2000, fin=False) + frame(CONTINUATION, "x" * 2000, fin=False) * 2
    assert closes(gw, token, pieces)[0] == 1009, "in pieces too"
    assert gw.metrics().get_sum("sluice_limit_hits_total", limit="limits.message_bytes") == before + 3


def test_endless_fragments_are_bounded(gw, token):
    """Nothing in each of them: they cost time alone, and a pause keeps others going."""
    c = gw.connect(token("calm"))
    with Raw.open(gw, token("bad")) as raw:
        raw.send(frame(TEXT, "", fin=False) + frame(CONTINUATION, "", fin=False) * 5000)
        assert c.request({"type": "ping"})["type"] == "pong"


def test_binary_messages(gw, token):
    assert closes(gw, token, frame(BINARY, PING_TEXT))[0] == 1003
    assert closes(gw, token, frame(BINARY, b""))[0] in (1003, 1006)
    assert closes(gw, token, frame(BINARY, b"x", fin=False) + frame(CONTINUATION, b"y"))[0] == 1003


@pytest.mark.parametrize("data", [b"\xff", b'{"type":"ping","id":"\xc0\x80"}', b'{"type":"ping","id":"\xed\xa0\x80"}', b'{"type":"ping","id":"\xf5\x80\x80\x80"}',
                                  b'{"type":"ping","id":"\xc3"}', b"\xe2\x82", b'{"type":"ping","id":"\x80"}'])
def test_text_that_is_not_utf8(gw, token, data):
    assert closes(gw, token, frame(TEXT, data))[0] == 1007


def test_utf8_cut_between_fragments_is_fine(gw, token):
    text = '{"type":"ping","id":"€🦊"}'.encode()
    for cut in range(1, len(text)):
        with Raw.open(gw, token()) as raw:
            raw.send(frame(TEXT, text[:cut], fin=False) + frame(CONTINUATION, text[cut:]))
            assert raw.until(type="pong")["id"] == "€🦊"
    assert closes(gw, token, frame(TEXT, text[:22], fin=False) + frame(CONTINUATION, b"x"))[0] == 1007


def test_a_message_in_single_bytes_with_pings_between(gw, token):
    with Raw.open(gw, token()) as raw:
        raw.send(frame(TEXT, PING_TEXT[0], fin=False))
        for n, char in enumerate(PING_TEXT[1:-1]):
            raw.send(frame(CONTINUATION, char, fin=False))
            if n % 5 == 0:
                raw.send(frame(PING, str(n)))
                got = raw.frame()
                while got.opcode == TEXT:  # the status message
                    got = raw.frame()
                assert (got.opcode, got.payload) == (PONG, str(n).encode())
        raw.send(frame(CONTINUATION, PING_TEXT[-1]))
        assert raw.until(type="pong")["id"] == 1


def test_a_frame_in_single_bytes(gw, token):
    with Raw.open(gw, token()) as raw:
        for byte in frame(TEXT, PING_TEXT) + frame(TEXT, '{"type":"ping","id":2}' + " " * 200):
            raw.send(bytes([byte]))
        assert [raw.until(type="pong")["id"] for _ in range(2)] == [1, 2]


def test_many_frames_in_one_segment(gw, token):
    with Raw.open(gw, token()) as raw:
        raw.send(b"".join(frame(TEXT, '{"type":"ping","id":%d}' % n) for n in range(500)))
        assert [raw.until(type="pong")["id"] for _ in range(500)] == list(range(500))


@pytest.mark.parametrize("data", [frame(3, b"x"), frame(7, b""), frame(11, b""), frame(TEXT, PING_TEXT, rsv=0x40), frame(TEXT, PING_TEXT, rsv=0x20),
                                  frame(TEXT, PING_TEXT, rsv=0x10), frame(CONTINUATION, PING_TEXT), frame(TEXT, "a", fin=False) + frame(TEXT, "b"),
                                  frame(PING, b"x" * 126), frame(PING, b"x", fin=False), frame(CLOSE, b"x")], ids=range(11))
def test_frames_that_break_the_protocol_end_the_connection(gw, token, data):
    calm = gw.connect(token("calm"))
    with Raw.open(gw, token("bad")) as raw:
        raw.send(data + frame(TEXT, PING_TEXT))
        assert raw.closed()[0] in (1002, 1005, 1006)
    assert calm.request({"type": "ping"})["type"] == "pong"


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535])
def test_close_codes_that_nobody_may_send(gw, token, code):
    before = gw.metrics().get_sum("sluice_connections_closed_total")
    with Raw.open(gw, token("bad")) as raw:
        raw.send(frame(CLOSE, struct.pack("!H", code)))
        assert raw.closed()[0] in (1002, code, 1005, 1006)
    gw.wait_metric("sluice_connections_closed_total", before + 1)


def test_unmasked_frames_are_taken_or_closed_never_misread(gw, token):
    """RFC 6455 section 5.1 has a server close; libwebsockets takes them (docs/protocol.md says so)."""
    with Raw.open(gw, token()) as raw:
        raw.send(frame(TEXT, PING_TEXT, mask=False))
        got = raw.frame()
        while got.payload == b'{"type":"status","kafka":"off"}':
            got = raw.frame()
        assert got.opcode == CLOSE or got.payload == b'{"type":"pong","id":1}'


# -- too many -------------------------------------------------------------------------------------------------------------

def test_thousands_of_faults_are_abuse(sluice, keys, token):
    gw = sluice(offline(keys, limits={"errors_per_min": 50, "messages_per_s": 100000}))
    calm = gw.connect(token("calm"))
    with Raw.open(gw, token("bad")) as raw:
        try:
            raw.send(frame(TEXT, "\n".join(["{"] * 20000)) + frame(TEXT, "{") * 3000)
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert raw.message()["type"] == "status"
        errors, got = 0, raw.frame()
        while got.opcode == TEXT:
            errors += got.payload.count(b'"code":"bad_message"')
            got = raw.frame()
        assert got.opcode == CLOSE and struct.unpack("!H", got.payload[:2])[0] == 4529
        assert 50 <= errors <= 52
    gw.wait_metric("sluice_connections_closed_total", lambda v: v == 1, code="4529")
    assert gw.metrics().get_sum("sluice_limit_hits_total", limit="limits.errors_per_min") == 1
    assert calm.request({"type": "ping"})["type"] == "pong"


def test_too_many_messages_are_refused_and_it_goes_on(sluice, keys, token):
    gw = sluice(offline(keys, limits={"messages_per_s": 20, "errors_per_min": 1000}))
    c = gw.connect(token())
    for n in range(100):
        c.send({"type": "ping", "id": n})
    c.wait_for(lambda m: m.get("id") == 99)
    pongs = [m for m in c.messages if m["type"] == "pong"]
    errors = [m for m in c.messages if m["type"] == "error"]
    assert 40 <= len(pongs) <= 60 and len(pongs) + len(errors) == 100, "a burst of twice the rate"
    assert all(m["code"] == "rate_limited" and m["retry"] is True and "id" in m for m in errors)
    assert gw.metrics().get_sum("sluice_limit_hits_total", limit="limits.messages_per_s") == len(errors)
    gw.wait_until(lambda: c.request({"type": "ping"})["type"] == "pong", 3, "an answer once the bucket has filled again")


# -- mutations ---------------------------------------------------------------------------------------------------------------

VALID = ['{"type":"join","id":1,"room":"open:1"}', '{"type":"leave","id":"a","room":"session:1"}', '{"type":"ping","id":-5}',
         '{"type":"action","id":4,"name":"session.chat","room":"session:42","data":{"message":"hé","n":[1,2.5e3,null,true]},"key":"k-1"}',
         '{"type":"auth","id":1,"token":"a.b.c"}', '{"type":"join","room":"open:\\u00e9\\ud83e\\udd8a"}\n{"type":"ping"}']


def mutate(rng, data):
    data = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        where, kind = rng.randrange(len(data) + 1), rng.randrange(6)
        if kind == 0 and where < len(data):
            data[where] = rng.randrange(256)
        elif kind == 1:
            del data[where:where + rng.randrange(1, 9)]
        elif kind == 2:
            data[where:where] = data[rng.randrange(len(data) + 1):][:rng.randrange(1, 40)]
        elif kind == 3:
            data[where:where] = rng.choice([b"[", b"{", b'"', b"\\", b"\\u", b"\x00", b"\n", b"\xff", b"1e999", b",", b":", b"null", b"[" * 100, b"9" * 50])
        elif kind == 4:
            data[where:where] = bytes(ord(rng.choice(string.printable)) for _ in range(rng.randrange(1, 6)))
        elif data:
            data = data[:where] or data
    return bytes(data)


def test_mutated_messages_never_hurt_the_gateway(gw, token):
    rng = random.Random(4711)
    calm = gw.connect(token("calm"))
    raw = None
    for n in range(300):
        raw = raw or Raw.open(gw, token("fuzz"))
        raw.send(frame(TEXT, mutate(rng, rng.choice(VALID).encode())) + frame(TEXT, '{"type":"ping","id":"after"}'))
        got = raw.frame()
        while got.opcode != CLOSE and b'"id":"after"' not in got.payload:
            assert got.opcode == TEXT and all(isinstance(json.loads(x), dict) for x in got.payload.split(b"\n") if x)
            got = raw.frame()
        if got.opcode == CLOSE:
            assert struct.unpack("!H", got.payload[:2])[0] == 1007
            raw = raw.socket.close()
    if raw:
        raw.socket.close()
    assert calm.request({"type": "ping"})["type"] == "pong"


def test_mutated_frames_never_hurt_the_gateway(gw, token):
    rng = random.Random(815)
    calm = gw.connect(token("calm"))
    for n in range(300):
        with Raw.open(gw, token("fuzz")) as raw:
            data = b"".join(frame(rng.choice([0, 1, 1, 1, 2, 8, 9, 10]), rng.choice(VALID), fin=rng.random() < 0.8) for _ in range(4))
            try:
                raw.send(mutate(rng, data))
            except (ConnectionResetError, BrokenPipeError):
                pass
        if n % 50 == 0:
            assert calm.request({"type": "ping"})["type"] == "pong"
    gw.wait_metric("sluice_connections", lambda v: v == 1, 8)
    assert calm.request({"type": "ping"})["type"] == "pong"
