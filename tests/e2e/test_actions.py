"""Actions: from a client's message to a record on Kafka, read back by a peer of the gateway; and every way to be refused."""
import json
import re
import threading
import time
import uuid

import pytest
from lib.gateways import ROOMS, borrowed, shared
from lib.raw import Raw

ACTIONS = [
    {"name": "session.chat", "topic": "session-actions", "room": "session:{id}", "fields": {"message": "string"}},
    {"name": "all.types", "topic": "types", "fields": {"s": "string", "n": "number?", "i": "integer?", "b": "boolean?", "o": "object?", "a": "array?", "x": "any?"}},
    {"name": "free", "topic": "free", "fields": {"need": "string"}, "open": True},
    {"name": "bare", "topic": "bare", "fields": {}},
    {"name": "keyed", "topic": "keyed", "key": "{claim.tenant}:{data.doc.id}", "headers": {"tenant": "{claim.tenant}", "who": "{user}", "fixed": "yes"}, "open": True},
    {"name": "pair.act", "topic": "pairs", "room": "pair:{a}:{b}", "key": "{room.b}", "open": True},
    {"name": "by.room", "topic": "pairs", "room": "pair:{a}:{b}", "open": True},
    {"name": "staff.only", "topic": "staff", "allow": {"scope": "staff"}},
    {"name": "own.doc", "topic": "staff", "room": "open:{id}", "allow": {"claim": "docs", "contains": "{id}"}},
    {"name": "slow", "topic": "bare", "rate": "3/m"},
    {"name": "slow.too", "topic": "bare", "rate": "3/m"},
    {"name": "quick", "topic": "bare", "rate": "2/1s"},
]
CONFIG = {"rooms": [*ROOMS, {"pattern": "pair:{a}:{b}", "join": "any"}],
          "routes": [{"topics": ["session-actions"], "event": "{value.eventType}", "rooms": "{value.metadata.room}", "require": ["metadata.room"]}],
          "actions": ACTIONS, "limits": {"errors_per_min": 10000, "messages_per_s": 10000}, "proxies": ["127.0.0.0/8", "10.0.0.0/8"]}


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    yield from shared(tmp_path_factory, ["--dev"], CONFIG)


@pytest.fixture
def gw(node):
    yield from borrowed(node)


def record_of(gw, ack):
    """The record at an ack's position, by the peer."""
    found = gw.records.consume_all(ack["topic"], partition=ack["partition"], where=lambda r: r.offset == ack["offset"], count=1)
    assert len(found) == 1, f"nothing at {ack}"
    return found[0]


def envelopes(gw, topic, event_id):
    return [r for r in gw.records.consume_all(topic) if r.json().get("eventId") == event_id]


def acked(answer):
    assert answer["type"] == "ack", answer
    return answer


def refused(answer, code, retry=False):
    assert answer["type"] == "error" and answer["code"] == code and answer["retry"] is retry and answer["message"], answer
    return answer


# -- what is produced ------------------------------------------------------------------------------------------------------

