"""What a node pool can turn out to be: each value that something unknown can have, and what the rules make of it.

What each leads to is decided by `domain.admission.settle`, the function behind the PUT.

Invariant: no rule stands here. Only what a value can be does, and which unknown value a refusal may come from.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from typing import Any, Final

from poolwright import errors
from poolwright.arm.wire_node_pools import decode_node_pool
from poolwright.catalog.catalog import LocationCatalog
from poolwright.domain.admission import settle
from poolwright.domain.cluster import Cluster, ProvisioningState
from poolwright.domain.node_pool import NodePool
from poolwright.domain.os_sku import OsSku, OsType
from poolwright.domain.pool_requirements import refuse_name
from poolwright.domain.profile import Profile
from poolwright.domain.resource_id import ClusterId, GroupId, NodePoolId
from poolwright.domain.surroundings import Surroundings
from poolwright.lint.catalogs import ANYWHERE, suggesting
from poolwright.lint.kinds import Kind
from poolwright.lint.pools import Action, FoundPool, Json
from poolwright.lint.properties import ABSENT, known_part, put, value_at
from poolwright.lint.versions import taken_for
from poolwright.templates.partial import Unknown

# All that is tried of one file, which takes some seconds; after that its node pools with something unknown are unknown.
MAX_CASES_OF_FILE: Final = 20_000
_NO_SUBSCRIPTION: Final = "00000000-0000-0000-0000-000000000000"
_CLUSTER_ID: Final = ClusterId(GroupId(_NO_SUBSCRIPTION, "rg"), "cluster")
# Stands for the name of every node pool, which its messages get in its place: two of them are one case.
_NAME: Final = "nphere"

# What decides about generation and image, and the values each can have. What can also be left out has `ABSENT`.
_CHOICES: Final[Mapping[str, tuple[Any, ...]]] = {
    "osType": ("Linux", "Windows"),
    "osSKU": (ABSENT, *(sku.value for sku in OsSku)),
    "enableFIPS": (ABSENT, True, False),
    "securityProfile.enableVTPM": (False, True),
    "securityProfile.enableSecureBoot": (False, True),
    "workloadRuntime": ("OCIContainer", "KataMshvVmIsolation"),
    "gpuProfile.driver": ("Install", "None"),
    "mode": ("User", "System"),
    "type": ("VirtualMachineScaleSets", "VirtualMachines"),
    "vmGeneration": (ABSENT, "V1", "V2"),
}
_HEADER_CHOICES: Final = (None, True, False)
# What an update of an existing node pool leaves as it is and nobody told.
_KEPT_BY_UPDATE: Final = ("osType", "osSKU", "enableFIPS", "securityProfile.enableVTPM")


@dataclass(frozen=True, slots=True)
class Problem:
    """What refuses a node pool, by which rule, and the property that it comes from."""

    kind: Kind
    code: str
    path: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Case:
    """What one combination of values leads to."""

    values: Mapping[str, Any]
    pool: NodePool | None
    problems: tuple[Problem, ...]


@dataclass(slots=True)
class Cases:
    """Finds what combinations of values lead to, each once, and counts what was tried of each file."""

    _known: dict[str, tuple[NodePool | None, tuple[Problem, ...]]] = field(default_factory=dict)
    _decided: dict[str, list[Case]] = field(default_factory=dict)
    _tried: Counter[str] = field(default_factory=Counter)
    _quiet: dict[str, LocationCatalog] = field(default_factory=dict)

    def may_try(self, pool: FoundPool, profile: Profile, choices: Mapping[str, tuple[Any, ...]]) -> bool:
        """Whether the cases were decided before, or the pool's file has enough left for them."""
        if signature(bare(pool), profile) in self._decided:
            return True
        return self._tried[pool.place.file] + prod(map(len, choices.values())) <= MAX_CASES_OF_FILE

    def of(
        self, pool: FoundPool, profile: Profile, catalog: LocationCatalog, choices: Mapping[str, tuple[Any, ...]]
    ) -> list[Case]:
        """Return what every combination of the values leads to."""
        key = signature(pool, profile)
        if key not in self._decided:
            quiet = self._without_suggestions(catalog)
            self._decided[key] = [self.case(pool, profile, quiet, values) for values in _combinations(choices)]
            self._tried[pool.place.file] += len(self._decided[key])
        return self._decided[key]

    def case(
        self,
        pool: FoundPool,
        profile: Profile,
        catalog: LocationCatalog,
        values: Mapping[str, Any],
    ) -> Case:
        """Return what one combination leads to; what refuses it names the sizes that the catalogue suggests."""
        properties = known_part(pool.properties)
        for path, value in values.items():
            if path in _CHOICES or path == "vmSize":
                put(properties, path, value)
        header = values.get("header", pool.header if isinstance(pool.header, bool) else None)
        version = values.get("version", pool.cluster.version)
        if "version" in values:
            properties.pop("orchestratorVersion", None)
        wanted = properties.get("orchestratorVersion")
        if version is None or isinstance(version, Unknown):
            version = wanted
        name = _name_that_counts(pool)
        key = json.dumps(
            [profile.value, catalog.location, bool(catalog.usable_sizes), name, properties, header, version],
            sort_keys=True,
            default=str,
        )
        if key not in self._known:
            self._known[key] = _settled(name, properties, header, version, catalog, profile)
        settled, problems = self._known[key]
        return Case(values, settled, problems)

    def _without_suggestions(self, catalog: LocationCatalog) -> LocationCatalog:
        """The same for trying many node pools: what it refuses, it refuses without naming other sizes."""
        if catalog.location not in self._quiet:
            self._quiet[catalog.location] = suggesting(catalog, ())
        return self._quiet[catalog.location]


