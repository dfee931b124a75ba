"""Whatever stands anywhere in a template: it is understood or refused in words, and never a bug of ours."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from poolwright import errors
from poolwright.domain.deployment import DeploymentId
from poolwright.store.records import dump
from poolwright.templates.deferred import outputs_of
from poolwright.templates.preparation import prepare
from poolwright.templates.requested import Requested
from tests.templates.builders import BELOW_SUBSCRIPTION, HERE, WORLD

BICEP = Path(__file__).parent / "bicep"
GIVEN: dict[str, Any] = {
    "adminPassword": "hunter2",
    "pools": [{"name": "np1", "count": 1, "generation": "V1"}],
    "clusterName": "c1",
    "groupName": "made",
}
# One of each type, and expressions that give what is not expected, or cannot be read.
ODD: tuple[Any, ...] = (
    *(None, True, -1, "x", [], [1], {}, {"a": 1}),
    *("[", "[]", "[resourceGroup()]", "[copyIndex()]", "[reference('cluster')]"),
)


def places(part: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in the JSON."""
    yield path
    entries = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for name, each in entries:
        yield from places(each, (*path, name))


def changed(template: Any, path: tuple[str | int, ...], value: Any) -> Any:
    made = copy.deepcopy(template)
    holder = made
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value
    return made


@pytest.mark.parametrize(
    ("name", "at"), [("node-pools", HERE), ("modules", HERE), ("subscription", BELOW_SUBSCRIPTION)]
)
def test_anything_anywhere_in_a_template_is_understood_or_refused(name: str, at: DeploymentId) -> None:
    template = json.loads((BICEP / f"{name}.json").read_text())
    sent = {key: {"value": value} for key, value in GIVEN.items() if key in template["parameters"]}
    said: list[str] = []
    taken = 0
    for path in places(template):
        if not path or path[0] in ("$schema", "metadata", "contentVersion"):
            continue
        for value in ODD:
            try:
                made = prepare(at, Requested(changed(template, path, value), sent, "eastus"), WORLD)
                outputs_of(made.deployment, made.resources, lambda identifier: {"properties": {}})
                assert b"hunter2" not in dump(made), (path, value)
                taken += 1
            except errors.PoolwrightError as error:
                said.append(error.message)
            except Exception as error:
                raise AssertionError(f"{path} = {value!r}") from error
    assert len(said) > 100
    assert "hunter2" not in "".join(said)
    assert taken > 100
