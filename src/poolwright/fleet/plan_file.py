"""A plan read from its file, which `poolwright fleet plan -o json` wrote, and people and programs may have changed.

Invariant: a plan that is returned can be carried out as it stands: every step is one of its own node pool, and has all
that taking it needs. What cannot be is told with its place, what stands there, and what is expected.
"""

from __future__ import annotations

import json
import re
import types
import typing
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin

from poolwright.bounded_files import content
from poolwright.domain.resource_id import NodePoolId
from poolwright.domain.upgrade_settings import UpgradeSettings
from poolwright.fleet import commands
from poolwright.fleet.document import document_of, member_name
from poolwright.fleet.files import MAX_BYTES
from poolwright.fleet.formats import location_of
from poolwright.fleet.json_text import BrokenJson, Entries
from poolwright.fleet.plan import SCHEMA_VERSION, Plan, PoolMove, Request, Step, StepName, Way
from poolwright.reports.numbers import counted

Place = tuple[str | int, ...]
_SHOWN: Final = 5
_LONGEST: Final = 60
_REMEDY: Final = (
    "Bring it back as it was; or, where nothing of it was begun, make it anew: `poolwright fleet plan ... -o json --to "
    "FILE`"
)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a plan, and where in its document."""

    place: Place
    what: str


class BrokenPlan(ValueError):
    """The file is no plan that can be carried out; says the problems, the first ones where there are many."""

    def __init__(self, name: str, problems: Sequence[Problem], document: Any = None) -> None:
        self.problems = tuple(problems)
        lines = [f"  {_path(each.place)}{_whose(document, each.place)}: {each.what}" for each in problems[:_SHOWN]]
        number = len(problems)
        more = [f"  and {number - _SHOWN:,} more"] if number > _SHOWN else []
        head = f"{name} is no plan that can be carried out, {counted(number, 'problem')}:"
        super().__init__("\n".join((head, *lines, *more, _REMEDY)))


class OtherVersion(ValueError):
    """The file is a plan of another version."""


def read_plan(path: Path) -> Plan:
    """Return the plan of a file. Raises `BrokenPlan` and `OtherVersion`, and `OSError` when it cannot be read."""
    from pydantic import ValidationError
    from pydantic_core import from_json

    name, raw = str(path), content(path, MAX_BYTES)
    text = _text(name, raw)
    try:
        made = document_of(Plan, text)
    except ValidationError as error:
        try:
            document = from_json(text)
        except ValueError:
            raise _no_json(name, text) from error
        if isinstance(document, dict):
            _require_version(name, document.get("schemaVersion"))
        problems = [
            _misshapen(part["type"], part["loc"], part["input"])
            for part in error.errors(include_url=False, include_context=False)
        ]
        raise BrokenPlan(name, problems, document) from error
    _require_version(name, made.schema_version)
    if problems := list(_impossible(made)):
        raise BrokenPlan(name, problems, from_json(text))
    return made


def _text(name: str, raw: bytes) -> str:
    try:
        # Windows PowerShell redirects in UTF-16, and some editors begin UTF-8 with a mark.
        text = raw.decode(json.detect_encoding(raw)).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise BrokenPlan(name, [Problem((), f"line {line}: it is neither UTF-8, UTF-16 nor UTF-32")]) from error
    if not text.strip():
        raise BrokenPlan(name, [Problem((), "the file is empty")])
    return text


def _no_json(name: str, text: str) -> BrokenPlan:
    what = "it is no JSON"
    try:
        for _ in Entries(text):
            pass
    except BrokenJson as broken:
        what = f"line {broken.line}, column {broken.column}: it is no JSON: {broken.reason}"
    return BrokenPlan(name, [Problem((), what)])


def _require_version(name: str, version: object) -> None:
    if isinstance(version, int) and version != SCHEMA_VERSION:
        raise OtherVersion(
            f"{name} is a plan of version {version}: plan anew with this Poolwright, which has version {SCHEMA_VERSION}"
        )


# --- the shape --------------------------------------------------------------------------------------------------------


def _misshapen(kind: str, place: Place, there: object) -> Problem:
    """What is wrong with a value that is not of its kind."""
    if kind == "unexpected_keyword_argument":
        return Problem(place, "a plan has no such member; see docs/fleet-plan.schema.json")
    expected = _expected(_kind_at(Plan, place))
    if kind == "missing":
        return Problem(place, f"it is missing; {expected} is expected")
    return Problem(place, f"it is {_shown(there)}; {expected} is expected")


def _kind_at(kind: Any, place: Place) -> Any:
    """The type of the value at a place; `Any` where the document leaves it open."""
    for part in place:
        kind = _without_none(kind)
        if is_dataclass(kind) and isinstance(kind, type):
            members = {member_name(each.name): each.name for each in fields(kind)}
            kind = typing.get_type_hints(kind).get(members.get(str(part), ""), Any)
        elif get_origin(kind) is tuple:
            kind = get_args(kind)[0]
        elif get_origin(kind) is dict:
            kind = get_args(kind)[1]
        else:
            return Any
    return kind


def _without_none(kind: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        (kind,) = [each for each in get_args(kind) if each is not type(None)]
    return kind


def _expected(kind: Any) -> str:
    inner = _without_none(kind)
    or_null = " or null" if inner is not kind else ""
    if get_origin(inner) is Literal:
        return _one_of([json.dumps(each) for each in get_args(inner)]) + or_null
    if isinstance(inner, type) and issubclass(inner, Enum):
        return _one_of([json.dumps(each.value) for each in inner]) + or_null
    if get_origin(inner) is tuple:
        return "a list" + or_null
    return _WORDS.get(inner, "an object" if is_dataclass(inner) or get_origin(inner) is dict else "a value") + or_null


_WORDS: Final[dict[Any, str]] = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    date: "a day such as 2026-11-26",
}


def _one_of(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


# --- the sense --------------------------------------------------------------------------------------------------------

# The steps of each way; what is in brackets may be left out.
_COURSE: Final = {
    Way.IN_PLACE: ("confirm", "change"),
    Way.NEW_POOL: ("confirm", "add-pool", "[hold-autoscaler]", "cordon", "drain", "delete-pool"),
}
_METHOD: Final = {
    StepName.CHANGE: "PUT",
    StepName.ADD_POOL: "PUT",
    StepName.HOLD_AUTOSCALER: "PUT",
    StepName.DELETE_POOL: "DELETE",
}
# What a request can say beside its body.
_HEADERS: Final[Mapping[str, Sequence[Mapping[str, str]]]] = {
    "PUT": ({}, {commands.WINDOWS_GEN2_HEADER: "true"}, {commands.WINDOWS_GEN2_HEADER: "false"}),
    "DELETE": ({},),
}
_TIMEOUT: Final = re.compile(r" --timeout=([0-9]{1,4})m$")
_IMAGE_DEFINITION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{3,}")
_TAKEN_BACK_BY_PUT: Final = (StepName.CHANGE, StepName.HOLD_AUTOSCALER)


def _impossible(plan: Plan) -> Iterator[Problem]:
    """What is of its kind and cannot be carried out."""
    yield from _impossible_clusters("clusters", ((cluster.id, cluster.location) for cluster in plan.clusters))
    yield from _impossible_clusters("found", ((cluster.id, cluster.location) for cluster in plan.found))
    known = {f"{cluster.id}/agentPools/{pool.name}".lower() for cluster in plan.found for pool in cluster.pools}
    times = Counter(move.id.lower() for move in plan.moves)
    for number, cluster in enumerate(plan.clusters):
        for order, move in enumerate(cluster.moves):
            place: Place = ("clusters", number, "moves", order)
            if NodePoolId.parse(move.id) is None or not move.id.lower().startswith(f"{cluster.id.lower()}/agentpools/"):
                yield Problem(
                    (*place, "id"), f"it is {_shown(move.id)}; the ID of a node pool of its cluster is expected"
                )
            elif times[move.id.lower()] > 1:
                yield Problem((*place, "id"), f"node pool {move.id} has more than one move; one is expected")
            elif move.id.lower() not in known:
                what = f"found has no node pool {move.id}; what it was when this was planned is expected there"
                yield Problem((*place, "id"), what)
            else:
                yield from _impossible_move(move, place)


def _impossible_clusters(member: str, clusters: Iterable[tuple[str, str | None]]) -> Iterator[Problem]:
    """What is wrong with the IDs and locations of a list of clusters."""
    clusters = list(clusters)
    times = Counter(identity.lower() for identity, _ in clusters)
    for number, (identity, location) in enumerate(clusters):
        if NodePoolId.parse(f"{identity}/agentPools/any") is None:
            what = f"it is {_shown(identity)}; the ID of a managed cluster is expected"
            yield Problem((member, number, "id"), what)
        elif times[identity.lower()] > 1:
            yield Problem((member, number, "id"), f"{identity} is there more than once; once is expected")
        if location is not None and location_of(location) != location:
            what = f"it is {_shown(location)}; a location such as eastus is expected, or null"
            yield Problem((member, number, "location"), what)


def _impossible_move(move: PoolMove, place: Place) -> Iterator[Problem]:
    names = tuple(step.name.value for step in move.steps)
    course = _COURSE[move.way]
    whole = tuple(name.strip("[]") for name in course)
    if names not in (whole, tuple(name for name in course if "[" not in name)):
        yield Problem((*place, "steps"), f"they are {', '.join(names) or 'none'}; {', '.join(course)} are expected")
        return
    if not move.sizes:
        yield Problem((*place, "sizes"), "it is []; the sizes of its machines are expected, one or more")
    if not _IMAGE_DEFINITION.fullmatch(move.image_definition.removeprefix("windows-")):
        what = f"it is {_shown(move.image_definition)}; the definition of a node image of Generation 2 is expected"
        yield Problem((*place, "imageDefinition"), what)
    replacement = f"{move.id.rpartition('/')[0]}/{move.replacement}"
    if move.way is Way.NEW_POOL and (move.replacement is None or NodePoolId.parse(replacement) is None):
        yield Problem((*place, "replacement"), f"it is {_shown(move.replacement)}; a node pool's name is expected")
        return
    for number, step in enumerate(move.steps):
        target = replacement if step.name is StepName.ADD_POOL else move.id
        for member, wrong in _impossible_step(step, target):
            yield Problem((*place, "steps", number, *member), wrong)


def _impossible_step(step: Step, target: str) -> Iterator[tuple[Place, str]]:
    """What is wrong with a step, whose request has to be about the node pool with the ID `target`."""
    if step.name in (StepName.CORDON, StepName.DRAIN):
        pool = target.rpartition("/")[2]
        for member, lines, wanted in (
            ("kubectl", step.kubectl, _line_of(step, pool)),
            ("undo", step.undo, commands.kubectl_uncordon(pool)),
        ):
            # They may be run from here, with the credentials of the cluster's administrators.
            if lines != (wanted,):
                yield (member,), f"it is {_shown(lines)}; [{json.dumps(wanted)}] is expected"
    if (method := _METHOD.get(step.name)) is None:
        return
    requests = [("request", step.request, method)]
    if step.name in _TAKEN_BACK_BY_PUT:
        requests.append(("undoRequest", step.undo_request, "PUT"))
    for member, request, wanted in requests:
        if request is None:
            yield (member,), f"it is null; a {wanted} of {target} is expected"
        elif (request.method, request.pool.lower()) != (wanted, target.lower()):
            yield (member,), f"it is a {request.method} of {request.pool}; a {wanted} of {target} is expected"
        else:
            yield from (((member, *inner), wrong) for inner, wrong in _unsendable(request))


def _unsendable(request: Request) -> Iterator[tuple[Place, str]]:
    """What of a request is none that `fleet plan` writes, or cannot be sent at all."""
    if request.headers not in _HEADERS[request.method]:
        possible = _one_of([json.dumps(headers) for headers in _HEADERS[request.method]])
        yield ("headers",), f"it is {_shown(request.headers)}; {possible} is expected"
    try:
        json.dumps(request.properties, allow_nan=False)
    except ValueError:
        yield ("properties",), "it has a number such as NaN or Infinity, which JSON has not; others are expected"


def _line_of(step: Step, pool: str) -> str:
    """What a step of kubectl runs. How long a drain may take is for people to decide."""
    if step.name is StepName.CORDON:
        return commands.kubectl_cordon(pool)
    given = _TIMEOUT.search(step.kubectl[0]) if step.kubectl else None
    return commands.kubectl_drain(pool, int(given[1]) if given else UpgradeSettings().drain_timeout_minutes)


# --- words ------------------------------------------------------------------------------------------------------------


def _path(place: Place) -> str:
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the file"


def _whose(document: Any, place: Place) -> str:
    """Which node pool or cluster a place is about, where the document says so."""
    told = ""
    for part in place:
        try:
            document = document[part]
        except (KeyError, IndexError, TypeError):
            break
        identity = document.get("id") if isinstance(document, dict) else None
        if isinstance(identity, str):
            parts = identity.strip("/").split("/")
            told = f" (of {'/'.join((*parts[3:4], *parts[7::2])) or identity})"
    return told
