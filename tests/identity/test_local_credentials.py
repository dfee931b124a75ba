"""The credentials file of the local operator."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from poolwright.identity.local_credentials import Credentials, read, write

CREDENTIALS = Credentials(
    tenant_id="11111111-1111-4111-8111-111111111111",
    client_id="22222222-2222-4222-8222-222222222222",
    client_secret="very-secret",
    subscription_id="33333333-3333-4333-8333-333333333333",
)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    write(tmp_path / "credentials.json", CREDENTIALS)
    assert read(tmp_path / "credentials.json") == CREDENTIALS


def test_the_file_is_json_with_names_in_camel_case(tmp_path: Path) -> None:
    write(tmp_path / "credentials.json", CREDENTIALS)
    assert json.loads((tmp_path / "credentials.json").read_text()) == {
        "tenantId": CREDENTIALS.tenant_id,
        "clientId": CREDENTIALS.client_id,
        "clientSecret": CREDENTIALS.client_secret,
        "subscriptionId": CREDENTIALS.subscription_id,
    }


def test_a_missing_file_means_no_credentials(tmp_path: Path) -> None:
    assert read(tmp_path / "credentials.json") is None


def test_writing_tightens_a_file_that_others_could_read(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    path.write_text("{}")
    path.chmod(0o644)
    write(path, CREDENTIALS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_the_secret_is_not_part_of_the_printed_form() -> None:
    assert "very-secret" not in repr(CREDENTIALS)


VALID = {"tenantId": "t", "clientId": "c", "clientSecret": "very-secret", "subscriptionId": "s"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no JSON;"),
        (b'{"clientSecret": "very-secret"', "no JSON;"),
        (b"\xff\xfe\xff very-secret", "no JSON;"),
        (b"[" * 100_000, "no JSON;"),
        (b'["very-secret"]', "no JSON object"),
        (b"null", "no JSON object"),
        (b'{"clientId": "c", "clientSecret": "very-secret"}', "tenantId is missing or no text"),
        (json.dumps(VALID | {"subscriptionId": 7}).encode(), "subscriptionId is missing or no text"),
        (json.dumps(VALID | {"clientId": ""}).encode(), "clientId is missing or no text"),
    ],
)
def test_damaged_content_is_a_clear_error_that_names_the_file_and_quotes_nothing(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    path = tmp_path / "credentials.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=problem) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "poolwright sp reset" in str(caught.value)
    assert "very-secret" not in str(caught.value)


def test_properties_of_a_later_version_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    path.write_text(json.dumps(VALID | {"added": {"later": True}}))
    assert read(path) == Credentials("t", "c", "very-secret", "s")
