"""The log: lines that machines can read whatever clients send, no flood, no secrets."""
import json
import re

import pytest
from lib.client import Refused
from lib.gateways import offline
from lib.process import parse_logfmt
from lib.raw import TEXT, Raw, frame

EVIL = 'a"b\\c=d e\x7fü\t; level=error event=fake \x1b[31m'


def strict_logfmt(line):
    """Pairs only, a space between them, values bare or quoted as JSON strings."""
    pairs = re.findall(r'([a-z_]+)=("(?:[^"\\\x00-\x1f]|\\.)*"|[^\s"=\x00-\x1f]+)', line)
    assert line == " ".join(f"{k}={v}" for k, v in pairs), f"not logfmt: {line!r}"
    assert len({k for k, _ in pairs}) == len(pairs), f"a key twice: {line!r}"
    found = {k: json.loads(v) if v.startswith('"') else v for k, v in pairs}
    assert parse_logfmt(line) == found
    return found


def check_line(found):
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["time"])
    assert found["level"] in ("debug", "info", "warn", "error") and re.fullmatch(r"[a-z][a-z_.]*", found["event"])


def misbehave(gw, token):
    """All that makes lines, with the worst names there are."""
    for options in ({"User_Agent": EVIL}, {"Sec_WebSocket_Protocol": EVIL}, {"Sec_WebSocket_Protocol": "sluice.v1", "Origin": "https://" + EVIL}, {"path": "/ws?x=" + "%0a%0d%22"},
                    {"X_Forwarded_For": EVIL}, {"Cookie": EVIL}, {"Authorization": "Bearer " + EVIL}):
        with Raw(gw) as raw:
            raw.handshake(**{"token": None if "Authorization" in options else token("evil-user-42"), **options})
    c = gw.connect(token('we"ird=\\\u2028user'.replace("\u2028", "")), headers={"User-Agent": EVIL.encode("ascii", "ignore").decode()})
    for text in ('{"type":"\\n level=error"}', "{", '{"type":"join","room":"open:\\u001b[31m"}', '{"type":"action","name":"x\\ny"}'):
        c.send_text(text)
    c.wait_count({"type": "error"}, 4)
    c.close(4242, 'bye "x" level=error')
    with Raw.open(gw, token("bin")) as raw:
        raw.send(frame(2, b"x"))
        raw.closed()
    bad = gw.connect("rub.bi.sh", by="auth", welcome=False)
    bad.wait_closed()
    with Raw(gw) as raw:
        raw.send(b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\nBad\x00Header: \x1b\r\n\r\n")


@pytest.mark.parametrize("level", ["info", "debug"])
def test_logfmt(sluice, keys, token, level):
    gw = sluice(offline(keys, log={"level": level}))
    misbehave(gw, token)
    gw.stop()
    found = [strict_logfmt(line) for line in gw.log_lines()]
    for line in found:
        check_line(line)
    assert not [x for x in found if x["event"] == "fake" or x["level"] == "error"]
    assert {"start", "connection.open", "connection.closed", "connection.close", "handshake.refused", "drain.start", "stop"} <= {x["event"] for x in found}


def test_json_lines(sluice, keys, token):
    gw = sluice(offline(keys, log={"format": "json"}))
    misbehave(gw, token)
    gw.stop()
    lines = gw.log_lines()
    assert len(lines) > 10
    for line in lines:
        assert all(c >= " " and c != "\x7f" for c in line)
        check_line(json.loads(line, object_pairs_hook=lambda pairs: dict(pairs) if len({k for k, _ in pairs}) == len(pairs) else pytest.fail(line)))
    users = [json.loads(x).get("user") for x in lines]
    assert 'we"ird=\\user' in users


def test_levels(sluice, keys, token):
    gw = sluice(offline(keys, log={"level": "error"}))
    with pytest.raises(Refused):
        gw.connect("rubbish")
    gw.connect(token()).close()
    gw.stop()
    assert gw.log_lines() == []


def test_repeats_are_suppressed_and_counted(sluice, keys, token):
    gw = sluice(offline(keys))
    for _ in range(200):
        with Raw(gw) as raw:
            assert raw.handshake("rubbish").status == 401
    refused = gw.logs(event="handshake.refused")
    assert 0 < len(refused) <= 25
    suppressed = gw.metrics()["sluice_log_lines_suppressed_total"]
    assert len(refused) + suppressed == 200
    assert gw.connect(token("still-logged")) and gw.logs(event="connection.open", user="still-logged"), "other places still write"


def test_a_connections_lines_tell_its_story(sluice, keys, token):
    gw = sluice(offline(keys))
    c = gw.connect(token("ada"))
    name = c.welcome["connection"]
    c.close(1000)
    gw.wait_until(lambda: gw.logs(event="connection.closed", conn=name), 3, "closing line")
    opened, closed = gw.logs(conn=name)
    assert opened["event"] == "connection.open" and opened["user"] == "ada" and opened["ip"] == "127.0.0.1"
    assert closed["event"] == "connection.closed" and closed["code"] == "1000"


def test_no_secrets_anywhere(sluice, keys, token):
    """Not tokens, not cookies, not passwords, not what an action carries."""
    gw = sluice({"rooms": [{"pattern": "open:{id}", "join": "any"}], "routes": [{"topics": ["t"], "event": "e", "rooms": "open:{value.id}", "require": ["need"]}],
                 "actions": [{"name": "x", "topic": "acts", "open": True}], "log": {"level": "debug"}, "auth": {"cookie": "sess"},
                 "kafka": {"properties": {"ssl.key.password": "pass-word-1"}}}, dev=True)
    c = gw.user("ada", headers={"Cookie": "sess=cookie-secret-1; other=cookie-secret-2"})
    c.join("open:1")
    assert c.action("x", data={"card": "4111-1111"}, key="key-secret")["type"] == "ack"
    c.request({"type": "auth", "token": "token-secret"})
    with Raw(gw) as raw:
        raw.handshake("header-secret", extra=["Cookie: sess=cookie-secret-3"])
    with Raw(gw) as raw:
        raw.handshake(path="/ws?token=query-secret")
    gw.records.produce("t", {"id": 1, "value": "record-secret"})
    gw.wait_log("record.refused")
    with Raw.open(gw, gw.dev_token("bob")) as raw:
        raw.send(frame(TEXT, '{"type":"auth","token":"broken-secret'))
        raw.until(type="error")
    gw.stop()
    log = "\n".join(gw.log_lines())
    assert "level=debug" in log
    for secret in ("-secret", "eyJ", "pass-word", "4111"):
        assert secret not in log, re.search(f".*{secret}.*", log).group(0)
    with open(f"{gw.directory}/.sluice-dev/hs256.secret", encoding="ascii") as f:
        assert f.read() not in log
