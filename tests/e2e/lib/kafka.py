"""A real Apache Kafka for the tests: one KRaft node or three, on free loopback ports, each in a directory of its own.

Cluster(...) formats, starts and waits; stop(node) / start(node) keep port and data; close() ends it all and removes
the directory. Also a command line, for benches and for hands:

    tests/kafka/kafka.sh start [--nodes 3] [--kafka 3.9] [--set min.insync.replicas=2]   runs until SIGTERM or Ctrl-C
    tests/kafka/kafka.sh fetch [--kafka 3.9]                                             jars, archive; starts nothing

Only processes started here are ever signalled. A broker dies with the process that started it.
"""
import argparse
import base64
import contextlib
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid

if __package__ in (None, ""):
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from lib import kafka_jars  # pylint: disable=import-error
else:
    from . import kafka_jars

Unavailable = kafka_jars.Unavailable
START_SECONDS = 60
STOP_SECONDS = 20
LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1
# Small and quick: a test cluster's groups, transactions and buffers need next to nothing.
DEFAULTS = {
    "num.network.threads": 2, "num.io.threads": 3, "background.threads": 2, "num.recovery.threads.per.data.dir": 1,
    "num.partitions": 1, "offsets.topic.num.partitions": 1, "transaction.state.log.num.partitions": 1,
    "group.initial.rebalance.delay.ms": 0, "log.cleaner.dedupe.buffer.size": 2097152, "log.cleaner.backoff.ms": 200,
    "log.initial.task.delay.ms": 200, "controller.quorum.election.timeout.ms": 500,
    "controller.quorum.election.backoff.max.ms": 300, "broker.heartbeat.interval.ms": 500,
    "broker.session.timeout.ms": 3000,  # how long a killed node's successor is kept waiting
    "controlled.shutdown.retry.backoff.ms": 500, "log.segment.delete.delay.ms": 1000,
}


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def ephemeral_floor():
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as f:
            return int(f.read().split()[0])
    except OSError:
        return 32768


def free_ports(count):
    """Ports below the ephemeral range: a client that retries a stopped broker must not be given its port as its own."""
    top = min(ephemeral_floor(), 32768)
    found, tries = [], 0
    while len(found) < count:
        tries += 1
        if tries > 2000:
            raise RuntimeError("no free ports on loopback")
        port = random.randrange(top - 12000 if top > 22000 else 10000, top)
        with contextlib.closing(socket.socket()) as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


def new_id():
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


class Node:
    """One broker process (controller and broker in one)."""

    def __init__(self, number, directory, ports, controller_port):
        self.number = number
        self.directory = directory
        self.ports = ports  # listener -> port
        self.controller_port = controller_port
        self.process = None
        self.start_seconds = None

    @property
    def properties(self):
        return os.path.join(self.directory, "server.properties")

    @property
    def data(self):
        return os.path.join(self.directory, "data")

    @property
    def log(self):
        return os.path.join(self.directory, "broker.log")

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def log_tail(self, lines=40):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-lines:])