def test_an_action_in_full(gw):
    c = gw.user("ada", sessions=["42"], headers={"User-Agent": "Prüfstand/1.0"})
    c.join("session:42")
    start = time.time()
    answer = acked(c.action("session.chat", "session:42", {"message": "hé \"you\" \u2028 🦊"}))
    assert set(answer) == {"type", "id", "topic", "partition", "offset", "eventId"} and answer["topic"] == "session-actions"
    uuid.UUID(answer["eventId"])
    r = record_of(gw, answer)
    assert r.key == b"42"
    value = r.json()
    stamp, correlation = value.pop("timestamp"), value["metadata"].pop("correlationId")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp)
    assert abs(time.mktime(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone - start) < 5
    uuid.UUID(correlation)
    assert value == {"eventId": answer["eventId"], "eventType": "session.chat", "version": "1.0", "data": {"message": "hé \"you\" \u2028 🦊"},
                     "metadata": {"source": "sluice", "userId": "ada", "connectionId": c.welcome["connection"], "room": "session:42",
                                  "ip": "127.0.0.1", "userAgent": "Prüfstand/1.0"}}
    assert dict(r.headers) == {"event-type": b"session.chat", "correlation-id": correlation.encode(), "content-type": b"application/json"}


def test_it_comes_back_to_all_members_of_the_room(gw):
    clients = [gw.user(u, sessions=["rt"]) for u in ("a", "b")]
    for c in clients:
        c.join("session:rt")
    answer = acked(clients[0].action("session.chat", "session:rt", {"message": "hi"}))
    for c in clients:
        got = c.recv_until({"type": "event", "offset": answer["offset"], "partition": answer["partition"]})
        assert got["event"] == "session.chat" and got["data"]["data"] == {"message": "hi"} and got["data"]["metadata"]["userId"] == "a"


def test_identity_comes_from_the_token_alone(gw):
    c = gw.user("ada")
    claim = {"need": "x", "userId": "eve", "metadata": {"userId": "eve", "source": "evil"}, "eventId": "mine", "sub": "eve"}
    value = record_of(gw, acked(c.action("free", data=claim))).json()
    assert value["metadata"]["userId"] == "ada" and value["metadata"]["source"] == "sluice"
    assert value["data"] == claim and value["eventId"] != "mine"
    assert "room" not in value["metadata"]
    refused(c.request({"type": "action", "name": "bare", "user": "eve"}), "bad_field")


def test_data_is_kept_as_it_was_sent(gw):
    data = '{"need":"x","big":12345678901234567890123,"f":1.10,"e":1E400,"u":"\\u00e9\\ud83e\\udd8a","deep":[[[{"a":null}]]],  "spaced" : [ 1 , 2 ] }'
    with Raw.open(gw, gw.dev_token()) as raw:
        raw.text('{"type":"action","id":1,"name":"free","data":%s}' % data)
        value = record_of(gw, raw.until(id=1)).value.decode()
    assert '"data":' + data in value


def test_the_key_comes_from_its_template(gw):
    c = gw.connect(gw.dev_token("ada", tenant="acmé", sessions=[]))
    r = record_of(gw, acked(c.action("keyed", data={"doc": {"id": 7}})))
    assert r.key == "acmé:7".encode()
    assert {k: v for k, v in r.headers if k in ("tenant", "who", "fixed")} == {"tenant": "acmé".encode(), "who": b"ada", "fixed": b"yes"}
    assert record_of(gw, acked(c.action("bare"))).key == b"ada", "without a room the user"
    c.join("pair:x:y")
    assert record_of(gw, acked(c.action("pair.act", "pair:x:y"))).key == b"y"
    assert record_of(gw, acked(c.action("by.room", "pair:x:y"))).key == b"pair:x:y", "the room itself where there is no {id}"


def test_a_key_that_cannot_be_made_is_the_clients_fault(gw):
    c = gw.connect(gw.dev_token("ada", tenant="t"))
    refused(c.action("keyed", data={"doc": {}}), "invalid")
    refused(c.action("keyed", data={"doc": {"id": [1]}}), "invalid")
    refused(gw.user("bob").action("keyed", data={"doc": {"id": 1}}), "invalid")  # no such claim


def test_the_same_key_goes_to_the_same_partition_in_order(gw):
    c = gw.user("ada", sessions=["ord"])
    c.join("session:ord")
    c.send(*({"type": "action", "id": n, "name": "session.chat", "room": "session:ord", "data": {"message": str(n)}} for n in range(50)))
    acks = sorted(c.wait_count({"type": "ack"}, 50), key=lambda m: m["id"])
    assert len({a["partition"] for a in acks}) == 1
    assert [a["offset"] for a in acks] == sorted({a["offset"] for a in acks})


# -- where a client is -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("forwarded, ip", [
    ([], "127.0.0.1"), (["203.0.113.9"], "203.0.113.9"), (["1.1.1.1, 203.0.113.9"], "203.0.113.9"), (["1.1.1.1, 203.0.113.9, 10.1.2.3"], "203.0.113.9"),
    (["203.0.113.9", "10.1.2.3"], "203.0.113.9"), (["1.1.1.1", "203.0.113.9"], "203.0.113.9"), (["10.0.0.1"], "10.0.0.1"), (["2001:db8::7"], "2001:db8::7"),
    (["[2001:db8::7]:4711"], "2001:db8::7"), (["203.0.113.9:4711"], "203.0.113.9"), (["nonsense"], "127.0.0.1"), (["1.1.1.1, nonsense"], "127.0.0.1"),
    (["203.0.113.9,"], "127.0.0.1"), ([", ".join(["6.6.6.6"] * 300 + ["203.0.113.9"])], None), ([", ".join(["6.6.6.6"] * 80)] * 3 + ["203.0.113.9"], None),
])
def test_x_forwarded_for_is_believed_from_proxies(gw, forwarded, ip):
    with Raw.open(gw, gw.dev_token(), extra=[f"X-Forwarded-For: {f}" for f in forwarded] + ["Forwarded: for=9.9.9.9"]) as raw:
        raw.text({"type": "action", "id": 1, "name": "bare"})
        found = record_of(gw, raw.until(id=1)).json()["metadata"]["ip"]
        assert found == ip or ip is None and found in ("127.0.0.1", "203.0.113.9"), "an endless list is cut, never misread"


