"""Tokens: only what this service signed, for itself and for now, is accepted; all else is `InvalidToken`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import parse_http_list, parse_keqv_list

import jwt
import pytest
from azure.core.credentials import AccessToken
from azure.core.pipeline import PipelineContext, PipelineRequest
from azure.core.rest import HttpRequest
from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.types import Options

from poolwright.identity.tokens import (
    Caller,
    InvalidToken,
    SigningKey,
    TokenIssuer,
    TokenVerifier,
    audience_of_scope,
    claims_challenge,
)

NOW = 1_795_435_200.75
BASE = "https://127.0.0.1:8445"
TENANT = "11111111-1111-4111-8111-111111111111"
APP = "22222222-2222-4222-8222-222222222222"
OBJECT = "33333333-3333-4333-8333-333333333333"
CALLER = Caller(TENANT, APP, OBJECT)
ISSUER = f"{BASE}/adfs"
AUDIENCE = "https://management.core.windows.net/"
# How long one example takes says nothing on a loaded machine.
MANY = settings(deadline=None)
FEW = settings(deadline=None, max_examples=50)
KEY = SigningKey.create()
FOREIGN_KEY = SigningKey.create()


def issue(key: SigningKey = KEY, now: float = NOW, **changes: Any) -> str:
    arguments: dict[str, Any] = {
        "tenant_id": TENANT,
        "app_id": APP,
        "object_id": OBJECT,
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "lifetime_seconds": 3600,
    }
    return TokenIssuer(key).issue(now=now, **(arguments | changes))


def verifier(max_remembered: int = 100) -> TokenVerifier:
    return TokenVerifier(
        KEY,
        tenants={TENANT},
        issuers=lambda issuer: issuer == ISSUER,
        service_bases={BASE},
        max_remembered=max_remembered,
    )


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def signed(claims: Any, header: dict[str, Any] | None = None, key: SigningKey = KEY) -> str:
    """A token with any claims and header that nevertheless carries a good RS256 signature."""
    head = {"alg": "RS256", "typ": "JWT", "kid": KEY.kid} | (header or {})
    content = f"{base64url(json.dumps(head).encode())}.{base64url(json.dumps(claims).encode())}"
    algorithm = jwt.get_algorithm_by_name("RS256")
    return f"{content}.{base64url(algorithm.sign(content.encode(), key.private_key))}"


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


CLAIMS = claims_of(issue())


def refusal(token: str, now: float = NOW) -> str:
    with pytest.raises(InvalidToken) as caught:
        verifier().verify(token, now)
    return caught.value.reason


# Issuing


def test_a_token_carries_the_claims_of_an_application_token() -> None:
    assert claims_of(issue()) == {
        "aud": AUDIENCE,
        "iss": ISSUER,
        "iat": 1_795_435_200,
        "nbf": 1_795_435_200,
        "exp": 1_795_438_800,
        "tid": TENANT,
        "oid": OBJECT,
        "sub": OBJECT,
        "appid": APP,
        "azp": APP,
        "idtyp": "app",
        "ver": "1.0",
    }
    assert jwt.get_unverified_header(issue()) == {"alg": "RS256", "kid": KEY.kid, "typ": "JWT"}


def test_a_client_can_check_a_token_with_the_published_key_set() -> None:
    published = jwt.PyJWKSet.from_dict(KEY.jwks())[KEY.kid]
    timeless: Options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    claims = jwt.decode(issue(), published, audience=AUDIENCE, options=timeless)
    assert claims["oid"] == OBJECT


def test_the_key_set_has_no_private_part() -> None:
    assert [sorted(key) for key in KEY.jwks()["keys"]] == [["alg", "e", "kid", "kty", "n", "use"]]


def test_the_key_id_is_the_thumbprint_of_the_public_key() -> None:
    members = {name: KEY.jwks()["keys"][0][name] for name in ("e", "kty", "n")}
    thumbprint = hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest()
    assert base64url(thumbprint) == KEY.kid


# The stored key


def test_a_key_is_made_once_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "signing-key.pem"
    made, found = SigningKey.load_or_create(path), SigningKey.load_or_create(path)
    assert made.kid == found.kid
    assert found.private_key.key_size == 2048
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert TokenVerifier(found, {TENANT}, {ISSUER}).verify(issue(made), NOW) == CALLER


def test_a_stored_key_that_others_could_read_is_tightened(tmp_path: Path) -> None:
    path = tmp_path / "signing-key.pem"
    SigningKey.load_or_create(path)
    path.chmod(0o644)
    SigningKey.load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_printed_form_of_a_key_has_no_key_material() -> None:
    assert repr(KEY) == f"SigningKey(kid='{KEY.kid}')"


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes | None = None) -> bytes:
    protection = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a key",
        pem(KEY.private_key)[:300],
        pem(KEY.private_key, b"password"),
        pem(ec.generate_private_key(ec.SECP256R1())),
        pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)),
    ],
    ids=["empty", "text", "cut", "encrypted", "EC", "too short"],
)
def test_a_file_without_a_usable_key_is_named_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "signing-key.pem"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        SigningKey.load_or_create(path)
    assert path.read_bytes() == content


# Verifying


def test_the_caller_of_a_good_token_is_returned() -> None:
    assert verifier().verify(issue(), NOW) == CALLER


ACCEPTED_AUDIENCES = [
    "https://management.core.windows.net",
    "https://management.core.windows.net/",
    "https://management.core.windows.net//",
    "https://management.azure.com",
    "https://management.azure.com/",
    "https://management.azure.com//",
    BASE,
    f"{BASE}/",
]


@pytest.mark.parametrize("audience", ACCEPTED_AUDIENCES)
def test_every_name_of_the_resource_manager_is_an_audience(audience: str) -> None:
    assert verifier().verify(issue(audience=audience), NOW) == CALLER


@pytest.mark.parametrize(
    "audience",
    [
        "",
        "/",
        "https://graph.microsoft.com/",
        "https://management.azure.com///",
        "https://management.azure.com/x",
        "https://management.azure.com.example.org",
        "http://management.azure.com",
        "https://127.0.0.1:8446",
    ],
)
def test_another_audience_is_refused(audience: str) -> None:
    assert refusal(issue(audience=audience)) in {
        "the token is meant for another audience",
        "the token has no usable claim aud",
    }


def test_another_issuer_is_refused() -> None:
    assert refusal(issue(issuer="https://sts.windows.net/")) == "the token comes from an issuer unknown here"


def test_another_tenant_is_refused() -> None:
    assert refusal(issue(tenant_id=OBJECT)) == "the token belongs to a tenant unknown here"


def test_a_token_holds_from_its_first_second_until_just_before_its_last() -> None:
    token = issue()
    check = verifier().verify
    assert check(token, 1_795_435_200.0) == CALLER
    assert check(token, 1_795_438_799.999) == CALLER
    assert refusal(token, 1_795_438_800.0) == "the token has expired"
    assert refusal(token, 1_795_435_199.9) == "the token is not valid yet"


@pytest.mark.parametrize("now", [1_000_000_000.0, 4_000_000_000.0], ids=["2001", "2096"])
def test_only_the_given_time_counts_and_not_the_clock_on_the_wall(now: float) -> None:
    assert verifier().verify(issue(now=now), now) == CALLER
    assert refusal(issue(now=now), now + 3600) == "the token has expired"


def test_a_token_far_longer_than_any_of_ours_is_not_even_looked_at() -> None:
    assert refusal(signed(CLAIMS | {"padding": "x" * 20_000})) == "this is not a token"


def test_a_token_of_a_key_before_a_restart_is_refused_as_unknown() -> None:
    assert refusal(issue(FOREIGN_KEY)) == "the token is signed with a key unknown here"


def test_a_foreign_key_under_our_key_id_is_refused() -> None:
    assert refusal(signed(CLAIMS, key=FOREIGN_KEY)) == "the token is malformed, or its signature is wrong"


def test_a_good_signature_over_the_same_claims_is_accepted() -> None:
    assert verifier().verify(signed(CLAIMS), NOW) == CALLER


@pytest.mark.parametrize("algorithm", ["none", "None", "", "HS256", "RS384", "PS256", None, 7, ["RS256"]])
def test_a_header_with_another_algorithm_is_refused(algorithm: object) -> None:
    assert refusal(signed(CLAIMS, {"alg": algorithm})) == "the token is not signed with RS256"


def test_an_unsigned_token_is_refused() -> None:
    header = base64url(json.dumps({"alg": "none", "kid": KEY.kid}).encode())
    assert refusal(f"{header}.{issue().split('.')[1]}.") == "the token is not signed with RS256"


def public_key_texts() -> list[bytes]:
    forms = [
        (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        (serialization.Encoding.PEM, serialization.PublicFormat.PKCS1),
        (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
    ]
    return [KEY.public_key.public_bytes(encoding, form) for encoding, form in forms]


@pytest.mark.parametrize("secret", public_key_texts(), ids=["PEM", "PKCS1", "DER"])
@pytest.mark.parametrize("algorithm", ["HS256", "RS256"])
def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(secret: bytes, algorithm: str) -> None:
    header = base64url(json.dumps({"alg": algorithm, "kid": KEY.kid}).encode())
    content = f"{header}.{issue().split('.')[1]}"
    token = f"{content}.{base64url(hmac.digest(secret, content.encode(), 'sha256'))}"
    refusal(token)


@pytest.mark.parametrize("header", [{"kid": None}, {"kid": ""}, {"kid": 7}, {"crit": ["x"]}, {"b64": False}])
def test_a_header_that_asks_for_something_else_is_refused(header: dict[str, Any]) -> None:
    refusal(signed(CLAIMS, header))


@pytest.mark.parametrize("name", ["aud", "iss", "tid", "appid", "oid", "nbf", "exp"])
@pytest.mark.parametrize("value", [None, "", [], {}, True, 1.5, [AUDIENCE], float("nan"), float("inf")])
def test_a_signed_token_with_an_unusable_claim_is_refused(name: str, value: object) -> None:
    refusal(signed(CLAIMS | {name: value}))
    refusal(signed({key: claim for key, claim in CLAIMS.items() if key != name}))


@pytest.mark.parametrize("claims", [None, [], "text", 7])
def test_a_signed_token_whose_claims_are_no_object_is_refused(claims: object) -> None:
    refusal(signed(claims))


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "Bearer " + issue(),
        issue() + "\n",
        issue() + "=",
        issue() + ".x",
        issue() + "\x00",
        issue() + "\u00e9",
        "\ud800",
        "a" * 1_000_000,
        base64url(b"[" * 9_000) + ".e30.e30",
        base64url(b"9" * 9_000) + ".e30.e30",
        base64url(b'{"alg": "RS256", "alg": "none"}') + ".e30.e30",
    ],
    ids=lambda token: repr(token[:12]),
)
def test_what_is_no_token_is_refused(token: str) -> None:
    refusal(token)


def test_no_refusal_quotes_the_token() -> None:
    token = issue(audience="https://secret.example")
    assert not any(part in refusal(token) for part in [*token.split("."), "secret.example"])


# Verifying: nothing that can be sent raises anything but InvalidToken


def accepts(token: str) -> bool:
    try:
        verifier().verify(token, NOW)
    except InvalidToken:
        return False
    return True


@MANY
@given(st.text())
def test_any_text_is_refused(text: str) -> None:
    assert not accepts(text)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=8), values, max_size=4),
    max_leaves=8,
)
ENCODED_JSON = JSON_VALUES.map(lambda value: base64url(json.dumps(value).encode()))
SEGMENTS = st.binary(max_size=60).map(base64url) | ENCODED_JSON | st.sampled_from(issue().split("."))


@MANY
@given(st.lists(SEGMENTS, max_size=5).map(".".join))
def test_segments_of_anything_are_accepted_only_when_they_are_the_token(token: str) -> None:
    assert accepts(token) == (token == issue())


@MANY
@given(st.integers(0, len(issue()) - 1))
def test_a_truncated_token_is_refused(length: int) -> None:
    assert not accepts(issue()[:length])


@MANY
@given(st.integers(0, len(issue()) - 1), st.characters(max_codepoint=0x17F))
def test_a_token_with_one_other_character_is_refused(position: int, character: str) -> None:
    token = issue()
    changed = token[:position] + character + token[position + 1 :]
    assert accepts(changed) == (changed == token)


@MANY
@given(st.permutations(range(3)), st.lists(st.sampled_from([KEY, FOREIGN_KEY]), min_size=3, max_size=3))
def test_swapped_parts_are_refused(order: list[int], keys: list[SigningKey]) -> None:
    parts = [issue(key).split(".")[index] for index, key in zip(order, keys, strict=True)]
    payload_is_same = parts[1] == issue().split(".")[1]
    is_whole = order == [0, 1, 2] and keys[0] is KEY and keys[2] is KEY and payload_is_same
    assert accepts(".".join(parts)) == is_whole


@FEW
@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "jku"]), JSON_VALUES))
def test_a_well_signed_token_with_any_header_raises_nothing_else(header: dict[str, Any]) -> None:
    accepts(signed(CLAIMS, header))


@FEW
@given(st.dictionaries(st.sampled_from(sorted(CLAIMS)), JSON_VALUES, min_size=1))
def test_a_well_signed_token_with_any_claims_raises_nothing_else(changes: dict[str, Any]) -> None:
    accepts(signed(CLAIMS | changes))


@FEW
@given(st.floats(min_value=0, max_value=2**33), st.integers(-10, 100_000))
def test_a_token_is_accepted_exactly_between_its_times(now: float, lifetime_seconds: int) -> None:
    token = issue(lifetime_seconds=lifetime_seconds)
    try:
        verifier().verify(token, now)
        accepted = True
    except InvalidToken:
        accepted = False
    assert accepted == (int(NOW) <= now < int(NOW) + lifetime_seconds)


# Remembering verified tokens


@pytest.fixture
def signature_checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every token whose signature was computed, in order."""
    checked: list[str] = []
    real_decode = jwt.decode

    def decode(token: str, *arguments: Any, **keywords: Any) -> Any:
        checked.append(token)
        return real_decode(token, *arguments, **keywords)

    monkeypatch.setattr(jwt, "decode", decode)
    return checked


