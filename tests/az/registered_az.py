"""An az that is registered to a recorder, and the ways in which tests run it."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from arm_recorder import CLIENT, SECRET, TENANT, ArmRecorder

from poolwright.az.configuration import Service
from poolwright.identity.tls import TlsFiles

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Az:
    """An az that is set up for one recorder or service. What commands came to is put into `ran`."""

    path: Path
    environment: Mapping[str, str]
    ran: set[tuple[str, str]] = field(default_factory=set)

    def run(self, command: str, *more: str) -> subprocess.CompletedProcess[str]:
        words = command.split()
        ended = subprocess.run(
            [str(self.path), *words, *more], env=self.environment, capture_output=True, text=True, check=False
        )
        name = itertools.takewhile(lambda word: not word.startswith("-"), words)
        self.ran.add((" ".join(name), outcome_of(ended)))
        return ended

    def json(self, command: str) -> Any:
        outcome = self.run(command, "--output", "json")
        assert outcome.returncode == 0, outcome.stderr
        return json.loads(outcome.stdout)

    def inside(self, script: str, *arguments: str) -> Any:
        """The JSON printed by one of the scripts beside this file, run by the Python that az runs in."""
        outcome = subprocess.run(
            [interpreter_of(self.path), str(HERE / script), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert outcome.returncode == 0, outcome.stderr
        return json.loads(outcome.stdout)

    def run_all(self, commands: Sequence[str]) -> list[dict[str, Any]]:
        return self.run_each([command.split() for command in commands])

    def run_each(self, commands: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
        return list(self.inside("run_commands.py", json.dumps(commands)))


def outcome_of(ended: subprocess.CompletedProcess[str]) -> str:
    """ "succeeded", "failed", or the operation that was refused because it is not offered."""
    if ended.returncode == 0:
        return "succeeded"
    refused = re.search(r"\(OperationNotOffered\) The operation (\w+) of", ended.stderr)
    return refused[1] if refused else "failed"


def interpreter_of(az: Path) -> str:
    found = re.search(r"/\S+/python[\d.]*", az.resolve().read_text())
    assert found is not None, f"{az} names no interpreter"
    return found[0]


def service_of(recorder: ArmRecorder, tls: TlsFiles) -> Service:
    return Service(recorder.base_url, tls.ca, TENANT, CLIENT, SECRET)
