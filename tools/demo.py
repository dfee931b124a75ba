"""Walks the page "Use Generation 2 virtual machines in AKS" with the real az on a service of its own.

The transcript explains itself to somebody who sees Poolwright for the first time. The service is
started on a free port with its data in a temporary directory, and both are gone at the end. The machines are
simulated, or real ones on this host where POOLWRIGHT_ENGINE is `local` (`make demo ENGINE=local`).

Exit code 0 when every step did what it should, 1 when one did not, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from poolwright.az import AzError
from poolwright.az.configuration import EXTENSION, Service, environment, prepare
from poolwright.az.installation import ensure_az

WIDTH = 110
V1_ONLY, BOTH, ALSO_BOTH, V2_ONLY = "Standard_D2_v3", "Standard_D2s_v5", "Standard_D4s_v5", "Standard_D4ads_v6"
POOL = "--resource-group myResourceGroup --cluster-name myAKSCluster"

INTRODUCTION = """\
This walks the page "Use Generation 2 virtual machines in Azure Kubernetes Service (AKS)", command by command. \
Everything below is the real Azure CLI (az) talking to a Poolwright service on this computer as if it were Azure: no \
account, no cost, and {machines}. A line with "..." stands for lines of az's output that are left out here."""

MACHINES = {
    "simulated": "the virtual machines are simulated",
    "local": "the virtual machines are real: QEMU boots each one with BIOS or UEFI, and its firmware says which. They "
    "boot Poolwright's own small Linux, which stands in for AKS's node images, for Windows too",
}
# What the machines say they are comes from here.
WITNESSES = {"simulated": "simulated", "local": "guest-agent"}
ENGINE = os.environ.get("POOLWRIGHT_ENGINE", "simulated")
# The most machines there are at once is eleven.
LOCAL_SETTINGS = {
    "POOLWRIGHT_ENGINE": "local",
    "POOLWRIGHT_WINDOWS_STAND_IN": "true",
    "POOLWRIGHT_LOCAL_MEMORY_MIB": "256",
}

UPDATES = """\
This is what AKS itself does not do: one update, and the machines of the node pool are replaced wave by wave, new ones \
first. A new machine counts only when it is ready and shows the generation that was chosen; then an old one goes. The \
commands are the page's own, as printed there."""


@dataclass(frozen=True)
class Step:
    """One az command, what az must print for it, and what that shows.

    With `keys`, only these lines of the printed JSON go into the transcript.
    """

    command: str
    expected: Sequence[str]
    shows: str
    keys: Sequence[str] = ()
    exit_code: int = 0


@dataclass(frozen=True)
class Section:
    """A heading, where possible one of the page's, what it is about, and its steps."""

    title: str
    text: str
    steps: Sequence[Step]


