"""The reader on a real broker: where it starts, what it finds while it runs, and odd records.

Outages are test_kafka_outage.py's. The broker makes no topics by itself; every test has topics of its own.
"""
import json
import signal
import time
import uuid

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import ConfigResource
from conftest import start_cluster
from lib import real

pytestmark = pytest.mark.kafka

JAAS = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_gateway="let me in";'
COORDINATOR = {"socket.timeout.ms": 10000, "transaction.timeout.ms": 60000}


@pytest.fixture(scope="module")
def broker():
    cluster = start_cluster(listeners={"PLAINTEXT": "PLAINTEXT", "SASL": "SASL_PLAINTEXT"}, properties={
        "auto.create.topics.enable": "false", "message.max.bytes": 2000000, "log.retention.check.interval.ms": 100, "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl.plain.sasl.jaas.config": JAAS})
    yield cluster
    cluster.close()


@pytest.fixture
def start(sluice, broker, keys):
    """start(routes, ...) -> a ready gateway; options as real.config."""
    def starter(*routes, env=None, **options):
        made = real.config(broker.brokers, keys.issuer(), routes, **options)
        return sluice(made, env=env).wait_ready()
    return starter


@pytest.fixture
def topic(unique, broker):
    """topic(partitions=1) -> the name of a topic that was just made."""
    def maker(partitions=1, name=None):
        return broker.records.create_topic(name or unique(), partitions)
    return maker


def found(gateway, name, partitions=1):
    """Waits until the gateway reads so many partitions of the topic."""
    def count():
        metrics = gateway.metrics()
        return sum(n == "sluice_consumer_position" and ("topic", name) in labels for n, labels in metrics) == partitions
    gateway.wait_until(count, 10, f"{partitions} partitions of {name}")


# -- where it starts ---------------------------------------------------------------------------------------------------

def test_it_starts_at_the_end(start, topic, broker, token):
    t = topic(3)
    old = [broker.records.produce(t, real.value("a", -n), partition=n % 3) for n in range(1, 10)]
    gateway = start(real.route(t))
    client = real.members(gateway, token("u1"), ["room:a"])
    new = [broker.records.produce(t, real.value("a", n), partition=n % 3) for n in range(9)]
    real.assert_all(client, new, f"{len(old)} older records")
    assert {r.offset for r in old} == {0, 1, 2} and {r.offset for r in new} == {3, 4, 5}


def test_a_topic_that_is_made_later_is_read_from_its_first_record(start, topic, unique, broker, token):
    """One that a ^regex takes and one that is named; not one that no route takes."""
    stem = unique("r").replace(".", "-")
    exact = unique("exact")
    gateway = start(real.route([f"^{stem}\\.(.*)$", exact]))
    client = real.members(gateway, token("u1"), ["room:a"])
    names = [topic(2, f"{stem}.one"), topic(1, exact), topic(1, f"{stem}.two")]
    stranger = topic(1, f"not-{stem}.three")
    records = []
    for n in range(12):
        records.append(broker.records.produce(names[n % 3], real.value("a", n)))
        broker.records.produce(stranger, real.value("a", n))
    real.assert_all(client, records, "new topics")
    assert gateway.metrics().get_sum("sluice_consumer_position", topic=stranger) is None


def test_partitions_that_are_added_are_read_from_their_first_record(start, topic, broker, token):
    t = topic(1)
    broker.records.produce(t, real.value("a", -1))
    gateway = start(real.route(t))
    client = real.members(gateway, token("u1"), ["room:a"])
    records = [broker.records.produce(t, real.value("a", 0), partition=0)]
    broker.records.add_partitions(t, 4)
    gateway.wait_until(lambda: len(broker.records.partitions(t)) == 4, 10, "partitions")
    records += [broker.records.produce(t, real.value("a", n), partition=n % 4) for n in range(1, 13)]
    real.assert_all(client, records, "added partitions")
    found(gateway, t, 4)


