"""From paths to a report: which files are read, by what, and what each holds.

Invariant: a file that cannot be read is in the report with the place and the reason; the others are read all the same.
A report of nothing at all never looks like one of nothing wrong.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from poolwright.domain.profile import Profile
from poolwright.lint.arm_templates import Given, Sent, is_parameters, is_template, parameters_in, read_template
from poolwright.lint.az_commands import read_script
from poolwright.lint.catalogs import Catalogs
from poolwright.lint.decision import Decider
from poolwright.lint.findings import UNRELATED, Finding, LintedPool, LintReport, finding_of
from poolwright.lint.guard import within_limits
from poolwright.lint.json_text import JsonText
from poolwright.lint.kinds import PARAMETERS, WITHOUT_VALUE
from poolwright.lint.pools import ARM, Parameters, Reading
from poolwright.lint.terraform import is_terraform, read_terraform
from poolwright.lint.texts import Broken, Place, Text, read_text
from poolwright.lint.versions import about_versions
from poolwright.lint.yaml_files import read_yaml
from poolwright.reports.sarif import Level
from poolwright.templates.parameters import not_declared

_JSON: Final = (".json", ".tfstate", ".jsonc")
_YAML: Final = (".yaml", ".yml")
_SHELL: Final = (".sh", ".bash", ".zsh", ".ksh")
_READ: Final = (*_JSON, *_YAML, *_SHELL)
# What is no input itself, and what makes one of it.
_SOURCES: Final = {
    ".bicep": "give what `bicep build` (az bicep build) prints of it",
    ".tf": "give what `terraform show -json PLAN` prints",
    ".tfplan": "give what `terraform show -json PLAN` prints",
    ".ps1": "give the template, or instead of PowerShell a script for a shell such as bash",
}
_LEFT_OUT: Final = frozenset((".git", ".terraform", "node_modules", ".venv", "venv", "__pycache__", ".tox"))
_MAX_FILES: Final = 100_000
_SHEBANG: Final = re.compile(r"#!\s*\S*/(?:env\s+(?:-\S+\s+)*)?(?:ba|z|k|da)?sh\b")
_OTHER_KINDS: Final = "of kinds other than JSON, YAML and shell scripts"
_WITHOUT_COMMAND: Final = "without a command of az aks"
_NOT_OURS: Final = (
    "this JSON is neither an ARM template (what `bicep build` prints) nor what `terraform show -json` prints of a plan "
    "or a state; give one of them"
)
_NO_WORD: Final = (
    "nothing in this YAML tells of node pools: no command of az aks in a script, no task of azure_rm_aks; leave it "
    "out, or say with --skip-unrelated that such files may be named"
)
_PARAMETERS: Final = "this is a file of parameters: give its template, and this with --parameters"
# Where none of these words stands, there is no node pool.
_RELEVANT: Final = re.compile(
    r"Microsoft\.ContainerService/managedClusters|azurerm_kubernetes_cluster|azure_rm_aks|"
    r"\baks[\s\\^`,\"'][\s\\^`,\"'-]*(?:create|nodepool|\$)|-AzAks(?:Cluster|NodePool)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to lint. `skip_unrelated` leaves out named files without a word about node pools, as in folders."""

    profile: Profile
    given: Given = field(default_factory=Given)
    skip_unrelated: bool = False


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    name: str
    is_named: bool


class UnusableParameters(ValueError):
    """Values of parameters that cannot be used; says why. `is_missing` says that there is no such file."""

    def __init__(self, text: str, *, is_missing: bool = False) -> None:
        super().__init__(text)
        self.is_missing = is_missing


def settings_of(
    profile: str, parameters: Sequence[str], location: str | None, *, skip_unrelated: bool = False
) -> Settings:
    """Return the settings. `parameters` are files of parameters or NAME=VALUE, the last of a name counts.

    Raises `UnusableParameters`.
    """
    values: dict[str, Sent] = {}
    for text in parameters:
        name, equals, value = text.partition("=")
        if equals and not Path(text).is_file() and not text.startswith("@"):
            values[name.strip().lower()] = Sent(name.strip(), value, as_text=True)
            continue
        path = Path(text.removeprefix("@"))
        if path.suffix.lower() == ".bicepparam":
            built = f"`bicep build-params {path} --outfile parameters.json`"
            raise UnusableParameters(f"--parameters: {path}: this is Bicep: give the file that {built} writes")
        try:
            values |= parameters_in(JsonText(read_text(path, str(path))))
        except Broken as broken:
            raise UnusableParameters(f"--parameters: {broken}", is_missing=not path.exists()) from broken
    return Settings(profile=Profile(profile), given=Given(values, location), skip_unrelated=skip_unrelated)


class _OfOtherKind(Broken):
    """A file that holds nothing that is looked for."""


class _NoCommand(Exception):
    """A script that is read, and in which there is no command of az aks."""