class Cluster:
    """nodes: 1 or 3. properties: overrides of server.properties. listeners: name -> security protocol; the first is
    the brokers' own. scram: user -> password, stored at format time. which: a profile or version of the pom."""

    def __init__(self, nodes=1, properties=None, listeners=None, scram=None, which=None, directory=None, dist=None):
        self.dist = dist or prepared(which)
        self.listeners = dict(listeners or {"PLAINTEXT": "PLAINTEXT"})
        self.overrides = dict(properties or {})
        self.scram = scram
        self.own_directory = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="sluice-kafka-")
        self.cluster_id = new_id()
        self._records = None
        ports = free_ports(nodes * (len(self.listeners) + 1))
        self.nodes = []
        for i in range(1, nodes + 1):
            own = {name: ports.pop() for name in self.listeners}
            self.nodes.append(Node(i, os.path.join(self.directory, f"node-{i}"), own, ports.pop()))

    # -- configuration ---------------------------------------------------------------------------------------------

    def server_properties(self, node):
        count = len(self.nodes)
        at = ",".join(f"{name}://127.0.0.1:{port}" for name, port in node.ports.items())
        protocols = {**self.listeners, "CONTROLLER": "PLAINTEXT"}
        p = {
            "process.roles": "broker,controller", "node.id": node.number, "log.dirs": node.data,
            "controller.quorum.voters": ",".join(f"{n.number}@127.0.0.1:{n.controller_port}" for n in self.nodes),
            "listeners": f"{at},CONTROLLER://127.0.0.1:{node.controller_port}", "advertised.listeners": at,
            "controller.listener.names": "CONTROLLER", "inter.broker.listener.name": next(iter(self.listeners)),
            "listener.security.protocol.map": ",".join(f"{k}:{v}" for k, v in protocols.items()),
            "default.replication.factor": count, "offsets.topic.replication.factor": count,
            "transaction.state.log.replication.factor": count, "transaction.state.log.min.isr": min(2, count),
        }
        if self.dist.version.startswith("4.") or self.dist.version.startswith("5."):
            p.update({"share.coordinator.state.topic.replication.factor": count,
                      "share.coordinator.state.topic.min.isr": min(2, count),
                      "share.coordinator.state.topic.num.partitions": 1})
        return {**p, **DEFAULTS, **self.overrides}

    def write_properties(self, node):
        os.makedirs(node.directory, exist_ok=True)
        with open(node.properties, "w", encoding="utf-8") as f:
            f.writelines(f"{k}={v}\n" for k, v in self.server_properties(node).items())

    def format(self, node):
        """What StorageTool writes: two files, of which one is the same for every cluster of a version."""
        if self.scram or not os.path.exists(self.dist.snapshot):
            self.dist.format(node.properties, self.cluster_id, self.scram)
            return
        os.makedirs(node.data)
        shutil.copy(self.dist.snapshot, node.data)
        with open(os.path.join(node.data, "meta.properties"), "w", encoding="ascii") as f:
            f.write(f"version=1\nnode.id={node.number}\ncluster.id={self.cluster_id}\ndirectory.id={new_id()}\n")

    # -- life ------------------------------------------------------------------------------------------------------

    def start_all(self):
        """Formats and starts every node and waits until they answer and know each other."""
        try:
            for node in self.nodes:
                self.write_properties(node)
                self.format(node)
            for node in self.nodes:
                self.spawn(node)
            for node in self.nodes:
                self.wait(node)
        except BaseException:
            self.close()
            raise
        return self

    def spawn(self, node, archive_out=None):
        if node.running:
            raise RuntimeError(f"node {node.number} is running already")
        with open(node.log, "ab") as log:
            node.process = subprocess.Popen(self.dist.command("kafka.Kafka", node.properties, archive_out=archive_out),
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=node.directory,
                                            preexec_fn=die_with_parent)
        node.start_seconds = -time.monotonic()

    def start(self, number=1):
        """Starts a stopped node again: same ports, same data. Waits until it answers."""
        node = self.node(number)
        self.write_properties(node)
        self.spawn(node)
        self.wait(node)

    def wait(self, node):
        """Until the node answers on its own port, knows all running nodes, and every partition has a leader again."""
        deadline = time.monotonic() + START_SECONDS
        self.wait_port(node, deadline)
        admin = self.admin(f"127.0.0.1:{next(iter(node.ports.values()))}") if self.plain() else None
        while admin is not None and not self.settled(admin):
            self.check_alive(node, deadline)
        node.start_seconds += time.monotonic()

    def wait_port(self, node, deadline):
        for port in node.ports.values():
            while True:
                with contextlib.closing(socket.socket()) as s:
                    if s.connect_ex(("127.0.0.1", port)) == 0:
                        break
                self.check_alive(node, deadline)
                time.sleep(0.02)

    def check_alive(self, node, deadline):
        if not node.running:
            raise RuntimeError(f"Kafka node {node.number} ended ({node.process.returncode}):\n{node.log_tail()}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"Kafka node {node.number} did not answer in {START_SECONDS} s:\n{node.log_tail()}")

    def settled(self, admin):
        from confluent_kafka import KafkaException
        try:
            metadata = admin.list_topics(timeout=0.5)
        except KafkaException:
            return False
        running = {n.number for n in self.nodes if n.running}
        if not running <= set(metadata.brokers):
            time.sleep(0.02)
            return False
        if len(running) < len(self.nodes):
            return True
        led = all(p.leader >= 0 for t in metadata.topics.values() for p in t.partitions.values())
        if not led:
            time.sleep(0.02)
        return led

    def stop(self, number=1, timeout=STOP_SECONDS):
        """SIGTERM, then SIGKILL when it takes too long. Data and ports stay."""
        node = self.node(number)
        if node.running:
            node.process.terminate()
            try:
                node.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill(number)

    def kill(self, number=1):
        node = self.node(number)
        if node.running:
            node.process.kill()
            node.process.wait()

    def restart(self, number=1):
        self.stop(number)
        self.start(number)

    def close(self):
        """Nothing of it is needed any more, so no orderly stop: controllers that stop together wait for each other."""
        for node in self.nodes:
            self.kill(node.number)
        if self.own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self.start_all()

    def __exit__(self, *exc):
        self.close()

    # -- what tests ask --------------------------------------------------------------------------------------------

    def node(self, number):
        return self.nodes[number - 1]

    def plain(self):
        return next(iter(self.listeners.values())) == "PLAINTEXT"

    def bootstrap(self, listener=None):
        name = listener or next(iter(self.listeners))
        return ",".join(f"127.0.0.1:{n.ports[name]}" for n in self.nodes)

    @property
    def brokers(self):
        return self.bootstrap()

    @property
    def records(self):
        """Producing and reading (lib/records.py), by the first listener."""
        if self._records is None:
            from .records import Records
            self._records = Records(self.brokers)
        return self._records

    @staticmethod
    def admin(brokers):
        from confluent_kafka.admin import AdminClient
        return AdminClient({"bootstrap.servers": brokers, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100,
                            "log_level": 0, "socket.timeout.ms": 10000})


# -- preparing a distribution: the snapshot and the archive, once per version ---------------------------------------

def prepared(which=None):
    dist = kafka_jars.get(which)
    if dist.is_prepared:
        return dist
    with kafka_jars.locked(dist.home):
        if not dist.is_prepared:
            prepare(dist)
    return dist


def prepare(dist):
    """One throw-away node: formatted by StorageTool, used a little, stopped; the JVM writes its classes at the exit."""
    archive = dist.archive + ".part"
    cluster = Cluster(dist=dist)
    node = cluster.nodes[0]
    try:
        cluster.write_properties(node)
        if not os.path.exists(dist.snapshot):
            dist.format(node.properties, cluster.cluster_id)
            shutil.copy(os.path.join(node.data, "bootstrap.checkpoint"), dist.snapshot)
        else:
            cluster.format(node)
        cluster.spawn(node, archive_out=archive)
        cluster.wait(node)
        exercise(cluster.brokers)
        cluster.stop(timeout=60)
        if os.path.exists(archive):
            os.rename(archive, dist.archive)
        else:  # a JVM without class data sharing: slower, and not to be tried again each time
            open(dist.archive + ".none", "wb").close()
    finally:
        cluster.close()


def exercise(brokers):
    """A little of what tests do, so that those classes are in the archive too."""
    from confluent_kafka import Consumer, Producer
    producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True, "compression.type": "lz4"})
    producer.produce("warm", b"x" * 2000, key=b"k")
    producer.flush(30)
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "warm", "auto.offset.reset": "earliest"})
    consumer.subscribe(["warm"])
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is not None and not message.error():
            break
    consumer.close()


