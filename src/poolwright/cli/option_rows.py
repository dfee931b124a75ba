"""Options as rows of a table: how each is spelled, what its words become, and which property of ARM it says.

Invariant: a row is read here and nowhere else, so every command that takes it takes the same words.
"""

from __future__ import annotations

import base64
import functools
import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, get_type_hints

import typer

from poolwright.cli.output import Json

# Which list options may stand without a value, as with az: none of the pairs is a value, too.
PAIRS_SHOWN: Final = "KEY=VALUE ..."
_PORTS: Final = re.compile(r"(\d+)(?:-(\d+))?/(tcp|udp)", re.IGNORECASE)
_FILE: Final[Mapping[str, Any]] = {"exists": True, "dir_okay": False, "readable": True, "metavar": "FILE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How the words of an option are read.

    `annotation` and `settings` are typer's; `become` makes ARM's value of what typer has read, or raises `ValueError`.
    `says` is the one value that an option without words says.
    """

    annotation: Any
    settings: Mapping[str, Any] = field(default_factory=dict)
    become: Callable[[Any], Any] = lambda read: read
    says: Any = None


@dataclass(frozen=True, slots=True)
class Beside:
    """Without what an option makes no sense: a property, and the value that it has to have, None being any.

    `in_words`: another option has to say it; what a node pool has already does not count.
    """

    path: str
    value: Any = None
    in_words: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionRow:
    """An option: its spellings, parted by blanks, and the path of the property it says.

    `needs` are the paths of what has to be said with it.
    """

    words: str
    path: str
    form: Form
    help: str
    only_with: Beside | None = None
    needs: tuple[str, ...] = ()

    @property
    def spelling(self) -> str:
        """The option as messages name it."""
        return self.words.split()[0]

    @property
    def parameter(self) -> str:
        return self.spelling.lstrip("-").replace("-", "_")

    @property
    def annotation(self) -> Any:
        return Annotated[self.form.annotation, typer.Option(*self.words.split(), help=self.help, **self.form.settings)]

    def value(self, read: Any) -> Any:
        """Return ARM's value of what was given. Raises `typer.BadParameter`."""
        try:
            return self.form.become(read)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint=self.spelling) from error


