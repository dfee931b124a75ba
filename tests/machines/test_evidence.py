"""Evidence can be checked by whoever has the public key, and by nobody be changed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolwright.machines.local.evidence import EvidenceKey, InvalidEvidence, verify

STATEMENT = {"machine": "m0", "nonce": "n", "report": {"firmware": "uefi", "uptime": 6.25, "ip": None}}
KEY = EvidenceKey.generate()


def test_what_was_signed_verifies_after_a_way_through_text() -> None:
    document = json.loads(json.dumps(KEY.sign(STATEMENT), indent=2))
    assert verify(document, KEY.public_pem)["report"] == STATEMENT["report"]


def test_a_key_that_was_stored_signs_the_same() -> None:
    again = EvidenceKey.load(KEY.private_pem())
    assert again.sign(STATEMENT) == KEY.sign(STATEMENT)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"machine": "m1"}, "not what was signed"),
        ({"more": 1}, "not what was signed"),
        ({"format": "other"}, "format"),
        ({"keyId": "0" * 16}, "signed with key"),
        ({"signature": None}, "no signature"),
        ({"signature": {"value": "!"}}, "no signature"),
        ({"signature": {"value": "AAAA"}}, "not what was signed"),
    ],
)
def test_a_change_is_found(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidEvidence, match=words):
        verify({**KEY.sign(STATEMENT), **change}, KEY.public_pem)


def test_another_key_does_not_verify() -> None:
    with pytest.raises(InvalidEvidence, match="signed with key"):
        verify(KEY.sign(STATEMENT), EvidenceKey.generate().public_pem)
    with pytest.raises(InvalidEvidence, match="no PEM"):
        verify(KEY.sign(STATEMENT), b"nonsense")


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.text() | st.integers(-(2**53), 2**53), max_size=5))
def test_any_statement_verifies_and_no_flipped_value_does(statement: dict[str, Any]) -> None:
    names = {"format", "keyId", "signature"}
    document = KEY.sign({name: value for name, value in statement.items() if name not in names})
    assert verify(json.loads(json.dumps(document)), KEY.public_pem)
    for name in document.keys() - names:
        with pytest.raises(InvalidEvidence):
            verify({**document, name: [document[name]]}, KEY.public_pem)
