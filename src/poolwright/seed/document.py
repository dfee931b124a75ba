"""What may stand in a seed. The names inside of `properties` are Azure Resource Manager's own.

Invariant: an unknown name is a problem, except inside of `properties`, `tags`, `sku` and `identity`, where it is
kept as every client's is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo


class _Part(BaseModel):
    # Only null and missing mean the default: a number in the place of a text is a mistake, as `1.30` is.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Headers(_Part):
    """What az sends as --aks-custom-headers."""

    UseWindowsGen2VM: bool | None = None

    @property
    def wish(self) -> bool | None:
        return self.UseWindowsGen2VM


Name = Annotated[str, Field(min_length=1)]
Tags = dict[str, str | None]


class SeedNodePool(_Part):
    """A node pool, as a PUT of it would be."""

    name: Name
    headers: Annotated[Headers, Field(description="Not for pools of mode System, which come with their cluster.")] = (
        Headers()
    )
    properties: dict[str, Any] = {}


class SeedMaintenanceConfiguration(_Part):
    """A maintenance configuration of the cluster, as a PUT of it would be."""

    name: Name
    properties: dict[str, Any]


class SeedCluster(_Part):
    """A managed cluster. Its node pools of mode System are part of its own PUT; each other one has a PUT of its own."""

    name: Name
    location: Annotated[str | None, Field(description="The resource group's where it is not given.")] = None
    tags: Tags | None = None
    sku: dict[str, Any] | None = None
    identity: dict[str, Any] | None = None
    headers: Headers = Headers()
    properties: dict[str, Any] = {}
    nodePools: Annotated[list[SeedNodePool], Field(min_length=1)]
    maintenanceConfigurations: list[SeedMaintenanceConfiguration] = []


class SeedSnapshot(_Part):
    """A snapshot of a node pool, taken when its last operation of the seed has ended."""

    name: Name
    nodePool: Annotated[
        str, Field(pattern=r"^[^/]+/[^/]+$", description="Cluster and node pool of the resource group: `c1/np1`.")
    ]
    tags: Tags | None = None


class SeedResourceGroup(_Part):
    """A resource group with its clusters."""

    name: Name
    location: Name
    tags: Tags | None = None
    clusters: list[SeedCluster] = []
    snapshots: list[SeedSnapshot] = []


def _beside_the_seed(path: str, info: ValidationInfo) -> str:
    """The path of a file that is there, from where the seed lies."""
    found = (info.context or {}).get("directory", Path()) / Path(path).expanduser()
    if not found.is_file():
        raise ValueError(f"there is no file {found}")
    return str(found)


class SeedCatalogImport(_Part):
    """A list that replaces a part of the built-in catalogue, as `poolwright catalog import` takes it."""

    file: Annotated[
        Name, AfterValidator(_beside_the_seed), Field(description="A path, from where the seed lies if it is relative.")
    ]
    location: Annotated[str | None, Field(description="Of a list of Kubernetes versions, which does not say it.")] = (
        None
    )


class SeedRestrictions(_Part):
    """All restrictions of a size in a location; none of them lifts those of an imported list."""

    location: Name
    size: Name
    restrictions: Annotated[
        list[dict[str, Any]], Field(description="As Compute lists them: type, restrictionInfo, reasonCode.")
    ]


class SeedQuota(_Part):
    """A vCPU limit."""

    location: Name
    family: Annotated[Name, Field(description="For example standardDSv5Family; `cores` is the regional total.")]
    limit: Annotated[int, Field(ge=0, le=10_000_000)]


class SeedFault(_Part):
    """A fault. It acts once the whole seed is there, and is counted anew when its entry changes."""

    name: Name
    match: dict[str, Any] | None = None
    effect: dict[str, Any]
    count: int | None = None