@pytest.mark.parametrize("noticed", [True, False], ids=["slowly", "at once"])
def test_a_topic_that_is_deleted_and_made_again_is_read_from_its_first_record(start, topic, broker, token, noticed):
    """Both when the gateway sees that the topic is gone, and when there is a new one before it has looked."""
    t = topic(2)
    broker.records.produce(t, real.value("a", -1), partition=0)
    gateway = start(real.route(t), kafka={"topic_refresh_ms": 100 if noticed else 60000})
    client = real.members(gateway, token("u1"), ["room:a", "room:b"])
    before = [broker.records.produce(t, real.value("a", n), partition=n % 2) for n in range(20)]
    real.assert_all(client, before, "before")
    broker.records.delete_topic(t)
    if noticed:
        gateway.wait_log("topic.gone", 10)
    topic(2, t)
    again = [broker.records.produce(t, real.value("b", n), partition=n % 2) for n in range(6)]
    assert {r.offset for r in again} == {0, 1, 2}
    real.assert_all(client, again, "made again", rooms=["room:b"])
    again += [broker.records.produce(t, real.value("b", n), partition=n % 2) for n in range(6, 40)]
    real.assert_all(client, again, "made again", rooms=["room:b"])
    assert gateway.metrics()["sluice_kafka_up"] == 1 and gateway.get("/readyz").status == 200


def test_a_gateway_that_stood_still_catches_up(start, topic, broker, token):
    t = topic(2)
    gateway = start(real.route(t))
    client = real.members(gateway, token("u1"), ["room:a"])
    records = broker.records.produce_many(t, [(str(n), real.value("a", n)) for n in range(20)])
    gateway.signal(signal.SIGSTOP)
    try:
        records += broker.records.produce_many(t, [(str(n), real.value("a", n)) for n in range(20, 1000)])
    finally:
        gateway.signal(signal.SIGCONT)
    real.assert_all(client, records, "across a SIGSTOP")
    gateway.wait_metric("sluice_consumer_lag", lambda lag: lag == 0, topic=t)


def test_what_retention_took_is_skipped_and_counted(start, topic, broker, token):
    """The gateway stands still, Kafka deletes what it has not read: it goes on with the oldest record that is left, and says so."""
    t = topic()
    gateway = start(real.route(t))
    client = real.members(gateway, token("u1"), ["room:a"])
    read = [broker.records.produce(t, real.value("a", n)) for n in range(5)]
    real.assert_all(client, read, "before")
    gateway.signal(signal.SIGSTOP)
    try:
        # One by one: the request that waits at the broker is answered with the first of them, not with a batch of all.
        gone = [broker.records.produce(t, real.value("a", n)) for n in range(5, 15)]
        delete_all(broker, t, gone[-1].offset + 1)
        left = broker.records.produce_many(t, [(None, real.value("a", n)) for n in range(15, 25)])
    finally:
        gateway.signal(signal.SIGCONT)
    assert gateway.wait_metric("sluice_offset_resets_total", 1) == 1
    reset, = gateway.logs(event="reader.offset_reset")
    assert (reset["topic"], reset["beginning"], reset["reason"]) == (t, "15", "retention")
    fetched = int(reset["position"]) - 5  # of what is gone, by the request that was under way
    assert 0 <= fetched < 10
    real.assert_all(client, read + gone[:fetched] + left, f"{len(gone) - fetched} deleted unread")


def delete_all(broker, t, offset):
    """By a retention of nothing at all, until the topic begins at that offset; then as it was."""
    def retention(value):
        resource = ConfigResource(ConfigResource.Type.TOPIC, t, set_config={"retention.ms": value})
        broker.records.admin().alter_configs([resource])[resource].result(10)
    consumer, deadline = broker.records.consumer(), time.monotonic() + 15
    retention("1")
    while consumer.get_watermark_offsets(TopicPartition(t, 0), timeout=5)[0] < offset:
        assert time.monotonic() < deadline, "retention took nothing"
        time.sleep(0.02)
    retention("604800000")
    consumer.close()


# -- transactions --------------------------------------------------------------------------------------------------------

def transactional(broker):
    producer = Producer({"bootstrap.servers": broker.brokers, "transactional.id": f"t-{uuid.uuid4().hex}", "log_level": 0, **COORDINATOR})
    producer.init_transactions(30)
    return producer


