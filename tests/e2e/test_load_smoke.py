"""Everything at once, on the embedded broker: 200 connections on two loops, 20 rooms, 2,000 events, joins, leaves, actions,
connections that vanish and new ones, reloads, and a SIGTERM at the end. Then every single event is accounted for.

Made for a build with the thread sanitizer, where it looks for races; elsewhere it takes a few seconds. It measures nothing.
GW_SEED repeats a run's choices (not its timing).
"""
import collections
import os
import random
import threading

import pytest
from lib import real

CONNECTIONS = 200
ROOMS, HOMES = 20, 12  # the other eight have guests only, and few: a loop has them now and then
MOVERS = 24
EVENTS = 2000
CHUNK = 50
USERS = [f"u{n}" for n in range(8)]
PARTITIONS = 4  # of each topic of the embedded broker
MOVES, ACTIONS, ABORTS, RELOADS = 400, 100, 12, 6
SECONDS = 60  # for all that is waited for


def configuration(variant):
    """Three that differ in what a reload may change, and in nothing that these rooms and events need."""
    routes = [{"topics": "load", "event": "load", "rooms": ["room:{value.rooms[*]}", "user:{value.users[*]}"], "require": ["rooms", "n"]},
              {"topics": "said", "event": "{value.eventType}", "rooms": ["{value.metadata.room}", "user:{value.users[*]}"]}]
    rooms = [{"pattern": "room:{id}", "join": "any"}, {"pattern": "user:{id}", "join": {"claim": "sub", "equals": "{id}"}, "auto": True}]
    if variant:
        routes.insert(0, {"topics": f"other-{variant}", "event": "other", "rooms": "room:{value.room}"})
        rooms.append({"pattern": f"other{variant}:{{id}}", "join": "none"})
    return {"loops": 2, "routes": routes, "rooms": rooms, "actions": [real.action("said")],
            "limits": {"messages_per_s": 100000}, "drain": {"ms": 300}, "ws": {"heartbeat_s": 1},
            "kafka": {"topic_refresh_ms": 200, "health_interval_ms": 200}, "log": {"level": ("info", "warn", "debug")[variant]}}


class Someone:
    """One connection. It stays in its home rooms; in others it is a guest."""

    def __init__(self, gateway, number, feed=None):
        self.client = gateway.user(USERS[number % len(USERS)])
        self.moves = {}     # id of the message -> ("join" or "leave", room)
        self.since = {}     # id of a join -> from which number on every event must come
        self.guest = set()  # rooms that it has asked for and not left again
        self.actions = []
        rooms = {f"room:{n % HOMES}" for n in (number, number * 3 + 1, number * 7 + 2)}
        self.home = set() if feed else rooms
        for room in rooms:
            if feed:
                self.join(room, feed)
            else:
                self.client.send({"type": "join", "id": f"home-{room}", "room": room})

    def wait_home(self):
        for room in self.home:
            self.client.wait_for({"type": "joined", "id": f"home-{room}"}, SECONDS)

    def ask(self, kind, room):
        name = f"move-{len(self.moves)}"
        self.moves[name] = (kind, room)
        self.client.send({"type": kind, "id": name, "room": room})
        return name

    def join(self, room, feed):
        """What is produced from the answer on must come."""
        self.guest.add(room)
        name = self.ask("join", room)
        self.client.wait_for({"id": name}, SECONDS)
        self.since[name] = feed.begun

    def move(self, dice, feed):
        """Joins some room that is not its own, or leaves one that it is a guest in."""
        if self.guest and dice.random() < 0.5:
            room = dice.choice(sorted(self.guest))
            self.guest.remove(room)
            self.ask("leave", room)
        else:
            open_ones = [n for n in range(ROOMS) if f"room:{n}" not in self.home | self.guest]
            self.join(f"room:{dice.choice([n for n in open_ones if n >= HOMES] or open_ones)}", feed)

    def act(self, dice, _):
        if not self.home | self.guest:
            return
        name = f"act-{len(self.actions)}"
        self.actions.append(name)
        room = dice.choice(sorted(self.home | self.guest))
        self.client.send({"type": "action", "id": name, "name": "say", "room": room, "data": {"text": name}})

    def wait_answers(self):
        for name in list(self.moves) + self.actions:
            self.client.wait_for({"id": name}, SECONDS)

    def events(self):
        return [m for m in self.client.events() if not m["rooms"][0].startswith("user:")]


