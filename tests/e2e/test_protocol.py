"""The wire protocol sluice.v1 with a validating client: what each message is answered with, and how events come."""
import base64
import json
import time

import pytest
from lib.client import event
from lib.gateways import borrowed, shared
from lib.raw import CLOSE, PING, PONG, Raw, close_of, frame

SESSIONS, CONCEPTS = "session-notifications", "concept-notifications"


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    yield from shared(tmp_path_factory, ["--dev"])


@pytest.fixture
def gw(node):
    yield from borrowed(node)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A gateway whose heartbeats come each second."""
    yield from shared(tmp_path_factory, ["--dev", "--ws-heartbeat-s", "1", "--ws-pong-timeout-s", "1"])


@pytest.fixture
def beating(quick):
    yield from borrowed(quick)


def concept(concept_id, users=(), **more):
    return {"conceptId": concept_id, "userIds": list(users), "conceptName": "Recursion", "masteryLevel": 0.5, **more}


def starting(session, users=(), **more):
    return {"sessionId": session, "userIds": list(users), "message": "soon", "scheduledTime": "2026-01-01T10:00:00Z", **more}


def at(record):
    return {"type": "event", "topic": record.topic, "partition": record.partition, "offset": record.offset}


# -- requests and answers ----------------------------------------------------------------------------------------------

def test_the_welcome_says_who_and_what(gw):
    c = gw.user("ada", ttl=500)
    w = c.welcome
    assert w["user"] == "ada" and w["rooms"] == ["user:ada"] and w["heartbeat"] == 25
    assert w["limits"] == {"messageBytes": 65536, "rooms": 100, "inFlight": 64}
    assert abs(w["expires"] - time.time() - 500) < 30
    assert w["connection"].startswith("c-") and "id" not in w
    assert c.messages[0] is w, "the welcome comes first"
    assert gw.user("ada").welcome["connection"] != w["connection"]


def test_join_and_leave(gw):
    c = gw.user("ada", sessions=["42"])
    assert c.request({"type": "join", "id": 7, "room": "session:42"}) == {"type": "joined", "id": 7, "room": "session:42"}
    assert c.request({"type": "join", "id": 8, "room": "session:42"})["type"] == "joined", "joining twice is no fault"
    assert c.request({"type": "leave", "id": 9, "room": "session:42"}) == {"type": "left", "id": 9, "room": "session:42"}
    assert c.request({"type": "leave", "id": 10, "room": "session:42"})["type"] == "left", "nor is leaving twice"


def test_nothing_comes_from_a_room_that_was_left(gw):
    c = gw.user("nell")
    c.join("concept:left1")
    c.recv_until(at(gw.records.produce(CONCEPTS, concept("left1"), key="same")))
    c.leave("concept:left1")
    gw.records.produce(CONCEPTS, concept("left1"), key="same")
    marker = gw.records.produce(CONCEPTS, concept("other", ["nell"]), key="same")  # same key: same partition, so behind it
    c.expect_nothing_until(at(marker))


def test_several_messages_in_a_frame_are_answered_in_their_order(gw):
    c = gw.user("ada", sessions=["42"])
    c.send({"type": "ping", "id": 1}, {"type": "join", "id": 2, "room": "session:42"}, {"type": "nonsense", "id": 3},
           {"type": "leave", "id": 4, "room": "session:42"}, {"type": "ping", "id": 5})
    answers = c.wait_count(lambda m: "id" in m, 5)
    assert [(m["id"], m["type"]) for m in answers] == [(1, "pong"), (2, "joined"), (3, "error"), (4, "left"), (5, "pong")]


def test_blank_lines_and_carriage_returns_between_messages_are_fine(gw):
    c = gw.user()
    c.send_text('\n{"type":"ping","id":1}\r\n\n{"type":"ping","id":2}\n')
    assert [m["id"] for m in c.wait_count({"type": "pong"}, 2)] == [1, 2]
    assert not [m for m in c.messages if m["type"] == "error"]


@pytest.mark.parametrize("text", ["0", "-1", "7", "9223372036854775807", "-9223372036854775808", '"a"', '"7"', '"r\\u00e9f"', '"\\ud83d\\ude00"',
                                  '"a b\\n\\"c\\""', '""', '"' + "x" * 64 + '"', '"ключ"'])
def test_an_id_is_echoed_as_it_was_sent(gw, text):
    with Raw.open(gw, gw.dev_token()) as raw:
        raw.text('{"type":"ping","id":%s}' % text)
        assert raw.line() == '{"type":"pong","id":%s}' % text
        raw.text('{"id":%s,"type":"what"}' % text)
        assert f'"id":{text},' in raw.line(), "errors carry it too"


@pytest.mark.parametrize("text", ["1.5", "1e3", "true", "null", "[]", "{}", "9223372036854775808", '"' + "x" * 65 + '"'])
def test_other_ids_are_refused(gw, text):
    c = gw.user()
    c.send_text('{"type":"ping","id":%s}' % text)
    error = c.recv_until({"type": "error"})
    assert error["code"] == "bad_field" and error["message"].startswith("id:") and "id" not in error and error["retry"] is False


def test_a_ping_without_an_id(gw):
    c = gw.user()
    c.send({"type": "ping"})
    assert c.recv_until({"type": "pong"}) == {"type": "pong"}


# -- control frames, heartbeats ----------------------------------------------------------------------------------------

def test_a_websocket_ping_is_answered_with_its_payload(gw):
    with Raw.open(gw, gw.dev_token()) as raw:
        for payload in (b"", b"hello", b"x" * 125):
            raw.send(frame(PING, payload))
            got = raw.frame()
            while got.opcode == 1:  # a message in between (status)
                got = raw.frame()
            assert (got.opcode, got.payload) == (PONG, payload)
    gw.user().ping(b"by the library")


def test_heartbeats_carry_the_positions_that_moved(beating):
    c = beating.user("hb")
    records = [beating.records.produce(SESSIONS, starting("nobody-is-here", []), key=k) for k in "abcdefgh"]
    want = {}
    for r in records:
        want[str(r.partition)] = max(r.offset, want.get(str(r.partition), -1))
    beat = c.recv_until(lambda m: m["type"] == "heartbeat" and m["positions"].get(SESSIONS, {}).items() >= want.items(), 4)
    assert not c.events(), "the records were for nobody"
    assert set(beat) == {"type", "positions"} and set(beat["positions"]) <= {SESSIONS, CONCEPTS, "test-realtime-service", "session-actions"}
    quiet = c.recv_until(lambda m: m["type"] == "heartbeat" and SESSIONS not in m["positions"], 4)
    assert quiet["positions"] == {}, "what did not move is left out"


def test_a_heartbeat_never_runs_ahead_of_the_events_below_it(beating):
    c = beating.user("hb2")
    c.join("concept:hb")
    deadline = time.monotonic() + 6
    while len([m for m in c.messages if m["type"] == "heartbeat" and m["positions"].get(CONCEPTS)]) < 2:
        assert time.monotonic() < deadline, c.messages[-3:]
        last = beating.records.produce_many(CONCEPTS, [("hb", concept("hb")) for _ in range(50)])[-1]
    c.recv_until(at(last))
    seen = -1
    for m in c.messages:
        if m["type"] == "event":
            seen = m["offset"]
        elif m["type"] == "heartbeat" and CONCEPTS in m["positions"]:
            assert m["positions"][CONCEPTS].get(str(last.partition), -1) <= seen


def test_the_gateway_pings_and_ends_a_connection_that_does_not_answer(beating):
    before = beating.metrics().get_sum("sluice_connections_closed_total", code="4010")
    with Raw.open(beating, beating.dev_token("mute")) as raw:
        pings, got = 0, raw.frame()
        while got.opcode != CLOSE:
            pings += got.opcode == PING
            got = raw.frame()
        assert pings >= 1 and close_of(got)[0] == 4010
    beating.wait_metric("sluice_connections_closed_total", before + 1, code="4010")


def test_a_connection_that_answers_pings_stays(beating):
    c = beating.user("alive")
    c.wait_count({"type": "heartbeat"}, 3, 6)  # longer than heartbeat and pong timeout together
    assert c.request({"type": "ping"})["type"] == "pong"


# -- events ------------------------------------------------------------------------------------------------------------

def test_an_event_in_full(gw):
    c = gw.user("full", sessions=["f1"])
    c.join("session:f1")
    data = starting("f1", [], extra={"deep": [1, {"x": None}]})
    r = gw.records.produce(SESSIONS, data, key="f1")
    got = c.recv_until(event("session.starting"))
    assert abs(got.pop("time") - time.time() * 1000) < 60000
    assert got == {"type": "event", "rooms": ["session:f1"], "event": "session.starting", "topic": SESSIONS,
                   "partition": r.partition, "offset": r.offset, "key": "f1", "data": data}


def test_an_event_comes_once_and_names_exactly_the_rooms_that_match(gw):
    both = gw.user("m1", sessions=["m"])
    own = gw.user("m2", sessions=["m"])
    room = gw.user("m3", sessions=["m"])
    none = gw.user("m4", sessions=["m"])
    both.join("session:m")
    room.join("session:m")
    r = gw.records.produce(SESSIONS, starting("m", ["m1", "m2", "absent"]), key="k")
    marker = gw.records.produce(CONCEPTS, concept("x", ["m1", "m2", "m3", "m4"]), key="k")
    for client, rooms in ((both, ["session:m", "user:m1"]), (own, ["user:m2"]), (room, ["session:m"]), (none, None)):
        client.wait_for(at(marker))
        if rooms is not None:
            client.wait_for(at(r))
        got = client.events("session.starting")
        assert [sorted(e["rooms"]) for e in got] == ([rooms] if rooms else [])


def test_many_users_each_get_their_own(gw):
    users = [f"fan{i}" for i in range(20)]
    clients = [gw.user(u) for u in users]
    second = gw.user("fan0")
    r = gw.records.produce(SESSIONS, starting("nobody", users[:15] + users[:3]), key="k")  # some named twice
    marker = gw.records.produce(SESSIONS, starting("nobody", users), key="k")
    for user, client in [*zip(users, clients), ("fan0", second)]:
        client.recv_until(at(marker))
        got = [e for e in client.events() if e["offset"] == r.offset and e["partition"] == r.partition]
        assert [e["rooms"] for e in got] == ([[f"user:{user}"]] if user in users[:15] else [])


def test_the_order_within_a_partition_is_kept(gw):
    c = gw.user("order")
    c.join("concept:o1")
    c.join("concept:o2")
    pairs = [("one-key", concept(f"o{1 + n % 2}", ["order"] if n % 3 else [], n=n)) for n in range(400)]
    gw.records.produce_many(CONCEPTS, pairs)
    got = c.wait_count(event("concept.mastered"), 400, 10)
    assert [e["data"]["n"] for e in got] == list(range(400))
    assert len({e["partition"] for e in got}) == 1 and sorted({e["offset"] for e in got}) == [e["offset"] for e in got]


def test_a_pretty_printed_value_stays_on_one_line(gw):
    data = concept("pretty", ["pretty"], text="line\nfeed\r\n\ttab", nested={"a": [1, 2, {"b": None}]})
    with Raw.open(gw, gw.dev_token("pretty")) as raw:
        gw.records.produce(CONCEPTS, json.dumps(data, indent=4).replace("\n", "\r\n"))
        gw.records.produce(CONCEPTS, json.dumps(data, indent="\t"))
        for _ in range(2):
            got = raw.until(type="event")
            assert got["data"] == data and got["data"]["text"] == "line\nfeed\r\n\ttab"


NUMBERS = ["12345678901234567890123", "0.1000000000000000055511151231257827", "-0", "1e400", "1E-7", "3.0", "100000000000000000000000001.5e10"]


def test_numbers_keep_all_their_digits(gw):
    with Raw.open(gw, gw.dev_token("digits")) as raw:
        gw.records.produce(CONCEPTS, '{"conceptId":"c","userIds":["digits"],"conceptName":"n","masteryLevel":1,"numbers":[%s]}' % ",".join(NUMBERS))
        while '"event"' not in (line := raw.line()):
            pass
        assert '"numbers":[%s]}' % ",".join(NUMBERS) in line


@pytest.mark.parametrize("key, fields", [(b"\xff\xfe\x00", {"keyBase64": base64.b64encode(b"\xff\xfe\x00").decode()}), (b"plain", {"key": "plain"}),
                                         ("ключ \"x\"\n".encode(), {"key": "ключ \"x\"\n"}), (b"", {"key": ""}), (None, {}),
                                         (b"\xed\xa0\x80", {"keyBase64": "7aCA"}), (b"a\x00b", {"key": "a\x00b"})])
def test_keys(gw, key, fields):
    c = gw.user("keys")
    gw.records.produce(CONCEPTS, concept("x", ["keys"]), key=key)
    got = c.recv_until(event("concept.mastered"))
    assert {k: v for k, v in got.items() if k.startswith("key")} == fields


def test_unicode_everywhere(gw):
    texts = ["Grüße", "日本語", "👩‍👩‍👧", "\u202e right to left", "\u2028\u2029", "\u0000 and \u001f", "\ufeff", "\U0010ffff"]
    user = "zoë:🦊"
    c = gw.user(user)
    assert c.welcome["rooms"] == [f"user:{user}"]
    escaped = concept("я", [user], texts=texts)
    gw.records.produce(CONCEPTS, json.dumps(escaped), key="k")
    gw.records.produce(CONCEPTS, json.dumps(escaped, ensure_ascii=False), key="k")
    got = c.wait_count(event("concept.mastered"), 2)
    assert [e["data"] for e in got] == [escaped, escaped] and [e["rooms"] for e in got] == [[f"user:{user}"]] * 2


def test_an_escaped_field_routes_like_a_plain_one(gw):
    c = gw.user("esc")
    gw.records.produce(CONCEPTS, '{"concept\\u0049d":"e","userIds":["e\\u0073c"],"conceptName":"n","masteryLevel":0}')
    assert c.recv_until(event("concept.mastered"))["data"] == {"conceptId": "e", "userIds": ["esc"], "conceptName": "n", "masteryLevel": 0}


def test_the_first_route_whose_condition_holds_is_taken(gw):
    c = gw.user("when")
    gw.records.produce(CONCEPTS, {"userIds": ["when"], "message": "hi", "type": "reminder", "data": {"a": 1}}, key="k")
    gw.records.produce(CONCEPTS, concept("x", ["when"]), key="k")
    assert [e["event"] for e in c.wait_count({"type": "event"}, 2)] == ["notification", "concept.mastered"]


def test_many_events_share_frames_and_none_is_lost(gw):
    c = gw.user("burst")
    gw.records.produce_many(CONCEPTS, [(f"k{n}", concept("x", ["burst"], n=n, pad="x" * 200)) for n in range(2000)])
    got = c.wait_count(event("concept.mastered"), 2000, 15)
    assert sorted(e["data"]["n"] for e in got) == list(range(2000))
    for partition in {e["partition"] for e in got}:
        offsets = [e["offset"] for e in got if e["partition"] == partition]
        assert offsets == sorted(set(offsets))


def test_a_large_event_arrives_whole(gw):
    c = gw.user("large")
    data = concept("x", ["large"], pad="ü" * 300000)
    gw.records.produce(CONCEPTS, json.dumps(data, ensure_ascii=False).encode(), message_max_bytes=2000000)
    assert c.recv_until(event("concept.mastered"), 10)["data"] == data


def test_the_clients_close_is_answered_with_its_code(gw):
    for code in (1000, 1001, 4242):
        c = gw.user("bye")
        assert c.close(code, "done").code == code
    with Raw.open(gw, gw.dev_token("bye")) as raw:
        raw.send(frame(CLOSE))
        got = raw.frame()
        while got.opcode == 1:
            got = raw.frame()
        assert got.opcode == CLOSE
