"""The verbs of vCPU quota.

Invariant: a limit is set for what something has: a family of sizes that the location offers, or the total.
"""

from __future__ import annotations

from sqlalchemy.engine import Connection

from poolwright import errors
from poolwright.control_plane.acceptance import Acceptance
from poolwright.control_plane.capacity import vcpus_in_use
from poolwright.domain import quota
from poolwright.store import statements


class Quotas:
    """vCPUs in use, and all changes of limits. Every method takes the connection of the transaction it runs in."""

    def __init__(self, acceptance: Acceptance) -> None:
        self._acceptance = acceptance

    def usages(self, connection: Connection, subscription: str, location: str) -> tuple[dict[str, int], dict[str, int]]:
        """Return vCPUs in use and limits that were set, by family in lower case. The location is in short spelling."""
        return vcpus_in_use(connection, self._acceptance.catalog, subscription, location)

    def put(self, connection: Connection, subscription: str, location: str, family: str, limit: int | None) -> None:
        """Set a vCPU limit, or take it away with None. Raises `InvalidParameter` for a family nothing has."""
        place = self._acceptance.require_location(location, "location")
        families = {quota.family_of(size) for size in self._acceptance.catalog.sizes_in(place)} | {quota.TOTAL}
        if family.lower() not in families:
            raise errors.InvalidParameter(
                f"There is no quota family '{family}' in location '{place}'.",
                target="family",
                remedy=f"`az vm list-usage --location {place}` lists the families",
            )
        statements.put_quota(connection, subscription, place, family.lower(), limit)
