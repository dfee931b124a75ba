"""How often AKS lets its resource provider be asked: the documented limits, and the token buckets that keep them.

Invariant: a limit is a row with its source; a bucket is full when it was never used, so it may be forgotten.

Source: https://learn.microsoft.com/azure/aks/quotas-skus-regions (rule 62)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil
from typing import Final

_SOURCE: Final = "Throttling limits on AKS resource provider APIs (quotas-skus-regions.md)"
_SUBSCRIPTION: Final = r"(?P<scope>/subscriptions/[^/]+)"
_PROVIDER: Final = "/providers/microsoft\\.containerservice"
_CLUSTERS: Final = f"/resourcegroups/[^/]+{_PROVIDER}/managedclusters"
_EPSILON: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Limit:
    """A row: which requests share a bucket, how many it holds, and how fast it fills.

    `path` is a pattern of the whole path in lower case; its group `scope` names the bucket. `handler` is how AKS
    calls what was asked too often (only that of PUT managed cluster is published; the others follow it).
    """

    id: str
    method: str | None
    path: str
    burst: int
    per_second: float
    scope: str
    handler: str
    source: str = _SOURCE


LIMITS: Final = (
    Limit(
        "put-agent-pool",
        "PUT",
        rf"(?P<scope>/subscriptions/[^/]+{_CLUSTERS}/[^/]+/agentpools/[^/]+)",
        20,
        1 / 60,
        "agent pool",
        "PutAgentPoolHandler.PUT",
    ),
    Limit(
        "put-managed-cluster",
        "PUT",
        rf"(?P<scope>/subscriptions/[^/]+{_CLUSTERS}/[^/]+)",
        20,
        1 / 60,
        "managed cluster",
        "PutManagedClusterHandler.PUT",
    ),
    Limit(
        "get-managed-cluster",
        "GET",
        rf"(?P<scope>/subscriptions/[^/]+{_CLUSTERS}/[^/]+)",
        60,
        1.0,
        "managed cluster",
        "GetManagedClusterHandler.GET",
    ),
    Limit(
        "list-managed-clusters-of-group",
        "GET",
        rf"(?P<scope>/subscriptions/[^/]+{_CLUSTERS})",
        60,
        1.0,
        "resource group",
        "ListManagedClustersByResourceGroupHandler.GET",
    ),
    Limit(
        "list-managed-clusters",
        "GET",
        rf"{_SUBSCRIPTION}{_PROVIDER}/managedclusters",
        500,
        1.0,
        "subscription",
        "ListManagedClustersHandler.GET",
    ),
    Limit(
        "get-operation-status",
        "GET",
        rf"{_SUBSCRIPTION}{_PROVIDER}/locations/[^/]+/operation(s|results)/[^/]+",
        200,
        2.0,
        "subscription",
        "GetOperationStatusHandler.GET",
    ),
    Limit(
        "all-other",
        None,
        rf"{_SUBSCRIPTION}(/resourcegroups/[^/]+)?{_PROVIDER}(/.*)?",
        60,
        1.0,
        "subscription",
        "AllOtherHandlers",
    ),
)
_PATTERNS: Final = tuple((limit, re.compile(limit.path)) for limit in LIMITS)


def limit_of(method: str, path: str) -> tuple[Limit, str] | None:
    """Return the limit a request counts against and the name of its bucket; the path is in lower case.

    None for requests that are not AKS's: resource groups and SKUs have other limits, which are not kept here.
    """
    for limit, pattern in _PATTERNS:
        if limit.method in (None, method):
            found = pattern.fullmatch(path)
            if found is not None:
                return limit, f"{limit.id} {found['scope']}"
    return None


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many requests may come at once, as of `at`."""

    tokens: float
    at: float


def taken(limit: Limit, bucket: Bucket | None, now: float) -> tuple[Bucket, int]:
    """Return the bucket after one more request, and 0, or the whole seconds after which one will be let through.

    A request that has to wait takes nothing. A clock that was set back fills nothing.
    """
    if bucket is None:
        bucket = Bucket(float(limit.burst), now)
    since = max(0.0, now - bucket.at)
    tokens = min(float(limit.burst), bucket.tokens + since * limit.per_second)
    if tokens >= 1 - _EPSILON:
        return Bucket(max(0.0, tokens - 1), now), 0
    return Bucket(tokens, now), max(1, ceil((1 - tokens) / limit.per_second - _EPSILON))
