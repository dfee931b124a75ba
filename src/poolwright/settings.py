"""The settings of a service: command line first, then environment, then these defaults.

Each is also an environment variable: `POOLWRIGHT_` and the name in capitals.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from poolwright.domain.profile import Profile

DEFAULT_DATA_DIR = Path("~/.local/share/poolwright")
DEFAULT_PORT = 8445


def _listed(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]


class Settings(BaseSettings):
    """What `poolwright up` can be told."""

    model_config = SettingsConfigDict(env_prefix="POOLWRIGHT_", extra="ignore")

    port: Annotated[int, Field(ge=0, le=65535)] = DEFAULT_PORT
    host: str = "127.0.0.1"
    data_dir: Path = DEFAULT_DATA_DIR
    engine: Literal["simulated"] = "simulated"
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
    simulated_boot_seconds: Annotated[float, Field(ge=0)] = 0.0
    test_crash: str | None = None

    @property
    def directory(self) -> Path:
        """The data directory as an absolute path, with `~` expanded."""
        return self.data_dir.expanduser().absolute()
