"""Keys and tokens for tests, made by PyJWT and cryptography: implementations that nobody here wrote.

For: one set of key files per test session, tokens signed with them, the issuer entries of a config that trust them.
Not for: broken tokens; tests of the verifier cut and paste those from good ones.

Files in the directory: hs256.secret (ASCII, no newline), rsa.pem, ec256.pem, ec384.pem, ec521.pem (private),
*.pub.pem (public), jwks.json (all public keys; kid = rsa, ec256, ec384, ec521).
"""
import json
import os
import secrets
import time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

ISSUER = "https://id.example.com/"
AUDIENCE = "realtime"
KEY_OF_ALG = {"HS256": "hs256", "HS384": "hs256", "HS512": "hs256", "RS256": "rsa", "RS384": "rsa", "RS512": "rsa", "PS256": "rsa", "PS384": "rsa", "PS512": "rsa",
              "ES256": "ec256", "ES384": "ec384", "ES512": "ec521"}
CURVES = {"ec256": ec.SECP256R1, "ec384": ec.SECP384R1, "ec521": ec.SECP521R1}


class Keys:
    def __init__(self, directory):
        self.directory = str(directory)
        os.makedirs(self.directory, exist_ok=True)
        self.secret = secrets.token_hex(32)
        self.private = {"rsa": rsa.generate_private_key(public_exponent=65537, key_size=2048)}
        self.private.update({name: ec.generate_private_key(curve()) for name, curve in CURVES.items()})
        self.write("hs256.secret", self.secret.encode())
        for name, key in self.private.items():
            self.write(f"{name}.pem", key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                        serialization.NoEncryption()))
            self.write(f"{name}.pub.pem", key.public_key().public_bytes(serialization.Encoding.PEM,
                                                                        serialization.PublicFormat.SubjectPublicKeyInfo))
        self.write("jwks.json", json.dumps({"keys": [self.jwk(name) for name in self.private]}).encode())

    def write(self, name, content):
        fd = os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as f:
            f.write(content)

    def path(self, name):
        return os.path.join(self.directory, name)

    @property
    def jwks_path(self):
        return self.path("jwks.json")

    def jwk(self, name):
        """The public half as a JWK with kid, use and the algorithm it is usually used with."""
        public = self.private[name].public_key()
        alg = {"rsa": "RS256", "ec256": "ES256", "ec384": "ES384", "ec521": "ES512"}[name]
        return {**(rsa_jwk(public) if name == "rsa" else ec_jwk(public)), "kid": name, "use": "sig", "alg": alg}

    def key_path(self, alg, public=True):
        name = KEY_OF_ALG[alg]
        return self.path("hs256.secret") if name == "hs256" else self.path(f"{name}.pub.pem" if public else f"{name}.pem")

    def issuer(self, *algs, jwks=False, issuer=ISSUER, audience=AUDIENCE):
        """An entry of auth.issuers that trusts tokens of these algorithms (default HS256)."""
        algs = list(algs) or ["HS256"]
        entry = {"issuer": issuer, "audience": audience, "algorithms": algs}
        entry.update({"jwks": self.jwks_path} if jwks else {"key": self.key_path(algs[0])})
        return entry

    def token(self, sub="u1", claims=None, ttl=300, alg="HS256", key=None, headers=None, issuer=ISSUER, audience=AUDIENCE):
        """ttl in seconds, negative = expired already, None = no exp. key: a private key or secret instead of the session's.
        claims override the standard ones; a value of None takes the claim out."""
        now = int(time.time())
        payload = {"sub": sub, "iss": issuer, "aud": audience, "iat": now}
        if ttl is not None:
            payload["exp"] = now + ttl
        payload.update(claims or {})
        payload = {k: v for k, v in payload.items() if v is not None}
        name = KEY_OF_ALG.get(alg)
        if key is None:
            key = self.secret if alg.startswith("HS") else self.private[name]
        head = {} if alg.startswith("HS") else {"kid": name}
        made = jwt.encode(payload, key, algorithm=alg, headers={**head, **(headers or {})})
        return made if isinstance(made, str) else made.decode()


def base64url(number, size):
    return jwt.utils.base64url_encode(number.to_bytes(size, "big")).decode()


def rsa_jwk(public):
    """RFC 7518 section 6.3.1."""
    numbers = public.public_numbers()
    return {"kty": "RSA", "n": base64url(numbers.n, (numbers.n.bit_length() + 7) // 8),
            "e": base64url(numbers.e, (numbers.e.bit_length() + 7) // 8)}


def ec_jwk(public):
    """RFC 7518 section 6.2.1: coordinates keep their leading zeros (PyJWT 2.6's own to_jwk drops them)."""
    numbers, size = public.public_numbers(), (public.curve.key_size + 7) // 8
    return {"kty": "EC", "crv": f"P-{public.curve.key_size}", "x": base64url(numbers.x, size), "y": base64url(numbers.y, size)}
