"""A real Poolwright process for tests, and its HTTP client: those that users' tests get."""

from __future__ import annotations

from poolwright.testing import Service as ServiceProcess
from poolwright.testing.client import API_VERSION
from poolwright.testing.client import Client as ArmClient

__all__ = ["API_VERSION", "ArmClient", "ServiceProcess"]
