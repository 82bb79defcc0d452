"""Kafka goes away and comes back: stopped, killed, or not there yet. Clients stay; nothing is lost, nothing comes twice.

One broker for the whole file, stopped and started by its tests. The gateway looks every 100 ms and has a grace of 300 ms.
"""
import json
import time

import pytest
from conftest import start_cluster
from lib import real

pytestmark = pytest.mark.kafka

ACTION_SECONDS = 1


@pytest.fixture(scope="module")
def broker():
    cluster = start_cluster(properties={"auto.create.topics.enable": "false"})
    yield cluster
    cluster.close()


@pytest.fixture
def there(broker):
    """The broker, running at the test's beginning."""
    if not broker.node(1).running:
        broker.start()
    return broker


@pytest.fixture
def start(sluice, keys):
    def starter(broker, t, said):
        back = {"topics": said, "event": "{value.eventType}", "rooms": "{value.metadata.room}"}
        return sluice(real.config(broker.brokers, keys.issuer(), [real.route(t), back], [real.action(said)],
                                  kafka={"topic_refresh_ms": 5000}, producer={"timeout_ms": ACTION_SECONDS * 1000}))
    return starter


def readiness(gateway):
    answer = gateway.get("/readyz")
    return answer.status, json.loads(answer.body)["kafka"]


def assert_down(gateway, clients, since):
    """Not before the grace is over, soon afterwards: everybody is told, it is not ready, it lives. since: when the outage began,
    or None for a client that has known Kafka as down from its welcome on."""
    for client in clients:
        client.recv_until({"type": "status", "kafka": "down"}, 10)
    if since is not None:
        took = time.monotonic() - since
        print(f"told after {took:.2f} s")
        assert 0.3 <= took < 6
    gateway.wait_until(lambda: readiness(gateway) == (503, "down"), 6, "state down")
    assert gateway.get("/healthz").status == 200
    assert gateway.metrics()["sluice_kafka_up"] == 0


def assert_up(gateway, clients):
    for client in clients:
        client.recv_until({"type": "status", "kafka": "up"}, 15)
    gateway.wait_ready()
    assert readiness(gateway) == (200, "up") and gateway.metrics()["sluice_kafka_up"] == 1
    for client in clients:
        statuses = [m["kafka"] for m in client.messages if m["type"] == "status"]
        assert statuses[-2:] == ["down", "up"] and client.close_info is None, statuses


def say(client, key):
    client.send({"type": "action", "id": key, "name": "say", "room": "room:a", "data": {"text": key}, "key": key})


def assert_unavailable(client, *keys):
    """All of them, in time, and worth another try."""
    began = time.monotonic()
    for key in keys:
        say(client, key)
    for key in keys:
        answer = client.wait_for({"id": key}, 10)
        assert (answer["type"], answer.get("code"), answer.get("retry")) == ("error", "unavailable", True), answer
    took = time.monotonic() - began
    print(f"{len(keys)} actions unavailable after {took:.2f} s")
    assert ACTION_SECONDS <= took < ACTION_SECONDS + 3


def assert_late(late, records, t):
    """Joined during the outage: gets what was produced behind it, and of what lies before it only what was still unread."""
    behind = {real.place(r) for r in records[300:]}
    late.wait_count(lambda m: m["type"] == "event" and real.place(m) in behind, len(behind), 20)
    got = {real.place(m) for m in late.events(topic=t)}
    real.assert_all(late, [r for r in records if real.place(r) in got | behind], "joined during the outage", topic=t)


