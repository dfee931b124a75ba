"""Behaviour profiles: whose truth the service follows where the sources disagree.

Invariant: profiles differ by rows of tables, never by an `if` elsewhere (docs/compatibility.md).
"""

from __future__ import annotations

from enum import Enum


class Profile(Enum):
    """`documented` follows the AKS pages; `azure-2026` follows what the real service was seen to do."""

    DOCUMENTED = "documented"
    AZURE_2026 = "azure-2026"
