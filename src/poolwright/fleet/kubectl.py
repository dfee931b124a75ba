"""kubectl, run for a move: with the credentials that the endpoint gives out for exactly that cluster.

Invariant: no context of this machine is used, so that no other cluster can be met; the credentials are in a file that
only its owner reads, as long as a command runs, and in no message.
"""

from __future__ import annotations

import base64
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from poolwright.fleet import commands
from poolwright.fleet.arm import Arm, Refused
from poolwright.fleet.comparison import StepFailed
from poolwright.fleet.plan import PoolMove
from poolwright.fleet.scratch import scratch

# How long the nodes of a new node pool may take to be ready, after the endpoint says that it is.
READY_TIMEOUT_MINUTES: Final = 10
_PAUSE_SECONDS: Final = 0.2
_END_SECONDS: Final = 5.0


class Kubectl:
    """Has pods leave nodes by kubectl. `say` is told each line before it runs."""

    def __init__(self, arm: Arm, say: Callable[[str], None], program: str = "kubectl") -> None:
        self._arm = arm
        self._say = say
        self._program = program

    def done(self, move: PoolMove, lines: Sequence[str]) -> str | None:
        """Return how the lines were run. Raises `StepFailed` and `Refused` when one of them does not succeed."""
        program = _found(self._program)
        with self._kubeconfig(move) as kubeconfig:
            self._require_nodes(move, program, kubeconfig)
            for line in lines:
                self._run(program, kubeconfig, line)
        return "run by kubectl"

    def _require_nodes(self, move: PoolMove, program: str, kubeconfig: Path) -> None:
        """Raise unless the cluster has nodes of the old node pool, and those of the new one are ready."""
        if not sum(size.count for size in move.sizes):
            return
        if not self._run(program, kubeconfig, commands.kubectl("get nodes", move.pool, "-o", "name")).strip():
            raise StepFailed(f"kubectl sees no node of {move.pool} in its cluster: is it another cluster?")
        if move.replacement is not None:
            ready = ("--for=condition=Ready", f"--timeout={READY_TIMEOUT_MINUTES}m")
            self._run(program, kubeconfig, commands.kubectl("wait nodes", move.replacement, *ready))

    def _run(self, program: str, kubeconfig: Path, line: str) -> str:
        """Return what the line printed. Raises `StepFailed` with what it complained about."""
        self._say(line)
        _, *arguments = shlex.split(line)
        with (
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as complaints,
            subprocess.Popen(
                [program, "--kubeconfig", str(kubeconfig), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=complaints,
                # Ctrl-C is for this process, which then ends kubectl.
                start_new_session=True,
            ) as running,
        ):
            try:
                while running.poll() is None:
                    self._arm.pause(_PAUSE_SECONDS)
            finally:
                _end(running)
            out.seek(0)
            complaints.seek(0)
            if running.returncode != 0:
                said = complaints.read().decode(errors="replace").strip().splitlines()
                raise StepFailed(f"{line} ended with {running.returncode}: {' '.join(said[-3:]) or 'without a word'}")
            return out.read().decode(errors="replace")

    @contextmanager
    def _kubeconfig(self, move: PoolMove) -> Iterator[Path]:
        cluster = move.id.rpartition("/agentPools/")[0]
        answer = self._arm.post(f"{cluster}/listClusterUserCredential")
        try:
            content = base64.b64decode(answer["kubeconfigs"][0]["value"])
        except (KeyError, IndexError, TypeError, ValueError):
            raise Refused("the endpoint gives no kubeconfig for the cluster") from None
        with scratch("poolwright-kubectl-") as directory:
            file = directory / "kubeconfig"
            file.touch(mode=0o600)
            file.write_bytes(content)
            yield file


class WouldRun:
    """Has nothing run: for who only looks at what kubectl would be run for."""

    def __init__(self, program: str = "kubectl") -> None:
        self._program = program

    def done(self, move: PoolMove, lines: Sequence[str]) -> str | None:
        """Return that the lines would be run. Raises `StepFailed` where there is no kubectl."""
        _found(self._program)
        return "would be run by kubectl"


def _found(name: str) -> str:
    """The program's path. Raises `StepFailed`."""
    program = shutil.which(name)
    if program is None:
        raise StepFailed(f"there is no {name} on this machine: install it, or leave --kubectl out")
    return program


def _end(running: subprocess.Popen[bytes]) -> None:
    """End kubectl with what it started; nothing where it has ended already."""
    if running.poll() is None:
        os.killpg(running.pid, signal.SIGTERM)
        try:
            running.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
