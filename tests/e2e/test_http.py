"""Plain HTTP on the same port: health, metrics, version, static files, development pages; and what must not get out."""
import json
import math
import os
import re
import shutil
import signal
import subprocess

import jwt
import pytest
from lib.gateways import borrowed, offline, shared
from lib.process import ROOT, binary, environment
from lib.raw import Raw

SECRET = "what nobody may read"
FILES = {"index.html": b"<!doctype html><title>x</title>", "a.css": b"a{}", "js/app.js": b"export {}", "js/deep/er/m.mjs": b"export {}", "data.json": b"{}", "i.svg": b"<svg/>",
         "t.txt": "grüß".encode(), "p.png": b"\x89PNG", "f.ico": b"\0", "w.woff2": b"\0", "unknown.bin": bytes(range(256)), "empty.txt": b"", "big.txt": b"0123456789" * 60000,
         "with space.txt": b"space", "ü.txt": b"umlaut", ".hidden": SECRET.encode(), ".git/config": SECRET.encode(), "noext": b"plain"}
TYPES = {"index.html": "text/html; charset=utf-8", "a.css": "text/css; charset=utf-8", "js/app.js": "text/javascript; charset=utf-8",
         "js/deep/er/m.mjs": "text/javascript; charset=utf-8", "data.json": "application/json", "i.svg": "image/svg+xml", "t.txt": "text/plain; charset=utf-8",
         "p.png": "image/png", "unknown.bin": "application/octet-stream", "noext": "application/octet-stream", "w.woff2": "font/woff2"}


@pytest.fixture(scope="module")
def node(tmp_path_factory, keys):
    top = tmp_path_factory.mktemp("site")
    for name, content in FILES.items():
        path = top / "static" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (top / "secret.txt").write_text(SECRET)
    (top / "static-other").mkdir()
    (top / "static-other" / "x.txt").write_text(SECRET)
    yield from shared(tmp_path_factory, config=offline(keys, http={"static_dir": str(top / "static")}))


@pytest.fixture
def gw(node):
    yield from borrowed(node)


@pytest.fixture(scope="module")
def dev_node(tmp_path_factory):
    yield from shared(tmp_path_factory, ["--dev", "--http-static-dir", os.path.join(ROOT, "web-demo")])


@pytest.fixture
def dev(dev_node):
    yield from borrowed(dev_node)


# -- health ----------------------------------------------------------------------------------------------------------------

def test_healthz(gw):
    answer = gw.get("/healthz")
    assert answer.status == 200 and json.loads(answer.body) == {"status": "ok"} and answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"


def test_version(gw):
    version = json.loads(gw.get("/version").body)
    assert set(version) == {"name", "version", "protocol"} and version["name"] == "sluice" and version["protocol"] == "sluice.v1"
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", version["version"])


def test_readyz_with_kafka(dev):
    answer = dev.get("/readyz")
    assert answer.status == 200 and json.loads(answer.body) == {"ready": True, "kafka": "up", "draining": False}


def test_readyz_without_kafka(gw):
    answer = gw.get("/readyz")
    assert answer.status == 200 and json.loads(answer.body) == {"ready": True, "kafka": "off", "draining": False}


def test_readyz_when_kafka_goes_and_comes(sluice):
    broker = sluice(dev=True)
    gw = sluice(dev=True, env={"KAFKA_BROKERS": broker.brokers}, args=["--kafka-health-interval-ms", "100", "--kafka-down-grace-ms", "400"]).wait_ready()
    c = gw.user("ada")
    broker.signal(signal.SIGSTOP)
    try:
        gw.wait_until(lambda: gw.get("/readyz").status == 503, 8, "readyz 503")
        assert json.loads(gw.get("/readyz").body) == {"ready": False, "kafka": "down", "draining": False}
        assert gw.get("/healthz").status == 200, "it lives all the same"
        c.recv_until({"type": "status", "kafka": "down"})
        assert {"type": "status", "kafka": "down"} in [gw.user("bob").recv_until({"type": "status"})], "newcomers are told too"
        assert gw.metrics()["sluice_kafka_up"] == 0
    finally:
        broker.signal(signal.SIGCONT)
    c.recv_until({"type": "status", "kafka": "up"}, 10)
    gw.wait_ready()
    assert gw.metrics()["sluice_kafka_up"] == 1


