"""Faults: bad days on demand. What a fault is meant for, what it does, and when it fires.

A fault is a match and one effect. Each effect is a row of `EFFECTS`: where it is decided (its `Point`, chosen by
what the match names), what it needs, and what it does. The places that decide ask `touched` whether a fault is
meant, and `tallied` whether it fires; they hold no other condition.

Invariant: nothing here happens by itself, and what a fault does is the same however often it is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from fnmatch import fnmatchcase
from typing import Final

from poolwright import errors
from poolwright.domain.operation import OperationKind

NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
NAME_FORM: Final = "1 to 63 lower-case letters, digits and hyphens, a letter or digit at both ends"
MAX_DELAY_SECONDS: Final = 3600.0
DEFAULT_RETRY_AFTER_SECONDS: Final = 1
CAPACITY_CODES: Final = (
    errors.AllocationFailed.code,
    errors.ZonalAllocationFailed.code,
    errors.SkuNotAvailable.code,
)


class Point(Enum):
    """Where it is decided whether a fault fires; the value is how the wire calls it."""

    REQUEST = "request"
    ADMISSION = "admission"
    STEP = "step"
    LOSS = "loss"
    CAPACITY = "capacity"
    BOOT = "boot"
    DRAIN = "drain"

    @property
    def words(self) -> str:
        return _POINT_WORDS[self]


_POINT_WORDS: Final = {
    Point.REQUEST: "before the handler of a request",
    Point.ADMISSION: "when a change is admitted",
    Point.STEP: "before a step of an operation",
    Point.LOSS: "before a step of an operation, at the machines there are",
    Point.CAPACITY: "when machines are made",
    Point.BOOT: "when a machine is made, at its boot",
    Point.DRAIN: "when machines are drained",
}
# What a match may name at each point.
_OF_OPERATIONS: Final = frozenset({"operation", "pool", "cluster", "size", "location", "zone", "nth"})
NAMEABLE: Final[Mapping[Point, frozenset[str]]] = {
    Point.REQUEST: frozenset({"method", "path", "pool", "cluster", "nth"}),
    Point.ADMISSION: _OF_OPERATIONS,
    Point.STEP: _OF_OPERATIONS | {"step"},
    Point.LOSS: _OF_OPERATIONS | {"step"},
    Point.CAPACITY: _OF_OPERATIONS | {"step"},
    Point.BOOT: _OF_OPERATIONS | {"step"},
    Point.DRAIN: _OF_OPERATIONS | {"step"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What a fault is meant for; None means whatever it is.

    `pool`, `cluster`, `size` and `path` are patterns (`*`, `?`) compared without case; a pool or cluster is named by
    its name or its whole resource ID. `step` is a step of a plan, in one wave (`wave_2.drain`) or in any.
    """

    operation: OperationKind | None = None
    pool: str | None = None
    cluster: str | None = None
    size: str | None = None
    location: str | None = None
    zone: str | None = None
    step: str | None = None
    nth: int | None = None
    method: str | None = None
    path: str | None = None

    @property
    def named(self) -> dict[str, object]:
        """What the match names, in the order of its fields."""
        return {part.name: getattr(self, part.name) for part in fields(self) if getattr(self, part.name) is not None}


