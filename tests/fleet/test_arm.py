"""The client of an endpoint: what it repeats and what it does not, whom it gives a token, how it waits."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from poolwright.fleet import arm as arm_module
from poolwright.fleet import tokens
from poolwright.fleet.arm import Arm, Interrupted, NoAnswer, Refused

POOL = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/c/agentPools/p"
READY = {"properties": {"provisioningState": "Succeeded"}}
Answer = httpx.Response | Exception


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_FIRST_PAUSE_SECONDS", "_SILENT_PAUSE_SECONDS"):
        monkeypatch.setattr(arm_module, name, 0.0)


class Endpoint:
    """Gives these answers one after the other, and remembers what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self._answers: Iterator[Answer] = iter(answers)
        self.asked: list[httpx.Request] = []
        self.tokens: list[bool] = []
        self.arm = Arm("https://arm.test/", self._token, transport=httpx.MockTransport(self._answer))

    @property
    def methods(self) -> list[str]:
        return [request.method for request in self.asked]

    def _token(self, renew: bool) -> str:
        self.tokens.append(renew)
        return f"t{sum(self.tokens)}"

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


def reply(status: int, body: object = None, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def accepted(url: str = "https://arm.test/operations/1?api-version=1") -> httpx.Response:
    return reply(201, {}, azure_asyncoperation=url)


def test_what_is_not_there_is_none_and_any_other_refusal_is_told() -> None:
    error = {"error": {"code": "Forbidden", "message": "No.", "details": [{"message": "Ask somebody."}]}}
    there = Endpoint(reply(404, {"error": {"code": "NotFound", "message": "-"}}), reply(403, error))
    assert there.arm.get(POOL) is None
    with pytest.raises(Refused, match=r"Forbidden: No\. Ask somebody\."):
        there.arm.get(POOL)


@pytest.mark.parametrize("code", ["NotFound", "ResourceNotFound", "AgentPoolNotFound"])
def test_a_resource_is_gone_when_a_404_says_so_of_itself(code: str) -> None:
    for body in ({"error": {"code": code, "message": "-"}}, {"code": code, "message": "-", "details": None}):
        assert Endpoint(reply(404, body)).arm.get(POOL) is None


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": code, "message": "-"}}
        for code in ("SubscriptionNotFound", "ResourceGroupNotFound", "ParentResourceNotFound", "InvalidResourceType")
    ]
    + [None, {}, "not found", {"error": "not found"}, {"error": {"code": None}}],
)
def test_any_other_404_is_an_error(body: object) -> None:
    with pytest.raises(Refused):
        Endpoint(reply(404, body)).arm.get(POOL)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>Log in</html>", headers={"content-type": "text/html"}),
        httpx.Response(200),
        httpx.Response(204),
        reply(200, []),
        reply(200, {}),
        reply(200, "gone"),
        reply(302, None, location="https://login.test/"),
        reply(304),
    ],
)
def test_a_reply_that_is_no_resource_is_no_answer(answer: httpx.Response) -> None:
    with pytest.raises(NoAnswer, match=r"no resource: HTTP 20|sends elsewhere"):
        Endpoint(answer).arm.settled(POOL)


@pytest.mark.parametrize("answer", [reply(302, None, location="https://login.test/"), httpx.Response(200, text="<p>")])
def test_an_operation_that_a_page_answers_for_is_not_over(
    answer: httpx.Response, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arm_module, "SILENCE_SECONDS", -1.0)
    with pytest.raises(NoAnswer, match=r"no resource|sends elsewhere"):
        Endpoint(accepted(), answer).arm.delete(POOL, {})


@pytest.mark.parametrize(
    ("details", "told"),
    [
        (None, "X: No."),
        ("Ask somebody.", "X: No. Ask somebody."),
        (["Ask.", None, 7, {"message": None}, {"message": "Wait."}], "X: No. Ask. 7 Wait."),
        ({"message": "Ask."}, "X: No. Ask."),
    ],
)
def test_details_of_any_kind_are_told(details: object, told: str) -> None:
    with pytest.raises(Refused) as refused:
        Endpoint(reply(400, {"error": {"code": "X", "message": "No.", "details": details}})).arm.get(POOL)
    assert str(refused.value) == told


