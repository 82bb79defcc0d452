"""SIGTERM and SIGHUP: leaving without losing anything, and changing the rules without dropping anybody."""
import json
import os
import shutil
import signal
import socket
import ssl
import time

import pytest
from lib.certs import issue, make_certs
from lib.gateways import ROOMS, offline
from lib.raw import Raw
from lib.tokens import Keys


def dev_config(**more):
    return {"rooms": ROOMS, "routes": [{"topics": ["events"], "event": "first", "rooms": "open:{value.id}"}],
            "actions": [{"name": "act", "topic": "acts", "room": "open:{id}"}], **more}


def reload(gw, config, result="ok"):
    before = gw.metrics().get_sum("sluice_reloads_total", result=result)
    gw.write_config(config)
    gw.sighup()
    gw.wait_metric("sluice_reloads_total", before + 1, result=result)


def refuses_connections(gw):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex((gw.host, gw.port)) != 0


# -- SIGTERM ---------------------------------------------------------------------------------------------------------------

def test_a_drain_from_beginning_to_end(sluice, keys, token):
    gw = sluice(offline(keys, drain={"ms": 1500, "delay_ms": 1500}))
    clients = [gw.connect(token(f"u{n}")) for n in range(10)]
    clients[0].join("open:1")
    start = time.monotonic()
    gw.signal(signal.SIGTERM)
    gw.wait_until(lambda: gw.get("/readyz").status == 503, 2, "readyz 503")
    assert not [m for m in clients[0].messages if m["type"] == "reconnect"], "load balancers learn it before clients do"
    late = gw.connect(token("late"))
    told = [c.recv_until({"type": "reconnect"}, 3) for c in [*clients, late]]
    assert time.monotonic() - start >= 1.45, "drain.delay_ms was kept"
    assert all(set(m) == {"type", "after"} and 0 <= m["after"] <= 1500 for m in told) and len({m["after"] for m in told}) > 1, "jittered"
    gw.wait_until(lambda: refuses_connections(gw), 2, "closed listener")
    for c in [*clients, late]:
        closed = c.wait_closed(3)
        assert closed.code == 1012 and closed.reason
    assert gw.wait_exit(5) == 0
    assert gw.logs(event="drain.start") and gw.logs(event="stop")


def test_clients_are_served_while_they_wait(sluice, keys, token):
    gw = sluice(offline(keys, drain={"ms": 2000}))
    clients = [gw.connect(token(f"u{n}")) for n in range(6)]
    gw.signal(signal.SIGTERM)
    for c in clients:
        c.recv_until({"type": "reconnect"})
    open_still = [c for c in clients if c.close_info is None]
    if open_still:
        open_still[-1].send({"type": "ping", "id": "still"})
    for c in clients:
        assert c.wait_closed(4).code == 1012
    assert gw.wait_exit(5) == 0


def test_a_drain_without_clients_is_quick(sluice, keys):
    gw = sluice(offline(keys))
    start = time.monotonic()
    gw.stop()
    assert time.monotonic() - start < 4.5, "drain.ms, 5 s, is not waited for where there is nobody to drain"


def test_a_client_that_never_answers_the_close_holds_nobody_up(sluice, keys, token):
    gw = sluice(offline(keys, drain={"ms": 200}, ws={"close_timeout_ms": 300}))
    with Raw.open(gw, token()) as raw:
        gw.signal(signal.SIGTERM)
        assert gw.wait_exit(5) == 0
        assert raw.closed()[0] == 1012


def test_a_client_without_a_token_yet_is_closed_too(sluice, keys):
    gw = sluice(offline(keys))
    c = gw.connect(None, welcome=False)
    gw.signal(signal.SIGTERM)
    assert c.wait_closed(3).code == 1012
    assert gw.wait_exit(5) == 0


