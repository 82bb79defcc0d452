"""Fixtures of the end-to-end tests; `pytest -m "not kafka"` leaves out what needs a real broker.

    sluice(config=None, dev=False, args=(), env=None)  starts a gateway; stopped at the end, which must be clean
    embedded      a gateway in dev mode without its feed: embedded.user("u1", sessions=["42"]), embedded.records.produce(...)
    keys, token   the session's key files; token(sub, claims, ttl, alg, key) -> JWT by PyJWT
    kafka         one real broker for the whole session: kafka.brokers, kafka.records
    kafka3        three of them
    kafka_own     a broker of this test's own: kafka_own.stop(), start(), restart(), kill()
    kafka_cluster(nodes=1, properties=None, listeners=None, scram=None)  any other
    unique        unique("chat") -> a topic or group name that no other test has

Environment: SLUICE_BIN, GW_REQUIRE_KAFKA=1 (no Kafka fails instead of skipping), GW_KAFKA=3.9, KAFKA_HOME.
"""
import os
import re
import uuid

import pytest
from lib import kafka as real_kafka
from lib.process import Sluice
from lib.tokens import Keys

KAFKA_FIXTURES = {"kafka", "kafka3", "kafka_own", "kafka_cluster"}


def pytest_configure(config):
    config.addinivalue_line("markers", "kafka: needs a real Apache Kafka (set on its own by the fixtures)")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if KAFKA_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("kafka")


def pytest_sessionfinish(session):
    """The real broker's tests without a real broker: exit code 77, which ctest shows as skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if session.exitstatus == 0 and any("no Apache Kafka" in str(report.longrepr) for report in skipped):
        session.exitstatus = 77


# -- the gateway -----------------------------------------------------------------------------------------------------

@pytest.fixture
def sluice(tmp_path):
    started = []

    def start(config=None, dev=False, args=(), env=None, **options):
        more = ["--dev"] if dev else []
        env = {"SLUICE_DEV_FEED": "false", **(env or {})} if dev else env
        gateway = Sluice(tmp_path / f"sluice-{len(started) + 1}", [*more, *args], config, env, **options)
        started.append(gateway)
        return gateway.start()

    yield start
    faults = []
    for gateway in started:
        try:
            gateway.finish()
        except AssertionError as fault:
            faults.append(str(fault))
    assert not faults, "\n".join(faults)


@pytest.fixture
def embedded(sluice):
    return sluice(dev=True)


# -- keys and tokens -------------------------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="session")
def token(keys):
    return keys.token


@pytest.fixture
def unique(request):
    """Names must differ between runs too: a broker of KAFKA_HOME's, or a kept one, remembers."""
    stem = re.sub(r"[^A-Za-z0-9]+", "-", request.node.name)[:60].strip("-")

    def name(what="t"):
        return f"{what}.{stem}.{uuid.uuid4().hex[:8]}"
    return name


# -- real Kafka ------------------------------------------------------------------------------------------------------

def start_cluster(nodes=1, **options):
    try:
        return real_kafka.Cluster(nodes, **options).start_all()
    except real_kafka.Unavailable as why:
        text = f"no Apache Kafka here: {why}"
    if os.environ.get("GW_REQUIRE_KAFKA") == "1":
        pytest.fail(text + " (GW_REQUIRE_KAFKA=1)", pytrace=False)
    pytest.skip(text)


@pytest.fixture(scope="session")
def kafka():
    cluster = start_cluster()
    yield cluster
    cluster.close()


@pytest.fixture(scope="session")
def kafka3():
    cluster = start_cluster(3)
    yield cluster
    cluster.close()


@pytest.fixture
def kafka_own():
    cluster = start_cluster()
    yield cluster
    cluster.close()


@pytest.fixture
def kafka_cluster():
    started = []

    def start(nodes=1, **options):
        started.append(start_cluster(nodes, **options))
        return started[-1]
    yield start
    for cluster in started:
        cluster.close()
