"""`env` works with a shell and the Azure SDK as they are; `sp reset` makes a new secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.cli.conftest import CommandLine
from tests.support.service import ServiceProcess

NAMES = {
    "POOLWRIGHT_ENDPOINT",
    "AZURE_TENANT_ID",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_SUBSCRIPTION_ID",
    "AZURE_AUTHORITY_HOST",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
}

SDK_PROGRAM = """
import os
from azure.identity import {credential}
from azure.mgmt.containerservice import ContainerServiceClient
client = ContainerServiceClient(
    {credential}(disable_instance_discovery=True),
    os.environ["AZURE_SUBSCRIPTION_ID"],
    base_url=os.environ["POOLWRIGHT_ENDPOINT"],
)
print([cluster.name for cluster in client.managed_clusters.list()])
"""


def test_env_as_json_has_exactly_the_names_the_sdks_read(poolwright: CommandLine, service: ServiceProcess) -> None:
    variables = poolwright.done("env", "--json").json

    assert set(variables) == NAMES
    assert variables["POOLWRIGHT_ENDPOINT"] == variables["AZURE_AUTHORITY_HOST"] == service.url
    assert variables["REQUESTS_CA_BUNDLE"] == str(service.ca)


@pytest.mark.parametrize("credential", ["EnvironmentCredential", "DefaultAzureCredential"])
def test_a_shell_evaluates_env_and_the_azure_sdk_works_in_it(
    credential: str, poolwright: CommandLine, cluster: ServiceProcess
) -> None:
    script = f'eval "$({sys.executable} -m poolwright.cli.main env)" && exec {sys.executable} -c "$PROGRAM"'
    ended = subprocess.run(
        ["sh", "-c", script],
        env={**os.environ, "PROGRAM": SDK_PROGRAM.format(credential=credential)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (0, "['c1']\n"), ended.stderr


def test_values_are_quoted_for_the_shell(
    poolwright: CommandLine, service: ServiceProcess, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("a dir") / "it's $HOME"
    directory.mkdir()
    for name in ("credentials.json", "endpoint.json"):
        (directory / name).write_bytes((service.data_dir / name).read_bytes())

    exports = poolwright.done("env", "--data-dir", str(directory)).out
    ended = subprocess.run(
        ["sh", "-c", f'{exports}\nprintf %s "$SSL_CERT_FILE"'], capture_output=True, text=True, check=True
    )

    assert ended.stdout == str(directory / "tls" / "ca.pem")


def test_the_variables_alone_lead_the_command_line_to_the_service(
    poolwright: CommandLine, cluster: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = poolwright.done("env", "--json").json
    monkeypatch.delenv("POOLWRIGHT_DATA_DIR")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert poolwright.done("aks", "list", "-o", "json").json["value"][0]["name"] == "c1"

    monkeypatch.setenv("POOLWRIGHT_ENDPOINT", cluster.url.replace("https:", "http:"))
    assert "only sent to an https address" in poolwright("aks", "list").err

    monkeypatch.delenv("AZURE_CLIENT_SECRET")
    ended = poolwright("aks", "list")
    assert ended.code == 1
    assert "AZURE_CLIENT_SECRET" in ended.err


def test_env_ends_with_3_where_no_service_was_ever_started(alone: CommandLine) -> None:
    ended = alone("env")

    assert (ended.code, ended.out) == (3, "")
    assert "poolwright up" in ended.err


def test_env_ends_with_3_where_local_credentials_are_off(fresh: ServiceProcess, alone: CommandLine) -> None:
    fresh.start(local_credentials=False)

    ended = alone("env", "--data-dir", str(fresh.data_dir))

    assert (ended.code, ended.out) == (3, "")
    assert "local credentials are off" in ended.err
    assert "poolwright sp reset" in ended.err


def test_a_new_secret_replaces_the_old_one_at_once(fresh: ServiceProcess, alone: CommandLine) -> None:
    fresh.start()
    where = ("--data-dir", str(fresh.data_dir))
    old = fresh.credentials

    made = alone.done("sp", "reset", *where, "-o", "json").json

    assert made == {"appId": old["clientId"], "password": made["password"], "tenant": old["tenantId"]}
    assert fresh.credentials == {**old, "clientSecret": made["password"]}
    assert made["password"] != old["clientSecret"]
    alone.done("aks", "list", *where)

    (fresh.data_dir / "credentials.json").write_text(json.dumps(old))
    refused = alone("aks", "list", *where)
    assert refused.code == 1
    assert "AADSTS7000215" in refused.err
    assert old["clientSecret"] not in refused.err


def test_a_new_secret_can_be_kept_out_of_the_data_directory(fresh: ServiceProcess, alone: CommandLine) -> None:
    fresh.start()

    shown = alone.done("sp", "reset", "--data-dir", str(fresh.data_dir), "--no-local-credentials")

    assert shown.out.split()[:3] == ["AppId", "Password", "Tenant"]
    assert not (fresh.data_dir / "credentials.json").exists()


def test_a_secret_of_no_service_cannot_be_reset(alone: CommandLine) -> None:
    ended = alone("sp", "reset")

    assert (ended.code, ended.out) == (3, "")
