"""The protocol's machine-readable half against the running gateway: docs/protocol/*.schema.json, docs/asyncapi.yaml, and the
examples and tables of docs/protocol.md.

Two things are held: all that is sent in these tests fits its schema, in both directions and to the letter (a field that no
schema knows is a fault here, though clients must bear it); and what a schema refuses, the gateway refuses too.
"""
import glob
import json
import os
import re

import pytest
import yaml
from jsonschema import Draft202012Validator, RefResolver
from lib.client import event
from lib.process import ROOT

DOCS = os.path.join(ROOT, "docs")
ROOM = "session:42"
ERROR = re.compile(r'^GW_ERROR\(\w+, "(\w+)", (true|false)', re.M)
CLOSE = re.compile(r"^GW_CLOSE\(\w+, (\d+), ([01])", re.M)
TYPE = re.compile(r'^GW_VERB\(\w+, "(\w+)"', re.M)


def text_of(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return f.read()


def table(name, pattern):
    rows = pattern.findall(text_of("include", "gw", "tbl", name))
    assert rows, f"no rows found in {name}"
    return rows


def read_schemas():
    """name -> schema, by the file's name without .schema.json"""
    paths = glob.glob(os.path.join(DOCS, "protocol", "*.schema.json"))
    return {os.path.basename(p)[:-len(".schema.json")]: json.loads(text_of(os.path.relpath(p, ROOT))) for p in paths}


SCHEMAS = read_schemas()
STORE = {f"{name}.schema.json": schema for name, schema in SCHEMAS.items()}
CLIENT = sorted(n[len("client-"):] for n in SCHEMAS if n.startswith("client-"))
SERVER = sorted(n[len("server-"):] for n in SCHEMAS if n.startswith("server-"))


def faults(name, value):
    """What is wrong with the value by the schema of that name; empty: nothing."""
    schema = SCHEMAS[name]
    checker = Draft202012Validator(schema, resolver=RefResolver(f"{name}.schema.json", schema, store=STORE))
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in checker.iter_errors(value)]


def check_received(message):
    name = f"server-{message['type']}"
    assert name in SCHEMAS, f"no schema for {message}"
    assert not faults(name, message), f"{faults(name, message)} in {message}"
    unknown = set(message) - set(SCHEMAS[name]["properties"])
    assert not unknown, f"{sorted(unknown)} of {message} stand in no schema"


def check_all(client):
    """Every message that came on this connection. Returns their types."""
    for message in list(client.messages):
        check_received(message)
    return {m["type"] for m in client.messages}


def ask(client, message):
    """Sends what its schema allows; returns the answer."""
    message = {"id": next(client.ids), **message}
    name = f"client-{message['type']}"
    assert not faults(name, message), f"{faults(name, message)} in {message}"
    return client.request(message)


# -- the documents -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_schema_is_one_and_its_examples_fit(name):
    schema = SCHEMAS[name]
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"].endswith("/draft/2020-12/schema") and schema["$id"] == f"{name}.schema.json"
    if name == "common":
        return
    assert schema["examples"], "a schema shows what it means"
    for example in schema["examples"]:
        assert not faults(name, example), f"{faults(name, example)} in {example}"


def test_every_message_of_the_table_has_a_schema():
    assert CLIENT == sorted(table("messages.def", TYPE))
    for kind in CLIENT + SERVER:
        name = f"{'client' if kind in CLIENT else 'server'}-{kind}"
        assert SCHEMAS[name]["properties"]["type"] == {"const": kind}
    codes = [code for code, _ in table("errors.def", ERROR)]
    assert SCHEMAS["server-error"]["properties"]["code"]["enum"] == codes


def test_the_examples_of_the_protocol_page_fit():
    seen = set()
    for block in re.findall(r"^```json\n(.*?)^```", text_of("docs", "protocol.md"), re.M | re.S):
        for line in block.splitlines():
            message = json.loads(line)
            kind = message.get("type")
            name = "record-action" if kind is None else f"{'client' if kind in CLIENT else 'server'}-{kind}"
            assert name in SCHEMAS and not faults(name, message), f"{faults(name, message)} in {line}"
            seen.add(name)
    assert seen == set(SCHEMAS) - {"common"}, "each message has an example there"


@pytest.mark.parametrize("what, file, pattern", [("errors", "errors.def", ERROR), ("close", "close.def", CLOSE)])
def test_the_tables_of_the_protocol_page_say_what_the_code_says(what, file, pattern):
    """Rows in the table's order: name or number, and whether to try again or to come back."""
    page = text_of("docs", "protocol.md")
    part = page.split(f"<!-- {what} -->")[1].split(f"<!-- /{what} -->")[0]
    rows = re.findall(r"^\| `(\w+)` \| (yes|no) \|", part, re.M)
    assert rows == [(name, "yes" if flag in ("true", "1") else "no") for name, flag in table(file, pattern)]