def choices_of(pool: FoundPool, catalog: LocationCatalog) -> dict[str, tuple[Any, ...]]:
    """Return what is unknown and decides, with the values it can have."""
    choices: dict[str, tuple[Any, ...]] = {}
    is_update = pool.action is Action.UPDATE
    size = pool.properties.get("vmSize")
    if isinstance(size, Unknown) and size.values:
        choices["vmSize"] = size.values
    for path, values in _CHOICES.items():
        value = value_at(pool.properties, path)
        untold = value is ABSENT and (
            (is_update and path in _KEPT_BY_UPDATE) or (pool.open_ended is not None and path != "vmGeneration")
        )
        if isinstance(value, Unknown):
            choices[path] = value.values or values
        elif untold:
            # A node pool that exists has one of them.
            choices[path] = tuple(each for each in values if each is not ABSENT) if is_update else values
    if "osType" in choices and isinstance(pool.properties.get("osSKU"), str):
        of_sku = os_type_of(pool.properties["osSKU"])
        choices["osType"] = (of_sku,) if of_sku is not None else choices["osType"]
    is_untold = pool.header is None and (pool.open_ended is not None or pool.action is Action.KEEP)
    if isinstance(pool.header, Unknown) or is_untold:
        choices["header"] = _HEADER_CHOICES
    wanted = pool.properties.get("orchestratorVersion")
    of_cluster = pool.cluster.version
    versions = tuple(str(release.newest_patch) for release in catalog.kubernetes.supported)
    text = wanted or of_cluster
    if isinstance(text, Unknown):
        standing_for = [taken_for(catalog.kubernetes, str(each)) for each in text.values or ()]
        choices["version"] = tuple(str(each) for each in standing_for if each is not None) or versions
    elif isinstance(text, str) and catalog.kubernetes.find(text) is None:
        standing = taken_for(catalog.kubernetes, text)
        choices["version"] = (str(standing),) if standing is not None else versions
    return choices


