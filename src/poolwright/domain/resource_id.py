"""ARM resource IDs of the resources this product has.

An ID that somebody sends is read by `ResourceId.parse` alone, once: whoever may do what, and what it is done to,
are read from the same parts.

Invariant: an ID keeps the case its names were created with; `key` is the lower-case form that all
look-ups use, because Azure compares IDs without case. Only ASCII letters have two cases where an ID is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CLUSTER_TYPE = "Microsoft.ContainerService/managedClusters"
NODE_POOL_TYPE = f"{CLUSTER_TYPE}/agentPools"
MACHINE_TYPE = f"{NODE_POOL_TYPE}/machines"
MAINTENANCE_TYPE = f"{CLUSTER_TYPE}/maintenanceConfigurations"
SNAPSHOT_TYPE = "Microsoft.ContainerService/snapshots"

# A segment that goes up or nowhere is no name, and what follows a name is a type, unless it begins another provider's.
_NAME = r"(?!\.{1,2}(?:/|\Z))[^/\x00-\x1f\x7f]+"
_PROVIDER = rf"/providers/[a-z0-9]+(?:\.[a-z0-9]+)+(?:/(?!providers/)[a-z][a-z0-9.]*/{_NAME})+"
_ID = re.compile(
    rf"/subscriptions/(?P<subscription>{_NAME})(?:/resourceGroups/(?P<group>{_NAME}))?(?P<below>(?:{_PROVIDER})*)/?",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class ResourceId:
    """The ID of a subscription, a resource group or any resource, by its parts as they were written.

    `providers` are the namespaces below it, outermost first, each with its pairs of type and name: a role
    assignment of a cluster has two.
    """

    subscription: str
    group: str | None
    providers: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()

    @classmethod
    def parse(cls, text: str) -> ResourceId | None:
        """Return the ID that the text is, with or without a slash at its end; None when it is none."""
        match = _ID.fullmatch(text)
        if match is None:
            return None
        providers: list[tuple[str, tuple[tuple[str, str], ...]]] = []
        segments = iter(match["below"].split("/")[1:])
        # By position: a resource may be named "providers".
        for kind, name in zip(segments, segments, strict=False):
            if kind.lower() == "providers":
                providers.append((name, ()))
            else:
                namespace, pairs = providers[-1]
                providers[-1] = (namespace, (*pairs, (kind, name)))
        return cls(match["subscription"], match["group"], tuple(providers))

    def __str__(self) -> str:
        below = "".join(
            f"/providers/{namespace}" + "".join(f"/{kind}/{name}" for kind, name in pairs)
            for namespace, pairs in self.providers
        )
        group = f"/resourceGroups/{self.group}" if self.group is not None else ""
        return f"/subscriptions/{self.subscription}{group}{below}"

    @property
    def key(self) -> str:
        return str(self).lower()

    @property
    def type(self) -> str:
        """The resource type that actions on it are named after."""
        if self.providers:
            namespace, pairs = self.providers[-1]
            return "/".join([namespace, *(kind for kind, _ in pairs)])
        return "Microsoft.Resources/subscriptions" + ("/resourceGroups" if self.group is not None else "")

    @property
    def names(self) -> tuple[str, ...]:
        """The names below the innermost namespace."""
        return tuple(name for _, name in self.providers[-1][1]) if self.providers else ()

    @property
    def group_id(self) -> GroupId:
        """The resource group that it is or is in, which it must be."""
        assert self.group is not None
        return GroupId(self.subscription.lower(), self.group)

    @property
    def scope(self) -> ResourceId:
        """What the innermost namespace is below."""
        return ResourceId(self.subscription, self.group, self.providers[:-1])

    def is_in_group(self, kind: str | None = None) -> bool:
        """Whether it is a resource of a resource group, and of that type; not one of another resource."""
        is_in = self.group is not None and len(self.providers) == 1
        return is_in and (kind is None or self.type.lower() == kind.lower())


@dataclass(frozen=True, slots=True)
class GroupId:
    """A resource group of a subscription."""

    subscription: str
    group: str

    def __str__(self) -> str:
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"

    @property
    def key(self) -> str:
        return str(self).lower()


@dataclass(frozen=True, slots=True)
class ClusterId:
    """A managed cluster of a resource group."""

    group_id: GroupId
    cluster: str

    def __str__(self) -> str:
        return f"{self.group_id}/providers/{CLUSTER_TYPE}/{self.cluster}"

    @property
    def key(self) -> str:
        return str(self).lower()


@dataclass(frozen=True, slots=True)
class NodePoolId:
    """A node pool of a cluster."""

    cluster_id: ClusterId
    pool: str

    @classmethod
    def parse(cls, text: str) -> NodePoolId | None:
        """Return the ID that the text is, ignoring case; None when it is none of a node pool."""
        found = ResourceId.parse(text)
        if found is None or not found.is_in_group(NODE_POOL_TYPE):
            return None
        cluster, pool = found.names
        return cls(ClusterId(found.group_id, cluster), pool)

    def __str__(self) -> str:
        return f"{self.cluster_id}/agentPools/{self.pool}"

    @property
    def key(self) -> str:
        return str(self).lower()


@dataclass(frozen=True, slots=True)
class MachineId:
    """A machine of a node pool."""

    pool_id: NodePoolId
    machine: str

    def __str__(self) -> str:
        return f"{self.pool_id}/machines/{self.machine}"

    @property
    def key(self) -> str:
        return str(self).lower()


@dataclass(frozen=True, slots=True)
class SnapshotId:
    """A node pool snapshot of a resource group."""

    group_id: GroupId
    snapshot: str

    @classmethod
    def parse(cls, text: str) -> SnapshotId | None:
        """Return the ID that the text is, ignoring case; None when it is none of a snapshot."""
        found = ResourceId.parse(text)
        if found is None or not found.is_in_group(SNAPSHOT_TYPE):
            return None
        return cls(found.group_id, *found.names)

    def __str__(self) -> str:
        return f"{self.group_id}/providers/{SNAPSHOT_TYPE}/{self.snapshot}"

    @property
    def key(self) -> str:
        return str(self).lower()


@dataclass(frozen=True, slots=True)
class MaintenanceId:
    """A maintenance configuration of a cluster."""

    cluster_id: ClusterId
    name: str

    def __str__(self) -> str:
        return f"{self.cluster_id}/maintenanceConfigurations/{self.name}"

    @property
    def key(self) -> str:
        return str(self).lower()