def test_a_verified_token_is_not_verified_again(signature_checks: list[str]) -> None:
    check, token = verifier().verify, issue()
    assert [check(token, NOW) for _ in range(3)] == [CALLER] * 3
    assert signature_checks == [token]


def test_a_remembered_token_is_refused_and_forgotten_once_it_expires(signature_checks: list[str]) -> None:
    check, token = verifier().verify, issue()
    check(token, NOW)
    for _ in range(2):
        with pytest.raises(InvalidToken, match="expired"):
            check(token, NOW + 3600)
    assert len(signature_checks) == 2


def test_a_remembered_token_is_refused_when_the_clock_is_set_back_before_it() -> None:
    check, token = verifier().verify, issue()
    check(token, NOW)
    with pytest.raises(InvalidToken, match="not valid yet"):
        check(token, NOW - 60)


def test_a_remembered_token_is_refused_once_its_tenant_is_gone() -> None:
    tenants = {TENANT}
    check, token = TokenVerifier(KEY, tenants, {ISSUER}).verify, issue()
    check(token, NOW)
    tenants.clear()
    with pytest.raises(InvalidToken, match="tenant"):
        check(token, NOW)


def test_refused_tokens_are_not_remembered(signature_checks: list[str]) -> None:
    check, token = verifier().verify, issue(tenant_id=OBJECT)
    for _ in range(2):
        with pytest.raises(InvalidToken):
            check(token, NOW)
    assert signature_checks == [token, token]


