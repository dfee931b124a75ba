"""Tokens that are no good, against the running service: reads and changes are refused alike, and nothing happens."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from poolwright.identity.tokens import SigningKey
from tests.hostile.sockets import statuses_of, talk, trusting
from tests.support.everything import everything
from tests.support.service import ArmClient, ServiceProcess


@pytest.fixture(scope="module")
def client(service: ServiceProcess) -> ArmClient:
    service.client.make_cluster()
    return service.client


@pytest.fixture(scope="module")
def good(client: ArmClient) -> str:
    return client.headers["Authorization"].partition(" ")[2]


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """Another service, whose tokens are as good as ours there."""
    process = ServiceProcess(tmp_path_factory.mktemp("foreign") / "data").start()
    yield process
    process.kill()


def part(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def bad_tokens(service: ServiceProcess, good: str) -> dict[str, str | bytes]:
    """Header values, made with the service's own key where only one thing is to be wrong."""
    key = SigningKey.load_or_create(service.data_dir / "signing-key.pem")
    header, payload, signature = good.split(".")
    claims = jwt.decode(good, options={"verify_signature": False})
    own = {"kid": key.kid}
    now = int(time.time())
    public_pem = key.public_key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    jwk = key.jwks()["keys"][0]

    def signed(changes: dict[str, Any], headers: dict[str, Any] | None = None) -> str:
        changed = {name: value for name, value in (claims | changes).items() if value is not None}
        return "Bearer " + jwt.encode(changed, key.private_key, "RS256", headers=own | (headers or {}))

    def hmac_signed(secret: bytes, algorithm: str) -> str:
        # As an attacker does it: PyJWT would not sign with a public key.
        signing_input = f"{part({'alg': algorithm, 'typ': 'JWT', **own})}.{payload}"
        mac = hmac.digest(secret, signing_input.encode(), f"sha{algorithm[2:]}")
        return f"Bearer {signing_input}." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()

    assert jwt.decode(signed({})[7:], key.public_key, ["RS256"], audience=claims["aud"]) == claims
    return {
        "missing": "",
        "no scheme": good,
        "basic": f"Basic {good}",
        "nonsense": "Bearer nonsense",
        "truncated": f"Bearer {good[:-8]}",
        "truncated to its claims": f"Bearer {header}.{payload}",
        "without signature": f"Bearer {header}.{payload}.",
        "changed": f"Bearer {header}.{part(claims | {'oid': 'somebody-else'})}.{signature}",
        "expired": signed({"exp": now - 1}),
        "not valid yet": signed({"nbf": now + 3600}),
        "without an end": signed({"exp": None}),
        "with an endless end": signed({"exp": 1e400}),
        "with an end in words": signed({"exp": "never"}),
        "wrong audience": signed({"aud": "https://graph.microsoft.com/"}),
        "audiences": signed({"aud": [claims["aud"]]}),
        "wrong issuer": signed({"iss": "https://sts.windows.net/x/"}),
        "wrong tenant": signed({"tid": "00000000-0000-4000-8000-000000000000"}),
        "unknown principal": signed({"appid": "00000000-0000-4000-8000-000000000000"}),
        "foreign key": "Bearer " + jwt.encode(claims, SigningKey.create().private_key, "RS256", headers=own),
        "elliptic": "Bearer " + jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256", headers=own),
        **{
            f"alg {alg}": f"Bearer {part({'alg': alg, 'typ': 'JWT', **own})}.{payload}."
            for alg in ("none", "None", "NONE", "nOnE", "")
        },
        "alg none with a signature": f"Bearer {part({'alg': 'none', **own})}.{payload}.{signature}",
        "alg left out": f"Bearer {part(own)}.{payload}.{signature}",
        "HS256 with the public key": hmac_signed(public_pem, "HS256"),
        "HS512 with the public key": hmac_signed(public_pem, "HS512"),
        "HS256 with the certificate": hmac_signed(service.ca.read_bytes(), "HS256"),
        "HS256 with the modulus": hmac_signed(jwk["n"].encode(), "HS256"),
        "HS256 with nothing": hmac_signed(b"", "HS256"),
        **{
            f"kid {kid}": "Bearer " + jwt.encode(claims, key.private_key, "RS256", headers={"kid": kid})
            for kid in ("../../signing-key.pem", "/dev/null", "' OR 1=1 --", f"{key.kid}/", f"{key.kid}\x00", "")
        },
        "kid that is no text": f"Bearer {part({'alg': 'RS256', 'kid': [key.kid]})}.{payload}.{signature}",
        "key of its own": _with_key_of_its_own(claims, key.kid),
        "critical extension": signed({}, {"crit": ["x"], "x": 1}),
        "huge": "Bearer " + "a" * 17_000,
        "huge claims": signed({"groups": ["x" * 100] * 300}),
        "not ASCII": "Bearer é".encode() + good.encode(),
        "not UTF-8": b"Bearer \xff\xfe" + good.encode(),
        "with spaces": f"Bearer {header}. {payload}.{signature}",
        "two in one": f"Bearer {good}, Bearer {good}",
        "nested JSON": f"Bearer {base64.urlsafe_b64encode(b'[' * 9000).decode().rstrip('=')}.{payload}.{signature}",
    }


