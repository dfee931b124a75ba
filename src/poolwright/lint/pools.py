"""Node pools as files ask for them, in the words of ARM, whoever wrote the file.

Each reader finds node pools and translates its tool's names; what they lead to is decided elsewhere, by the rules
behind the PUT.

Invariant: what a file does not tell is `Unknown` with the expression that stands there, or absent; never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from poolwright.lint.kinds import TEMPLATE, Kind
from poolwright.lint.texts import Place
from poolwright.reports.sarif import Level
from poolwright.templates.partial import Unknown

Json = dict[str, Any]
# A text is a value that the header cannot have.
Header = bool | str | Unknown | None


@dataclass(frozen=True, slots=True)
class Tool:
    """What deploys a file. `header` says how it sends UseWindowsGen2VM; where it cannot, `instead` what else to do.

    `tells` says how something unknown becomes known, `gives` how a parameter gets a value.
    """

    name: str
    tells: str
    header: str = ""
    instead: str = ""
    gives: str = ""
    source: str = ""


_WINDOWS_2025: Final = "choose OS SKU Windows2025 (with FIPS), which needs no header"

AZ: Final = Tool(
    "az",
    tells="assign it in the script before the command, or write it there",
    header="add --aks-custom-headers UseWindowsGen2VM=true",
    source="generation-2-vm.md (rule 5)",
)
ARM: Final = Tool(
    "ARM template",
    tells="write it in the template, or make it a parameter: what only the deployment finds out is not known before",
    gives="give the parameter: --parameters FILE or NAME=VALUE",
    instead="ARM templates and Bicep cannot send headers: make this node pool with az (--aks-custom-headers "
    f"UseWindowsGen2VM=true), or {_WINDOWS_2025}",
    source="Azure/bicep#16812",
)
AZURERM: Final = Tool(
    "azurerm",
    tells="write it in the configuration, or plan again once what it comes from exists",
    instead="azurerm cannot send headers: make this node pool with azapi_resource and create_headers = "
    f'{{ UseWindowsGen2VM = "true" }}, or with az, or {_WINDOWS_2025}',
    source="hashicorp/terraform-provider-azurerm#31526",
)
AZAPI: Final = Tool(
    "azapi",
    tells="write it in the configuration, or plan again once what it comes from exists",
    header='set create_headers and update_headers to { UseWindowsGen2VM = "true" }',
    source="azapi_resource, docs/resources/resource.md of Azure/terraform-provider-azapi",
)
ANSIBLE: Final = Tool(
    "Ansible",
    tells="write it in the task",
    instead="Ansible's modules for AKS cannot send headers: make this node pool with az (--aks-custom-headers "
    "UseWindowsGen2VM=true), or choose a size that offers what the node pool needs",
    source="azure_rm_aks.py and azure_rm_aksagentpool.py of azure.azcollection",
)
TOOLS: Final = (AZ, ARM, AZURERM, AZAPI, ANSIBLE)


class Action(Enum):
    """What happens to the node pool."""

    CREATE = "create"
    UPDATE = "update"  # properties that are not given stay as they are, and are not known
    KEEP = "keep"  # it exists, and the file changes nothing that decides
    UPGRADE = "upgrade"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCluster:
    """What is known of a node pool's cluster. A version of None is the one that AKS chooses.

    `version_place` is where the version stands, which makes no difference to what the cluster is.
    """

    location: str | Unknown
    version: str | Unknown | None
    version_place: Place | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something in a file that cannot work as it is written, whatever becomes of the node pool."""

    place: Place
    message: str
    remedy: str
    kind: Kind = TEMPLATE
    level: Level = Level.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPool:
    """A node pool that a file asks for.

    `properties` are ARM's, with `Unknown` wherever something is unknown; `places` says where they stand, by path
    (`securityProfile.enableVTPM`). `header` is UseWindowsGen2VM, None when it is not sent. `condition` is the
    expression that decides whether the node pool is deployed at all. With `open_ended` the file may ask for more
    than was read. `mistakes` are about how it is asked for.
    """

    name: str | Unknown
    address: str
    tool: Tool
    action: Action
    place: Place
    properties: Json
    cluster: FoundCluster
    places: Mapping[str, Place] = field(default_factory=dict)
    header: Header = None
    condition: str | None = None
    open_ended: Unknown | None = None
    mistakes: Sequence[Mistake] = ()

    def place_of(self, path: str) -> Place:
        """Return where a property stands, or what is around it, or the node pool itself."""
        while path:
            if path in self.places:
                return self.places[path]
            path = path.rpartition(".")[0]
        return self.place


@dataclass(slots=True)
class Reading:
    """What was found in a file. `calls` are the commands of `az aks` in it, also those that are about no node pool."""

    pools: list[FoundPool] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    parameters: Parameters | None = None
    calls: int = 0


@dataclass(slots=True)
class Parameters:
    """The parameters that a template declares, where it does, and those that were wanted and have no value.

    `refused` has what the template does not take of what is given, by lower-case name.
    """

    declared: Sequence[str]
    place: Place
    without_value: dict[str, Place] = field(default_factory=dict)
    refused: dict[str, Mistake] = field(default_factory=dict)


def header_value(headers: Any) -> Header:
    """Return UseWindowsGen2VM out of a mapping of headers; its name and value count without case.

    A value that is neither true nor false comes back as it is.
    """
    if isinstance(headers, Unknown):
        return headers
    for name, value in headers.items() if isinstance(headers, Mapping) else ():
        if isinstance(name, str) and name.lower() == "usewindowsgen2vm":
            if isinstance(value, Unknown):
                return value
            text = str(value).lower()
            return text == "true" if text in ("true", "false") else str(value)
    return None
