"""The directory in which az is registered to the service: made once, kept right, and never the user's own."""

from __future__ import annotations

import configparser
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from arm_recorder import CLIENT, SECRET, SUBSCRIPTION, ArmRecorder
from registered_az import Az, interpreter_of, service_of

from poolwright.az import configuration
from poolwright.identity.tls import TlsFiles


class CountedAz:
    """The real az behind a script that notes each start."""

    def __init__(self, az: Path, directory: Path) -> None:
        self._log = directory / "starts"
        self.path = directory / "az"
        self.path.write_text(
            f'#!/bin/sh\n# runs in {interpreter_of(az)}\necho "$@" >> "{self._log}"\nexec "{az}" "$@"\n'
        )
        self.path.chmod(0o755)

    @property
    def starts(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []


@pytest.fixture
def counted_az(az_path: Path, tmp_path: Path) -> CountedAz:
    return CountedAz(az_path, tmp_path)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def service(recorder: ArmRecorder, tls: TlsFiles) -> configuration.Service:
    return service_of(recorder, tls)


@pytest.fixture
def moved(recorder: ArmRecorder, tls: TlsFiles) -> Iterator[ArmRecorder]:
    """The same service on another port."""
    with ArmRecorder(tls) as other:
        yield other


def ini(path: Path) -> configparser.RawConfigParser:
    parsed = configparser.RawConfigParser()
    assert parsed.read(path)
    return parsed


@pytest.mark.az
def test_az_is_logged_in_to_the_service_and_has_the_extension(
    counted_az: CountedAz, data_dir: Path, service: configuration.Service
) -> None:
    configuration.prepare(counted_az.path, data_dir, service)

    az = Az(counted_az.path, configuration.environment(data_dir, service))
    account = az.json("account show")
    assert (account["id"], account["environmentName"]) == (SUBSCRIPTION, "Poolwright")
    assert account["user"] == {"name": CLIENT, "type": "servicePrincipal"}
    [extension] = az.json("extension list")
    assert (extension["name"], extension["version"]) == ("poolwright-az", configuration.extension_version())


@pytest.mark.az
def test_the_login_asks_no_other_host_and_shows_the_secret_in_no_process_list(
    counted_az: CountedAz, data_dir: Path, service: configuration.Service, recorder: ArmRecorder
) -> None:
    configuration.prepare(counted_az.path, data_dir, service)

    assert [(request.method, request.path) for request in recorder.requests] == [
        ("GET", "/adfs/.well-known/openid-configuration"),
        ("POST", "/adfs/oauth2/token"),
        ("GET", "/subscriptions"),
    ]
    assert recorder.of("POST")[0].form["client_secret"] == SECRET
    [start] = counted_az.starts
    assert start.startswith("login --service-principal")
    assert SECRET not in start


@pytest.mark.az
def test_az_does_not_look_for_a_newer_az_at_its_first_start(
    counted_az: CountedAz, data_dir: Path, service: configuration.Service
) -> None:
    configuration.prepare(counted_az.path, data_dir, service)

    known = json.loads((configuration.config_dir(data_dir) / "versionCheck.json").read_text("utf-8-sig"))
    assert known["versions"]["core"] == {"local": "2.91.0"}
    assert known["update_time"] == ""


@pytest.mark.az
def test_the_second_call_starts_no_az(counted_az: CountedAz, data_dir: Path, service: configuration.Service) -> None:
    configuration.prepare(counted_az.path, data_dir, service)
    starts = counted_az.starts

    configuration.prepare(counted_az.path, data_dir, service)

    assert counted_az.starts == starts
    assert len(starts) == 1


@pytest.mark.az
def test_calls_at_the_same_time_log_in_once(
    counted_az: CountedAz, data_dir: Path, service: configuration.Service
) -> None:
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(configuration.prepare, counted_az.path, data_dir, service) for _ in range(4)]
    for call in calls:
        call.result()

    assert len(counted_az.starts) == 1


@pytest.mark.az
def test_a_changed_port_is_registered_without_az_and_az_then_uses_it(
    counted_az: CountedAz,
    data_dir: Path,
    service: configuration.Service,
    moved: ArmRecorder,
    tls: TlsFiles,
) -> None:
    configuration.prepare(counted_az.path, data_dir, service)
    starts = counted_az.starts
    service = service_of(moved, tls)

    configuration.prepare(counted_az.path, data_dir, service)

    assert counted_az.starts == starts
    az = Az(counted_az.path, configuration.environment(data_dir, service))
    assert az.json("aks nodepool list --resource-group lab --cluster-name c1") == []
    assert moved.of("GET", "/agentPools") != []


