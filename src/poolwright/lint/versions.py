"""Kubernetes versions that files ask for: which of them can be had, as far as that is known.

The built-in list is of no region, and has gaps among the patches: only a list of the location itself can tell that
there is no such patch.

Invariant: a version is told once, where it stands, however many node pools have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from poolwright.catalog.kubernetes_versions import KubernetesVersions
from poolwright.domain.admission import unsupported_version
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.profile import Profile
from poolwright.lint.catalogs import Catalogs
from poolwright.lint.findings import Finding, softened
from poolwright.lint.kinds import VERSION
from poolwright.lint.pools import Action, FoundPool
from poolwright.lint.texts import Place
from poolwright.reports.sarif import Level
from poolwright.templates.partial import Unknown

_LIST: Final = "`az aks get-versions -l {location} -o json`"


def taken_for(kubernetes: KubernetesVersions, text: str) -> KubernetesVersion | None:
    """Return the version that node pools of that one are judged by: itself, else the newest patch of its release.

    None where not even its release is in the list.
    """
    found = kubernetes.find(text)
    if found is not None:
        return found
    try:
        return kubernetes.newest_patch(KubernetesVersion.parse(text).release)
    except ValueError:
        return None


def is_refused(pool: FoundPool, catalogs: Catalogs, profile: Profile) -> bool:
    """Whether a new node pool is refused for its Kubernetes version, or its cluster for its own."""
    text = pool.properties.get("orchestratorVersion") or pool.cluster.version
    if pool.action is not Action.CREATE or not isinstance(text, str) or not text:
        return False
    finding = _about(text, pool.place, "orchestratorVersion", pool.cluster.location, catalogs, profile)
    return finding is not None and finding.level is Level.ERROR


def about_versions(pools: Iterable[FoundPool], catalogs: Catalogs, profile: Profile) -> Iterator[Finding]:
    """Yield what is to be said about the versions of clusters and node pools, each once for its place."""
    told: dict[tuple[Place, str, str], Finding] = {}
    for pool in pools:
        for text, place, path in (
            (pool.properties.get("orchestratorVersion"), pool.place_of("orchestratorVersion"), "orchestratorVersion"),
            (pool.cluster.version, pool.cluster.version_place or pool.place, "kubernetesVersion"),
        ):
            if not isinstance(text, str) or not text:
                continue
            finding = _about(text, place, path, pool.cluster.location, catalogs, profile)
            if finding is None:
                continue
            key = place, text, str(pool.cluster.location)
            shown = softened(finding) if pool.action is Action.KEEP else finding
            if key not in told or shown.level is Level.ERROR:
                told[key] = shown
    yield from told.values()


def _about(
    text: str, place: Place, path: str, location: str | Unknown, catalogs: Catalogs, profile: Profile
) -> Finding | None:
    kubernetes = catalogs.at(location).kubernetes
    found = kubernetes.find(text)
    first, last = kubernetes.supported[0].release, kubernetes.releases[-1].release
    if found is not None and (found.release >= first or catalogs.lists_versions(location)):
        return None
    where = location if isinstance(location, str) else "LOCATION"
    listing = _LIST.format(location=where)
    if catalogs.lists_versions(location):
        refused = unsupported_version(text, path)
        remedy = f"{refused.remedy}; the list that --catalog gave for {where} has none such"
        return Finding(VERSION, Level.ERROR, place, f"{refused.code}: {refused.message}", remedy)
    standing = taken_for(kubernetes, text)
    give = f"give what {listing} prints with --catalog, and --location {where}"
    if standing is not None and standing.release < first:
        # The documents' service takes it, for the page that names its images.
        level = Level.ERROR if profile is Profile.AZURE_2026 else Level.WARNING
        message = (
            f"{unsupported_version(text, path).code}: Kubernetes {text} is of release {standing.release}, which AKS "
            "has ended"
        )
        return Finding(VERSION, level, place, message, f"choose a later one; for what a location offers, {give}")
    if standing is not None:
        message = (
            f"Kubernetes {text} is not among the versions known here, which are of no region; node pools are judged as "
            f"if it were {standing}"
        )
        return Finding(VERSION, Level.WARNING, place, message, f"to know whether it can be had, {give}")
    message = (
        f"{unsupported_version(text, path).code}: Kubernetes {text} is not known: there are {first} to {last} here"
    )
    return Finding(VERSION, Level.ERROR, place, message, f"choose one of them; for what a location offers, {give}")
