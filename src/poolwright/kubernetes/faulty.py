"""A Kubernetes cluster on a bad day: another one, of which faults (`domain/fault.py`) decide which nodes do not drain.

Invariant: a node that is held is not asked to drain: its pods stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from poolwright.kubernetes.endpoint import ClusterEndpoint, KubernetesAnswer

# Nodes of a cluster -> those of them that are held, and why.
Held = Callable[[Sequence[str]], Mapping[str, str]]


class FaultyCluster:
    """Implements `ClusterEndpoint`."""

    def __init__(self, inner: ClusterEndpoint, held: Held) -> None:
        self._inner = inner
        self._held = held

    def answer(self, cluster: str) -> KubernetesAnswer:
        return self._inner.answer(cluster)

    def is_attached(self, cluster: str) -> bool:
        return self._inner.is_attached(cluster)

    def cordon(self, cluster: str, nodes: Sequence[str]) -> None:
        self._inner.cordon(cluster, nodes)

    def uncordon(self, cluster: str, nodes: Sequence[str]) -> None:
        self._inner.uncordon(cluster, nodes)

    def drain(self, cluster: str, nodes: Sequence[str]) -> Mapping[str, str]:
        held = self._held(nodes)
        return {**held, **self._inner.drain(cluster, [node for node in nodes if node not in held])}
