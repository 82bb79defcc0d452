"""Rooms: who may join, what a refusal tells, and the limits on rooms and connections."""
import pytest
from lib.gateways import ROOMS, borrowed, offline, shared
from lib.raw import Raw

RULES = [
    {"pattern": "user:{id}", "join": {"claim": "sub", "equals": "{id}"}, "auto": True},
    {"pattern": "session:{id}", "join": {"claim": "sessions", "contains": "{id}"}},
    {"pattern": "team:{id}", "join": {"claim": "org.teams", "contains": "{id}"}, "auto": True},
    {"pattern": "tenant:{t}:doc:{d}", "join": {"claim": "tenant", "equals": "{t}"}},
    {"pattern": "staff:{id}", "join": [{"scope": "staff"}, {"claim": "roles", "contains": "admin"}]},
    {"pattern": "scoped:{id}", "join": {"scope": "room.{id}"}},
    {"pattern": "open:{id}", "join": "any"},
    {"pattern": "lobby:main", "join": "any"},
    {"pattern": "closed:{id}", "join": "none"},
    {"pattern": "silent:{id}"},
    {"pattern": "path:{rest}", "join": "any"},
]


@pytest.fixture(scope="module")
def node(tmp_path_factory, keys):
    yield from shared(tmp_path_factory, config=offline(keys, rooms=RULES, limits={"errors_per_min": 1000}))


@pytest.fixture
def gw(node):
    yield from borrowed(node)


ALLOWED = [
    ({"sessions": ["41", "42"]}, "session:42"), ({"sessions": [42]}, "session:42"), ({"tenant": "acme"}, "tenant:acme:doc:1"),
    ({"tenant": "acme"}, "tenant:acme:doc:a:b"), ({"scope": "read staff write"}, "staff:x"), ({"scp": ["staff"]}, "staff:x"),
    ({"roles": ["user", "admin"]}, "staff:x"), ({"scope": "room.7"}, "scoped:7"), ({}, "open:anything"), ({}, "lobby:main"),
    ({}, "path:a:b:c"), ({}, "open:ключ-☃"), ({}, "open:" + "x" * 251), ({}, "user:u1"),
]
FORBIDDEN = [
    ({}, "session:42"), ({"sessions": ["421", "4"]}, "session:42"), ({"sessions": "[42]"}, "session:42"), ({"sessions": {"42": 1}}, "session:42"),
    ({"sessions": [["42"]]}, "session:42"), ({"sessions": None}, "session:42"), ({"tenant": "acme"}, "tenant:other:doc:1"), ({"tenant": ["acme"]}, "tenant:acme:doc:1"),
    ({"tenant": "acme"}, "tenant:acme:doc"), ({"scope": "staffer"}, "staff:x"), ({"scope": ""}, "staff:x"), ({"roles": "user"}, "staff:x"),
    ({"scope": "room.70"}, "scoped:7"), ({}, "closed:x"), ({}, "silent:x"), ({}, "user:u2"), ({}, "user:"), ({}, "nothing:like:this"), ({}, "nocolon"),
    ({}, "lobby:other"), ({}, "open:"), ({}, "open:a b"), ({}, "open:a\nb"), ({}, "open:\u00a0"), ({}, "session:{id}"), ({}, "*"),
]


@pytest.mark.parametrize("claims, room", ALLOWED)
def test_may_join(gw, token, claims, room):
    assert gw.connect(token("u1", claims)).join(room)["room"] == room


@pytest.mark.parametrize("claims, room", FORBIDDEN)
def test_may_not_join(gw, token, claims, room):
    answer = gw.connect(token("u1", claims)).request({"type": "join", "id": "j", "room": room})
    assert answer["type"] == "error" and answer["code"] == "forbidden" and answer["id"] == "j" and answer["retry"] is False


def test_a_refusal_does_not_tell_whether_there_is_such_a_room(gw, token):
    other = gw.connect(token("u2", {"sessions": ["42"]}))
    other.join("session:42")
    with Raw.open(gw, token("u1")) as raw:
        assert raw.message() == {"type": "status", "kafka": "off"}
        answers = set()
        for room in ("session:42", "session:none", "closed:x", "user:u2", "user:nobody", "no-such-kind:1", "open:a b"):
            raw.text({"type": "join", "id": 1, "room": room})
            answers.add(raw.line())
        assert len(answers) == 1, answers
        assert "session" not in answers.pop()


def test_leaving_a_room_one_was_never_in_tells_nothing_either(gw, token):
    c = gw.connect(token("u1"))
    assert {c.leave(room)["type"] for room in ("session:42", "user:u2", "no-such:1")} == {"left"}


def test_automatic_rooms(gw, token):
    c = gw.connect(token("u1", {"org": {"teams": ["red", "blue", "red", "", "with space", 7, None, {"x": 1}]}}))
    assert sorted(c.welcome["rooms"]) == ["team:7", "team:blue", "team:red", "user:u1"]
    assert c.leave("team:red")["type"] == "left"
    assert c.join("team:red")["type"] == "joined"
    assert c.request({"type": "join", "room": "team:green"})["code"] == "forbidden"


