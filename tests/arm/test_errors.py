"""Errors as they leave: one status per family, ARM's body, and nothing that is nobody's business."""

from __future__ import annotations

import json

import pytest

from poolwright import errors
from poolwright.arm.errors import MAX_TEXT, STATUS, error_body, error_response, status_of
from tests.support.schema import require_valid


@pytest.mark.parametrize("leaf", list(errors.leaves()), ids=lambda leaf: leaf.__name__)
def test_every_leaf_has_a_status_a_code_a_cause_and_advice(leaf: type[errors.PoolwrightError]) -> None:
    status = status_of(leaf)
    if issubclass(leaf, errors.OperationFailure):
        assert status is None, "an operation ends with it; no request is answered with it"
    else:
        assert status in {status for _, status in STATUS}
    assert leaf.wording in ("azure", "ours")
    assert leaf.code
    assert leaf.cause
    assert leaf.advice


def test_codes_are_unique() -> None:
    codes = [leaf.code for leaf in errors.leaves()]
    assert len(set(codes)) == len(codes)


def test_the_body_has_only_what_there_is() -> None:
    assert error_body(errors.MachineNotFound("gone")) == {"code": "MachineNotFound", "message": "gone"}


def test_remedy_and_facts_stand_in_additional_info() -> None:
    error = errors.InvalidParameter(
        "no",
        target="properties.count",
        remedy="count again",
        information={"alternatives": ["a"]},
        details=[errors.InvalidOSSKU("nor that", target="properties.osSKU")],
    )
    body = {"error": error_body(error)}
    require_valid(body, "ErrorResponse")
    assert body["error"]["additionalInfo"] == [
        {"type": "PoolwrightRemedy", "info": {"remedy": "count again", "alternatives": ["a"]}}
    ]
    assert body["error"]["details"] == [{"code": "InvalidOSSKU", "message": "nor that", "target": "properties.osSKU"}]


def test_a_message_that_repeats_megabytes_is_clipped() -> None:
    error = errors.InvalidParameter("x" * 10**6, target="y" * 10**6, details=[errors.InvalidOSSKU("z" * 10**6)])
    body = json.dumps(error_body(error))
    assert len(body) < 10 * MAX_TEXT
    assert error_body(errors.InvalidOSSKU("x" * MAX_TEXT))["message"] == "x" * MAX_TEXT


def test_several_errors_become_one_with_flat_details() -> None:
    inner = errors.InvalidParameter("b", details=[errors.InvalidParameter("c")])
    joined = errors.joined([errors.InvalidOSSKU("a"), inner, errors.InvalidParameter("d")])
    assert isinstance(joined, errors.InvalidOSSKU)
    assert [detail.message for detail in joined.details] == ["b", "c", "d"]
    assert all(detail.details == () for detail in joined.details)
    assert errors.joined([inner]) is inner


def test_the_response_is_json_with_the_family_s_status() -> None:
    response = error_response(errors.PreconditionFailed("no"), {"X": "y"})
    assert (response.status_code, response.headers["x"]) == (412, "y")
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert json.loads(bytes(response.body))["error"]["code"] == "PreconditionFailed"
