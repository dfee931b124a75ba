"""A Kubernetes cluster from which one pod never leaves; each attempt to drain lets time pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from poolwright.kubernetes.endpoint import KubernetesAnswer, NoCluster


@dataclass
class StuckCluster:
    """Implements `ClusterEndpoint`. It is attached once `attached` is set; `cordoned` are the nodes cordoned now."""

    pass_time: Callable[[float], None]
    attached: bool = False
    cordoned: set[str] = field(default_factory=set)

    def answer(self, cluster: str) -> KubernetesAnswer:
        return NoCluster().answer(cluster)

    def is_attached(self, cluster: str) -> bool:
        return self.attached

    def cordon(self, cluster: str, nodes: Sequence[str]) -> None:
        self.cordoned |= set(nodes)

    def uncordon(self, cluster: str, nodes: Sequence[str]) -> None:
        self.cordoned -= set(nodes)

    def drain(self, cluster: str, nodes: Sequence[str]) -> Mapping[str, str]:
        self.pass_time(60.0)
        return dict.fromkeys(nodes, "pod default/web is protected by a Pod Disruption Budget")