def write(producer, t, numbers, room="a"):
    """Within the transaction; returns when the broker has the records."""
    placed, partition = [], 0

    def delivered(err, message):
        assert err is None, err
        placed.append((message.topic(), message.partition(), message.offset()))
    for n in numbers:
        producer.produce(t, json.dumps(real.value(room, n)).encode(), partition=partition, on_delivery=delivered)
    assert producer.flush(15) == 0
    return placed


def test_an_aborted_transaction_never_reaches_a_client(start, topic, broker, token):
    t = topic()
    gateway = start(real.route(t))
    client = real.members(gateway, token("u1"), ["room:a"])
    producer = transactional(broker)
    producer.begin_transaction()
    aborted = write(producer, t, range(100, 120))
    producer.abort_transaction(15)
    producer.begin_transaction()
    committed = write(producer, t, range(20))
    producer.commit_transaction(15)
    marker = broker.records.produce(t, real.value("a", -1))
    client.recv_until({"type": "event", "data": {"n": -1}}, 10)
    got = client.events()
    print(f"{len(aborted)} aborted, {len(committed) + 1} expected, {len(got)} delivered")
    assert [real.place(m) for m in got] == committed + [real.place(marker)]
    assert [m["data"]["n"] for m in got] == [*range(20), -1]


def test_the_lag_is_exact(start, topic, broker, token):
    """Records of a transaction that is still open lie before the end and may not be delivered: a lag that stands still."""
    t = topic(3)
    gateway = start(real.route(t))
    client = real.members(gateway, token("u1"), ["room:a"])
    first = [broker.records.produce(t, real.value("a", n), partition=1) for n in range(4)]
    real.assert_all(client, first, "before the transaction")
    producer = transactional(broker)
    producer.begin_transaction()
    held = write(producer, t, range(7))

    def lags():
        return [gateway.metrics().get_sum("sluice_consumer_lag", topic=t, partition=str(p)) for p in range(3)]

    def positions():
        return [gateway.metrics().get_sum("sluice_consumer_position", topic=t, partition=str(p)) for p in range(3)]
    gateway.wait_until(lambda: lags() == [7, 0, 0], 10, "a lag of 7, 0, 0")
    assert positions() == [0, 4, 0] and len(client.events()) == 4
    behind = [broker.records.produce(t, real.value("a", n), partition=0) for n in range(7, 10)]
    gateway.wait_until(lambda: lags() == [10, 0, 0], 10, "a lag of 10, 0, 0")
    assert len(client.events()) == 4
    producer.commit_transaction(15)
    client.wait_count({"type": "event"}, 14, 10)
    assert [real.place(m) for m in client.events(partition=0)] == held + [real.place(r) for r in behind]
    gateway.wait_until(lambda: lags() == [0, 0, 0], 10, "no lag")
    assert positions() == [11, 4, 0], "the transaction's marker has an offset too"


# -- odd records ---------------------------------------------------------------------------------------------------------

def test_every_compression(start, topic, broker, token):
    t = topic()
    gateway = start(real.route(t))
    client = real.members(gateway, token("u1"), ["room:a"])
    records = []
    for codec in ("gzip", "lz4", "zstd", "snappy", "none"):
        pairs = [(codec, real.value("a", n, text=codec * 50)) for n in range(50)]
        records += broker.records.produce_many(t, pairs, linger_ms=20, compression_type=codec)
    real.assert_all(client, records, "five codecs")
    assert [m["data"]["text"] for m in client.events()] == [json.loads(r.value)["text"] for r in records]
    assert [m["key"] for m in client.events()] == [r.key.decode() for r in records]


