"""The port to the Kubernetes cluster behind a managed cluster's node pools.

Invariant: Poolwright never pretends to be a Kubernetes API server, nor that work has left a machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class KubernetesAnswer:
    """What a request to the cluster's address is answered with: a Kubernetes `Status`."""

    http_status: int
    reason: str
    message: str


class ClusterEndpoint(Protocol):
    """Stands for the Kubernetes clusters of managed clusters. Clusters are named by their key, nodes by machine name.

    A node the cluster does not know is cordoned, drained and uncordoned by doing nothing.
    """

    def answer(self, cluster: str) -> KubernetesAnswer:
        """Return the answer to any request for that cluster."""

    def is_attached(self, cluster: str) -> bool:
        """Whether there is a cluster in which nodes can be cordoned and drained."""

    def cordon(self, cluster: str, nodes: Sequence[str]) -> None:
        """Afterwards none of the nodes takes new pods. Raises `TemporaryError` or `PermanentError`."""

    def uncordon(self, cluster: str, nodes: Sequence[str]) -> None:
        """Afterwards all of the nodes that are there take new pods again. Raises as `cordon` does."""

    def drain(self, cluster: str, nodes: Sequence[str]) -> Mapping[str, str]:
        """Ask every pod on the nodes to leave, and return what still holds nodes: node -> why, in words.

        It does not wait: call it until nothing is returned. Raises as `cordon` does.
        """


class NoCluster:
    """No cluster is attached. Every request is answered with 503 and says so; no node is cordoned or drained."""

    def answer(self, cluster: str) -> KubernetesAnswer:
        return KubernetesAnswer(
            503,
            "NoClusterAttached",
            f"No Kubernetes cluster is attached to '{cluster}': Poolwright runs the node pools' machines, "
            "not a Kubernetes API server.",
        )

    def is_attached(self, cluster: str) -> bool:
        return False

    def cordon(self, cluster: str, nodes: Sequence[str]) -> None:
        raise NotImplementedError(f"no cluster is attached to {cluster}")

    def uncordon(self, cluster: str, nodes: Sequence[str]) -> None:
        raise NotImplementedError(f"no cluster is attached to {cluster}")

    def drain(self, cluster: str, nodes: Sequence[str]) -> Mapping[str, str]:
        raise NotImplementedError(f"no cluster is attached to {cluster}")
