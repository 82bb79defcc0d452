"""The command line: what each flag says and does, where values come from, and how the gateway complains."""
import json
import os
import re
import socket
import stat
import subprocess
import time

import jwt
import pytest
import yaml
from lib.gateways import offline
from lib.process import ROOT, Sluice, binary, environment
from lib.tokens import AUDIENCE, ISSUER


@pytest.fixture
def run(tmp_path):
    def go(*args, env=None, timeout=20, cwd=tmp_path):
        done = subprocess.run([binary(), *map(str, args)], cwd=cwd, env=environment(env), capture_output=True, text=True, timeout=timeout, check=False)
        # A start that failed takes nothing down, so leaks are not judged here; any other report is: it would exit with 1 as well.
        assert not re.search(r"ERROR: AddressSanitizer|runtime error:|DEADLYSIGNAL", done.stderr), done.stderr
        return done
    return go


@pytest.fixture
def conf(tmp_path, keys):
    def write(text=None, name="sluice.yaml", **sections):
        path = tmp_path / name
        path.write_text(text if text is not None else yaml.safe_dump(offline(keys, **sections)))
        return path
    return write


def fails(done, *pieces):
    assert done.returncode == 1 and not done.stdout, done
    assert all(p in done.stderr for p in pieces), done.stderr
    return done.stderr


# -- what it says about itself ---------------------------------------------------------------------------------------------

def test_version(run):
    done = run("--version")
    assert done.returncode == 0 and re.fullmatch(r"sluice \d+\.\d+\.\d+\n", done.stdout) and not done.stderr


def test_help_lists_every_option(run):
    done = run("--help")
    assert done.returncode == 0 and not done.stderr and run("-h").stdout == done.stdout
    with open(os.path.join(ROOT, "docs", "configuration.md"), encoding="utf-8") as f:
        documented = set(re.findall(r"^\| `[\w.]+` \| `SLUICE_\w+` \| `(--[\w-]+)` \|", f.read(), re.M))
    assert len(documented) > 50 and documented <= set(re.findall(r"--[\w-]+", done.stdout))
    for flag in ("--dev", "--config", "--check", "--print-config", "--version", "sluice token"):
        assert flag in done.stdout