def test_readyz_while_draining(sluice, keys):
    gw = sluice(offline(keys, drain={"delay_ms": 20000}))
    gw.signal(signal.SIGTERM)
    gw.wait_until(lambda: gw.get("/readyz").status == 503, 3, "readyz 503")
    assert json.loads(gw.get("/readyz").body) == {"ready": False, "kafka": "off", "draining": True}
    assert gw.get("/healthz").status == 200
    gw.stop(10)  # a second signal cuts the delay short


# -- metrics ----------------------------------------------------------------------------------------------------------------

def parse_strictly(text):
    """The Prometheus text format 0.0.4, stricter than most parsers: returns {family: (type, {labels: value})}."""
    assert text.endswith("\n") and "\r" not in text
    families, current, seen = {}, None, set()
    for line in text.split("\n")[:-1]:
        assert line == line.strip() and line, f"blank: {line!r}"
        if line.startswith("# HELP "):
            current = re.fullmatch(r"# HELP ([a-z][a-z0-9_]*) (\S.*)", line).group(1)
            assert current not in families, f"{current} comes twice"
            families[current] = [None, {}]
        elif line.startswith("# TYPE "):
            name, kind = re.fullmatch(r"# TYPE ([a-z][a-z0-9_]*) (counter|gauge|histogram)", line).groups()
            assert name == current and families[name] == [None, {}], f"TYPE of {name} not right behind its HELP"
            families[name][0] = kind
        else:
            name, labels, value = re.fullmatch(r"([a-z][a-z0-9_]*)(\{[^\n]*\})? (\S+)", line).groups()
            kind = families[current][0]
            ends = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            assert name in [current + e for e in ends], f"{name} under {current}"
            pairs = tuple(re.findall(r'([a-z_]+)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|(?=\}))', labels or ""))
            assert (labels or "{}") == "{" + ",".join(f'{k}="{v}"' for k, v in pairs) + "}" and len({k for k, _ in pairs}) == len(pairs), line
            assert (name, frozenset(pairs)) not in seen, f"{line} comes twice"
            seen.add((name, frozenset(pairs)))
            families[current][1][(name, pairs)] = float(value)
    for name, (kind, samples) in families.items():
        check_family(name, kind, samples)
    return families


def check_family(name, kind, samples):
    assert kind, f"{name} has no TYPE"
    assert name.startswith("sluice_")
    assert (kind == "counter") == name.endswith("_total"), f"{name} is a {kind}"
    assert all(not math.isnan(v) and (v >= 0 or kind == "gauge") for v in samples.values()), samples
    if kind == "histogram":
        buckets = [(dict(labels)["le"], v) for (n, labels), v in samples.items() if n.endswith("_bucket")]
        assert buckets[-1][0] == "+Inf" and buckets[-1][1] == samples[(name + "_count", ())]
        assert [float(le) for le, _ in buckets] == sorted(float(le) for le, _ in buckets)
        assert [v for _, v in buckets] == sorted(v for _, v in buckets), "buckets are cumulative"


def test_metrics_are_strict_prometheus_text(dev):
    c = dev.user("ada", sessions=["1"])
    c.join("session:1")
    assert c.action("session.chat", "session:1", {"message": "x"})["type"] == "ack"
    c.recv_until({"type": "event"})
    answer = dev.get("/metrics")
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = parse_strictly(answer.body)
    values = {f"{n}{dict(labels) or ''}": v for _, samples in families.values() for (n, labels), v in samples.items()}
    assert values["sluice_connections"] == 1 and values["sluice_actions_total{'result': 'acked'}"] >= 1
    assert values["sluice_delivery_seconds_count"] >= 1 and values["sluice_events_read_total"] >= 1
    assert any(n.startswith("sluice_consumer_lag{'topic': 'session-actions'") for n in values)


def test_counters_never_go_down(dev):
    def counters():
        return {(n, labels): v for kind, samples in parse_strictly(dev.get("/metrics").body).values() if kind != "gauge" for (n, labels), v in samples.items()}
    before = counters()
    for n in range(3):
        c = dev.user(f"u{n}")
        c.send_text("{")
        c.recv_until({"type": "error"})
        dev.records.produce("concept-notifications", {"bad": 1})
    after = counters()
    assert all(after[k] >= v for k, v in before.items()) and set(before) <= set(after)
    assert after[("sluice_connections_opened_total", ())] == before[("sluice_connections_opened_total", ())] + 3


def test_metrics_without_kafka(gw):
    families = parse_strictly(gw.get("/metrics").body)
    assert families["sluice_build_info"][1] and families["sluice_kafka_up"][1][("sluice_kafka_up", ())] == 0


