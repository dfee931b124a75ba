"""Node pool snapshots: the node image, Kubernetes version and OS SKU of a node pool, kept for others.

A node pool made from a snapshot, or upgraded to one, takes these from it. A node image has exactly one
generation, so the snapshot decides the generation too.

Invariant: a snapshot never changes what it keeps; only its tags do.

Source: https://learn.microsoft.com/azure/aks/node-pool-snapshot (01/29/2024)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from poolwright import errors
from poolwright.domain.generation import Generation, generations_text
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.node_pool import NodePool, NodePoolRequest
from poolwright.domain.os_sku import OsSku, OsType
from poolwright.domain.refusal import Refusal, RefusalRow
from poolwright.domain.resource_id import SnapshotId
from poolwright.domain.rules import Rule, first_match, when
from poolwright.domain.size_name import SizeName
from poolwright.domain.vm_size import VmSize
from poolwright.domain.wish import Absent, Wish

_PAGE: Final = "Node pool snapshots (node-pool-snapshot.md, 01/29/2024)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What a snapshot takes from a node pool and gives to others."""

    os_type: OsType
    os_sku: OsSku
    version: str
    vm_size: str
    fips: bool
    vtpm: bool
    secure_boot: bool
    workload_runtime: str
    generation: Generation
    image_definition: str
    node_image: str
    vpmem_mib: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A snapshot of the node pool with the ID `source`; `sent` is what the client sent beside, its tags for one.

    `created` is in UNIX seconds.
    """

    id: SnapshotId
    location: str
    source: str
    sent: Mapping[str, Any]
    configuration: Configuration
    created: float


def captured(pool: NodePool) -> Configuration:
    """Return what a snapshot of the node pool keeps."""
    return Configuration(
        os_type=pool.os_type,
        os_sku=pool.os_sku,
        version=pool.version,
        vm_size=pool.vm_size,
        fips=pool.fips,
        vtpm=pool.vtpm,
        secure_boot=pool.secure_boot,
        workload_runtime=pool.workload_runtime,
        generation=pool.generation,
        image_definition=pool.image_definition,
        node_image=pool.node_image,
        vpmem_mib=pool.vpmem_mib,
    )


FROM_SNAPSHOT: Final = Rule(
    "snapshot",
    "A node pool from a snapshot has the snapshot's node image, and with it its generation.",
    _PAGE,
)


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    """A request for a snapshot's configuration as the refusal table sees it."""

    version: KubernetesVersion
    other_os_type: bool = False
    other_os_sku: bool = False
    other_version: bool = False
    fips_beyond_snapshot: bool = False
    other_family: bool = False
    generation_not_offered: bool = False
    other_generation_wished: bool = False
    older_image: bool = False
    other_image_needed: bool = False


_SOURCE: Final = "properties.creationData.sourceResourceId"

# The first row that holds speaks.
SNAPSHOT_TABLE: Final = (
    RefusalRow(
        Rule("snapshot-os-type", "The OS type comes from the snapshot.", _PAGE),
        when(other_os_type=True),
        errors.InvalidParameter,
        "properties.osType",
        "The snapshot '{snapshot}' is of OS type {os_type}; the node pool cannot have another one.",
        "leave osType out, or choose a snapshot of that OS type",
    ),
    RefusalRow(
        Rule("snapshot-os-sku", "A snapshot never crosses OS SKUs.", f"{_PAGE} (rule 60)"),
        when(other_os_sku=True),
        errors.InvalidParameter,
        "properties.osSKU",
        "The snapshot '{snapshot}' is of OS SKU {os_sku}; the node pool cannot have another one.",
        "choose a snapshot of the node pool's OS SKU, or leave osSKU out of a new node pool",
    ),
    RefusalRow(
        Rule("snapshot-version", "The Kubernetes version comes from the snapshot.", _PAGE),
        when(other_version=True),
        errors.InvalidParameter,
        "properties.orchestratorVersion",
        "The snapshot '{snapshot}' is of Kubernetes {kubernetes}; the node pool cannot have another version with it.",
        "leave orchestratorVersion out, or leave creationData out to get the newest node image of another version",
    ),
    RefusalRow(
        Rule("snapshot-fips", "FIPS comes from the snapshot.", _PAGE),
        when(fips_beyond_snapshot=True),
        errors.InvalidParameter,
        "properties.enableFIPS",
        "The snapshot '{snapshot}' has no FIPS node image.",
        "leave enableFIPS out, or choose a snapshot of a FIPS node pool",
    ),
    RefusalRow(
        Rule("snapshot-family", "The size is of the same VM family as the snapshot's.", _PAGE),
        when(other_family=True),
        errors.InvalidParameter,
        "properties.vmSize",
        "The snapshot '{snapshot}' is of a node pool of VM size '{taken_size}'; VM size '{size}' is of another family.",
        "choose a size of the same family",
    ),
    RefusalRow(
        Rule("snapshot-generation", "A node image boots one generation; the size has to offer it.", _PAGE),
        when(generation_not_offered=True),
        errors.InvalidParameter,
        "properties.vmSize",
        "The snapshot '{snapshot}' has node image '{image}', which boots {generation} only; VM size '{size}' offers "
        "{offered}.",
        "choose a size that offers the generation, or a snapshot of a node pool of the size's generation",
    ),
    RefusalRow(
        Rule("snapshot-wish", "The generation comes from the snapshot.", f"Poolwright; {_PAGE}"),
        when(other_generation_wished=True),
        errors.InvalidParameter,
        "properties.vmGeneration",
        "The snapshot '{snapshot}' has node image '{image}', which boots {generation} only; {wished} was asked for.",
        "leave UseWindowsGen2VM and vmGeneration out (vmGeneration null takes a stored wish back)",
    ),
    RefusalRow(
        Rule("snapshot-older", "A node pool is upgraded only to a snapshot that is not older than it is.", _PAGE),
        when(older_image=True),
        errors.InvalidParameter,
        _SOURCE,
        "The snapshot '{snapshot}' has node image '{image}', older than '{present}', which the node pool has.",
        "choose a newer snapshot, or go back: az aks nodepool rollback",
    ),
    RefusalRow(
        Rule("snapshot-image", "Size and features need the image the snapshot has.", f"{_PAGE} (rule 22)"),
        when(other_image_needed=True),
        errors.InvalidParameter,
        _SOURCE,
        "The snapshot '{snapshot}' has node image '{image}'; this node pool needs a '{needed}' image on "
        "VM size '{size}'.",
        "ask for the size, Trusted Launch and features of the snapshot's node pool, or leave the snapshot: "
        "az aks nodepool upgrade --node-image-only",
    ),
)


