"""Paths, api-versions and the address in links: what is folded, what is refused, what is repeated."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from poolwright import errors
from poolwright.arm import paths


@pytest.mark.parametrize(
    ("path", "folded"),
    [
        ("/", "/"),
        ("//", "/"),
        ("/a//b///c", "/a/b/c"),
        ("/a/b/", "/a/b"),
        ("//A/b", "/A/b"),
        ("/ä/b c", "/ä/b c"),
        ("*", "*"),
    ],
)
def test_slashes_are_folded_and_case_is_kept(path: str, folded: str) -> None:
    assert paths.fold(path) == folded


@pytest.mark.parametrize("path", ["/a\0", "/a\n", "/a\x7f", "/a\ufffdb", "/" + "a" * paths.MAX_PATH])
def test_unusable_paths_are_refused(path: str) -> None:
    with pytest.raises(errors.InvalidRequestContent):
        paths.fold(path)


@pytest.mark.parametrize(
    "query",
    [
        b"api-version=2026-06-01",
        b"x=1&api-version=2026-06-01&y=",
        b"api-version=2026%2D06-01",
        b"$f=%00&api-version=2026-06-01",
        b"API-Version=2026-06-01",
    ],
)
def test_the_api_version_is_found_among_other_parameters(query: bytes) -> None:
    assert paths.api_version(query) == "2026-06-01"


@pytest.mark.parametrize("query", [b"", b"api-version", b"api-version=", b"version=2026-06-01", b"&&&"])
def test_a_missing_api_version_is_refused(query: bytes) -> None:
    with pytest.raises(errors.MissingApiVersionParameter):
        paths.api_version(query)


@pytest.mark.parametrize(
    "text", ["2026", "2026-6-1", "2026-06-01-", "2026-06-01-PREVIEW2", "2026-06-01\n", "２０２６-06-01", "2026-06-01 "]
)
def test_an_api_version_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidApiVersionParameter):
        paths.api_version(f"api-version={text}".encode().replace(b"\n", b"%0A").replace(b" ", b"%20"))


@pytest.mark.parametrize("text", ["2026-01-02-preview", "2026-01-02-Preview", "2099-12-31-beta"])
def test_any_well_formed_api_version_is_taken_as_it_was_written(text: str) -> None:
    assert paths.api_version(f"api-version={text}".encode()) == text


@pytest.mark.parametrize(
    ("host", "base"),
    [
        (b"127.0.0.1:8445", "https://127.0.0.1:8445"),
        (b"LocalHost:1", "https://localhost:1"),
        (b"pool-wright.example", "https://pool-wright.example"),
        (b"[::1]:8445", "https://[::1]:8445"),
        (b"", "https://fallback"),
        (b'a"b', "https://fallback"),
        (b"a b", "https://fallback"),
        (b"a/b", "https://fallback"),
        (b"a@b", "https://fallback"),
        (b"a:123456", "https://fallback"),
        (b"\xff", "https://fallback"),
        (b"-a-", "https://fallback"),
    ],
)
def test_links_repeat_the_name_the_client_used_when_it_is_one(host: bytes, base: str) -> None:
    request = Request({"type": "http", "headers": [(b"host", host)]})
    assert paths.base_url(request, None, "https://fallback") == base
    assert paths.base_url(request, "https://configured", "https://fallback") == "https://configured"
