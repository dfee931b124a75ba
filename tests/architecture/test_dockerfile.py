"""The Dockerfile names what exists. No image is built here: there may be no engine to build one."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from poolwright.settings import Settings
from poolwright.testing import Service

ROOT = Path(__file__).parents[2]
# https://docs.docker.com/reference/dockerfile/
INSTRUCTIONS = {
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "ONBUILD", "RUN",
    "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
}  # fmt: skip


def instructions() -> list[tuple[str, str]]:
    """Every instruction with its arguments, continued lines joined and comments left out."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    parts = [line.strip().partition(" ") for line in joined.splitlines() if line.strip()]
    return [(name, arguments.strip()) for name, _, arguments in parts]


def of(name: str) -> list[str]:
    return [arguments for found, arguments in instructions() if found == name]


def environment() -> dict[str, str]:
    (variables,) = of("ENV")
    return dict(part.split("=", 1) for part in shlex.split(variables))


def test_it_has_instructions_that_there_are_and_two_stages() -> None:
    assert {name for name, _ in instructions()} <= INSTRUCTIONS
    build, final = of("FROM")
    assert build == f"{final} AS build"


def test_its_python_is_one_the_package_takes() -> None:
    (version,) = {re.match(r"python:(\d+\.\d+)-slim-", image)[1] for image in of("FROM")}  # type: ignore[index]
    least = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    assert tuple(map(int, version.split("."))) >= tuple(map(int, least.split(".")))


def test_what_it_copies_exists_and_reaches_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    let_through = [line[1:] for line in ignored if line.startswith("!")]
    assert ignored[0] == "*"
    copied = [part.split()[:-1] for part in of("COPY") if not part.startswith("--from=build ")]
    assert copied
    for source in (source for sources in copied for source in sources):
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source, pattern) for pattern in let_through), source


def test_what_the_package_is_built_from_is_copied() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    copied = {source for part in of("COPY") for source in part.split()[:-1]}
    needed = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    needed |= set(project["tool"]["setuptools"]["packages"]["find"]["where"])
    assert needed <= copied


def test_its_pip_installs_only_what_is_locked() -> None:
    locked, own = [run for run in of("RUN") if "pip install" in run]
    assert "--require-hashes -r requirements/runtime.lock" in locked
    assert "--no-deps --no-build-isolation ." in own
    build_tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    lock = (ROOT / "requirements" / "runtime.lock").read_text()
    for tool in build_tools:
        assert re.search(rf"^{re.split('[<>=]', tool)[0]}==", lock, re.MULTILINE), "there is no isolated build"


def test_its_settings_are_settings_of_the_service() -> None:
    ours = {name: value for name, value in environment().items() if name.startswith("POOLWRIGHT_")}
    assert {name.removeprefix("POOLWRIGHT_").lower() for name in ours} <= set(Settings.model_fields)
    assert ours["POOLWRIGHT_DATA_DIR"] == of("VOLUME")[0]
    assert ours["POOLWRIGHT_PORT"] == of("EXPOSE")[0]


def test_it_does_not_run_as_root() -> None:
    (user,) = of("USER")
    assert f" {user} " in f" {of('RUN')[-1]} "
    names = [name for name, _ in instructions()]
    assert names.index("USER") > max(index for index, name in enumerate(names) if name == "RUN")


def test_its_command_is_one() -> None:
    (entry,), (command,) = of("ENTRYPOINT"), of("CMD")
    ended = subprocess.run(
        [Path(sys.executable).with_name(json.loads(entry)[0]), *json.loads(command), "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout.startswith("Usage: poolwright up")


@pytest.mark.parametrize("healthy", [True, False])
def test_its_health_check_tells_whether_the_service_answers(healthy: bool, tmp_path: Path) -> None:
    (check,) = of("HEALTHCHECK")
    program, *arguments = json.loads(check.partition("CMD ")[2])
    assert program == "python"
    service = Service(tmp_path / "data").start()
    port = service.url.rpartition(":")[2]
    if not healthy:
        service.kill()
    try:
        ended = subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, "POOLWRIGHT_PORT": port, "POOLWRIGHT_DATA_DIR": str(service.data_dir)},
            capture_output=True,
            check=False,
        )
        assert (ended.returncode == 0) == healthy
    finally:
        if service.is_running:
            service.kill()