def test_others_are_not_believed(sluice):
    gw = sluice({**CONFIG, "proxies": ["10.0.0.0/8"]}, dev=True)
    c = gw.user("ada", headers={"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"})
    assert record_of(gw, acked(c.action("bare"))).json()["metadata"]["ip"] == "127.0.0.1"


def test_the_forwarded_header_where_that_is_configured(sluice):
    gw = sluice({**CONFIG, "http": {"forwarded_header": "forwarded"}}, dev=True)

    def ip(*lines):
        with Raw.open(gw, gw.dev_token(), extra=[*(f"Forwarded: {x}" for x in lines), "X-Forwarded-For: 9.9.9.9"]) as raw:
            raw.text({"type": "action", "id": 1, "name": "bare"})
            return record_of(gw, raw.until(id=1)).json()["metadata"]["ip"]
    assert ip("for=203.0.113.9") == "203.0.113.9"
    assert ip('proto=https;FOR="[2001:db8::7]:4711";by=10.0.0.1') == "2001:db8::7"
    assert ip("for=1.1.1.1, for=203.0.113.9;proto=http, for=10.1.1.1") == "203.0.113.9"
    assert ip("for=unknown") == "127.0.0.1" and ip("for=_hidden") == "127.0.0.1" and ip("proto=https") == "127.0.0.1" and ip() == "127.0.0.1"


@pytest.mark.xfail(strict=True, reason="known hole: libwebsockets shows the first Forwarded line only, which is the client's where the proxy adds one of its own")
def test_a_client_cannot_forge_its_address_by_a_forwarded_line_of_its_own(sluice):
    gw = sluice({**CONFIG, "http": {"forwarded_header": "forwarded"}}, dev=True)
    with Raw.open(gw, gw.dev_token(), extra=["Forwarded: for=1.1.1.1", "Forwarded: for=203.0.113.9"]) as raw:
        raw.text({"type": "action", "id": 1, "name": "bare"})
        assert record_of(gw, raw.until(id=1)).json()["metadata"]["ip"] != "1.1.1.1"


def test_no_user_agent_and_a_long_one(gw):
    for agent, want in ((None, None), ("x" * 3000, "x" * 512)):
        with Raw.open(gw, gw.dev_token(), extra=[f"User-Agent: {agent}"] if agent else []) as raw:
            raw.text({"type": "action", "id": 1, "name": "bare"})
            assert record_of(gw, raw.until(id=1)).json()["metadata"].get("userAgent") == want


