"""The settings of a service: command line first, then environment, then these defaults.

Each is also an environment variable: `POOLWRIGHT_` and the name in capitals.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from poolwright.domain.machine import WhenLost
from poolwright.domain.profile import Profile
from poolwright.machines.local.allocation import DEFAULT_CPUS, DEFAULT_MEMORY_MIB

DEFAULT_DATA_DIR = Path("~/.local/share/poolwright")
DEFAULT_PORT = 8445
PREFIX: Final = "POOLWRIGHT_"
# Variables that other commands read.
OF_OTHER_COMMANDS: Final = ("POOLWRIGHT_AZ", "POOLWRIGHT_AZ_HOME", "POOLWRIGHT_ENDPOINT")


def _listed(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]


class Settings(BaseSettings):
    """What `poolwright up` can be told."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore")

    port: Annotated[int, Field(ge=0, le=65535)] = DEFAULT_PORT
    host: str = "127.0.0.1"
    data_dir: Path = DEFAULT_DATA_DIR
    engine: Literal["simulated", "local", "auto"] = "simulated"
    profile: Profile = Profile.DOCUMENTED
    locations: Listed = ("eastus", "westus2")
    names: Listed = ()
    public_url: str | None = None
    local_credentials: bool = True
    throttle: Literal["off", "documented"] = "off"
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    seed: Path | None = None
    # Fewer, and an operation could lose its beginning before it ends.
    activity_kept: Annotated[int, Field(ge=1000, le=10_000_000)] = 100_000
    requests_kept: Annotated[int, Field(ge=0, le=1_000_000)] = 1000
    stop_with_stdin: bool = False
    local_uri: str | None = None
    local_accelerator: Literal["auto", "kvm", "tcg"] = "auto"
    local_memory_mib: Annotated[int, Field(ge=1)] = DEFAULT_MEMORY_MIB
    local_cpus: Annotated[int, Field(ge=1)] = DEFAULT_CPUS
    local_parallel_boots: Annotated[int | None, Field(ge=1)] = None
    local_when_lost: WhenLost = WhenLost.REPAIR
    local_bridge: str | None = None
    local_user_data: Path | None = None
    local_stand_ins: Path = Path("~/.cache/poolwright/images")
    windows_stand_in: bool = False
    simulated_boot_seconds: Annotated[float, Field(ge=0)] = 0.0
    test_crash: str | None = None

    @property
    def directory(self) -> Path:
        """The data directory as an absolute path, with `~` expanded."""
        return self.data_dir.expanduser().absolute()


def unknown(names: Iterable[str], known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield each name that is not known, and what may be meant: `: did you mean 'profile'?`, or nothing."""
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            yield name, f": did you mean '{near[0]}'?" if near else ""


def unknown_variables(environ: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The same for the variables named POOLWRIGHT_ that no command reads; as settings do, without regard to case."""
    mine = (name.upper() for name in environ if name.upper().startswith(PREFIX))
    return unknown(mine, [PREFIX + name.upper() for name in Settings.model_fields] + [*OF_OTHER_COMMANDS])
