"""`poolwright quota` against the documents of the service, without a service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from typer.testing import CliRunner, Result

from poolwright.arm.skus import render_skus
from poolwright.arm.usages import render_usages
from poolwright.catalog.catalog import Catalog
from poolwright.cli import quota as command
from poolwright.cli.client import ServiceClient
from poolwright.cli.connection import Connection
from poolwright.cli.failure import FAILED, Refused
from poolwright.cli.output import Output
from poolwright.domain import quota

COMPUTE = "/subscriptions/5ub/providers/Microsoft.Compute"
USAGES = f"{COMPUTE}/locations/eastus/usages"
CATALOG = Catalog.built_in(("eastus",))
WHO = Connection(
    url="https://poolwright.test",
    ca=Path("ca.pem"),
    tenant_id="t",
    client_id="c",
    client_secret="s",
    subscription_id="5ub",
    origin="a test",
)


class Service(ServiceClient):
    """A client whose service is this object: limits are kept, and the documents are the real ones."""

    def __init__(self) -> None:
        self._service = WHO
        self._output = Output.TABLE
        self.used = {"cores": 12, "standarddsv5family": 12}
        self.limits: dict[str, int] = {}
        self.sent: list[tuple[str, str, Any]] = []

    def _exchange(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        if path == f"{COMPUTE}/skus":
            assert arguments["params"]["$filter"] == "location eq 'eastus'"
            return httpx.Response(200, content=render_skus(CATALOG, "eastus"))
        if method == "GET":
            assert path == USAGES
            return httpx.Response(200, content=render_usages(CATALOG, "eastus", self.used, self.limits))
        self.sent.append((method, path, arguments.get("json")))
        family = unquote(path.removeprefix(f"{USAGES}/")).lower()
        if family not in quota.family_names(CATALOG.sizes) and family != quota.TOTAL:
            return httpx.Response(400, json={"error": {"code": "InvalidParameter", "message": f"No {family}."}})
        if method == "PUT":
            self.limits[family] = arguments["json"]["limit"]
        else:
            self.limits.pop(family, None)
        return httpx.Response(200, json={})


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    there = Service()

    @contextmanager
    def connect(data_dir: Path | None, output: Output) -> Iterator[ServiceClient]:
        yield there

    monkeypatch.setattr(command, "connect", connect)
    return there


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command.app, [*arguments, "-l", "East US"])


def done(*arguments: str) -> Result:
    ended = run(*arguments)
    assert ended.exit_code == 0, ended.output
    return ended


def rows(ended: Result) -> dict[str, list[str]]:
    """The table below its headings, by the first column."""
    heading, _, *lines = ended.stdout.splitlines()
    assert heading.split() == ["Name", "Used", "Limit"]
    return {line.rsplit(maxsplit=2)[0]: line.rsplit(maxsplit=2)[1:] for line in lines}


def test_the_command_line_and_the_service_mean_the_same_defaults() -> None:
    assert (command.TOTAL, command.DEFAULT_LIMIT) == (quota.TOTAL, quota.DEFAULT_LIMIT)


def test_the_total_and_what_is_used_are_listed(service: Service) -> None:
    assert done("list").stdout.splitlines() == [
        "Name                Used    Limit",
        "------------------  ------  -------",
        "cores               12      100000",
        "standardDSv5Family  12      100000",
    ]


def test_the_total_is_listed_where_nothing_is_used(service: Service) -> None:
    service.used = {}

    assert rows(done("list")) == {"cores": ["0", "100000"]}


def test_a_family_with_a_limit_of_its_own_is_listed_without_use(service: Service) -> None:
    service.limits = {"standardeasv4family": 0}

    assert rows(done("list"))["standardEASv4Family"] == ["0", "0"]


def test_all_lists_every_family(service: Service) -> None:
    listed = rows(done("list", "--all"))

    assert set(listed) == {"cores", *quota.family_names(CATALOG.sizes_in("eastus")).values()}
    assert len(listed) > 100


def test_json_is_the_document_of_the_wire_with_the_chosen_entries(service: Service) -> None:
    whole = json.loads(render_usages(CATALOG, "eastus", service.used, {}))

    assert json.loads(done("list", "--all", "-o", "json").stdout) == whole
    assert json.loads(done("list", "-o", "json").stdout) == {
        "value": [usage for usage in whole["value"] if usage["currentValue"]]
    }


@pytest.mark.parametrize(
    "given", ["standardDSv5Family", "STANDARDdsv5family", "Standard DSv5 Family vCPUs"], ids=["own", "case", "people"]
)
def test_a_limit_is_set_by_either_name_of_the_family(service: Service, given: str) -> None:
    ended = done("set", given, "24")

    assert service.sent == [("PUT", f"{USAGES}/standardDSv5Family", {"limit": 24})]
    assert rows(ended) == {"standardDSv5Family": ["12", "24"]}
    assert ended.stderr == ""


def test_a_size_stands_for_its_family_and_that_is_said(service: Service) -> None:
    ended = done("set", "standard_d4S_v5", "24")

    assert service.sent == [("PUT", f"{USAGES}/standardDSv5Family", {"limit": 24})]
    assert ended.stderr == "Standard_D4s_v5 belongs to standardDSv5Family.\n"


def test_a_size_without_a_family_has_a_quota_of_its_own(service: Service) -> None:
    assert rows(done("set", "standard_a2", "6")) == {"Standard_A2": ["0", "6"]}


def test_a_family_with_blanks_travels_as_one_segment(service: Service) -> None:
    ended = done("set", "Standard_NC4as_T4_v3", "4")

    assert service.sent == [("PUT", f"{USAGES}/Standard%20NCASv3_T4%20Family", {"limit": 4})]
    assert rows(ended) == {"Standard NCASv3_T4 Family": ["0", "4"]}


@pytest.mark.parametrize("given", ["cores", "Total Regional vCPUs"])
def test_the_regional_total_is_set_under_either_name(service: Service, given: str) -> None:
    assert rows(done("set", given, "350")) == {"cores": ["12", "350"]}


def test_the_answer_to_set_in_json_has_the_shape_of_the_list(service: Service) -> None:
    ended = done("set", "Standard_D4s_v5", "0", "-o", "json")

    assert json.loads(ended.stdout)["value"] == [
        {
            "unit": "Count",
            "currentValue": 12,
            "limit": 0,
            "name": {"value": "standardDSv5Family", "localizedValue": "Standard DSv5 Family vCPUs"},
        }
    ]


def test_reset_brings_the_first_limit_back(service: Service) -> None:
    service.limits = {"standarddsv5family": 24}
    ended = done("reset", "Standard_D4s_v5")

    assert service.sent == [("DELETE", f"{USAGES}/standardDSv5Family", None)]
    assert rows(ended) == {"standardDSv5Family": ["12", "100000"]}


@pytest.mark.parametrize("arguments", [("set", "nonsense", "5"), ("reset", "nonsense")], ids=["set", "reset"])
def test_the_service_refuses_what_it_does_not_know(service: Service, arguments: tuple[str, ...]) -> None:
    refusal = run(*arguments).exception

    assert isinstance(refusal, Refused)
    assert (refusal.code, refusal.status) == (FAILED, 400)
    assert "No nonsense." in refusal.text
    assert service.limits == {}


@pytest.mark.parametrize("limit", ["many", "1.5", ""])
def test_a_limit_that_is_no_whole_number_is_a_wrong_command_line(service: Service, limit: str) -> None:
    assert run("set", "cores", limit).exit_code == 2
    assert service.sent == []


def test_a_negative_limit_is_a_wrong_command_line(service: Service) -> None:
    assert CliRunner().invoke(command.app, ["set", "-l", "eastus", "--", "cores", "-1"]).exit_code == 2
    assert service.sent == []


@pytest.mark.parametrize("arguments", [["list"], ["set", "cores", "5"], ["reset", "cores"]], ids=" ".join)
def test_a_quota_is_always_one_of_a_location(service: Service, arguments: list[str]) -> None:
    assert CliRunner().invoke(command.app, arguments).exit_code == 2
    assert service.sent == []


@pytest.mark.parametrize("name", ["list", "set", "reset"])
def test_every_command_shows_how_it_is_used(name: str) -> None:
    shown = CliRunner().invoke(command.app, [name, "--help"]).stdout

    assert f"poolwright quota {name}" in shown.partition("Examples:")[2]
