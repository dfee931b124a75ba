"""Takes secrets out of what is kept or shown of a request.

Invariant: below a name that may stand for a secret, no text and no number is left; the structure stays, so
that one still sees what was sent.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from poolwright.arm.sent import MAX_DEPTH

MASK: Final = "***"
# A name that contains one of these is taken to hold a secret: better one mask too many.
_TELLING_NAMES: Final = re.compile(
    r"password|secret|token|kubeconfig|credential|private_?key|key-data|passphrase|connection_?string|authorization",
    re.IGNORECASE,
)
# Secrets that give themselves away wherever they stand: JSON Web Tokens, PEM keys, kubeconfigs, authorization headers.
_TELLING_VALUES: Final = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]{8,}\.|PRIVATE KEY-----|client-key-data|apiVersion: *v1\s+kind: *Config|"
    r"\b(bearer|basic) \S{8,}",
    re.IGNORECASE,
)
_DROPPED_HEADERS: Final = re.compile(r"auth|cookie|key|" + _TELLING_NAMES.pattern)
_DULL_HEADERS: Final = frozenset(
    {"host", "connection", "accept", "accept-encoding", "accept-language", "content-length", "transfer-encoding"}
)


def masked(value: Any, *, inside: bool = False, depth: int = 0) -> Any:
    """Return a JSON value with its secrets masked at every depth. `inside`: it stands below a telling name."""
    if depth > MAX_DEPTH:
        return MASK
    if isinstance(value, dict):
        return {name: masked(part, inside=inside or is_telling(name), depth=depth + 1) for name, part in value.items()}
    if isinstance(value, list):
        return [masked(part, inside=inside, depth=depth + 1) for part in value]
    if value is None or isinstance(value, bool) or value == "":
        return value
    return MASK if inside or (isinstance(value, str) and _TELLING_VALUES.search(value)) else value


@lru_cache(maxsize=1024)
def is_telling(name: str) -> bool:
    """Whether a property of that name may hold a secret."""
    return _TELLING_NAMES.search(name) is not None


@lru_cache(maxsize=1024)
def without_secrets(query: bytes) -> bytes:
    """Return a query string with the values of telling names masked."""
    if not is_telling(query.decode("latin-1")):
        return query
    parts = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return urlencode([(name, masked(value, inside=is_telling(name))) for name, value in parts]).encode()


class _Kept(dict[bytes, bool]):
    """Decides for each name of a header once. Every request asks about all of its headers, so a look-up has to do."""

    def __missing__(self, header: bytes) -> bool:
        if len(self) >= _MOST_HEADERS:
            self.clear()
        name = header.decode("latin-1")
        self[header] = name not in _DULL_HEADERS and _DROPPED_HEADERS.search(name) is None
        return self[header]


_MOST_HEADERS: Final = 1024
# Whether a request header, in lower case, may be kept and says anything.
IS_KEPT: Final = _Kept()
