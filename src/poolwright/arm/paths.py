"""ARM paths: compared without case, with duplicate slashes folded, keeping what the client wrote.

Invariant: routing sees the folded, lower-case path; names for new resources come from the path as sent.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from poolwright import errors
from poolwright.domain.resource_id import ClusterId, GroupId, MachineId, MaintenanceId, NodePoolId, SnapshotId

_SLASHES: Final = re.compile(r"/{2,}")
_UNUSABLE: Final = re.compile("[\x00-\x1f\x7f\ufffd]")
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?|\[[0-9a-f:]+\](:[0-9]{1,5})?")
# Patterns of a subscription's ID and of an api-version, both in lower case.
GUID: Final = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
API_VERSION: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(-[a-z]+)?"
MAX_PATH: Final = 2048
AS_SENT: Final = "poolwright.path"

# Where resources are, in lower case; names in braces.
SUBSCRIPTION: Final = "/subscriptions/{subscription}"
CLUSTERS: Final = "/subscriptions/{subscription}/providers/microsoft.containerservice/managedclusters"
GROUP: Final = "/subscriptions/{subscription}/resourcegroups/{group}"
GROUP_CLUSTERS: Final = GROUP + "/providers/microsoft.containerservice/managedclusters"
CLUSTER: Final = GROUP_CLUSTERS + "/{cluster}"
POOLS: Final = CLUSTER + "/agentpools"
POOL: Final = POOLS + "/{pool}"
LOCATION: Final = "/subscriptions/{subscription}/providers/microsoft.containerservice/locations/{location}"
COMPUTE_LOCATION: Final = "/subscriptions/{subscription}/providers/microsoft.compute/locations/{location}"
USAGES: Final = COMPUTE_LOCATION + "/usages"
# Below /_poolwright: not Azure's, and only for the local operator.
CATALOG: Final = "/_poolwright/catalog"
CATALOG_LOCATION: Final = "/_poolwright/locations/{location}"


def fold(path: str) -> str:
    """Return the path with single slashes and no slash at the end. Raises `InvalidRequestContent`."""
    if len(path) > MAX_PATH or _UNUSABLE.search(path):
        raise errors.InvalidRequestContent(
            f"The request path is longer than {MAX_PATH} characters, has control characters, or is not UTF-8.",
            remedy="correct the path",
        )
    return _SLASHES.sub("/", path).rstrip("/") or "/"


def group_id(request: Request) -> GroupId:
    parts = segments(request)
    return GroupId(parts[1].lower(), parts[3])


def cluster_id(request: Request) -> ClusterId:
    return ClusterId(group_id(request), segments(request)[7])


def node_pool_id(request: Request) -> NodePoolId:
    return NodePoolId(cluster_id(request), segments(request)[9])


def maintenance_id(request: Request) -> MaintenanceId:
    return MaintenanceId(cluster_id(request), segments(request)[9])


def snapshot_id(request: Request) -> SnapshotId:
    return SnapshotId(group_id(request), segments(request)[7])


def machine_id(request: Request) -> MachineId:
    return MachineId(node_pool_id(request), segments(request)[11])


def name_as_sent(request: Request) -> str:
    """Return the last segment of the path as the client wrote it."""
    return segments(request)[-1]


def require_subscription_guid(text: str) -> str:
    """Return the subscription ID in lower case. Raises `InvalidSubscriptionId`."""
    if re.fullmatch(GUID, text) is None:
        raise errors.InvalidSubscriptionId(
            f"The provided subscription identifier '{text}' is malformed or invalid.",
            remedy="use the subscription `poolwright env` prints",
        )
    return text


@lru_cache(maxsize=256)
def api_version(query_string: bytes) -> str:
    """Return the api-version of a query. Any well-formed one is taken: three current clients send three."""
    sent = {name.lower(): value for name, value in parse_qsl(query_string.decode("latin-1"))}
    version = sent.get("api-version")
    if not version:
        raise errors.MissingApiVersionParameter(
            "The api-version query parameter (?api-version=) is required for all requests.",
            remedy="add ?api-version=2026-06-01",
        )
    if re.fullmatch(API_VERSION, version.lower()) is None:
        raise errors.InvalidApiVersionParameter(
            f"The api-version '{version}' is invalid. It has the form YYYY-MM-DD or YYYY-MM-DD-preview.",
            remedy="send a well-formed api-version, for example 2026-06-01",
        )
    return version


def base_url(request: Request, configured: str | None, fallback: str) -> str:
    """Return the address the client used, which links in replies must repeat; a configured one wins."""
    if configured is not None:
        return configured
    host = request.headers.get("host", "").lower()
    return f"https://{host}" if _HOST.fullmatch(host) else fallback


def segments(request: Request) -> list[str]:
    """Return the parts of the path as it was sent."""
    path: str = request.scope[AS_SENT]
    return path.strip("/").split("/")