def _combinations(choices: Mapping[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """Every combination of the values, without those whose OS SKU is of another OS."""
    for chosen in product(*choices.values()):
        values = dict(zip(choices, chosen, strict=True))
        of_sku = os_type_of(values["osSKU"]) if isinstance(values.get("osSKU"), str) else None
        if of_sku in (None, values.get("osType", of_sku)):
            yield values


def _settled(
    name: str,
    properties: Json,
    header: bool | None,
    version: str | None,
    catalog: LocationCatalog,
    profile: Profile,
) -> tuple[NodePool | None, tuple[Problem, ...]]:
    """What the PUT of a new node pool leads to."""
    kubernetes = catalog.kubernetes
    found = (taken_for(kubernetes, version) if version else None) or kubernetes.newest_patch(kubernetes.default)
    cluster = Cluster(
        id=_CLUSTER_ID,
        location=catalog.location,
        sent={},
        wanted_version=str(found),
        version=str(found),
        principal_id="",
        has_windows_profile=True,
        etag="",
        state=ProvisioningState.SUCCEEDED,
    )
    surroundings = Surroundings(
        profile=profile,
        engine="simulated",
        catalog=catalog,
        cluster=cluster,
        subscription=_NO_SUBSCRIPTION,
        api_version="",
    )
    try:
        request = decode_node_pool({"properties": properties}, profile)
        return settle(NodePoolId(_CLUSTER_ID, name), request, None, surroundings, header=header, etag=""), ()
    except errors.InvalidRequest as error:
        return None, tuple(_problem(each) for each in (error, *error.details))


def _problem(error: errors.PoolwrightError) -> Problem:
    rule = error.information.get("rule") or {
        "id": error.code,
        "text": f"{type(error).cause[:1].upper()}{type(error).cause[1:]}.",
        "source": "docs/compatibility.md",
    }
    path = (error.target or "").removeprefix("properties.")
    remedy = error.remedy or ""
    suggested = error.information.get("alternatives")
    if suggested and "nearest" not in remedy:
        remedy = f"{remedy}; for example {', '.join(suggested)}"
    if error.code == errors.VMSizeNotSupported.code:
        remedy = f"{remedy}; --catalog takes the list of your subscription"
    # Azure's message names the subscription, and a file has none; nor need it tell a location.
    message = error.message.replace(f" for subscription {_NO_SUBSCRIPTION}", "")
    message = message.replace(f"in location '{ANYWHERE}'", "in any location")
    remedy = remedy.replace(f" --location {ANYWHERE}", "")
    return Problem(Kind(rule["id"], rule["text"], rule["source"]), error.code, path, message, remedy)


def signature(pool: FoundPool, profile: Profile) -> str:
    """Return all that a decision depends on, as a text."""
    name = _name_that_counts(pool)
    return repr((profile, name, pool.action, pool.properties, pool.header, pool.cluster, pool.open_ended))


def _name_that_counts(pool: FoundPool) -> str:
    """The node pool's name where a rule may refuse it; else, also of an unknown one, the same for all."""
    if isinstance(pool.name, str) and any(refuse_name(pool.name, os_type) is not None for os_type in OsType):
        return pool.name
    return _NAME


def bare(pool: FoundPool) -> FoundPool:
    """Return it with the properties alone that generation and image hang on: no counts, labels and the like."""
    names = {"vmSize", "orchestratorVersion", "virtualMachinesProfile", *(path.partition(".")[0] for path in _CHOICES)}
    return replace(pool, properties={name: part for name, part in pool.properties.items() if name in names})


def named(text: str, pool: FoundPool) -> str:
    """Return the text about the case of a node pool, with the name that the file gives this one."""
    return text.replace(_NAME, str(pool.name))


def os_type_of(os_sku: str) -> str | None:
    """Return the OS type of an OS SKU; None where there is no such one."""
    try:
        return OsSku.parse(os_sku).os_type.value
    except ValueError:
        return None
