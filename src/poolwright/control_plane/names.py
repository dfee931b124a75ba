"""The names that resource groups, clusters and deployments may have.

Invariant: a name is checked here only, whether a request, a template, a seed or a state file brings it. Those of node
pools are a matter of their type and operating system (`domain/pool_requirements.py`).
"""

from __future__ import annotations

import re
from typing import Final

from poolwright import errors

# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
_GROUP_NAME: Final = re.compile(r"[-\w.()]{0,89}[-\w()]")
_GROUP_NAME_FORM: Final = "1 to 90 letters, digits, underscores, hyphens, parentheses and periods, no period at the end"
_CLUSTER_NAME: Final = re.compile(r"[a-zA-Z0-9]([-_a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")
_CLUSTER_NAME_FORM: Final = "1 to 63 letters, digits, underscores and hyphens, a letter or digit at both ends"
_DEPLOYMENT_NAME: Final = re.compile(r"[-\w.()]{1,64}")
_DEPLOYMENT_NAME_FORM: Final = "1 to 64 letters, digits, underscores, hyphens, parentheses and periods"


def require_group_name(name: str) -> None:
    """Raise `InvalidParameter` for a name that no resource group can have."""
    _require_name(_GROUP_NAME, name, "resource group", _GROUP_NAME_FORM)


def require_cluster_name(name: str) -> None:
    """Raise `InvalidParameter` for a name that no managed cluster can have."""
    _require_name(_CLUSTER_NAME, name, "managed cluster", _CLUSTER_NAME_FORM)


def require_deployment_name(name: str) -> None:
    """Raise `InvalidParameter` for a name that no deployment can have."""
    _require_name(_DEPLOYMENT_NAME, name, "deployment", _DEPLOYMENT_NAME_FORM)


def _require_name(pattern: re.Pattern[str], name: str, what: str, form: str) -> None:
    if pattern.fullmatch(name) is None:
        raise errors.InvalidParameter(
            f"The {what} name '{name}' is invalid: it has {form}. "
            "See https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules",
            target="name",
            remedy="choose another name",
        )