def test_an_action_in_flight_is_answered_before_the_close(sluice):
    broker = sluice(dev=True)
    gw = sluice(dev_config(drain={"ms": 100}), dev=True, env={"KAFKA_BROKERS": broker.brokers})
    c = gw.user("ada")
    c.join("open:1")
    assert c.action("act", "open:1")["type"] == "ack"
    broker.signal(signal.SIGSTOP)
    c.send({"type": "action", "id": "last", "name": "act", "room": "open:1"})
    gw.wait_metric("sluice_producer_queue", 1)
    gw.signal(signal.SIGTERM)
    c.recv_until({"type": "reconnect"})
    gw.wait_until(lambda: refuses_connections(gw), 2, "closed listener")
    broker.signal(signal.SIGCONT)
    answer = c.wait_for({"id": "last"}, 8)
    assert answer["type"] == "ack", answer
    assert c.wait_closed(5).code == 1012
    assert gw.wait_exit(15) == 0
    found = broker.records.consume_all("acts", partition=answer["partition"], where=lambda r: r.offset == answer["offset"], count=1)
    assert found and found[0].json()["eventType"] == "act"


def test_a_second_signal_cuts_the_delay_short(sluice, keys, token):
    gw = sluice(offline(keys, drain={"ms": 100, "delay_ms": 60000}))
    c = gw.connect(token())
    gw.signal(signal.SIGTERM)
    gw.wait_until(lambda: gw.get("/readyz").status == 503, 2, "readyz 503")
    assert c.request({"type": "ping"})["type"] == "pong"
    gw.signal(signal.SIGTERM)
    assert c.wait_closed(4).code == 1012
    assert gw.wait_exit(5) == 0


def test_sigint_is_as_good(sluice, keys, token):
    gw = sluice(offline(keys, drain={"ms": 100}))
    c = gw.connect(token())
    gw.signal(signal.SIGINT)
    assert c.wait_closed(4).code == 1012 and gw.wait_exit(5) == 0


def test_a_node_that_is_killed_leaves_its_port(sluice, keys, token):
    gw = sluice(offline(keys))
    gw.connect(token())
    port = gw.port
    gw.kill()
    gw.listen = f"127.0.0.1:{port}"
    gw.start()
    assert gw.port == port and gw.connect(token()).welcome["user"] == "u1"


# -- SIGHUP ----------------------------------------------------------------------------------------------------------------

def test_new_rules_take_hold_and_nobody_is_dropped(sluice, keys, token):
    gw = sluice(offline(keys))
    c = gw.connect(token("ada", {"sessions": ["1"], "teams": ["red"]}))
    for room in ("session:1", "open:1"):
        c.join(room)
    assert c.request({"type": "join", "room": "club:x"})["code"] == "forbidden"
    rooms = [r for r in ROOMS if r["pattern"] != "open:{id}"]
    reload(gw, offline(keys, rooms=[*rooms, {"pattern": "club:{id}", "join": "any"}, {"pattern": "team:{id}", "join": {"claim": "teams", "contains": "{id}"}, "auto": True}]))
    lost = c.recv_until({"type": "left"})
    assert lost["room"] == "open:1" and lost["reason"] and "id" not in lost
    assert c.join("club:x")["type"] == "joined"
    assert c.request({"type": "join", "room": "open:1"})["code"] == "forbidden"
    assert [m["room"] for m in c.messages if m["type"] == "left"] == ["open:1"], "session:1 was kept"
    assert "team:red" in c.request({"type": "auth", "token": token("ada", {"sessions": ["1"], "teams": ["red"]})})["rooms"]
    assert c.close_info is None and gw.metrics()["sluice_connections_opened_total"] == 1


