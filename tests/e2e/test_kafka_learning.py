"""The learning platform on a real broker: examples/learning.yaml as it stands, with the issuer's key where the file says.

Every event reaches the connections of its users and the members of its room, and nobody else; what is invalid reaches
nobody and lies on the topic's DLT; every action is one record. Topics are never created by themselves here.

`Nobody else` is shown by a marker: a notification to all users, produced behind the event in the same partition. What a
connection has got when the marker comes is all that it will ever get.
"""
import calendar
import glob
import json
import os
import re
import shutil
import time

import pytest
from conftest import start_cluster
from lib.client import Client, event
from lib.process import ROOT, Sluice

pytestmark = pytest.mark.kafka

EVENT_TOPICS = ["session-notifications", "concept-notifications", "test-realtime-service"]
ACTION_TOPICS = ["session-actions", "concept-actions", "notification-actions"]
USERS = {"u1": ["42"], "u2": ["42", "43"], "u3": [], "u4": ["42"]}  # and the sessions that their tokens name
# connection -> user, rooms joined
CONNECTIONS = {"ada": ("u1", ["session:42", "concept:c7"]), "ada's phone": ("u1", []), "ben": ("u2", ["session:43"]),
               "cleo": ("u3", ["concept:c7"]), "dan": ("u4", []), "dan's phone": ("u4", ["session:42"])}
ENVIRONMENT = {"KAFKA_CLIENT_ID": "realtime-service", "KAFKA_CONNECTION_TIMEOUT": "3000", "KAFKA_REQUEST_TIMEOUT": "25000",
               "KAFKA_RETRY_INITIAL_RETRY_TIME": "100", "KAFKA_RETRY_RETRIES": "8", "SLUICE_DRAIN_MS": "0"}


def example(name):
    with open(os.path.join(ROOT, "examples", "learning", name + ".json"), encoding="utf-8") as f:
        return json.load(f)


def invalid_events():
    with open(os.path.join(os.path.dirname(__file__), "data", "learning", "invalid.json"), encoding="utf-8") as f:
        return json.load(f)


@pytest.fixture(scope="module")
def broker():
    cluster = start_cluster(properties={"auto.create.topics.enable": "false"})
    for topic in EVENT_TOPICS + ACTION_TOPICS:
        cluster.records.create_topic(topic, partitions=3)
    for topic in EVENT_TOPICS:
        cluster.records.create_topic(topic + ".DLT")
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def learning(broker, keys, tmp_path_factory):
    directory = tmp_path_factory.mktemp("learning")
    os.makedirs(directory / "keys")
    shutil.copy(keys.jwks_path, directory / "keys" / "id.example.com.json")
    with open(os.path.join(ROOT, "examples", "learning.yaml"), encoding="utf-8") as f:
        gateway = Sluice(directory, config=f.read(), env={**ENVIRONMENT, "KAFKA_BROKERS": broker.brokers})
    gateway.start()
    gateway.wait_ready()
    yield gateway
    gateway.finish()


class People:
    """All connections of the table above."""

    def __init__(self, gateway, keys, records):
        self.records = records
        self.markers = 0
        self.clients = {}
        for name, (user, rooms) in CONNECTIONS.items():
            claims = {"sessions": USERS[user]} if USERS[user] else {}
            alg = "ES256" if name.endswith("phone") else "RS256"
            client = Client.connect(gateway.ws_url, keys.token(user, claims, alg=alg))
            self.clients[name] = client
            assert client.welcome["user"] == user and client.welcome["rooms"] == [f"user:{user}"]
            for room in rooms:
                client.join(room)

    def mark(self, topic, partition):
        """Behind everything that was produced to this partition; returns what each connection got before it."""
        self.markers += 1
        number = self.markers
        value = {"userIds": list(USERS), "message": "marker", "type": "marker", "data": {"number": number}}
        self.records.produce(topic, value, partition=partition)
        return self.until_marker({"data": {"type": "marker", "data": {"number": number}}})

    def mark_session_actions(self, partition):
        """The same on a topic whose events have one room each."""
        self.markers += 1
        for user in USERS:
            value = {"eventType": "marker", "metadata": {"room": f"user:{user}"}, "number": self.markers}
            self.records.produce("session-actions", value, partition=partition)
        return self.until_marker({"event": "marker", "data": {"number": self.markers}})

    def until_marker(self, fields):
        got = {}
        for name, client in self.clients.items():
            start = client.cursor
            client.recv_until({"type": "event", **fields}, timeout=10)
            got[name] = [m for m in client.messages[start:client.cursor - 1] if m["type"] == "event"]
        return got

    def close(self):
        for client in self.clients.values():
            client.__exit__()