# -- AsyncAPI ------------------------------------------------------------------------------------------------------------

def asyncapi():
    return yaml.safe_load(text_of("docs", "asyncapi.yaml"))


def follow(document, ref):
    """A local reference (#/a/b) or a file beside the document."""
    if not ref.startswith("#/"):
        return json.loads(text_of("docs", os.path.normpath(ref)))
    for step in ref[2:].split("/"):
        document = document[step]
    return document


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for below in value.values():
            yield from references(below)
    elif isinstance(value, list):
        for below in value:
            yield from references(below)


def test_asyncapi_names_every_message_and_its_schema():
    document = asyncapi()
    assert document["asyncapi"].startswith("3.")
    for ref in references(document):
        assert follow(document, ref), ref
    messages = document["components"]["messages"]
    assert sorted(messages) == sorted(CLIENT + SERVER) == sorted(document["channels"]["gateway"]["messages"])
    for kind, message in messages.items():
        side = "client" if kind in CLIENT else "server"
        assert message["name"] == kind
        assert message["payload"]["schema"]["$ref"] == f"./protocol/{side}-{kind}.schema.json"


def test_asyncapi_has_an_operation_for_every_message():
    def kinds(holder):
        return {ref.rsplit("/", 1)[1] for ref in references(holder["messages"])}
    operations = asyncapi()["operations"].values()
    received = set().union(*(kinds(o) for o in operations if o["action"] == "receive"))
    sent = set().union(*(kinds(o) for o in operations if o["action"] == "send"))
    replied = set().union(*(kinds(o["reply"]) for o in operations if "reply" in o))
    assert received == set(CLIENT)
    assert sent | replied == set(SERVER)


# -- the gateway -----------------------------------------------------------------------------------------------------------

def play_rooms_and_actions(gateway, ada):
    assert ask(ada, {"type": "join", "room": ROOM})["type"] == "joined"
    assert ask(ada, {"type": "ping"})["type"] == "pong"
    acks = [ask(ada, {"type": "action", "name": "session.chat", "room": ROOM, "data": {"message": "hello"}, "key": "k-1"}),
            ask(ada, {"type": "action", "name": "session.chat", "room": ROOM, "data": {"message": "again"}}),
            ask(ada, {"type": "action", "name": "session.join", "room": ROOM}),
            ask(ada, {"type": "action", "name": "notification.read", "data": {"notificationId": "n-1"}})]
    assert [a["type"] for a in acks] == ["ack"] * 4 and acks[0]["eventId"] == "k-1"
    ada.recv_until(event("session.chat", data={"data": {"message": "again"}}))
    notice = {"userIds": ["u1"], "message": "m", "type": "info", "data": {"id": "1"}}
    for key in ("text", b"\xff\xfe", None):
        gateway.records.produce("concept-notifications", notice, key=key)
    for field in ("key", "keyBase64", None):
        ada.wait_for(lambda m, f=field: m.get("event") == "notification" and {f} - {None} == {"key", "keyBase64"} & set(m))
    ada.wait_for(lambda m: m["type"] == "heartbeat" and m["positions"])
    assert ask(ada, {"type": "leave", "room": ROOM})["type"] == "left"
    return acks


def play_renewal(gateway, ada):
    """A token that allows less takes rooms away; one that ends soon is told of."""
    assert ask(ada, {"type": "join", "room": ROOM})["type"] == "joined"
    answer = ask(ada, {"type": "auth", "token": gateway.dev_token("u1", 4)})
    assert answer["type"] == "renewed" and answer["rooms"] == ["user:u1"]
    ada.wait_for(lambda m: m["type"] == "left" and m.get("reason"))
    ada.wait_for({"type": "expiring"})
    assert ask(ada, {"type": "auth", "token": gateway.dev_token("u1", 300, sessions=["42"])})["type"] == "renewed"


def check_records(gateway, acks):
    """The events that the actions became."""
    for topic in {a["topic"] for a in acks}:
        offsets = {(a["partition"], a["offset"]): a["eventId"] for a in acks if a["topic"] == topic}
        records = gateway.records.consume_all(topic, count=len(offsets))
        for record in records:
            value = record.json()
            assert not faults("record-action", value), f"{faults('record-action', value)} in {value}"
            assert not set(value) - set(SCHEMAS["record-action"]["properties"])
            assert record.header("event-type") == value["eventType"].encode()
            assert record.header("content-type") == b"application/json"
            assert record.header("correlation-id") == value["metadata"]["correlationId"].encode()
        assert {(r.partition, r.offset): r.json()["eventId"] for r in records} == offsets


