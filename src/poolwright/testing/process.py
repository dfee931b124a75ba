"""A service for tests: one `poolwright up` as a child process, with what clients of it need.

Invariants: those of `ChildService`; a client is for the process there is, never for the one before.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from poolwright.child_service import ChildService, ServiceEnded

if TYPE_CHECKING:
    from poolwright.testing.client import Client

__all__ = ["Seed", "Service", "ServiceEnded", "service"]

_SHOWN_LOG_LINES: Final = 100

_OF_SEED_FILES: Final = (".yaml", ".yml", ".json")

# A file, or what would stand in one. A text of one line that ends as files of seeds do, or names one, is a file.
Seed = Path | str | Mapping[str, Any]


class Service(ChildService):
    """A service on a data directory. `settings` are those of `poolwright up`: profile="azure-2026", seed=Path(...).

    Raises `TypeError` for a setting there is not. Without a port among them it has a free one, the same at every start.
    """

    def __init__(self, data_dir: Path, **settings: object) -> None:
        super().__init__(data_dir, **settings)
        self._client: Client | None = None

    def wait_ready(self) -> str:
        """Return the URL of the ready line. Raises `ServiceEnded`."""
        url = super().wait_ready()
        self._close_client()
        return url

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the Azure SDKs and the `poolwright` command read, as `poolwright env` prints them."""
        from poolwright.cli import connection

        return {**connection.of_directory(self.data_dir).environment, "POOLWRIGHT_DATA_DIR": str(self.data_dir)}

    def az_environment(self, inherited: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment in which `az` is the real az, logged in to this service; without arguments, this process's.

        Installs azure-cli privately where there is none (once, about 700 MB).
        """
        from poolwright.testing.az import environment

        return environment(self, os.environ if inherited is None else inherited)

    @property
    def client(self) -> Client:
        """An `httpx.Client` with a valid token, for the address the process has now."""
        if self._client is None:
            from poolwright.testing.client import Client

            self._client = Client.of(self.url, self.ca, self.credentials)
        return self._client

    def put_pool(
        self,
        name: str,
        properties: Mapping[str, Any] | None = None,
        *,
        cluster: str = "c1",
        group: str = "rg",
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """PUT a node pool of a cluster there is, wait until that has succeeded, and return its properties."""
        return self.client.make_pool(name, properties or {}, cluster=cluster, group=group, headers=headers)

    def reset(self) -> None:
        """Throw everything away and begin anew with the seed; identity, address and certificates stay."""
        self.client.expect(204, self.client.post("/_poolwright/reset"))

    def requests(self, **filters: object) -> list[dict[str, Any]]:
        """Return what was really sent, oldest first. `filters`: pool, method, since, after."""
        reply = self.client.get("/_poolwright/requests", params={name: str(value) for name, value in filters.items()})
        found: list[dict[str, Any]] = self.client.expect(200, reply).json()["value"]
        return found

    def log(self, since: int = 0) -> str:
        """Return what the service has logged, from a byte on, up to the last request that was answered."""
        self._finish_log()
        return super().log(since)

    def logged(self) -> int:
        """Return how many bytes the service has logged, up to the last request that was answered."""
        self._finish_log()
        return self.log_path.stat().st_size

    def _finish_log(self) -> None:
        # An answer is there before its line in the log; one more answer later, both are.
        if self._client is not None and self.is_running:
            self._client.is_healthy()

    def wait(self) -> int:
        """Wait until the process ends by itself and return its exit code."""
        code = super().wait()
        self._close_client()
        return code

    def _close_client(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


@contextmanager
def service(
    *,
    seed: Seed | None = None,
    profile: str = "documented",
    engine: str = "simulated",
    directory: Path | None = None,
    **settings: object,
) -> Iterator[Service]:
    """Yield a running service on a port and in a directory of its own; afterwards both are gone.

    `seed` is a file, or what would stand in one. `directory` is an empty or new directory to use and to leave behind,
    with the log in it. `settings` are further ones of `poolwright up`. An exception that leaves the block has the
    end of the service's log in its notes. Raises `TypeError` for a setting there is not.
    """
    with _directory(directory) as scratch:
        chosen = {"profile": profile, "engine": engine, **settings}
        if seed is not None:
            chosen["seed"] = _seed_file(seed, scratch)
        running = Service(scratch / "data", **chosen)
        try:
            yield running.start()
        except Exception as error:
            if not isinstance(error, ServiceEnded):
                lines = running.log().splitlines()[-_SHOWN_LOG_LINES:]
                error.add_note("\n".join(["The Poolwright service logged:", *lines]))
            raise
        finally:
            _end(running)


def _end(running: Service) -> None:
    """End the service for good. Nobody needs what it keeps, so simulated machines may be killed with it."""
    if running.is_running:
        if running.settings.get("engine") == "simulated":
            running.kill()
        else:
            running.reset()
            running.stop()


@contextmanager
def _directory(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="poolwright-", ignore_cleanup_errors=True) as scratch:
        yield Path(scratch)


def _seed_file(seed: Seed, scratch: Path) -> Path:
    if isinstance(seed, str) and "\n" not in seed and (seed.endswith(_OF_SEED_FILES) or os.path.isfile(seed)):
        # No document of one line ends like that.
        seed = Path(seed)
    if isinstance(seed, Path):
        return seed.absolute()
    file = scratch / "seed.yaml"
    file.write_text(seed if isinstance(seed, str) else json.dumps(seed))
    return file
