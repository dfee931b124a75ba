"""A plan's file: whatever is wrong with it is told with its place and what is expected, and nothing else is taken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from poolwright.domain.profile import Profile
from poolwright.fleet.document import json_of
from poolwright.fleet.plan import Plan
from poolwright.fleet.plan_file import BrokenPlan, OtherVersion, read_plan
from tests.fleet.fleets import cluster, exported, fleet_of, pool
from tests.fleet.sites import Json, plan_of

AUTOSCALED = {"enableAutoScaling": True, "minCount": 1, "maxCount": 4}
FLEET = fleet_of(cluster(pool("a"), pool("b", **AUTOSCALED)))


@pytest.fixture(scope="module")
def beside() -> Json:
    """Two moves, a's and b's, by new node pools; b has an autoscaler."""
    document: Json = json.loads(json_of(plan_of(FLEET, Profile.AZURE_2026)))
    return document


@pytest.fixture(scope="module")
def in_place() -> Json:
    document: Json = json.loads(json_of(plan_of(FLEET, Profile.DOCUMENTED)))
    return document


def changed(document: Json, *place: str | int, to: Any) -> str:
    """The document with another value at a place; without it where `to` is `...`."""
    copy = json.loads(json.dumps(document))
    *above, last = place
    inner = copy
    for part in above:
        inner = inner[part]
    if to is ...:
        del inner[last]
    else:
        inner[last] = to
    return json.dumps(copy)


def told(text: str | bytes, directory: Path) -> str:
    """What is said of a file with that text."""
    file = directory / "plan.json"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(BrokenPlan) as broken:
        read_plan(file)
    assert str(broken.value).startswith(f"{file} is no plan that can be carried out, ")
    assert "make it anew: `poolwright fleet plan" in str(broken.value)
    for word in ("type=", "input_value", "Field required", "pydantic"):
        assert word not in str(broken.value)
    return str(broken.value)


@pytest.mark.parametrize("profile", list(Profile), ids=lambda profile: profile.value)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_plan_that_is_made_can_be_read(profile: Profile, encoding: str, tmp_path: Path) -> None:
    for fleet in (exported(), FLEET, fleet_of()):
        made: Plan = plan_of(fleet, profile)
        (tmp_path / "plan.json").write_text(json_of(made, indent=2).decode(), encoding=encoding)
        assert read_plan(tmp_path / "plan.json") == made


MOVE = ("clusters", 0, "moves", 0)


@pytest.mark.parametrize(
    ("place", "to", "what"),
    [
        (("found",), ..., "  found: it is missing; a list is expected"),
        (("found",), {}, "  found: it is {}; a list is expected"),
        (("asOf",), "soon", '  asOf: it is "soon"; a day such as 2026-11-26 is expected'),
        (("surprise",), 1, "  surprise: a plan has no such member; see docs/fleet-plan.schema.json"),
        (
            (*MOVE, "way"),
            "by-sea",
            '  clusters[0].moves[0].way (of rg/c1/a): it is "by-sea"; "in-place" or "new-pool" is ',
        ),
        ((*MOVE, "order"), "first", '.order (of rg/c1/a): it is "first"; a whole number is expected'),
        ((*MOVE, "replacement"), 7, ".replacement (of rg/c1/a): it is 7; a text or null is expected"),
        ((*MOVE, "because"), None, ".because (of rg/c1/a): it is null; an object is expected"),
        ((*MOVE, "steps", 1, "request", "method"), "POST", '.method (of rg/c1/a): it is "POST"; "PUT" or "DELETE" is '),
        ((*MOVE, "steps", 1, "request", "headers"), {"x": 1}, ".request.headers.x (of rg/c1/a): it is 1; a text is "),
        ((*MOVE, "steps", 1, "request", "properties"), [], ".request.properties (of rg/c1/a): it is []; an object is "),
        (
            ("found", 0, "pools", 0, "properties"),
            ...,
            "  found[0].pools[0].properties (of rg/c1): it is missing; an obj",
        ),
    ],
)
def test_what_is_of_another_kind_is_told_with_its_place_and_what_is_expected(
    beside: Json, place: tuple[str | int, ...], to: Any, what: str, tmp_path: Path
) -> None:
    assert what in told(changed(beside, *place, to=to), tmp_path)


CORDON = '["kubectl cordon -l kubernetes.azure.com/agentpool=a"]'
DRAIN = "kubectl drain -l kubernetes.azure.com/agentpool=a --ignore-daemonsets --delete-emptydir-data"
STRANGER = "/subscriptions/x/resourceGroups/y/providers/Microsoft.ContainerService/managedClusters/z/agentPools/prod"


@pytest.mark.parametrize(
    ("place", "to", "what"),
    [
        (("clusters", 0, "id"), "c1", '  clusters[0].id (of c1): it is "c1"; the ID of a managed cluster is expected'),
        (
            ("found", 0, "location"),
            "../../etc",
            '  found[0].location (of rg/c1): it is "../../etc"; a location such as ',
        ),
        (
            ("clusters", 0, "location"),
            "East US",
            '  clusters[0].location (of rg/c1): it is "East US"; a location such as',
        ),
        ((*MOVE, "id"), STRANGER, f'it is "{STRANGER[:20]}'),
        ((*MOVE, "steps"), [], ".steps (of rg/c1/a): they are none; confirm, add-pool, [hold-autoscaler], cordon, "),
        (
            (*MOVE, "steps", 0, "name"),
            "drain",
            ".steps (of rg/c1/a): they are drain, add-pool, cordon, drain, delete-pool",
        ),
        ((*MOVE, "replacement"), None, ".replacement (of rg/c1/a): it is null; a node pool's name is expected"),
        ((*MOVE, "replacement"), "../x", '.replacement (of rg/c1/a): it is "../x"; a node pool\'s name is expected'),
        (
            (*MOVE, "steps", 1, "request", "headers"),
            {"\u00dcn\u00ef": "x"},
            '.request.headers (of rg/c1/a): it is {"\\u00dcn\\u00ef": "x"}; {}, {"UseWindowsGen2VM": "true"} or {"Use',
        ),
        (
            (*MOVE, "steps", 1, "request", "headers"),
            {"If-Match": "*"},
            '.headers (of rg/c1/a): it is {"If-Match": "*"}',
        ),
        ((*MOVE, "steps", 4, "request", "headers"), {"a": "b"}, '.headers (of rg/c1/a): it is {"a": "b"}; {} is exp'),
        (
            (*MOVE, "steps", 1, "request", "properties", "spotMaxPrice"),
            float("nan"),
            ".request.properties (of rg/c1/a): it has a number such as NaN or Infinity, which JSON has not",
        ),
        ((*MOVE, "steps", 1, "request"), None, ".steps[1].request (of rg/c1/a): it is null; a PUT of /subscr"),
        ((*MOVE, "steps", 1, "request", "pool"), STRANGER, f"it is a PUT of {STRANGER}; a PUT of /subscriptions/0"),
        (
            (*MOVE, "steps", 4, "request", "pool"),
            STRANGER,
            f"it is a DELETE of {STRANGER}; a DELETE of /subscriptions/0",
        ),
        ((*MOVE, "steps", 4, "request", "method"), "PUT", "it is a PUT of /subscriptions/0"),
        ((*MOVE, "steps", 2, "kubectl"), [], f".steps[2].kubectl (of rg/c1/a): it is []; {CORDON} is expected"),
        ((*MOVE, "steps", 2, "kubectl"), ["kubectl delete ns x"], f': it is ["kubectl delete ns x"]; {CORDON} is exp'),
        ((*MOVE, "steps", 2, "kubectl", 0), "kubectl cordon -l kubernetes.azure.com/agentpool=b", f"; {CORDON} is "),
        ((*MOVE, "steps", 2, "kubectl", 0), "kubectl cordon 'x", f"{CORDON} is expected"),
        ((*MOVE, "steps", 2, "undo"), ["rm -r /"], f'it is ["rm -r /"]; {CORDON.replace("cordon", "uncordon", 1)} is '),
        ((*MOVE, "steps", 3, "kubectl", 0), f"{DRAIN} --force --timeout=5m", f'; ["{DRAIN} --timeout=5m"] is expected'),
        ((*MOVE, "steps", 3, "kubectl", 0), "kubectl delete ns x", f'; ["{DRAIN} --timeout=30m"] is expected'),
        ((*MOVE, "sizes"), [], ".sizes (of rg/c1/a): it is []; the sizes of its machines are expected, one or more"),
        ((*MOVE, "imageDefinition"), "", '.imageDefinition (of rg/c1/a): it is ""; the definition of a node image of'),
        ((*MOVE, "imageDefinition"), "windows-", 'it is "windows-"; the definition of a node image of Generation 2 is'),
        (
            ("clusters", 0, "moves", 1, "steps", 2, "undoRequest"),
            None,
            ".undoRequest (of rg/c1/b): it is null; a PUT of",
        ),
        (("found", 0, "pools"), [], "found has no node pool /subscriptions/"),
    ],
)
def test_what_could_not_be_carried_out_is_told_with_its_place_and_what_is_expected(
    beside: Json, place: tuple[str | int, ...], to: Any, what: str, tmp_path: Path
) -> None:
    assert what in told(changed(beside, *place, to=to), tmp_path)


def test_how_long_a_drain_may_take_is_for_people_to_decide(beside: Json, tmp_path: Path) -> None:
    place = (*MOVE, "steps", 3, "kubectl", 0)
    (tmp_path / "plan.json").write_text(changed(beside, *place, to=f"{DRAIN} --timeout=90m"))
    (drain,) = read_plan(tmp_path / "plan.json").moves[0].steps[3].kubectl
    assert drain.endswith("--timeout=90m")


def test_a_change_in_place_needs_its_way_back(in_place: Json, tmp_path: Path) -> None:
    text = changed(in_place, *MOVE, "steps", 1, "undoRequest", to=None)
    assert "steps[1].undoRequest (of rg/c1/a): it is null; a PUT of" in told(text, tmp_path)


@pytest.mark.parametrize("twice", [lambda plan: plan["clusters"], lambda plan: plan["found"]])
def test_what_is_there_twice_is_told(beside: Json, twice: Callable[[Json], list[Any]], tmp_path: Path) -> None:
    copy = json.loads(json.dumps(beside))
    twice(copy).append(twice(copy)[0])
    assert "is there more than once; once is expected" in told(json.dumps(copy), tmp_path)
    copy = json.loads(json.dumps(beside))
    copy["clusters"][0]["moves"].append(copy["clusters"][0]["moves"][0])
    assert "has more than one move; one is expected" in told(json.dumps(copy), tmp_path)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "  the file: the file is empty"),
        ("[]", "  the file: it is []; an object is expected"),
        ('{\n "schemaVersion": 1,\n', "  the file: line 3, column 1: it is no JSON: "),
        (b'{"schemaVersion": "\xff"}', "  the file: line 1: it is neither UTF-8, UTF-16 nor UTF-32"),
        ('{"schemaVersion": 1}', ", 8 problems:\n  asOf: it is missing; a day such as 2026-11-26 is expected\n"),
        ('{"schemaVersion": 1}', "\n  and 3 more\n"),
    ],
)
def test_another_file_is_told_to_be_one(text: str | bytes, what: str, tmp_path: Path) -> None:
    assert what in told(text, tmp_path)


def test_a_plan_of_another_version_is_told_as_that_whatever_else_it_has(beside: Json, tmp_path: Path) -> None:
    for text in (changed(beside, "schemaVersion", to=2), '{"schemaVersion": 2, "moves": {}}'):
        (tmp_path / "plan.json").write_text(text)
        with pytest.raises(OtherVersion, match="a plan of version 2: plan anew with this Poolwright"):
            read_plan(tmp_path / "plan.json")


def test_a_file_that_is_not_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_plan(tmp_path / "nowhere.json")