def run_through(gateway, broker, clients, late_token, t, said, end):
    """An outage by end(): all that this file promises, with events right before it and right behind it."""
    ack = clients[0].action("say", "room:a", {"text": "before"}, key="before-1")
    assert ack["type"] == "ack"
    records = broker.records.produce_many(t, [(str(n), real.value("a", n)) for n in range(300)])
    since = time.monotonic()
    end()
    assert_down(gateway, clients, since)
    assert_unavailable(clients[0], "lost-1", "lost-2")
    again = clients[0].action("say", "room:a", {"text": "before"}, key="before-1")
    assert (again["type"], again["offset"]) == ("ack", ack["offset"]), "answered from memory"
    late = gateway.connect(late_token)
    late.recv_until({"type": "status", "kafka": "down"})
    late.join("room:a")
    broker.start()
    records += broker.records.produce_many(t, [(str(n), real.value("a", n)) for n in range(300, 500)], timeout=30)
    assert_up(gateway, clients)
    for client in clients:
        real.assert_all(client, records, "around the outage", topic=t)
        assert len([m for m in client.messages if m == {"type": "status", "kafka": "down"}]) == 1, "told once"
    assert_late(late, records, t)
    ack = clients[0].action("say", "room:a", {"text": "lost-1"}, key="lost-1")
    assert ack["type"] == "ack" and ack["eventId"] == "lost-1"
    for client in clients + [late]:
        client.wait_for(lambda m: m["type"] == "event" and real.place(m) == real.place(ack), 10)
    ids = [r.json()["eventId"] for r in broker.records.consume_all(said)]
    print(f"events of the actions: {ids}")
    assert ids == ["before-1", "lost-1"], "while no broker was there nothing can have been written"
    assert gateway.metrics().get_sum("sluice_offset_resets_total") == 0


@pytest.fixture
def outage(start, there, unique, token):
    """outage(end): a gateway with three members goes through it."""
    def go(end):
        t, said = there.records.create_topic(unique("t"), 3), there.records.create_topic(unique("said"), 1)
        gateway = start(there, t, said).wait_ready()
        clients = [real.members(gateway, token(u), ["room:a"]) for u in ("u1", "u2", "u3")]
        run_through(gateway, there, clients, token("u4"), t, said, end)
    return go


def test_broker_is_stopped_and_started(outage, there):
    outage(there.stop)


def test_broker_is_killed_and_started(outage, there):
    outage(there.kill)


def test_a_short_outage_is_not_shown(there, unique, token, keys, sluice):
    """Back within the grace: nobody is told anything, nothing is lost."""
    t = there.records.create_topic(unique("t"), 2)
    gateway = sluice(real.config(there.brokers, keys.issuer(), [real.route(t)], kafka={"down_grace_ms": 60000})).wait_ready()
    client = real.members(gateway, token("u1"), ["room:a"])
    records = there.records.produce_many(t, [(str(n), real.value("a", n)) for n in range(50)])
    there.restart()
    records += there.records.produce_many(t, [(str(n), real.value("a", n)) for n in range(50, 100)], timeout=30)
    real.assert_all(client, records, "around the restart")
    assert not [m for m in client.messages if m["type"] == "status" and m["kafka"] == "down"]
    assert gateway.get("/readyz").status == 200


def test_gateway_starts_while_kafka_is_away(start, there, unique, token):
    t, said = there.records.create_topic(unique("t"), 2), there.records.create_topic(unique("said"), 1)
    old = there.records.produce(t, real.value("a", -1))
    there.stop()
    gateway = start(there, t, said)
    clients = [real.members(gateway, token(u), ["room:a"]) for u in ("u1", "u2")]
    assert_down(gateway, clients, None)
    assert_unavailable(clients[0], "lost-1")
    there.start()
    assert_up(gateway, clients)
    statuses = [[m["kafka"] for m in c.messages if m["type"] == "status"] for c in clients]
    assert statuses == [["down", "up"]] * 2, "told once"
    records = there.records.produce_many(t, [(str(n), real.value("a", n)) for n in range(40)])
    for client in clients:
        real.assert_all(client, records, f"behind offset {old.offset}", topic=t)
    assert clients[0].action("say", "room:a", {"text": "now"})["type"] == "ack"


def test_gateway_ends_in_time_while_kafka_is_away(start, there, unique, token):
    t, said = there.records.create_topic(unique("t"), 1), there.records.create_topic(unique("said"), 1)
    gateway = start(there, t, said).wait_ready()
    client = real.members(gateway, token("u1"), ["room:a"])
    there.kill()
    client.send({"type": "action", "id": "waits", "name": "say", "room": "room:a", "data": {"text": "?"}})
    began = time.monotonic()
    gateway.stop(timeout=15)
    took = time.monotonic() - began
    print(f"ended after {took:.1f} s")
    answer = client.wait_for({"id": "waits"})
    assert (answer["code"], answer["retry"]) == ("unavailable", True), "no action is left without an answer"
    assert client.wait_closed().code == 1012
