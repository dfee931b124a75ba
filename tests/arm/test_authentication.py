"""Who may call: every resource route wants a good token, and guessing at the token endpoint is slowed down."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator

import httpx
import jwt
import pytest

from poolwright.arm.area import OfferedRoute
from poolwright.arm.offered import AREAS
from poolwright.identity.tokens import SigningKey
from tests.support.in_process import BASE, InProcess

SOME_NAME = "x"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    service = InProcess(tmp_path_factory.mktemp("auth") / "data")
    service.client.make_cluster()
    yield service
    service.close()


@pytest.fixture
def fresh(app: InProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """A service whose token endpoint nobody has tried yet, with a clock that stands still."""
    service = InProcess(tmp_path_factory.mktemp("guess") / "data")
    service.now = lambda: 1_000_000.0
    yield service
    service.close()


def routes(app: InProcess) -> tuple[OfferedRoute, ...]:
    return tuple(row for area in AREAS for row in area(app.service).offered())


def path_of(route: OfferedRoute, app: InProcess) -> str:
    names = dict.fromkeys(
        (
            *("group", "cluster", "pool", "machine", "location", "operation", "namespace", "family"),
            *("deployment", "name", "snapshot", "configuration", "feature", "size"),
        ),
        SOME_NAME,
    )
    return route.path.format(subscription=app.credentials.subscription_id, **names)


def bad_tokens(app: InProcess) -> dict[str, str | None]:
    good = app.token()
    header, payload, signature = good.split(".")
    claims = jwt.decode(good, options={"verify_signature": False})
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    return {
        "missing": None,
        "empty": "",
        "another scheme": f"Basic {good}",
        "no token": "Bearer ",
        "not a token": "Bearer nonsense",
        "truncated": f"Bearer {good[:-8]}",
        "without a signature": f"Bearer {header}.{payload}.",
        "alg none": f"Bearer {unsigned}.{payload}.",
        "signed with a word": f"Bearer {jwt.encode(claims, 'k' * 32, algorithm='HS256', headers={'kid': app.key.kid})}",
        "changed": f"Bearer {header}.{payload[:-2]}AA.{signature}",
        "of a foreign key": f"Bearer {app.token(key=SigningKey.create())}",
        "expired": f"Bearer {app.token(now=time.time() - 7200)}",
        "not valid yet": f"Bearer {app.token(now=time.time() + 7200)}",
        "for another audience": f"Bearer {app.token(audience='https://graph.microsoft.com/')}",
        "of another issuer": f"Bearer {app.token(issuer='https://login.microsoftonline.com/x/v2.0')}",
        "of another tenant": f"Bearer {app.token(tenant_id='00000000-0000-4000-8000-000000000000')}",
        "enormous": f"Bearer {'a' * 100_000}",
    }


BAD = (
    "missing",
    "empty",
    "another scheme",
    "no token",
    "not a token",
    "truncated",
    "without a signature",
    "alg none",
    "signed with a word",
    "changed",
    "of a foreign key",
    "expired",
    "not valid yet",
    "for another audience",
    "of another issuer",
    "of another tenant",
    "enormous",
)


@pytest.mark.parametrize("kind", BAD)
def test_every_resource_route_answers_a_bad_token_with_a_claims_challenge(app: InProcess, kind: str) -> None:
    tokens = bad_tokens(app)
    assert tuple(tokens) == BAD
    token = tokens[kind]
    for route in routes(app):
        request = app.client.build_request(route.method, path_of(route, app), json={"location": "eastus"})
        del request.headers["Authorization"]
        if token is not None:
            request.headers["Authorization"] = token
        reply = app.client.send(request)
        assert reply.status_code == 401, route.operation
        require_challenge(reply)
        if route.method != "HEAD":
            code = reply.json()["error"]["code"]
            expected = kind in ("missing", "empty", "another scheme", "no token")
            assert code == ("AuthenticationFailed" if expected else "InvalidAuthenticationToken"), route.operation
            if token and len(token) > 20:
                assert token[-16:] not in reply.text


def require_challenge(reply: httpx.Response) -> None:
    challenge = reply.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer realm="", ')
    parts = dict(part.split("=", 1) for part in challenge.removeprefix("Bearer ").split(", "))
    assert parts["authorization_uri"] == f'"{BASE}/common/oauth2/authorize"'
    assert parts["error"] == '"insufficient_claims"'
    claims = json.loads(base64.b64decode(parts["claims"].strip('"')))
    (rule,) = claims["access_token"].items()
    assert rule[0] == "nbf"
    assert rule[1]["essential"] is True
    assert abs(int(rule[1]["value"]) - time.time()) < 60


def test_a_good_token_gets_past_the_door_of_every_route(app: InProcess) -> None:
    for route in routes(app):
        reply = app.client.request(route.method, path_of(route, app), json={"location": "eastus"})
        assert reply.status_code not in (401, 405, 500, 503), (route.operation, reply.status_code)


def test_a_bad_token_is_told_before_anything_else_is_looked_at(app: InProcess) -> None:
    for path in ("/subscriptions", "/subscriptions/nonsense/nowhere", app.client.pool("sys")):
        request = app.client.build_request("GET", path, headers={"Authorization": "Bearer x"})
        request.url = request.url.copy_remove_param("api-version")
        assert app.client.send(request).status_code == 401


def test_a_token_is_refused_from_the_second_it_expires_although_it_was_remembered(fresh: InProcess) -> None:
    token = {"Authorization": f"Bearer {fresh.token(lifetime_seconds=100)}"}
    for seconds, status in ((0, 200), (99, 200), (100, 401), (99, 200)):
        fresh.now = lambda seconds=seconds: 1_000_000.0 + seconds  # type: ignore[misc]  # the loop's own value
        assert fresh.client.get("/subscriptions", headers=token).status_code == status


def test_a_token_of_the_subscription_s_tenant_sees_only_its_own_subscription(app: InProcess) -> None:
    reply = app.client.get("/subscriptions/00000000-0000-4000-8000-000000000000/resourceGroups")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "SubscriptionNotFound")


# The token endpoint.


def ask(app: InProcess, secret: str, path: str = "/adfs/oauth2/token", **changes: str) -> httpx.Response:
    form = {
        "grant_type": "client_credentials",
        "client_id": app.credentials.client_id,
        "client_secret": secret,
        "scope": "https://management.azure.com/.default",
    }
    return app.client.post(path, data=form | changes)


def test_guessing_is_slowed_down_and_the_right_secret_works_again_within_a_minute(fresh: InProcess) -> None:
    now = 1_000_000.0
    statuses = [ask(fresh, f"guess {number}").status_code for number in range(8)]
    assert statuses == [401] * 5 + [429] * 3
    refused = ask(fresh, fresh.credentials.client_secret)
    assert refused.status_code == 429
    assert refused.json()["error"] == "temporarily_unavailable"
    wait = int(refused.headers["Retry-After"])
    assert 1 <= wait <= 60
    fresh.now = lambda: now + wait
    assert ask(fresh, fresh.credentials.client_secret).status_code == 200


def test_a_guesser_elsewhere_who_never_stops_keeps_the_owner_out_for_a_minute_at_most(fresh: InProcess) -> None:
    owner, guesser = "127.0.0.1", "192.0.2.7"
    start = now = 1_000_000.0
    fresh.address = guesser
    for _ in range(5):
        ask(fresh, "wrong")
    fresh.address = owner
    first = ask(fresh, fresh.credentials.client_secret)
    assert first.status_code == 429
    promised = int(first.headers["Retry-After"])
    fresh.address = guesser
    while now < start + promised:
        now += 1
        fresh.now = lambda now=now: now  # type: ignore[misc]  # the loop's own value
        ask(fresh, "wrong")
    assert promised <= 60
    fresh.address = owner
    assert ask(fresh, fresh.credentials.client_secret).status_code == 200


def test_an_unknown_client_is_answered_like_a_wrong_secret(fresh: InProcess) -> None:
    known, unknown = ask(fresh, "wrong"), ask(fresh, "wrong", client_id="nobody")
    assert (unknown.status_code, unknown.json()) == (known.status_code, known.json())


def test_the_right_secret_at_another_tenant_is_refused(fresh: InProcess) -> None:
    secret = fresh.credentials.client_secret
    assert ask(fresh, secret, "/00000000-0000-4000-8000-000000000000/oauth2/v2.0/token").status_code == 401
    assert ask(fresh, secret, f"/{fresh.credentials.tenant_id.upper()}/oauth2/v2.0/token").status_code == 200


def test_a_token_is_not_to_be_kept_by_caches(fresh: InProcess) -> None:
    assert ask(fresh, fresh.credentials.client_secret).headers["Cache-Control"] == "no-store"
