"""What tests on a real broker share: a plain configuration that reacts quickly, and checks of what a room's members got.

For: records {"room": "a", "n": 1} on topics of the test's own, each to room:a, and the comparison of all that was produced with
all that came, position by position.
Not for: the example systems, which have configurations of their own.
"""
import collections

from .process import Sluice

# A test must not wait for what is a matter of seconds in production: looking for topics, asking for health, giving up.
KAFKA = {"topic_refresh_ms": 100, "health_interval_ms": 100, "down_grace_ms": 300, "connection_timeout_ms": 1000,
         "retry_initial_ms": 50, "client_id": "sluice-under-test"}


def route(topics, event="thing"):
    return {"topics": topics, "event": event, "rooms": "room:{value.room}", "require": ["room"]}


def action(topic, name="say"):
    return {"name": name, "topic": topic, "room": "room:{id}", "fields": {"text": "string"}, "open": True}


def config(brokers, issuer, routes, actions=(), kafka=None, producer=None, **more):
    """A dict for sluice(config=...). Everybody may join every room."""
    made = {"loops": 2, "kafka": {"brokers": brokers, **KAFKA, **(kafka or {})}, "auth": {"issuers": [issuer]},
            "rooms": [{"pattern": "room:{id}", "join": "any"},
                      {"pattern": "user:{id}", "join": {"claim": "sub", "equals": "{id}"}, "auto": True}],
            "routes": list(routes), "actions": list(actions),
            "limits": {"messages_per_s": 100000}, "drain": {"ms": 0}, **more}
    if producer:
        made["producer"] = producer
    return {k: v for k, v in made.items() if v != []}


def members(gateway, token, rooms, **options):
    """One connection of user `sub` (options as Client.connect) in all these rooms."""
    client = gateway.connect(token, **options)
    for room in rooms:
        client.join(room)
    return client


def value(room, number, **more):
    return {"room": room, "n": number, **more}


def place(x):
    """Where an event message or a record stands."""
    return (x["topic"], x["partition"], x["offset"]) if isinstance(x, dict) else (x.topic, x.partition, x.offset)


def assert_all(client, records, what, timeout=20, **match):
    """The client gets these records and no other event (that has the fields of `match`), each once, each partition in order."""
    wanted = {place(r): r.value for r in records}
    assert len(wanted) == len(records)
    client.wait_count({"type": "event", **match}, len(records), timeout)
    got = client.events(**match)
    print(f"{what}: {len(records)} expected, {len(got)} delivered")
    counts = collections.Counter(place(m) for m in got)
    twice = [p for p, n in counts.items() if n > 1]
    assert not twice, f"{what}: twice: {twice[:5]}"
    assert set(counts) == set(wanted), f"{what}: missing {sorted(set(wanted) - set(counts))[:5]}, strange {sorted(set(counts) - set(wanted))[:5]}"
    assert_order(got, what)


def assert_order(messages, what):
    last = {}
    for m in messages:
        at = (m["topic"], m["partition"])
        assert m["offset"] > last.get(at, -1), f"{what}: {at}: offset {m['offset']} behind {last[at]}"
        last[at] = m["offset"]


def gateway(directory, config, env=None, **options):
    """A gateway that outlives a single test: for fixtures of a module, which call finish() themselves."""
    return Sluice(directory, config=config, env=env, **options)