def _with_key_of_its_own(claims: dict[str, Any], kid: str) -> str:
    other = SigningKey.create()
    headers = {"kid": kid, "jwk": other.jwks()["keys"][0], "jku": "https://127.0.0.1:1/keys", "x5u": "https://[::1]:1/"}
    return "Bearer " + jwt.encode(claims, other.private_key, "RS256", headers=headers)


def test_no_bad_token_reads_or_changes_anything(service: ServiceProcess, client: ArmClient, good: str) -> None:
    before = everything(client)
    with httpx.Client(base_url=service.url, verify=trusting(service), trust_env=False) as stranger:
        for kind, value in bad_tokens(service, good).items():
            headers = [(b"Authorization", value if isinstance(value, bytes) else value.encode())] if value else []
            for method, path in (
                ("GET", client.cluster()),
                ("GET", "/subscriptions"),
                ("PUT", client.pool("new")),
                ("DELETE", client.cluster()),
                ("POST", f"{client.cluster()}/listClusterUserCredential"),
            ):
                request = stranger.build_request(
                    method, path, params={"api-version": "2026-06-01"}, json={"properties": {"count": 1}}
                )
                request.headers = httpx.Headers([*request.headers.raw, *headers])
                reply = stranger.send(request)
                require_refusal(reply, kind, good)
    assert everything(client) == before


def require_refusal(reply: httpx.Response, kind: str, good: str) -> None:
    assert reply.status_code == 401, (kind, reply.text)
    challenge = reply.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer realm="", authorization_uri="https://127.0.0.1'), kind
    assert 'error="insufficient_claims"' in challenge
    error = reply.json()["error"]
    assert (error["code"], error["message"].partition(":")[0].partition(".")[0]) in (
        ("AuthenticationFailed", "Authentication failed"),
        ("InvalidAuthenticationToken", "The access token is invalid"),
    ), kind
    assert good[-20:] not in reply.text


def test_a_token_of_another_service_is_refused(
    service: ServiceProcess, client: ArmClient, foreign: ServiceProcess, good: str
) -> None:
    headers = {"Authorization": foreign.client.headers["Authorization"]}
    for reply in (client.get(client.cluster(), headers=headers), client.delete(client.cluster(), headers=headers)):
        require_refusal(reply, "of another service", good)
    assert foreign.client.get("/subscriptions", headers={"Authorization": f"Bearer {good}"}).status_code == 401


@pytest.mark.parametrize("name", ["access_token", "authorization", "bearer_token"])
def test_a_token_in_the_query_or_in_a_form_is_not_looked_at(client: ArmClient, good: str, name: str) -> None:
    for request in (
        client.build_request("GET", "/subscriptions", params={name: good}),
        client.build_request("POST", f"{client.cluster()}/listClusterUserCredential", data={name: good}),
    ):
        del request.headers["Authorization"]
        require_refusal(client.send(request), name, good)


def test_of_two_tokens_that_differ_none_is_chosen(service: ServiceProcess, client: ArmClient, good: str) -> None:
    """A proxy in front of the service may have looked at the other one."""
    for values in ((good, "nonsense"), ("nonsense", good), (good, good)):
        lines = "".join(f"Authorization: Bearer {value}\r\n" for value in values)
        received = talk(
            service,
            f"GET /subscriptions?api-version=2026-06-01 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            f"{lines}\r\n".encode(),
        )
        assert statuses_of(received) == [401], values


def test_the_log_has_no_token_and_no_bug(service: ServiceProcess, good: str) -> None:
    log = Path(service.log_path).read_text()
    assert good[-40:] not in log
    assert "Traceback" not in log