def test_an_automatic_room_for_everybody_whom_the_rule_allows(sluice, keys, token):
    gw = sluice(offline(keys, rooms=[{"pattern": "lobby", "join": "any", "auto": True},
                                     {"pattern": "office", "join": {"scope": "staff"}, "auto": True}]))
    assert sorted(gw.connect(token("u1")).welcome["rooms"]) == ["lobby", "user:u1"]
    assert sorted(gw.connect(token("u2", {"scope": "staff"})).welcome["rooms"]) == ["lobby", "office", "user:u2"]


def test_every_user_has_a_room_even_without_a_rule(sluice, keys, token):
    gw = sluice(offline(keys, rooms=[]))
    c = gw.connect(token("u1"))
    assert c.welcome["rooms"] == ["user:u1"]
    assert c.join("user:u1")["type"] == "joined"
    assert c.request({"type": "join", "room": "user:u2"})["code"] == "forbidden"


def test_a_broad_pattern_does_not_open_other_users_rooms(sluice, keys, token):
    gw = sluice(offline(keys, rooms=[{"pattern": "{kind}:{id}", "join": "any"}]))
    c = gw.connect(token("u1"))
    assert c.join("anything:1")["type"] == "joined"
    assert c.request({"type": "join", "room": "user:u2"})["code"] == "forbidden"


def test_a_room_name_may_not_be_too_long(gw, token):
    c = gw.connect(token("u1"))
    assert c.request({"type": "join", "room": "open:" + "x" * 252})["code"] in ("bad_field", "forbidden")
    assert c.request({"type": "join", "room": ""})["code"] == "bad_field"
    assert c.request({"type": "join", "room": "open:a\u0000"})["code"] == "bad_field"


# -- limits --------------------------------------------------------------------------------------------------------------

def test_rooms_per_connection(sluice, keys, token):
    gw = sluice(offline(keys, limits={"rooms_per_connection": 4}))
    c = gw.connect(token("u1"))
    assert c.welcome["limits"]["rooms"] == 4
    for n in range(3):  # the user's own is the first
        c.join(f"open:{n}")
    answer = c.request({"type": "join", "room": "open:3"})
    assert answer["code"] == "limit" and answer["type"] == "error"
    assert c.join("open:1")["type"] == "joined", "a room one is in already"
    c.leave("open:1")
    assert c.join("open:3")["type"] == "joined"
    assert gw.connect(token("u2")).join("open:1")["type"] == "joined", "the limit is each connection's own"
    assert gw.metrics().get_sum("sluice_limit_hits_total", limit="limits.rooms_per_connection") == 1


def test_rooms_of_the_node(sluice, keys, token):
    gw = sluice(offline(keys, loops=1, limits={"rooms": 4}))
    a, b = gw.connect(token("u1")), gw.connect(token("u2"))
    a.join("open:1")
    a.join("open:2")
    assert b.join("open:1")["type"] == "joined", "a room that is there already takes no place"
    assert b.request({"type": "join", "room": "open:3"})["code"] == "limit"
    assert gw.metrics().get_sum("sluice_limit_hits_total", limit="limits.rooms") == 1
    a.leave("open:2")
    assert b.join("open:3")["type"] == "joined"
    assert gw.metrics()["sluice_rooms"] == 4 and gw.metrics()["sluice_memberships"] == 5


def test_rooms_and_memberships_are_counted_down_again(sluice, keys, token):
    gw = sluice(offline(keys, loops=1))
    clients = [gw.connect(token(f"u{n}")) for n in range(10)]
    for n, c in enumerate(clients):
        c.join("open:all")
        c.join(f"open:{n % 2}")
    got = gw.metrics()
    assert (got["sluice_connections"], got["sluice_rooms"], got["sluice_memberships"]) == (10, 13, 30)
    for n, c in enumerate(clients):
        c.close() if n % 2 else c.abort()
    for name in ("sluice_connections", "sluice_rooms", "sluice_memberships"):
        gw.wait_metric(name, lambda v: v == 0)
    assert gw.metrics()["sluice_connections_opened_total"] == 10


def test_connections_of_the_node(sluice, keys, token):
    gw = sluice(offline(keys, limits={"connections": 3}))
    clients = [gw.connect(token(f"u{n}")) for n in range(3)]
    with Raw(gw) as raw:
        answer = raw.handshake(token("u4"))
        assert answer.status == 503 and int(answer.header("Retry-After")) > 0 and answer.body
    assert gw.get("/healthz").status == 200, "HTTP is served all the same"
    got = gw.metrics()
    assert got.get_sum("sluice_handshakes_refused_total", reason="limit") == 1
    assert got.get_sum("sluice_limit_hits_total", limit="limits.connections") == 1
    assert clients[0].request({"type": "ping"})["type"] == "pong"
    clients[0].close()
    gw.wait_metric("sluice_connections", lambda v: v == 2)
    assert gw.connect(token("u4")).welcome["user"] == "u4"


def test_automatic_rooms_stop_at_the_limit_and_leave_the_own_room_in(sluice, keys, token):
    gw = sluice(offline(keys, rooms=[{"pattern": "team:{id}", "join": {"claim": "teams", "contains": "{id}"}, "auto": True}, *ROOMS],
                        limits={"rooms_per_connection": 5}))
    c = gw.connect(token("u1", {"teams": [f"t{n}" for n in range(300)]}))
    assert len(c.welcome["rooms"]) == 5 and "user:u1" in c.welcome["rooms"]
