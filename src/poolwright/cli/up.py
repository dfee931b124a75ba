"""`poolwright up`: the service itself.

Invariant: only what was given on the command line goes before the environment and the defaults.
"""

from __future__ import annotations

import gc
import os
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from poolwright.cli import connection, troubles
from poolwright.cli.failure import USAGE, Failure
from poolwright.cli.output import note

if TYPE_CHECKING:
    from pydantic import ValidationError

    from poolwright.settings import Settings


class LogFormat(StrEnum):
    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _option(help_text: str, *spellings: str) -> Any:
    return typer.Option(*spellings, help=help_text)


def up(
    port: Annotated[int | None, _option("Port to listen on; 0 picks one. Default: 8445.")] = None,
    host: Annotated[str | None, _option("Address to listen on. Default: 127.0.0.1.")] = None,
    data_dir: Annotated[Path | None, _option("Where everything is kept. Default: ~/.local/share/poolwright.")] = None,
    engine: Annotated[str | None, _option("What runs the machines. Default: simulated.")] = None,
    profile: Annotated[str | None, _option("documented (the default) or azure-2026.")] = None,
    locations: Annotated[str | None, _option("Locations to offer: L,L. Default: eastus,westus2.")] = None,
    names: Annotated[str | None, _option("Further names for the server's certificate: N,N.")] = None,
    public_url: Annotated[str | None, _option("The address clients use, where it is another.")] = None,
    local_credentials: Annotated[
        bool | None,
        _option("Whether credentials.json holds the secret.", "--local-credentials/--no-local-credentials"),
    ] = None,
    seed: Annotated[Path | None, _option("YAML or JSON of what the service starts with; see docs/testing.md.")] = None,
    throttle: Annotated[
        bool | None,
        _option("Whether AKS's documented request limits hold (429). Default: no.", "--throttle/--no-throttle"),
    ] = None,
    log_format: Annotated[LogFormat | None, _option("Form of the log on stderr. Default: console.")] = None,
    log_level: Annotated[LogLevel | None, _option("Least level that is logged. Default: info.")] = None,
) -> None:
    """Run the service until Ctrl-C or SIGTERM.

    Prints one line, `ready URL`, on stdout.

    Each option is also an environment variable, for example POOLWRIGHT_PORT. The next start on the same data
    directory goes on with the same state.
    """
    given: dict[str, object] = {
        "port": port,
        "host": host,
        "data_dir": data_dir,
        "engine": engine,
        "profile": profile,
        "locations": locations,
        "names": names,
        "public_url": public_url,
        "local_credentials": local_credentials,
        "seed": seed,
        "throttle": None if throttle is None else "documented" if throttle else "off",
        "log_format": log_format.value if log_format else None,
        "log_level": log_level.value if log_level else None,
    }
    settings = _settings({name: value for name, value in given.items() if value is not None})

    # Modules are no garbage: looking for some while they are imported takes a seventh of the time, and later as well.
    gc.disable()
    from poolwright import serve

    gc.freeze()
    gc.enable()
    with troubles.told(settings.directory):
        code = serve.up(settings, announce=lambda: _say_how_to_connect(settings))
    raise typer.Exit(code)


def _settings(given: dict[str, object]) -> Settings:
    from pydantic import ValidationError

    from poolwright.settings import Settings, unknown_variables

    for name, meant in unknown_variables(os.environ):
        raise Failure(f"error: there is no variable {name}{meant}", code=USAGE)
    try:
        return Settings(**given)  # type: ignore[arg-type]  # checked by the model, as the environment's are
    except ValidationError as error:
        raise _wrong_settings(error, given) from error


def _wrong_settings(error: ValidationError, given: dict[str, object]) -> Exception:
    """A usage error, of the command line or of the environment."""
    problem = error.errors(include_url=False, include_context=False)[0]
    name = str(problem["loc"][0])
    what = f"{problem['msg'][0].lower()}{problem['msg'][1:]}, got '{problem['input']}'"
    if name in given:
        return typer.BadParameter(what, param_hint=f"--{name.replace('_', '-')}")
    return Failure(f"error: POOLWRIGHT_{name.upper()}: {what}", code=USAGE)


def _say_how_to_connect(settings: Settings) -> None:
    if settings.log_format == "json":
        return
    directory = settings.directory.absolute()
    is_default = directory == connection.DEFAULT_DATA_DIR.expanduser()
    choice = "" if is_default else f"export POOLWRIGHT_DATA_DIR={shlex.quote(str(directory))}\n  "
    # As it was called: `make up` leaves the command outside the PATH.
    command = shlex.quote(sys.argv[0]) if Path(sys.argv[0]).name == "poolwright" else "poolwright"
    ways = (
        f"{command} az aks list         # the real az\n"
        f'  eval "$({command} env)"       # for scripts and the Azure SDKs\n'
        if settings.local_credentials
        else f"{command} sp reset --no-local-credentials   # shows a new secret once\n"
    )
    note(
        f"\nIn another terminal:\n  {choice}{ways}"
        "Ctrl-C stops the service; the next `poolwright up` goes on with the same state.\n"
    )
