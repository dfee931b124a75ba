"""Faults over HTTP, below `/_poolwright`: for the local operator alone.

The document of a fault is one pydantic model, so that its published JSON schema and what is accepted are the same.

Invariant: a document is refused with every place that is wrong, and then nothing has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
)
from pydantic_core import ErrorDetails
from sqlalchemy.engine import Connection
from starlette.requests import Request
from starlette.responses import Response

from poolwright import errors
from poolwright.arm.area import Area, OfferedRoute
from poolwright.arm.documents import ANYTHING, COUNT, FLAG, TEXT, Document, an_object, document, listing, or_null
from poolwright.arm.http import json_response, read_body
from poolwright.arm.wire import timestamp
from poolwright.domain.fault import (
    CAPACITY_CODES,
    MAX_DELAY_SECONDS,
    Effect,
    EffectKind,
    Fault,
    Firing,
    Match,
    Point,
    Tally,
    is_named,
    is_spent,
    point_of,
    problems_of,
)
from poolwright.domain.operation import OperationKind
from poolwright.operations.plans import STEPS
from poolwright.store import fault_statements, statements

BASE: Final = "/_poolwright/faults"
SHOWN_FIRINGS: Final = 20
CODES: Final = tuple(leaf.code for leaf in errors.leaves())
# What the service adds to a document; ignored when it comes back.
_OURS: Final = ("name", "state")
# The argument of an effect that is its value in the document; the others have none, or several.
_VALUE: Final = {
    EffectKind.DELAY: "seconds",
    EffectKind.THROTTLE: "seconds",
    EffectKind.FAIL_AT_STEP: "message",
    EffectKind.LOSE_MACHINE: "machines",
    EffectKind.NO_CAPACITY: "code",
    EffectKind.UNSIGNED_DRIVER: "message",
    EffectKind.FAIL_DRAIN: "message",
}


def _among(values: Sequence[str]) -> Any:
    """A validator for one of so many words."""

    def checked(value: str) -> str:
        if value not in values:
            near = get_close_matches(value, values, n=1)
            raise ValueError((f"did you mean {near[0]}? " if near else "") + f"it is one of {', '.join(values)}")
        return value

    return AfterValidator(checked)


_Text = Annotated[StrictStr, Field(min_length=1, max_length=1000)]
_Pattern = Annotated[StrictStr, Field(min_length=1, max_length=1000)]
_Code = Annotated[StrictStr, _among(CODES), Field(json_schema_extra={"enum": [*CODES]})]
_Kind = Annotated[
    StrictStr,
    _among([kind.value for kind in OperationKind]),
    Field(json_schema_extra={"enum": [kind.value for kind in OperationKind]}),
]
_Capacity = Annotated[StrictStr, _among(CAPACITY_CODES), Field(json_schema_extra={"enum": [*CAPACITY_CODES]})]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MatchDocument(_Document):
    """What the fault is meant for. What is left out matches everything; `*` and `?` stand for any text."""

    operation: _Kind | None = Field(default=None, description="The kind of operation.")
    pool: _Pattern | None = Field(default=None, description="A node pool's name or whole resource ID, a pattern.")
    cluster: _Pattern | None = Field(
        default=None, description="A managed cluster's name or whole resource ID, a pattern."
    )
    size: _Pattern | None = Field(default=None, description="A VM size, a pattern.")
    location: _Pattern | None = Field(default=None, description="A location, as eastus.")
    zone: _Pattern | None = Field(default=None, description="An availability zone.")
    step: _Pattern | None = Field(
        default=None, description=f"A step, in any wave or as wave_2.STEP in one. Steps: {', '.join(STEPS)}."
    )
    nth: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None, description="Only the nth time that all this matches."
    )
    method: Literal["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"] | None = Field(
        default=None, description="The method of a request."
    )
    path: _Pattern | None = Field(default=None, description="The path of a request, a pattern: */agentPools/np1.")


class RefusalDocument(_Document):
    """An error code of the service, and a message in place of the usual one."""

    code: _Code
    message: _Text | None = None


class EffectDocument(_Document):
    """What the fault does: exactly one of these."""

    delaySeconds: Annotated[float, Field(gt=0, le=MAX_DELAY_SECONDS)] | None = Field(
        default=None, description="The reply or the step comes so much later."
    )
    refuse: (
        Annotated[
            RefusalDocument,
            BeforeValidator(
                lambda value: {"code": value} if isinstance(value, str) else value,
                json_schema_input_type=_Code | RefusalDocument,
            ),
        ]
        | None
    ) = Field(default=None, description="The request is refused, or the operation fails at match.step, with that code.")
    throttle: Annotated[StrictInt, Field(ge=1, le=int(MAX_DELAY_SECONDS))] | None = Field(
        default=None, description="The request is answered with 429 and so many seconds in Retry-After."
    )
    failAtStep: _Text | None = Field(default=None, description="The operation fails at match.step with that cause.")
    loseMachine: Annotated[StrictInt, Field(ge=1, le=1000)] | None = Field(
        default=None, description="So many machines vanish right before match.step."
    )
    retiredSize: Literal[True] | None = Field(default=None, description="match.size is no longer offered.")
    noCapacity: _Capacity | None = Field(default=None, description="New machines that match are not made.")
    quotaShort: Literal[True] | None = Field(
        default=None, description="One vCPU is missing: at the request, or with match.step when machines are made."
    )
    unsignedDriver: (
        Annotated[
            Annotated[StrictStr, Field(max_length=1000)],
            BeforeValidator(
                lambda value: "" if value is True else value, json_schema_input_type=Literal[True] | StrictStr
            ),
        ]
        | None
    ) = Field(default=None, description="New machines with Secure Boot never become ready, because of that driver.")
    failDrain: _Text | None = Field(default=None, description="Pods do not leave, for that reason.")


class FaultDocument(_Document):
    """A fault: what it is meant for, what it does, and how often at most."""

    match: MatchDocument = Field(default_factory=MatchDocument)
    effect: EffectDocument
    count: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None, description="How often it fires at most; left out: as often as it matches."
    )


def fault_schema() -> dict[str, Any]:
    """Return the published JSON schema of a fault's document."""
    schema = FaultDocument.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Poolwright fault"
    schema["$defs"]["EffectDocument"] |= {"minProperties": 1, "maxProperties": 1}
    required: dict[str, Any] = _without_null(schema)
    return required


