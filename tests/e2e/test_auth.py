"""Who may connect: every place a token may stand in, every algorithm, and the life of a token on an open connection."""
import base64
import hashlib
import hmac
import json
import time

import pytest
from lib.client import Refused
from lib.gateways import ROOMS, borrowed, offline, shared
from lib.raw import CLOSE, TEXT, Raw, close_of
from lib.tokens import AUDIENCE, ISSUER

APP = "https://app.example.com"
JWKS_ISSUER, TEAM_ROOM = "https://jwks.example.com/", {"pattern": "team:{id}", "join": {"claim": "teams", "contains": "{id}"}, "auto": True}
PEM_ALGS = ["HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512"]


def issuer_of(alg):
    return f"https://{alg.lower()}.example.com/"


@pytest.fixture(scope="module")
def node(tmp_path_factory, keys):
    config = offline(keys, keys.issuer("HS256"), keys.issuer("RS256", "ES256", "ES384", "ES512", jwks=True, issuer=JWKS_ISSUER),
                     *(keys.issuer(alg, issuer=issuer_of(alg)) for alg in PEM_ALGS),
                     auth={"cookie": "access_token", "query": "token", "timeout_ms": 300, "warn_s": 1, "leeway_s": 0},
                     origins=["self", APP], log={"level": "debug"}, rooms=[*ROOMS, TEAM_ROOM])
    yield from shared(tmp_path_factory, config=config)


@pytest.fixture
def gw(node):
    yield from borrowed(node)


@pytest.fixture(scope="module")
def plain(tmp_path_factory, keys):
    """A gateway with neither cookie nor query configured, and without the header's way."""
    yield from shared(tmp_path_factory, config=offline(keys, auth={"header": False, "timeout_ms": 200}))


def refused(gw, token, **options):
    with pytest.raises(Refused) as caught:
        gw.connect(token, **options)
    return caught.value


# -- places ------------------------------------------------------------------------------------------------------------

def test_in_the_header(gw, token):
    assert gw.connect(token("ada")).welcome["user"] == "ada"
    with Raw(gw) as raw:
        assert raw.handshake(Authorization=f"bearer {token('ada')}").status == 101, "the scheme's name has no case"


def test_in_an_auth_message(gw, token):
    c = gw.connect(token("ada"), by="auth")
    assert c.welcome["user"] == "ada" and c.welcome["id"] == 1, "the welcome answers the message"


def test_in_a_cookie_with_an_allowed_origin(gw, token):
    for origin in (APP, gw.url):
        c = gw.connect(token("ada"), by="cookie", cookie="access_token", origin=origin)
        assert c.welcome["user"] == "ada"
    others = {"Cookie": f"a=b; access_token2=x; access_token={token('eve')}; access_token=later"}
    assert gw.connect(None, headers=others, origin=APP).welcome["user"] == "eve", "the first cookie of that very name"


def test_a_cookie_without_an_origin_is_not_looked_at(gw, token):
    c = gw.connect(token("ada"), by="cookie", cookie="access_token", welcome=False)
    assert c.wait_closed(3).code == 4508


def test_a_cookie_from_a_foreign_origin_is_refused(gw, token):
    assert refused(gw, token("ada"), by="cookie", cookie="access_token", origin="https://evil.example.com").status == 403


def test_in_the_query_where_that_is_configured(gw, token):
    assert gw.connect(token("ada"), by="query").welcome["user"] == "ada"
    with Raw(gw) as raw:
        assert raw.handshake(path=f"/ws?tokens=x&token={token('eve')}").status == 101
        assert raw.message()["user"] == "eve", "another parameter that begins alike is another parameter"


def test_what_is_not_configured_is_not_looked_at(plain, token):
    clients = [plain.connect(token("ada"), by=by, welcome=False, origin=plain.url) for by in ("query", "cookie", "header")]
    for c in clients:
        assert c.wait_closed(3).code == 4508
    assert plain.connect(token("ada"), by="auth").welcome["user"] == "ada"


