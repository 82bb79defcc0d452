"""Producing to and reading from Kafka by a peer of the gateway (confluent_kafka), for tests.

For: putting records in, and saying what is on a topic, on the embedded broker and on a real one alike.
Not for: consumer groups; reads assign partitions and go from the beginning to a count, a deadline or the end.
"""
import collections
import json
import time
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

QUIET = {"log_level": 0, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200}


@dataclass
class Record:
    topic: str
    partition: int
    offset: int
    key: bytes = None
    value: bytes = None
    headers: list = field(default_factory=list)
    time: int = -1  # milliseconds

    def json(self):
        return json.loads(self.value)

    def header(self, name):
        return next((v for k, v in self.headers if k == name), None)


def to_bytes(value):
    if value is None or isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


class Records:
    """brokers: bootstrap list. properties: further librdkafka settings (security), for producer, consumer and admin."""

    def __init__(self, brokers, properties=None, embedded=False):
        self.brokers = brokers
        self.embedded = embedded
        self.errors = collections.deque(maxlen=5)  # what the library had to say lately
        self.properties = {"bootstrap.servers": brokers, **QUIET, "error_cb": lambda e: self.errors.append(str(e)), **(properties or {})}
        self.producers = {}
        self.topics = set()
        self.administrator = None

    def admin(self):
        """Kept: its futures fail when it is collected before they are done."""
        if self.administrator is None:
            self.administrator = AdminClient(dict(self.properties))
        return self.administrator

    def producer(self, **settings):
        key = tuple(sorted(settings.items()))
        if key not in self.producers:
            self.producers[key] = Producer({**self.properties, "linger.ms": 0, **settings})
        return self.producers[key]

    def produce(self, topic, value, key=None, headers=None, partition=-1, timeout=15, **settings):
        """One record; a value that is no str or bytes goes out as JSON. Returns it with the position that Kafka gave it."""
        return self.produce_many(topic, [(key, value)], headers, partition, timeout, **settings)[0]

    def produce_many(self, topic, pairs, headers=None, partition=-1, timeout=15, **settings):
        """(key, value) pairs in this order; returns the records with their positions. settings: compression_type='lz4' and so on."""
        producer = self.producer(**{k.replace("_", "."): v for k, v in settings.items()})
        if topic not in self.topics:  # producing to a topic that is only just being made costs the library a second or two
            self.partitions(topic)
        done, failed = {}, []

        def report(number):
            def delivered(err, m):
                if err is not None:
                    failed.append(err)
                else:
                    done[number] = Record(m.topic(), m.partition(), m.offset(), m.key(), m.value(), list(headers or []), m.timestamp()[1])
            return delivered

        extra = {} if headers is None else {"headers": list(headers.items() if isinstance(headers, dict) else headers)}
        pairs = list(pairs)
        for number, (key, value) in enumerate(pairs):
            where = {} if partition < 0 else {"partition": partition}
            while True:
                try:
                    producer.produce(topic, value=to_bytes(value), key=to_bytes(key), on_delivery=report(number), **where, **extra)
                    break
                except BufferError:
                    producer.poll(0.1)
        left = producer.flush(timeout)
        assert not failed and not left, f"producing to {topic}: {failed[:3]}, {left} not delivered in {timeout} s; {list(self.errors)}"
        return [done[n] for n in range(len(pairs))]

    def consumer(self, **settings):
        return Consumer({**self.properties, "group.id": "sluice-tests", "enable.auto.commit": False, "auto.offset.reset": "error",
                         "fetch.wait.max.ms": 20, "fetch.error.backoff.ms": 20, **settings})

    def partitions(self, topic, timeout=10):
        """The topic's partitions, all with a leader; waits for that. A topic that is made on first use is made."""
        deadline = time.monotonic() + timeout
        producer = self.producer()
        while True:
            found = producer.list_topics(topic, timeout=timeout).topics[topic]
            if found.error is None and found.partitions and all(p.leader >= 0 for p in found.partitions.values()):
                self.topics.add(topic)
                return sorted(found.partitions)
            assert time.monotonic() < deadline, \
                f"topic {topic} has no partitions with leaders after {timeout} s: {found.error} {list(self.errors)}"
            time.sleep(0.02)

    def consume_all(self, topic, count=None, timeout=10, where=None, partition=None, **settings):
        """From the beginning: until `count` records (for which `where` holds) are there or the deadline passes; without a
        count, up to the end as it is now. Order: per partition. Returns what came; the caller asserts."""
        deadline = time.monotonic() + timeout
        consumer = self.consumer(**{k.replace("_", "."): v for k, v in settings.items()})
        try:
            parts = self.partitions(topic) if partition is None else [partition]
            marks = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10) for p in parts}
            ends = {p: high for p, (low, high) in marks.items() if high > low} if count is None else None
            consumer.assign([TopicPartition(topic, p, low) for p, (low, _) in marks.items()])  # OFFSET_BEGINNING takes 0.5 s
            return self.read(consumer, topic, count, ends, where, deadline)
        finally:
            consumer.close()

    @staticmethod
    def read(consumer, topic, count, ends, where, deadline):
        found = []
        while time.monotonic() < deadline and (ends if count is None else len(found) < count):
            message = consumer.poll(0.1)
            if ends is not None:  # a transaction marker at the end is no record: the position says when it is passed
                for at in consumer.position([TopicPartition(topic, p) for p in ends]):
                    if at.offset >= ends[at.partition]:
                        del ends[at.partition]
            if message is None:
                continue
            if message.error():
                raise KafkaException(message.error())
            record = Record(message.topic(), message.partition(), message.offset(), message.key(), message.value(),
                            message.headers() or [], message.timestamp()[1])
            if where is None or where(record):
                found.append(record)
        return found

    def create_topic(self, topic, partitions=1, replication=-1, config=None, timeout=15):
        """On the embedded broker, which knows no CreateTopics, the topic is made by asking for it (its partition count is fixed)."""
        if not self.embedded:
            nodes = len(self.producer().list_topics(timeout=timeout).brokers)
            new = NewTopic(topic, num_partitions=partitions, replication_factor=nodes if replication < 0 else replication, config=config or {})
            self.admin().create_topics([new])[topic].result(timeout)
        self.partitions(topic, timeout)
        return topic

    def add_partitions(self, topic, total, timeout=15):
        self.admin().create_partitions([NewPartitions(topic, total)])[topic].result(timeout)

    def delete_topic(self, topic, timeout=15):
        self.topics.discard(topic)
        self.admin().delete_topics([topic])[topic].result(timeout)

    def close(self):
        self.producers.clear()