# -- who may ---------------------------------------------------------------------------------------------------------------

def test_only_members_may_act_in_a_room(gw):
    c = gw.user("ada", sessions=["m1"])
    refused(c.action("session.chat", "session:m1", {"message": "x"}), "not_member")
    c.join("session:m1")
    acked(c.action("session.chat", "session:m1", {"message": "x"}))
    c.leave("session:m1")
    refused(c.action("session.chat", "session:m1", {"message": "x"}), "not_member")
    refused(c.action("session.chat", "session:other", {"message": "x"}), "not_member")


def test_the_room_must_be_of_the_actions_kind(gw):
    c = gw.user("ada")
    refused(c.action("session.chat", None, {"message": "x"}), "bad_field")
    refused(c.action("session.chat", "user:ada", {"message": "x"}), "bad_field")
    refused(c.action("bare", "user:ada"), "bad_field")


def test_an_action_that_is_not_there_looks_like_one_that_is_forbidden(gw):
    c = gw.user("ada")
    known, unknown = (c.request({"type": "action", "id": 1, "name": n}) for n in ("staff.only", "no.such.action"))
    assert known == unknown and refused(known, "forbidden")
    acked(gw.connect(gw.dev_token("bob", scope="read staff")).action("staff.only"))


def test_a_rule_may_look_at_the_rooms_captures(gw):
    c = gw.connect(gw.dev_token("ada", docs=["1"]))
    for room in ("open:1", "open:2"):
        c.join(room)
    acked(c.action("own.doc", "open:1"))
    refused(c.action("own.doc", "open:2"), "forbidden")


# -- what is in it -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("data", [{"s": ""}, {"s": "x", "n": 1}, {"s": "x", "n": -1.5e300}, {"s": "x", "i": -(2 ** 63)}, {"s": "x", "b": False, "o": {}, "a": []},
                                  {"s": "x", "x": None}, {"s": "x", "x": {"deep": [1]}}])
def test_fields_that_fit(gw, data):
    assert record_of(gw, acked(gw.user("ada").action("all.types", data=data))).json()["data"] == data


@pytest.mark.parametrize("data, field", [
    (None, "s"), ({}, "s"), ({"s": 1}, "s"), ({"s": None}, "s"), ({"s": ["x"]}, "s"), ({"s": "x", "n": "1"}, "n"), ({"s": "x", "n": None}, "n"),
    ({"s": "x", "i": 1.5}, "i"), ({"s": "x", "i": 2 ** 63}, "i"), ({"s": "x", "b": 0}, "b"), ({"s": "x", "b": "true"}, "b"), ({"s": "x", "o": []}, "o"),
    ({"s": "x", "a": {}}, "a"), ({"s": "x", "more": 1}, "more"), ({"s": "x", "S": "x"}, "S"), ({"s": "x", "": 1}, ""),
])
def test_fields_that_do_not_fit(gw, data, field):
    error = refused(gw.user("ada").action("all.types", data=data), "invalid")
    assert f"data.{field}" in error["message"], "it says which"


def test_data_must_be_an_object(gw):
    for data in ([], "x", 7, True):
        refused(gw.user("ada").action("free", data=data), "invalid")
    c = gw.user("ada")
    refused(c.request({"type": "action", "name": "free", "data": None}), "invalid")


def test_without_data(gw):
    assert record_of(gw, acked(gw.user("ada").action("bare"))).json()["data"] == {}
    refused(gw.user("ada").action("bare", data={"x": 1}), "invalid")


# -- how often ---------------------------------------------------------------------------------------------------------------

