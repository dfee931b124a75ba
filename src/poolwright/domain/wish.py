"""The wish: the generation somebody asked for, and how a new request changes it.

The wish is stored with the node pool because `az` sends it once: later PUTs of the whole pool (scale,
stop, upgrade, update) carry no header and echo the property back. (docs/compatibility.md, "The wish")

Invariant: silence never changes a wish.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from poolwright.domain.generation import Generation
from poolwright.domain.os_sku import OsType
from poolwright.domain.profile import Profile


class WishSource(Enum):
    """Where the wish came from."""

    HEADER = "header"
    PROPERTY = "property"


@dataclass(frozen=True, slots=True)
class Wish:
    """A generation asked for, and by which means."""

    generation: Generation
    source: WishSource


class Absent(Enum):
    """The property was not in the body; an explicit null is `None`."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


class WishConflict(ValueError):
    """Header and property both ask for something new, and differ."""


@dataclass(frozen=True, slots=True)
class SettledWish:
    """The wish after the request. `header_ignored` is set when a Linux pool carried the header."""

    wish: Wish | None
    header_ignored: bool = False


def settle_wish(
    stored: Wish | None,
    *,
    header: bool | None,
    vm_generation: Generation | Absent | None,
    os_type: OsType,
    profile: Profile,
) -> SettledWish:
    """Return the wish a node pool has after a request.

    `header` is the value of UseWindowsGen2VM, None when absent; `vm_generation` the property, `ABSENT`
    when it is not in the body and None for an explicit null. Raises `WishConflict`.
    """
    ignored = header is not None and os_type is OsType.LINUX
    by_header = None if header is None or ignored else Wish(_of_header(header), WishSource.HEADER)
    if profile is Profile.AZURE_2026:
        vm_generation = ABSENT
    stored_generation = stored.generation if stored else None
    property_is_new = not isinstance(vm_generation, Absent) and vm_generation is not stored_generation
    if by_header is not None:
        if property_is_new and vm_generation is not by_header.generation:
            raise WishConflict(
                f"The header UseWindowsGen2VM asks for {by_header.generation.value} and the property "
                f"properties.vmGeneration for {_text(vm_generation)}."
            )
        return SettledWish(by_header)
    if property_is_new and not isinstance(vm_generation, Absent):
        new = Wish(vm_generation, WishSource.PROPERTY) if vm_generation is not None else None
        return SettledWish(new, ignored)
    return SettledWish(stored, ignored)


def _of_header(header: bool) -> Generation:
    return Generation.V2 if header else Generation.V1


def _text(vm_generation: Generation | Absent | None) -> str:
    return vm_generation.value if isinstance(vm_generation, Generation) else "none"