class EffectKind(Enum):
    """What a fault does; the value is its name in the document."""

    DELAY = "delaySeconds"
    REFUSE = "refuse"
    THROTTLE = "throttle"
    FAIL_AT_STEP = "failAtStep"
    LOSE_MACHINE = "loseMachine"
    RETIRED_SIZE = "retiredSize"
    NO_CAPACITY = "noCapacity"
    QUOTA_SHORT = "quotaShort"
    UNSIGNED_DRIVER = "unsignedDriver"
    FAIL_DRAIN = "failDrain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One effect with its arguments, as far as its kind has any."""

    kind: EffectKind
    code: str | None = None
    message: str | None = None
    seconds: float = 0.0
    machines: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A stored fault. `count` is how often it fires at most, None for as often as it is meant."""

    name: str
    match: Match
    effect: Effect
    count: int | None = None

    @property
    def row(self) -> EffectRow:
        return ROWS[self.effect.kind]


@dataclass(frozen=True, slots=True)
class Place:
    """A point at which an effect can be, and what the match has to name for it: one of these, if there are any."""

    point: Point
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """What a fault would hit: a node pool, or one machine of it (`machine` is its key).

    `vcpus` are those that are needed on top of what there is.
    """

    pool: str
    sizes: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    machine: str | None = None
    secure_boot: bool = False
    vcpus: int = 0


@dataclass(frozen=True, slots=True)
class EffectRow:
    """What an effect needs, where it applies, and what it does, in words for people.

    The first place whose needs the match meets is the effect's. `hits` tells which targets it can have; without
    it the effect needs none. `kinds` are the operations it is about, None for all. `ends`: nothing else happens after
    it, so later faults are not asked. `code` is what it says, where its value does not tell.
    """

    kind: EffectKind
    places: tuple[Place, ...]
    value: str
    text: str
    ends: bool = True
    code: str | None = None
    hits: Callable[[Target], bool] | None = None
    kinds: frozenset[OperationKind] | None = None


# The operations that want machines; the others leave or take away what is there.
_WANTING: Final = frozenset(
    {
        OperationKind.CREATE_NODE_POOL,
        OperationKind.UPDATE_NODE_POOL,
        OperationKind.UPGRADE_NODE_IMAGE,
        OperationKind.ROLLBACK_NODE_POOL,
        OperationKind.CREATE_CLUSTER,
        OperationKind.UPDATE_CLUSTER,
        OperationKind.START_CLUSTER,
    }
)
_AT_REQUEST: Final = Place(Point.REQUEST, ("method", "path"))
_ANY: Final[Callable[[Target], bool]] = lambda target: True  # noqa: E731 - a row's condition, as the others are

EFFECTS: Final = (
    EffectRow(
        EffectKind.DELAY,
        (_AT_REQUEST, Place(Point.STEP, ("step",))),
        "seconds, up to 3600",
        "The reply, or the step, comes so much later. A restart waits for what is left, an abort ends it.",
        ends=False,
    ),
    EffectRow(
        EffectKind.REFUSE,
        (_AT_REQUEST, Place(Point.STEP, ("step",)), Place(Point.ADMISSION)),
        'an error code, or {"code", "message"}',
        "The request is refused, or the operation fails at the step, with that code: in Azure's words where they are "
        "known, or in the message's.",
    ),
    EffectRow(
        EffectKind.THROTTLE,
        (Place(Point.REQUEST),),
        "seconds for Retry-After",
        "The request is answered with 429 Throttled and Retry-After.",
        code=errors.Throttled.code,
    ),
    EffectRow(
        EffectKind.FAIL_AT_STEP,
        (Place(Point.STEP, ("step",)),),
        "the cause in words",
        "The operation fails at the step, before the step has done anything, and is undone as any other that fails.",
        code=errors.ReconcileVMSSAgentPoolFailed.code,
    ),
    EffectRow(
        EffectKind.LOSE_MACHINE,
        (Place(Point.LOSS, ("step",)),),
        "how many machines",
        "The newest machines that match are deleted in the machine engine, whichever it is, right before the step.",
        ends=False,
        hits=_ANY,
    ),
    EffectRow(
        EffectKind.RETIRED_SIZE,
        (Place(Point.ADMISSION, ("size",)),),
        "true",
        "A node pool that would have the size is refused as if the size were no longer offered. What runs goes on.",
        code=errors.VMSizeNotSupported.code,
        hits=_ANY,
        kinds=_WANTING,
    ),
    EffectRow(
        EffectKind.NO_CAPACITY,
        (Place(Point.CAPACITY),),
        ", ".join(CAPACITY_CODES),
        "New machines that match (by size, zone or location) are not made and the operation fails; others are made.",
        hits=_ANY,
    ),
    EffectRow(
        EffectKind.QUOTA_SHORT,
        (Place(Point.CAPACITY, ("step",)), Place(Point.ADMISSION)),
        "true",
        "One vCPU is missing to what is needed: at the request, or with match.step half way, when machines are made.",
        code=errors.InsufficientVcpuQuota.code,
        hits=lambda target: target.vcpus > 0,
        kinds=_WANTING,
    ),
    EffectRow(
        EffectKind.UNSIGNED_DRIVER,
        (Place(Point.BOOT),),
        "true, or the driver's name",
        "A new machine with Secure Boot never becomes ready; the operation fails with the cause. It stays so until the "
        "machine is deleted or the fault is cleared.",
        ends=False,
        hits=lambda target: target.secure_boot,
    ),
    EffectRow(
        EffectKind.FAIL_DRAIN,
        (Place(Point.DRAIN),),
        "why, in words",
        "Pods never leave the machines, until the drain timeout. Needs a Kubernetes cluster that is attached.",
        hits=_ANY,
    ),
)
ROWS: Final[Mapping[EffectKind, EffectRow]] = {row.kind: row for row in EFFECTS}

Problem = tuple[str, str]


def point_of(fault: Fault) -> Point | None:
    """Return where the fault is decided; None when the match lacks what every place of the effect needs."""
    named = fault.match.named
    for place in fault.row.places:
        if not place.needs or any(need in named for need in place.needs):
            return place.point
    return None


def problems_of(fault: Fault, steps: Sequence[str]) -> list[Problem]:
    """Return everything that is wrong with a fault, as (place in the document, what); `steps` are all there are."""
    found: list[Problem] = []
    match, effect = fault.match, fault.effect
    if NAME.fullmatch(fault.name) is None:
        found.append(("name", f"a fault's name has {NAME_FORM}"))
    if match.step is not None and re.sub(r"^wave_[1-9]\d*\.", "", match.step) not in steps:
        found.append(("match.step", f"there is no such step; there are {', '.join(steps)}, or one as wave_2.STEP"))
    point = point_of(fault)
    place = f"effect.{effect.kind.value}"
    if point is None:
        needs = [" or ".join(f"match.{need}" for need in place.needs) for place in fault.row.places]
        found.append((place, f"it needs {', or '.join(needs)}"))
        return found
    found += [
        (f"match.{name}", f"it is not known {point.words}, where {effect.kind.value} is decided with this match")
        for name in match.named
        if name not in NAMEABLE[point]
    ]
    code = effect.code
    if effect.kind is EffectKind.REFUSE and code is not None and point is not Point.STEP:
        leaf = errors.with_code(code)
        if issubclass(leaf, errors.OperationFailure):
            found.append((place, f"only an operation that was accepted ends with {code}: name match.step as well"))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is about to happen at a point. `step` is the name of the checkpoint: `drain`, or `wave_2.drain`."""

    operation: OperationKind | None = None
    cluster: str = ""
    location: str = ""
    step: str = ""
    method: str = ""
    path: str = ""
    targets: tuple[Target, ...] = ()


