"""The credentials of the local operator, in a file that only its owner can read.

`poolwright env` and `poolwright az` log in with them. The service itself keeps only a hash of the secret.

Invariant: the file is complete or absent, and never readable by others.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from poolwright.identity.private_files import write_atomically

_JSON_NAMES = {
    "tenant_id": "tenantId",
    "client_id": "clientId",
    "client_secret": "clientSecret",
    "subscription_id": "subscriptionId",
}
_REMEDY = "`poolwright sp reset` writes a new one"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client needs to log in and to name a subscription."""

    tenant_id: str
    client_id: str
    client_secret: str = field(repr=False)
    subscription_id: str


def write(path: Path, credentials: Credentials) -> None:
    """Store the credentials at `path`, readable by the owner alone whatever the file there allowed before."""
    content = {name: getattr(credentials, attribute) for attribute, name in _JSON_NAMES.items()}
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def read(path: Path) -> Credentials | None:
    """Return the credentials stored at `path`, or None where there is no such file.

    Raises `ValueError`, naming the file and never quoting it, when it holds anything else.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: it holds no JSON; {_REMEDY}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged: it holds no JSON object; {_REMEDY}")
    values: dict[str, str] = {}
    for attribute, name in _JSON_NAMES.items():
        value = content.get(name)
        if not isinstance(value, str) or not value:
            raise ValueError(f"{path} is damaged: {name} is missing or no text; {_REMEDY}")
        values[attribute] = value
    return Credentials(**values)
