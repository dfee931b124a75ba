"""Takes secrets out of what is kept or shown of a request.

Invariant: below a name that may stand for a secret, and in what a template's parameter is given that is not
declared as plain beside it, no text and no number is left; the structure stays, so that one still sees what was sent.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import orjson

from poolwright.arm.sent import HOLD_SECRETS, MAX_DEPTH

MASK: Final = "***"
# What was decided of a longer name or query is not remembered: anybody could fill the memory with them.
_MOST_REMEMBERED: Final = 1024
# A name that contains one of these is taken to hold a secret: better one mask too many.
_TELLING_NAMES: Final = re.compile(
    r"password|secret|token|kubeconfig|credential|passphrase|connection_?string|authorization|key-data|"
    r"(private|access|account|api|shared|storage)[-_]?key",
    re.IGNORECASE,
)
# Secrets that give themselves away wherever they stand: JSON Web Tokens, PEM keys, kubeconfigs, authorization headers,
# the password in an address (a proxy's, say), Azure's connection strings and signed addresses.
# A word is looked at from its beginning alone: a text of many `eyJ` would take minutes.
_TELLING_VALUES: Final = re.compile(
    r"(?<![\w-])(?=[\w-]*+\.[\w-]{8,}+\.)[\w-]*?eyJ[\w-]{8}|PRIVATE KEY-----|client-key-data|"
    r"apiVersion: *v1\s+kind: *Config|"
    r"\b(bearer|basic) \S{8,}|://[^\s/?#:@]*:[^\s/?#@]+@|(Account|SharedAccess)Key=|SharedAccessSignature|[?&]sig=",
    re.IGNORECASE,
)
# What holds a secret in the query of Azure's own addresses: signatures, codes of a sign-in, keys of functions.
_TELLING_QUERY_NAMES: Final = frozenset({"sig", "code", "key"})
# Where a template declares types, and what stands beside the values that a deployment gives to its parameters.
_DECLARING: Final = frozenset({"parameters", "outputs", "definitions"})
_TEMPLATES: Final = frozenset({"template", "templatelink", "parameterslink"})
_NOT_PLAIN: Final = (b'"securestring"', b'"secureobject"', b'"$ref"')
_DROPPED_HEADERS: Final = re.compile(r"auth|cookie|key|" + _TELLING_NAMES.pattern)
_DULL_HEADERS: Final = frozenset(
    {"host", "connection", "accept", "accept-encoding", "accept-language", "content-length", "transfer-encoding"}
)


def masked(value: Any, *, inside: bool = False, depth: int = 0) -> Any:
    """Return a JSON value with its secrets masked at every depth. `inside`: it stands below a telling name."""
    if depth > MAX_DEPTH:
        return MASK
    if isinstance(value, dict):
        return {
            name: _masked_section(name.lower(), part, value, inside=inside, depth=depth + 1)
            if isinstance(part, dict) and name.lower() in _DECLARING
            else masked(part, inside=inside or is_telling(name) or _is_out_of_place(name, part), depth=depth + 1)
            for name, part in value.items()
        }
    if isinstance(value, list):
        return [masked(part, inside=inside, depth=depth + 1) for part in value]
    if value is None or isinstance(value, bool) or value == "":
        return value
    return MASK if inside or (isinstance(value, str) and _TELLING_VALUES.search(value)) else value


def _is_out_of_place(name: str, part: Any) -> bool:
    """Whether something else stands where an object with secrets belongs, or a text where a template does."""
    return (name.lower() in HOLD_SECRETS and not isinstance(part, dict)) or (
        name.lower() == "template" and isinstance(part, str)
    )


def _masked_section(section: str, entries: dict[str, Any], around: dict[str, Any], *, inside: bool, depth: int) -> Any:
    """A section of a template, or the values that a deployment gives to the parameters of the template beside them."""
    is_given = section == "parameters" and any(name.lower() in _TEMPLATES for name in around)
    plain = _plain_parameters(around) if is_given else frozenset()
    shown = {}
    for name, part in entries.items():
        is_plain = name.lower() in plain if is_given else _is_plain(part, is_output=section == "outputs")
        shown[name] = masked(part, inside=inside or is_telling(name) or not is_plain, depth=depth + 1)
        if not is_given and isinstance(part, dict) and f'"{part.get("type")}"'.lower().encode() in _NOT_PLAIN:
            shown[name]["type"] = part["type"]
    return shown


def _plain_parameters(around: dict[str, Any]) -> frozenset[str]:
    """The parameters that the template beside declares, none of them as secure; names count without case."""
    declared = [
        (name.lower(), _is_plain(definition))
        for key, template in around.items()
        if key.lower() == "template" and isinstance(template, dict)
        for section, definitions in template.items()
        if section.lower() == "parameters" and isinstance(definitions, dict)
        for name, definition in definitions.items()
    ]
    secret = {name for name, is_plain in declared if not is_plain}
    return frozenset(name for name, _ in declared) - secret


def _is_plain(declaration: Any, *, is_output: bool = False) -> bool:
    """Whether it declares a type that is not secure, nor has a part that is, nor is told elsewhere."""
    if not isinstance(declaration, dict) or "type" not in declaration or ("value" in declaration and not is_output):
        return False
    try:
        written = orjson.dumps(declaration).lower()
    except orjson.JSONEncodeError:  # nested too deeply
        return False
    return not any(word in written for word in _NOT_PLAIN)


def is_telling(name: str) -> bool:
    """Whether a property of that name may hold a secret."""
    return _is_telling(name) if len(name) <= _MOST_REMEMBERED else _is_telling.__wrapped__(name)


@lru_cache(maxsize=1024)
def _is_telling(name: str) -> bool:
    return _TELLING_NAMES.search(name) is not None


def without_secrets(query: bytes) -> bytes:
    """Return a query string with the values of telling names masked."""
    return _without_secrets(query) if len(query) <= _MOST_REMEMBERED else _without_secrets.__wrapped__(query)


@lru_cache(maxsize=1024)
def _without_secrets(query: bytes) -> bytes:
    parts = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    shown = [
        (name, masked(value, inside=is_telling(name) or name.lower() in _TELLING_QUERY_NAMES)) for name, value in parts
    ]
    return urlencode(shown).encode() if shown != parts else query


class _Kept(dict[bytes, bool]):
    """Decides for each name of a header once. Every request asks about all of its headers, so a look-up has to do."""

    def __missing__(self, header: bytes) -> bool:
        if len(self) >= _MOST_HEADERS:
            self.clear()
        name = header.decode("latin-1")
        kept = name not in _DULL_HEADERS and _DROPPED_HEADERS.search(name) is None
        if len(header) <= _MOST_REMEMBERED:
            self[header] = kept
        return kept


_MOST_HEADERS: Final = 1024
# Whether a request header, in lower case, may be kept and says anything.
IS_KEPT: Final = _Kept()
