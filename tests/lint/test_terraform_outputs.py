"""What Terraform 1.11.4 with azurerm 5.2.0 really printed (`terraform show -json`) for `tests/terraform/main.tf`.

`created.json` is the plan of all of it, `state.json` what there was after it at a service, `changed.json` the plan of
other sizes, taints and surge. Left out are secrets and what lint does not read: `planned_values`, `prior_state`,
`resource_drift`. `make terraform` compares what is found in fresh ones with what a service makes of them.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from poolwright.domain.profile import Profile
from poolwright.lint.arm_templates import Given
from poolwright.lint.catalogs import Catalogs
from poolwright.lint.linting import Settings, lint
from poolwright.lint.pools import Action

OUTPUTS = Path(__file__).parent / "terraform"
UBUNTU, UBUNTU_GEN2 = "AKSUbuntu-2404containerd-202512.18.0", "AKSUbuntu-2404gen2containerd-202512.18.0"
WINDOWS, AZURE_LINUX = "AKSWindows-2022-containerd-20348.4529.251212", "AKSAzureLinux-V3gen2-202512.18.0"
NEW, OLD = Action.CREATE, Action.KEEP


@pytest.mark.parametrize("profile", list(Profile))
@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (
            "created",
            {
                "system": (NEW, UBUNTU_GEN2, False),
                "linux": (NEW, UBUNTU_GEN2, False),
                "spot": (NEW, AZURE_LINUX, False),
                "win": (NEW, WINDOWS, False),
            },
        ),
        # Of its default node pool Terraform keeps no node image.
        (
            "state",
            {
                "system": (OLD, UBUNTU_GEN2, True),
                "linux": (OLD, UBUNTU_GEN2, False),
                "spot": (OLD, AZURE_LINUX, False),
                "win": (OLD, WINDOWS, False),
            },
        ),
        # Another size makes a node pool anew; taints and surge do not.
        (
            "changed",
            {
                "system": (NEW, UBUNTU_GEN2, False),
                "linux": (NEW, UBUNTU, False),
                "spot": (OLD, AZURE_LINUX, False),
                "win": (OLD, WINDOWS, False),
            },
        ),
    ],
)
def test_node_pools_in_real_outputs(file: str, expected: dict[str, tuple[Action, str, bool]], profile: Profile) -> None:
    report = lint(
        [OUTPUTS / f"{file}.json"], Settings(profile=profile, given=Given({})), Catalogs(), date(2026, 11, 26)
    )
    assert {
        str(linted.pool.name): (linted.pool.action, *linted.outcome.images, linted.outcome.is_likely)
        for linted in report.pools
    } == expected
    lines = (OUTPUTS / f"{file}.json").read_text().splitlines()
    for linted in report.pools:
        line = lines[linted.pool.place_of("vmSize").line - 1]
        assert line.strip().startswith(f'"vm_size": "{linted.pool.properties["vmSize"]}"')
    assert not [finding for finding in report.findings if finding.level.value == "error"]