SECTIONS = (
    Section(
        "A resource group and a cluster",
        "The page takes a cluster for granted, so there has to be one first.",
        (
            Step(
                "group create --name myResourceGroup --location eastus --output table",
                ("myResourceGroup",),
                "The service answers as Azure Resource Manager does.",
            ),
            Step(
                "aks create --resource-group myResourceGroup --name myAKSCluster --no-ssh-key --node-count 1 "
                "--query provisioningState --output tsv",
                ("Succeeded",),
                "A cluster with one node pool for its system; az waited until it was ready.",
            ),
        ),
    ),
    Section(
        "Check available Generation 2 VM sizes",
        "A VM size offers Generation 1 (started by a BIOS), Generation 2 (started by UEFI), or both. Here is one of "
        "each kind.",
        (
            *(
                Step(
                    f"vm list-skus --location eastus --size {size} --output table",
                    (size, "None"),
                    f"{size} is offered, without restrictions.",
                )
                for size in (V1_ONLY, BOTH, V2_ONLY)
            ),
            Step(
                "vm list-skus --location eastus "
                f"--query \"[?contains(['{V1_ONLY}', '{BOTH}', '{V2_ONLY}'], name)].{{Size: name,\n"
                "        Generations: capabilities[?name=='HyperVGenerations'] | [0].value}\" --output table",
                (f"{V1_ONLY} +V1\n", f"{BOTH} +V1,V2\n", f"{V2_ONLY} +V2\n"),
                "az's own table has no column for generations; they are in the capability HyperVGenerations.",
            ),
        ),
    ),
    Section(
        "Default behavior for supported vm sizes",
        "Linux takes Generation 2 wherever the size offers it. The node image tells which one it is: gen2 in its name "
        "means Generation 2.",
        tuple(
            Step(
                f"aks nodepool add {POOL} --name {name} --vm-size {size} --os-type Linux --node-count 1 "
                "--query nodeImageVersion --output tsv",
                (image,),
                shows,
            )
            for name, size, image, shows in (
                ("lin1", V1_ONLY, r"AKSUbuntu-\d+containerd", "The size offers Generation 1 only: no gen2."),
                ("lin2", BOTH, r"AKSUbuntu-\d+gen2containerd", "The size offers both: Linux takes Generation 2."),
                ("lin3", V2_ONLY, r"AKSUbuntu-\d+gen2containerd", "The size offers Generation 2 only."),
            )
        ),
    ),
    Section(
        "Create a node pool with a Generation 2 VM: Windows node pool",
        "Windows Server 2022 takes Generation 1 unless it is asked for Generation 2, and the only way AKS gives is a "
        "header of the request.",
        (
            Step(
                f"aks nodepool add {POOL} --name win1 --vm-size {BOTH} --os-type Windows --os-sku Windows2022",
                (r'"nodeImageVersion": "AKSWindows-2022-containerd-\d',),
                "The same size as before, but without the header Windows gets Generation 1.",
                ("name", "nodeImageVersion", "osSku", "vmSize"),
            ),
            Step(
                f"aks nodepool add {POOL} --name win2 --vm-size {BOTH} --os-type Windows --os-sku Windows2022 "
                "--aks-custom-headers UseWindowsGen2VM=true",
                (r'"nodeImageVersion": "AKSWindows-2022-containerd-gen2-\d',),
                "With the header, exactly as the page prints it: Generation 2.",
                ("name", "nodeImageVersion", "osSku", "vmSize"),
            ),
        ),
    ),
    Section(
        "Check if you're using a Generation 2 node image",
        "The page looks for gen2 in nodeImageVersion. Poolwright also says which generation was asked for, which was "
        "chosen by which rule, and which one the machines really started with.",
        (
            Step(
                f"aks nodepool show {POOL} --name win2",
                (
                    "gen2",
                    f'"observedBy": "{WITNESSES[ENGINE]}"',
                    '"requestedBy": "header"',
                    '"resolvedGeneration": "V2"',
                ),
                "gen2 is there; Generation 2 was asked for by the header, chosen, and seen on all three machines.",
                (
                    "name",
                    "nodeImageVersion",
                    "poolwright",
                    "observedGenerations",
                    "V1",
                    "V2",
                    "requestedBy",
                    "requestedGeneration",
                    "resolvedGeneration",
                ),
            ),
            Step(
                f"aks nodepool show {POOL} --name win2 --query poolwright.rule",
                ('"id": "gen2-header"',),
                "The rule that decided, with its source.",
            ),
            Step(
                f"aks nodepool show {POOL} --name win1 --query poolwright.rule",
                (r'"id": "\S+"',),
                "And the one that decided for the pool without the header.",
            ),
            Step(
                f'aks nodepool list {POOL} --query "[].{{Name: name, VmSize: vmSize,\n'
                '        NodeImageVersion: nodeImageVersion, Generation: poolwright.resolvedGeneration}" '
                "--output table",
                ("lin1 .* V1\n", "lin2 .* V2\n", "lin3 .* V2\n", "win1 .* V1\n", "win2 .* V2\n"),
                "All node pools together. Without --query, the table has these columns too, beside az's own.",
            ),
        ),
    ),
    Section(
        "Update an existing node pool to use a Generation 2 VM",
        UPDATES,
        (
            Step(
                f"aks nodepool update {POOL} --name lin1 --vm-size {BOTH} --os-type Linux",
                (r'"nodeImageVersion": "AKSUbuntu-\d+gen2containerd', rf'"vmSize": "{BOTH}"'),
                "The Linux update: the size changed, and with it the node image from Generation 1 to Generation 2.",
                ("name", "nodeImageVersion", "vmSize"),
            ),
            Step(
                f"aks nodepool update {POOL} --name win1 --vm-size {ALSO_BOTH} --os-type Windows "
                "--os-sku Windows2022 --aks-custom-headers UseWindowsGen2VM=true",
                (r'"nodeImageVersion": "AKSWindows-2022-containerd-gen2-\d', rf'"vmSize": "{ALSO_BOTH}"'),
                "The Windows update, with the header: Generation 2.",
                ("name", "nodeImageVersion", "vmSize"),
            ),
            Step(
                f"aks nodepool show {POOL} --name win1",
                ("gen2", '"V1": 0', '"V2": 3', '"resolvedGeneration": "V2"'),
                "All three machines were replaced, and each of them showed Generation 2 before an old one went.",
                ("name", "nodeImageVersion", "poolwright", "observedGenerations", "V1", "V2", "resolvedGeneration"),
            ),
        ),
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(description="Walk the page on VM generations with the real az.")
    parser.add_argument("--keep", action="store_true", help="leave the service running and say how to reach it")
    keep = parser.parse_args().keep
    if ENGINE not in MACHINES:
        parser.error(f"POOLWRIGHT_ENGINE is one of {', '.join(MACHINES)}, not '{ENGINE}'")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        az = ensure_az()
        with running_service(keep) as data_dir:
            return walk(az, data_dir, keep)
    except KeyboardInterrupt:
        print("\nInterrupted; the service and its data are gone.", file=sys.stderr)
        return 130
    except AzError as error:
        print(error, file=sys.stderr)
        return 1


def walk(az: Path, data_dir: Path, keep: bool) -> int:
    """Run all steps and print the transcript; returns the exit code."""
    service = service_of(data_dir)
    prepare(az, data_dir, service)
    environ = environment(data_dir, service)
    started = time.monotonic()
    results = []
    print_wrapped(INTRODUCTION.format(machines=MACHINES[ENGINE]))
    for section in SECTIONS:
        print(f"\n{section.title}\n{'=' * len(section.title)}")
        print_wrapped(section.text)
        for step in section.steps:
            results.append(run(step, az, environ))
    wrong = results.count(False)
    what = f"{wrong} of {len(results)} steps went wrong" if wrong else f"All {len(results)} steps did what they should"
    print(f"\n{what}, in {time.monotonic() - started:.0f} s.")
    if keep:
        say_how_to_reach(data_dir, service)
    return 1 if wrong else 0


def run(step: Step, az: Path, environ: Mapping[str, str]) -> bool:
    """Print the command, its output and what it shows; True when it did what it should."""
    print(f"\n$ {typed(step.command)}", flush=True)
    outcome = subprocess.run(
        [str(az), *shlex.split(step.command)], env=environ, capture_output=True, text=True, check=False
    )
    # az says with each command of the extension that it was altered by one.
    said = "".join(line for line in outcome.stderr.splitlines(keepends=True) if EXTENSION not in line)
    printed = outcome.stdout + said.expandtabs(4)
    for line in excerpt(printed, step.keys) if outcome.returncode == 0 else printed.splitlines():
        print_wrapped(line)
    wrong = [f"not printed: {expected}" for expected in step.expected if re.search(expected, printed) is None]
    if outcome.returncode != step.exit_code:
        wrong.append(f"az ended with {outcome.returncode} instead of {step.exit_code}")
    if wrong:
        print_wrapped(f"--> WRONG: {'; '.join(wrong)}")
        return False
    print_wrapped(f"--> {step.shows}")
    return True


def typed(command: str) -> str:
    """The command as it can be typed, continued on further lines where it is long."""
    lines = ["az"]
    for part in re.split(r" (?=--)", command):
        if len(lines[-1]) + len(part.partition("\n")[0]) > WIDTH - 6:
            lines.append("   ")
        lines[-1] += f" {part}"
    return " \\\n".join(lines)


def excerpt(printed: str, keys: Sequence[str]) -> Iterator[str]:
    """The printed lines of the given JSON keys, with "..." for each gap; without keys, all lines."""
    gap = False
    for line in printed.splitlines():
        key = re.match(r' *"(\w+)":', line)
        if keys and line not in "{}" and (key is None or key[1] not in keys):
            gap = True
            continue
        if gap:
            yield "  ..."
        gap = False
        yield line


def print_wrapped(text: str) -> None:
    """Print a line as it is where it fits, otherwise continued with a deeper indentation."""
    following = " " * (len(text) - len(text.lstrip())) + ("    " if text.startswith((" ", "-->")) else "")
    if len(text) > WIDTH:
        text = textwrap.fill(text, WIDTH, subsequent_indent=following, break_on_hyphens=False)
    print(text, flush=True)


def service_of(data_dir: Path) -> Service:
    """The service that runs on the data directory, and who logs in to it."""
    credentials = json.loads((data_dir / "credentials.json").read_text())
    endpoint = json.loads((data_dir / "endpoint.json").read_text())
    return Service(
        base_url=endpoint["url"],
        ca_file=data_dir / "tls" / "ca.pem",
        tenant_id=credentials["tenantId"],
        client_id=credentials["clientId"],
        client_secret=credentials["clientSecret"],
    )


@contextmanager
def running_service(keep: bool) -> Iterator[Path]:
    """The data directory of a service that is ready, and that is gone afterwards unless it is kept."""
    data_dir = Path(tempfile.mkdtemp(prefix="poolwright-demo-"))
    environ = {name: value for name, value in os.environ.items() if not name.startswith("POOLWRIGHT_")}
    environ |= {"POOLWRIGHT_PORT": "0", "POOLWRIGHT_DATA_DIR": str(data_dir)}
    if ENGINE == "local":
        environ |= LOCAL_SETTINGS
    log = data_dir / "service.log"
    with log.open("w") as stderr:
        service = subprocess.Popen(
            [sys.executable, "-m", "poolwright.cli.main", "up"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,  # Ctrl-C is for the demo, which then ends the service
        )
    completed = False
    try:
        assert service.stdout is not None
        with service.stdout as stdout:
            is_ready = stdout.readline().startswith("ready ")
        if not is_ready:
            sys.exit(f"The service did not start:\n{log.read_text()}")
        yield data_dir
        completed = True
    finally:
        if not (keep and completed):
            if ENGINE == "local":
                # Real machines outlive the service.
                remove = [sys.executable, "-m", "poolwright.cli.main", "reset", "--yes"]
                subprocess.run(remove, env=environ, check=False, stdout=subprocess.DEVNULL)
            service.terminate()
            service.wait()
            shutil.rmtree(data_dir)
            if ENGINE == "local":
                subprocess.run([sys.executable, "-m", "poolwright.cli.main", "host", "clean"], env=environ, check=False)


def say_how_to_reach(data_dir: Path, service: Service) -> None:
    poolwright = os.path.relpath(Path(sys.executable).with_name("poolwright"))
    pid = json.loads((data_dir / "endpoint.json").read_text())["pid"]
    print(
        f"\nThe service goes on at {service.base_url}. In a shell:\n"
        f"  export POOLWRIGHT_DATA_DIR={data_dir}\n"
        f"  {poolwright} az aks nodepool list {POOL} --output table\n"
        f"Stop it and remove its data:\n"
        f"  kill {pid}; rm -r {data_dir}"
    )


if __name__ == "__main__":
    sys.exit(main())