def test_routes_and_actions_change(sluice):
    gw = sluice(dev_config(), dev=True)
    c = gw.user("ada")
    c.join("open:1")
    gw.records.produce("events", {"id": 1})
    assert c.recv_until({"type": "event"})["event"] == "first"
    assert c.action("other", "open:1")["code"] == "forbidden"
    gw.records.create_topic("more")
    reload(gw, dev_config(routes=[{"topics": ["events"], "event": "second", "rooms": "open:{value.id}"}, {"topics": ["more"], "event": "third", "rooms": "open:{value.id}"}],
                          actions=[{"name": "other", "topic": "acts", "room": "open:{id}"}]))
    gw.records.produce("events", {"id": 1})
    assert c.recv_until({"type": "event"})["event"] == "second"
    assert c.action("other", "open:1")["type"] == "ack" and c.action("act", "open:1")["code"] == "forbidden"
    gw.wait_log("topic.found topic=more", 8)
    gw.wait_until(lambda: gw.records.produce("more", {"id": 1}) and c.events("third"), 8, "an event of the new topic")
    reload(gw, dev_config(routes=[{"topics": ["more"], "event": "third", "rooms": "open:{value.id}"}]))
    seen = gw.metrics()["sluice_events_read_total"]
    gw.records.produce("events", {"id": 1}, key="k")
    gw.records.produce("more", {"id": 1}, key="k")
    gw.wait_metric("sluice_events_read_total", seen + 1)
    assert len(c.events("second")) == 1, "a topic that no route names is read no more"


def test_rates_of_actions_after_reloads(sluice):
    """An action's place in the list moves; what a connection has used up of a rate must not end up elsewhere."""
    def actions(count):
        return [{"name": f"a{n}", "topic": "acts", "rate": "2/m"} for n in range(count)]
    gw = sluice(dev_config(actions=actions(1)), dev=True)
    c = gw.user("ada")
    assert [c.action("a0")["type"] for _ in range(3)] == ["ack", "ack", "error"]
    for count in (60, 1, 120, 3, 200):
        reload(gw, dev_config(actions=actions(count)))
        assert c.action(f"a{count - 1}")["type"] == "ack"


def test_a_bad_file_changes_nothing(sluice, keys, token):
    gw = sluice(offline(keys))
    c = gw.connect(token())
    c.join("open:1")
    good = offline(keys)
    bad = ["rooms: [", {**good, "rooms": [{"pattern": "x:{id}"}, {"pattern": "x:{id}"}]}, {**good, "nonsense": 1}, {**good, "auth": {"issuers": [{"algorithms": ["HS256"], "key": "/no/such"}]}},
           {**good, "routes": [{"topics": ["^("], "event": "e", "rooms": "a:1"}]}, {**good, "limits": {"rooms": 0}}]
    for n, config in enumerate(bad):
        reload(gw, config, "failed")
        assert c.request({"type": "ping"})["type"] == "pong"
        line = gw.logs(event="reload.failed")[-1]
        assert line["level"] == "error" and line["error"] and "sluice.yaml" in line["error"] or "/no/such" in line["error"]
    os.remove(gw.config_path)
    gw.sighup()
    gw.wait_metric("sluice_reloads_total", len(bad) + 1, result="failed")
    assert gw.metrics().get_sum("sluice_reloads_total", result="ok") == 0
    assert c.join("open:2")["type"] == "joined" and not [m for m in c.messages if m["type"] == "left"]
    assert gw.connect(token("bob")).join("open:1")["type"] == "joined", "the old rules hold for newcomers too"
    reload(gw, good)


def test_what_needs_a_restart_is_said(sluice, keys):
    gw = sluice(offline(keys))
    reload(gw, offline(keys, limits={"rooms": 5}, log={"level": "debug"}))
    assert [x["option"] for x in gw.logs(event="reload.needs_restart")] == ["limits.rooms"]
    assert gw.logs(event="reload.done")


def test_keys_can_be_rotated(sluice, keys, token, tmp_path):
    other = Keys(tmp_path / "other")
    gw = sluice(offline(keys))
    old = gw.connect(token("ada"))
    with Raw(gw) as raw:
        assert raw.handshake(other.token("bob")).status == 401
    reload(gw, offline(keys, other.issuer()))
    assert gw.connect(other.token("bob")).welcome["user"] == "bob"
    with Raw(gw) as raw:
        assert raw.handshake(token("ada")).status == 401, "a cached verdict does not outlive its key"
    assert old.request({"type": "ping"})["type"] == "pong", "who is in stays in until the token ends"


