"""From paths to a report: which files are read, by what, and what each holds.

Invariant: a file that cannot be read is in the report with the place and the reason; the others are read all the same.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

from poolwright.domain.profile import Profile
from poolwright.lint.arm_templates import Given, is_template, parameters_in, read_template
from poolwright.lint.az_commands import read_script
from poolwright.lint.catalogs import Catalogs
from poolwright.lint.decision import Decider
from poolwright.lint.findings import TEMPLATE, Finding, LintedPool, LintReport
from poolwright.lint.guard import within_limits
from poolwright.lint.json_text import JsonText
from poolwright.lint.pools import Reading
from poolwright.lint.terraform import is_terraform, read_terraform
from poolwright.lint.texts import Broken, Place, Text, read_text
from poolwright.lint.yaml_files import read_yaml
from poolwright.reports.sarif import Level

_JSON: Final = (".json", ".tfstate", ".jsonc")
_YAML: Final = (".yaml", ".yml")
_SHELL: Final = (".sh", ".bash", ".zsh", ".ksh")
_READ: Final = (*_JSON, *_YAML, *_SHELL)
# What is no input itself, and what makes one of it.
_SOURCES: Final = {
    ".bicep": "give what `bicep build` (az bicep build) prints of it",
    ".tf": "give what `terraform show -json PLAN` prints",
    ".tfplan": "give what `terraform show -json PLAN` prints",
    ".ps1": "PowerShell is not read; give the template, or a script for a shell such as bash",
}
_LEFT_OUT: Final = frozenset((".git", ".terraform", "node_modules", ".venv", "venv", "__pycache__", ".tox"))
_MAX_FILES: Final = 100_000
_SHEBANG: Final = re.compile(r"#!\s*\S*/(?:env\s+(?:-\S+\s+)*)?(?:ba|z|k|da)?sh\b")
# Where none of these words stands, there is no node pool.
_RELEVANT: Final = re.compile(
    r"Microsoft\.ContainerService/managedClusters|azurerm_kubernetes_cluster|azure_rm_aks|\baks[\s\\^]+(?:create|nodepool)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to lint. `skip_unrelated` leaves out named files without a word about node pools, as in folders."""

    profile: Profile = Profile.DOCUMENTED
    given: Given = field(default_factory=Given)
    skip_unrelated: bool = False


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    name: str
    is_named: bool


class UnusableParameters(ValueError):
    """Values of parameters that cannot be used; says why."""


def settings_of(
    profile: str, parameters: Sequence[str], location: str | None, *, skip_unrelated: bool = False
) -> Settings:
    """Return the settings. `parameters` are files of parameters or NAME=VALUE, the last of a name counts.

    Raises `UnusableParameters`.
    """
    values: dict[str, Any] = {}
    for text in parameters:
        name, equals, value = text.partition("=")
        if equals and not Path(text).is_file() and not text.startswith("@"):
            values[name.strip().lower()] = _json_or_text(value)
            continue
        path = Path(text.removeprefix("@"))
        try:
            values |= parameters_in(JsonText(read_text(path, str(path))))
        except Broken as broken:
            raise UnusableParameters(f"--parameters: {broken}") from broken
    return Settings(profile=Profile(profile), given=Given(values, location), skip_unrelated=skip_unrelated)


def _json_or_text(text: str) -> Any:
    """A value as az takes it: JSON where it is, else a text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def lint(paths: Sequence[Path], settings: Settings, catalogs: Catalogs, today: date) -> LintReport:
    """Return what is to be said about the node pools in files and folders; sizes retire by `today`."""
    decider = Decider(catalogs, settings.profile, today)
    pools: list[LintedPool] = []
    mistakes: list[Finding] = []
    broken: list[tuple[Place, str]] = []
    read = skipped = 0
    for file in _files(paths, broken):
        try:
            text = read_text(file.path, file.name)
            reader = _reader(file, text)
            if (settings.skip_unrelated or not file.is_named) and _RELEVANT.search(text.content) is None:
                skipped += 1
                continue
            read += 1
            reading = reader(text, settings.given, broken)
        except Broken as problem:
            broken.append((problem.place, problem.reason))
            continue
        except RecursionError:
            broken.append((Place(file.name, 1, 1), "the file is nested too deeply to be read"))
            continue
        pools += [decider.linted(pool) for pool in reading.pools]
        mistakes += [Finding(TEMPLATE, Level.ERROR, each.place, each.message, each.remedy) for each in reading.mistakes]
    return LintReport(settings.profile, pools, mistakes, sorted(broken), read, skipped)


Reader = Callable[[Text, Given, list[tuple[Place, str]]], Reading]


def _reader(file: _File, text: Text) -> Reader:
    """What reads the file: by its ending, else by how it begins. Raises `Broken`."""
    ending = file.path.suffix.lower()
    if ending in _SOURCES:
        raise Broken(text.place(0), f"this kind of file is not read: {_SOURCES[ending]}")
    if ending in _JSON:
        return _read_json
    if ending in _YAML:
        return _read_yaml
    if ending in _SHELL or _SHEBANG.match(text.content):
        return _read_shell
    if text.content.lstrip()[:1] in ("{", "["):
        return _read_json
    raise Broken(
        text.place(0),
        f"what this file is cannot be told: its name ends with none of {', '.join(_READ)}, and it begins with neither "
        "JSON nor a line such as #!/bin/bash",
    )


def _read_json(text: Text, given: Given, broken: list[tuple[Place, str]]) -> Reading:
    document = JsonText(text)
    if is_terraform(document.value):
        return read_terraform(document, given)
    if is_template(document.value):
        return read_template(document, given)
    return Reading()  # also a file of parameters: --parameters takes those


def _read_yaml(text: Text, given: Given, broken: list[tuple[Place, str]]) -> Reading:
    reading, wrong = within_limits(text, lambda: read_yaml(text, given))
    broken += wrong
    return reading


def _read_shell(text: Text, given: Given, broken: list[tuple[Place, str]]) -> Reading:
    reading, wrong = within_limits(text, lambda: read_script(text, given))
    broken += wrong
    return reading


def _files(paths: Iterable[Path], broken: list[tuple[Place, str]]) -> Iterator[_File]:
    """The files named and those in folders, each once, in the order of their names."""
    seen: set[Path] = set()
    for path in paths:
        if path.is_dir():
            found: Iterator[_File] = (_File(each, str(each), False) for each in _in_folder(path, broken))
        else:
            found = iter((_File(path, str(path), True),))
        for file in found:
            real = file.path.resolve()
            if real in seen:
                continue
            seen.add(real)
            if len(seen) > _MAX_FILES:
                broken.append((Place(str(path), 1, 1), f"there are more than {_MAX_FILES} files; name fewer folders"))
                return
            yield file


def _in_folder(folder: Path, broken: list[tuple[Place, str]]) -> Iterator[Path]:
    def told(error: OSError) -> None:
        broken.append((Place(str(error.filename), 1, 1), f"the folder cannot be read: {error.strerror}"))

    for place, folders, names in os.walk(folder, onerror=told):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        for name in sorted(names):
            if not name.lower().endswith(_READ):
                continue
            file = Path(place) / name
            # A pipe would be waited for without end.
            if file.exists() and not file.is_file():
                broken.append((Place(str(file), 1, 1), "it is no regular file and was not read"))
                continue
            yield file
