"""Clients that do not read: bounded memory, a close that says so, nobody else affected; and those that only pause lose nothing."""
import json
import struct

import pytest
from lib.client import event
from lib.gateways import borrowed, shared
from lib.raw import CLOSE, Raw, close_of

CONCEPTS = "concept-notifications"
BOUND = 256 * 1024


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    yield from shared(tmp_path_factory, ["--dev", "--limits-outbox-bytes", str(BOUND), "--ws-close-timeout-ms", "1000"])


@pytest.fixture
def gw(node):
    yield from borrowed(node)


def concept(room, n, size=2000):
    return {"conceptId": room, "userIds": [], "conceptName": "x" * size, "masteryLevel": n / 1e6}


def rss(gw):
    with open(f"/proc/{gw.process.pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * 4096


def fill(gw, room, waiting, step=50):
    """Produces in steps, each seen through, until so many bytes wait in the gateway; returns how many events it took."""
    sent, before = 0, gw.metrics()["sluice_deliveries_total"]
    while gw.metrics()["sluice_outbox_bytes"] < waiting:
        assert sent < 10000
        gw.records.produce_many(CONCEPTS, [(room, concept(room, sent + n, 500)) for n in range(step)])
        sent += step
        gw.wait_metric("sluice_deliveries_total", before + sent)
    return sent


def numbers(client):
    return [round(e["data"]["masteryLevel"] * 1e6) for e in client.events("concept.mastered")]


def test_a_client_that_does_not_read_is_dropped_and_nobody_else(gw):
    good = gw.user("good")
    good.join("concept:flood")
    slow = [Raw.open(gw, gw.dev_token(f"slow{i}"), rcvbuf=4096) for i in range(4)]
    for raw in slow:
        raw.text({"type": "join", "id": 1, "room": "concept:flood"})
        raw.until(id=1)
    hits, start, sent = gw.metrics().get_sum("sluice_limit_hits_total", limit="limits.outbox_bytes"), rss(gw), 0
    most = 0
    for _ in range(40):
        gw.records.produce_many(CONCEPTS, [("flood", concept("flood", sent + n)) for n in range(100)])
        sent += 100
        good.wait_count(event("concept.mastered"), sent, 10)
        most = max(most, rss(gw))
        m = gw.metrics()
        assert m["sluice_outbox_bytes"] <= len(slow) * (BOUND + 65536) if m.get_sum("sluice_outbox_bytes") is not None else True
        if m.get_sum("sluice_limit_hits_total", limit="limits.outbox_bytes") == hits + 4:
            break
    assert numbers(good) == list(range(sent)), "the one that reads has them all, in order"
    gw.wait_metric("sluice_limit_hits_total", hits + 4, limit="limits.outbox_bytes")
    gw.wait_metric("sluice_connections", lambda v: v == 1, 8)
    assert most - start < 60_000_000, f"{most - start} bytes more"
    assert gw.metrics().get_sum("sluice_connections_closed_total", code="4008") >= 4
    for raw in slow:
        raw.socket.close()
    assert good.request({"type": "ping"})["type"] == "pong"


def test_what_a_dropped_client_still_reads_is_whole_frames_and_the_close(gw):
    """Its kernel holds a while of events; behind them comes 4008, or the end where it was too slow even for that."""
    with Raw.open(gw, gw.dev_token("slow"), rcvbuf=4096) as raw:
        raw.text({"type": "join", "id": 1, "room": "concept:cut"})
        raw.until(id=1)
        hits, sent = gw.metrics().get_sum("sluice_limit_hits_total", limit="limits.outbox_bytes"), 0
        while gw.metrics().get_sum("sluice_limit_hits_total", limit="limits.outbox_bytes") == hits:
            assert sent < 6000
            gw.records.produce_many(CONCEPTS, [("cut", concept("cut", sent + n)) for n in range(100)])
            sent += 100
        got, last = [], None
        while len(raw.buffer) >= 2 or raw.receive():
            try:
                last = raw.frame()
            except AssertionError:
                break  # dropped inside a frame: no close could be sent
            if last.opcode == CLOSE:
                break
            got += [json.loads(x) for x in last.payload.decode().split("\n") if x and last.opcode == 1]
        seen = [round(e["data"]["masteryLevel"] * 1e6) for e in got if e["type"] == "event"]
        assert seen == list(range(len(seen))) and 0 < len(seen) < sent
        if last.opcode == CLOSE:
            code, reason = close_of(last)
            assert code == 4008 and "outbox" in reason


def test_after_a_pause_short_of_the_bound_everything_comes_in_order(gw):
    with Raw.open(gw, gw.dev_token("pausing"), rcvbuf=4096) as raw:
        raw.text({"type": "join", "id": 1, "room": "concept:pause"})
        raw.until(id=1)
        sent = fill(gw, "pause", 40_000)
        got = []
        while len(got) < sent:
            message = raw.message()
            if message["type"] == "event":
                got.append(round(message["data"]["masteryLevel"] * 1e6))
        assert got == list(range(sent))
        raw.text({"type": "ping", "id": 2})
        raw.until(id=2)
    gw.wait_metric("sluice_outbox_bytes", lambda v: v == 0)


def test_a_client_that_takes_no_byte_for_too_long_is_dead(sluice):
    """Fewer bytes than the bound, but nothing moves: heartbeat and pong time-out together end it."""
    gw = sluice(dev=True, args=["--ws-heartbeat-s", "1", "--ws-pong-timeout-s", "2", "--ws-close-timeout-ms", "500"])
    with Raw.open(gw, gw.dev_token("stuck"), rcvbuf=4096) as raw:
        raw.text({"type": "join", "id": 1, "room": "concept:stuck"})
        raw.until(id=1)
        before = gw.metrics().get_sum("sluice_connections_closed_total")
        fill(gw, "stuck", 20_000, step=400)
        gw.wait_metric("sluice_connections_closed_total", before + 1, 8)
        gw.wait_metric("sluice_connections", lambda v: v == 0)
        assert gw.metrics()["sluice_outbox_bytes"] == 0


def test_a_paused_library_client_catches_up(gw):
    c = gw.user("lib", rcvbuf=4096)
    c.join("concept:lib")
    c.pause()
    gw.records.produce_many(CONCEPTS, [("lib", concept("lib", n, 200)) for n in range(500)])
    c.resume_reading()
    c.wait_count(event("concept.mastered"), 500, 10)
    assert numbers(c) == list(range(500))


def test_requests_of_a_client_that_reads_no_answers_are_bounded_too(gw):
    """Each request makes an answer: the outbox bound holds for those as well."""
    with Raw.open(gw, gw.dev_token("greedy"), rcvbuf=4096) as raw:
        raw.socket.settimeout(0.2)
        start, chunk = rss(gw), b""
        for n in range(200):
            text = json.dumps({"type": "ping", "id": "x" * 60}).encode()
            chunk += struct.pack("!BB", 0x81, 0x80 | len(text)) + b"\0\0\0\0" + text
        try:
            for _ in range(300):
                raw.send(chunk)
        except (TimeoutError, ConnectionResetError, BrokenPipeError):
            pass
        gw.wait_metric("sluice_connections", lambda v: v == 0, 8)
        assert rss(gw) - start < 20_000_000
