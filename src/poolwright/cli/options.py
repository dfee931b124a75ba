"""The options that several commands share, spelled as az spells them.

az takes several values after one option (`--labels a=b c=d`); `AzStyleCommand` does so too.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand

from poolwright.cli.output import Output

E = TypeVar("E", bound=Enum)


class OsType(StrEnum):
    LINUX = "Linux"
    WINDOWS = "Windows"


class Mode(StrEnum):
    SYSTEM = "System"
    USER = "User"


class VmGeneration(StrEnum):
    V1 = "V1"
    V2 = "V2"


class WorkloadRuntime(StrEnum):
    OCI_CONTAINER = "OCIContainer"
    WASM_WASI = "WasmWasi"
    KATA_VM_ISOLATION = "KataVmIsolation"
    KATA_MSHV_VM_ISOLATION = "KataMshvVmIsolation"


class GpuDriver(StrEnum):
    INSTALL = "Install"
    NONE = "None"


DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Data directory of the service; else POOLWRIGHT_ENDPOINT with the AZURE_ variables of "
        "`poolwright env`, else POOLWRIGHT_DATA_DIR, else ~/.local/share/poolwright.",
    ),
]
OwnDataDir = Annotated[
    Path | None, typer.Option(help="Data directory; else POOLWRIGHT_DATA_DIR, else ~/.local/share/poolwright.")
]
OutputForm = Annotated[
    Output,
    typer.Option(
        "--output",
        "-o",
        case_sensitive=False,
        help="json prints the wire's JSON on stdout and nothing else; a refusal is its error JSON.",
    ),
]
Group = Annotated[str, typer.Option("--resource-group", "-g", help="Resource group.")]
AnyGroup = Annotated[str | None, typer.Option("--resource-group", "-g", help="Only this resource group.")]
GroupName = Annotated[str, typer.Option("--name", "--resource-group", "-n", "-g", help="Resource group.")]
ClusterName = Annotated[str, typer.Option("--cluster-name", help="Cluster.")]
OwnClusterName = Annotated[str, typer.Option("--name", "-n", help="Cluster.")]
PoolName = Annotated[str, typer.Option("--name", "--nodepool-name", "-n", help="Node pool.")]
PoolOfMachines = Annotated[str, typer.Option("--nodepool-name", help="Node pool.")]
MachineName = Annotated[str, typer.Option("--machine-name", "--name", "-n", help="Machine.")]
Location = Annotated[str, typer.Option("--location", "-l", help="Location.")]
AnyLocation = Annotated[str | None, typer.Option("--location", "-l", help="Location.")]
Size = Annotated[str | None, typer.Option("--node-vm-size", "--vm-size", "-s", help="VM size of the machines.")]
Count = Annotated[int | None, typer.Option("--node-count", "-c", help="How many machines.")]
OsTypeOption = Annotated[
    OsType | None, typer.Option("--os-type", case_sensitive=False, metavar="Linux|Windows", help="OS type.")
]
OsSku = Annotated[
    str | None,
    typer.Option("--os-sku", help="OS SKU, for example Ubuntu, AzureLinux, Windows2022."),
]
KubernetesVersion = Annotated[str | None, typer.Option("--kubernetes-version", "-k", help="1.33 or 1.33.2.")]
ModeOption = Annotated[
    Mode | None, typer.Option("--mode", case_sensitive=False, metavar="System|User", help="What the node pool is for.")
]
Labels = Annotated[list[str] | None, typer.Option("--labels", help="Labels of the nodes: a=b c=d.")]
Taints = Annotated[
    str | None,
    typer.Option("--node-taints", help="Taints, separated by commas: k=v:NoSchedule,..."),
]
Zones = Annotated[list[str] | None, typer.Option("--zones", "-z", help="Availability zones: 1 2 3.")]
Tags = Annotated[list[str] | None, typer.Option("--tags", help="Tags: a=b c=d.")]
Fips = Annotated[bool | None, typer.Option("--enable-fips-image/--disable-fips-image", help="FIPS image.")]
Vtpm = Annotated[bool | None, typer.Option("--enable-vtpm/--disable-vtpm", help="vTPM.")]
SecureBoot = Annotated[bool | None, typer.Option("--enable-secure-boot/--disable-secure-boot", help="Secure Boot.")]
VmGenerationOption = Annotated[
    VmGeneration | None,
    typer.Option(
        "--vm-generation",
        case_sensitive=False,
        metavar="V1|V2",
        help="Ask for a VM generation (properties.vmGeneration, Poolwright's own).",
    ),
]
WorkloadRuntimeOption = Annotated[
    WorkloadRuntime | None,
    typer.Option(
        "--workload-runtime",
        case_sensitive=False,
        metavar="NAME",
        help="OCIContainer, WasmWasi, KataVmIsolation or KataMshvVmIsolation.",
    ),
]
GpuDriverOption = Annotated[
    GpuDriver | None, typer.Option("--gpu-driver", case_sensitive=False, metavar="Install|None", help="GPU driver.")
]
CustomHeaders = Annotated[
    str | None,
    typer.Option("--aks-custom-headers", help="Headers of the PUT: UseWindowsGen2VM=true,B=c."),
]
IfMatch = Annotated[str | None, typer.Option("--if-match", help="Only if the resource has this ETag.")]
IfNoneMatch = Annotated[str | None, typer.Option("--if-none-match", help="'*': only if it does not exist.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return when the request is accepted.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


class AzStyleCommand(TyperCommand):
    """A command whose list options take every value up to the next option, as az's do."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        listing = {
            spelling
            for parameter in self.params
            if getattr(parameter, "multiple", False)
            for spelling in parameter.opts
        }
        return super().parse_args(ctx, _one_value_each(args, listing))


