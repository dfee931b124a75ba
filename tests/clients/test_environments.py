"""Environments of clients are installed once, to the end, and a registry that does not answer is told apart."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from environments import ANSIBLE, HERE, JAVASCRIPT, Environment, NotAvailable, Run, ensure, require

from poolwright.az.installation import AZURE_CLI_VERSION

NOWHERE = "https://127.0.0.1:9/"


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {
        "PIP_INDEX_URL": NOWHERE,
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_RETRIES": "0",
        "npm_config_registry": NOWHERE,
        "npm_config_cache": str(tmp_path / "npm"),
        "npm_config_fetch_retries": "0",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("environment", [ANSIBLE, JAVASCRIPT], ids=lambda environment: environment.name)
@pytest.mark.usefixtures("unreachable")
def test_without_a_registry_a_client_is_skipped_with_the_reason_and_fails_in_ci(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="a package registry cannot be reached"):
        require(environment, tmp_path)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="in CI every client is there: a package registry"):
        require(environment, tmp_path)


def test_the_documents_name_the_versions_that_are_tested() -> None:
    packages = json.loads((HERE / "javascript" / "package.json").read_text())["dependencies"]
    readme, clients = (HERE.parents[1].joinpath(name).read_text() for name in ("README.md", "docs/clients.md"))
    assert f"@azure/arm-containerservice {packages['@azure/arm-containerservice']}" in readme
    assert f"| {packages['@azure/identity']}, {packages['@azure/arm-containerservice']} |" in clients
    (ansible,) = re.findall(r"^ansible==(\S+)", ANSIBLE.made_from[0].read_text(), re.MULTILINE)
    (azure_cli_core,) = re.findall(r"^azure-cli-core==(\S+)", ANSIBLE.made_from[0].read_text(), re.MULTILINE)
    assert f"Ansible {ansible} |" in clients
    assert f"({azure_cli_core}) does not have that function" in clients
    for package in ("azure-identity", "azure-mgmt-containerservice", "azure-mgmt-compute"):
        assert version(package) in clients
    assert f"(azure-cli) | {AZURE_CLI_VERSION} |" in clients


def made_by(install: Callable[[Path, Run], None], *made_from: Path) -> Environment:
    return Environment("toy", made_from, install, "done")


def test_an_installation_that_fails_otherwise_is_an_error_and_is_begun_anew(tmp_path: Path) -> None:
    def fails(home: Path, run: Run) -> None:
        (home / "half").touch()
        run("sh", "-c", "echo no such hash; exit 3")

    def works(home: Path, run: Run) -> None:
        assert not (home / "half").exists()
        run("touch", home / "done")

    with pytest.raises(AssertionError, match="ended with 3:\nno such hash"):
        ensure(made_by(fails), tmp_path)
    home = ensure(made_by(works), tmp_path)
    assert ensure(made_by(fails), tmp_path) == home
    (home / "done").unlink()
    assert ensure(made_by(works), tmp_path) == home


def test_another_lock_is_another_environment(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    homes = set()
    for text in ("a==1", "a==2", "a==1"):
        lock.write_text(text)
        homes.add(ensure(made_by(lambda home, run: run("touch", home / "done"), lock), tmp_path / "cache"))
    assert len(homes) == 2


def test_two_at_once_install_once(tmp_path: Path) -> None:
    installed = []

    def slowly(home: Path, run: Run) -> None:
        installed.append(home)
        run("sleep", "0.3")
        (home / "done").touch()

    threads = [threading.Thread(target=ensure, args=(made_by(slowly), tmp_path)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(installed) == 1


def test_only_what_a_registry_can_do_about_is_not_available(tmp_path: Path) -> None:
    def refused(home: Path, run: Run) -> None:
        run("sh", "-c", "echo 'THESE PACKAGES DO NOT MATCH THE HASHES'; exit 1")

    def silent(home: Path, run: Run) -> None:
        run("sh", "-c", "echo 'npm error code ETIMEDOUT'; exit 1")

    with pytest.raises(AssertionError, match="DO NOT MATCH"):
        ensure(made_by(refused), tmp_path)
    with pytest.raises(NotAvailable):
        ensure(made_by(silent), tmp_path)
