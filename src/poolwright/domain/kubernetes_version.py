"""Kubernetes versions: the minor release rules go by, and the patch version clients write.

Invariant: a `KubernetesRelease` orders numerically (1.9 < 1.30).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_RELEASE = re.compile(r"([0-9]{1,2})\.([0-9]{1,3})(?:\.([0-9]{1,4}))?")


@dataclass(frozen=True, slots=True, order=True)
class KubernetesRelease:
    """A minor release such as 1.33."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> KubernetesRelease:
        """Return the minor release of `1.33` or `1.33.2`. Raises `ValueError` for anything else."""
        match = _RELEASE.fullmatch(text)
        if match is None:
            raise ValueError(f"not a Kubernetes version: {text!r}")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True, slots=True, order=True)
class KubernetesVersion:
    """A full version such as 1.33.2."""

    release: KubernetesRelease
    patch: int

    @classmethod
    def parse(cls, text: str) -> KubernetesVersion:
        """Return the version written as `1.33.2`. Raises `ValueError` for anything else, also `1.33`."""
        match = _RELEASE.fullmatch(text)
        if match is None or match[3] is None:
            raise ValueError(f"not a full Kubernetes version: {text!r}")
        return cls(KubernetesRelease(int(match[1]), int(match[2])), int(match[3]))

    def __str__(self) -> str:
        return f"{self.release}.{self.patch}"