@pytest.mark.az
def test_the_registered_cloud_is_what_az_cloud_register_writes(
    az_path: Path, data_dir: Path, service: configuration.Service
) -> None:
    configuration.prepare(az_path, data_dir, service)
    az = Az(az_path, configuration.environment(data_dir, service))

    outcome = az.run(f"cloud register --name Discovered --endpoint-resource-manager {service.base_url}")

    assert outcome.returncode == 0, outcome.stderr
    clouds = ini(configuration.config_dir(data_dir) / "clouds.config")
    ours = {name: value for name, value in clouds["Poolwright"].items() if name.startswith("endpoint_")}
    assert ours == dict(clouds["Discovered"])


@pytest.mark.az
def test_a_new_secret_is_logged_in_with(
    counted_az: CountedAz, data_dir: Path, service: configuration.Service, recorder: ArmRecorder
) -> None:
    configuration.prepare(counted_az.path, data_dir, service)
    recorder.secret = "another"

    configuration.prepare(counted_az.path, data_dir, replace(service, client_secret="another"))

    assert [request.form["client_secret"] for request in recorder.of("POST")] == [SECRET, "another"]


@pytest.mark.az
def test_a_refused_secret_is_reported_in_the_words_of_the_service_and_tried_again_next_time(
    counted_az: CountedAz, data_dir: Path, service: configuration.Service
) -> None:
    wrong = replace(service, client_secret="wrong-secret")
    with pytest.raises(configuration.LoginFailed, match="AADSTS7000215") as refusal:
        configuration.prepare(counted_az.path, data_dir, wrong)
    assert "wrong-secret" not in str(refusal.value)

    configuration.prepare(counted_az.path, data_dir, service)

    assert len(counted_az.starts) == 2


@pytest.mark.az
def test_where_no_service_answers_the_message_says_so_without_a_traceback(
    az_path: Path, data_dir: Path, tls: TlsFiles
) -> None:
    with ArmRecorder(tls) as gone:
        service = service_of(gone, tls)

    with pytest.raises(configuration.LoginFailed, match="Connection refused") as failure:
        configuration.prepare(az_path, data_dir, service)

    assert str(failure.value).startswith(f"az could not log in to {service.base_url} as {CLIENT}: ")
    assert "Traceback" not in str(failure.value)


@pytest.mark.az
def test_after_a_logout_the_next_call_logs_in_again(
    counted_az: CountedAz, data_dir: Path, service: configuration.Service
) -> None:
    configuration.prepare(counted_az.path, data_dir, service)
    az = Az(counted_az.path, configuration.environment(data_dir, service))
    assert az.run("logout").returncode == 0

    configuration.prepare(counted_az.path, data_dir, service)

    assert az.run("account show").returncode == 0


@pytest.mark.az
def test_the_users_own_az_directory_is_never_touched(
    az_path: Path, data_dir: Path, service: configuration.Service, empty_home: Path
) -> None:
    configuration.prepare(az_path, data_dir, service)
    Az(az_path, configuration.environment(data_dir, service)).json("account list")

    assert list(empty_home.iterdir()) == []


@pytest.mark.az
def test_the_directory_with_the_secret_is_for_its_owner_only(
    az_path: Path, data_dir: Path, service: configuration.Service
) -> None:
    configuration.prepare(az_path, data_dir, service)

    assert stat.S_IMODE(configuration.config_dir(data_dir).stat().st_mode) == 0o700


@pytest.mark.az
def test_settings_of_the_user_survive_and_another_cloud_is_left_again(
    counted_az: CountedAz, data_dir: Path, service: configuration.Service
) -> None:
    configuration.prepare(counted_az.path, data_dir, service)
    path = configuration.config_dir(data_dir) / "config"
    config = ini(path)
    config.read_dict({"cloud": {"name": "AzureCloud"}, "defaults": {"group": "lab"}})
    with path.open("w") as file:
        config.write(file)

    configuration.prepare(counted_az.path, data_dir, service)

    assert ini(path)["cloud"]["name"] == "Poolwright"
    assert ini(path)["defaults"]["group"] == "lab"
    assert len(counted_az.starts) == 1