def test_rates_hold_for_each_action_and_each_connection(gw):
    c, other = gw.user("ada"), gw.user("ada")
    answers = [c.action("slow") for _ in range(5)]
    assert [a["type"] for a in answers] == ["ack"] * 3 + ["error"] * 2
    refused(answers[4], "rate_limited", retry=True)
    acked(c.action("slow.too"))
    acked(other.action("slow"))
    for _ in range(2):
        acked(c.action("quick"))
    refused(c.action("quick"), "rate_limited", retry=True)
    gw.wait_until(lambda: c.action("quick")["type"] == "ack", 3, "a token a half second later")


def test_actions_in_flight_are_bounded(sluice):
    broker = sluice(dev=True)
    gw = sluice({**CONFIG, "limits": {"in_flight": 5, "messages_per_s": 1000, "errors_per_min": 1000}, "producer": {"timeout_ms": 1500}},
                dev=True, env={"KAFKA_BROKERS": broker.brokers})
    c = gw.user("ada")
    assert c.welcome["limits"]["inFlight"] == 5
    acked(c.action("bare"))
    broker.process.send_signal(19)  # SIGSTOP: a broker that is there and does not answer
    try:
        c.send(*({"type": "action", "id": n, "name": "bare"} for n in range(20)))
        at_once = c.wait_count({"type": "error", "code": "limit"}, 15, 3)
        assert sorted(m["id"] for m in at_once) == list(range(5, 20))
        late = c.wait_count({"type": "error", "code": "unavailable"}, 5, 5)
        assert sorted(m["id"] for m in late) == list(range(5)) and all(m["retry"] is True for m in late)
    finally:
        broker.process.send_signal(18)
    gw.wait_until(lambda: c.action("bare")["type"] == "ack", 10, "an ack once the broker is back")


# -- idempotency keys ----------------------------------------------------------------------------------------------------------

def test_a_repeated_key_gets_the_same_answer_and_one_record(gw):
    c, key = gw.user("ada"), str(uuid.uuid4())
    first = acked(c.action("bare", key=key))
    assert first["eventId"] == key
    again = [acked(c.action("bare", key=key)) for _ in range(3)]
    elsewhere = acked(gw.user("ada").action("bare", key=key))
    for other in [*again, elsewhere]:
        assert {**other, "id": 0} == {**first, "id": 0}
    assert len(envelopes(gw, "bare", key)) == 1


def test_a_key_is_its_users_and_its_actions_own(gw):
    c, key = gw.user("ada"), str(uuid.uuid4())
    places = {(a["topic"], a["partition"], a["offset"]) for a in (acked(c.action("bare", key=key)), acked(gw.user("eve").action("bare", key=key)),
                                                                 acked(c.action("slow.too", key=key)), acked(c.action("free", data={"need": "x"}, key=key)))}
    assert len(places) == 4
    assert len(envelopes(gw, "bare", key)) == 3


def test_a_key_repeated_at_once_and_from_two_connections(gw):
    a, b, key = gw.user("ada"), gw.user("ada"), str(uuid.uuid4())
    for c in (a, b):
        c.send(*({"type": "action", "id": n, "name": "bare", "key": key} for n in range(10)))
    acks = [m for c in (a, b) for m in c.wait_count({"type": "ack"}, 10)]
    assert len({(m["partition"], m["offset"], m["eventId"]) for m in acks}) == 1
    assert len(envelopes(gw, "bare", key)) == 1
    assert gw.metrics().get_sum("sluice_actions_total", result="repeated") >= 19


def test_a_key_whose_first_try_was_refused_may_be_used_again(gw):
    c, key = gw.user("ada"), str(uuid.uuid4())
    refused(c.action("free", data={}, key=key), "invalid")
    acked(c.action("free", data={"need": "x"}, key=key))


@pytest.mark.parametrize("key", ["", " ", "a b", "ключ", "a\n", "\x7f", "k" * 129, 7, None, ["k"]])
def test_keys_that_are_none(gw, key):
    refused(gw.user("ada").request({"type": "action", "name": "bare", "key": key}), "bad_field")


def test_the_longest_key(gw):
    assert acked(gw.user("ada").action("bare", key="~" * 128))["eventId"] == "~" * 128


