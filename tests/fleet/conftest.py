"""The plan that tests of its parts share."""

from __future__ import annotations

import pytest

from poolwright.fleet.plan import Plan
from tests.fleet.fleets import exported
from tests.fleet.plans import planned


@pytest.fixture(scope="module")
def made() -> Plan:
    return planned(exported())
