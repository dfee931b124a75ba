"""The command line as a function of its arguments, in this process."""

from __future__ import annotations

import contextlib
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from poolwright.cli.main import main
from tests.support.service import ServiceProcess


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """All of stdout, as the JSON it must be."""
        return json.loads(self.out)


class CommandLine:
    """`poolwright ...` against one data directory."""

    def __call__(self, *arguments: str) -> Ended:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
            main(arguments)
        code = end.value.code
        return Ended(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())

    def done(self, *arguments: str) -> Ended:
        """Like calling it, and the command must have succeeded."""
        ended = self(*arguments)
        assert ended.code == 0, ended
        return ended


@pytest.fixture(autouse=True)
def no_service_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("POOLWRIGHT_", "AZURE_")) or name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("POOLWRIGHT_DATA_DIR", str(tmp_path / "nothing-here"))


@pytest.fixture
def alone() -> CommandLine:
    """The command line where no service was ever started."""
    return CommandLine()


@pytest.fixture
def poolwright(service: ServiceProcess, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line on the module's service."""
    monkeypatch.setenv("POOLWRIGHT_DATA_DIR", str(service.data_dir))
    return CommandLine()


@pytest.fixture(scope="module")
def cluster(service: ServiceProcess) -> ServiceProcess:
    """The module's service with cluster c1 in resource group rg."""
    service.client.make_cluster()
    return service
