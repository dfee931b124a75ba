"""A real Poolwright process for tests: started, killed, restarted, and spoken to over TLS."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import httpx

READY_TIMEOUT_SECONDS = 30
API_VERSION = "2026-06-01"


class ServiceProcess:
    """One `poolwright up` on a data directory. `settings` become POOLWRIGHT_ variables."""

    def __init__(self, data_dir: Path, **settings: object) -> None:
        self.data_dir = data_dir
        self.settings = settings
        self.url = ""
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str] = queue.Queue()
        self._log: IO[bytes] | None = None
        self._client: httpx.Client | None = None

    def start(self, **settings: object) -> ServiceProcess:
        """Start the process and wait for its ready line; raises with its log when it ends instead."""
        self.launch(**settings)
        self.url = self.wait_ready()
        return self

    def launch(self, **settings: object) -> None:
        """Start the process without waiting."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("POOLWRIGHT_", "AZURE_"))
        }
        chosen: Mapping[str, object] = {"port": 0, "data_dir": self.data_dir} | self.settings | settings
        environment |= {f"POOLWRIGHT_{name.upper()}": str(value) for name, value in chosen.items()}
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        self._log = open(self.log_path, "ab")  # noqa: SIM115 - closed in _ended
        self._lines = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "poolwright.cli.main", "up"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        threading.Thread(target=self._read, args=(self._process, self._lines), daemon=True).start()

    def wait_ready(self) -> str:
        """Return the URL of the ready line."""
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            try:
                line = self._lines.get(timeout=0.2)
            except queue.Empty:
                assert self._process is not None
                if self._process.poll() is not None:
                    raise AssertionError(f"the service ended with {self._process.returncode}:\n{self.log()}") from None
                continue
            assert line.startswith("ready https://"), line
            self._close_client()
            return line.split()[1]
        raise AssertionError(f"no ready line within {READY_TIMEOUT_SECONDS} s:\n{self.log()}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log_path(self) -> Path:
        return self.data_dir.with_name(self.data_dir.name + ".log")

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait, and return the exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self.wait()

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def wait(self) -> int:
        """Wait until the process ends by itself and return its exit code."""
        assert self._process is not None
        code = self._process.wait(timeout=30)
        if self._log is not None:
            self._log.close()
        self._close_client()
        return code

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def credentials(self) -> dict[str, str]:
        loaded: dict[str, str] = json.loads((self.data_dir / "credentials.json").read_text())
        return loaded

    @property
    def ca(self) -> Path:
        return self.data_dir / "tls" / "ca.pem"

    @property
    def client(self) -> ArmClient:
        """An HTTP client with a valid token, for the address the process has now."""
        if self._client is None:
            self._client = ArmClient(self)
        return self._client  # type: ignore[return-value]

    def _close_client(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    @staticmethod
    def _read(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line.rstrip("\n"))
        process.stdout.close()


class ArmClient(httpx.Client):
    """httpx with the service's CA, a bearer token and the api-version of az 2.91."""

    def __init__(self, service: ServiceProcess) -> None:
        super().__init__(base_url=service.url, verify=_context(service.ca), timeout=30)
        known = service.credentials
        self.subscription = f"/subscriptions/{known['subscriptionId']}"
        reply = self.post(
            "/adfs/oauth2/token",
            data={
                "grant_type": "client_credentials",
                "client_id": known["clientId"],
                "client_secret": known["clientSecret"],
                "scope": "https://management.core.windows.net//.default",
            },
        )
        reply.raise_for_status()
        self.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"
        self.params = self.params.set("api-version", API_VERSION)

    def group(self, group: str = "rg") -> str:
        return f"{self.subscription}/resourceGroups/{group}"

    def cluster(self, cluster: str = "c1", group: str = "rg") -> str:
        return f"{self.group(group)}/providers/Microsoft.ContainerService/managedClusters/{cluster}"

    def pool(self, pool: str, cluster: str = "c1", group: str = "rg") -> str:
        return f"{self.cluster(cluster, group)}/agentPools/{pool}"

    def make_cluster(self, cluster: str = "c1", group: str = "rg", **properties: Any) -> dict[str, Any]:
        """Create the group and a cluster with one System pool `sys`, and return the cluster."""
        assert self.put(self.group(group), json={"location": "eastus"}).status_code in (200, 201)
        body = {
            "location": "eastus",
            "identity": {"type": "SystemAssigned"},
            "properties": {"agentPoolProfiles": [{"name": "sys", "mode": "System", "count": 1}], **properties},
        }
        self.done(self.put(self.cluster(cluster, group), json=body))
        document: dict[str, Any] = self.get(self.cluster(cluster, group)).json()
        return document

    def make_pool(
        self, pool: str, properties: Mapping[str, Any], *, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """PUT a node pool of cluster c1, wait for Succeeded, and return its properties."""
        self.done(self.put(self.pool(pool), json={"properties": dict(properties)}, headers=dict(headers or {})))
        document: dict[str, Any] = self.get(self.pool(pool)).json()["properties"]
        return document

    def operation(self, reply: httpx.Response, timeout_seconds: float = 60) -> dict[str, Any]:
        """Poll the reply's operation until it is terminal and return it."""
        assert reply.status_code in (200, 201, 202), f"{reply.status_code} {reply.text}"
        url = reply.headers["Azure-AsyncOperation"]
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            operation: dict[str, Any] = self.get(url, params={}).json()
            if operation["status"] != "InProgress":
                return operation
            threading.Event().wait(0.02)
        raise AssertionError(f"the operation is still running after {timeout_seconds} s: {operation}")

    def done(self, reply: httpx.Response) -> dict[str, Any]:
        """Like `operation`, and it must have succeeded."""
        operation = self.operation(reply)
        assert operation["status"] == "Succeeded", operation
        return operation


def _context(ca: Path) -> Any:
    import ssl

    return ssl.create_default_context(cafile=str(ca))
