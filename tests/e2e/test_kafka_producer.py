"""Actions on a cluster of three: acks=all with min.insync.replicas=2, brokers that die, what a client's retry leaves behind,
and compression.
"""
import itertools
import os
import struct
import time

import pytest
from conftest import start_cluster
from lib import real

pytestmark = pytest.mark.kafka

CODECS = {0: "none", 1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}


@pytest.fixture(scope="module")
def cluster():
    three = start_cluster(3, properties={"auto.create.topics.enable": "false", "min.insync.replicas": 2})
    yield three
    three.close()


@pytest.fixture
def whole(cluster):
    """All three nodes up at the test's beginning."""
    for node in cluster.nodes:
        if not node.running:
            cluster.start(node.number)
    return cluster


@pytest.fixture
def start(sluice, whole, keys):
    def starter(said, producer=None, **kafka):
        back = {"topics": said, "event": "{value.eventType}", "rooms": "{value.metadata.room}"}
        return sluice(real.config(whole.brokers, keys.issuer(), [back], [real.action(said)], kafka=kafka,
                                  producer={"timeout_ms": 10000, **(producer or {})})).wait_ready()
    return starter


class Talker:
    """Sends actions with a key each and keeps the answers."""

    def __init__(self, client):
        self.client = client
        self.numbers = itertools.count()

    def send(self, count=1):
        names = [f"m-{next(self.numbers)}" for _ in range(count)]
        for name in names:
            self.repeat(name, name)
        return names

    def repeat(self, name, message_id):
        self.client.send({"type": "action", "id": message_id, "name": "say", "room": "room:a", "data": {"text": name}, "key": name})

    def answers(self, ids, timeout=20):
        return [self.client.wait_for({"id": i}, timeout) for i in ids]


def event_ids(cluster, topic, timeout=20):
    return [r.json()["eventId"] for r in cluster.records.consume_all(topic, timeout=timeout)]


def assert_acked(answers, names, topic):
    assert [a["type"] for a in answers] == ["ack"] * len(names), answers
    assert [(a["eventId"], a["topic"]) for a in answers] == [(n, topic) for n in names]
    assert len({real.place(a) for a in answers}) == len(names)


def test_one_broker_down_goes_on_two_down_is_unavailable(start, whole, unique, token):
    said = whole.records.create_topic(unique(), 3)
    gateway = start(said, producer={"timeout_ms": 3000})
    talker = Talker(real.members(gateway, token("u1"), ["room:a"]))
    witness = real.members(gateway, token("u2"), ["room:a"])
    names = talker.send(10)
    assert_acked(talker.answers(names), names, said)

    whole.stop(1)
    more = talker.send(10)
    assert_acked(talker.answers(more), more, said)
    assert gateway.get("/readyz").status == 200
    names += more

    whole.kill(2)
    lost = talker.send(10)
    began = time.monotonic()
    answers = talker.answers(lost)
    print(f"unavailable after {time.monotonic() - began:.1f} s: {answers[0]['message']}")
    assert [(a["type"], a.get("code"), a.get("retry")) for a in answers] == [("error", "unavailable", True)] * 10

    whole.start(1)
    whole.start(2)
    again = [f"again-{n}" for n in lost]
    for name, message_id in zip(lost, again):
        talker.repeat(name, message_id)
    answers = talker.answers(again)
    assert_acked(answers, lost, said)
    last = talker.send(10)
    assert_acked(talker.answers(last), last, said)

    everything = event_ids(whole, said)
    counts = {n: everything.count(n) for n in names + lost + last}
    print(f"records: {len(everything)}; of actions that were unavailable and sent again: {[counts[n] for n in lost]}")
    assert set(everything) == set(counts), "nothing else was written"
    assert all(counts[n] == 1 for n in names + last), "what was acked at once is there once"
    assert all(counts[n] in (1, 2) for n in lost), "what was unavailable may have been written all the same; its eventId is the same"
    witness.wait_count({"type": "event"}, len(everything), 20)
    assert sorted(m["data"]["eventId"] for m in witness.events()) == sorted(everything)
    real.assert_order(witness.events(), "the witness")


def test_a_leader_that_is_killed_amid_actions_costs_none_and_doubles_none(start, whole, unique, token):
    """Idempotence: the library sends again what a dead leader may or may not have written; each is there once, acked once."""
    said = whole.records.create_topic(unique(), 3)
    gateway = start(said, producer={"timeout_ms": 30000})
    talker = Talker(real.members(gateway, token("u1"), ["room:a"]))
    names = talker.send(20)
    talker.answers(names)
    leader = max(whole.nodes, key=lambda n: sum(p.leader == n.number for p in
                 whole.records.producer().list_topics(said, timeout=10).topics[said].partitions.values())).number
    names += talker.send(20)
    whole.kill(leader)
    names += talker.send(20)
    assert_acked(talker.answers(names, 40), names, said)
    everything = event_ids(whole, said)
    print(f"{len(names)} actions across the death of node {leader}, {len(everything)} records")
    assert sorted(everything) == sorted(names)
    assert gateway.metrics().get_sum("sluice_actions_total", result="acked") == len(names)
    assert gateway.metrics()["sluice_producer_recreated_total"] == 0


def batches(path):
    """(records, codec, bytes) of each record batch of a segment file; layout of KIP-98."""
    with open(path, "rb") as f:
        data = f.read()
    at, found = 0, []
    while at + 61 <= len(data):
        length, = struct.unpack_from(">i", data, at + 8)
        if length <= 0:
            break  # the rest of a file that was made larger in advance
        attributes, = struct.unpack_from(">h", data, at + 21)
        count, = struct.unpack_from(">i", data, at + 57)
        found.append((count, CODECS[attributes & 7], length))
        at += 12 + length
    return found


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_batches_are_really_compressed(start, whole, unique, token, codec):
    said = whole.records.create_topic(unique(), 1)
    gateway = start(said, properties={"compression.type": codec, "linger.ms": 50})
    client = real.members(gateway, token("u1"), ["room:a"])
    text = "the same again and again " * 400
    for n in range(10):
        client.send({"type": "action", "id": f"a{n}", "name": "say", "room": "room:a", "data": {"text": text}})
    for n in range(10):
        assert client.wait_for({"id": f"a{n}"}, 10)["type"] == "ack"
    leader = whole.records.producer().list_topics(said, timeout=10).topics[said].partitions[0].leader
    segment = os.path.join(whole.node(leader).data, f"{said}-0", "00000000000000000000.log")
    seen = batches(segment)
    print(f"{10 * len(text)} bytes of text: {seen}")
    assert sum(count for count, _, _ in seen) == 10 and {name for _, name, _ in seen} == {codec}
    assert sum(length for _, _, length in seen) < 10 * len(text) / 5
    assert [r.json()["data"]["text"] for r in whole.records.consume_all(said, count=10)] == [text] * 10