def test_the_header_goes_before_cookie_and_query(gw, token):
    c = gw.connect(token("ada"), headers={"Cookie": f"access_token={token('eve')}"}, origin=APP)
    assert c.welcome["user"] == "ada"
    assert refused(gw, "rubbish", headers={"Cookie": f"access_token={token('eve')}"}, origin=APP).status == 401


def test_no_token_at_all_is_closed_in_time(gw):
    before = gw.metrics().get_sum("sluice_connections_closed_total", code="4508")
    start = time.monotonic()
    closed = gw.connect(None, welcome=False).wait_closed(3)
    assert closed.code == 4508 and closed.reason and time.monotonic() - start > 0.25
    gw.wait_metric("sluice_connections_closed_total", before + 1, code="4508")


def test_a_first_message_that_is_not_auth_is_the_last(gw):
    for message in ({"type": "ping", "id": 1}, {"type": "join", "id": 1, "room": "open:1"}, {"type": "action", "id": 1, "name": "x"}):
        c = gw.connect(None, welcome=False)
        c.send(message)
        assert c.recv_until({"type": "error"})["code"] == "unauthenticated"
        assert c.wait_closed().code == 4501


# -- what is refused ---------------------------------------------------------------------------------------------------

def encode(data):
    return base64.urlsafe_b64encode(data if isinstance(data, bytes) else json.dumps(data).encode()).rstrip(b"=").decode()


def unsigned(head, **claims):
    now = int(time.time())
    return f"{encode(head)}.{encode({'sub': 'u1', 'iss': ISSUER, 'aud': AUDIENCE, 'exp': now + 300, **claims})}"


def forged_with_public_key(keys, kid):
    """The classic: the public key's text taken as an HMAC secret."""
    text = unsigned({"alg": "HS256", "typ": "JWT", **({"kid": kid} if kid else {})}, iss=issuer_of("RS256"))
    with open(keys.path("rsa.pub.pem"), "rb") as f:
        return f"{text}.{encode(hmac.new(f.read(), text.encode(), hashlib.sha256).digest())}"


def flip(token, part):
    parts = token.split(".")
    middle = len(parts[part]) // 2
    parts[part] = parts[part][:middle] + ("A" if parts[part][middle] != "A" else "B") + parts[part][middle + 1:]
    return ".".join(parts)