def test_the_metrics_page_of_the_docs_names_every_family(dev):
    with open(os.path.join(ROOT, "docs", "metrics.md"), encoding="utf-8") as f:
        documented = set(re.findall(r"^\| `(sluice_\w+)`", f.read(), re.M))
    served = set(parse_strictly(dev.get("/metrics").body))
    assert served <= documented


# -- static files ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", [n for n in FILES if not n.startswith(".")])
def test_a_file(gw, name):
    path = "/" + "".join(c if c.isalnum() and c.isascii() or c in "./" else "".join(f"%{b:02X}" for b in c.encode()) for c in name)
    with Raw(gw) as raw:
        answer = raw.get(path)
        assert answer.status == 200 and answer.body == FILES[name]
        assert name not in TYPES or answer.header("Content-Type") == TYPES[name]
        tag = answer.header("ETag")
        assert re.fullmatch(r'"[0-9a-f]{32}"', tag) and answer.header("Cache-Control") == "no-cache"
        same = raw.get(path, headers=[f"If-None-Match: {tag}"])
        assert same.status == 304 and same.header("ETag") == tag and same.body == b""
        assert raw.get(path, headers=['If-None-Match: "0"']).status == 200
        head = raw.get(path, method="HEAD")
        assert head.status == 200 and int(head.header("Content-Length")) == len(FILES[name]) and head.header("ETag") == tag
        assert raw.get("/healthz").status == 200, "HEAD and 304 sent no body: the next answer stands where it should"


def test_the_root_is_the_index(gw):
    with Raw(gw) as raw:
        assert raw.get("/").body == FILES["index.html"] and raw.get("/?a=b").body == FILES["index.html"]


@pytest.mark.parametrize("path", ["/nothing", "/js", "/js/", "/index.html/", "/INDEX.HTML", "/index.htm", "/.hidden", "/.git/config", "/js/app.js/x", "/healthz/", "/metricsx", "/dev/people",
                                  "/dev/token?user=u1"])
def test_what_is_not_there(gw, path):
    answer = gw.get(path)
    assert answer.status == 404 and SECRET not in answer.body


ESCAPES = ["/../secret.txt", "/../../../../../../etc/passwd", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/%2e%2e%2fsecret.txt", "/%252e%252e/secret.txt", "/..\\secret.txt",
           "/..%5csecret.txt", "/js/../../secret.txt", "/js/%2e%2e/%2e%2e/secret.txt", "//secret.txt", "///etc/passwd", "//../secret.txt", "/./../secret.txt", "/.../secret.txt",
           "/....//secret.txt", "/%c0%ae%c0%ae/secret.txt", "/../static-other/x.txt", "/a.css%00", "/%00", "/a.css%00.html", "/a.css%", "/%", "/%zz", "/%2", "/js//app.js",
           "file:///etc/passwd", "http://other.example.com/secret.txt", "*", "secret.txt", "/;/../secret.txt", "/\xff", "/a.css\t", "/" + "a" * 8000, "/.//.hidden", "/%2ehidden"]