def test_odd_keys_and_headers(start, topic, broker, token):
    t = topic()
    gateway = start(real.route(t))
    client = real.members(gateway, token("u1"), ["room:a"])
    many = [(f"h{n % 10}", str(n).encode()) for n in range(998)] + [("none", None), ("binary", b"\0\xff")]
    keys = {"null": None, "empty": b"", "binary": b"\x00\xff\xfe", "text": "ключ \"1\"\n".encode(), "long": b"k" * 10000}
    records = [broker.records.produce(t, real.value("a", name), key=key) for name, key in keys.items()]
    records.append(broker.records.produce(t, real.value("a", "headers"), key="h", headers=many))
    real.assert_all(client, records, "odd keys")
    by_name = {m["data"]["n"]: m for m in client.events()}
    assert "key" not in by_name["null"] and "keyBase64" not in by_name["null"]
    assert by_name["empty"]["key"] == "" and by_name["binary"]["keyBase64"] == "AP/+" and "key" not in by_name["binary"]
    assert by_name["text"]["key"] == "ключ \"1\"\n" and by_name["long"]["key"] == "k" * 10000
    broker.records.create_topic(t + ".DLT")
    lost = broker.records.produce(t, {"n": 1}, headers=many)
    letter, = broker.records.consume_all(t + ".DLT", count=1)
    assert letter.headers[:1000] == many and letter.header("sluice.offset") == str(lost.offset).encode()


def test_odd_values(start, topic, broker, token):
    """A tombstone is no event; an empty value is a dead letter; a value as long as allowed arrives whole; a longer one goes to the DLT."""
    t = topic()
    broker.records.create_topic(t + ".DLT")
    gateway = start(real.route(t), limits={"event_bytes": 1000000})
    client = real.members(gateway, token("u1"), ["room:a"])
    frame = len(json.dumps(real.value("a", 1, text="")))
    large = real.value("a", 1, text="x" * (1000000 - frame))
    broker.records.produce(t, None, key="a")
    empty = broker.records.produce(t, b"", key="a")
    wanted = [broker.records.produce(t, large, message_max_bytes=2000000)]
    longer = broker.records.produce(t, real.value("a", 2, text="x" * 1000001), message_max_bytes=2000000)
    wanted.append(broker.records.produce(t, real.value("a", 3)))
    real.assert_all(client, wanted, "odd values")
    assert len(wanted[0].value) == 1000000 and client.events()[0]["data"] == large
    letters = broker.records.consume_all(t + ".DLT", count=2)
    assert [r.header("sluice.reason") for r in letters] == [b"not_json", b"too_large"]
    assert [r.header("sluice.offset") for r in letters] == [str(r.offset).encode() for r in (empty, longer)]
    assert letters[0].value == b"" and gateway.metrics().get_sum("sluice_records_dropped_total", reason="tombstone") == 1


# -- dead letters --------------------------------------------------------------------------------------------------------

def test_a_dlt_topic_that_does_not_exist_holds_nothing_up(start, topic, broker, token):
    t = topic()
    gateway = start(real.route(t), producer={"timeout_ms": 1000})
    client = real.members(gateway, token("u1"), ["room:a"])
    wanted = []
    for n in range(20):
        broker.records.produce(t, b"no JSON")
        wanted.append(broker.records.produce(t, real.value("a", n)))
    real.assert_all(client, wanted, "good ones among bad ones", timeout=5)
    assert gateway.wait_metric("sluice_dlt_failed_total", 20, timeout=10) == 20
    metrics = gateway.metrics()
    assert metrics["sluice_dlt_total"] == 0 and metrics.get_sum("sluice_records_dropped_total", reason="not_json") == 20
    assert gateway.logs(event="record.refused", topic=t) or gateway.wait_log("record.refused")
    gateway.wait_log("dlt.failed")
    assert gateway.get("/readyz").status == 200
    broker.records.create_topic(t + ".DLT")
    bad = broker.records.produce(t, b"no JSON either")
    gateway.wait_metric("sluice_dlt_total", 1, timeout=10)
    letter, = broker.records.consume_all(t + ".DLT", count=1)
    assert letter.value == b"no JSON either" and letter.header("sluice.offset") == str(bad.offset).encode()


# -- many ----------------------------------------------------------------------------------------------------------------

