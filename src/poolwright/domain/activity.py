"""The activity log: what somebody changed, or tried to, and how it ended.

    a change that is done at once      Succeeded
    a change that an operation does    Accepted --> Succeeded | Failed | Canceled
    a change the caller may not make   Failed

Invariant: an event never changes; it is stored in the transaction of what it tells about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

# As Azure keeps it: https://learn.microsoft.com/azure/azure-monitor/platform/activity-log (retention period)
RETENTION_SECONDS: Final = 90 * 86_400.0
# Who changed something without a token: the operator at the data directory, and the service itself.
OPERATOR: Final = "local operator"
SERVICE: Final = "Poolwright"


class Outcome(Enum):
    """How a change stands."""

    ACCEPTED = "Accepted"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Who asks for what. `caller` is an app ID, or one of the words above, which have no object ID.

    `resource_id` is written as the client wrote it. `method` and `address` are of the HTTP request.
    """

    subscription: str
    tenant: str
    caller: str
    object_id: str | None = None
    action: str
    resource_id: str
    correlation_id: str
    client_request_id: str | None = None
    method: str | None = None
    address: str | None = None

    @property
    def resource_key(self) -> str:
        return self.resource_id.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One entry. `operation_id` is shared by the entries of one change; `status` is that of the HTTP reply.

    `begins` says that the change began with this entry, False for the end of an operation.
    """

    id: str
    at: float
    change: Change
    outcome: Outcome
    operation_id: str
    begins: bool = True
    status: int | None = None
    error_code: str | None = None
    error_message: str | None = None


Snapshot = Mapping[str, bytes]
"""The stored JSON of a resource and what lies below it, by key."""


# What an entry keeps of each of the two. 2 000 node pools' worth of changes is told; what somebody stuffs in is not.
KEPT_BYTES: Final = 64 * 1024
OMITTED: Final = "omittedBytes"


def shortened(snapshot: Snapshot) -> Snapshot:
    """Return at most `KEPT_BYTES` of the snapshot; of a record that does not fit it is how many bytes it has.

    What even that is too much for is left out and counted, under the key `...`.
    """
    kept: dict[str, bytes] = {}
    room = KEPT_BYTES
    # The small ones first: a huge record does not hide the others.
    for key, record in sorted(snapshot.items(), key=lambda item: len(item[1])):
        told = record if len(key) + len(record) <= room else b'{"%b":%d}' % (OMITTED.encode(), len(record))
        if len(key) + len(told) > room:
            kept["..."] = b'{"omittedResources":%d}' % (len(snapshot) - len(kept))
            break
        kept[key] = told
        room -= len(key) + len(told)
    return kept


def differing(before: Snapshot, after: Snapshot) -> tuple[Snapshot, Snapshot]:
    """Return both without what is the same in them."""
    return (
        {key: record for key, record in before.items() if after.get(key) != record},
        {key: record for key, record in after.items() if before.get(key) != record},
    )


def group_of(resource_key: str) -> str | None:
    """Return the name of the resource group in a resource's key, or None."""
    match resource_key.strip("/").split("/"):
        case ["subscriptions", _, "resourcegroups", group, *_]:
            return group
    return None


def type_of(resource_id: str) -> str:
    """Return the type of a resource as ARM writes it; without case where the ID is written so."""
    head, _, tail = resource_id.rpartition("/providers/")
    segments = tail.split("/") if head else []
    if len(segments) > 1:
        return "/".join([segments[0], *segments[1::2]])
    return (
        "Microsoft.Resources/subscriptions/resourceGroups"
        if group_of(resource_id.lower()) is not None
        else "Microsoft.Resources/subscriptions"
    )