@pytest.mark.parametrize("path", ESCAPES, ids=range(len(ESCAPES)))
def test_paths_that_try_to_get_out(gw, path):
    with Raw(gw) as raw:
        raw.send(b"GET " + path.encode("latin-1") + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        try:
            data = raw.read_to_end(1)
        except TimeoutError:  # kept open
            data = raw.buffer
    assert SECRET.encode() not in data and b"root:" not in data
    assert re.match(rb"HTTP/1.[01] (400|403|404) |$", data) or b"a{}" in data or b"export {}" in data or FILES["index.html"] in data, data[:300]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods(gw, method):
    for path in ("/healthz", "/index.html", "/metrics"):
        with Raw(gw) as raw:
            raw.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi".encode())
            answer = raw.response()
            assert answer.status == 405 and answer.header("Allow") == "GET, HEAD"


def test_methods_that_nobody_knows(gw):
    for method in ("BREW", "TRACE", "CONNECT", "GETT"):
        with Raw(gw) as raw:
            raw.send(f"{method} /healthz HTTP/1.1\r\nHost: x\r\n\r\n".encode() + b"x" * 1000)
            assert b" 200 " not in raw.read_to_end(3)


# -- headers, connections ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/nothing", "/ws", "/t.txt"])
def test_security_headers(gw, path):
    with Raw(gw) as raw:
        answer = raw.get(path)
        policy = dict(part.strip().split(" ", 1) for part in answer.header("Content-Security-Policy").split(";"))
        assert policy["default-src"] == "'none'" and policy["script-src"] == "'self'" and policy["frame-ancestors"] == "'none'" and policy["base-uri"] == "'none'"
        assert "unsafe" not in answer.header("Content-Security-Policy")
        assert answer.header("X-Content-Type-Options") == "nosniff" and answer.header("X-Frame-Options") == "DENY" and answer.header("Referrer-Policy") == "no-referrer"
        assert answer.header("Access-Control-Allow-Origin") is None
        assert answer.header("Server") is None, "the version is nobody's business here"


def test_several_requests_on_one_connection(gw):
    with Raw(gw) as raw:
        for path, status in [("/healthz", 200), ("/big.txt", 200), ("/nothing", 404), ("/metrics", 200), ("/version", 200), ("/", 200)] * 3:
            assert raw.get(path).status == status


def test_a_large_answer_to_a_slow_reader_is_whole(gw):
    with Raw(gw, rcvbuf=4096) as raw:
        raw.send(b"GET /big.txt HTTP/1.1\r\nHost: x\r\n\r\n")
        gw.get("/healthz")
        answer = raw.response()
        assert answer.body == FILES["big.txt"]
        assert raw.get("/healthz").status == 200


def test_http_1_0_and_connection_close(gw):
    with Raw(gw) as raw:
        raw.send(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert raw.response().status == 200 and raw.read_to_end(8) == b""
    with Raw(gw) as raw:
        assert raw.get("/healthz", headers=["Connection: close"]).status == 200
        assert raw.read_to_end(8) == b""


def test_many_connections_that_come_and_go(gw):
    fds = f"/proc/{gw.process.pid}/fd"
    before = len(os.listdir(fds))
    for _ in range(150):
        with Raw(gw) as raw:
            raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    gw.wait_until(lambda: len(os.listdir(fds)) <= before, 8, "closed descriptors")


# -- development pages -----------------------------------------------------------------------------------------------------------

def test_the_demo_page_and_all_that_it_names(dev):
    page = dev.get("/")
    assert page.status == 200 and page.headers["Content-Type"].startswith("text/html")
    links = re.findall(r'(?:src|href)="([^"#:]+)"', page.body)
    assert any(x.endswith(".js") for x in links) and any(x.endswith(".css") for x in links)
    for link in links:
        assert dev.get("/" + link.lstrip("./")).status == 200, link


def test_people_and_their_tokens(dev):
    people = json.loads(dev.get("/dev/people").body)
    assert len(people) >= 2 and all({"user", "name"} <= set(p) for p in people)
    for person in people:
        got = json.loads(dev.get(f"/dev/token?user={person['user']}").body)
        assert set(got) == {"token", "user", "expires"} and got["user"] == person["user"]
        claims = jwt.decode(got["token"], options={"verify_signature": False})
        assert claims["sub"] == person["user"] and abs(claims["exp"] - got["expires"]) <= 1
        assert dev.connect(got["token"]).welcome["user"] == person["user"]


def test_tokens_are_for_the_people_and_for_this_page_only(dev):
    for query in ("", "?user=", "?user=nobody", "?user=../x", "?users=u1", "?user=" + "x" * 500):
        assert dev.get("/dev/token" + query).status == 400, query
    with Raw(dev) as raw:
        raw.send(b"GET /dev/token?user=u1%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = raw.read_to_end(3)  # libwebsockets 4.1 drops the connection, 4.3 the character
        assert b"eyJ" not in answer or b'"user":"u1"' in answer
    assert dev.get("/dev/token?user=u1", headers={"Origin": dev.url}).status == 200
    for origin in ("https://evil.example.com", "null"):
        answer = dev.get("/dev/token?user=u1", headers={"Origin": origin})
        assert answer.status == 403 and "token" not in answer.body


def test_a_static_directory_that_is_not_there_is_said(tmp_path):
    missing = str(tmp_path / "nowhere")
    done = subprocess.run([binary(), "--dev", "--listen", "127.0.0.1:0", "--kafka-enabled", "false", "--http-static-dir", missing], cwd=tmp_path, env=environment({}),
                          capture_output=True, text=True, timeout=20, check=False)
    assert not re.search(r"ERROR: AddressSanitizer|runtime error:|DEADLYSIGNAL", done.stderr), done.stderr
    assert done.returncode == 1 and not done.stdout and f"http.static_dir: {missing}" in done.stderr


def test_files_are_served_as_they_were_at_the_start(sluice, keys, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("one")
    gw = sluice(offline(keys, http={"static_dir": str(site)}))
    shutil.rmtree(site)
    assert gw.get("/").body == "one"