def test_every_option_has_its_three_names(run, conf):
    """What --print-config prints is a configuration; each scalar of it can be given by environment and by flag."""
    printed = yaml.safe_load(run("--config", conf(), "--print-config").stdout)
    scalars = {(section, name): value for section, rest in printed.items() if isinstance(rest, dict) for name, value in rest.items()
               if not isinstance(value, (dict, list))}
    for (section, name), value in scalars.items():
        text = {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
        flag, variable = f"--{section}-{name}".replace("_", "-"), f"SLUICE_{section}_{name}".upper()
        assert run("--config", conf(), flag, text, "--print-config").returncode == 0, flag
        assert run("--config", conf(), "--print-config", env={variable: text}).returncode == 0, variable


@pytest.mark.parametrize("page", ["configuration", "metrics"])
def test_docs_are_printed(run, page):
    assert run("--print-docs", page).stdout.startswith("# ")
    fails(run("--print-docs", "nonsense"), "configuration or metrics")


# -- --check -----------------------------------------------------------------------------------------------------------------

def test_check_of_a_good_file(run, conf):
    done = run("--config", conf(), "--check")
    assert done.returncode == 0 and "sluice.yaml" in done.stdout and not done.stderr
    assert run("--dev", "--check").returncode == 0
    assert run("--check", env={"SLUICE_CONFIG": conf()}).returncode == 0
    assert run("--dev", "--check", env={"SLUICE_CONFIG": ""}).returncode == 0


def test_check_of_the_example(run, tmp_path, keys):
    with open(os.path.join(ROOT, "examples", "learning.yaml"), encoding="utf-8") as f:
        example = yaml.safe_load(f)
    example["auth"]["issuers"][0]["jwks"] = keys.jwks_path
    (tmp_path / "learning.yaml").write_text(yaml.safe_dump(example))
    done = run("--config", "learning.yaml", "--check")
    assert done.returncode == 0, done.stderr


ISSUERS = "auth:\n  issuers:\n    - {issuer: i, algorithms: [HS256], key: KEY}\n"
WRONG = [
    ("kafka:\n  brokerz: a:1\n", 2, ["kafka.brokerz", "unknown key", "did you mean brokers"]),
    ("limits:\n  rooms: many\n", 2, ["limits.rooms", '"many"', "integer"]),
    ("limits:\n  rooms: 0\n", 2, ["limits.rooms", "from 1 to"]),
    ("ws:\n  heartbeat_s: 1.5\n", 2, ["ws.heartbeat_s"]),
    ("kafka:\n  ssl: maybe\n", 2, ["kafka.ssl", "true or false"]),
    ("log:\n  level: loud\n", 2, ["log.level", "debug"]),
    ("log:\n  level: info\n  level: warn\n", 3, ["level", "line 2"]),
    ("log: [a]\n", 1, ["log"]),
    ("nonsense: 1\n", 1, ["nonsense", "unknown key"]),
    ("a: b: c\n", 1, []),
    ("\tlog: x\n", 1, []),
    ("rooms:\n  - {pattern: 'nocolon{', join: any}\n", 2, ["rooms[0]", "pattern"]),
    ("rooms:\n  - {pattern: 'a:{id}', join: {claim: x, contains: '{other}'}}\n", 2, ["other"]),
    ("rooms:\n  - {pattern: 'a:{id}', join: any, presense: true}\n", 2, ["rooms[0]", "presense"]),
    ("routes:\n  - {topics: [t], event: e, rooms: 'a:{valeu.x}'}\n", 2, ["routes[0].rooms", "valeu.x"]),
    ("routes:\n  - {topics: ['^('], event: e, rooms: 'a:1'}\n", 2, ["routes[0].topics"]),
    ("routes:\n  - {topics: [t], rooms: 'a:1'}\n", 2, ["routes[0]", "event"]),
    ("actions:\n  - {name: x}\n", 2, ["actions[0]", "topic"]),
    ("actions:\n  - {name: x, topic: t, rate: fast}\n", 2, ["rate"]),
    ("actions:\n  - {name: x, topic: t, fields: {a: text}}\n", 2, ["fields", "text"]),
    ("actions:\n  - {name: x, topic: t}\n  - {name: x, topic: u}\n", 3, ["x"]),
    ("origins: ['https://a.example.com/path']\n", 1, ["origins"]),
    ("proxies: ['10.0.0.0/99']\n", 1, ["proxies"]),
    ("kafka:\n  properties: {no.such.thing: 1}\n", 2, ["no.such.thing"]),
    ("kafka:\n  properties: {group.id: x}\n", 2, ["group.id"]),
    ("tls: {cert: a.pem}\n", 1, ["tls"]),
]


@pytest.mark.parametrize("text, line, pieces", WRONG, ids=range(len(WRONG)))
def test_check_says_file_line_and_key(run, conf, keys, text, line, pieces):
    path = conf(text + ISSUERS.replace("KEY", keys.path("hs256.secret")))
    told = fails(run("--config", path, "--check"), *pieces)
    assert re.search(rf"sluice\.yaml:{line}\b", told), told
    fails(run("--config", path, "--listen", "127.0.0.1:0"), *pieces)  # and it does not start


@pytest.mark.parametrize("issuer, pieces", [
    ("{issuer: i, algorithms: [HS256]}", ["key", "jwks"]), ("{issuer: i, algorithms: [none], key: KEY}", ["none"]), ("{issuer: i, algorithms: [], key: KEY}", ["algorithms"]),
    ("{issuer: i, algorithms: [HS256], key: /no/such/file}", ["/no/such/file"]), ("{issuer: i, algorithms: [RS256], key: KEY}", ["hs256.secret"]),
    ("{issuer: i, algorithms: [HS256, RS256], key: KEY}", ["algorithms"]), ("{issuer: i, algorithms: [HS256], key: PUB}", []),
])
def test_check_of_issuers(run, conf, keys, issuer, pieces):
    text = issuer.replace("KEY", keys.path("hs256.secret")).replace("PUB", keys.path("rsa.pub.pem"))
    told = fails(run("--config", conf(f"auth:\n  issuers:\n    - {text}\n"), "--check"), *pieces)
    assert keys.secret not in told


def test_no_configuration_at_all(run):
    fails(run("--check"), "auth.issuers", "--dev")
    fails(run("--config", "nowhere.yaml", "--check"), "nowhere.yaml")
    fails(run("--config", ".", "--check"))


# -- --print-config --------------------------------------------------------------------------------------------------------------

def test_print_config_masks_secrets(run, conf, keys):
    path = conf(kafka={"enabled": True, "username": "u", "password": "first-secret",
                       "properties": {"ssl.key.password": "second-secret", "compression.type": "lz4"}})
    for env, secret in (({}, "first-secret"), ({"KAFKA_PASSWORD": "third-secret"}, "third-secret"), ({"SLUICE_KAFKA_PASSWORD": "fourth-secret"}, "fourth-secret")):
        done = run("--config", path, "--print-config", env=env)
        assert done.returncode == 0 and "-secret" not in done.stdout + done.stderr, secret
        assert keys.secret not in done.stdout
        printed = yaml.safe_load(done.stdout)
        assert printed["kafka"]["password"] == "********" and printed["kafka"]["properties"] == {"ssl.key.password": "********", "compression.type": "lz4"}


def test_print_config_is_a_configuration_and_says_where_from(run, conf, tmp_path):
    conf(limits={"rooms": 11, "connections": 12, "in_flight": 13})
    done = run("--config", "sluice.yaml", "--print-config", "--limits-connections", "22", env={"SLUICE_LIMITS_IN_FLIGHT": "33"})
    for piece in (r"rooms: 11 .*sluice\.yaml:\d+", r"connections: 22 .*--limits-connections", r"in_flight: 33 .*SLUICE_LIMITS_IN_FLIGHT"):
        assert re.search(piece, done.stdout), piece
    (tmp_path / "again.yaml").write_text(done.stdout)
    again = run("--config", "again.yaml", "--print-config")
    assert again.returncode == 0 and yaml.safe_load(again.stdout) == yaml.safe_load(done.stdout)


def test_later_beats_earlier(run, conf):
    path = conf(kafka={"enabled": True, "client_id": "file"})
    given = [({}, [], "file"), ({"KAFKA_CLIENT_ID": "kafka"}, [], "kafka"), ({"KAFKA_CLIENT_ID": "kafka", "SLUICE_KAFKA_CLIENT_ID": "sluice"}, [], "sluice"),
             ({"KAFKA_CLIENT_ID": "kafka", "SLUICE_KAFKA_CLIENT_ID": "sluice"}, ["--kafka-client-id", "flag"], "flag"), ({"KAFKA_CLIENT_ID": ""}, [], "file")]
    for env, flags, want in given:
        assert yaml.safe_load(run("--config", path, "--print-config", *flags, env=env).stdout)["kafka"]["client_id"] == want


def test_kafka_variables_of_existing_services(run, conf):
    env = {"KAFKA_ENABLED": "true", "KAFKA_BROKERS": "b1:9093,b2:9093", "KAFKA_CLIENT_ID": "realtime-service", "KAFKA_GROUP_ID": "g", "KAFKA_SSL": "TRUE", "KAFKA_USERNAME": "u",
           "KAFKA_PASSWORD": "p-secret", "KAFKA_CONNECTION_TIMEOUT": "3000", "KAFKA_REQUEST_TIMEOUT": "26000", "KAFKA_RETRY_INITIAL_RETRY_TIME": "150",
           "KAFKA_RETRY_RETRIES": "9", "KAFKA_SOMETHING_ELSE": "ignored"}
    done = run("--config", conf(), "--print-config", env=env)
    kafka = yaml.safe_load(done.stdout)["kafka"]
    want = {"enabled": True, "brokers": "b1:9093,b2:9093", "client_id": "realtime-service", "group_id": "g", "ssl": True, "username": "u", "password": "********",
            "connection_timeout_ms": 3000, "request_timeout_ms": 26000, "retry_initial_ms": 150, "retries": 9}
    assert {k: kafka[k] for k in want} == want and "p-secret" not in done.stdout
    assert "producer.security.protocol=SASL_SSL" in done.stdout and "producer.bootstrap.servers=b1:9093,b2:9093" in done.stdout
    fails(run("--config", conf(), "--check", env={"KAFKA_CONNECTION_TIMEOUT": "soon"}), "KAFKA_CONNECTION_TIMEOUT", '"soon"')
    fails(run("--config", conf(), "--check", env={"KAFKA_SSL": "perhaps"}), "KAFKA_SSL")


# -- wrong flags and variables -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("args, pieces", [
    (["--nope"], ["--nope", "unknown flag", "--help"]), (["--nope", "1"], ["--nope"]), (["serve"], ["--help"]), (["--limits-rooms"], ["--limits-rooms", "value"]),
    (["--limits-rooms", "0"], ["--limits-rooms", '"0"', "from 1 to"]), (["--limits-rooms", "1e3"], ["--limits-rooms"]), (["--config"], ["--config"]),
    (["--kafka-enabled", "2"], ["--kafka-enabled"]), (["--log-level", "LOUD"], ["--log-level"]), (["--listen", "nonsense"], ["listen"]), (["--listen", "127.0.0.1:99999"], ["listen"]),
    (["--origins", "not an origin"], ["origins"]), (["--limits_rooms", "5"], ["--limits_rooms"]),
])
def test_wrong_flags(run, args, pieces):
    fails(run("--dev", *args, timeout=10), *pieces)


