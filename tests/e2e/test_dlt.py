"""Dead letters: each reason why a record reaches nobody, what is kept of it, and that the stream goes on."""
import pytest
from lib.gateways import borrowed, shared

TOPIC, DLT = "things", "things.DLT"
CONFIG = {
    "rooms": [{"pattern": "open:{id}", "join": "any"}],
    "routes": [
        {"topics": [TOPIC], "when": {"value.kind": "many"}, "event": "many", "rooms": "open:{value.ids[*]}", "require": ["ids"]},
        {"topics": [TOPIC], "when": {"value.kind": "named"}, "event": "{value.name}", "rooms": "open:{value.id}"},
        {"topics": [TOPIC], "when": {"value.kind": "keyed"}, "event": "keyed", "rooms": "open:{key}:{header.tenant}"},
        {"topics": [TOPIC], "when": {"value.kind": ["plain"]}, "event": "plain", "rooms": "open:{value.id}", "require": ["id", "text"]},
    ],
    "limits": {"event_bytes": 4096, "event_depth": 8, "rooms_per_event": 4},
    "kafka": {"client_id": "node-7"},
}


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    yield from shared(tmp_path_factory, ["--dev"], CONFIG)


@pytest.fixture
def gw(node):
    yield from borrowed(node)


def plain(**more):
    return {"kind": "plain", "id": "1", "text": "x", **more}


LETTERS = {
    "not JSON at all": (b"hello", "not_json"),
    "an empty value": (b"", "not_json"),
    "cut off": (b'{"kind":"plain","id":"1"', "not_json"),
    "trailing comma": (b'{"kind":"plain",}', "not_json"),
    "two documents": (b'{"kind":"plain"} {}', "not_json"),
    "NaN": (b'{"kind":"plain","id":NaN}', "not_json"),
    "not UTF-8": (b'{"kind":"plain","id":"\xff"}', "not_json"),
    "a byte order mark": (b'\xef\xbb\xbf{"kind":"plain"}', "not_json"),
    "too deep": (b'{"kind":"plain","id":' + b"[" * 10 + b"]" * 10 + b"}", "not_json"),
    "too large": (plain(pad="x" * 5000), "too_large"),
    "a required field missing": ({"kind": "plain", "id": "1"}, "missing"),
    "a required field null": (plain(text=None), "missing"),
    "a template's field missing": ({"kind": "named", "name": "n"}, "missing"),
    "a template's field an object": (plain(id={"x": 1}), "missing"),
    "an event name that is none": ({"kind": "named", "name": "", "id": "1"}, "missing"),
    "an event name with a control character": ({"kind": "named", "name": "a\nb", "id": "1"}, "missing"),
    "no array": ({"kind": "many", "ids": "1"}, "missing"),
    "null in an array": ({"kind": "many", "ids": ["1", None]}, "missing"),
    "no key and no header": ({"kind": "keyed"}, "missing"),
    "a room without a name": (plain(id=""), "bad_room"),
    "a room with white space": (plain(id="a b"), "bad_room"),
    "a room too long": (plain(id="x" * 300), "bad_room"),
    "one bad room of several": ({"kind": "many", "ids": ["1", ""]}, "bad_room"),
    "too many rooms": ({"kind": "many", "ids": ["1", "2", "3", "4", "5"]}, "too_many_rooms"),
}


@pytest.mark.parametrize("what", LETTERS)
def test_a_dead_letter(gw, what):
    value, reason = LETTERS[what]
    c = gw.user("ada")
    c.join("open:1")
    before = gw.metrics()
    key = f"key of {what}".encode() if what != "no key and no header" else None
    r = gw.records.produce(TOPIC, value, key=key, headers=[("trace", b"t-1"), ("trace", b"t-2"), ("empty", b""), ("null", None)], partition=1)
    marker = gw.records.produce(TOPIC, plain(), partition=1)
    c.expect_nothing_until({"type": "event", "partition": 1, "offset": marker.offset})
    gw.wait_metric("sluice_dlt_total", before["sluice_dlt_total"] + 1)
    letters = gw.records.consume_all(DLT, where=lambda x: x.header("sluice.offset") == str(r.offset).encode() and x.header("sluice.partition") == b"1")
    assert len(letters) == 1
    letter = letters[0]
    assert letter.key == key and letter.value == (value if isinstance(value, bytes) else r.value)
    assert letter.headers[:4] == [("trace", b"t-1"), ("trace", b"t-2"), ("empty", b""), ("null", None)], "its own headers, in their order"
    ours = dict(letter.headers[4:])
    assert ours.pop("sluice.error")
    assert ours == {"sluice.reason": reason.encode(), "sluice.topic": TOPIC.encode(), "sluice.partition": b"1", "sluice.offset": str(r.offset).encode(),
                    "sluice.timestamp": ours["sluice.timestamp"], "sluice.node": b"node-7"}
    assert abs(int(ours["sluice.timestamp"]) - letter.time) < 60000
    after = gw.metrics()
    for name in {x for _, x in LETTERS.values()}:
        grown = after.get_sum("sluice_records_dropped_total", reason=name) - before.get_sum("sluice_records_dropped_total", reason=name)
        assert grown == (1 if name == reason else 0)
    assert after["sluice_dlt_failed_total"] == before["sluice_dlt_failed_total"]


