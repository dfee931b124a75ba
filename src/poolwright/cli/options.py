"""The options that several commands share, spelled as az spells them.

az takes several values after one option (`--labels a=b c=d`); `AzStyleCommand` does so too.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, get_type_hints

import typer
from typer.core import TyperCommand

from poolwright.cli.output import Json, Output

DEFAULT_COUNT: Final = 3  # az's
SINCE_HELP: Final = "From when: 30s, 5m, 6h, 7d ago, or a time such as 2026-01-31T12:00:00Z."
_AGO: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


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


class UndrainableNodeBehavior(StrEnum):
    SCHEDULE = "Schedule"
    CORDON = "Cordon"


class ScaleDownMode(StrEnum):
    DELETE = "Delete"
    DEALLOCATE = "Deallocate"


def in_any_case(kind: type[StrEnum], *, shown: str | None = None) -> dict[str, Any]:
    """Return what makes an option take the values of an enumeration in any case, and show them as documented.

    typer's own `case_sensitive=False` shows them in lower case.
    """
    values = {choice.value.lower(): choice for choice in kind}

    def read(text: str) -> StrEnum:
        if text.lower() not in values:
            raise typer.BadParameter(f"'{text}' is not one of {', '.join(repr(value.value) for value in kind)}.")
        return values[text.lower()]

    def complete(incomplete: str) -> list[str]:
        return [value.value for value in kind if value.lower().startswith(incomplete.lower())]

    return {"parser": read, "autocompletion": complete, "metavar": shown or "|".join(kind)}


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
LocalCredentials = Annotated[
    bool | None,
    typer.Option(
        "--local-credentials/--no-local-credentials",
        help="Whether the data directory holds the secrets of owners; else POOLWRIGHT_LOCAL_CREDENTIALS.",
    ),
]
OutputForm = Annotated[
    Output,
    typer.Option(
        "--output",
        "-o",
        help="json prints the wire's JSON on stdout and nothing else; a refusal is its error JSON.",
        **in_any_case(Output),
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
OsTypeOption = Annotated[OsType | None, typer.Option("--os-type", help="OS type.", **in_any_case(OsType))]
OsSku = Annotated[
    str | None,
    typer.Option("--os-sku", help="OS SKU, for example Ubuntu, AzureLinux, Windows2022."),
]
KubernetesVersion = Annotated[str | None, typer.Option("--kubernetes-version", "-k", help="1.33 or 1.33.2.")]
ModeOption = Annotated[Mode | None, typer.Option("--mode", help="What the node pool is for.", **in_any_case(Mode))]
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
        help="Ask for a VM generation (properties.vmGeneration, Poolwright's own).",
        **in_any_case(VmGeneration),
    ),
]
Vpmem = Annotated[
    int | None,
    typer.Option(
        "--vpmem-mib",
        min=0,
        help="Persistent memory (vPMEM) of each machine in MiB, 0 for none (properties.vpmemMiB, Poolwright's own).",
    ),
]
WorkloadRuntimeOption = Annotated[
    WorkloadRuntime | None,
    typer.Option(
        "--workload-runtime",
        help="OCIContainer, WasmWasi, KataVmIsolation or KataMshvVmIsolation.",
        **in_any_case(WorkloadRuntime, shown="NAME"),
    ),
]
GpuDriverOption = Annotated[
    GpuDriver | None, typer.Option("--gpu-driver", help="GPU driver.", **in_any_case(GpuDriver))
]
MaxSurge = Annotated[
    str | None, typer.Option("--max-surge", metavar="N|N%", help="Machines beyond the count while replacing: 1 or 33%.")
]
MaxUnavailable = Annotated[
    str | None,
    typer.Option("--max-unavailable", metavar="N|N%", help="Machines that may be missing while replacing: 1 or 5%."),
]
DrainTimeout = Annotated[
    int | None, typer.Option("--drain-timeout", min=1, max=1440, help="Minutes that pods have to leave a node.")
]
NodeSoak = Annotated[
    int | None, typer.Option("--node-soak-duration", min=0, max=30, help="Minutes to wait after each drained node.")
]
UndrainableOption = Annotated[
    UndrainableNodeBehavior | None,
    typer.Option(
        "--undrainable-node-behavior",
        help="When pods do not leave in time: stop and take pods again, or leave the node cordoned and go on.",
        **in_any_case(UndrainableNodeBehavior),
    ),
]
Autoscaler = Annotated[
    bool | None,
    typer.Option("--enable-cluster-autoscaler/--disable-cluster-autoscaler", "-e/-d", help="Cluster autoscaler."),
]
UpdateAutoscaler = Annotated[
    bool, typer.Option("--update-cluster-autoscaler", "-u", help="Change the bounds of the autoscaler that is on.")
]
MinCount = Annotated[int | None, typer.Option("--min-count", help="Fewest machines of the autoscaler.")]
MaxCount = Annotated[int | None, typer.Option("--max-count", help="Most machines of the autoscaler.")]
ScaleDownOption = Annotated[
    ScaleDownMode | None,
    typer.Option(
        "--scale-down-mode",
        help="What becomes of machines that scaling down takes away.",
        **in_any_case(ScaleDownMode),
    ),
]
CustomHeaders = Annotated[
    str | None,
    typer.Option("--aks-custom-headers", help="Headers of the PUT: UseWindowsGen2VM=true,B=c."),
]
IfMatch = Annotated[str | None, typer.Option("--if-match", help="Only if the resource has this ETag.")]
IfNoneMatch = Annotated[str | None, typer.Option("--if-none-match", help="'*': only if it does not exist.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return when the request is accepted.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
# az's scripts pass it where az asks and this command does not.
NothingAsked = Annotated[bool, typer.Option("--yes", "-y", hidden=True)]
NodeImageOnly = Annotated[bool, typer.Option("--node-image-only", help="Only the newest node image.")]
MachineNames = Annotated[list[str], typer.Option("--machine-names", help="Machines: name name.")]


@dataclass(frozen=True, kw_only=True)
class RolloutOptions:
    """How machines are replaced."""

    max_surge: MaxSurge = None
    max_unavailable: MaxUnavailable = None
    drain_timeout: DrainTimeout = None
    node_soak_duration: NodeSoak = None
    undrainable_node_behavior: UndrainableOption = None

    def asked(self) -> Json:
        """Return the properties that were given, by their ARM name; None where not given."""
        return {
            "maxSurge": self.max_surge,
            "maxUnavailable": self.max_unavailable,
            "drainTimeoutInMinutes": self.drain_timeout,
            "nodeSoakDurationInMinutes": self.node_soak_duration,
            "undrainableNodeBehavior": value_of(self.undrainable_node_behavior),
        }


@dataclass(frozen=True, kw_only=True)
class ChangeOptions(RolloutOptions):
    """What `update` takes. The OS type never changes; az's page of Generation 2 sends it all the same."""

    vm_size: Size = None
    os_type: OsTypeOption = None
    os_sku: OsSku = None
    mode: ModeOption = None
    labels: Labels = None
    node_taints: Taints = None
    tags: Tags = None
    fips: Fips = None
    vtpm: Vtpm = None
    secure_boot: SecureBoot = None
    vm_generation: VmGenerationOption = None
    vpmem_mib: Vpmem = None
    autoscaler: Autoscaler = None
    min_count: MinCount = None
    max_count: MaxCount = None
    scale_down_mode: ScaleDownOption = None
    aks_custom_headers: CustomHeaders = None

    def asked(self) -> Json:
        return super().asked() | {
            "vmSize": self.vm_size,
            "osType": value_of(self.os_type),
            "osSKU": self.os_sku,
            "mode": value_of(self.mode),
            "nodeLabels": pairs(self.labels, "--labels"),
            "nodeTaints": listed(self.node_taints),
            "tags": pairs(self.tags, "--tags"),
            "enableFIPS": self.fips,
            "enableVTPM": self.vtpm,
            "enableSecureBoot": self.secure_boot,
            "vmGeneration": value_of(self.vm_generation),
            "vpmemMiB": self.vpmem_mib,
            "enableAutoScaling": self.autoscaler,
            "minCount": self.min_count,
            "maxCount": self.max_count,
            "scaleDownMode": value_of(self.scale_down_mode),
        }

    def headers(self) -> dict[str, str]:
        return custom_headers(self.aks_custom_headers)


