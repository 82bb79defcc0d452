"""Three opinions on the same tokens: the gateway's, PyJWT's and libjwt's.

What PyJWT signs, the gateway accepts. What the gateway accepts, PyJWT and libjwt accept too: it may be stricter than
they are, never laxer. And every attack on the list is refused, whatever the others say. GW_TOKEN_PROBE names the binary
made of token_probe.c.
"""

import base64
import hashlib
import hmac
import json
import os
import random
import re
import subprocess
import time

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

PROBE = os.environ.get("GW_TOKEN_PROBE", "")
pytestmark = pytest.mark.skipif(not PROBE, reason="GW_TOKEN_PROBE does not name the probe")

HS, RS, ES = ([k + n for n in ("256", "384", "512")] for k in ("HS", "RS", "ES"))
CURVES = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}
SECRET = b"an example secret of 64 bytes, which is enough for every HS alg."


def b64(data):
    return base64.urlsafe_b64encode(data if isinstance(data, bytes) else data.encode()).rstrip(b"=").decode()


class Key:
    """A key of an algorithm, for PyJWT and in files for the probe."""

    def __init__(self, alg, directory):
        self.alg = alg
        self.public_file, self.private_file = directory / f"{alg}.pub", directory / f"{alg}.key"
        if alg in HS:
            self.private = self.public = SECRET
            self.public_file.write_bytes(SECRET)
            self.private_file.write_bytes(SECRET)
            return
        if alg in RS:
            self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        else:
            self.private = ec.generate_private_key(CURVES[alg]())
        self.public = self.private.public_key()
        self.public_file.write_bytes(
            self.public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        self.private_file.write_bytes(
            self.private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    def sign_raw(self, header, claims):
        """Any texts, signed as PyJWT signs them."""
        text = f"{b64(header)}.{b64(claims)}"
        algorithm = jwt.algorithms.get_default_algorithms()[self.alg]
        return f"{text}.{b64(algorithm.sign(text.encode(), algorithm.prepare_key(self.private)))}"

    def sign(self, claims, **headers):
        return jwt.encode(claims, self.private, algorithm=self.alg, headers=headers or None)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    directory = tmp_path_factory.mktemp("keys")
    return {alg: Key(alg, directory) for alg in HS + RS + ES}


def probe(key, tokens, *expected):
    """[(accepted, user or reason, libjwt accepted)]"""
    out = subprocess.run(
        [PROBE, "check", key.alg, str(key.public_file), *expected],
        input="".join(f"{t}\n" for t in tokens).encode(),
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    rows = [line.split("\t") for line in out.stdout.decode().splitlines()]
    assert len(rows) == len(tokens)
    return [(verdict == "ok", text, libjwt == "ok") for verdict, text, libjwt in rows]


def pyjwt_accepts(key, token, issuer=None, audience=None):
    try:
        jwt.decode(
            token,
            key.public,
            algorithms=[key.alg],
            issuer=issuer,
            audience=audience,
            leeway=5,
            options={"require": ["exp", "sub"], "verify_aud": audience is not None, "verify_iat": False},
        )
        return True
    except (jwt.PyJWTError, ValueError, OverflowError, TypeError):
        return False


def good(**more):
    return {"sub": "u1", "exp": int(time.time()) + 600, **more}


@pytest.mark.parametrize("alg", HS + RS + ES)
def test_what_pyjwt_signs_is_accepted(keys, alg):
    key = keys[alg]
    tokens = [
        key.sign(good()),
        key.sign(good(sessions=["42", 7, "é", "\u2028"], nested={"a": {"b": [1, 2.5, None]}}, big=2**62)),
        key.sign(good(iat=int(time.time()), nbf=int(time.time()), jti="x", aud=["a", "b"], iss="https://i/")),
        key.sign({"sub": "u1", "exp": time.time() + 600.5}),
        key.sign(good(), kid="some-kid"),
        key.sign(good(pad="x" * 4000)),
    ]
    for token, (accepted, text, libjwt) in zip(tokens, probe(key, tokens)):
        assert accepted and text == "u1", text
        assert libjwt and pyjwt_accepts(key, token)


@pytest.mark.parametrize("alg", HS + RS + ES)
def test_what_is_minted_is_accepted(keys, alg):
    key = keys[alg]
    claims = json.dumps({"sessions": ["42"], "name": "Ada é"})
    out = subprocess.run(
        [PROBE, "mint", alg, str(key.private_file), "u1", claims], stdout=subprocess.PIPE, check=True, timeout=30
    )
    token = out.stdout.decode().strip()
    decoded = jwt.decode(token, key.public, algorithms=[alg])
    assert decoded["sub"] == "u1" and decoded["sessions"] == ["42"] and decoded["name"] == "Ada é"
    assert probe(key, [token]) == [(True, "u1", True)]


def mutations(key, rng, count):
    """A good token with something done to it, now and then signed again behind it."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/. %"
    scraps = ["", "null", "0", "-1", "1e3", "true", "9" * 25, ",", "{", "}", "[]", "{}", "\ufeff"]
    scraps += ['"x"', '"\\u0000"', '"HS256"', '"sub":']
    for _ in range(count):
        if rng.random() < 0.4:
            token = list(key.sign(good()))
            for _ in range(rng.randint(1, 2)):
                at = rng.randrange(len(token))
                token[at : at + rng.randint(0, 2)] = rng.choice(alphabet) * rng.randint(0, 1)
            yield "".join(token)
            continue
        texts = [json.dumps({"alg": key.alg, "typ": "JWT", "kid": "k"}), json.dumps(good(nbf=1, aud="a", iss="i"))]
        which = rng.randrange(2)
        for _ in range(rng.randint(1, 2)):
            text = texts[which]
            start = rng.randrange(len(text))
            texts[which] = text[:start] + rng.choice(scraps) + text[start + rng.randint(0, 8) :]
        yield key.sign_raw(*texts)


def beyond_libjwt(token):
    """Sound JSON that jansson cannot read: U+0000 in a text, numbers out of its range."""
    texts = [base64.urlsafe_b64decode(part + "==").decode() for part in token.split(".")[:2]]
    return any("\\u0000" in text or re.search(r"[0-9]{19}|[eE]\+?[0-9]{3}", text) for text in texts)


@pytest.mark.parametrize("alg,count", [("HS256", 3000), ("RS256", 300), ("ES256", 500), ("ES512", 200)])
def test_never_laxer(keys, alg, count):
    key = keys[alg]
    seed = int(os.environ.get("GW_SEED", "1"))
    tokens = list(mutations(key, random.Random(seed), count))
    accepted = 0
    for token, (ok, text, libjwt) in zip(tokens, probe(key, tokens)):
        if not ok:
            continue
        accepted += 1
        assert pyjwt_accepts(key, token), f"PyJWT refuses {token!r} (seed {seed})"
        assert libjwt or beyond_libjwt(token), f"libjwt refuses {token!r} (seed {seed})"
    assert 0 < accepted < count  # the mutations are neither all deadly nor all harmless


CASES = [  # iss, aud, whether it is fine for issuer "https://i/" and audience "app"
    ("https://i/", "app", True),
    ("https://i/", ["x", "app"], True),
    ("https://i/", "app2", False),
    ("https://i/", ["x"], False),
    ("https://i/", [], False),
    ("https://i/", None, False),
    ("https://i/", 7, False),
    ("https://i/", ["app", 7], False),
    ("https://i", "app", False),
    ("https://I/", "app", False),
    (None, "app", False),
    (["https://i/"], "app", False),
]


@pytest.mark.parametrize("iss,aud,fine", CASES)
def test_issuer_and_audience(keys, iss, aud, fine):
    key = keys["HS256"]
    claims = {k: v for k, v in good(iss=iss, aud=aud).items() if v is not None}
    token = key.sign_raw('{"alg":"HS256"}', json.dumps(claims))
    ((accepted, text, _),) = probe(key, [token], "https://i/", "app")
    assert accepted == fine, text
    assert pyjwt_accepts(key, token, "https://i/", "app") == fine


def public_pem(key):
    return key.public_file.read_bytes()


def hmac_with(secret, header, claims):
    text = f"{b64(header)}.{b64(claims)}"
    return f"{text}.{b64(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def attacks(keys):
    """name, key that the gateway has, token"""
    hs, rs, es, es384 = keys["HS256"], keys["RS256"], keys["ES256"], keys["ES384"]
    claims = json.dumps(good())
    h, c, s = rs.sign(good()).split(".")
    eh, ec_, es_sig = es.sign(good()).split(".")
    raw = base64.urlsafe_b64decode(es_sig + "==")
    der = es.private.sign(f"{eh}.{ec_}".encode(), ec.ECDSA(hashes.SHA256()))
    pss = rs.private.sign(f"{h}.{c}".encode(), padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    own = b"attacker's secret, 32 bytes long"
    jwk = {"kty": "oct", "k": b64(own)}
    for alg in ("none", "None", "NONE", "nOnE", ""):
        for key in (hs, rs, es):
            head = b64(json.dumps({"alg": alg}))
            yield f"alg {alg!r} unsigned", key, f"{head}.{b64(claims)}."
            yield f"alg {alg!r} with a signature", key, f"{head}.{b64(claims)}.{s}"
            yield f"alg {alg!r} in two segments", key, f"{head}.{b64(claims)}"
    yield "public key as secret", rs, hmac_with(public_pem(rs), '{"alg":"HS256"}', claims)
    yield "public key as secret, stripped", rs, hmac_with(public_pem(rs).strip(), '{"alg":"HS256"}', claims)
    yield "public EC key as secret", es, hmac_with(public_pem(es), '{"alg":"HS256"}', claims)
    yield "public key as secret, alg RS256", rs, hmac_with(public_pem(rs), '{"alg":"RS256"}', claims)
    yield "empty secret", hs, hmac_with(b"", '{"alg":"HS256"}', claims)
    yield "key brought along", hs, hmac_with(own, json.dumps({"alg": "HS256", "jwk": jwk}), claims)
    yield "kid as a path", hs, hmac_with(b"", '{"alg":"HS256","kid":"/dev/null"}', claims)
    yield "PSS instead of PKCS1", rs, f"{h}.{c}.{b64(pss)}"
    yield "wrong key", rs, keys["RS384"].sign_raw('{"alg":"RS256"}', claims)
    yield "wrong curve", es, es384.sign_raw('{"alg":"ES256"}', claims)
    yield "right curve, wrong alg", es384, es.sign_raw('{"alg":"ES384"}', claims)
    yield "DER signature", es, f"{eh}.{ec_}.{b64(der)}"
    yield "short r||s", es, f"{eh}.{ec_}.{b64(raw[:-1])}"
    yield "long r||s", es, f"{eh}.{ec_}.{b64(raw + bytes(1))}"
    yield "long r||s, zeros in front", es, f"{eh}.{ec_}.{b64(bytes(1) + raw[:32] + bytes(1) + raw[32:])}"
    yield "zero r and s", es, f"{eh}.{ec_}.{b64(bytes(64))}"
    yield "signature of zeros", rs, f"{h}.{c}.{b64(bytes(256))}"
    yield "no signature", rs, f"{h}.{c}."
    yield "two segments", rs, f"{h}.{c}"
    yield "four segments", rs, f"{h}.{c}.{s}.{s}"
    yield "five segments", rs, f"{h}.{c}.{s}.{s}.{s}"
    yield "empty header", rs, f".{c}.{s}"
    yield "empty claims", rs, f"{h}..{s}"
    yield "padding", rs, f"{h}.{c}.{s}=="
    yield "padding in the header", rs, f"{h}=.{c}.{s}"
    yield "junk behind", rs, f"{h}.{c}.{s}!"
    yield "junk inside", rs, f"{h}.{c}.{s[:9]}*{s[9:]}"
    yield "space in front", rs, f" {h}.{c}.{s}"
    yield "space behind", rs, f"{h}.{c}.{s} "
    yield "over 8 KiB", hs, hs.sign(good(pad="x" * 9000))
    heads = {
        "crit": '{"alg":"HS256","crit":["exp"],"exp":1}',
        "crit empty": '{"alg":"HS256","crit":[]}',
        "b64 false": '{"alg":"HS256","b64":false,"crit":["b64"]}',
        "b64 false without crit": '{"alg":"HS256","b64":false}',
        "alg twice": '{"alg":"none","alg":"HS256"}',
        "alg twice, escaped": '{"alg":"HS256","\\u0061lg":"none"}',
        "alg as an array": '{"alg":["HS256"]}',
        "alg missing": '{"typ":"JWT"}',
        "another typ": '{"alg":"HS256","typ":"secevent+jwt"}',
        "header an array": '["HS256"]',
        "header with junk": '{"alg":"HS256"}x',
        "header cut at NUL": '{"alg":"HS256"}\0',
    }
    for name, head in heads.items():
        yield name, hs, hs.sign_raw(head, claims)
    now = int(time.time())
    bodies = {
        "sub twice": f'{{"sub":"u1","sub":"admin","exp":{now + 600}}}',
        "exp twice": f'{{"sub":"u1","exp":1,"exp":{now + 600}}}',
        "sub missing": f'{{"exp":{now + 600}}}',
        "sub empty": f'{{"sub":"","exp":{now + 600}}}',
        "sub a number": f'{{"sub":1,"exp":{now + 600}}}',
        "sub too long": json.dumps({"sub": "x" * 129, "exp": now + 600}),
        "sub with a newline": f'{{"sub":"u1\\nx","exp":{now + 600}}}',
        "sub with NUL": f'{{"sub":"u1\\u0000","exp":{now + 600}}}',
        "sub with a raw control character": f'{{"sub":"u1\x01","exp":{now + 600}}}',
        "exp missing": '{"sub":"u1"}',
        "exp past": f'{{"sub":"u1","exp":{now - 60}}}',
        "exp negative": '{"sub":"u1","exp":-1}',
        "exp huge": '{"sub":"u1","exp":99999999999999999999999}',
        "exp 1e400": '{"sub":"u1","exp":1e400}',
        "exp NaN": '{"sub":"u1","exp":NaN}',
        "exp Infinity": '{"sub":"u1","exp":Infinity}',
        "exp text": f'{{"sub":"u1","exp":"{now + 600}"}}',
        "exp null": '{"sub":"u1","exp":null}',
        "exp true": '{"sub":"u1","exp":true}',
        "nbf later": f'{{"sub":"u1","exp":{now + 600},"nbf":{now + 300}}}',
        "nbf text": f'{{"sub":"u1","exp":{now + 600},"nbf":"0"}}',
        "claims nested": json.dumps({"claims": good()}),
        "claims an array": json.dumps([good()]),
        "claims a text": json.dumps(json.dumps(good())),
        "claims a token": hs.sign(good()),
        "claims null": "null",
        "claims empty object": "{}",
        "claims with junk": claims + "x",
        "claims cut at NUL": claims + "\0",
        "two objects": claims + claims,
        "trailing comma": claims[:-1] + ",}",
    }
    for name, body in bodies.items():
        yield name, hs, hs.sign_raw('{"alg":"HS256","typ":"JWT"}', body)


def test_attacks(keys):
    listed = list(attacks(keys))
    assert len(listed) > 100
    for key in {id(k): k for _, k, _ in listed}.values():
        mine = [(name, token) for name, k, token in listed if k is key]
        for (name, _), (accepted, text, _) in zip(mine, probe(key, [t for _, t in mine])):
            assert not accepted, f"{name}: accepted for {key.alg}"
            assert text, name


def test_changed_claims(keys):
    """Every alg: other claims under the same signature, and the claims of a token for another."""
    for key in keys.values():
        a, b = key.sign(good()).split("."), key.sign(good(sub="admin")).split(".")
        tokens = [f"{a[0]}.{b[1]}.{a[2]}", f"{a[0]}.{a[1]}.{b[2]}", f"{b[0]}.{b[1]}.{a[2]}"]
        for accepted, text, _ in probe(key, tokens):
            assert not accepted and text == "signature is not right for the issuer's key"
