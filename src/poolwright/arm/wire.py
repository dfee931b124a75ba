"""Resource groups, quotas and operations as JSON, and what all that is shown shares: times, GUIDs, parts of blocks.

The other resources have a `wire_*` module each, which knows their JSON names and nothing else does. How a body is
read, whatever it is of, stands in `sent.py`.

Invariant: nothing here knows those modules, so that each of them may use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final

import orjson
from pydantic import Field

from poolwright.arm.sent import Json, Sent, as_sent, checked, clean, without
from poolwright.domain.cluster import ResourceGroup
from poolwright.domain.operation import Operation, OperationError, OperationKind
from poolwright.domain.tags import require_tags

GUID: Final = r"^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$"


class GroupBody(Sent):
    location: str
    tags: dict[str, str | None] | None = None


class QuotaBody(Sent):
    limit: Annotated[int, Field(ge=0, le=10_000_000)]


def decode_group(body: Json) -> tuple[str, Json]:
    """Return location and kept content of a resource group's PUT."""
    model = checked(GroupBody, body, "")
    require_tags(model.tags)
    return model.location, clean(without(as_sent(model), ("id", "name", "type", "properties", "location")))


def encode_group(group: ResourceGroup) -> bytes:
    """Return a resource group as ARM shows it."""
    return orjson.dumps(
        {
            "id": str(group.id),
            "name": group.id.group,
            "type": "Microsoft.Resources/resourceGroups",
            "location": group.location,
            **group.sent,
            "properties": {"provisioningState": group.state.value},
        }
    )


def decode_quota_limit(body: Json) -> int:
    """Return the vCPU limit of a quota's PUT."""
    return checked(QuotaBody, body, "").limit


def encode_operation(operation: Operation) -> bytes:
    """Return an operation's status as ARM shows it."""
    document: Json = {
        "id": f"/subscriptions/{operation.subscription}/providers/Microsoft.ContainerService/locations/"
        f"{operation.location}/operations/{operation.id}",
        "name": operation.id,
        "status": operation.status.value,
        "startTime": timestamp(operation.started),
        "percentComplete": operation.percent,
        "resourceId": operation.resource_id,
        "properties": {
            "poolwright": {
                "operation": operation.kind.words,
                "step": operation.step,
                "wave": operation.wave,
                "waves": operation.waves,
                "replaced": operation.replaced,
                "toReplace": operation.to_replace,
                "generations": counted(operation.generations),
                "kubernetes": _kubernetes(operation),
            }
        },
    }
    if operation.ended is not None:
        document["endTime"] = timestamp(operation.ended)
    if operation.error is not None:
        document["error"] = encode_operation_error(operation.error)
    return orjson.dumps(document)


def encode_operation_error(error: OperationError) -> Json:
    """Return why an operation failed as ARM's error object; remedy and fault stand in `additionalInfo`."""
    told: Json = {"code": error.code, "message": error.message}
    if error.target is not None:
        told["target"] = error.target
    info = {name: value for name, value in (("remedy", error.remedy), ("fault", error.fault)) if value is not None}
    if info:
        told["additionalInfo"] = [{"type": "PoolwrightRemedy", "info": info}]
    return told


def _kubernetes(operation: Operation) -> Json | None:
    """What becomes of the work on leaving machines; None where none leaves."""
    if operation.cluster_attached is None:
        return None
    what = "reimaged" if operation.kind is OperationKind.REIMAGE_MACHINE else "removed"
    told = (
        f"nodes are cordoned and drained before they are {what}"
        if operation.cluster_attached
        else f"no Kubernetes cluster is attached: nodes are neither cordoned nor drained before they are {what}"
    )
    return {"attached": operation.cluster_attached, "message": told}


def timestamp(seconds: float) -> str:
    """Return UNIX seconds as ARM writes times."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def image_block(definition: str) -> Json:
    """Return the `image` part of a poolwright block: what was chosen, and what was really booted (nothing yet)."""
    return {"definition": definition, "booted": None, "standIn": False}


def counted(generations: Mapping[str, int]) -> dict[str, int]:
    """Return how many machines have each generation, also where it is none."""
    return {"V1": 0, "V2": 0, "unknown": 0} | dict(generations)