def test_unknown_variables(run, conf):
    fails(run("--config", conf(), "--check", env={"SLUICE_LIMTIS_ROOMS": "5"}), "SLUICE_LIMTIS_ROOMS")
    assert run("--config", conf(), "--check", env={"SLUICE_SERVICE_HOST": "10.0.0.1", "SLUICE_PORT": "tcp://10.0.0.1:80"}).returncode == 0, "Kubernetes sets those"


def test_a_port_that_is_taken(sluice, keys, run, conf):
    gw = sluice(offline(keys))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        for port in (gw.port, other.getsockname()[1]):
            fails(run("--config", conf(), "--listen", f"127.0.0.1:{port}"), f"127.0.0.1:{port}", "another process has this port", "--listen").count("\n")
    assert gw.get("/healthz").status == 200


def test_an_address_that_is_not_ours(run, conf):
    fails(run("--config", conf(), "--listen", "203.0.113.1:0"), "203.0.113.1")


def test_ipv6(sluice, keys, token):
    if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("no IPv6 here")
    gw = sluice(offline(keys), listen="[::1]:0")
    assert gw.host == "[::1]" and gw.get("/healthz").status == 200
    assert gw.connect(token("ada"), origin=gw.url).welcome["user"] == "ada"


# -- Kafka off ---------------------------------------------------------------------------------------------------------------------

