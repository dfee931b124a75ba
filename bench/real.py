"""`make bench ENGINE=local`: how long real machines take through the API, against the same image on bare QEMU.

Both take turns in every round, so that a change of this machine's speed meets both; the ratio is the median of the
ratios of each round. Ready means for both: the agent inside has answered a question.
"""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from poolwright import engines
from poolwright.domain.generation import Generation
from poolwright.machines.images.build import Form, build
from poolwright.machines.images.packages import default_cache
from poolwright.machines.images.store import DiskImage, ImageStore
from poolwright.machines.local import host
from poolwright.machines.local.daemon import private_daemon
from poolwright.testing.process import Service
from tests.local.bare_qemu import Hardware, booted

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
COUNTS = (1, 4)
PATIENCE_SECONDS = 900.0
SIZES = {Generation.V1: "Standard_D2_v3", Generation.V2: "Standard_D2s_v5"}
FORMS = {Generation.V1: Form.GEN1, Generation.V2: Form.GEN2}


def main() -> int:
    lacking = engines.what_lacks()
    if lacking:
        print(f"this host lacks {lacking}: poolwright host install", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="pw-bench-", dir="/tmp") as scratch:
        rows = list(_measure(Path(scratch)))
    print(f"\n{platform.platform()}, {os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f}, emulated (TCG)\n")
    width = max(len(name) for name, _, _ in rows)
    print(f"| {'what':<{width}} | figure                | to bare QEMU |")
    print(f"| {'-' * width} | --------------------- | ------------ |")
    for name, figure, ratio in rows:
        print(f"| {name:<{width}} | {figure:<21} | {ratio:<12} |")
    return 0


def _measure(scratch: Path) -> Iterator[tuple[str, str, str]]:
    store = ImageStore(scratch / "images")
    started = time.monotonic()
    images = dict(zip(FORMS, build(list(FORMS.values()), store, default_cache(), lambda *_: None), strict=True))
    yield "node image, both forms, warm package cache", f"{time.monotonic() - started:.1f} s", ""
    service = Service(
        scratch / "data",
        engine="local",
        local_accelerator="tcg",
        local_stand_ins=scratch / "images",
        local_memory_mib=256,
    ).start()
    try:
        client = service.client
        client.timeout = PATIENCE_SECONDS
        client.expect(201, client.put(client.group(), json={"location": "eastus"}))
        pool = {"name": "sys", "mode": "System", "count": 1, "vmSize": SIZES[Generation.V1]}
        body = {"location": "eastus", "properties": {"agentPoolProfiles": [pool]}}
        assert client.operation(client.put(client.cluster(), json=body), PATIENCE_SECONDS)["status"] == "Succeeded"
        for generation, image in images.items():
            for count in COUNTS:
                ours, bare, ratios, memory = [], [], [], 0.0
                for _ in range(ROUNDS):
                    bare.append(_bare(image, generation, count, scratch))
                    seconds, memory = _through_the_api(service, generation, count)
                    ours.append(seconds)
                    ratios.append(ours[-1] / bare[-1])
                print(f"{generation.value} x {count}: {ours} against {bare}", file=sys.stderr)
                yield (
                    f"{count} machine(s) of generation {generation.value}: PUT to Succeeded",
                    f"{statistics.median(ours):.1f} s (bare {statistics.median(bare):.1f} s)",
                    f"{statistics.median(ratios):.2f}",
                )
            yield f"memory of a machine, generation {generation.value} (PSS)", f"{memory:.0f} MiB", ""
    finally:
        service.reset()
        service.stop()
        directory, sockets = host.directories(service.data_dir)
        private_daemon(directory, sockets).end()
        for place in (directory, sockets):
            shutil.rmtree(place, ignore_errors=True)


def _bare(image: DiskImage, generation: Generation, count: int, scratch: Path) -> float:
    """Seconds until as many machines, started together, have answered."""
    hardware = Hardware(generation.number, network=True, virtio_disk=True)
    with ExitStack() as running:
        started = time.monotonic()
        machines = [
            running.enter_context(booted(image.path, hardware, scratch / f"bare-{generation.value}-{number}"))
            for number in range(count)
        ]
        for number, machine in enumerate(machines):
            machine.connect()
            machine.say(f"report n{number}")
        for number, machine in enumerate(machines):
            machine.heard("report", PATIENCE_SECONDS, f"n{number}")
        seconds = time.monotonic() - started
    for number in range(count):
        shutil.rmtree(scratch / f"bare-{generation.value}-{number}")
    return seconds


def _through_the_api(service: Service, generation: Generation, count: int) -> tuple[float, float]:
    """Seconds from the PUT of a node pool to its success, and the mean memory of its machines in MiB."""
    client = service.client
    path = client.pool("np1")
    started = time.monotonic()
    accepted = client.put(path, json={"properties": {"count": count, "vmSize": SIZES[generation]}})
    assert client.operation(accepted, PATIENCE_SECONDS)["status"] == "Succeeded"
    seconds = time.monotonic() - started
    memory = statistics.mean(_pss_mib("aks-np1-"))
    assert client.operation(client.delete(path), PATIENCE_SECONDS)["status"] == "Succeeded"
    return seconds, memory


def _pss_mib(name: str) -> list[float]:
    """The memory of each QEMU that runs a machine of that name; what is shared counts in part."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if b"qemu-system" in command and name.encode() in command:
                lines = (process / "smaps_rollup").read_text().splitlines()
                found += [int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")]
        except OSError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(main())