@pytest.mark.parametrize("properties", [None, "text", [], {"provisioningState": None}])
def test_a_resource_without_a_state_is_told_and_not_waited_for(properties: object) -> None:
    resource = {"id": POOL, "properties": properties}
    assert (arm_module.state_of(resource), arm_module.etag_of(resource)) == ("", None)
    with pytest.raises(NoAnswer, match="shows no provisioning state of p"):
        Endpoint(reply(200, resource)).arm.settled(POOL)


def test_reads_are_repeated_once_somebody_answered_there() -> None:
    silence = httpx.ConnectError("refused")
    with pytest.raises(NoAnswer, match="does not answer: refused"):
        Endpoint(silence).arm.get(POOL)
    there = Endpoint(reply(200, READY), silence, reply(503), reply(200, READY))
    assert there.arm.get(POOL) == there.arm.get(POOL) == READY
    assert len(there.asked) == 4


def test_a_silence_that_lasts_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Endpoint(reply(200, READY), httpx.ReadTimeout("slow"))
    there.arm.get(POOL)
    monkeypatch.setattr(arm_module, "SILENCE_SECONDS", -1.0)
    with pytest.raises(NoAnswer, match="does not answer: slow"):
        there.arm.get(POOL)


@pytest.mark.parametrize("answer", [httpx.ReadTimeout("slow"), httpx.ConnectError("refused"), reply(500), reply(503)])
@pytest.mark.parametrize("send", [lambda arm: arm.put(POOL, {}, {}), lambda arm: arm.delete(POOL, {})])
def test_what_may_have_taken_effect_is_not_sent_again(answer: Answer, send: Callable[[Arm], None]) -> None:
    there = Endpoint(reply(200, READY), answer)
    there.arm.get(POOL)
    with pytest.raises(NoAnswer):
        send(there.arm)
    assert len(there.asked) == 2


def test_an_expired_token_is_renewed_once() -> None:
    there = Endpoint(reply(401, {}), reply(200, READY), reply(401, {}), reply(401, {}))
    assert there.arm.get(POOL) == READY
    assert [request.headers["authorization"] for request in there.asked] == ["Bearer t0", "Bearer t1"]
    with pytest.raises(Refused, match="HTTP 401"):
        there.arm.get(POOL)


def test_what_was_throttled_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Endpoint(reply(429, {}, retry_after="0.001"), accepted(), reply(200, {"status": "Succeeded"}))
    there.arm.put(POOL, {}, {})
    assert there.methods == ["PUT", "PUT", "GET"]
    with pytest.raises(Refused, match="Slow down"):
        Endpoint(reply(429, {"code": "Throttled", "message": "Slow down"}, retry_after="1000")).arm.get(POOL)


def test_an_operation_is_waited_for_and_its_failure_told() -> None:
    error = {"code": "AllocationFailed", "message": "No room."}
    there = Endpoint(
        accepted(), reply(202), reply(200, {"status": "Updating"}), reply(200, {"status": "Failed", "error": error})
    )
    with pytest.raises(Refused, match=r"AllocationFailed: No room\."):
        there.arm.put(POOL, {"properties": {}}, {"If-None-Match": "*"})
    assert there.methods == ["PUT", "GET", "GET", "GET"]
    assert there.asked[0].headers["if-none-match"] == "*"


def test_an_operation_that_is_not_shown_is_no_refusal_of_its_request() -> None:
    there = Endpoint(accepted(), reply(403, {"error": {"code": "Forbidden", "message": "No."}}))
    with pytest.raises(NoAnswer, match=r"how the operation ends cannot be seen: Forbidden: No\."):
        there.arm.put(POOL, {}, {})