BAD = {
    "rubbish": lambda k: "rubbish",
    "empty parts": lambda k: "..",
    "alg none": lambda k: unsigned({"alg": "none"}) + ".",
    "alg None": lambda k: unsigned({"alg": "None"}) + ".",
    "public key as secret": lambda k: forged_with_public_key(k, None),
    "public key as secret, kid": lambda k: forged_with_public_key(k, "rsa"),
    "signature changed": lambda k: flip(k.token(), 2),
    "claims changed": lambda k: flip(k.token(), 1),
    "signature cut off": lambda k: k.token().rpartition(".")[0] + ".",
    "signature of another token": lambda k: k.token("u1").rpartition(".")[0] + "." + k.token("u2").rpartition(".")[2],
    "another secret": lambda k: k.token(key="x" * 64),
    "another algorithm of the same key": lambda k: k.token(alg="HS512"),
    "another issuer": lambda k: k.token(issuer="https://evil.example.com/"),
    "another issuer's key": lambda k: k.token(issuer=issuer_of("RS256")),
    "no issuer": lambda k: k.token(claims={"iss": None}),
    "another audience": lambda k: k.token(audience="other-service"),
    "no audience": lambda k: k.token(claims={"aud": None}),
    "no user": lambda k: k.token(claims={"sub": None}),
    "user not a text": lambda k: k.token(claims={"sub": 42}),
    "user empty": lambda k: k.token(claims={"sub": ""}),
    "not yet valid": lambda k: k.token(claims={"nbf": int(time.time()) + 3600}),
    "no expiry": lambda k: k.token(ttl=None),
    "expiry not a number": lambda k: k.token(claims={"exp": "soon"}),
    "unknown kid": lambda k: k.token(alg="RS256", issuer=JWKS_ISSUER, headers={"kid": "nobody"}),
    "kid of another key": lambda k: k.token(alg="ES256", issuer=JWKS_ISSUER, headers={"kid": "ec384"}),
    "algorithm not allowed for the issuer": lambda k: k.token(alg="RS512", issuer=JWKS_ISSUER),
    "critical header": lambda k: k.token(headers={"crit": ["exp"]}),
    "far too long": lambda k: k.token(claims={"pad": "x" * 9000}),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_token_is_refused_in_every_place(gw, keys, what):
    bad = BAD[what](keys)
    with Raw(gw) as raw:
        answer = raw.handshake(bad)
        assert answer.status == 401 and answer.header("WWW-Authenticate").startswith("Bearer")
        assert answer.body and (len(bad) < 10 or bad.encode() not in answer.body)
        assert raw.read_to_end() == b"", "and the connection is closed"
    c = gw.connect(bad, by="auth", welcome=False)
    error = c.recv_until({"type": "error"})
    closed = c.wait_closed()
    assert error["code"] == "unauthenticated" and error["id"] == 1 and error["retry"] is False
    assert closed.code == 4501 and closed.reason


def test_an_expired_token(gw, token):
    before = gw.metrics().get_sum("sluice_tokens_checked_total", result="expired")
    assert refused(gw, token(ttl=-10)).status == 401
    c = gw.connect(token("other", ttl=-10), by="auth", welcome=False)
    assert c.recv_until({"type": "error"})["code"] == "unauthenticated"
    assert c.wait_closed().code == 4001, "come back with a new one"
    assert gw.metrics().get_sum("sluice_tokens_checked_total", result="expired") == before + 2


@pytest.mark.parametrize("value", ["Basic dTpw", "Bearer", "Bearer ", "Token x", "x"])
def test_other_authorization_headers_are_refused(gw, value):
    with Raw(gw) as raw:
        assert raw.handshake(Authorization=value).status == 401


def test_two_authorization_headers_are_refused(gw, token):
    with Raw(gw) as raw:
        assert raw.handshake(token("a"), extra=[f"Authorization: Bearer {token('b')}"]).status in (400, 401)


# -- what is accepted --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("alg", ["HS256", *PEM_ALGS])
def test_algorithms_with_a_key_file(gw, token, alg):
    issuer = ISSUER if alg == "HS256" else issuer_of(alg)
    assert gw.connect(token("ada", alg=alg, issuer=issuer)).welcome["user"] == "ada"
    assert gw.connect(token("bob", alg=alg, issuer=issuer, headers={"kid": "whatever"})).welcome["user"] == "bob"


@pytest.mark.parametrize("alg", ["RS256", "ES256", "ES384", "ES512"])
def test_algorithms_with_a_jwk_set(gw, token, alg):
    for n in range(8):  # an ECDSA signature's numbers are sometimes short
        assert gw.connect(token(f"ada{n}", alg=alg, issuer=JWKS_ISSUER)).welcome["user"] == f"ada{n}"


def test_audience_may_be_a_list(gw, token):
    assert gw.connect(token("ada", audience=["other", AUDIENCE])).welcome["user"] == "ada"


def test_verdicts_are_cached(gw, token):
    one = token("cached", claims={"jti": "c"})
    before = gw.metrics().get_sum("sluice_tokens_checked_total", result="cached")
    for _ in range(3):
        gw.connect(one)
    assert gw.metrics().get_sum("sluice_tokens_checked_total", result="cached") == before + 2


# -- renewal -----------------------------------------------------------------------------------------------------------

def until_past(client, moment):
    """Talks on until then."""
    while time.time() < moment:
        assert client.request({"type": "ping"})["type"] == "pong"
        time.sleep(0.02)


def test_renewal_in_band_loses_no_room(gw, token):
    c = gw.connect(token("ada", {"sessions": ["42"]}, ttl=2))
    c.join("session:42")
    c.join("open:1")
    old = c.welcome["expires"]
    assert c.recv_until({"type": "expiring"}, 3)["seconds"] in (1, 2)
    answer = c.request({"type": "auth", "id": 9, "token": token("ada", {"sessions": ["42"]}, ttl=200)})
    assert answer["type"] == "renewed" and answer["id"] == 9 and answer["user"] == "ada"
    assert sorted(answer["rooms"]) == ["open:1", "session:42", "user:ada"] and abs(answer["expires"] - time.time() - 200) < 10
    until_past(c, old + 0.3)
    assert not [m for m in c.messages if m["type"] == "left"] and len([m for m in c.messages if m["type"] == "expiring"]) == 1


def test_not_renewed_is_closed_with_4001(gw, token):
    c = gw.connect(token("ada", ttl=1))
    assert c.wait_closed(4).code == 4001
    assert [m["type"] for m in c.messages if m["type"] == "expiring"] == ["expiring"], "it was told before, once"
    assert 0 <= time.time() - c.welcome["expires"] < 1


def test_another_users_token_does_not_renew(gw, token):
    c = gw.connect(token("ada"))
    answer = c.request({"type": "auth", "token": token("eve")})
    assert answer["type"] == "error" and answer["code"] == "forbidden"
    again = c.request({"type": "auth", "token": token("ada", ttl=77)})
    assert again["type"] == "renewed" and again["user"] == "ada" and again["rooms"] == ["user:ada"]


def test_a_bad_token_does_not_end_a_good_connection(gw, token):
    c = gw.connect(token("ada"))
    for bad in ("rubbish", token("ada", ttl=-10), token("ada", key="y" * 64)):
        answer = c.request({"type": "auth", "token": bad})
        assert answer["type"] == "error" and answer["code"] == "unauthenticated"
    assert c.request({"type": "ping"})["type"] == "pong"


def test_rooms_go_when_the_claim_is_gone(gw, token):
    c = gw.connect(token("ada", {"sessions": ["1", "2"], "teams": ["red", "blue"]}))
    assert sorted(c.welcome["rooms"]) == ["team:blue", "team:red", "user:ada"]
    for room in ("session:1", "session:2", "open:x"):
        c.join(room)
    answer = c.request({"type": "auth", "token": token("ada", {"sessions": ["2"], "teams": ["blue", "green"]})})
    assert sorted(answer["rooms"]) == ["open:x", "session:2", "team:blue", "team:green", "user:ada"]
    lost = [m for m in c.messages if m["type"] == "left"]
    assert sorted(m["room"] for m in lost) == ["session:1", "team:red"]
    assert all(m["reason"] and "id" not in m for m in lost) and c.messages.index(answer) > c.messages.index(lost[-1])
    assert c.request({"type": "join", "room": "session:1"})["code"] == "forbidden"


# -- secrecy, last: it reads what all the tests above have made --------------------------------------------------------

def test_no_token_is_in_the_log_or_in_an_answer(gw, token):
    gw.connect(token("ada"), by="query")
    with Raw(gw) as raw:
        assert token("ada") not in raw.get(f"/nothing?token={token('ada')}").text
    bad = flip(token("ada"), 2)
    with Raw(gw) as raw:
        raw.handshake(bad)
    with Raw(gw) as raw:
        assert raw.handshake().status == 101
        raw.text({"type": "auth", "token": bad, "id": 1})
        frames = [raw.frame(), raw.frame()]
        assert [f.opcode for f in frames] == [TEXT, CLOSE] and b"eyJ" not in frames[0].payload and "eyJ" not in close_of(frames[1])[1]
    log = "\n".join(gw.log_lines())
    assert "connection.open" in log and "handshake.refused" in log and "connection.close" in log
    assert "eyJ" not in log and bad.rpartition(".")[2] not in log, "each token begins with eyJ"