def test_everything_that_is_sent_fits_its_schema(sluice):
    gateway = sluice(dev=True, args=["--ws-heartbeat-s", "1", "--auth-warn-s", "2", "--drain-ms", "200"])
    ada = gateway.user("u1", sessions=["42"], by="auth")
    assert ada.welcome["id"] is not None
    acks = play_rooms_and_actions(gateway, ada)
    check_records(gateway, acks)
    play_renewal(gateway, ada)
    assert ask(ada, {"type": "join", "room": "session:43"})["code"] == "forbidden"
    grace = gateway.user("u2")
    assert "id" not in grace.welcome
    off = sluice(dev=True, args=["--kafka-enabled", "false"]).user("u3")
    off.recv_until({"type": "status", "kafka": "off"})
    assert ask(off, {"type": "action", "name": "notification.read", "data": {"notificationId": "n"}})["code"] == "unavailable"
    gateway.stop()
    assert ada.wait_closed().code == 1012
    types = check_all(ada) | check_all(grace) | check_all(off)
    assert sorted(types) == SERVER, "each message of the gateway was seen"


# What the schemas say of a client's message, the gateway says too. None: fine (whatever the answer is, it is not about the form).
LONG = "x" * 257
FORMS = [
    ({"type": "ping"}, None), ({"type": "ping", "id": "a" * 64}, None), ({"type": "ping", "id": -2**63}, None),
    ({"type": "ping", "id": "a" * 65}, "bad_field"), ({"type": "ping", "id": 2**63}, "bad_field"),
    ({"type": "ping", "id": 1.5}, "bad_field"), ({"type": "ping", "id": None}, "bad_field"), ({"type": "ping", "id": [1]}, "bad_field"),
    ({"type": "ping", "room": ROOM}, "bad_field"), ({"type": "ping", "data": {}}, "bad_field"),
    ({"type": "join", "room": ROOM}, None), ({"type": "join"}, "bad_field"), ({"type": "join", "room": ""}, "bad_field"),
    ({"type": "join", "room": LONG}, "bad_field"), ({"type": "join", "room": 42}, "bad_field"),
    ({"type": "join", "room": ROOM, "history": 20}, "bad_field"), ({"type": "join", "room": ROOM, "Room": "x"}, "bad_field"),
    ({"type": "leave", "room": "session:none"}, None), ({"type": "leave"}, "bad_field"), ({"type": "leave", "room": None}, "bad_field"),
    ({"type": "auth"}, "bad_field"), ({"type": "auth", "token": ""}, "bad_field"), ({"type": "auth", "token": 1}, "bad_field"),
    ({"type": "action", "name": "session.chat", "room": ROOM, "data": {"message": "x"}, "key": "a" * 128}, None),
    ({"type": "action", "name": "notification.read", "data": {"notificationId": "n"}}, None),
    ({"type": "action"}, "bad_field"), ({"type": "action", "name": ""}, "bad_field"), ({"type": "action", "name": "x" * 129}, "bad_field"),
    ({"type": "action", "name": "notification.read", "data": {"notificationId": "n"}, "key": "a" * 129}, "bad_field"),
    ({"type": "action", "name": "notification.read", "data": {"notificationId": "n"}, "key": "a b"}, "bad_field"),
    ({"type": "action", "name": "notification.read", "data": {"notificationId": "n"}, "key": "\u00e9"}, "bad_field"),
    ({"type": "action", "name": "notification.read", "data": {"notificationId": "n"}, "key": 1}, "bad_field"),
    ({"type": "action", "name": "notification.read", "data": [1]}, "invalid"),
    ({"type": "action", "name": "notification.read", "data": "n"}, "invalid"),
]


def test_schema_and_gateway_judge_alike(sluice):
    gateway = sluice(dev=True, args=["--limits-messages-per-s", "1000", "--limits-errors-per-min", "1000"])
    ada = gateway.user("u1", sessions=["42"])
    assert ada.join(ROOM)["room"] == ROOM
    for form, code in FORMS:
        with ada.changed:
            start = len(ada.messages)
        ada.send(form)
        marker = ask(ada, {"type": "ping"})  # errors of form come at once, so before this one's answer
        with ada.changed:
            answers = [m for m in ada.messages[start:] if m is not marker and m["type"] != "event"]
        got = [m["code"] for m in answers if m["type"] == "error"]
        assert got == ([code] if code else []), f"{form}: {answers}"
        assert bool(faults(f"client-{form['type']}", form)) == bool(code), f"schema of {form}: {faults('client-' + form['type'], form)}"
    check_all(ada)
