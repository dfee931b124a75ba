"""The port to the Kubernetes cluster behind a managed cluster's node pools.

Invariant: Poolwright never pretends to be a Kubernetes API server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class KubernetesAnswer:
    """What a request to the cluster's address is answered with: a Kubernetes `Status`."""

    http_status: int
    reason: str
    message: str


class ClusterEndpoint(Protocol):
    """Stands for the Kubernetes cluster of a managed cluster."""

    def answer(self, cluster: str) -> KubernetesAnswer:
        """Return the answer to any request for that cluster."""


class NoCluster:
    """No cluster is attached. Every request is answered with 503 and says so."""

    def answer(self, cluster: str) -> KubernetesAnswer:
        return KubernetesAnswer(
            503,
            "NoClusterAttached",
            f"No Kubernetes cluster is attached to '{cluster}': Poolwright runs the node pools' machines, "
            "not a Kubernetes API server.",
        )