def with_options(**tables: Sequence[OptionRow]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command the options of each table; what was given comes as one `Asked`."""

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command).parameters.values():
            if parameter.name in tables:
                parameters += [
                    inspect.Parameter(
                        row.parameter, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=row.annotation
                    )
                    for row in tables[parameter.name]
                ]
            else:
                own = parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY)
                parameters.append(own)

        @functools.wraps(command)
        def gathered(**given: Any) -> None:
            for name, rows in tables.items():
                given[name] = asked((row, given.pop(row.parameter)) for row in rows)
            command(**given)

        gathered.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
        gathered.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return gathered

    return decorated


class Asked(dict[str, Any]):
    """What options ask for: ARM's values by the path of their property, `upgradeSettings.maxSurge`.

    `rows` are the options that were given.
    """

    def __init__(self, values: Mapping[str, Any], rows: Iterable[OptionRow] = ()) -> None:
        super().__init__(values)
        self.rows = tuple(rows)


def asked(given: Iterable[tuple[OptionRow, Any]]) -> Asked:
    """Return what options ask for, None being not given. Raises `typer.BadParameter`, also where two say the same."""
    values: dict[str, Any] = {}
    said: dict[str, OptionRow] = {}
    for row, read in given:
        if read is None:
            continue
        if row.path in said:
            raise typer.BadParameter(
                f"cannot be given together with {said[row.path].spelling}: both say {row.path}; leave one of them out",
                param_hint=row.spelling,
            )
        said[row.path] = row
        values[row.path] = row.value(read)
    return Asked(values, said.values())


def refuse_alone(asked: Asked, offered: Sequence[OptionRow], otherwise: Mapping[str, Any]) -> None:
    """Raise `typer.BadParameter` for an option that makes no sense without another one of those offered.

    `otherwise` are the properties that hold where nothing is asked.
    """
    for row in asked.rows:
        beside = row.only_with
        if beside is not None:
            has = asked.get(beside.path, None if beside.in_words else _at(otherwise, beside.path))
            if has is None or (beside.value is not None and has != beside.value):
                others = " or ".join(_saying(offered, beside.path, beside.value))
                raise typer.BadParameter(f"goes only with {others}", param_hint=row.spelling)
        if not asked.keys() >= {*row.needs}:
            needed = " and ".join(name for path in row.needs for name in _saying(offered, path, None))
            raise typer.BadParameter(f"needs {needed}", param_hint=row.spelling)


def _saying(offered: Sequence[OptionRow], path: str, value: Any) -> list[str]:
    """The options that say this value of the property, as they are written; a value of None is any."""
    return [
        row.spelling if value is None or row.form.says is not None else f"{row.spelling} {value}"
        for row in offered
        if row.path == path and (value is None or row.form.says in (None, value))
    ]


def _at(properties: Mapping[str, Any], path: str) -> Any:
    name, _, rest = path.partition(".")
    found = properties.get(name)
    return _at(found, rest) if rest and isinstance(found, Mapping) else None if rest else found


def put_in(properties: Mapping[str, Any], path: str, value: Any) -> Json:
    """Return the properties with one more, at its path; what was given stays as it is."""
    name, _, rest = path.partition(".")
    return {**properties, name: put_in(properties.get(name) or {}, rest, value) if rest else value}


def all_in(asked: Mapping[str, Any]) -> Json:
    """Return what was asked for as ARM writes it."""
    return functools.reduce(lambda body, item: put_in(body, *item), asked.items(), {})


def in_any_case(values: Mapping[str, Any], *, shown: str | None = None) -> dict[str, Any]:
    """Return what makes an option take one of the names in any case, complete them, and show them as documented.

    typer's own `case_sensitive=False` shows them in lower case.
    """
    known = {name.lower(): value for name, value in values.items()}

    def read(text: str) -> Any:
        if text.lower() not in known:
            raise typer.BadParameter(f"'{text}' is not one of {', '.join(repr(name) for name in values)}.")
        return known[text.lower()]

    def complete(incomplete: str) -> list[str]:
        return [name for name in values if name.lower().startswith(incomplete.lower())]

    return {"parser": read, "autocompletion": complete, "metavar": shown or "|".join(values)}


def choice(*values: str, shown: str | None = None) -> Form:
    """Return the form of an option that takes one of the values, in any case, and completes them."""
    return Form(annotation=str | None, settings=in_any_case({value: value for value in values}, shown=shown))


def number(low: int | None = None, high: int | None = None) -> Form:
    return Form(annotation=int | None, settings={"min": low, "max": high})


def switch(value: Any) -> Form:
    """Return the form of an option that takes no value and says this one."""
    return Form(annotation=bool | None, become=lambda _: value, says=value)


def labels(texts: Sequence[str]) -> dict[str, str]:
    """Return `a=b` texts as a mapping, empty for one empty text. Raises `ValueError`."""
    return _pairs(texts, bare=False)


def tags(texts: Sequence[str]) -> dict[str, str]:
    """Return `a=b` and `a` texts as a mapping, empty for one empty text. Raises `ValueError`."""
    return _pairs(texts, bare=True)


def _pairs(texts: Sequence[str], *, bare: bool) -> dict[str, str]:
    given: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if text and not (name and (equals or bare)):
            raise ValueError(f"'{text}' is not of the form key{'[=value]' if bare else '=value'}")
        if text:
            given[name] = value
    return given


def listed(text: str) -> list[str]:
    """Return comma-separated values."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _price(price: float) -> float:
    digits = Decimal(str(price)).normalize().as_tuple().exponent
    if (price <= 0 and price != -1) or not isinstance(digits, int) or digits < -5:
        raise ValueError(f"{price:g} is neither -1 (up to on demand) nor above 0 with at most five decimals")
    return price


def _ports(texts: Sequence[str]) -> list[Json]:
    ranges = []
    for text in texts:
        match = _PORTS.fullmatch(text)
        if match is None:
            raise ValueError(f"'{text}' is not of the form 80/tcp or 4000-5000/udp")
        first, last, protocol = match.groups()
        ranges.append({"portStart": int(first), "portEnd": int(last or first), "protocol": protocol.upper()})
    return ranges


def _ip_tags(texts: Sequence[str]) -> list[Json]:
    return [{"ipTagType": name, "tag": value} for name, value in tags(texts).items()]


def _json_object(path: Path) -> Json:
    try:
        read = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(read, dict):
        raise ValueError(f"{path} has no JSON object, whose first character is '{{'")
    return read


def _message(path: Path) -> str:
    """The text as ARM has it, in base64."""
    text = path.read_bytes()
    if not text.isascii():
        raise ValueError(f"{path} has characters beyond ASCII")
    return base64.b64encode(text).decode()


def _one_size(text: str) -> str:
    if len(listed(text)) != 1:
        raise ValueError(
            f"a node pool begins with one size, not '{text}'; `poolwright az aks nodepool manual-scale add` adds others"
        )
    return listed(text)[0]


TEXT: Final = Form(annotation=str | None)
WORDS: Final = Form(annotation=list[str] | None)
LABELS: Final = Form(annotation=list[str] | None, settings={"metavar": PAIRS_SHOWN}, become=labels)
TAGS: Final = Form(annotation=list[str] | None, settings={"metavar": PAIRS_SHOWN}, become=tags)
IP_TAGS: Final = Form(annotation=list[str] | None, settings={"metavar": PAIRS_SHOWN}, become=_ip_tags)
TAINTS: Final = Form(annotation=str | None, become=listed)
PRICE: Final = Form(annotation=float | None, become=_price)
PORTS: Final = Form(annotation=list[str] | None, settings={"metavar": "PORTS/PROTOCOL ..."}, become=_ports)
ONE_SIZE: Final = Form(annotation=str | None, become=_one_size)
JSON_FILE: Final = Form(annotation=Path | None, settings=_FILE, become=_json_object)
MESSAGE_FILE: Final = Form(annotation=Path | None, settings=_FILE, become=_message)
PART_OF: Final = Form(annotation=str | None, settings={"metavar": "N|N%"})