# -- command line ----------------------------------------------------------------------------------------------------

def run_until_told(cluster):
    wanted = []
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sig, lambda *_: wanted.append(1))
    with cluster:
        print(f"BROKERS={cluster.brokers}", flush=True)
        print(f"DIRECTORY={cluster.directory}", flush=True)
        for node in cluster.nodes:
            print(f"# node {node.number} pid={node.process.pid} up after {node.start_seconds:.2f} s", flush=True)
        while not wanted and all(n.running for n in cluster.nodes):
            signal.sigtimedwait([], 0.2)
        failed = [n for n in cluster.nodes if not n.running]
        for node in failed:
            print(f"kafka.sh: node {node.number} ended by itself:\n{node.log_tail()}", file=sys.stderr)
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(prog="kafka.sh", description="A real Apache Kafka on loopback, for tests.")
    parser.add_argument("command", choices=("start", "fetch"))
    parser.add_argument("--nodes", type=int, default=1, choices=(1, 3))
    parser.add_argument("--kafka", default=None, metavar="VERSION", help="a profile or version of tests/kafka/pom.xml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override in server.properties")
    args = parser.parse_args()
    try:
        if args.command == "fetch":
            dist = prepared(args.kafka)
            print(f"Kafka {dist.version}: {dist.libs}")
            return 0
        return run_until_told(Cluster(args.nodes, dict(s.split("=", 1) for s in args.set), which=args.kafka))
    except Unavailable as why:
        print(f"kafka.sh: {why}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
