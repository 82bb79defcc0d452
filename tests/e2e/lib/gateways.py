"""Gateways that several tests share, and configurations that several files begin from.

A gateway of one's own is the `sluice` fixture's; one for a whole file saves its start and stop:

    @pytest.fixture(scope="module")
    def node(tmp_path_factory):
        yield from shared(tmp_path_factory, ["--dev"])

    @pytest.fixture
    def gw(node):
        yield from borrowed(node)
"""
from .process import Sluice

ROOMS = [
    {"pattern": "user:{id}", "join": {"claim": "sub", "equals": "{id}"}, "auto": True},
    {"pattern": "session:{id}", "join": {"claim": "sessions", "contains": "{id}"}},
    {"pattern": "open:{id}", "join": "any"},
]


def offline(keys, *issuers, **sections):
    """A configuration without Kafka: tokens of `keys`, the rooms above. sections replace or extend it; dicts are merged."""
    config = {"kafka": {"enabled": False}, "auth": {"issuers": list(issuers) or [keys.issuer()]}, "rooms": ROOMS}
    for name, value in sections.items():
        config[name] = {**config.get(name, {}), **value} if isinstance(value, dict) else value
    return config


def shared(tmp_path_factory, args=(), config=None, env=None):
    """A generator for a fixture: a gateway that must end cleanly."""
    gateway = Sluice(tmp_path_factory.mktemp("sluice"), args, config, {"SLUICE_DEV_FEED": "false", **(env or {})})
    yield gateway.start()
    gateway.finish()


def borrowed(gateway):
    """A generator for a fixture: the gateway for one test, which leaves no connection behind."""
    assert gateway.process.poll() is None, f"an earlier test ended the gateway\n{gateway.log_tail()}"
    yield gateway
    for client in gateway.clients:
        client.__exit__()
    gateway.clients.clear()
    assert gateway.process.poll() is None, f"this test ended the gateway\n{gateway.log_tail()}"
