"""Tables as az draws them, errors for people, and options as az spells them."""

from __future__ import annotations

import pytest

from poolwright.cli import option_rows, options, progress
from poolwright.cli.output import decision_text, error_text, table
from poolwright.cli.progress import detail
from poolwright.cli.sizes import _is_available, _row


def sku(name: str, zones: list[str], *restrictions: dict[str, object]) -> dict[str, object]:
    return {
        "resourceType": "virtualMachines",
        "name": name,
        "locations": ["eastus"],
        "locationInfo": [{"location": "eastus", "zones": zones}],
        "capabilities": [{"name": "HyperVGenerations", "value": "V1,V2"}],
        "restrictions": list(restrictions),
    }


ZONE_RESTRICTION = {
    "type": "Zone",
    "reasonCode": "NotAvailableForSubscription",
    "restrictionInfo": {"locations": ["eastus"], "zones": ["1"]},
}
LOCATION_RESTRICTION = {
    "type": "Location",
    "reasonCode": "NotAvailableForSubscription",
    "restrictionInfo": {"locations": ["eastus"]},
}


def test_the_table_of_sizes_is_the_one_az_prints_with_generations_added() -> None:
    rows = [
        _row(one)
        for one in (
            sku("Standard_D2s_v5", ["3", "1", "2"]),
            sku("Standard_D4s_v5", ["1", "2", "3"], ZONE_RESTRICTION),
            sku("Standard_D2_v2", []),
        )
    ]

    # The first five columns are az 2.91's output, character for character.
    assert table(rows).splitlines() == [
        "ResourceType     Locations    Name             Zones    "
        "Restrictions                                                          Generations",
        "---------------  -----------  ---------------  -------  "
        "--------------------------------------------------------------------  -------------",
        "virtualMachines  eastus       Standard_D2s_v5  1,2,3    "
        "None                                                                  V1,V2",
        "virtualMachines  eastus       Standard_D4s_v5  1,2,3    "
        "NotAvailableForSubscription, type: Zone, locations: eastus, zones: 1  V1,V2",
        "virtualMachines  eastus       Standard_D2_v2            "
        "None                                                                  V1,V2",
    ]


def test_a_column_without_any_value_is_left_out() -> None:
    assert table([{"Name": "np1", "VmSize": None}]) == "Name\n------\nnp1"


@pytest.mark.parametrize(
    ("restriction", "zone", "available"),
    [(LOCATION_RESTRICTION, False, False), (ZONE_RESTRICTION, False, True), (ZONE_RESTRICTION, True, True)],
)
def test_a_size_is_available_as_az_sees_it(restriction: dict[str, object], zone: bool, available: bool) -> None:
    assert _is_available(sku("Standard_D2s_v5", ["1", "2"], restriction), zone) is available


def test_a_size_without_any_allowed_zone_is_unavailable_where_zones_are_asked_for() -> None:
    assert not _is_available(sku("Standard_D2s_v5", ["1"], ZONE_RESTRICTION), True)


def test_an_error_shows_everything_the_service_said() -> None:
    error = {
        "code": "UnsupportedGen2VMSize",
        "message": "It boots V1.",
        "target": "properties.vmSize",
        "details": [{"code": "InvalidOSSKU", "message": "No.", "target": "properties.osSKU"}],
        "additionalInfo": [
            {
                "type": "PoolwrightRemedy",
                "info": {
                    "remedy": "take another size",
                    "rule": {"id": "gen2-not-offered", "text": "It needs one.", "source": "the page"},
                    "alternatives": ["Standard_A", "Standard_B"],
                },
            }
        ],
    }

    assert error_text(error, status=400).splitlines() == [
        "error: UnsupportedGen2VMSize (HTTP 400): It boots V1.",
        "  target: properties.vmSize",
        "  remedy: take another size",
        "  alternatives: Standard_A, Standard_B",
        "  rule: gen2-not-offered: It needs one.",
        "  source: the page",
        "also: InvalidOSSKU: No.",
        "  target: properties.osSKU",
    ]


def test_a_decision_names_generation_image_rule_and_source() -> None:
    shown = decision_text(
        {
            "generation": "V2",
            "nodeImageVersion": "AKSUbuntu-2204gen2containerd-202512.18.0",
            "rule": {"id": "gen2-linux", "text": "Both: Generation 2.", "source": "the page"},
            "warnings": [{"code": "Beware", "message": "of the dog."}],
        }
    )

    assert shown.splitlines() == [
        "Generation        V2 (UEFI)",
        "NodeImageVersion  AKSUbuntu-2204gen2containerd-202512.18.0",
        "Rule              gen2-linux: Both: Generation 2.",
        "Source            the page",
        "Warning           Beware: of the dog.",
    ]


def test_progress_names_the_step_and_the_machines_of_each_generation() -> None:
    block = {"step": "ensure_machines", "wave": 1, "waves": 1, "generations": {"V1": 0, "V2": 3, "unknown": 1}}

    assert detail({"properties": {"poolwright": block}}) == "ensure machines  V2: 3, unknown: 1"


def rolling(percent: int, wave: int, replaced: int) -> dict[str, object]:
    block = {
        "step": "await_ready",
        "wave": wave,
        "waves": 3,
        "replaced": replaced,
        "toReplace": 5,
        "generations": {"V1": 5 - replaced, "V2": replaced, "unknown": 0},
        "kubernetes": {"attached": False, "message": "no Kubernetes cluster is attached"},
    }
    return {"percentComplete": percent, "properties": {"poolwright": block}}


def test_without_a_terminal_each_state_is_a_line_and_the_missing_cluster_is_told_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress.shown("updating 'np1'", lines=True) as show:
        for state in (rolling(10, 1, 0), rolling(10, 1, 0), rolling(40, 2, 2)):
            show(state)

    assert capsys.readouterr() == (
        "",
        "note: no Kubernetes cluster is attached\n"
        "updating 'np1': 10%  await ready  wave 1 of 3  0 of 5 replaced  V1: 5\n"
        "updating 'np1': 40%  await ready  wave 2 of 3  2 of 5 replaced  V1: 3, V2: 2\n",
    )


def test_without_a_terminal_and_without_lines_nothing_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.shown("updating 'np1'", lines=False) as show:
        show(rolling(10, 1, 0))

    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("kubernetes", [None, {"attached": True, "message": "nodes are cordoned and drained"}])
def test_an_attached_cluster_needs_no_remark(kubernetes: object) -> None:
    assert progress.remark({"properties": {"poolwright": {"kubernetes": kubernetes}}}) is None


def test_an_empty_text_clears_labels_and_taints() -> None:
    assert option_rows.labels([""]) == option_rows.tags([""]) == {}
    assert option_rows.listed("") == []


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (None, {}),
        (" ", {}),
        ("A=b,C=d", {"A": "b", "C": "d"}),
        (" A = b ,A=c", {"A": "b,c"}),
    ],
)
def test_custom_headers_are_read_as_az_reads_them(given: str | None, sent: dict[str, str]) -> None:
    assert options.custom_headers(given) == sent


def test_an_empty_etag_is_none() -> None:
    assert options.precondition_headers("", "") == {}


@pytest.mark.parametrize(("given", "sent"), [("abc", '"abc"'), ('"abc"', '"abc"'), ("*", "*")])
def test_an_etag_is_sent_in_quotes_and_a_star_without(given: str, sent: str) -> None:
    assert options.precondition_headers(given, None) == {"If-Match": sent}