def test_origins_and_proxies_change(sluice, keys, token):
    gw = sluice(offline(keys))
    app = "https://new.example.com"
    with Raw(gw) as raw:
        assert raw.handshake(token(), Origin=app).status == 403
    reload(gw, offline(keys, origins=[app]))
    with Raw(gw) as raw:
        assert raw.handshake(token(), Origin=app).status == 101
    with Raw(gw) as raw:
        assert raw.handshake(token(), Origin=gw.url).status == 403, "self is no longer in the list"


def test_many_reloads_with_clients_coming_and_going(sluice, keys, token):
    gw = sluice(offline(keys))
    steady = gw.connect(token("steady"))
    for n in range(15):
        gw.write_config(offline(keys, rooms=[*ROOMS, {"pattern": f"n{n}:{{id}}", "join": "any"}]))
        gw.sighup()
        with gw.connect(token(f"u{n}")) as c:
            c.join("open:1")
    reload(gw, offline(keys, rooms=[*ROOMS, {"pattern": "last:{id}", "join": "any"}]))
    gw.wait_until(lambda: steady.request({"type": "join", "room": "last:1"})["type"] == "joined", 3, "the last rules")


# -- certificates ------------------------------------------------------------------------------------------------------------

def serial(gw, ca):
    context = ssl.create_default_context(cafile=ca)
    with socket.create_connection((gw.host, gw.port), 5) as s, context.wrap_socket(s, server_hostname="localhost") as tls:
        return tls.getpeercert()["serialNumber"]


def test_a_certificate_is_changed_without_dropping_anybody(sluice, keys, token, tmp_path):
    certs = make_certs(tmp_path / "certs")
    config = offline(keys, tls={"cert": str(certs / "server.pem"), "key": str(certs / "server.key")})
    gw = sluice(config)
    context = ssl.create_default_context(cafile=str(certs / "ca.pem"))
    raw = Raw.open(gw, token("ada"), ssl=context)
    first = serial(gw, certs / "ca.pem")

    def hup(event):
        seen = len(gw.logs(event=event))
        gw.sighup()
        gw.wait_until(lambda: len(gw.logs(event=event)) > seen, 5, event)
    issue(certs)
    hup("reload.done")
    gw.wait_until(lambda: all(serial(gw, certs / "ca.pem") != first for _ in range(6)), 5, "the new certificate on every loop")
    second = serial(gw, certs / "ca.pem")
    shutil.copy(certs / "ca.key", certs / "server.key")  # a key that does not belong to it
    hup("reload.failed")
    (certs / "server.pem").write_text("no certificate at all")
    hup("reload.failed")
    assert all(serial(gw, certs / "ca.pem") == second for _ in range(6)), "a bad pair changes nothing"
    raw.text({"type": "ping", "id": 1})
    assert raw.until(id=1)["type"] == "pong"
    raw.socket.close()
    issue(certs)
    hup("reload.done")
    gw.wait_until(lambda: all(serial(gw, certs / "ca.pem") not in (first, second) for _ in range(6)), 5, "the third certificate")


def test_the_log_of_a_reload_is_json_too(sluice, keys):
    gw = sluice(offline(keys))
    gw.write_config(offline(keys, log={"format": "json"}))
    gw.sighup()
    line = gw.wait_log('"event":"reload.done"')
    assert json.loads(line)["level"] == "info"


@pytest.mark.parametrize("number", [signal.SIGPIPE, signal.SIGWINCH, signal.SIGCONT])
def test_other_signals_do_nothing(sluice, keys, token, number):
    gw = sluice(offline(keys))
    c = gw.connect(token())
    gw.signal(number)
    assert c.request({"type": "ping"})["type"] == "pong"
