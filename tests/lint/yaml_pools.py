"""The node pools of YAML, for tests of its parts."""

from __future__ import annotations

from poolwright.lint.arm_templates import Given
from poolwright.lint.pools import FoundPool
from poolwright.lint.texts import Place, Text
from poolwright.lint.yaml_files import read_yaml


def read(content: str) -> tuple[list[FoundPool], list[tuple[Place, str]]]:
    """The node pools in the YAML, and what in it cannot be read."""
    reading, wrong = read_yaml(Text("f", content), Given())
    return reading.pools, wrong