@pytest.mark.az
def test_a_changed_extension_replaces_the_installed_one_and_what_az_remembers_of_it(
    counted_az: CountedAz,
    data_dir: Path,
    service: configuration.Service,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configuration.prepare(counted_az.path, data_dir, service)
    directory = configuration.config_dir(data_dir)
    newer = tmp_path / "azext_poolwright"
    shutil.copytree(configuration.EXTENSION_FILES, newer)
    (newer / "azext_metadata.json").write_text('{"version": "9.9.9", "azext.minCliCoreVersion": "2.91.0"}')
    (newer / "update.py").write_text("changed = True\n")
    monkeypatch.setattr(configuration, "EXTENSION_FILES", newer)

    configuration.prepare(counted_az.path, data_dir, service)

    installed = directory / "cliextensions" / "poolwright-az"
    assert (installed / "azext_poolwright" / "update.py").read_text() == "changed = True\n"
    assert [path.name for path in installed.glob("*.dist-info")] == ["poolwright_az-9.9.9.dist-info"]
    assert not any((directory / index).exists() for index in configuration.INDEXES)
    assert len(counted_az.starts) == 1


def test_the_environment_overrides_what_the_user_set_for_another_az(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inherited = {
        "PATH": "/usr/bin",
        "AZURE_CONFIG_DIR": "/elsewhere",
        "AZURE_CLOUD_NAME": "AzureUSGovernment",
        "AZURE_EXTENSION_DIR": "/elsewhere/extensions",
        "AZURE_EXTENSION_DEV_SOURCES": "/elsewhere/source",
        "ARM_CLOUD_METADATA_URL": "https://elsewhere.example",
        "REQUESTS_CA_BUNDLE": "/elsewhere/ca.pem",
        "HTTPS_PROXY": "http://proxy.example",
        "NO_PROXY": "intranet.example",
        "AZURE_DEFAULTS_GROUP": "lab",
    }
    service = configuration.Service("https://127.0.0.1:8443", tmp_path / "ca.pem", "t", "c", "s")

    environ = configuration.environment(tmp_path, service, inherited)

    assert environ["AZURE_CONFIG_DIR"] == str(tmp_path / "azure-cli")
    assert environ["AZURE_EXTENSION_DIR"] == str(tmp_path / "azure-cli" / "cliextensions")
    assert environ["AZURE_CLOUD_NAME"] == "Poolwright"
    assert environ["REQUESTS_CA_BUNDLE"] == str(tmp_path / "ca.pem")
    assert environ["NO_PROXY"] == environ["no_proxy"] == "intranet.example,127.0.0.1"
    assert not {"AZURE_EXTENSION_DEV_SOURCES", "ARM_CLOUD_METADATA_URL"} & environ.keys()
    assert (environ["AZURE_DEFAULTS_GROUP"], environ["PATH"]) == ("lab", "/usr/bin")


def test_a_service_does_not_show_its_secret(tmp_path: Path) -> None:
    service = configuration.Service("https://127.0.0.1:8443", tmp_path / "ca.pem", "t", "c", "hidden")

    assert "hidden" not in repr(service)


def test_run_takes_the_place_of_the_process_and_keeps_its_exit_code_and_number(tmp_path: Path) -> None:
    program = (
        "import os; from pathlib import Path; from poolwright.az import configuration\n"
        "print(os.getpid())\n"
        "configuration.run(Path('/bin/sh'), ['-c', 'echo $$; echo $MARK; exit 7'], {'MARK': 'here'})\n"
    )

    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert outcome.returncode == 7, outcome.stderr
    before, after, mark = outcome.stdout.split()
    assert (after, mark) == (before, "here")


@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("kill -TERM $$", 143)])
def test_run_as_a_child_returns_its_exit_code(script: str, code: int) -> None:
    assert configuration.run(Path("/bin/sh"), ["-c", script], os.environ, as_child=True) == code


def test_run_as_a_child_leaves_ctrl_c_to_it() -> None:
    # The child sends the signal that a terminal would send to both, and then decides for itself.
    script = 'kill -INT "$PPID"; exit 5'

    assert configuration.run(Path("/bin/sh"), ["-c", script], os.environ, as_child=True) == 5
