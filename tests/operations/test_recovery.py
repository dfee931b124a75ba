"""Which operations nobody would ever finish."""

from __future__ import annotations

import pytest

from poolwright.operations.recovery import stranded, workflow_id


@pytest.mark.parametrize(
    ("runner", "living", "is_stranded"),
    [
        (None, {"op.queued"}, False),
        (None, {"op.at-once"}, False),
        (None, {"op.queued", "op.at-once"}, False),
        (None, set(), True),
        (None, {"other.queued"}, True),
        ("queued", {"op.queued"}, False),
        ("queued", {"op.queued", "op.at-once"}, False),
        ("queued", {"op.at-once"}, True),
        ("queued", set(), True),
        ("at-once", {"op.at-once"}, False),
        ("at-once", {"op.queued"}, True),
        ("at-once", {"other.at-once"}, True),
        ("again-1", {"op.again-1"}, False),
        ("again-1", {"op.queued", "op.at-once", "op.again-2"}, True),
    ],
)
def test_an_operation_is_stranded_when_no_workflow_that_may_carry_it_out_lives(
    runner: str | None, living: set[str], is_stranded: bool
) -> None:
    assert stranded({"op": runner}, living) == (["op"] if is_stranded else [])


def test_stranded_operations_are_told_apart_from_the_others() -> None:
    living = {workflow_id("a", "queued"), workflow_id("b", "at-once")}
    assert stranded({"a": None, "b": "at-once", "c": None, "d": "at-once"}, living) == ["c", "d"]
    assert stranded({}, living) == []
