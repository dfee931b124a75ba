"""Which size a node pool could have in Generation 2, best first, and what would differ.

The line, and what comes near in it, is the naming grammar's affair (`domain/size_name.py`); whether a size may be had,
and gets a Generation 2 image, is decided by the rules that decide over a PUT.

Invariant: what is not known of a size never keeps it from being a target; it is listed as unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from poolwright.catalog.catalog import LocationCatalog
from poolwright.catalog.retirements import Retirement
from poolwright.domain import pool_requirements
from poolwright.domain.generation import Generation
from poolwright.domain.image_facts import ImageRequest
from poolwright.domain.image_resolution import Resolution, default_os_sku, resolve
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.node_pool_kind import Mode, PoolType
from poolwright.domain.offer import Offer
from poolwright.domain.os_sku import OsSku, OsType
from poolwright.domain.refusal import Refusal
from poolwright.domain.size_name import alternatives
from poolwright.domain.vm_size import VmSize
from poolwright.domain.wish import Wish, WishSource
from poolwright.fleet.capabilities import Difference, compared
from poolwright.fleet.knowledge import Knowledge, place_called
from poolwright.fleet.values import FleetPool

# Of a line's sizes that many of the nearest are looked at, and that many shown.
_LOOKED_AT: Final = 40
SHOWN: Final = 5
# The properties that a refusal by the OS SKU names: which of them have FIPS, or must, is the OS SKU's as well.
_OF_OS_SKU: Final = frozenset({"properties.osSKU", "properties.enableFIPS"})
# OS SKUs of one distribution.
_AZURE_LINUX: Final = frozenset({OsSku.CBL_MARINER, OsSku.AZURE_LINUX, OsSku.AZURE_LINUX_3})


@dataclass(frozen=True, slots=True)
class Target:
    """A size that a node pool could have in Generation 2, and the image it would get there.

    `release` is that of the image's OS, `warnings` what the rules say of the choice. `unknown` are capabilities that
    are not known of one of the sizes; `assumed` is what nobody has seen of the offer.
    """

    size: VmSize
    definition: str
    release: str
    warnings: tuple[str, ...]
    differences: tuple[Difference, ...]
    unknown: tuple[str, ...]
    assumed: tuple[str, ...]
    ends: tuple[Retirement, ...]


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a size cannot be had. `by_os_sku` is whether the OS SKU is what stands in the way, on every size alike."""

    why: str
    by_os_sku: bool = False


@dataclass(frozen=True, slots=True)
class _Asked:
    """What decides over the image of a node pool, its size aside."""

    os_type: OsType
    os_sku: OsSku
    version: KubernetesVersion
    fips: bool
    vtpm: bool
    secure_boot: bool
    workload_runtime: str | None
    gpu_driver: str | None
    mode: Mode
    pool_type: PoolType


@dataclass(frozen=True, slots=True)
class _Need:
    """Everything that decides over the targets of a size: node pools that need the same share one answer.

    `asked` numbers an `_Asked`, because thousands of node pools ask for a few different things.
    """

    location: str
    size: str
    asked: int
    zones: tuple[str, ...]
    ephemeral: bool
    encryption_at_host: bool


