"""The values of parameters."""

from __future__ import annotations

import pytest

from poolwright import errors
from tests.templates.builders import prepared


def test_defaults_may_use_other_parameters_and_time() -> None:
    made = prepared(
        [],
        {"b": "x"},
        parameters={
            "a": {"type": "string", "defaultValue": "[concat(parameters('b'), utcNow('yyyy'))]"},
            "b": {"type": "string"},
            "c": {"type": "string", "defaultValue": "[newGuid()]"},
            "d": {"type": "string", "nullable": True},
        },
    )
    assert made.deployment.values == {"a": "x2025", "b": "x", "c": "made", "d": None}


def test_an_unknown_parameter_is_refused_with_those_there_are() -> None:
    with pytest.raises(errors.InvalidTemplate, match="only supported parameters for this template are 'a, b'"):
        prepared([], {"c": 1}, parameters={"a": {"type": "int"}, "b": {"type": "int"}})
