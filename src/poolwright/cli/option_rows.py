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
# What azure.mgmt.core.tools.is_valid_resource_id takes.
_RESOURCE_ID: Final = re.compile(
    r"/subscriptions/[^/]+(/resourceGroups/[^/]+)?(/providers/[^/]+(/[^/]+/[^/]+)+)+", re.IGNORECASE
)
_FILE: Final[Mapping[str, Any]] = {"metavar": "FILE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How the words of an option are read.

    `annotation` and `settings` are typer's; `become` makes ARM's value of what typer has read, None being as good as
    not given, or raises `ValueError`. `says` is the one value that an option without words says.
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


@dataclass(frozen=True, slots=True)
class Against:
    """With what an option is not taken: a property's value; and why, with the way round."""

    path: str
    value: Any
    why: str


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
    against: Against | None = None
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
        value = row.value(read)
        if value is not None:
            said[row.path], values[row.path] = row, value
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
        against = row.against
        if against is not None and asked.get(against.path, _at(otherwise, against.path)) == against.value:
            raise typer.BadParameter(
                f"does not go with {against.path} {against.value}: {against.why}", param_hint=row.spelling
            )
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


def in_any_case(values: Mapping[str, Any], *, shown: str | None = None, or_blank: bool = False) -> dict[str, Any]:
    """Return what makes an option take one of the names in any case, complete them, and show them as documented.

    typer's own `case_sensitive=False` shows them in lower case. `or_blank`: "" is as good as not given.
    """
    known = {name.lower(): value for name, value in values.items()}

    def read(text: str) -> Any:
        if or_blank and not text:
            return None
        if text.lower() not in known:
            raise typer.BadParameter(f"'{text}' is not one of {', '.join(repr(name) for name in values)}.")
        return known[text.lower()]

    def complete(incomplete: str) -> list[str]:
        return [name for name in values if name.lower().startswith(incomplete.lower())]

    return {"parser": read, "autocompletion": complete, "metavar": shown or "|".join(values)}


def choice(*values: str, shown: str | None = None, or_blank: bool = False) -> Form:
    """Return the form of an option that takes one of the values, in any case, and completes them."""
    settings = in_any_case({value: value for value in values}, shown=shown, or_blank=or_blank)
    return Form(annotation=str | None, settings=settings)


def number(low: int | None = None, high: int | None = None, *, zero_is_unsaid: bool = False) -> Form:
    """Return the form of an option that takes a whole number, as Python's `int` reads it, as az does.

    `zero_is_unsaid`: az sends no 0.
    """

    def become(text: str) -> int | None:
        value = whole_number(text)
        if zero_is_unsaid and value == 0:
            return None
        if (low is not None and value < low) or (high is not None and value > high):
            raise ValueError(f"{value} is not {f'from {low} to {high}' if high is not None else f'{low} or more'}")
        return value

    return Form(annotation=str | None, settings={"metavar": "N" if high is None else f"{low}-{high}"}, become=become)


def whole_number(text: str) -> int:
    """Return the number. Raises `ValueError`."""
    try:
        return int(text)
    except ValueError as error:
        raise ValueError(f"'{text}' is no whole number") from error


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


def _taints(text: str) -> list[str]:
    """The taints with their blanks, which the service refuses, as az does."""
    return text.split(",") if text else []


def _part_of(text: str) -> str:
    try:
        if int(text.removesuffix("%")) >= 0:
            return text
    except ValueError:
        pass
    raise ValueError(f"'{text}' is neither a number of machines, such as 1, nor a part of them, such as 33%")


def _resource_id(text: str) -> str:
    if _RESOURCE_ID.fullmatch(text) is None:
        raise ValueError(
            f"'{text}' is no resource ID, such as /subscriptions/ID/resourceGroups/GROUP/providers/NAMESPACE/TYPE/NAME"
        )
    return text


def _resource_ids(texts: Sequence[str]) -> list[str]:
    return [_resource_id(text) for text in texts]


def _or_unsaid(become: Callable[[str], Any]) -> Callable[[str], Any]:
    """An empty text, as a script has it from a variable that is not set, is as good as not given."""
    return lambda text: become(text) if text else None


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


def _ip_tags(texts: Sequence[str]) -> list[Json] | None:
    return [{"ipTagType": name, "tag": value} for name, value in tags(texts).items()] or None


def _json_object(name: str) -> Json:
    try:
        read = json.loads(_content(name))
    except ValueError as error:
        raise ValueError(f"{name} is no JSON: {error}") from error
    if not isinstance(read, dict):
        raise ValueError(f"{name} has no JSON object, whose first character is '{{'")
    return read


def _message(name: str) -> str:
    """The text as ARM has it, in base64."""
    text = _content(name)
    if not text.isascii():
        raise ValueError(f"{name} has characters beyond ASCII")
    return base64.b64encode(text).decode()


def _content(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise ValueError(f"file '{name}' cannot be read: {error.strerror}") from error


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
TAINTS: Final = Form(annotation=str | None, become=_taints)
PRICE: Final = Form(annotation=float | None, become=_price)
PORTS: Final = Form(annotation=list[str] | None, settings={"metavar": "PORTS/PROTOCOL ..."}, become=_ports)
ONE_SIZE: Final = Form(annotation=str | None, become=_one_size)
JSON_FILE: Final = Form(annotation=str | None, settings=_FILE, become=_or_unsaid(_json_object))
MESSAGE_FILE: Final = Form(annotation=str | None, settings=_FILE, become=_or_unsaid(_message))
PART_OF: Final = Form(annotation=str | None, settings={"metavar": "N|N%"}, become=_part_of)
WHOLE_ID: Final = Form(annotation=str | None, settings={"metavar": "ID"}, become=_resource_id)
ID: Final = Form(annotation=str | None, settings={"metavar": "ID"}, become=_or_unsaid(_resource_id))
IDS: Final = Form(annotation=list[str] | None, settings={"metavar": "ID ..."}, become=_resource_ids)
