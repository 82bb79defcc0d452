"""TLS by the gateway itself, with the development certificates of certs/make-certs.sh."""
import json
import os
import socket
import ssl
import subprocess
import urllib.request

import pytest
from lib.certs import make_certs
from lib.client import Client
from lib.gateways import borrowed, offline, shared
from lib.process import binary
from lib.raw import TEXT, Raw, frame

@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return make_certs(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="module")
def node(tmp_path_factory, keys, certs):
    yield from shared(tmp_path_factory, config=offline(keys, tls={"cert": str(certs / "server.pem"), "key": str(certs / "server.key")}))


@pytest.fixture
def gw(node):
    yield from borrowed(node)


@pytest.fixture
def context(certs):
    return ssl.create_default_context(cafile=str(certs / "ca.pem"))


def secure(gw):
    return f"wss://localhost:{gw.port}/ws"


def get(gw, context, path):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    with opener.open(f"https://localhost:{gw.port}{path}", timeout=5) as r:
        return r.status, r.read().decode()


def test_the_script_keeps_what_is_good_and_keys_are_private(tmp_path):
    first = {p.name: p.read_bytes() for p in make_certs(tmp_path / "c").iterdir()}
    again = {p.name: p.read_bytes() for p in make_certs(tmp_path / "c").iterdir()}
    assert set(first) == {"ca.pem", "ca.key", "server.pem", "server.key"} and first == again
    for name in ("ca.key", "server.key"):
        assert (tmp_path / "c" / name).stat().st_mode & 0o077 == 0
    (tmp_path / "c" / "server.key").write_text("broken")
    assert make_certs(tmp_path / "c").joinpath("server.key").read_bytes() not in (first["server.key"], b"broken")


def test_https(gw, context):
    assert get(gw, context, "/healthz") == (200, '{"status":"ok"}\n')
    assert json.loads(get(gw, context, "/readyz")[1])["ready"] is True
    assert "sluice_connections" in get(gw, context, "/metrics")[1]
    with Raw(gw, ssl=context) as raw:
        for _ in range(3):
            assert raw.get("/version").status == 200


def test_wss(gw, context, token):
    client = Client.connect(secure(gw), token("ada"), ssl=context, origin=f"https://localhost:{gw.port}")
    gw.clients.append(client)
    assert client.welcome["user"] == "ada" and client.join("open:1")["type"] == "joined"
    client.ping(b"over TLS")
    big = {"type": "ping", "id": "x" * 64}
    client.send(*[big] * 40)
    client.wait_count({"type": "pong"}, 40)
    assert client.close().code == 1000


def test_a_message_in_single_tls_records(gw, context, token):
    with Raw.open(gw, token("ada"), ssl=context) as raw:
        for byte in frame(TEXT, '{"type":"ping","id":1}'):
            raw.send(bytes([byte]))
        assert raw.until(id=1)["type"] == "pong"


def test_events_of_any_size_over_tls(sluice, certs, context):
    gw = sluice(dev=True, args=["--tls-cert", str(certs / "server.pem"), "--tls-key", str(certs / "server.key")])
    with Raw.open(gw, gw.dev_token("ada"), ssl=context) as raw:
        for size in (1, 100, 125, 126, 16384, 65535, 65536, 300000):
            gw.records.produce("concept-notifications", {"conceptId": "c", "userIds": ["ada"], "conceptName": "x" * size, "masteryLevel": 1})
            assert len(raw.until(type="event")["data"]["conceptName"]) == size
        many = [("k", {"conceptId": "c", "userIds": ["ada"], "conceptName": "y" * (n % 700), "masteryLevel": n / 1000}) for n in range(1000)]
        gw.records.produce_many("concept-notifications", many)
        assert [round(raw.until(type="event")["data"]["masteryLevel"] * 1000) for _ in range(1000)] == list(range(1000))


def test_a_slow_reader_over_tls(sluice, certs, context):
    gw = sluice(dev=True, args=["--tls-cert", str(certs / "server.pem"), "--tls-key", str(certs / "server.key")])
    with Raw.open(gw, gw.dev_token("ada"), ssl=context, rcvbuf=4096) as raw:
        sent = 0
        while metric(gw, context, "sluice_outbox_bytes") < 30_000:
            assert sent < 5000
            gw.records.produce_many("concept-notifications", [("k", {"conceptId": "c", "userIds": ["ada"], "conceptName": "z" * 400, "masteryLevel": (sent + n) / 10000})
                                                              for n in range(100)])
            sent += 100
            gw.wait_until(lambda: metric(gw, context, "sluice_deliveries_total") >= sent, 5, "deliveries")  # noqa: B023
        assert [round(raw.until(type="event")["data"]["masteryLevel"] * 10000) for _ in range(sent)] == list(range(sent))


def metric(gw, context, name):
    return next(float(line.split()[1]) for line in get(gw, context, "/metrics")[1].splitlines() if line.startswith(name + " "))


def test_only_our_own_ca_is_trusted_and_names_must_match(gw, certs):
    with pytest.raises(ssl.SSLCertVerificationError):
        Raw(gw, ssl=ssl.create_default_context())
    strict = ssl.create_default_context(cafile=str(certs / "ca.pem"))
    with socket.create_connection((gw.host, gw.port)) as s, pytest.raises(ssl.SSLCertVerificationError):
        strict.wrap_socket(s, server_hostname="sluice.example.com")


@pytest.mark.filterwarnings("ignore:ssl:DeprecationWarning")
def test_old_protocols_are_refused(gw, certs):
    context = ssl.create_default_context(cafile=str(certs / "ca.pem"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        Raw(gw, ssl=context)
    new = ssl.create_default_context(cafile=str(certs / "ca.pem"))
    with Raw(gw, ssl=new) as raw:
        assert raw.socket.version() in ("TLSv1.2", "TLSv1.3")


def test_http_2_is_not_offered(gw, certs):
    context = ssl.create_default_context(cafile=str(certs / "ca.pem"))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with Raw(gw, ssl=context) as raw:
        assert raw.socket.selected_alpn_protocol() in (None, "http/1.1")
        assert raw.get("/healthz").status == 200


def test_plain_text_to_the_tls_port_is_closed(gw, context):
    with Raw(gw) as raw:
        raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" not in raw.read_to_end(8)
    assert get(gw, context, "/healthz")[0] == 200


@pytest.mark.parametrize("cert, key", [("server.pem", "ca.key"), ("nowhere.pem", "server.key"), ("server.key", "server.key"), ("server.pem", "nowhere.key")])
def test_a_pair_that_does_not_fit_is_said_at_the_start(sluice, keys, certs, tmp_path, cert, key):
    config = offline(keys, tls={"cert": str(certs / cert), "key": str(certs / key)})
    with pytest.raises(AssertionError, match=rf"exit 1(.|\n)*tls\.(.|\n)*{certs}"):
        sluice(config)
    path = os.path.join(str(tmp_path), "c.yaml")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(config, f)
    done = subprocess.run([binary(), "--config", path, "--check"], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1 and "tls." in done.stderr, "--check says it too"


def test_a_key_with_a_passphrase_is_refused_without_asking(sluice, keys, certs, tmp_path):
    locked = tmp_path / "locked.key"
    subprocess.run(["openssl", "pkey", "-in", str(certs / "server.key"), "-aes256", "-passout", "pass:x", "-out", str(locked)], check=True, timeout=20)
    with pytest.raises(AssertionError, match=r"exit 1(.|\n)*tls\.key"):
        sluice(offline(keys, tls={"cert": str(certs / "server.pem"), "key": str(locked)}))