@dataclass(frozen=True, kw_only=True)
class PoolOptions(ChangeOptions):
    """Everything of a node pool."""

    node_count: Count = None
    kubernetes_version: KubernetesVersion = None
    zones: Zones = None
    workload_runtime: WorkloadRuntimeOption = None
    gpu_driver: GpuDriverOption = None

    def asked(self) -> Json:
        return super().asked() | {
            "count": self.node_count,
            "orchestratorVersion": self.kubernetes_version,
            "availabilityZones": self.zones,
            "workloadRuntime": value_of(self.workload_runtime),
            "driver": value_of(self.gpu_driver),
        }


@dataclass(frozen=True, kw_only=True)
class NewPoolOptions(PoolOptions):
    """What `add` takes, with az's defaults."""

    node_count: Count = DEFAULT_COUNT
    os_type: OsTypeOption = OsType.LINUX
    mode: ModeOption = Mode.USER


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with the fields of each dataclass it takes as options of their own."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, type[Any]] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        kind = hints[parameter.name]
        if not (isinstance(kind, type) and is_dataclass(kind)):
            parameters.append(parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        groups[parameter.name] = kind
        of_fields = get_type_hints(kind, include_extras=True)
        parameters += [
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=of_fields[field.name]
            )
            for field in fields(kind)
        ]

    @functools.wraps(command)
    def gathered(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
        command(**given)

    gathered.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
    gathered.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return gathered


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


def moment(text: str) -> datetime:
    """Return the time that --since names, in UTC where it names no zone: so long ago, or ISO 8601."""
    ago = _AGO.fullmatch(text)
    try:
        if ago is not None:
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: float(ago[1])})
        parsed = datetime.fromisoformat(text)
        return (parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(
            f"'{text}' is neither 30s, 5m, 6h, 7d nor a time such as 2026-01-31T12:00:00Z", param_hint="--since"
        ) from error


def value_of(choice: Enum | None) -> str | None:
    """Return the spelling of a choice; None when it was not made."""
    return None if choice is None else str(choice.value)
