"""The real az, logged in to a running service, and the ways in which scenarios use it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from registered_az import Az

from poolwright.az import configuration
from tests.support.service import ServiceProcess

# What each command that was run against a service came to, in this process: (command, outcome).
RAN: set[tuple[str, str]] = set()


class Lab:
    """An az that is logged in to a running service."""

    def __init__(self, az_path: Path, service: ServiceProcess, home: Path) -> None:
        known = service.credentials
        self.service = service
        login = configuration.Service(
            service.url, service.ca, known["tenantId"], known["clientId"], known["clientSecret"]
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HOME", str(home))
            configuration.prepare(az_path, service.data_dir, login)
            self.az = Az(az_path, configuration.environment(service.data_dir, login), RAN)

    def ok(self, command: str, *more: str) -> str:
        """What a command prints; it must succeed."""
        outcome = self.az.run(command, *more)
        assert outcome.returncode == 0, f"az {command}: {outcome.stderr}"
        return outcome.stdout

    def json(self, command: str, *more: str) -> Any:
        return json.loads(self.ok(command, *more, "--output", "json"))

    def table(self, command: str) -> list[list[str]]:
        """The cells of the table a command prints, heading first, by the width of its columns."""
        heading, rule, *rows = self.ok(command, "--output", "table").splitlines()
        columns = [found.span() for found in re.finditer("-+", rule)]
        return [[line[start:end].strip() for start, end in columns] for line in (heading, *rows)]

    def refused(self, command: str, *more: str, code: int = 1) -> str:
        """What a command prints on stderr; it must fail with the exit code, and without a traceback."""
        outcome = self.az.run(command, *more)
        assert outcome.returncode == code, f"az {command} ended with {outcome.returncode}: {outcome.stderr}"
        assert outcome.stdout == ""
        assert "Traceback" not in outcome.stderr
        return outcome.stderr

    def together(self, commands: Sequence[str]) -> list[CompletedProcess[str]]:
        """Three az at a time on one configuration, as az allows."""
        with ThreadPoolExecutor(3) as threads:
            return list(threads.map(self.az.run, commands))

    def pool(self, name: str, cluster: str = "c1") -> dict[str, Any]:
        """The properties of a node pool, read without az."""
        client = self.service.client
        properties: dict[str, Any] = client.get(client.pool(name, cluster)).json()["properties"]
        return properties