def touched(fault: Fault, situation: Situation) -> tuple[Target, ...] | None:
    """Return what the fault would hit in the situation; None when it is not meant."""
    match, hits = fault.match, fault.row.hits
    if not (
        (match.operation is None or match.operation is situation.operation)
        and (fault.row.kinds is None or situation.operation in fault.row.kinds)
        and (match.location is None or match.location.lower() == situation.location.lower())
        and (match.method is None or match.method.upper() == situation.method.upper())
        and (match.path is None or fnmatchcase(situation.path.lower(), match.path.lower()))
        and (match.step is None or match.step in (situation.step, situation.step.rpartition(".")[2]))
        and is_named(match.cluster, situation.cluster)
    ):
        return None
    hit = tuple(
        target
        for target in situation.targets
        if is_named(match.pool, target.pool)
        and (match.size is None or any(fnmatchcase(size.lower(), match.size.lower()) for size in target.sizes))
        and (match.zone is None or match.zone in target.zones)
        and (hits is None or hits(target))
    )
    needs_target = hits is not None or (match.pool or match.size or match.zone) is not None
    return None if needs_target and not hit else hit


def is_named(pattern: str | None, resource_id: str) -> bool:
    """Whether the pattern names the resource, by its name or by its whole ID."""
    if pattern is None:
        return True
    whole = resource_id.lower()
    return fnmatchcase(whole if "/" in pattern else whole.rpartition("/")[2], pattern.lower())