def taken(request: NodePoolRequest, kept: Configuration, old: NodePool | None) -> NodePoolRequest:
    """Return the request with what it leaves to the snapshot.

    az always sends enableFIPS, false where nobody asked; so false says nothing about a new snapshot. Persistent memory
    comes to new node pools, as the size does: no node image depends on it.
    """
    is_silent = isinstance(request.vpmem_mib, Absent)
    return replace(
        request,
        os_type=request.os_type or kept.os_type,
        os_sku=request.os_sku or kept.os_sku,
        kubernetes_version=kept.version,
        vm_size=request.vm_size or (kept.vm_size if old is None and not request.manual_scale else None),
        fips=request.fips or kept.fips,
        vtpm=kept.vtpm if request.vtpm is None else request.vtpm,
        secure_boot=kept.secure_boot if request.secure_boot is None else request.secure_boot,
        workload_runtime=request.workload_runtime or kept.workload_runtime,
        vpmem_mib=kept.vpmem_mib if old is None and is_silent else request.vpmem_mib,
    )


def refuse_request(
    request: NodePoolRequest, old: NodePool | None, kept: Configuration, snapshot: str, asked_version: str | None
) -> Refusal | None:
    """Return what in the request itself contradicts the snapshot, or None.

    `asked_version` is the version the request asks for, None when it asks for none.
    """
    version = KubernetesVersion.parse(kept.version)
    os_type = request.os_type or (old.os_type if old else None)
    os_sku = request.os_sku or (old.os_sku if old else None)
    facts = SnapshotFacts(
        version=version,
        other_os_type=os_type not in (None, kept.os_type),
        other_os_sku=os_sku not in (None, kept.os_sku),
        other_version=asked_version not in (None, kept.version, str(version.release)),
        fips_beyond_snapshot=bool(request.fips) and not kept.fips,
        older_image=old is not None and _is_older(kept.node_image, old.node_image),
    )
    return _refused(facts, kept, snapshot, present=old.node_image if old else "")


def refuse_size(size: VmSize, wish: Wish | None, kept: Configuration, snapshot: str) -> Refusal | None:
    """Return why machines of the size cannot boot the snapshot's node image, or None."""
    families = {_family(size.name), _family(kept.vm_size)} - {None}
    facts = SnapshotFacts(
        version=KubernetesVersion.parse(kept.version),
        other_family=len(families) > 1,
        generation_not_offered=not size.supports(kept.generation),
        other_generation_wished=wish is not None and wish.generation is not kept.generation,
    )
    return _refused(
        facts,
        kept,
        snapshot,
        size=size.name,
        offered=generations_text(size.generations),
        wished=wish.generation.value if wish else "",
    )


def refuse_image(needed: str, size: VmSize, kept: Configuration, snapshot: str) -> Refusal | None:
    """Return that the node pool needs an image of another definition than the snapshot's, or None."""
    facts = SnapshotFacts(
        version=KubernetesVersion.parse(kept.version), other_image_needed=needed != kept.image_definition
    )
    return _refused(facts, kept, snapshot, size=size.name, needed=needed)


def _refused(facts: SnapshotFacts, kept: Configuration, snapshot: str, **words: str) -> Refusal | None:
    row = first_match(SNAPSHOT_TABLE, facts)
    if row is None:
        return None
    known = {
        "snapshot": snapshot.rpartition("/")[2],
        "os_type": kept.os_type.value,
        "os_sku": kept.os_sku.value,
        "kubernetes": kept.version,
        "taken_size": kept.vm_size,
        "generation": kept.generation.value,
        "image": kept.node_image,
    }
    return row.filled({**known, **words})


# `202512.18.0`, with or without the date of a security patch, or `20348.4529.251212`.
_IMAGE_VERSION: Final = re.compile(r"-(\d[\d.]*(?:-\d[\d.]*)?)$")


def _is_older(one: str, other: str) -> bool:
    """Whether one node image version is older than the other; versions that cannot be compared are not."""
    first, second = _image_version(one), _image_version(other)
    return bool(first) and bool(second) and first < second


def _image_version(text: str) -> list[int]:
    match = _IMAGE_VERSION.search(text)
    return [int(part) for part in re.split(r"[.-]", match[1]) if part] if match is not None else []


def _family(size: str) -> str | None:
    """The family of a size by its name, None where the name does not tell."""
    try:
        return SizeName.parse(size).series
    except ValueError:
        return None
