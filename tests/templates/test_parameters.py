"""The values of parameters."""

from __future__ import annotations

from typing import Any

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


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ({"type": "string", "allowedValues": ["dev", "prod"]}, "stage", " 'stage'"),
        ({"type": "int", "maxValue": 3}, 4, " '4'"),
        ({"type": "bool"}, "true", " 'true'"),
        ({"type": "secureString", "minLength": 12}, "hunter2", ""),
        ({"type": "string", "maxLength": 200}, "x" * 201, ""),
        ({"type": "array", "maxLength": 1}, ["a", "b"], ""),
        ({"type": "string", "defaultValue": "[parameters('secret')]", "minLength": 12}, None, ""),
    ],
)
def test_a_value_that_is_not_taken_is_told_as_arm_tells_it_unless_it_is_secret(
    kind: dict[str, Any], value: Any, shown: str
) -> None:
    sent = {"secret": "hunter2"} | ({"p": value} if value is not None else {})
    with pytest.raises(errors.InvalidTemplate) as refused:
        prepared([], sent, parameters={"secret": {"type": "secureString"}, "p": kind})
    assert refused.value.message.startswith(
        f"Deployment template validation failed: 'The provided value{shown} for the template parameter 'p' is not "
        "valid. The parameter value "
    )
    assert "hunter2" not in refused.value.message
    assert "The parameter value 'p'" not in refused.value.message