def test_thousands_of_events_to_several_members_in_order(start, topic, broker, token):
    t = topic(4)
    gateway = start(real.route(t))
    both, first, second = (real.members(gateway, token(u), rooms) for u, rooms in (
        ("u1", ["room:a", "room:b"]), ("u2", ["room:a"]), ("u3", ["room:b"])))
    others = [real.members(gateway, token("u4"), ["room:b", "room:c"]) for _ in range(4)]
    pairs = [(f"k{n % 97}", real.value("abcd"[n % 4], n)) for n in range(4000)]
    records = broker.records.produce_many(t, pairs, timeout=30, linger_ms=5, compression_type="lz4")
    assert len({r.partition for r in records}) == 4
    real.assert_all(both, [r for r in records if json.loads(r.value)["room"] in "ab"], "a and b")
    real.assert_all(first, records[0::4], "a")
    real.assert_all(second, records[1::4], "b")
    for client in others:
        real.assert_all(client, [r for r in records if json.loads(r.value)["room"] in "bc"], "b and c")
    assert gateway.wait_metric("sluice_deliveries_total", 2000 + 1000 + 1000 + 4 * 2000) == 12000
    assert gateway.metrics()["sluice_events_unwanted_total"] == 1000


def test_two_gateways_both_deliver_everything(start, topic, broker, token):
    """No stickiness: each node reads every partition; an action on one node is acked once, and all members on both see it."""
    t, said = topic(3), topic(2)
    say = real.action(said)
    back = {"topics": said, "event": "{value.eventType}", "rooms": "{value.metadata.room}"}
    nodes = [start(real.route(t), back, actions=[say]) for _ in range(2)]
    clients = [real.members(node, token(user), ["room:a"]) for node in nodes for user in ("u1", "u2")]
    records = broker.records.produce_many(t, [(str(n), real.value("a", n)) for n in range(300)])
    acks = []
    for n in range(10):
        client = clients[n % 4]
        client.send({"type": "action", "id": f"a{n}", "name": "say", "room": "room:a", "data": {"text": str(n)}})
    for n in range(10):
        acks += clients[n % 4].wait_count({"type": "ack", "id": f"a{n}"}, 1)
    for client in clients:
        client.wait_count({"type": "event"}, 310, 20)
        real.assert_all(client, records, "events of the backend", topic=t)
        assert sorted(real.place(m) for m in client.events("say")) == sorted(real.place(a) for a in acks)
        assert sorted(m["data"]["data"]["text"] for m in client.events("say")) == sorted(str(n) for n in range(10))
    assert sum(len([m for m in c.messages if m["type"] == "ack"]) for c in clients) == 10
    assert len(broker.records.consume_all(said)) == 10
    assert len({m["data"]["metadata"]["connectionId"] for m in clients[0].events("say")}) == 4
    assert sorted(n.metrics().get_sum("sluice_actions_total", result="acked") for n in nodes) == [4, 6]


# -- SASL ----------------------------------------------------------------------------------------------------------------

def test_sasl_plain_by_the_environment(sluice, topic, broker, keys, token):
    t, said = topic(), topic()
    made = real.config("127.0.0.1:1", keys.issuer(), [real.route(t)], [real.action(said)])
    del made["kafka"]["brokers"]
    env = {"KAFKA_BROKERS": broker.bootstrap("SASL"), "KAFKA_USERNAME": "gateway", "KAFKA_PASSWORD": "let me in"}
    gateway = sluice(made, env=env).wait_ready()
    client = real.members(gateway, token("u1"), ["room:a"])
    real.assert_all(client, [broker.records.produce(t, real.value("a", n)) for n in range(3)], "over SASL")
    assert client.action("say", "room:a", {"text": "hi"})["type"] == "ack"
    assert "let me in" not in "\n".join(gateway.log_lines())


def test_a_wrong_password_is_said_and_does_not_end_it(sluice, topic, broker, keys, token):
    made = real.config(broker.bootstrap("SASL"), keys.issuer(), [real.route(topic())])
    gateway = sluice(made, env={"KAFKA_USERNAME": "gateway", "KAFKA_PASSWORD": "let me out"})
    gateway.wait_log("(?i)authentication failed", 10)
    client = gateway.connect(token("u1"))
    client.recv_until({"type": "status", "kafka": "down"})
    assert gateway.get("/readyz").status == 503 and gateway.get("/healthz").status == 200
    assert "let me out" not in "\n".join(gateway.log_lines())
