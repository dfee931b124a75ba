"""Options of az as az takes them: abbreviated, given twice, read from a file, and unknown."""

from __future__ import annotations

from typing import Any

import pytest

from poolwright.az.options import spelled
from poolwright.lint.arm_templates import Given
from poolwright.lint.az_commands import read_script
from poolwright.lint.pools import FoundPool
from poolwright.lint.texts import Text
from poolwright.reports.sarif import Level
from poolwright.templates.partial import Unknown

ADD = "az aks nodepool add -g g --cluster-name c -n p "


def added(arguments: str, command: str = ADD) -> FoundPool:
    """The node pool of a command with these arguments."""
    (pool,) = read_script(Text("f", command + arguments), Given())[0].pools
    return pool


@pytest.mark.parametrize(
    ("arguments", "properties"),
    [
        ("--os-t Windows --os-sk Windows2022", {"osType": "Windows", "osSKU": "Windows2022"}),
        ("--node-vm Standard_D2_v2", {"vmSize": "Standard_D2_v2"}),
        ("--node-vm=Standard_D2_v2", {"vmSize": "Standard_D2_v2"}),
        ("-sStandard_D2_v2 -c3", {"vmSize": "Standard_D2_v2", "count": 3}),
        ("-s A --node-vm-size B -s A", {"vmSize": "A"}),
        ("-s A --node-vm-size B", {"vmSize": "B"}),
        ("--enable-vtpm --mode User", {"securityProfile": {"enableVTPM": True}, "mode": "User"}),
        ("--zones 1 --zones 2 3", {"availabilityZones": ["2", "3"]}),
        ("-s @size.txt --mode=@mode.txt", {"vmSize": Unknown("@size.txt"), "mode": Unknown("@mode.txt")}),
        ("--vm-sizes A", {"vmSize": "A"}),
        ("--vm-sizes A B", {"vmSize": Unknown("A B")}),
    ],
)  # fmt: skip
def test_options_are_taken_as_argparse_takes_them(arguments: str, properties: dict[str, Any]) -> None:
    pool = added(arguments)
    assert pool.properties == properties
    assert pool.mistakes == ()


def test_after_a_flag_a_variable_may_be_anything() -> None:
    assert added("-s A --no-wait $MORE").open_ended == Unknown("$MORE")
    assert added("-s A --gpu-driver $ONE").open_ended is None


@pytest.mark.parametrize(
    ("option", "nearest"),
    [
        *(("--node-vm-sise", "--node-vm-size"), ("--moed", "--mode"), ("--node_vm_size", "--node-vm-size")),
        *(("--nodevm-size", "--node-vm-size"), ("--Mode", "--mode"), ("--os-skue", "--os-sku")),
    ],
)
def test_a_slip_of_the_pen_is_an_error_with_the_option_that_is_meant(option: str, nearest: str) -> None:
    (mistake,) = added(f"{option} X").mistakes
    assert mistake.level is Level.ERROR
    assert mistake.place.column == len(ADD) + 1
    assert option in mistake.message
    assert f"the nearest one is {nearest}" in mistake.message


def test_an_abbreviation_of_several_options_is_an_error_with_all_of_them() -> None:
    (mistake,) = added("--node-o 3").mistakes
    assert mistake.level is Level.ERROR
    assert "--node-osdisk-size, --node-osdisk-type" in mistake.message


# Of the extension aks-preview, at one time or another.
PREVIEW = (
    *("--enable-custom-ca-trust", "--skip-gpu-driver-install", "--driver-type", "--ssh-access"),
    *(
        "--enable-managed-gpu",
        "--upgrade-strategy",
        "--final-soak-duration",
        "--drain-batch-size",
        "--node-init-taints",
    ),
    *("--batch-soak-duration", "--enable-pod-identity", "--nodepool-initialization-taints", "--kube-proxy-config"),
    *("--enable-imds-restriction", "--safeguards-level", "--enable-node-restriction"),
    *("--enable-pod-security-policy", "--dns-zone-resource-ids", "--enable-addon-autoscaling", "--disable-something"),
)


@pytest.mark.parametrize("option", PREVIEW)
def test_an_option_that_may_be_an_extension_s_is_a_warning(option: str) -> None:
    for command in (ADD, "az aks create -g g -n c "):
        (mistake,) = added(f"{option} x", command).mistakes
        assert (mistake.level, option in mistake.message) == (Level.WARNING, True)
        assert "aks-preview" in mistake.remedy
    assert spelled("aks nodepool update", option).nearest is None


def test_what_only_poolwright_s_az_takes_is_a_warning() -> None:
    (mistake,) = added("-s Standard_D2_v2", "az aks nodepool update -g g --cluster-name c -n p ").mistakes
    assert mistake.level is Level.WARNING
    assert "`poolwright az` has" in mistake.message
