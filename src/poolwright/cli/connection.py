"""Which service a command talks to, and as whom.

`--data-dir` names it; else the variables `poolwright env` prints do; else POOLWRIGHT_DATA_DIR or the
default directory. The service leaves `endpoint.json` and `credentials.json` in its data directory.

Invariant: files are only read here, and an error never quotes what one holds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from poolwright.cli.failure import NoService, NothingThere
from poolwright.cli.output import Output

if TYPE_CHECKING:
    from poolwright.cli.client import ServiceClient

# As poolwright.settings has it, which is slow to import; a test compares the two.
DEFAULT_DATA_DIR: Final = Path("~/.local/share/poolwright")

_CREDENTIALS: Final = {
    "tenant_id": ("tenantId", "AZURE_TENANT_ID"),
    "client_id": ("clientId", "AZURE_CLIENT_ID"),
    "client_secret": ("clientSecret", "AZURE_CLIENT_SECRET"),
    "subscription_id": ("subscriptionId", "AZURE_SUBSCRIPTION_ID"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A service, its certificate authority, and the credentials to use. `origin` says who named it."""

    url: str
    ca: Path
    tenant_id: str
    client_id: str
    client_secret: str = field(repr=False)
    subscription_id: str
    origin: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the Azure SDKs and this command line read."""
        ca = str(self.ca)
        return {
            "POOLWRIGHT_ENDPOINT": self.url,
            "AZURE_TENANT_ID": self.tenant_id,
            "AZURE_CLIENT_ID": self.client_id,
            "AZURE_CLIENT_SECRET": self.client_secret,
            "AZURE_SUBSCRIPTION_ID": self.subscription_id,
            "AZURE_AUTHORITY_HOST": self.url,
            "REQUESTS_CA_BUNDLE": ca,
            "SSL_CERT_FILE": ca,
            "NODE_EXTRA_CA_CERTS": ca,
        }


def data_directory(chosen: Path | None) -> Path:
    """Return the data directory that was chosen, or else the environment's or the default one; absolute."""
    given = chosen or Path(os.environ.get("POOLWRIGHT_DATA_DIR") or DEFAULT_DATA_DIR)
    return given.expanduser().absolute()


def find(data_dir: Path | None) -> Connection:
    """Return the service that the command line, the environment or the data directory names. Raises `NoService`."""
    if data_dir is None and os.environ.get("POOLWRIGHT_ENDPOINT"):
        return _of_environment(os.environ)
    return of_directory(data_directory(data_dir))


def of_directory(directory: Path, credentials_file: Path | None = None) -> Connection:
    """Return the service that runs, or ran last, on a data directory. Raises `NoService`.

    The credentials are those of the first tenant unless another file is named.
    """
    endpoint = _read(directory / "endpoint.json", "start the service again: `poolwright up`")
    if endpoint is None:
        raise NothingThere(
            f"error: no service was started on {directory} yet: run `poolwright up`, or name its directory with "
            "--data-dir or POOLWRIGHT_DATA_DIR",
        )
    credentials_file = credentials_file or directory / "credentials.json"
    credentials = _read(credentials_file, "`poolwright sp reset` writes a new one")
    if credentials is None:
        raise NothingThere(
            f"error: {credentials_file} does not exist: local credentials are off. Set POOLWRIGHT_ENDPOINT and the "
            "AZURE_ variables yourself, or let `poolwright sp reset` write a new secret there",
        )
    return Connection(
        url=_text(endpoint, "url", directory / "endpoint.json"),
        ca=directory / "tls" / "ca.pem",
        origin=str(directory),
        **{attribute: _text(credentials, name, credentials_file) for attribute, (name, _) in _CREDENTIALS.items()},
    )


def of_other_tenants(directory: Path) -> list[Connection]:
    """Return the service once for each tenant but the first whose owner's credentials lie in the directory."""
    return [of_directory(directory, path) for path in sorted((directory / "tenants").glob("*.json"))]


@contextmanager
def connect(data_dir: Path | None, output: Output) -> Iterator[ServiceClient]:
    """Yield a client, with a token, of the service that `find` finds. Raises `Failure`."""
    # httpx is slow to import, and help and completion do without.
    from poolwright.cli.client import ServiceClient

    client = ServiceClient(find(data_dir), output)
    try:
        client.log_in()
        yield client
    finally:
        client.close()


def _of_environment(environ: Mapping[str, str]) -> Connection:
    values = {attribute: environ.get(variable, "") for attribute, (_, variable) in _CREDENTIALS.items()}
    ca = environ.get("REQUESTS_CA_BUNDLE") or environ.get("SSL_CERT_FILE") or ""
    missing = [variable for attribute, (_, variable) in _CREDENTIALS.items() if not values[attribute]]
    if not ca:
        missing.append("REQUESTS_CA_BUNDLE")
    if missing:
        raise NoService(
            f"error: POOLWRIGHT_ENDPOINT is set, but {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not: `poolwright env` prints them together",
        )
    url = environ["POOLWRIGHT_ENDPOINT"].rstrip("/")
    if not url.lower().startswith("https://"):
        raise NoService(f"error: POOLWRIGHT_ENDPOINT is {url}, and a secret is only sent to an https address")
    return Connection(url=url, ca=Path(ca), origin="the environment", **values)


def _read(path: Path, remedy: str) -> Mapping[str, Any] | None:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NoService(f"error: {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise NoService(f"error: {path} is damaged: it holds no JSON; {remedy}") from error
    if not isinstance(content, dict):
        raise NoService(f"error: {path} is damaged: it holds no JSON object; {remedy}")
    return content


def _text(content: Mapping[str, Any], name: str, path: Path) -> str:
    value = content.get(name)
    if not isinstance(value, str) or not value:
        raise NoService(f"error: {path} is damaged: {name} is missing or no text")
    return value