def decode_fault(name: str, body: Mapping[str, Any]) -> Fault:
    """Return the fault a document means. Raises `InvalidParameter` with every place that is wrong."""
    sent = {key: value for key, value in body.items() if key not in _OURS}
    nulls = [(place, "null is no value: leave it out") for place in _nulls(sent)]
    if nulls:
        raise _refused(nulls)
    try:
        document = FaultDocument.model_validate(sent)
    except ValidationError as error:
        raise _refused(
            _problem(problem) for problem in error.errors(include_url=False, include_context=False)
        ) from None
    match = document.match.model_dump(exclude_none=True)
    if "operation" in match:
        match["operation"] = OperationKind(match["operation"])
    effects = document.effect.model_dump(exclude_none=True)
    if len(effects) != 1:
        raise _refused([("effect", f"exactly one effect is needed, got {', '.join(effects) or 'none'}")])
    ((kind, value),) = effects.items()
    fault = Fault(name=name, match=Match(**match), effect=_effect(EffectKind(kind), value), count=document.count)
    problems = problems_of(fault, STEPS)
    if problems:
        raise _refused(problems)
    return fault


def encode_fault(fault: Fault, tally: Tally, firings: Sequence[Firing], warnings: Sequence[str]) -> dict[str, Any]:
    """Return the fault's document, which may be sent again as it is, with what became of it under `state`."""
    match: dict[str, Any] = dict(fault.match.named)
    if fault.match.operation is not None:
        match["operation"] = fault.match.operation.value
    point = point_of(fault)
    return {
        "name": fault.name,
        "match": match,
        "effect": {fault.effect.kind.value: _value(fault.effect)},
        **({"count": fault.count} if fault.count is not None else {}),
        "state": {
            "decidedAt": point.value if point is not None else None,
            "matched": tally.matched,
            "fired": tally.fired,
            "isSpent": is_spent(fault, tally),
            "firings": [_firing(firing) for firing in firings if firing.fired],
            "warnings": list(warnings),
        },
    }


_PUT: Final = Document("PutFault", fault_schema)
_SHOWN: Final = document(
    "Fault",
    {
        "name": TEXT,
        "match": ANYTHING,
        "effect": {"type": "object", "minProperties": 1, "maxProperties": 1},
        "state": an_object({"decidedAt": or_null(TEXT), "matched": COUNT, "fired": COUNT, "isSpent": FLAG}),
    },
    {"count": COUNT},
)
_CLEARED: Final = document("ClearedFaults", {"cleared": COUNT})
_SCHEMA: Final = document("JsonSchema", {"$schema": TEXT})


