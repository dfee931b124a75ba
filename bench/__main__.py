"""`make bench`: one table, all figures from one run on one machine.

Throughputs are medians of rounds in which the server measured and the bare one take turns, so that a
change of the machine's speed meets both; the ratio is the median of the ratios of each round.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import httpx

from bench import fleet
from bench.memory import memory_mb
from tests.support.service import ArmClient, ServiceProcess

ROUNDS = 5
SECONDS = 2.0
CONNECTIONS = 8
REPEATS = 30
PEER_PYTHON = Path(".bench-venv/bin/python")
EKS_AUTHORIZATION = (
    "Authorization: AWS4-HMAC-SHA256 Credential=bench/20260101/us-east-1/eks/aws4_request, "
    "SignedHeaders=host, Signature=0"
)


def main() -> int:
    if not PEER_PYTHON.exists():
        print("run `make bench`: it installs the peer first", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="poolwright-bench-") as scratch:
        rows = list(_measure(Path(scratch)))
    print(f"\n{_machine()}\n")
    width = max(len(name) for name, _, _ in rows)
    print(f"| {'what':<{width}} | figure          | to bare Starlette |")
    print(f"| {'-' * width} | --------------- | ----------------- |")
    for name, figure, ratio in rows:
        print(f"| {name:<{width}} | {figure:<15} | {ratio:<17} |")
    return 0


def _measure(scratch: Path) -> Iterator[tuple[str, str, str]]:
    starts, idle = _starts(scratch)
    yield "process start to ready (median of 5)", f"{starts:.2f} s", ""
    yield "memory, idle, one second after ready", f"{idle:.0f} MB", ""
    service = ServiceProcess(scratch / "data").start()
    try:
        yield from _served(service, scratch)
    finally:
        service.stop()
    yield from fleet.rows(scratch)


def _starts(scratch: Path) -> tuple[float, float]:
    seconds, idle = [], []
    for _ in range(5):
        process = ServiceProcess(scratch / "start")
        started = time.perf_counter()
        process.start()
        seconds.append(time.perf_counter() - started)
        threading.Event().wait(1)
        idle.append(memory_mb(process.pid))
        process.stop()
    return statistics.median(seconds), statistics.median(idle)


def _served(service: ServiceProcess, scratch: Path) -> Iterator[tuple[str, str, str]]:
    client = service.client
    client.make_cluster()
    pool = f"{service.url}{client.pool('sys')}?api-version=2026-06-01"
    authorization = f"Authorization: {client.headers['Authorization']}"
    body = scratch / "constant.json"
    body.write_bytes(client.get(client.pool("sys")).content)
    tls = service.data_dir / "tls"
    bare_command = [sys.executable, "-m", "bench.bare", str(tls / "server.pem"), str(tls / "server-key.pem"), str(body)]
    with _server(bare_command) as bare, _server([str(PEER_PYTHON), "-m", "bench.peer"]) as peer:
        bare_rates = []
        for stored in (1, 100, 1000):
            _store_pools(client, stored)
            rates, limits = _in_turn(service, bare, pool, authorization)
            bare_rates += limits
            yield f"GET of a node pool, {stored} stored", _rate(rates), _ratio(rates, limits)
        yield "bare Starlette, constant of the same size", _rate(bare_rates), "1"
        listed = f"{service.url}{client.cluster('bench0')}/agentPools?api-version=2026-06-01"
        rates, limits = _in_turn(service, bare, listed, authorization)
        yield "list of 100 node pools", _rate(rates), _ratio(rates, limits)
        skus = f"{service.url}{client.subscription}/providers/Microsoft.Compute/skus?api-version=2019-04-01"
        rates, limits = _in_turn(service, bare, skus, authorization, "Accept-Encoding: gzip")
        yield "skus of two locations, compressed", _rate(rates), _ratio(rates, limits)
        yield "skus of two locations, one request", f"{_sku_milliseconds(client):.1f} ms", ""
        rates = [_load(peer, "-", EKS_AUTHORIZATION) for _ in range(ROUNDS)]
        yield (
            "moto EKS describe_nodegroup (plain HTTP; it closes each connection)",
            _rate(rates),
            f"{_median(rates) / _median(bare_rates):.3f}",
        )
    accepted, succeeded = _put_milliseconds(client)
    yield "PUT of a node pool to accepted", f"{accepted:.1f} ms", ""
    yield "PUT of a node pool to Succeeded", f"{succeeded:.1f} ms", ""
    yield "PUT of 1 000 machines to Succeeded", f"{_thousand_machines(client):.2f} s", ""
    for count, pools in ((10, 1), (100, 1), (1000, 1), (100, 5)):
        what = f"{count:,} machines" if pools == 1 else f"{pools} node pools of {count} machines at once"
        spent = _median([_roll_milliseconds(client, count, pools) for _ in range(3)])
        yield f"Generation 1 to 2 in place, maxSurge 33 %, {what}", f"{spent:.2f} ms a machine", ""
    yield "memory after all this", f"{memory_mb(service.pid):.0f} MB", ""


def _store_pools(client: ArmClient, wanted: int) -> None:
    """Bring the number of stored node pools to what is wanted, 100 in a cluster, one PUT each cluster."""
    if wanted == 1:
        return
    for index in range(wanted // 100):
        cluster = f"bench{index}"
        if client.get(client.cluster(cluster)).status_code == 200:
            continue
        profiles = [{"name": "sys", "mode": "System", "count": 1}]
        profiles += [{"name": f"p{number}", "mode": "User", "count": 1} for number in range(99)]
        document = {"location": "eastus", "properties": {"agentPoolProfiles": profiles}}
        client.done(client.put(client.cluster(cluster), json=document))


def _in_turn(service: ServiceProcess, bare: str, url: str, *headers: str) -> tuple[list[float], list[float]]:
    rates, limits = [], []
    for _ in range(ROUNDS):
        rates.append(_load(url, str(service.ca), *headers))
        limits.append(_load(bare, str(service.ca)))
    return rates, limits


def _load(url: str, ca: str, *headers: str) -> float:
    command = [sys.executable, "-m", "bench.load", url, ca, str(SECONDS), str(CONNECTIONS), *headers]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    if result["not_200"] or not result["requests"]:
        raise RuntimeError(f"{url}: {result}")
    return float(result["requests"] / result["seconds"])


def _put_milliseconds(client: ArmClient) -> tuple[float, float]:
    accepted, succeeded = [], []
    for number in range(REPEATS):
        started = time.perf_counter()
        reply = client.put(client.pool(f"put{number}"), json={"properties": {"count": 1}})
        accepted.append(1000 * (time.perf_counter() - started))
        url = reply.headers["Azure-AsyncOperation"]
        while client.get(url).json()["status"] == "InProgress":
            pass
        succeeded.append(1000 * (time.perf_counter() - started))
    return _median(accepted), _median(succeeded)


def _thousand_machines(client: ArmClient) -> float:
    times = []
    for number in range(3):
        started = time.perf_counter()
        client.done(client.put(client.pool(f"big{number}"), json={"properties": {"count": 1000}}))
        times.append(time.perf_counter() - started)
    return _median(times)


def _roll_milliseconds(client: ArmClient, count: int, pools: int = 1) -> float:
    """The service's time per machine to take node pools from Generation 1 to Generation 2 with maxSurge 33 %.

    From the first request to the last `endTime`: how often the client looks is not the service's time.
    """
    paths = [client.pool(f"r{count}x{number}") for number in range(pools)]
    body = {"vmSize": "Standard_D2_v3", "count": count, "upgradeSettings": {"maxSurge": "33%"}}
    for path in paths:
        client.done(client.put(path, json={"properties": body}))
    started = time.time()
    replies = [client.put(path, json={"properties": {"vmSize": "Standard_D2s_v3"}}) for path in paths]
    ended = max(datetime.fromisoformat(client.done(reply)["endTime"]).timestamp() for reply in replies)
    for path in paths:
        assert client.get(path).json()["properties"]["poolwright"]["observedGenerations"]["V2"] == count
        client.done(client.delete(path))
    return 1000 * (ended - started) / (count * pools)


def _sku_milliseconds(client: ArmClient) -> float:
    url = f"{client.subscription}/providers/Microsoft.Compute/skus"
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        with client.stream("GET", url, headers={"Accept-Encoding": "gzip"}) as reply:
            for _chunk in reply.iter_raw():
                pass
        times.append(1000 * (time.perf_counter() - started))
        if reply.status_code != httpx.codes.OK:
            raise RuntimeError(f"skus answered {reply.status_code}")
    return _median(times)


@contextmanager
def _server(command: list[str]) -> Iterator[str]:
    """Start a server, yield the URL of its ready line, and end it."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith("ready "):
                yield line.split()[1]
                break
        else:
            raise RuntimeError(f"{command} did not become ready")
    finally:
        process.kill()
        process.wait()


def _median(values: list[float]) -> float:
    return statistics.median(values)


def _rate(rates: list[float]) -> str:
    return f"{_median(rates):,.0f} req/s"


def _ratio(rates: list[float], limits: list[float]) -> str:
    return f"{_median([rate / limit for rate, limit in zip(rates, limits, strict=True)]):.2f}"


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), platform.machine())
    return (
        f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}; "
        f"{CONNECTIONS} keep-alive connections, one worker, TLS; median of {ROUNDS} rounds of {SECONDS:g} s"
    )


if __name__ == "__main__":
    sys.exit(main())