@dataclass(slots=True)
class _Notes:
    """What is to be said about the reading itself: places that cannot be read, and why how many files were not."""

    broken: list[tuple[Place, str]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def lint(paths: Sequence[Path], settings: Settings, catalogs: Catalogs, today: date) -> LintReport:
    """Return what is to be said about the node pools in files and folders; sizes retire by `today`."""
    decider = Decider(catalogs, settings.profile, today)
    pools: list[LintedPool] = []
    mistakes: list[Finding] = []
    templates: list[Parameters] = []
    notes = _Notes()
    read = 0
    for file in _files(paths, notes):
        is_asked_for = file.is_named and not settings.skip_unrelated
        try:
            text = read_text(file.path, file.name)
            reader = _reader(file, text)
            if not is_asked_for and _RELEVANT.search(text.content) is None:
                notes.left_out[UNRELATED] += 1
                continue
            reading = reader(text, settings.given, notes.broken)
        except _OfOtherKind as problem:
            if is_asked_for:
                notes.broken.append((problem.place, problem.reason))
            else:
                notes.left_out[UNRELATED] += 1
            continue
        except _NoCommand:
            notes.left_out[_WITHOUT_COMMAND] += 1
            continue
        except Broken as problem:
            notes.broken.append((problem.place, problem.reason))
            continue
        except RecursionError:
            notes.broken.append((Place(file.name, 1, 1), "the file is nested too deeply to be read"))
            continue
        read += 1
        pools += [decider.linted(pool) for pool in reading.pools]
        mistakes += [finding_of(each) for each in reading.mistakes]
        templates += [reading.parameters] if reading.parameters is not None else []
    mistakes += _about_parameters(templates, settings.given)
    mistakes += about_versions((linted.pool for linted in pools), catalogs, settings.profile)
    if not read and not notes.broken and not notes.left_out[_WITHOUT_COMMAND] and not settings.skip_unrelated:
        notes.broken += [(Place(str(path), 1, 1), _nothing(path)) for path in paths]
    return LintReport(settings.profile, pools, mistakes, sorted(notes.broken), read, notes.left_out)


def _nothing(path: Path) -> str:
    return (
        f"nothing in {'this folder' if path.is_dir() else 'it'} tells of node pools: no ARM template, no output of "
        "terraform show -json, no command of az aks, no task of azure_rm_aks; name what is to be deployed, or say with "
        "--skip-unrelated that there may be nothing"
    )


def _about_parameters(templates: Sequence[Parameters], given: Given) -> Iterator[Finding]:
    """What ARM refuses about the parameters given, and which have no value.

    Whose parameters they are nobody says, so that one is wrong only where none of the templates takes it.
    """
    for template in templates:
        for name, place in template.without_value.items():
            message = (
                f"the parameter '{name}' has neither a value nor a default; what depends on it is unknown, unless all "
                "values it can have lead to the same"
            )
            yield Finding(WITHOUT_VALUE, Level.NOTE, place, message, ARM.gives)
    for name, sent in given.parameters.items() if templates else ():
        declaring = [template for template in templates if name in map(str.lower, template.declared)]
        refused = [template.refused[name] for template in declaring if name in template.refused]
        if refused and len(refused) == len(declaring):
            yield finding_of(refused[0])
        wrong = not_declared([sent.name], templates[0].declared) if not declaring else None
        if wrong is not None:
            place = sent.place or templates[0].place
            message = f"{type(wrong).code}: {wrong.message}"
            yield Finding(PARAMETERS, Level.ERROR, place, message, wrong.remedy or "")


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
    raise _OfOtherKind(document.place(()), _PARAMETERS if is_parameters(document.value) else _NOT_OURS)


def _read_yaml(text: Text, given: Given, broken: list[tuple[Place, str]]) -> Reading:
    reading, wrong = within_limits(text, lambda: read_yaml(text, given))
    if not reading.pools and not wrong and _RELEVANT.search(text.content) is None:
        raise _OfOtherKind(text.place(0), _NO_WORD)
    broken += wrong
    return reading


def _read_shell(text: Text, given: Given, broken: list[tuple[Place, str]]) -> Reading:
    reading, wrong = within_limits(text, lambda: read_script(text, given))
    if not (reading.pools or reading.calls or wrong):
        raise _NoCommand
    broken += wrong
    return reading


def _files(paths: Iterable[Path], notes: _Notes) -> Iterator[_File]:
    """The files named and those in folders, each once, in the order of their names."""
    seen: set[Path] = set()
    for path in paths:
        if path.is_dir():
            found: Iterator[_File] = (_File(each, str(each), False) for each in _in_folder(path, notes))
        else:
            found = iter((_File(path, str(path), True),))
        for file in found:
            real = file.path.resolve()
            if real in seen:
                continue
            seen.add(real)
            if len(seen) > _MAX_FILES:
                notes.broken.append(
                    (Place(str(path), 1, 1), f"there are more than {_MAX_FILES} files; name fewer folders")
                )
                return
            yield file


def _in_folder(folder: Path, notes: _Notes) -> Iterator[Path]:
    def told(error: OSError) -> None:
        notes.broken.append((Place(str(error.filename), 1, 1), f"the folder cannot be read: {error.strerror}"))

    for place, folders, names in os.walk(folder, onerror=told):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        for name in sorted(names):
            if not name.lower().endswith(_READ):
                ending = os.path.splitext(name)[1].lower()
                notes.left_out[f"ending in {ending}: {_SOURCES[ending]}" if ending in _SOURCES else _OTHER_KINDS] += 1
                continue
            file = Path(place) / name
            # A pipe would be waited for without end.
            if file.exists() and not file.is_file():
                notes.broken.append((Place(str(file), 1, 1), "it is no regular file and was not read"))
                continue
            yield file