class Faults(Area):
    """Handlers of faults."""

    def offered(self) -> tuple[OfferedRoute, ...]:
        return (
            OfferedRoute("Faults_List", "GET", BASE, self.list_faults, answers={200: listing(_SHOWN)}),
            OfferedRoute("Faults_Clear", "DELETE", BASE, self.clear_faults, answers={200: _CLEARED}),
            OfferedRoute("Faults_Get", "GET", BASE + "/{name}", self.get_fault, answers={200: _SHOWN}),
            OfferedRoute(
                "Faults_Put", "PUT", BASE + "/{name}", self.put_fault, takes=_PUT, answers={200: _SHOWN, 201: _SHOWN}
            ),
            OfferedRoute("Faults_Delete", "DELETE", BASE + "/{name}", self.delete_fault, answers={204: None}),
            OfferedRoute("Faults_Schema", "GET", "/_poolwright/fault-schema", self.get_schema, answers={200: _SCHEMA}),
        )

    async def list_faults(self, request: Request) -> Response:
        with self._service.database.engine.connect() as connection:
            shown = [self._shown(connection, fault, tally) for fault, tally in fault_statements.faults(connection)]
        return json_response(orjson.dumps({"value": shown}))

    async def get_fault(self, request: Request) -> Response:
        return json_response(self._document(request.path_params["name"]))

    async def put_fault(self, request: Request) -> Response:
        fault = decode_fault(request.path_params["name"], await read_body(request))
        is_new = await self._changed(
            request,
            lambda connection: fault_statements.put_fault(connection, fault),
            lambda is_new: 201 if is_new else 200,
        )
        self._service.faults.reload()
        return json_response(self._document(fault.name), 201 if is_new else 200)

    async def delete_fault(self, request: Request) -> Response:
        name = request.path_params["name"]
        if not await self._changed(
            request, lambda connection: fault_statements.delete_fault(connection, name), lambda _: 204
        ):
            raise _no_fault(name)
        self._service.faults.reload()
        return Response(status_code=204)

    async def clear_faults(self, request: Request) -> Response:
        cleared = await self._changed(request, fault_statements.delete_faults, lambda _: 200)
        self._service.faults.reload()
        return json_response(orjson.dumps({"cleared": cleared}))

    async def get_schema(self, request: Request) -> Response:
        return json_response(orjson.dumps(fault_schema()))

    def _document(self, name: str) -> bytes:
        with self._service.database.engine.connect() as connection:
            stored = fault_statements.fault(connection, name)
            if stored is None:
                raise _no_fault(name)
            return orjson.dumps(self._shown(connection, *stored))

    def _shown(self, connection: Connection, fault: Fault, tally: Tally) -> dict[str, Any]:
        firings = fault_statements.firings(connection, fault.name, SHOWN_FIRINGS)
        return encode_fault(fault, tally, firings, self._warnings(fault))

    def _warnings(self, fault: Fault) -> list[str]:
        if point_of(fault) is not Point.DRAIN:
            return []
        endpoint = self._service.cluster_endpoint
        keys = [
            key
            for subscription in self._service.subscriptions
            for key, _ in self._reader.rows(
                statements.CLUSTERS_OF_SUBSCRIPTION, key=subscription, **statements.WHOLE_LIST
            )
            if is_named(fault.match.cluster, key)
        ]
        if any(endpoint.is_attached(key) for key in keys):
            return []
        return [
            "No Kubernetes cluster is attached to any managed cluster this could be about, so nothing is drained there "
            "and the fault does not fire."
        ]


def _without_null(schema: Any) -> Any:
    """The schema without the null that pydantic allows where a field may be left out; here it may not."""
    if isinstance(schema, list):
        return [_without_null(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _without_null(part) for key, part in schema.items() if (key, part) != ("default", None)}
    choices = [choice for choice in kept.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        return {**choices[0], **{key: part for key, part in kept.items() if key != "anyOf"}}
    return kept | ({"anyOf": choices} if choices else {})


def _nulls(value: Any, place: str = "") -> Iterator[str]:
    if value is None:
        yield place
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _nulls(part, f"{place}.{name}" if place else str(name))


def _effect(kind: EffectKind, value: Any) -> Effect:
    if kind is EffectKind.REFUSE:
        return Effect(kind=kind, **value)
    name = _VALUE.get(kind)
    return Effect(kind=kind) if name is None or value == "" else Effect(kind=kind, **{name: value})


def _value(effect: Effect) -> Any:
    if effect.kind is EffectKind.REFUSE:
        return {"code": effect.code} | ({"message": effect.message} if effect.message is not None else {})
    if effect.kind is EffectKind.THROTTLE:
        return int(effect.seconds)
    name = _VALUE.get(effect.kind)
    value = getattr(effect, name) if name is not None else None
    return True if value is None else value


def _firing(firing: Firing) -> dict[str, Any]:
    return {
        "at": timestamp(firing.at),
        "on": firing.on,
        **({"operation": firing.operation_id} if firing.operation_id is not None else {}),
        **({"machines": [key.rpartition("/")[2] for key in firing.machines]} if firing.machines else {}),
    }


def _problem(problem: ErrorDetails) -> tuple[str, str]:
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        parent, _, name = place.rpartition(".")
        models: dict[str, type[BaseModel]] = {"": FaultDocument, "match": MatchDocument, "effect": EffectDocument}
        fields = list(models.get(parent, RefusalDocument).model_fields)
        near = get_close_matches(name, fields, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(fields)}"
        return place, f"there is no such field; {hint}"
    if problem["type"] == "missing":
        return place, "it is required"
    message = problem["msg"].removeprefix("Value error, ")
    return place, message[0].lower() + message[1:]


def _refused(problems: Iterable[tuple[str, str]]) -> errors.PoolwrightError:
    return errors.joined(
        [
            errors.InvalidParameter(
                f"The value of parameter {place} is invalid: {what}.",
                target=place,
                remedy="`poolwright faults schema` prints what is possible",
            )
            for place, what in problems
        ]
    )


def _no_fault(name: str) -> errors.ResourceNotFound:
    return errors.ResourceNotFound(
        f"There is no fault '{name[:80]}'.", remedy="`poolwright faults list` shows what there is"
    )