def test_when_too_many_are_remembered_the_least_used_goes_first(signature_checks: list[str]) -> None:
    check = verifier(max_remembered=2).verify
    first, second, third = (issue(lifetime_seconds=seconds) for seconds in (100, 200, 300))
    for token in (first, second, first, third, first, second):
        check(token, NOW)
    assert signature_checks == [first, second, third, second]


# Scopes


@pytest.mark.parametrize(
    ("scope", "audience"),
    [
        ("https://management.core.windows.net//.default", "https://management.core.windows.net/"),
        ("https://management.core.windows.net/.default", "https://management.core.windows.net"),
        ("https://management.azure.com//.default", "https://management.azure.com/"),
        ("https://management.azure.com/.default", "https://management.azure.com"),
        ("https://management.core.windows.net/", "https://management.core.windows.net/"),
        ("https://management.core.windows.net", "https://management.core.windows.net"),
        ("https://management.azure.com/", "https://management.azure.com/"),
        (f"{BASE}/.default", BASE),
        (f"{BASE}//.default", f"{BASE}/"),
        (BASE, BASE),
    ],
)
def test_the_audience_is_what_stands_before_the_last_slash_of_the_scope(scope: str, audience: str) -> None:
    assert audience_of_scope(scope, {BASE}) == audience
    assert verifier().verify(issue(audience=audience), NOW) == CALLER