@pytest.fixture
def people(learning, keys, broker):
    them = People(learning, keys, broker.records)
    yield them
    them.close()


def in_rooms(rooms):
    """connection -> those of the rooms that it is in, for the connections that are in any."""
    found = {name: {r for r in rooms if r in joined or r == f"user:{user}"} for name, (user, joined) in CONNECTIONS.items()}
    return {name: have for name, have in found.items() if have}


def assert_delivered(got, name, rooms, records):
    """Every connection in one of the rooms has each of the records once, in order, whole; no other connection has anything."""
    expected = in_rooms(rooms)
    print(f"{name} to {sorted(rooms)}: {len(records)} x {len(expected)} expected, {sum(map(len, got.values()))} delivered")
    for connection, messages in got.items():
        if connection not in expected:
            assert messages == [], f"{connection} got {messages[:2]}"
            continue
        assert len(messages) == len(records), f"{connection}: {len(messages)} of {len(records)}"
        for message, record in zip(messages, records):
            assert set(message.pop("rooms")) == expected[connection], connection
            want = {"type": "event", "event": name, "topic": record.topic, "partition": record.partition, "offset": record.offset,
                    "time": record.time, "data": record.json()}
            if record.key is not None:
                want["key"] = record.key.decode()
            assert message == want, connection


# -- events ----------------------------------------------------------------------------------------------------------

def test_session_starting_soon_reaches_its_session_and_its_users(people, broker):
    record = broker.records.produce("session-notifications", example("session-starting-soon"), key="42", partition=0)
    got = people.mark("session-notifications", 0)
    assert set(in_rooms(["session:42", "user:u1", "user:u4"])) == {"ada", "ada's phone", "dan", "dan's phone"}
    assert_delivered(got, "session.starting", ["session:42", "user:u1", "user:u4"], [record])


def test_concept_mastered_reaches_its_concept_and_its_users(people, broker):
    record = broker.records.produce("concept-notifications", example("concept-mastered"), key="c7", partition=1)
    assert_delivered(people.mark("concept-notifications", 1), "concept.mastered", ["concept:c7", "user:u2"], [record])


@pytest.mark.parametrize("topic", EVENT_TOPICS)
def test_notification_reaches_its_users_alone(people, broker, topic):
    record = broker.records.produce(topic, example("notification"), key="u1", partition=2)
    assert_delivered(people.mark(topic, 2), "notification", ["user:u1", "user:u3"], [record])


@pytest.mark.parametrize("topic", EVENT_TOPICS)
def test_generic_message_with_a_key(people, broker, topic):
    """{key, value}: the key becomes the record's, the value is the event; numbers keep all their digits."""
    text = '{"userIds":["u2"],"message":"Grüße, 世界 \\u0041","type":"generic","data":{"n":12345678901234567890,"x":[null,true]}}'
    generic = {"key": "any key: ünï 1", "value": text}
    record = broker.records.produce(topic, generic["value"], key=generic["key"], partition=0)
    assert_delivered(people.mark(topic, 0), "notification", ["user:u2"], [record])
    assert people.clients["ben"].events("notification", key=generic["key"])[0]["data"]["data"]["n"] == 12345678901234567890


@pytest.mark.parametrize("topic", EVENT_TOPICS)
def test_generic_messages_in_a_batch(people, broker, topic):
    """One compressed batch; every value finds its own users, in order."""
    users = list(USERS)
    batch = [(f"k{n}", {"userIds": [users[n % 4]], "message": f"number {n}", "type": "batch", "data": {"n": n}}) for n in range(60)]
    records = broker.records.produce_many(topic, batch, partition=1, linger_ms=50, compression_type="gzip")
    got = people.mark(topic, 1)
    for at, user in enumerate(users):
        own = {name: messages for name, messages in got.items() if CONNECTIONS[name][0] == user}
        assert_delivered(own, "notification", [f"user:{user}"], records[at::4])


