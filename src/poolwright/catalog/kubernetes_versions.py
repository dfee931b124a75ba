"""The Kubernetes versions that clusters and node pools may ask for.

Invariant: exactly one release is the default, and no release is without a patch.
Source of the policy: https://learn.microsoft.com/azure/aks/supported-kubernetes-versions
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from poolwright.catalog import shipped_table
from poolwright.domain.kubernetes_version import KubernetesRelease, KubernetesVersion

LONG_TERM: Final = "AKSLongTermSupport"


@dataclass(frozen=True, slots=True)
class OfferedRelease:
    """A minor release with its patches, newest last, and the support plans it is sold under.

    `upgrades` says where each patch can go, by its text, where a list of the location's versions said so.
    """

    release: KubernetesRelease
    patches: tuple[KubernetesVersion, ...]
    support_plans: tuple[str, ...]
    is_preview: bool
    upgrades: Mapping[str, tuple[KubernetesVersion, ...]] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        if not self.patches:
            raise ValueError(f"release {self.release} has no patch")
        if list(self.patches) != sorted(self.patches):
            raise ValueError(f"patches of release {self.release} are not in order")
        if any(patch.release != self.release for patch in self.patches):
            raise ValueError(f"release {self.release} lists a patch of another release")

    @property
    def newest_patch(self) -> KubernetesVersion:
        return self.patches[-1]


@dataclass(frozen=True, slots=True)
class KubernetesVersions:
    """All offered releases, newest last, and the one a cluster gets that names none."""

    releases: tuple[OfferedRelease, ...]
    default: KubernetesRelease

    def __post_init__(self) -> None:
        if self.offered(self.default) is None:
            raise ValueError(f"the default release {self.default} is not offered")

    @classmethod
    def built_in(cls) -> KubernetesVersions:
        """Return the versions of the table that the package ships."""
        releases = []
        defaults = []
        for row in shipped_table.rows("kubernetes-versions.csv"):
            release = KubernetesRelease.parse(row["release"])
            patches = tuple(KubernetesVersion.parse(patch) for patch in shipped_table.listed(row["patches"]))
            plans = shipped_table.listed(row["support_plan"])
            releases.append(OfferedRelease(release, patches, plans, shipped_table.flag(row["preview"])))
            if shipped_table.flag(row["default"]):
                defaults.append(release)
        (default,) = defaults
        return cls(tuple(sorted(releases, key=lambda offered: offered.release)), default)

    @property
    def supported(self) -> tuple[OfferedRelease, ...]:
        """The releases that AKS still supports, as far as the list tells: those from the oldest with long-term support.

        Releases before it had the official support alone, which releases after it have lost already.
        """
        first = next((each.release for each in self.releases if LONG_TERM in each.support_plans), None)
        return tuple(each for each in self.releases if first is None or first <= each.release)

    def offered(self, release: KubernetesRelease) -> OfferedRelease | None:
        """Return what is offered of a minor release, `None` if nothing is."""
        return next((offered for offered in self.releases if offered.release == release), None)

    def newest_patch(self, release: KubernetesRelease) -> KubernetesVersion | None:
        """Return the newest patch of a minor release, `None` if the release is not offered."""
        offered = self.offered(release)
        return None if offered is None else offered.newest_patch

    def find(self, text: str) -> KubernetesVersion | None:
        """Return the offered version `1.33.2`, or the newest patch for `1.33`; `None` for any other text."""
        try:
            release = KubernetesRelease.parse(text)
        except ValueError:
            return None
        offered = self.offered(release)
        if offered is None:
            return None
        if text == str(release):
            return offered.newest_patch
        return next((patch for patch in offered.patches if str(patch) == text), None)

    def with_patch(self, version: KubernetesVersion) -> KubernetesVersions:
        """Return the versions with a further patch of a release that is offered."""
        return replace(
            self,
            releases=tuple(
                replace(offered, patches=tuple(sorted({*offered.patches, version})))
                if offered.release == version.release
                else offered
                for offered in self.releases
            ),
        )