def picked(fault: Fault, hit: Sequence[Target]) -> tuple[Target, ...]:
    """Return what of the things hit the effect is done to: the newest machines when some are lost, else all."""
    if fault.effect.kind is EffectKind.LOSE_MACHINE:
        return tuple(hit[-fault.effect.machines :])
    return tuple(hit)


@dataclass(frozen=True, slots=True)
class Tally:
    """How often a fault was meant, and how often it fired."""

    matched: int = 0
    fired: int = 0


def tallied(fault: Fault, tally: Tally) -> tuple[Tally, bool]:
    """Return the tally after one more situation the fault is meant for, and whether it fires there."""
    matched = tally.matched + 1
    fires = not is_spent(fault, tally) and fault.match.nth in (None, matched)
    return Tally(matched, tally.fired + fires), fires


def is_spent(fault: Fault, tally: Tally) -> bool:
    """Whether the fault will never fire again."""
    if fault.match.nth is not None and tally.matched >= fault.match.nth:
        return True
    return fault.count is not None and tally.fired >= fault.count


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """That a fault was meant and maybe `fired`: when, and on what, in words.

    `occasion` makes a step that runs twice meet the same firing; `machines` are the keys of those hit.
    """

    occasion: str
    at: float
    fired: bool
    on: str
    operation_id: str | None = None
    machines: tuple[str, ...] = ()


def words_of(situation: Situation, hit: Sequence[Target]) -> str:
    """Return the situation in words: `create node pool np1, await_ready` or `PUT /subscriptions/...`."""
    if situation.operation is None:
        return f"{situation.method} {situation.path}"
    names = list(dict.fromkeys((target.machine or target.pool).rpartition("/")[2] for target in hit))
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    what = f"{situation.operation.words} {shown or situation.cluster.rpartition('/')[2]}".strip()
    return f"{what}, {situation.step}" if situation.step else what


