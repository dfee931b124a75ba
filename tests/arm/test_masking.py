"""Secrets are masked wherever they stand."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poolwright.arm.masking import IS_KEPT, MASK, masked, without_secrets
from poolwright.arm.request_log import MAX_BODY_BYTES

SECRET = "Hunter2-and-nobody-else"
TELLING = st.sampled_from(
    ["adminPassword", "secret", "clientSecret", "serverAppSecret", "accessToken", "TOKENS", "kubeconfigs", "kubeConfig"]
)
HARMLESS = st.sampled_from(["properties", "vmSize", "tags", "count", "osSku", "isAsset", "location", "a.b", ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("aé1 ", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(HARMLESS, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def with_a_secret(draw: st.DrawFn) -> Any:
    """JSON in which a secret stands somewhere below a telling name."""
    value: Any = SECRET
    for _ in range(draw(st.integers(0, 3))):
        value = [draw(JSON), value] if draw(st.booleans()) else {draw(HARMLESS): value}
    value = {**draw(st.dictionaries(HARMLESS, JSON, max_size=2)), draw(TELLING): value}
    for _ in range(draw(st.integers(0, 5))):
        value = [value, draw(JSON)] if draw(st.booleans()) else {draw(HARMLESS): value}
    return value


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(with_a_secret())
def test_a_secret_below_a_telling_name_never_stays(value: Any) -> None:
    assert SECRET in json.dumps(value)
    assert SECRET not in json.dumps(masked(value))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(JSON)
def test_everything_else_stays_as_it_was_sent(value: Any) -> None:
    assert masked(value) == value


@pytest.mark.parametrize("name", ["windowsProfile", "ServicePrincipalProfile", "aadProfile"])
def test_a_secret_in_the_place_of_the_object_that_holds_it_is_masked(name: str) -> None:
    assert masked({name: SECRET}) == {name: MASK}
    assert masked({name: [SECRET, {"a": SECRET}]}) == {name: [MASK, {"a": MASK}]}
    assert masked({name: {"adminUsername": "shown"}}) == {name: {"adminUsername": "shown"}}


def test_an_address_without_a_password_stays() -> None:
    for address in ("https://example.com:8080/a@b", "http://user@example.com", "https://[::1]:80/", "a: //b:c"):
        assert masked({"note": address}) == {"note": address}


def test_the_structure_below_a_telling_name_stays() -> None:
    sent = {"azureKeyvaultSecretsProvider": {"enabled": True, "config": {"rotation": "2m", "n": 3, "none": None}}}
    assert masked(sent) == {
        "azureKeyvaultSecretsProvider": {"enabled": True, "config": {"rotation": MASK, "n": MASK, "none": None}}
    }


@pytest.mark.parametrize(
    "secret",
    [
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl",
        "pasted-eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl",
        "example.com/eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.",
        "https://a/?x=%22eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl",
        "Bearer abcdefghijkl",
        "http://user:Hunter2@proxy.example.com:8080/",
        "-----BEGIN RSA PRIVATE KEY-----\nx",
        "apiVersion: v1\nkind: Config\nusers: []",
        "users:\n- user:\n    client-key-data: LS0t",
        "http://someone:Hunter2@proxy:3128",
        "http://:p@ss@proxy/",
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=bG9uZw==",
        "Endpoint=sb://a/;SharedAccessKeyName=n;SharedAccessKey=bG9uZw==",
        "https://a.blob.core.windows.net/c?sv=2024&sig=bG9uZw%3D",
    ],
)
def test_a_secret_that_gives_itself_away_is_masked_under_any_name(secret: str) -> None:
    assert masked({"note": secret, "list": [secret]}) == {"note": MASK, "list": [MASK]}


@pytest.mark.parametrize("name", ["accessKey", "account_access_key", "apiKey", "API-KEY", "AccountKey", "sharedKey"])
def test_keys_of_services_are_masked_and_other_keys_are_not(name: str) -> None:
    shown = {
        "keyData": "ssh-rsa AAAA a@b",
        "keyVaultResourceId": "/x",
        "key": "team",
        "url": "http://proxy:3128/@a:b@c",
    }
    assert masked({name: SECRET, **shown}) == {name: MASK, **shown}


@pytest.mark.parametrize(
    "part",
    [
        "eyJ",
        "eyJabcdefgh.",
        "eyJabcdefghi.j",
        "bearer ",
        "apiVersion: ",
        "apiVersion: v1 ",
        " ",
        "-",
        "://",
        "://a:b",
        "://a:",
        "&sig",
    ],
)
def test_a_text_of_a_quarter_of_a_megabyte_takes_no_minutes(part: str) -> None:
    text = part * (MAX_BODY_BYTES // len(part))
    began = time.process_time()
    masked({"note": text})
    without_secrets(f"x={text}".encode())
    assert time.process_time() - began < 5


def test_what_is_nested_without_end_is_cut_off() -> None:
    deep: Any = SECRET
    for _ in range(5000):
        deep = [deep]
    assert masked(deep) != deep


@pytest.mark.parametrize(
    "header", ["authorization", "proxy-authorization", "cookie", "x-ms-authorization-auxiliary", "x-api-key", "x-token"]
)
def test_no_header_that_may_hold_a_secret_is_kept(header: str) -> None:
    assert not IS_KEPT[header.encode()]


@pytest.mark.parametrize(
    "header", ["usewindowsgen2vm", "if-match", "if-none-match", "user-agent", "commandname", "parametersetname"]
)
def test_what_code_under_test_decides_is_kept(header: str) -> None:
    assert IS_KEPT[header.encode()]


def test_names_of_headers_are_not_remembered_without_end() -> None:
    for number in range(3000):
        assert IS_KEPT[f"x-{number}".encode()]
    assert len(IS_KEPT) <= 1024
    assert not IS_KEPT[b"authorization"]


def test_what_is_long_is_not_remembered() -> None:
    tracemalloc.start()
    try:
        for number in range(50):
            word = f"{number}".ljust(60_000, "x")
            assert masked({word: SECRET, f"{word}token": SECRET}) == {word: SECRET, f"{word}token": MASK}
            assert without_secrets(f"a={word}&token={word}".encode()).endswith(b"&token=%2A%2A%2A")
            assert IS_KEPT[word.encode()]
            assert not IS_KEPT[f"{word}token".encode()]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1_000_000


def deployment(**declared: Any) -> dict[str, Any]:
    values = {"pw": {"value": SECRET}, "plain": {"value": "shown"}}
    plain = {"plain": {"type": "string", "defaultValue": "by default"}}
    template = {"parameters": {**declared, **plain}, "resources": [], "outputs": {"o": {"type": "int", "value": "[1]"}}}
    return {"properties": {"template": template, "parameters": values}}


@pytest.mark.parametrize(
    "declared",
    [
        {"pw": {"type": "securestring"}},
        {"PW": {"type": "SecureString", "defaultValue": SECRET, "allowedValues": [SECRET, "b"]}},
        {"pw": {"type": "secureObject", "DefaultValue": {"a": [SECRET]}}},
        {"pw": {"type": "object", "properties": {"a": {"type": "secureString"}}, "defaultValue": {"a": SECRET}}},
        {"pw": {"$ref": "#/definitions/x", "defaultValue": SECRET}},
        {"pw": {"type": "string"}, "Pw": {"type": "securestring"}},
        {"pw": {"type": ["securestring"], "defaultValue": SECRET}},
        {"pw": SECRET},
        {},
    ],
    ids=str,
)
def test_the_values_of_a_secure_parameter_are_masked(declared: dict[str, Any]) -> None:
    sent = deployment(**declared)
    shown = masked(sent)
    assert SECRET not in json.dumps(shown)
    assert shown["properties"]["parameters"] == {"pw": {"value": MASK}, "plain": {"value": "shown"}}
    assert shown["properties"]["template"]["parameters"]["plain"] == {"type": "string", "defaultValue": "by default"}
    assert shown["properties"]["template"]["outputs"] == {"o": {"type": "int", "value": "[1]"}}
    inner = {"resources": [{"type": "Microsoft.Resources/deployments", **sent}]}
    assert SECRET not in json.dumps(masked({"properties": {"template": inner}}))


@pytest.mark.parametrize(
    "properties",
    [
        {"parameters": {"pw": {"value": SECRET}}},
        {"parameters": {"pw": {"type": "string", "value": SECRET}}},
        {"parameters": {"pw": SECRET}},
        {"Parameters": {"pw": {"value": SECRET}}, "templateLink": {"uri": "https://example.com/t.json"}},
        {"parameters": {"pw": {"value": SECRET}}, "template": json.dumps({"defaultValue": SECRET})},
        {"template": {"outputs": {"o": {"type": "securestring", "value": SECRET}}}},
        {"template": {"definitions": {"d": {"type": "secureObject", "allowedValues": [{"a": SECRET}]}}}},
    ],
    ids=str,
)
def test_a_value_that_no_template_calls_plain_is_masked(properties: dict[str, Any]) -> None:
    assert SECRET not in json.dumps(masked({"properties": properties}))


def test_the_type_of_a_secure_parameter_stays() -> None:
    shown = masked(deployment(pw={"type": "secureString", "minLength": 3}))
    assert shown["properties"]["template"]["parameters"]["pw"] == {"type": "secureString", "minLength": MASK}


@pytest.mark.parametrize("name", ["sig", "SIG", "code", "key", "%73ig", "pass%77ord", "access_token"])
def test_secrets_of_a_query_are_masked(name: str) -> None:
    query = f"api-version=2025-10-01&{name}={SECRET}&$filter=a%20eq%20'b'".encode()
    shown = without_secrets(query)
    assert SECRET.encode() not in shown
    assert b"api-version=2025-10-01" in shown
    assert without_secrets(b"api-version=1&$filter=a%20eq%20'b'") == b"api-version=1&$filter=a%20eq%20'b'"