@pytest.mark.parametrize("value, reason", [(None, "tombstone"), ({"kind": "unheard of"}, "no_match"), ({}, "no_match"), ([1, 2], "no_match"), (b"7", "no_match")])
def test_what_is_no_fault_makes_no_letter(gw, value, reason):
    c = gw.user("ada")
    c.join("open:1")
    before = gw.metrics()
    gw.records.produce(TOPIC, value, partition=2)
    marker = gw.records.produce(TOPIC, plain(), partition=2)
    c.expect_nothing_until({"type": "event", "partition": 2, "offset": marker.offset})
    after = gw.metrics()
    assert after.get_sum("sluice_records_dropped_total", reason=reason) == before.get_sum("sluice_records_dropped_total", reason=reason) + 1
    assert after["sluice_dlt_total"] == before["sluice_dlt_total"]


def test_an_event_for_no_room_is_fine(gw):
    c = gw.user("ada")
    c.join("open:1")
    before = gw.metrics()["sluice_dlt_total"]
    gw.records.produce(TOPIC, {"kind": "many", "ids": []}, partition=3)
    marker = gw.records.produce(TOPIC, plain(), partition=3)
    c.expect_nothing_until({"type": "event", "partition": 3, "offset": marker.offset})
    assert gw.metrics()["sluice_dlt_total"] == before


def test_a_flood_of_bad_records_is_logged_at_a_bounded_rate(gw):
    c = gw.user("ada")
    c.join("open:1")
    before = gw.metrics()["sluice_dlt_total"]
    gw.records.produce_many(TOPIC, [("k", b"{") for _ in range(500)] + [("k", plain())])
    c.recv_until({"type": "event"}, 10)
    gw.wait_metric("sluice_dlt_total", before + 500)
    assert len(gw.logs(event="record.refused")) < 100
    line = gw.logs(event="record.refused")[0]
    assert line["level"] == "warn" and line["topic"] == TOPIC and line["reason"] and line["text"] and int(line["offset"]) >= 0


def test_without_a_dlt_they_are_counted_and_gone(sluice):
    gw = sluice({**CONFIG, "kafka": {"dlt": False}}, dev=True)
    c = gw.user("ada")
    c.join("open:1")
    gw.records.produce(TOPIC, b"{", partition=0)
    marker = gw.records.produce(TOPIC, plain(), partition=0)
    c.expect_nothing_until({"type": "event", "offset": marker.offset})
    m = gw.metrics()
    assert m.get_sum("sluice_records_dropped_total", reason="not_json") == 1 and m["sluice_dlt_total"] == 0 and m["sluice_dlt_failed_total"] == 0
    assert gw.records.consume_all(DLT) == []


def test_a_suffix_of_ones_own_and_no_letters_about_letters(sluice):
    gw = sluice({**CONFIG, "routes": [{"topics": ["^thing.*"], "event": "e", "rooms": "open:{value.id}"}], "kafka": {"dlt_suffix": "-dead", "topic_refresh_ms": 200}}, dev=True)
    gw.records.create_topic("thing-one")
    gw.wait_log("topic.found topic=thing-one", 8)
    gw.records.produce("thing-one", b"{", partition=0)
    gw.wait_metric("sluice_dlt_total", 1)
    letters = gw.records.consume_all("thing-one-dead", 1)
    assert letters[0].header("sluice.topic") == b"thing-one"
    c = gw.user("ada")
    c.join("open:1")
    gw.records.produce("thing-one", {"id": 1}, partition=0)
    c.recv_until({"type": "event"})
    assert not [x for x in gw.logs(event="topic.found") if x["topic"].endswith("-dead")], "the pattern fits, but it is not read"
    assert gw.metrics()["sluice_dlt_total"] == 1