# Azure's words by code, where they are published or were seen; sources in docs/compatibility.md. The names in
# braces are circumstances: what is not known where a fault fires reads "(size)".
_ALLOCATION: Final = (
    "Allocation failed. We do not have sufficient capacity for the requested VM size in this {place}. Read more about "
    "improving likelihood of allocation success at http://aka.ms/allocation-guidance"
)
WORDINGS: Final[Mapping[str, str]] = {
    "MissingApiVersionParameter": "The api-version query parameter (?api-version=) is required for all requests.",
    "InvalidApiVersionParameter": "The api-version '{api_version}' is invalid.",
    "InvalidSubscriptionId": "The provided subscription identifier '{subscription}' is malformed or invalid.",
    "BadRequest": "The selected VM size '{size}' cannot boot Hypervisor Generation '1'. If this was a Create operation "
    "please check that the Hypervisor Generation of the Image matches the Hypervisor Generation of the selected VM "
    "Size. If this was an Update operation please select a Hypervisor Generation '1' VM Size. For more information, "
    "see https://aka.ms/azuregen2vm",
    "InvalidTagName": "Tag key too large. Following tag name '{tag}' exceeded the maximum length. Maximum allowed "
    "length for tag name - '512' characters.",
    "InvalidTagNameCharacters": "The tag names '{tag}' have reserved characters '<,>,%,&,\\,?,/' or control "
    "characters.",
    "InvalidTagValueLength": "Tag value too large. Following tag value '{tag}' exceeded the maximum length. Maximum "
    "allowed length for tag value - '256' characters.",
    "PropertyChangeNotAllowed": "Changing property 'properties.vmSize' is not allowed.",
    "VMSizeNotSupported": "Virtual Machine size: '{size}' is not supported for subscription {subscription} in location "
    "'{location}'. The available VM sizes are '{sizes}'",
    "ErrCode_InsufficientVCPUQuota": "Insufficient vcpu quota requested {requested}, remaining {remaining} for family "
    "{family} for region {location}. If you want to increase the quota, please follow this instruction: "
    "https://learn.microsoft.com/en-us/azure/quotas/view-quotas. Surge nodes would also consume vcpu quota, please "
    "consider use smaller maxSurge or use maxUnavailable to proceed upgrade without surge nodes, details: "
    "aka.ms/aks/maxUnavailable.",
    "SystemPoolSkuTooLow": "System node pool must use VM sku with more than 2 cores and 4GB memory. Nodepool name: "
    "{pool}.",
    "AgentPoolK8sVersionNotSupported": "Version {version} is not supported in this region. Please use [az aks "
    "get-versions] command to get the supported version list in this region. For more information, please check "
    "https://aka.ms/supported-version-list",
    "NodePoolMcVersionIncompatible": "Node pool version {version} and control plane version {control_plane} are "
    "incompatible. Minor version of node pool version {version} is bigger than control plane version {control_plane}. "
    "For more information, please check https://aka.ms/version-skew-policy",
    "LocationNotAvailableForResourceType": "The provided location '{location}' is not available for resource type "
    "'Microsoft.ContainerService/managedClusters'.",
    "ManagedClusterCountExceedsQuotaLimit": "Operation results in exceeding quota limits for managed clusters. Maximum "
    "allowed: 100, Current usage: 100, Additional requested: 1.",
    "AuthenticationFailed": "Authentication failed. The 'Authorization' header is missing.",
    "VMSizeDoesNotSupportEphemeralOS": "The Virtual Machine size {size} does not support Ephemeral OS disk.",
    "SubscriptionNotFound": "The subscription '{subscription}' could not be found.",
    "ResourceGroupNotFound": "Resource group '{group}' could not be found.",
    "ResourceNotFound": "The Resource 'Microsoft.ContainerService/managedClusters/{cluster}' under resource group "
    "'{group}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
    "ParentResourceNotFound": "Failed to perform 'write' on resource(s) of type 'managedClusters/agentPools', because "
    "the parent resource '{cluster}' could not be found.",
    "OperationNotAllowed": "Operation is not allowed because there's an in-progress {operation} operation (operation "
    "ID: {operation_id}) on agent pool {pool} started on UTC {started}. Please wait for it to finish before starting "
    "a new operation.",
    "InvalidResourceLocation": "The resource '{cluster}' already exists in location '{elsewhere}' in resource group "
    "'{group}'. A resource with the same name cannot be created in location '{location}'. Please select a new "
    "resource name.",
    "SkuNotAvailable": "The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: "
    "{size}' is currently not available in location '{location}'. Please try another size or deploy to a different "
    "location or different zone. See https://aka.ms/azureskunotavailable for details.",
    "Throttled": "The {handler} request limit has been exceeded for SubID='{subscription}', please retry again in "
    "{seconds} seconds. For more information, please visit aka.ms/aks/throttling",
    "UpgradeFailed": "Draining {node} did not end within {minutes} minutes: {why}. This is often caused by a "
    "restrictive Pod Disruption Budget (PDB) policy. See https://aka.ms/aks/debugdrainfailures.",
    "InvalidTemplate": "Deployment template validation failed: '{why}'.",
    "InvalidTemplateDeployment": "The template deployment '{deployment}' is not valid according to the validation "
    "procedure. The tracking id is '{operation_id}'. See inner errors for details.",
    "DeploymentNotFound": "Deployment '{deployment}' could not be found.",
    "DeploymentActive": "Unable to edit or replace deployment '{deployment}': previous deployment from '{started}' is "
    "still active. Please see https://aka.ms/arm-deploy for usage details.",
    "DeploymentFailed": "At least one resource deployment operation failed. Please list deployment operations for "
    "details. Please see https://aka.ms/arm-deployment-operations for usage details.",
    "DeploymentOutputEvaluationFailed": "Unable to evaluate template outputs: '{outputs}'. Please see error details "
    "and deployment operations. Please see https://aka.ms/arm-common-errors for usage details.",
    "ResourceDeploymentFailure": "The resource write operation failed to complete successfully, because it reached "
    "terminal provisioning state 'Failed'.",
    "AvailabilityZoneNotSupported": "The zone(s) '{zones}' for resource '{pool}' is not supported. The supported zones "
    "for location '{location}' are '{usable}'",
    "AuthorizationFailed": "The client '{app_id}' with object id '{object_id}' does not have authorization to perform "
    "action '{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh "
    "your credentials.",
    "RequestDisallowedByPolicy": "Resource '{pool}' was disallowed by policy. Policy identifiers: '{policies}'.",
    "PrincipalNotFound": "Principal {object_id} does not exist in the directory {tenant}. Check that you have the "
    "correct principal ID.",
    "RoleAssignmentExists": "The role assignment already exists. The ID of the existing role assignment is {name}.",
    "RoleAssignmentNotFound": "The role assignment '{name}' is not found.",
    "RoleAssignmentUpdateNotPermitted": "Tenant ID, application ID, principal ID, and scope are not allowed to be "
    "updated.",
    "RoleDefinitionDoesNotExist": "The specified role definition with ID '{role}' does not exist.",
    "Request_ResourceNotFound": "Resource '{object_id}' does not exist or one of its queried reference-property "
    "objects are not present.",
    "LinkedAuthorizationFailed": "The client with object id '{object_id}' has permission to perform the change; "
    "however, it does not have permission to perform action(s) '{action}' on the linked scope(s) '{scope}' "
    "(respectively) or the linked scope(s) are invalid.",
    "AllocationFailed": _ALLOCATION.replace("{place}", "region"),
    "ZonalAllocationFailed": _ALLOCATION.replace("{place}", "zone"),
}


