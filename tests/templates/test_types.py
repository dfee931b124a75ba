"""What is of which type."""

from __future__ import annotations

from typing import Any

import pytest

from poolwright import errors
from tests.templates.builders import prepared

DEFINITIONS = {
    "pool": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 12},
            "generation": {"type": "string", "allowedValues": ["V1", "V2"], "nullable": True},
        },
        "additionalProperties": False,
    },
    "again": {"$ref": "#/definitions/again"},
    "either": {
        "type": "object",
        "discriminator": {
            "propertyName": "kind",
            "mapping": {
                "one": {"type": "object", "properties": {"kind": {"type": "string"}, "x": {"type": "int"}}},
                "two": {"type": "object", "properties": {"kind": {"type": "string"}, "y": {"type": "bool"}}},
            },
        },
    },
}
TAKEN: list[tuple[dict[str, Any], Any]] = [
    ({"type": "string"}, "x"),
    ({"type": "String", "allowedValues": ["a", "b"]}, "b"),
    ({"type": "array", "allowedValues": ["a", "b"]}, ["a"]),
    ({"type": "int", "minValue": 1, "maxValue": 3}, 3),
    ({"type": "string", "minLength": 1, "maxLength": 3}, "abc"),
    ({"type": "string", "nullable": True}, None),
    ({"type": "bool"}, True),
    ({"type": "secureObject"}, {"a": 1}),
    ({"type": "array", "items": {"$ref": "#/definitions/pool"}}, [{"name": "np1", "generation": "V1"}, {"NAME": "b"}]),
    ({"type": "array", "prefixItems": [{"type": "int"}], "items": False}, [1]),
    ({"type": "object", "additionalProperties": {"type": "int"}}, {"a": 1}),
    ({"$ref": "#/definitions/either"}, {"kind": "two", "y": True}),
    ({"$ref": "#/definitions/pool", "nullable": True}, None),
]
NOT_TAKEN: list[tuple[dict[str, Any], Any, str]] = [
    ({"type": "string"}, 1, "The parameter value is of type 'Integer', expected 'String'"),
    ({"type": "int"}, True, "The parameter value is of type 'Boolean', expected 'Integer'"),
    ({"type": "int"}, 1.5, "The parameter value is of type 'Float', expected 'Integer'"),
    ({"type": "string"}, None, "The parameter value is of type 'Null', expected 'String'"),
    ({"type": "string", "allowedValues": ["a", "b"]}, "c", "is not part of the allowed value(s): 'a,b'"),
    ({"type": "int", "minValue": 1}, 0, "The parameter value is smaller than the minimum value '1'"),
    ({"type": "int", "maxValue": 1}, 2, "The parameter value is greater than the maximum value '1'"),
    ({"type": "string", "minLength": 2}, "a", "has length '1', and the minimum length is '2'"),
    ({"type": "array", "maxLength": 1}, [1, 2], "has length '2', and the maximum length is '1'"),
    ({"$ref": "#/definitions/pool"}, {}, "The parameter value lacks the property 'name'"),
    (
        {"$ref": "#/definitions/pool"},
        {"name": "a", "size": "b"},
        "has the property 'size', which its type does not have",
    ),
    ({"type": "array", "items": {"$ref": "#/definitions/pool"}}, [{"name": 1}], "'p[0].name' is of type 'Integer'"),
    ({"type": "object", "additionalProperties": {"type": "int"}}, {"a": "b"}, "'p.a' is of type 'String'"),
    ({"type": "array", "prefixItems": [{"type": "int"}], "items": False}, [1, 2], "at most 1 are permitted"),
    ({"type": "array", "prefixItems": [{"type": "int"}]}, [], "at least 1 are required"),
    ({"$ref": "#/definitions/either"}, {"kind": "three"}, "'p.kind' is not part of the allowed value(s): 'one,two'"),
    ({"$ref": "#/definitions/either"}, {"kind": "one"}, "The parameter value lacks the property 'x'"),
    ({"type": "number"}, 1, "Supported types are 'String, SecureString, Int, Bool, Object, SecureObject, Array'"),
    ({"$ref": "#/definitions/none"}, 1, "The type reference '#/definitions/none' at 'parameters.p' is not valid"),
    ({"$ref": "#/definitions/again"}, 1, "refers to itself"),
]


@pytest.mark.parametrize(("definition", "value"), TAKEN, ids=lambda part: str(part)[:60])
def test_a_value_of_its_type_is_taken(definition: dict[str, Any], value: Any) -> None:
    made = prepared([], {"p": value}, parameters={"p": definition}, definitions=DEFINITIONS)
    secure = "secure" in str(definition).lower()
    assert made.deployment.values == ({} if secure else {"p": value})


@pytest.mark.parametrize(("definition", "value", "wrong"), NOT_TAKEN, ids=lambda part: str(part)[:60])
def test_a_value_of_another_type_is_refused(definition: dict[str, Any], value: Any, wrong: str) -> None:
    with pytest.raises(errors.InvalidTemplate) as caught:
        prepared([], {"p": value}, parameters={"p": definition}, definitions=DEFINITIONS)
    assert wrong in caught.value.message


def test_the_value_of_a_secure_parameter_is_in_no_message() -> None:
    for kind in ({"type": "securestring", "minLength": 20}, {"type": "securestring", "allowedValues": ["hunter23"]}):
        with pytest.raises(errors.InvalidTemplate) as caught:
            prepared([], {"p": "hunter2"}, parameters={"p": kind})
        assert "hunter2" not in caught.value.message
