"""What a node pool asks for, and how the rule tables about its image see it.

Invariant: a condition of those tables names facts of `Facts` and nothing else; what one row knows, every row can.
"""

from __future__ import annotations

from dataclasses import dataclass

from poolwright.domain.generation import Generation, generations_text
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.node_pool_kind import Mode, PoolType
from poolwright.domain.os_sku import OsSku, OsType, names_of
from poolwright.domain.profile import Profile
from poolwright.domain.size_name import SizeName
from poolwright.domain.vm_size import Architecture, ConfidentialComputing, VmSize
from poolwright.domain.wish import Wish, WishSource


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRequest:
    """Everything the decision depends on, and `mode`, for which only `pool_requirements` asks.

    `os_sku` is None when not given. `fips` is None when not given. `wish` is the generation somebody
    asked for, already settled by `domain/wish.py`. `creating` is False for a node pool that exists:
    what can no longer be created keeps working.
    """

    profile: Profile
    os_type: OsType
    os_sku: OsSku | None
    version: KubernetesVersion
    size: VmSize
    fips: bool | None = None
    vtpm: bool = False
    secure_boot: bool = False
    workload_runtime: str | None = None
    gpu_driver: str | None = None
    wish: Wish | None = None
    pool_type: PoolType = PoolType.SCALE_SETS
    mode: Mode = Mode.USER
    creating: bool = True


@dataclass(frozen=True, slots=True)
class Facts:
    """The request as the rule tables see it: one name per fact, all comparable values.

    `release` is None until the release is chosen, which the other facts decide.
    """

    profile: Profile
    os_type: OsType
    os_sku: OsSku
    sku_of_other_os: bool
    version: KubernetesVersion
    offered: frozenset[Generation]
    architecture: Architecture
    cobalt: bool
    confidential: bool
    confidential_kind: ConfidentialComputing | None
    trusted_launch: bool
    vtpm_and_secure_boot: bool
    secure_boot: bool
    trusted_launch_disabled: bool
    fips: bool
    pod_sandboxing: bool
    gpu: bool
    gpu_driver_none: bool
    wish: Generation | None
    wish_by: WishSource | None
    creating: bool
    pool_type: PoolType
    release: str | None = None


def facts_of(request: ImageRequest, os_sku: OsSku) -> Facts:
    """Return the facts of a request that gets this OS SKU, before its release is chosen."""
    size = request.size
    return Facts(
        profile=request.profile,
        os_type=request.os_type,
        os_sku=os_sku,
        sku_of_other_os=os_sku.os_type is not request.os_type,
        version=request.version,
        offered=size.generations,
        architecture=size.architecture,
        cobalt=_is_cobalt(size),
        confidential=size.is_confidential,
        confidential_kind=size.confidential,
        trusted_launch=request.vtpm or request.secure_boot,
        vtpm_and_secure_boot=request.vtpm and request.secure_boot,
        secure_boot=request.secure_boot,
        trusted_launch_disabled=size.trusted_launch_disabled,
        fips=bool(request.fips),
        pod_sandboxing=(request.workload_runtime or "").lower().startswith("kata"),
        gpu=size.gpus > 0,
        gpu_driver_none=(request.gpu_driver or "").lower() == "none",
        wish=request.wish.generation if request.wish else None,
        wish_by=request.wish.source if request.wish else None,
        creating=request.creating,
        pool_type=request.pool_type,
    )


def words_of(facts: Facts, request: ImageRequest) -> dict[str, str]:
    """Return the words that messages of rows may use."""
    return {
        "size": request.size.name,
        "os_sku": facts.os_sku.value,
        "os_type": facts.os_type.value,
        "pool_type": facts.pool_type.value,
        "os_skus": ", ".join(names_of(facts.os_type)),
        "offered": generations_text(facts.offered),
        "version": str(facts.version),
        "release": str(facts.release),
    }


def _is_cobalt(size: VmSize) -> bool:
    """Whether an Arm64 size is of version 6 or later; a name outside the grammar tells nothing and blocks nothing."""
    try:
        return size.is_arm64 and SizeName.parse(size.name).version >= 6
    except ValueError:
        return size.is_arm64
