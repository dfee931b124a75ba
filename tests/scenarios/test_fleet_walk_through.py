"""The walk-through of docs/fleet.md, as printed there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.support.service import ServiceProcess

DOCUMENT = Path(__file__).parents[2] / "docs" / "fleet.md"


def block(name: str) -> str:
    found = re.search(rf"<!-- walk-through: {re.escape(name)} -->\n```\w*\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert found is not None, name
    return found[1]


def test_the_walk_through_is_true_word_for_word(fresh: ServiceProcess, tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(block("fleet.yaml"))
    fresh.start(profile="azure-2026", seed=tmp_path / "fleet.yaml")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("POOLWRIGHT_", "AZURE_"))}
    environment["POOLWRIGHT_DATA_DIR"] = str(fresh.data_dir)
    lines = block("commands").splitlines()
    assert len(lines) > 8
    for line in lines:
        command, _, comment = line.partition("#")
        assert command.startswith("poolwright ")
        ended = subprocess.run(
            [
                "/bin/sh",
                "-c",
                f"{shlex.quote(sys.executable)} -m poolwright.cli.main {command.removeprefix('poolwright ')}",
            ],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        wanted = int(told[1]) if (told := re.search(r"ends with (\d)", comment)) else 0
        assert ended.returncode == wanted, (line, ended)
        if "prints kubectl's lines for web" in comment:
            assert "kubectl cordon -l kubernetes.azure.com/agentpool=web" in ended.stderr
        pools = {
            pool["name"]
            for pool in fresh.client.get(f"{fresh.client.cluster('prod', 'shop')}/agentPools").json()["value"]
        }
        for name in re.findall(r"adds (\w+)|(\w+) is there", comment):
            assert "".join(name) in pools, line
        for name in re.findall(r"(\w+) is gone", comment):
            assert name not in pools, line
    assert pools == {"systemg2", "webg2", "fast"}
    assert "| web | webg2 | moved |" in (tmp_path / "report.md").read_text()