@pytest.mark.parametrize(
    "scope",
    [
        "",
        "/.default",
        ".default",
        "openid",
        "https://graph.microsoft.com/.default",
        "https://management.azure.com/user_impersonation",
        "https://management.azure.com////.default",
        "https://management.azure.com/.default https://graph.microsoft.com/.default",
        "https://management.azure.com/.default\n",
        f"{BASE}/.default",
    ],
)
def test_the_scope_of_something_else_is_refused(scope: str) -> None:
    with pytest.raises(ValueError, match="The scope is none of this service"):
        audience_of_scope(scope)


@MANY
@given(st.text() | st.tuples(st.sampled_from(ACCEPTED_AUDIENCES), st.text("/.default")).map("".join))
def test_a_token_for_any_scope_that_is_granted_is_accepted(scope: str) -> None:
    try:
        audience = audience_of_scope(scope, {BASE})
    except ValueError:
        return
    assert accepts(issue(audience=audience))


# The challenge


def parameters(challenge: str) -> dict[str, str]:
    scheme, _, rest = challenge.partition(" ")
    assert scheme == "Bearer"
    return parse_keqv_list(parse_http_list(rest))


def test_the_challenge_is_word_for_word_what_az_understands() -> None:
    claims = base64.b64encode(b'{"access_token":{"nbf":{"essential":true,"value":"1795435200"}}}').decode()
    assert claims_challenge(BASE, NOW) == (
        'Bearer realm="", authorization_uri="https://127.0.0.1:8445/common/oauth2/authorize", '
        f'error="insufficient_claims", claims="{claims}"'
    )