class _Circumstances(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return f"({name})"


def wording(code: str, circumstances: Mapping[str, str]) -> str:
    """Return what the error with that code says: Azure's words, or else its cause as a sentence of ours."""
    template = WORDINGS.get(code)
    if template is not None:
        return template.format_map(_Circumstances(circumstances))
    cause = errors.with_code(code).cause
    return f"{cause[0].upper()}{cause[1:]}."


def said(fault: Fault, circumstances: Mapping[str, str]) -> tuple[type[errors.PoolwrightError], str]:
    """Return the error an ending effect leads to, and its message."""
    code = fault.effect.code or fault.row.code
    assert code is not None, f"{fault.effect.kind} says nothing"
    return errors.with_code(code), fault.effect.message or wording(code, circumstances)


def remedy(name: str) -> str:
    """Return what the error that the fault of that name causes says, so that nobody takes it for a real one."""
    return f"this was asked for: poolwright faults show {name}"


def refusal(fault: Fault, circumstances: Mapping[str, str]) -> errors.PoolwrightError:
    """Return the error with which an ending effect refuses a request."""
    kind, message = said(fault, circumstances)
    information = {"fault": fault.name}
    if issubclass(kind, errors.Throttled):
        wait = retry_after(fault)
        return kind(message, retry_after_seconds=wait, remedy=remedy(fault.name), information=information)
    return kind(message, remedy=remedy(fault.name), information=information)


def retry_after(fault: Fault) -> int:
    """Return the whole seconds a throttled caller has to wait."""
    return int(fault.effect.seconds) or DEFAULT_RETRY_AFTER_SECONDS


def circumstances_of(resource_id: str) -> dict[str, str]:
    """Return the names in a resource ID, as wordings call them."""
    segments = resource_id.strip("/").split("/")
    kinds = {"subscriptions": "subscription", "resourcegroups": "group", "managedclusters": "cluster"}
    kinds |= {"agentpools": "pool", "locations": "location"}
    pairs = zip(segments[::2], segments[1::2], strict=False)
    return {kinds[kind.lower()]: name for kind, name in pairs if kind.lower() in kinds}


def parents_of(path: str) -> tuple[str, str]:
    """Return the IDs of the cluster and of the node pool that a request's path leads to; empty where it has none."""
    segments = path.split("/")
    # /subscriptions/S/resourceGroups/G/providers/N/managedClusters/C/agentPools/P
    cluster = "/".join(segments[:9]) if len(segments) > 8 and segments[7].lower() == "managedclusters" else ""
    pool = "/".join(segments[:11]) if cluster and len(segments) > 10 and segments[9].lower() == "agentpools" else ""
    return cluster, pool
