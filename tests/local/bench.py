"""The local engine on a data directory of its own, with what tests do behind its back."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from poolwright.domain.machine import MachineSpec, WhenLost
from poolwright.machines.engine import TemporaryError
from poolwright.machines.images.build import Form
from poolwright.machines.images.store import DiskImage
from poolwright.machines.local import host, sgx
from poolwright.machines.local.allocation import Caps
from poolwright.machines.local.daemon import private_daemon
from poolwright.machines.local.domain_xml import Accelerator
from poolwright.machines.local.engine import Host, LocalEngine
from poolwright.machines.local.evidence import EvidenceKey
from poolwright.machines.local.hypervisor import Domain, Hypervisor, binding
from tests.machines.contract import Bench

# Emulated machines on a busy host: what ends well takes seconds, and nothing here waits for the clock alone.
SETTLE_SECONDS = 400


class LocalBench(Bench):
    """A local engine on a data directory of its own; `image_for` may be changed before machines are asked for."""

    engine: LocalEngine

    def __init__(self, data: Path, images: dict[Form, DiskImage], when_lost: WhenLost = WhenLost.REPAIR) -> None:
        self.data = data
        self.images = images
        self.when_lost = when_lost
        self.image_for: Callable[[MachineSpec], DiskImage] = self.stand_in
        self.room: Callable[[Path], host.HostRoom] = host.room
        self.key = EvidenceKey.generate()
        self.directory, self.sockets = host.directories(data)
        self.daemon = private_daemon(self.directory, self.sockets)
        host.make_directories(self.directory, self.sockets, self.daemon.account)
        self.boot = host.boot()
        self.engine = self.start()

    def stand_in(self, spec: MachineSpec) -> DiskImage:
        return self.images[Form.GEN1 if spec.generation.number == 1 else Form.GEN2]

    def start(self) -> LocalEngine:
        engine = LocalEngine(
            self.data / "local.sqlite",
            Host(
                directory=self.directory,
                sockets=self.sockets,
                logs=(self.daemon.logs,),
                account=self.daemon.account,
                accelerator=Accelerator.TCG,
                caps=Caps(),
                parallel_boots=2,
                when_lost=self.when_lost,
                room=lambda path: self.room(path),
                boot=self.boot,
                sgx=lambda: sgx.look_at_host(Accelerator.TCG, self.daemon.account),
            ),
            self.hypervisor(),
            lambda spec: self.image_for(spec),
            self.key,
            now=time.time,
            new_id=lambda: str(uuid.uuid4()),
        )
        engine.start()
        return engine

    def boots(self) -> dict[str, int]:
        return self.engine.boots()

    def reopen(self) -> None:
        self.engine.close()
        self.engine = self.start()

    def settle(self, keys: Sequence[str]) -> None:
        self.wait(lambda: not self.engine.underway(keys))

    def wait(self, until: Callable[[], bool], seconds: float = SETTLE_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < deadline, (
                f"not within {seconds} s: {self.engine.observe(list(self.engine.keys()))}"
            )
            time.sleep(0.1)

    def hypervisor(self) -> Hypervisor:
        """A connection of its own."""
        return Hypervisor(self.daemon.uri, self.daemon.ensure)

    def domains(self) -> list[Domain]:
        """What libvirt knows, by a connection of its own."""
        watching = self.hypervisor()
        while True:
            try:
                return list(watching.domains("poolwright-").values())
            except TemporaryError:
                # It was killed a moment ago.
                time.sleep(0.1)
            finally:
                watching.close()

    def destroy_all(self) -> None:
        """Pull every plug, behind the engine's back."""
        other = self.hypervisor()
        for domain in self.domains():
            other.end(domain.uuid)
        other.close()

    def reset_all(self) -> None:
        """Press every reset button, which a guest that reboots presses itself."""
        connection = binding().open(self.daemon.uri)
        for domain in connection.listAllDomains():
            domain.reset()
        connection.close()

    def say_to_agent(self, key: str, word: str) -> None:
        """Tell the agent of a machine something, while no engine listens to it."""
        (uuid,) = (domain.uuid for domain in self.domains() if key.rpartition("/")[2] in domain.name)
        with socket.socket(socket.AF_UNIX) as agent:
            agent.settimeout(SETTLE_SECONDS)
            agent.connect(str(self.sockets / uuid[:8] / "agent"))
            agent.sendall(word.encode() + b"\n")
            heard = b""
            while b'"stopping"' not in heard:
                heard += agent.recv(65536)

    def let_reset(self, *, allowed: bool) -> None:
        """Have resets of all machines do as given, behind the engine's back."""
        other = self.hypervisor()
        for domain in self.domains():
            other.let_reset(domain.uuid, allowed=allowed)
        other.close()

    def kill_daemon(self) -> None:
        pid = self.daemon.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    def forget(self, key: str) -> None:
        """Lose a machine's row, as a lost journal would, and begin again."""
        self.engine.close()
        with sqlite3.connect(self.data / "local.sqlite") as connection:
            connection.execute("DELETE FROM lives WHERE key = ?", (key,))
        connection.close()
        self.engine = self.start()

    def close(self) -> None:
        self.engine.delete(sorted(self.engine.keys()))
        self.engine.close()
        self.daemon.end()
        for made in (self.directory, self.sockets):
            shutil.rmtree(made, ignore_errors=True)