def test_a_location_that_answers_without_a_status_is_over() -> None:
    there = Endpoint(reply(202, None, location="https://arm.test/results/1"), reply(202), reply(204))
    there.arm.delete(POOL, {"If-Match": '"e"'})
    assert there.methods == ["DELETE", "GET", "GET"]


def test_a_token_goes_to_the_chosen_endpoint_alone() -> None:
    there = Endpoint(accepted("https://elsewhere.test/operations/1?x=2"), reply(200, {"status": "Succeeded"}))
    there.arm.put(POOL, {}, {})
    assert [request.url.host for request in there.asked] == ["arm.test", "arm.test"]


def test_a_resource_is_settled_when_no_operation_works_on_it() -> None:
    working = reply(200, {"properties": {"provisioningState": "Creating"}})
    there = Endpoint(
        working,
        reply(200, READY),
        reply(200, {"properties": {"provisioningState": "Deleting"}}),
        reply(404, {"error": {"code": "AgentPoolNotFound", "message": "-"}}),
    )
    assert there.arm.settled(POOL) == READY
    assert there.arm.settled(POOL) is None


def test_whoever_waits_can_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arm_module, "_FIRST_PAUSE_SECONDS", 30.0)
    there = Endpoint(reply(202, None, location="https://arm.test/1", retry_after="60"))
    timer = threading.Timer(0.05, there.arm.stop)
    timer.start()
    with pytest.raises(Interrupted):
        there.arm.delete(POOL, {})
    timer.join()
    with pytest.raises(Interrupted):
        there.arm.get(POOL)
    assert len(there.asked) == 1


class NoWayIn:
    """What DefaultAzureCredential does on a machine where nobody is logged in."""

    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        assert scopes == ("https://arm.test/.default",)
        raise ClientAuthenticationError("failed to retrieve a token.\nAttempted credentials:\n\tA page of them")


class Known:
    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        return AccessToken("secret-token", 0)


def test_where_nobody_is_logged_in_it_is_said_in_a_line() -> None:
    arm = Arm("https://arm.test", tokens.of_credential(NoWayIn(), "https://arm.test/.default"))
    with pytest.raises(NoAnswer) as told:
        arm.log_in()
    assert str(told.value) == "no login to Azure works here, try `az login`: failed to retrieve a token."


def test_the_token_of_a_credential_is_sent() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return reply(200, READY)

    arm = Arm("https://arm.test", tokens.of_credential(Known()), transport=httpx.MockTransport(answer))
    arm.log_in()
    assert arm.get(POOL) == READY
    assert [request.headers["authorization"] for request in asked] == ["Bearer secret-token"]


@pytest.mark.parametrize(("status", "raised"), [(401, Refused), (200, None)])
def test_a_secret_of_poolwright_is_in_no_message(
    status: int, raised: type[Exception] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def post(self: httpx.Client, url: str, **arguments: object) -> httpx.Response:
        assert url == "https://own.test/t/oauth2/v2.0/token"
        return reply(status, {"access_token": "got"} if status == 200 else {"error": "hush-hush"})

    monkeypatch.setattr(httpx.Client, "post", post)
    secret = tokens.Secret("t", "c", "hush-hush")
    assert "hush-hush" not in repr(secret)
    token = tokens.of_poolwright("https://own.test", ssl.create_default_context(), secret)
    if raised is None:
        assert token(False) == "got"
        return
    with pytest.raises(raised) as told:
        token(False)
    assert "hush-hush" not in str(told.value)


@pytest.mark.parametrize(
    ("body", "headers"), [({}, {"a": "\u00fc"}), ({}, {"\u00dcn\u00ef": "x"}), ({"a": float("nan")}, {})]
)
def test_what_cannot_be_sent_is_refused_and_not_sent(body: dict[str, object], headers: dict[str, str]) -> None:
    endpoint = Endpoint()
    with pytest.raises(Refused, match="the request cannot be sent"):
        endpoint.arm.put(POOL, body, headers)
    assert endpoint.asked == []