def test_an_event_for_a_session_that_nobody_is_in_and_one_without_users(people, broker):
    session = {**example("session-starting-soon"), "sessionId": "99", "userIds": []}
    broker.records.produce("session-notifications", session, key="99", partition=0)
    record = broker.records.produce("session-notifications", {**session, "sessionId": "43"}, key="43", partition=0)
    got = people.mark("session-notifications", 0)
    assert_delivered(got, "session.starting", ["session:43"], [record])


def test_members_are_in_until_they_leave(people, broker):
    people.clients["ada"].leave("session:42")
    record = broker.records.produce("session-notifications", {**example("session-starting-soon"), "userIds": []}, partition=0)
    got = people.mark("session-notifications", 0)
    assert [len(got[name]) for name in CONNECTIONS] == [0, 0, 0, 0, 0, 1]
    assert got["dan's phone"][0]["offset"] == record.offset


def test_rooms_are_the_tokens_to_grant(people):
    for name, room in (("cleo", "session:42"), ("ada", "session:43"), ("ada", "user:u2"), ("ben", "staff:1")):
        answer = people.clients[name].request({"type": "join", "room": room})
        assert (answer["type"], answer["code"], answer["retry"]) == ("error", "forbidden", False), (name, room, answer)


# -- what is invalid ---------------------------------------------------------------------------------------------------

def raw(case):
    if "hex" in case:
        return bytes.fromhex(case["hex"])
    return case["text"].encode() if "text" in case else json.dumps(case["value"]).encode()


def test_invalid_events_reach_nobody_and_lie_on_the_dlt(people, broker, learning):
    cases = invalid_events()
    before = {topic: len(broker.records.consume_all(topic + ".DLT")) for topic in EVENT_TOPICS}
    counted = learning.metrics()["sluice_dlt_total"]
    sent = {topic: [] for topic in EVENT_TOPICS}
    for number, case in enumerate(cases):
        record = broker.records.produce(case["topic"], raw(case), key=f"key {number}", partition=0,
                                        headers=[("trace", str(number).encode()), ("empty", b"")])
        sent[case["topic"]].append((case, record))
    for topic, pairs in sent.items():
        got = people.mark(topic, 0)
        print(f"{topic}: {len(pairs)} invalid, {sum(map(len, got.values()))} delivered")
        assert not any(got.values()), got
    learning.wait_metric("sluice_dlt_total", counted + len(cases))
    for topic, pairs in sent.items():
        letters = broker.records.consume_all(topic + ".DLT")[before[topic]:]
        assert len(letters) == len(pairs)
        for (case, record), letter in zip(pairs, letters):
            assert_letter(case, record, letter)


def assert_letter(case, record, letter):
    headers = dict(letter.headers)
    assert (letter.key, letter.value) == (record.key, record.value), case["case"]
    assert letter.headers[:2] == record.headers, case["case"]
    where = {"sluice.topic": record.topic, "sluice.partition": str(record.partition), "sluice.offset": str(record.offset),
             "sluice.timestamp": str(record.time), "sluice.node": "realtime-service", "sluice.reason": case["reason"]}
    assert {k: headers[k].decode() for k in where} == where, f"{case['case']}: {headers}"
    assert case["error"] in headers["sluice.error"].decode() and headers["sluice.error"], f"{case['case']}: {headers}"


def test_tombstones_are_no_events_and_no_dead_letters(people, broker, learning):
    before, dead = learning.metrics().get_sum("sluice_records_dropped_total", reason="tombstone"), learning.metrics()["sluice_dlt_total"]
    for topic in EVENT_TOPICS:
        broker.records.produce(topic, None, key="42", partition=0)
        assert not any(people.mark(topic, 0).values())
    assert learning.wait_metric("sluice_records_dropped_total", before + 3, reason="tombstone") == before + 3
    assert learning.metrics()["sluice_dlt_total"] == dead


# -- actions -----------------------------------------------------------------------------------------------------------

