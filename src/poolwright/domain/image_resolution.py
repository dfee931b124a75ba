"""Which VM generation and which node image a node pool gets, and why.

This is the heart of the product. It is a pure function over ordered tables: the order of decisions stands
here, the rows of each decision next door in `image_tables` and `image_refusals`.

The order: OS SKU when none is given -> OS release -> combinations that AKS refuses -> the generation
wanted -> does the size offer it -> the node image.

Invariant: `resolve` decides the generation once; machine engines, plans and pages only repeat it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from poolwright import errors
from poolwright.domain.generation import Generation
from poolwright.domain.image_facts import Facts, ImageRequest, facts_of, words_of
from poolwright.domain.image_refusals import REFUSAL_TABLE
from poolwright.domain.image_tables import (
    GENERATION_TABLE,
    OFFER_TABLE,
    OS_RELEASE_RETIRED,
    OS_SKU_RETIRED,
    OS_SKU_TABLE,
    RELEASE_TABLE,
    WARNING_TABLE,
    GenerationRow,
    WarningRow,
)
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.node_image import NodeImage
from poolwright.domain.os_sku import OsSku, OsType
from poolwright.domain.profile import Profile
from poolwright.domain.refusal import Refusal
from poolwright.domain.rules import Rule, first_match
from poolwright.domain.sources import IMAGES_PAGE

_NO_IMAGE = Rule(
    "no-image", "OS SKU, size, generation and features together choose the image.", f"{IMAGES_PAGE} (rule 22)"
)
_FIRST_CONTAINERD = KubernetesVersion.parse("1.24.0")
_SPECIAL_DEFINITIONS = ("gpu", "minimal", "gb")


@dataclass(frozen=True, slots=True)
class ResolutionWarning:
    """Something the caller should know that refuses nothing."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """The generation and node image a node pool gets, and the row that decided.

    `late_failure` is set where the real service accepts the request and Compute fails the operation.
    """

    generation: Generation
    image: NodeImage
    os_sku: OsSku
    rule: Rule
    warnings: tuple[ResolutionWarning, ...]
    late_failure: Refusal | None = None


def resolve(
    request: ImageRequest, images: Sequence[NodeImage], *, vmss: str = "", kept: Generation | None = None
) -> Resolution | Refusal:
    """Return the generation and node image of a node pool, or why it is refused.

    `images` are the catalogue's, best first. `vmss` is the scale set's name, which Azure's late
    failure message carries. With `kept` the node pool keeps that generation and
    only its image is chosen; the row returned is then not the one that decided.
    """
    facts = _facts(request)
    refused = first_match(REFUSAL_TABLE, facts)
    if refused is not None:
        lasting = ", ".join(sku.value for sku in lasting_os_skus() if sku.os_type is facts.os_type)
        return refused.filled(words_of(facts, request) | {"lasting_os_skus": lasting})
    decided = _decided(facts)
    generation, late_failure = kept or decided.generation, None
    if kept is None and not request.size.supports(generation):
        failure, is_late = _not_offered(decided, facts, request, vmss)
        if not is_late:
            return failure
        late_failure = failure
    image = select_image(images, facts, generation)
    if image is None:
        return _no_image(images, facts, generation)
    return Resolution(generation, image, facts.os_sku, decided.rule, _warnings(facts, request), late_failure)


def _facts(request: ImageRequest) -> Facts:
    """The request with its OS SKU and the release that runs on it decided."""
    os_sku = request.os_sku or default_os_sku(request.os_type, request.version, request.profile)
    facts = facts_of(request, os_sku)
    row = first_match(RELEASE_TABLE, facts)
    return replace(facts, release=row.release if row else None)


def default_os_sku(os_type: OsType, version: KubernetesVersion, profile: Profile) -> OsSku:
    """Return the OS SKU a node pool gets when none is given."""
    row = first_match(OS_SKU_TABLE, _DefaultFacts(os_type, version, profile))
    assert row is not None
    return row.os_sku


@cache
def lasting_os_skus() -> tuple[OsSku, ...]:
    """Return the OS SKUs that a remedy may name: no table says that they, or all their releases, have ended."""
    ended = {
        sku
        for row in (*REFUSAL_TABLE, *WARNING_TABLE)
        if "creating" in row.condition.allowed or (isinstance(row, WarningRow) and row.code == OS_SKU_RETIRED)
        for sku in row.condition.allowed["os_sku"]
    }
    removed = {
        release
        for row in WARNING_TABLE
        if row.code == OS_RELEASE_RETIRED
        for release in row.condition.allowed["release"]
    }
    releases = {
        sku: {row.release for row in RELEASE_TABLE if sku in row.condition.allowed["os_sku"]} - removed for sku in OsSku
    }
    return tuple(sku for sku in OsSku if sku not in ended and releases[sku])


@dataclass(frozen=True, slots=True)
class _DefaultFacts:
    os_type: OsType
    version: KubernetesVersion
    profile: Profile


def _decided(facts: Facts) -> GenerationRow:
    row = first_match(GENERATION_TABLE, facts)
    if row is None:
        raise AssertionError(f"no generation rule for {facts}")
    return row


def _not_offered(decided: GenerationRow, facts: Facts, request: ImageRequest, vmss: str) -> tuple[Refusal, bool]:
    """What becomes of a generation that the size does not offer, and whether only the operation fails."""
    row = next(row for row in OFFER_TABLE if row.wanted is decided.generation and row.condition.holds(facts))
    words = words_of(facts, request) | {
        "number": str(decided.generation.number),
        "reason": decided.because or decided.rule.text.rstrip("."),
        "vmss": vmss,
    }
    return Refusal(row.error_type, row.message.format(**words), "properties.vmSize", row.remedy, row.rule), row.late


def select_image(images: Sequence[NodeImage], facts: Facts, generation: Generation) -> NodeImage | None:
    """Return the first image that fits, or None.

    Windows definitions carry no `fips` (rule 39), so FIPS does not select among them. GPU, minimal and
    GB200 definitions serve other node pools; docker-era Ubuntu definitions end before Kubernetes 1.24.
    """
    release = facts.version.release
    return next((image for image in images if _fits(image, facts, generation) and image.serves(release)), None)


def _fits(image: NodeImage, facts: Facts, generation: Generation) -> bool:
    return (
        image.generation is generation
        and image.architecture is facts.architecture
        and facts.os_sku.value.lower() in (name.lower() for name in image.os_skus)
        and image.release == facts.release
        and image.trusted_launch == facts.trusted_launch
        and image.is_confidential == facts.confidential
        and image.is_kata == facts.pod_sandboxing
        and (facts.os_type is OsType.WINDOWS or image.fips == facts.fips)
        and "EdgeZone" not in image.gallery
        and not any(word in image.definition for word in _SPECIAL_DEFINITIONS)
        and (
            image.gallery != "AKSUbuntu" or facts.version < _FIRST_CONTAINERD or image.definition.endswith("containerd")
        )
    )


def _no_image(images: Sequence[NodeImage], facts: Facts, generation: Generation) -> Refusal:
    served = sorted(
        {
            f"{image.first_kubernetes or 'any'} to {image.last_kubernetes or 'any'}"
            for image in images
            if _fits(image, facts, generation)
        }
    )
    features = [
        word
        for word, present in (
            ("FIPS", facts.fips),
            ("Trusted Launch", facts.trusted_launch),
            ("confidential computing", facts.confidential),
            ("Pod Sandboxing", facts.pod_sandboxing),
        )
        if present
    ]
    wanted = f"{facts.os_sku.value} ({facts.release}), {generation.value}, {facts.architecture.value}"
    known = f"It exists for Kubernetes {', '.join(served)}." if served else "None exists for any Kubernetes version."
    return Refusal(
        errors.InvalidImageRef,
        f"No node image exists for {wanted}{', ' + ', '.join(features) if features else ''} "
        f"on Kubernetes {facts.version.release}. {known}",
        "properties.osSKU",
        "choose another OS SKU, Kubernetes version or size",
        _NO_IMAGE,
    )


def _warnings(facts: Facts, request: ImageRequest) -> tuple[ResolutionWarning, ...]:
    words = words_of(facts, request)
    return tuple(
        ResolutionWarning(row.code, row.message.format(**words)) for row in WARNING_TABLE if row.condition.holds(facts)
    )
