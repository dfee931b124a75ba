"""What a node pool's admission depends on besides the request: catalogue, cluster, profile, api-version.

Invariant: a rule sees the service only through these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from poolwright.domain.cluster import Cluster
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.node_image import NodeImage
from poolwright.domain.offer import Offer
from poolwright.domain.profile import Profile
from poolwright.domain.vm_size import VmSize


class VersionsView(Protocol):
    """What the decision reads of the Kubernetes versions."""

    def find(self, text: str) -> KubernetesVersion | None: ...


class CatalogView(Protocol):
    """What the decision reads of the catalogue: what the cluster's location offers."""

    @property
    def kubernetes(self) -> VersionsView: ...

    @property
    def images(self) -> tuple[NodeImage, ...]: ...
    @property
    def usable_sizes(self) -> tuple[VmSize, ...]: ...
    def size(self, name: str) -> VmSize | None: ...
    def offer(self, name: str) -> Offer | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a node pool's admission depends on besides the request."""

    profile: Profile
    engine: str
    catalog: CatalogView
    cluster: Cluster
    subscription: str
    api_version: str
    target: str = "properties"