# connection, name, room, data, topic, key
ACTIONS = [
    ("ada", "session.join", "session:42", None, "session-actions", "42"),
    ("ben", "session.join", "session:43", {}, "session-actions", "43"),
    ("dan's phone", "session.chat", "session:42", {"message": "Hallo \"Welt\" \\ 世界 \U0001f389"}, "session-actions", "42"),
    ("cleo", "concept.answer", "concept:c7", {"answer": "it calls itself", "questionId": "q1", "attempt": 12345678901234567890,
                                              "userId": "u1", "metadata": {"userId": "u1"}}, "concept-actions", "c7"),
    ("dan", "notification.read", None, {"notificationId": "n-1"}, "notification-actions", "u4"),
    ("ada", "session.leave", "session:42", None, "session-actions", "42"),
]


def assert_record(record, ack, client, name, room, data, key):
    headers, envelope = dict(record.headers), record.json()
    assert record.key.decode() == key
    assert set(headers) == {"event-type", "correlation-id", "content-type"} and len(record.headers) == 3
    assert headers["event-type"].decode() == name and headers["content-type"] == b"application/json"
    metadata = envelope.pop("metadata")
    stamp = envelope.pop("timestamp")
    assert envelope == {"eventId": ack["eventId"], "eventType": name, "version": "1.0", "data": data or {}}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp)
    assert abs(time.time() - calendar.timegm(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S"))) < 60
    want = {"source": "sluice", "userId": client.welcome["user"], "connectionId": client.welcome["connection"],
            "correlationId": headers["correlation-id"].decode(), "ip": "127.0.0.1", "userAgent": "tests/1.0"}
    assert metadata == ({**want, "room": room} if room else want)


def test_every_action_is_one_record(people, broker, learning, keys):
    clients = {}
    for name, (user, rooms) in CONNECTIONS.items():
        clients[name] = learning.connect(keys.token(user, {"sessions": USERS[user]}, alg="ES256"), headers={"User-Agent": "tests/1.0"})
        for room in rooms:
            clients[name].join(room)
    before = {t: len(broker.records.consume_all(t)) for t in ACTION_TOPICS}
    acks = [clients[who].action(name, room, data) for who, name, room, data, _, _ in ACTIONS]
    records = {t: broker.records.consume_all(t) for t in ACTION_TOPICS}
    for (who, name, room, data, topic, key), ack in zip(ACTIONS, acks):
        assert (ack["type"], ack["topic"]) == ("ack", topic), ack
        found = [r for r in records[topic] if (r.partition, r.offset) == (ack["partition"], ack["offset"])]
        assert len(found) == 1, f"{name}: {len(found)} records at {ack}"
        assert_record(found[0], ack, clients[who], name, room, data, key)
    after = {t: len(records[t]) - before[t] for t in ACTION_TOPICS}
    print(f"{len(ACTIONS)} actions, records: {after}")
    assert after == {t: sum(a[4] == t for a in ACTIONS) for t in ACTION_TOPICS}
    assert len({ack["eventId"] for ack in acks}) == len(ACTIONS)


def test_chat_goes_through_kafka_to_the_session(people, broker):
    ack = people.clients["ada"].action("session.chat", "session:42", {"message": "hello"}, key="chat-1")
    assert ack["type"] == "ack" and ack["eventId"] == "chat-1"
    got = people.mark_session_actions(ack["partition"])
    print("chat: 2 expected,", sum(map(len, got.values())), "delivered")
    assert sorted(name for name, messages in got.items() if messages) == ["ada", "dan's phone"]
    for name in ("ada", "dan's phone"):
        message, = got[name]
        assert (message["event"], message["rooms"], message["key"]) == ("session.chat", ["session:42"], "42")
        assert (message["topic"], message["partition"], message["offset"]) == ("session-actions", ack["partition"], ack["offset"])
        assert message["data"]["data"] == {"message": "hello"} and message["data"]["metadata"]["userId"] == "u1"


def test_a_chat_keeps_its_order(people):
    """All of a session's records have one key, so they share a partition, whoever sends them."""
    ada, dan = people.clients["ada"], people.clients["dan's phone"]
    acks = []
    for n in range(8):
        acks.append((ada, dan)[n % 2].action("session.chat", "session:42", {"message": str(n)}))
    assert [a["type"] for a in acks] == ["ack"] * 8
    for client in (ada, dan):
        seen = client.wait_count(event("session.chat", "session:42"), 8)
        assert [m["data"]["data"]["message"] for m in seen] == [str(n) for n in range(8)]
        assert [m["data"]["metadata"]["userId"] for m in seen] == ["u1", "u4"] * 4
        assert len({m["partition"] for m in seen}) == 1


def test_an_action_that_is_sent_again_is_one_record(people, broker):
    ben = people.clients["ben"]
    first = ben.action("session.chat", "session:43", {"message": "once"}, key="same key")
    assert first["type"] == "error" and first["code"] == "bad_field"
    acks = [ben.action("session.chat", "session:43", {"message": "once"}, key="once-1") for _ in range(3)]
    assert [{**a, "id": 0} for a in acks] == [{**acks[0], "id": 0}] * 3 and acks[0]["type"] == "ack"
    assert sum(r.json().get("eventId") == "once-1" for r in broker.records.consume_all("session-actions")) == 1
    other = people.clients["ada"].action("session.chat", "session:42", {"message": "another user's"}, key="once-1")
    assert other["type"] == "ack" and (other["partition"], other["offset"]) != (acks[0]["partition"], acks[0]["offset"])


REFUSED = [
    ("ada", "session.chat", "session:43", {"message": "m"}, "not_member"),
    ("ada's phone", "session.chat", "session:42", {"message": "m"}, "not_member"),
    ("ada", "session.chat", "concept:c7", {"message": "m"}, "bad_field"),
    ("ada", "session.chat", None, {"message": "m"}, "bad_field"),
    ("ada", "session.chat", "session:42", {}, "invalid"),
    ("ada", "session.chat", "session:42", {"message": 1}, "invalid"),
    ("ada", "session.chat", "session:42", {"message": "m", "userId": "u2"}, "invalid"),
    ("ada", "session.join", "session:42", {"as": "u2"}, "invalid"),
    ("cleo", "concept.answer", "concept:c7", {"questionId": "q1"}, "invalid"),
    ("dan", "notification.read", None, {"notificationId": None}, "invalid"),
    ("dan", "notification.read", "user:u4", {"notificationId": "n"}, "bad_field"),
    ("dan", "session.delete", "session:42", {}, "forbidden"),
]


def test_refused_actions_leave_no_record(people, broker):
    before = {t: len(broker.records.consume_all(t)) for t in ACTION_TOPICS}
    for who, name, room, data, code in REFUSED:
        answer = people.clients[who].action(name, room, data)
        assert (answer["type"], answer.get("code"), answer.get("retry")) == ("error", code, False), (who, name, room, data, answer)
    assert people.clients["dan"].action("notification.read", None, {"notificationId": "last"})["type"] == "ack"
    after = {t: len(broker.records.consume_all(t)) - before[t] for t in ACTION_TOPICS}
    assert after == {"session-actions": 0, "concept-actions": 0, "notification-actions": 1}


# -- the gateway itself --------------------------------------------------------------------------------------------------

def test_it_says_how_it_is(learning, broker):
    answer = learning.get("/readyz")
    assert answer.status == 200 and json.loads(answer.body) == {"ready": True, "kafka": "up", "draining": False}
    metrics = learning.metrics()
    assert metrics["sluice_kafka_up"] == 1 and metrics.get_sum("sluice_offset_resets_total") == 0
    for topic in EVENT_TOPICS + ["session-actions"]:
        for partition in range(3):
            end = len(broker.records.consume_all(topic, partition=partition))
            where = {"topic": topic, "partition": str(partition)}
            assert learning.wait_metric("sluice_consumer_position", end, **where) == end
            assert learning.wait_metric("sluice_consumer_lag", lambda lag: lag == 0, **where) == 0
    assert learning.metrics().get_sum("sluice_consumer_lag", topic="concept-actions") is None, "what no route names is not read"


def test_examples_are_all_tried():
    files = {os.path.basename(p) for p in glob.glob(os.path.join(ROOT, "examples", "learning", "*.json"))}
    assert files == {"session-starting-soon.json", "concept-mastered.json", "notification.json"}