def test_old_keys_are_forgotten(sluice):
    gw = sluice({**CONFIG, "producer": {"idempotency_entries": 10}}, dev=True)
    c = gw.user("ada")
    first = acked(c.action("bare", key="k0"))
    for n in range(1, 11):
        acked(c.action("bare", key=f"k{n}"))
    assert acked(c.action("bare", key="k10"))["offset"] != first["offset"]
    again = acked(c.action("bare", key="k0"))
    assert (again["partition"], again["offset"]) != (first["partition"], first["offset"]) and again["eventId"] == "k0"
    assert len(envelopes(gw, "bare", "k0")) == 2


# -- Kafka away ------------------------------------------------------------------------------------------------------------------

def rss(gw):
    with open(f"/proc/{gw.process.pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * 4096


def test_kafka_gone(sluice):
    broker = sluice(dev=True)
    gw = sluice({**CONFIG, "producer": {"timeout_ms": 700, "queue": 50}, "limits": {"messages_per_s": 100000, "errors_per_min": 100, "in_flight": 10000},
                 "kafka": {"health_interval_ms": 100, "down_grace_ms": 300}}, dev=True, env={"KAFKA_BROKERS": broker.brokers})
    c = gw.user("ada")
    for name in ("bare", "free"):  # the first record of a topic that is only just being made takes librdkafka a second
        gw.wait_until(lambda: c.action(name, data={"need": "x"} if name == "free" else None)["type"] == "ack", 8, "first ack")
    before_kill = gw.metrics().get_sum("sluice_actions_total", result="unavailable")
    broker.kill()
    start = time.monotonic()
    refused(c.action("bare"), "unavailable", retry=True)
    assert time.monotonic() - start > 0.3, "producer.timeout_ms is waited for"
    c.recv_until({"type": "status", "kafka": "down"}, 8)
    pad, before = "x" * 3000, rss(gw)
    for burst in range(20):  # 20 x 500 x 3 KB: 30 MB if it were kept
        c.send(*({"type": "action", "id": f"{burst}.{n}", "name": "free", "data": {"need": pad}} for n in range(20)))
    answers = c.wait_count(lambda m: m.get("code") == "unavailable" and "." in str(m["id"]), 400, 6)
    assert all(m["retry"] is True for m in answers) and len(answers) == 400
    full = [m for m in answers if "producer.queue" in m["message"]]
    assert full, "one more than producer.queue is told at once"
    m = gw.metrics()
    assert m["sluice_producer_queue"] <= 50 and m.get_sum("sluice_limit_hits_total", limit="producer.queue") == len(full)
    assert m.get_sum("sluice_actions_total", result="unavailable") - before_kill == 401
    assert rss(gw) - before < 20_000_000
    gw.wait_metric("sluice_producer_queue", lambda v: v == 0, 4)
    assert c.request({"type": "ping"})["type"] == "pong", "and the client is still there"


def test_a_client_that_went_away_is_no_trouble(gw):
    before = gw.metrics().get_sum("sluice_actions_total", result="acked")

    def one(n):
        c = gw.user(f"gone{n}")
        c.send(*({"type": "action", "id": i, "name": "bare"} for i in range(20)))
        c.abort()
    threads = [threading.Thread(target=one, args=(n,)) for n in range(5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    gw.wait_metric("sluice_producer_queue", lambda v: v == 0)
    gw.wait_metric("sluice_connections", lambda v: v == 0)
    assert gw.metrics().get_sum("sluice_actions_total", result="acked") >= before
    acked(gw.user("ada").action("bare"))


def test_the_envelope_is_strict_json(gw):
    c = gw.user('we"ird\\', headers={"User-Agent": 'a"b\\c\td'})
    value = record_of(gw, acked(c.action("free", data={"need": "\u0000\x1f\""}))).value
    assert json.loads(value)["metadata"]["userAgent"] == 'a"b\\c\td' and b"\n" not in value
