"""Who may log in to the machines of a node pool: what the cluster's `linuxProfile` says.

Invariant: a change of it replaces no machine. As in AKS, machines made from then on have it: "After you update the SSH
key, AKS doesn't automatically update your node pool" (manage-ssh-node-access.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from poolwright.domain.cluster import Cluster
from poolwright.domain.machine import Login
from poolwright.domain.node_pool import NodePool
from poolwright.domain.os_sku import OsType

# What az sends where nobody chose a name.
DEFAULT_USER: Final = "azureuser"
# The only kind of access that uses the cluster's keys; `Disabled` and `EntraId` are the others.
_BY_KEY: Final = "LocalUser"


def login_of(cluster: Cluster, pool: NodePool) -> Login | None:
    """Return who may log in to new machines of the node pool, None where nobody may.

    Source: manage-ssh-node-access.md.
    """
    if pool.os_type is not OsType.LINUX or (_at(pool.sent, "securityProfile", "sshAccess") or _BY_KEY) != _BY_KEY:
        return None
    listed = _at(cluster.sent, "properties", "linuxProfile", "ssh", "publicKeys") or ()
    keys = tuple(key.strip() for entry in listed if isinstance(key := _at(entry, "keyData"), str) and key.strip())
    if not keys:
        return None
    return Login(_at(cluster.sent, "properties", "linuxProfile", "adminUsername") or DEFAULT_USER, keys)


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
