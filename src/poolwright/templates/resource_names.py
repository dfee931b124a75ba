"""Resource IDs as template functions build them.

Source: https://learn.microsoft.com/azure/azure-resource-manager/templates/template-functions-resource

Invariant: a type has one segment more than its resource's name, its namespace.
"""

from __future__ import annotations

from collections.abc import Sequence

from poolwright.domain.deployment import GROUP_TYPE


def resource_id(scope: str, kind: str, names: Sequence[str]) -> str:
    """Return the ID of a resource of that type and name, by segments, below a scope. Raises `ValueError`."""
    namespace, *types = kind.strip("/").split("/")
    if not types or len(types) != len(names) or not all(names):
        raise ValueError(
            f"the type '{kind}' has {len(types)} segment(s) after its namespace, and {len(names)} name(s) were given"
        )
    # Resource groups are where the path of everything else begins, not below a provider.
    if kind.lower() == GROUP_TYPE.lower():
        return f"/{'/'.join(scope.strip('/').split('/')[:2])}/resourceGroups/{names[0]}"
    pairs = "/".join(f"{part}/{name}" for part, name in zip(types, names, strict=True))
    return f"{scope.rstrip('/')}/providers/{namespace}/{pairs}"


def normal(identifier: str) -> str:
    """Return the form in which IDs are compared."""
    key = identifier.strip("/").lower()
    head, found, group = key.partition("/providers/microsoft.resources/resourcegroups/")
    return f"/{head}/resourcegroups/{group}" if found and "/" not in group else f"/{key}"