class Truth:
    """What lies on the topics: position -> rooms, and each room's positions by partition, in order."""

    def __init__(self, records):
        self.rooms = {}
        self.number = {}
        self.of_room = collections.defaultdict(lambda: collections.defaultdict(list))
        for record in sorted(records, key=real.place):
            value = record.json()
            rooms = {f"room:{r}" for r in value["rooms"]} if record.topic == "load" else {value["metadata"]["room"]}
            self.rooms[real.place(record)] = rooms
            self.number[real.place(record)] = value.get("n", -1)
            for room in rooms:
                self.of_room[room][real.place(record)[:2]].append(record.offset)

    def at_home(self, home):
        return {place for place, rooms in self.rooms.items() if rooms & home}


class Feed(threading.Thread):
    """Produces the events in chunks, as fast as the broker takes them."""

    def __init__(self, records, dice):
        super().__init__(daemon=True)
        self.records = records
        self.plan = [{"n": n, "rooms": dice.sample(range(ROOMS), dice.choice((1, 1, 2, 3)))} for n in range(EVENTS)]
        self.changed = threading.Condition()
        self.begun = 0  # events below this number may be on Kafka
        self.done = []
        self.failed = None

    def run(self):
        try:
            for at in range(0, EVENTS, CHUNK):
                self.begun = at + CHUNK
                made = self.records.produce_many("load", [(str(v["n"]), v) for v in self.plan[at:at + CHUNK]], timeout=SECONDS)
                with self.changed:
                    self.done += made
                    self.changed.notify_all()
        except Exception as why:  # pylint: disable=broad-except
            with self.changed:
                self.failed = why
                self.changed.notify_all()

    def wait(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: self.failed or len(self.done) >= count, SECONDS), f"{len(self.done)} of {count} produced"
            assert self.failed is None, self.failed


def reload(gateway, number):
    """Every third file is broken and must change nothing."""
    broken = number % 3 == 2
    result = "failed" if broken else "ok"
    before = gateway.metrics().get_sum("sluice_reloads_total", result=result)
    gateway.write_config("routes: [" if broken else configuration(1 + number % 2))
    gateway.sighup()
    gateway.wait_metric("sluice_reloads_total", before + 1, SECONDS, result=result)


def vanish(gateway, people, someone, number, feed):
    people.remove(someone)
    someone.client.abort()
    people.append(Someone(gateway, number, feed))