def test_kafka_off(sluice, keys, token):
    config = offline(keys, kafka={"enabled": True, "brokers": "127.0.0.1:1"}, actions=[{"name": "x", "topic": "t"}])
    gw = sluice(config, env={"KAFKA_ENABLED": "false"})
    assert json.loads(gw.get("/readyz").body) == {"ready": True, "kafka": "off", "draining": False} and gw.get("/readyz").status == 200
    c = gw.connect(token())
    assert c.recv_until({"type": "status"}) == {"type": "status", "kafka": "off"}
    assert c.join("open:1")["type"] == "joined"
    answer = c.action("x")
    assert answer["code"] == "unavailable" and answer["retry"] is True and "off" in answer["message"]
    assert gw.logs(event="kafka.off"), "and the log says so"
    assert gw.metrics()["sluice_kafka_up"] == 0


def test_kafka_that_is_not_there_does_not_stop_the_gateway(sluice, keys, token):
    gw = sluice(offline(keys, kafka={"enabled": True, "brokers": "127.0.0.1:1", "health_interval_ms": 100, "down_grace_ms": 200}, producer={"timeout_ms": 500},
                        actions=[{"name": "x", "topic": "t"}]))
    assert gw.get("/healthz").status == 200 and gw.get("/readyz").status == 503
    c = gw.connect(token())
    assert c.recv_until({"type": "status"})["kafka"] == "down"
    assert c.action("x")["code"] == "unavailable"


# -- sluice token ----------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512"])
def test_token_is_right_to_pyjwt(run, keys, alg):
    claims = {"sessions": ["42"], "iss": ISSUER, "aud": AUDIENCE, "n": {"deep": [1, None, "ü"]}}
    done = run("token", "--sub", "ada", "--ttl", "60", "--alg", alg, "--key", keys.key_path(alg, public=False), "--claims", json.dumps(claims))
    assert done.returncode == 0, done.stderr
    key = keys.secret if alg.startswith("HS") else open(keys.key_path(alg), encoding="ascii").read()  # noqa: SIM115
    got = jwt.decode(done.stdout.strip(), key, algorithms=[alg], audience=AUDIENCE, issuer=ISSUER)
    assert got["sub"] == "ada" and {k: got[k] for k in claims} == claims and got["exp"] - got["iat"] == 60 and abs(got["iat"] - time.time()) < 20