class Targets:
    """Finds targets, each question once."""

    def __init__(self, knowledge: Knowledge) -> None:
        self.knowledge = knowledge
        self._numbers: dict[_Asked, int] = {}
        self._asked: list[_Asked] = []
        self._found: dict[_Need, tuple[Target, ...]] = {}
        self._near: dict[tuple[str, str], tuple[VmSize, ...]] = {}
        self._with_gen2: dict[str, tuple[VmSize, ...]] = {}
        self._refused: dict[_Need, Unfit | None] = {}
        self._outcomes: dict[tuple[int, str, str, Generation | None], Resolution | Unfit] = {}
        self._described: dict[tuple[object, ...], Target] = {}
        self._ends: dict[tuple[str, str], tuple[Retirement, ...]] = {}

    def ranked(
        self, pool: FleetPool, location: str | None, size: str, *, os_sku: OsSku | None = None
    ) -> tuple[Target, ...]:
        """Return what the node pool's machines of a size could have instead, best first; none where nothing fits.

        The size itself comes first where it does, except where it ends and another one is not known to.
        """
        need = self._need(pool, location, size, os_sku)
        if need not in self._found:
            self._found[need] = tuple(self._ranked(need))
        return self._found[need]

    def target(
        self, pool: FleetPool, location: str | None, size: str, wanted: str, *, os_sku: OsSku | None = None
    ) -> Target | Unfit:
        """Return a certain size as the target of another, or why it is none."""
        need = self._need(pool, location, size, os_sku)
        here = self.knowledge.at(need.location)
        offer, own = here.offer(wanted), here.size(size)
        if offer is None or own is None:
            where = place_called(need.location)
            return Unfit(f"the size {wanted} is not offered in {where}, as far as the catalogue knows")
        checked = self._checked(need, offer)
        return checked if isinstance(checked, Unfit) else self._target(need, own, offer, checked)

    def os_sku_refused(
        self, pool: FleetPool, location: str | None, size: str, *, os_sku: OsSku | None = None
    ) -> Unfit | None:
        """Return why no size helps as long as the node pool has its OS SKU; None where that is not in the way."""
        need = self._need(pool, location, size, os_sku)
        if need not in self._refused:
            self._refused[need] = self._os_sku_refused(need)
        return self._refused[need]

    def os_skus_instead(self, pool: FleetPool, location: str | None) -> tuple[OsSku, ...]:
        """Return the OS SKUs by which the node pool would have a target for all of its sizes, related ones first."""
        present = self.os_sku(pool, location)
        others = [sku for sku in OsSku if sku is not present and sku.os_type is present.os_type]
        fit = [sku for sku in others if all(self.ranked(pool, location, size, os_sku=sku) for size in pool.sizes)]
        return tuple(sorted(fit, key=lambda sku: not {sku, present} <= _AZURE_LINUX))

    def why_not_again(self, pool: FleetPool, location: str | None) -> str | None:
        """Return why the node pool could not be made again as it is, in Generation 1; None where nothing is known.

        Nothing is asked for: all that a command of az can ask for is Generation 2 on Windows.
        """
        here = self.knowledge.at(location)
        for size in map(here.size, pool.sizes):
            if size is None:
                continue
            if self.is_over(location, size.name):
                return f"the size {size.name} is retired"
            outcome = self._outcome(self._need(pool, location, size.name, None), size, Generation.V1)
            if isinstance(outcome, Unfit):
                return outcome.why
        return None

    def is_over(self, location: str | None, size: str) -> bool:
        """Return whether a size is retired by now."""
        return any(end.day <= self.knowledge.as_of for end in self.ends(location, size))

    def resolution(self, pool: FleetPool, location: str | None, size: VmSize) -> Resolution | None:
        """Return what the rules give the node pool on a size, as it is: nobody knows what was asked for.

        None where they refuse it.
        """
        need = self._need(pool, location, size.name, None)
        outcome = self._outcome(need, size, None)
        return outcome if isinstance(outcome, Resolution) else None

    def os_sku(self, pool: FleetPool, location: str | None) -> OsSku:
        """Return the node pool's OS SKU, as exported or as it is without one."""
        return self._asked[self._need(pool, location, "", None).asked].os_sku

    def ends(self, location: str | None, name: str) -> tuple[Retirement, ...]:
        """Return when a size ends, as far as it is known."""
        here = self.knowledge.at(location)
        key = here.location, name
        if key not in self._ends:
            self._ends[key] = self.knowledge.retirements.of_size(name, here.size(name))
        return self._ends[key]

    def _need(self, pool: FleetPool, location: str | None, size: str, os_sku: OsSku | None) -> _Need:
        here = self.knowledge.at(location)
        os_type = pool.os_type or OsType.LINUX
        version = pool.version or here.kubernetes.newest_patch(here.kubernetes.default)
        assert version is not None
        sku = os_sku or pool.os_sku or default_os_sku(os_type, version, self.knowledge.profile)
        asked = _Asked(
            os_type=os_type,
            os_sku=sku,
            version=version,
            # Windows2025 has no other way (rule 39), so an export that does not say it means it.
            fips=sku is OsSku.WINDOWS_2025 if pool.fips is None else pool.fips,
            vtpm=bool(pool.vtpm),
            secure_boot=bool(pool.secure_boot),
            workload_runtime=pool.workload_runtime,
            gpu_driver=pool.gpu_driver,
            mode=pool.role,
            pool_type=pool.pool_type or PoolType.SCALE_SETS,
        )
        number = self._numbers.setdefault(asked, len(self._asked))
        if number == len(self._asked):
            self._asked.append(asked)
        return _Need(
            location=here.location,
            size=size.lower(),
            asked=number,
            zones=pool.zones,
            ephemeral=pool.properties.get("osDiskType") == "Ephemeral",
            encryption_at_host=pool.properties.get("enableEncryptionAtHost") is True,
        )

    def _ranked(self, need: _Need) -> Iterator[Target]:
        here = self.knowledge.at(need.location)
        own = here.size(need.size)
        if own is None:
            return
        found = []
        for size in (own, *self._nearest(here, own)):
            offer = here.offer(size.name)
            checked = self._checked(need, offer) if offer is not None else None
            if offer is not None and isinstance(checked, Resolution):
                found.append(self._target(need, own, offer, checked))
            if len(found) > SHOWN:
                break
        lasting = [target for target in found if not target.ends]
        yield from (lasting + [target for target in found if target.ends])[:SHOWN]

    def _nearest(self, here: LocationCatalog, own: VmSize) -> tuple[VmSize, ...]:
        key = here.location, own.name
        if key not in self._near:
            if here.location not in self._with_gen2:
                self._with_gen2[here.location] = tuple(
                    size for size in here.usable_sizes if size.supports(Generation.V2)
                )
            # An existing node pool's workload is built for its architecture (rule 36).
            same = [size for size in self._with_gen2[here.location] if size.architecture is own.architecture]
            self._near[key] = alternatives(own, same, limit=_LOOKED_AT)
        return self._near[key]

    def _os_sku_refused(self, need: _Need) -> Unfit | None:
        here = self.knowledge.at(need.location)
        own = here.size(need.size)
        for size in (own, *self._nearest(here, own)) if own is not None else ():
            offer = here.offer(size.name)
            checked = self._checked(need, offer) if offer is not None else None
            if isinstance(checked, Resolution):
                return None
            if isinstance(checked, Unfit) and checked.by_os_sku:
                return checked
        return None

    def _checked(self, need: _Need, offer: Offer) -> Resolution | Unfit:
        """What the rules give the node pool on that size in Generation 2, or why it cannot be had."""
        size = offer.size
        if not size.supports(Generation.V2):
            return Unfit(f"the size {size.name} offers only Generation 1")
        if offer.location_restriction is not None:
            return Unfit(f"the size {size.name} is restricted in {place_called(need.location)}")
        missing = [zone for zone in need.zones if zone not in offer.usable_zones] if need.zones else []
        if missing:
            zones = ", ".join(missing)
            return Unfit(f"the size {size.name} is not to be had in zone {zones} of {place_called(need.location)}")
        if need.ephemeral and size.ephemeral_os_disk is False:
            return Unfit(f"the size {size.name} takes no ephemeral OS disk, which the node pool has")
        if need.encryption_at_host and size.encryption_at_host is False:
            return Unfit(f"the size {size.name} has no encryption at host, which the node pool has")
        if self.is_over(need.location, size.name):
            return Unfit(f"the size {size.name} is retired")
        return self._outcome(need, size, Generation.V2)

    def _outcome(self, need: _Need, size: VmSize, new: Generation | None) -> Resolution | Unfit:
        """What the rules give a new node pool, which has to be of that generation; the present one where None."""
        key = need.asked, need.location, size.name, new
        if key not in self._outcomes:
            self._outcomes[key] = self._decided(self._asked[need.asked], size, new)
        return self._outcomes[key]

    def _decided(self, asked: _Asked, size: VmSize, new: Generation | None) -> Resolution | Unfit:
        creating = new is not None
        # What is moved is asked for in the way its OS has: the header is Windows' (rule 16).
        by = WishSource.HEADER if asked.os_type is OsType.WINDOWS else WishSource.PROPERTY
        request = ImageRequest(
            profile=self.knowledge.profile,
            os_type=asked.os_type,
            os_sku=asked.os_sku,
            version=asked.version,
            size=size,
            fips=asked.fips,
            vtpm=asked.vtpm,
            secure_boot=asked.secure_boot,
            workload_runtime=asked.workload_runtime,
            gpu_driver=asked.gpu_driver,
            wish=Wish(Generation.V2, by) if new is Generation.V2 else None,
            pool_type=asked.pool_type,
            mode=asked.mode,
            creating=creating,
        )
        refused = pool_requirements.admit(request, name="") if creating else ()
        outcome = refused[0] if refused else resolve(request, self.knowledge.catalog.images)
        if isinstance(outcome, Refusal):
            # What confidential sizes lack, others may have.
            return Unfit(outcome.message, by_os_sku=outcome.target in _OF_OS_SKU and not size.is_confidential)
        if creating and (outcome.late_failure is not None or outcome.generation is not new):
            failure = outcome.late_failure
            return Unfit(
                failure.message
                if failure
                else f"the size {size.name} gets a Generation {outcome.generation.number} image here"
            )
        if creating and (removed := self._images_removed(outcome.image.release)) is not None:
            why = f"The node images of {removed.subject} are removed from Azure since {removed.day}; scaling fails."
            return Unfit(why, by_os_sku=True)
        return outcome

    def _images_removed(self, release: str) -> Retirement | None:
        """Since when there are no images of an OS release; None while there are."""
        ends = self.knowledge.retirements.of_release(release)
        return next((end for end in ends if end.removes_images and end.day <= self.knowledge.as_of), None)

    def _target(self, need: _Need, own: VmSize, offer: Offer, resolution: Resolution) -> Target:
        size, image = offer.size, resolution.image
        warnings = tuple(warning.message for warning in resolution.warnings)
        key = need.location, own.name, size.name, image.definition, image.release, warnings
        if key not in self._described:
            differences, unknown = compared(self.knowledge.at(need.location).offer(own.name), own, offer)
            self._described[key] = Target(
                size=size,
                definition=image.definition,
                release=image.release,
                warnings=warnings,
                differences=differences,
                unknown=unknown,
                assumed=tuple(sorted(offer.assumed)),
                ends=self.ends(need.location, size.name),
            )
        return self._described[key]