def stir(gateway, feed, people, dice):
    """Moves, actions, aborts and reloads in any order, spread over the feed. Most people do nothing but stay."""
    todo = ["move"] * MOVES + ["act"] * ACTIONS + ["abort"] * ABORTS + ["reload"] * RELOADS
    dice.shuffle(todo)
    reloads = 0
    for number, what in enumerate(todo):
        feed.wait(number * EVENTS // len(todo))
        someone = dice.choice(people[-MOVERS:])
        if what == "reload":
            reload(gateway, reloads)
            reloads += 1
        elif what == "abort":
            vanish(gateway, people, someone, number, feed)
        else:
            getattr(someone, what)(dice, feed)
    feed.wait(EVENTS)


def await_everything(gateway, people):
    """A marker for everybody behind the last record of each partition; what has not come before it will never come."""
    for partition in range(PARTITIONS):
        gateway.records.produce("load", {"n": -1, "rooms": [], "users": USERS}, partition=partition)
        gateway.records.produce("said", {"eventType": "marker", "metadata": {"room": "room:nowhere"}, "users": USERS}, partition=partition)
    for someone in people:
        someone.client.wait_count(lambda m: m["type"] == "event" and m["rooms"][0].startswith("user:"), 2 * PARTITIONS, SECONDS)


def assert_stayed(someone, truth):
    """Every event of its own rooms exactly once, each partition in order, with the rooms that match."""
    got = someone.events()
    places = [real.place(m) for m in got]
    assert len(set(places)) == len(places), "an event came twice"
    real.assert_order(got, "a connection")
    missing = truth.at_home(someone.home) - set(places)
    assert not missing, f"{len(missing)} events of its rooms are missing: {sorted(missing)[:5]}"
    for message, place in zip(got, places):
        named = set(message["rooms"])
        assert named <= truth.rooms[place] and len(named) == len(message["rooms"]), f"{place}: {named} of {truth.rooms[place]}"
        assert named & someone.home == truth.rooms[place] & someone.home, f"{place}: {named}"
        if not someone.moves:
            assert named <= someone.home
    return len(got)


def visits(someone):
    """(room, the number that it starts with, first, last) for each stay as a guest: first and last are indexes into its messages,
    last is None for a stay to the end."""
    found, open_ones = [], {}
    for at, message in enumerate(someone.client.messages):
        name = message.get("id")
        kind, room = someone.moves.get(name, (None, None))
        if kind == "join":
            assert message["type"] == "joined", message
            open_ones[room] = (room, someone.since[name], at)
        elif kind == "leave":
            assert message["type"] == "left", message
            found.append((*open_ones.pop(room), at))
    return found + [(*stay, None) for stay in open_ones.values()]


def assert_visit(messages, room, since, truth, to_the_end):
    """Of each partition a run without a gap: it begins with what was produced behind the join, if not before, and goes on as far as
    the connection was served before it left. Returns the number of events."""
    served, runs = {}, collections.defaultdict(list)
    for message in messages:
        if message["type"] == "event":
            where = message["topic"], message["partition"]
            served[where] = message["offset"]
            if room in message["rooms"]:
                runs[where].append(message["offset"])
    for where, offsets in truth.of_room[room].items():
        due = [o for o in offsets if truth.number[(*where, o)] >= since]
        begin = min(runs[where][:1] + due[:1], default=None)
        until = offsets[-1] if to_the_end else served.get(where, -1)
        wanted = [o for o in offsets if begin is not None and begin <= o <= until]
        assert runs[where] == wanted, f"{room} {where}: missing {sorted(set(wanted) - set(runs[where]))}"
    return sum(map(len, runs.values()))


def assert_visits(someone, truth):
    stays = visits(someone)
    counted = sum(assert_visit(someone.client.messages[first:last], room, since, truth, last is None) for room, since, first, last in stays)
    named = sum(room not in someone.home for m in someone.events() for room in m["rooms"])
    assert named == counted, f"{named - counted} events named rooms that it was not in"
    return len(stays)


def assert_acks(people, truth):
    acks = [m for someone in people for m in someone.client.messages if m["type"] == "ack"]
    assert len(acks) == sum(len(s.actions) for s in people)
    places = [real.place(a) for a in acks]
    assert len(set(places)) == len(places) and set(places) <= set(truth.rooms)
    return len(acks)


@pytest.mark.parametrize("seed", [int(os.environ.get("GW_SEED") or random.randrange(1 << 30))])
def test_load_smoke(sluice, seed):
    dice = random.Random(seed)
    gateway = sluice(configuration(0), dev=True)
    people = [Someone(gateway, n) for n in range(CONNECTIONS)]
    for someone in people:
        someone.wait_home()
    assert gateway.metrics()["sluice_connections"] == CONNECTIONS

    feed = Feed(gateway.records, dice)
    feed.start()
    stir(gateway, feed, people, dice)
    for someone in people:
        someone.wait_answers()
    said = gateway.records.consume_all("said", timeout=SECONDS)
    await_everything(gateway, people)
    gateway.wait_metric("sluice_connections", lambda n: n == CONNECTIONS, SECONDS)

    truth = Truth(feed.done + said)
    print(f"seed {seed}: {len(truth.rooms)} events on Kafka, {assert_acks(people, truth)} actions acked, {ABORTS} connections aborted")
    expected = sum(len(truth.at_home(s.home)) for s in people)
    print(f"{expected} expected at home, {sum(assert_stayed(s, truth) for s in people)} delivered in all, "
          f"{sum(assert_visits(s, truth) for s in people)} visits")
    gateway.stop(timeout=60)
    closes = collections.Counter(s.client.wait_closed(10).code for s in people)
    assert closes == {1012: CONNECTIONS}, closes