@pytest.mark.parametrize("base", [BASE, "https://[::1]:8445", "https://lab.example.org"])
def test_the_challenge_leads_to_the_base_that_the_client_used(base: str) -> None:
    assert parameters(claims_challenge(base, NOW))["authorization_uri"] == f"{base}/common/oauth2/authorize"


def test_the_azure_sdk_answers_the_challenge_with_a_new_token_and_is_let_in() -> None:
    """A client logged in before the service got a new key; its next request succeeds nevertheless."""
    asked_claims: list[str | None] = []

    class Credential:
        def get_token(self, *_: str, claims: str | None = None, **__: Any) -> AccessToken:
            asked_claims.append(claims)
            return AccessToken(issue(KEY if claims else FOREIGN_KEY), 2**33)

    class Service:
        def send(self, request: Any) -> Any:
            token = request.http_request.headers["Authorization"].removeprefix("Bearer ")
            try:
                verifier().verify(token, NOW)
                answer = SimpleNamespace(status_code=200, headers={})
            except InvalidToken:
                headers = {"WWW-Authenticate": claims_challenge(BASE, NOW)}
                answer = SimpleNamespace(status_code=401, headers=headers)
            return SimpleNamespace(http_response=answer, context=request.context)

    policy: Any = ARMChallengeAuthenticationPolicy(Credential(), "https://management.azure.com/.default")
    policy.next = Service()
    request = PipelineRequest(HttpRequest("GET", f"{BASE}/subscriptions"), PipelineContext(None))
    assert policy.send(request).http_response.status_code == 200
    assert asked_claims == [None, '{"access_token":{"nbf":{"essential":true,"value":"1795435200"}}}']


@MANY
@given(st.text())
def test_no_base_can_break_out_of_the_header(base: str) -> None:
    value = claims_challenge(base.encode("utf-8", "replace").decode(), NOW)
    assert value.isascii()
    assert value.isprintable()
    assert parameters(value)["error"] == "insufficient_claims"


@pytest.mark.parametrize("error", ["insufficient_claims", "invalid_token"])
def test_the_error_of_the_challenge_can_be_chosen(error: str) -> None:
    assert parameters(claims_challenge(BASE, NOW, error))["error"] == error


def test_the_caller_cannot_be_changed() -> None:
    mutate: Callable[..., None] = setattr
    with pytest.raises(AttributeError):
        mutate(CALLER, "tenant_id", "another")