def test_the_gateway_takes_its_own_tokens(sluice, keys, run):
    gw = sluice(offline(keys, keys.issuer("ES256")))
    done = run("token", "--sub", "ada", "--alg", "ES256", "--key", keys.key_path("ES256", public=False), "--claims", json.dumps({"iss": ISSUER, "aud": AUDIENCE}))
    assert gw.connect(done.stdout.strip()).welcome["user"] == "ada"


@pytest.mark.parametrize("args", [[], ["--sub"], ["--sub", "a", "--ttl", "0"], ["--sub", "a", "--ttl", "-5"], ["--sub", "a", "--ttl", "5x"], ["--sub", "a", "--ttl", "99999999999999999999"],
                                  ["--sub", "a", "--claims", "[1]"], ["--sub", "a", "--claims", "{"], ["--sub", "a", "--alg", "RS256"], ["--sub", "a", "--alg", "none"],
                                  ["--sub", "a", "--alg", "HS256", "--key", "/no/such/file"], ["--sub", "a", "--more", "x"], ["a"]])
def test_token_that_cannot_be_made(run, args):
    done = run("token", *args)
    assert done.returncode == 1 and not done.stdout and done.stderr.startswith("sluice")


def test_a_key_of_the_wrong_sort_makes_no_token(run, keys):
    for alg, key in (("RS256", "ec256.pem"), ("ES256", "rsa.pem"), ("ES384", "ec256.pem"), ("RS256", "rsa.pub.pem")):
        fails(run("token", "--sub", "a", "--alg", alg, "--key", keys.path(key)))


# -- --dev ---------------------------------------------------------------------------------------------------------------------------

def test_dev_says_where_it_is(embedded):
    assert re.fullmatch(r"127\.0\.0\.1:\d+", embedded.brokers) and embedded.host == "127.0.0.1" and embedded.port > 0
    assert embedded.records.partitions("session-notifications") == [0, 1, 2, 3]
    assert embedded.get("/readyz").status == 200, "LISTEN= means ready"


def test_the_development_key_is_the_owners_alone(embedded):
    directory = os.path.join(embedded.directory, ".sluice-dev")
    key = os.path.join(directory, "hs256.secret")
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o600 and stat.S_IMODE(os.stat(directory).st_mode) == 0o700
    assert os.listdir(directory) == ["hs256.secret"] and os.path.getsize(key) >= 32


def test_two_nodes_share_the_key_and_the_broker(embedded):
    two = Sluice(embedded.directory, ["--dev"], env={"KAFKA_BROKERS": embedded.brokers, "SLUICE_DEV_FEED": "false"})
    two.starts = 10  # its log stands beside the other's
    try:
        assert two.start().brokers == embedded.brokers
        token = embedded.dev_token("ada", sessions=["42"])
        a, b = embedded.connect(token), two.connect(token)
        for c in (a, b):
            c.join("session:42")
        assert a.action("session.chat", "session:42", {"message": "to both"})["type"] == "ack"
        for c in (a, b):
            assert c.recv_until({"type": "event", "event": "session.chat"})["data"]["data"]["message"] == "to both"
    finally:
        two.finish()


def test_nodes_that_start_together_agree_on_one_key(tmp_path):
    started = [subprocess.Popen([binary(), "token", "--sub", f"u{n}"], cwd=tmp_path, env=environment({}), stdout=subprocess.PIPE, text=True) for n in range(12)]
    tokens = [p.communicate(timeout=20)[0].strip() for p in started]
    secret = (tmp_path / ".sluice-dev" / "hs256.secret").read_text()
    assert sorted(jwt.decode(t, secret, algorithms=["HS256"])["sub"] for t in tokens) == sorted(f"u{n}" for n in range(12))


def test_dev_with_a_configuration_of_ones_own(sluice):
    gw = sluice({"rooms": [{"pattern": "mine:{id}", "join": "any"}], "routes": [{"topics": ["t"], "event": "e", "rooms": "mine:{value.id}"}]}, dev=True)
    c = gw.user("ada")
    c.join("mine:1")
    gw.records.produce("t", {"id": 1})
    assert c.recv_until({"type": "event"})["event"] == "e"