def _one_value_each(arguments: Sequence[str], listing: set[str]) -> list[str]:
    """`--labels a=b c=d` as `--labels a=b --labels c=d`."""
    spread: list[str] = []
    option: str | None = None
    for position, argument in enumerate(arguments):
        if argument.startswith("-") and argument != "-":
            option = argument if argument in listing else None
        elif option is not None and arguments[position - 1] != option:
            spread.append(option)
        spread.append(argument)
    return spread


def examples(*lines: str) -> str:
    """Return the end of a command's help: one example a line, never wrapped."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def pairs(texts: Sequence[str] | None, option: str) -> dict[str, str] | None:
    """Return `a=b` texts as a mapping; None when the option was not given, empty for one empty text."""
    if texts is None:
        return None
    given: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if text and not (name and equals):
            raise typer.BadParameter(f"'{text}' is not of the form key=value", param_hint=option)
        if text:
            given[name] = value
    return given


def listed(text: str | None) -> list[str] | None:
    """Return comma-separated values; None when not given."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def custom_headers(text: str | None) -> dict[str, str]:
    """Return the headers of `A=b,C=d`."""
    headers = pairs(listed(text), "--aks-custom-headers") or {}
    for name, value in headers.items():
        if not (name.isascii() and name.replace("-", "").isalnum() and value.isascii() and value.isprintable()):
            raise typer.BadParameter(f"'{name}={value}' cannot be an HTTP header", param_hint="--aks-custom-headers")
    return headers


def precondition_headers(if_match: str | None, if_none_match: str | None) -> dict[str, str]:
    """Return If-Match and If-None-Match as az sends them: an ETag in quotes, `*` without."""
    given = {"If-Match": if_match, "If-None-Match": if_none_match}
    bare = {name: value.strip('"') for name, value in given.items() if value is not None}
    return {name: value if value == "*" else f'"{value}"' for name, value in bare.items()}


def value_of(choice: Enum | None) -> str | None:
    """Return the spelling of a choice; None when it was not made."""
    return None if choice is None else str(choice.value)
