"""An az that knows the service: cloud registered and chosen, logged in, extension installed.

Everything lies in `DATA_DIR/azure-cli`, which az takes for its configuration directory. Cloud and
extension are written as the files that az itself would write; only the login starts az, because it
proves that the secret is the service's. A stamp says what was done for whom, so that the next call
starts nothing; where the service moved to another port, one file is rewritten.

Invariant: `~/.azure` is neither read nor written.
"""

from __future__ import annotations

import configparser
import fcntl
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from poolwright.az import AzError
from poolwright.az.installation import version_of

CLOUD = "Poolwright"
EXTENSION = "poolwright-az"
EXTENSION_FILES = Path(__file__).parent / "extension" / "azext_poolwright"

# What az keeps about all commands; it would hide a change of the extension.
INDEXES = ("commandIndex.json", "extensionIndex.json", "helpIndex.json", "extensionHelpIndex.json")
STAMP = "poolwright.json"

# The token audience that the service's /metadata/endpoints names first.
AUDIENCE = "https://management.core.windows.net/"


class LoginFailed(AzError):
    """The service did not accept the credentials, or az could not reach it."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A service principal of one tenant."""

    tenant_id: str
    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Service:
    """A running service, without a slash at the end of its URL, and the principal that az logs in as.

    az also logs in as `others`, of other tenants, and then knows their subscriptions as well.
    """

    base_url: str
    ca_file: Path
    tenant_id: str
    client_id: str
    client_secret: str = field(repr=False)
    others: tuple[Principal, ...] = ()

    @property
    def principals(self) -> tuple[Principal, ...]:
        """All of them. The service's own is last: az takes the first subscription of the last login for the default."""
        return (*self.others, Principal(self.tenant_id, self.client_id, self.client_secret))


def prepare(az: Path, data_dir: Path, service: Service) -> None:
    """Afterwards `az`, run in `environment(...)`, is registered and logged in to the service.

    Costs a millisecond or two when that is so already; may be called by several processes at once.
    """
    directory = config_dir(data_dir)
    wanted = _stamp(service)
    if _is_prepared(directory, service, wanted):
        return
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)  # az keeps the secret of a service principal in clear
    with _alone(directory):
        if not _is_prepared(directory, service, wanted):
            _prepare(az, data_dir, service, wanted)


def forget(data_dir: Path) -> None:
    """Let the next `prepare` log in anew, because there are other subscriptions than az knows."""
    (config_dir(data_dir) / STAMP).unlink(missing_ok=True)


def config_dir(data_dir: Path) -> Path:
    """The AZURE_CONFIG_DIR of this service."""
    return data_dir.absolute() / "azure-cli"


def environment(data_dir: Path, service: Service, inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment in which az uses that directory and nothing of the user's own set-up."""
    environ = dict(os.environ if inherited is None else inherited)
    for elsewhere in ("ARM_CLOUD_METADATA_URL", "AZURE_EXTENSION_DEV_SOURCES"):
        environ.pop(elsewhere, None)
    directory = config_dir(data_dir)
    environ |= {
        "AZURE_CONFIG_DIR": str(directory),
        "AZURE_EXTENSION_DIR": str(directory / "cliextensions"),
        "AZURE_CLOUD_NAME": CLOUD,
        "REQUESTS_CA_BUNDLE": str(service.ca_file.absolute()),
        "AZURE_CORE_COLLECT_TELEMETRY": "no",
        "AZURE_CORE_SURVEY_MESSAGE": "no",
        "AZURE_CORE_LOGIN_EXPERIENCE_V2": "no",
        "AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no",
    }
    # A proxy is for the world outside; the service is asked directly.
    direct = [environ.get("no_proxy") or environ.get("NO_PROXY") or "", urlsplit(service.base_url).hostname]
    environ["no_proxy"] = environ["NO_PROXY"] = ",".join(host for host in direct if host)
    return environ


def run(az: Path, arguments: Sequence[str], environ: Mapping[str, str], *, as_child: bool = False) -> int:
    """Run az, with terminal, signals and exit code its own: in place of this process, or as its child."""
    command = [str(az), *arguments]
    sys.stdout.flush()
    sys.stderr.flush()
    if not as_child:
        os.execve(command[0], command, environ)
    # Ctrl-C reaches az as well, and az decides how to end. A handler, unlike SIG_IGN, is not inherited.
    handler = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        code = subprocess.run(command, env=environ, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, handler)
    return code if code >= 0 else 128 - code


def _stamp(service: Service) -> dict[str, str]:
    others = {f"client_secret of {other.client_id}": _digest(other.client_secret.encode()) for other in service.others}
    return others | {
        "base_url": service.base_url,
        "ca": _digest(service.ca_file.read_bytes()),
        "tenant_id": service.tenant_id,
        "client_id": service.client_id,
        "client_secret": _digest(service.client_secret.encode()),
        "extension": _extension_digest(),
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _extension_digest() -> str:
    digest = hashlib.sha256()
    for path in _extension_files():
        digest.update(b"\0" + path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _extension_files() -> list[Path]:
    return sorted(path for path in EXTENSION_FILES.iterdir() if path.is_file())


def extension_version() -> str:
    """The version that az shows for the extension."""
    return str(json.loads((EXTENSION_FILES / "azext_metadata.json").read_text())["version"])


def _is_prepared(directory: Path, service: Service, wanted: Mapping[str, str]) -> bool:
    return (
        _read_json(directory / STAMP) == wanted
        and _chosen_cloud(directory) == CLOUD
        and _registered_url(directory) == service.base_url
        and _extension_dir(directory).is_dir()
        and _is_logged_in(directory, service)
    )


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text("utf-8-sig"))  # az writes a byte order mark
    except (OSError, ValueError):
        return None


def _chosen_cloud(directory: Path) -> str | None:
    return _read_ini(directory / "config").get("cloud", "name", fallback=None)


def _registered_url(directory: Path) -> str | None:
    return _read_ini(directory / "clouds.config").get(CLOUD, "endpoint_resource_manager", fallback=None)


def _extension_dir(directory: Path) -> Path:
    return directory / "cliextensions" / EXTENSION


def _is_logged_in(directory: Path, service: Service) -> bool:
    profile = _read_json(directory / "azureProfile.json")
    subscriptions = profile.get("subscriptions") if isinstance(profile, dict) else None
    known = {
        subscription["user"]["name"] for subscription in subscriptions or () if subscription["environmentName"] == CLOUD
    }
    return known >= {principal.client_id for principal in service.principals}


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    with (directory / "poolwright.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _prepare(az: Path, data_dir: Path, service: Service, wanted: Mapping[str, str]) -> None:
    directory = config_dir(data_dir)
    done = _read_json(directory / STAMP)
    done = done if isinstance(done, dict) else {}

    _register_cloud(directory, service.base_url)
    if done.get("extension") != wanted["extension"] or not _extension_dir(directory).is_dir():
        _install_extension(directory)
    _say_that_versions_are_known(directory, az)
    login = wanted.keys() - {"base_url", "extension"}
    if any(done.get(name) != wanted[name] for name in login) or not _is_logged_in(directory, service):
        _log_in(az, data_dir, service)

    # Last: the stamp is a statement about everything above.
    _write(directory / STAMP, json.dumps(wanted, indent=1))


def _register_cloud(directory: Path, base_url: str) -> None:
    """Write what `az cloud register` and `az cloud set` write, keeping whatever else is in the files."""
    clouds = _read_ini(directory / "clouds.config")
    clouds.read_dict(
        {
            CLOUD: {
                "endpoint_resource_manager": base_url,
                # The /adfs ending tells az to ask no other host about this authority.
                "endpoint_active_directory": f"{base_url}/adfs",
                "endpoint_active_directory_resource_id": AUDIENCE,
                "endpoint_active_directory_graph_resource_id": f"{base_url}/graph/",
                "endpoint_microsoft_graph_resource_id": f"{base_url}/msgraph/",
                "endpoint_management": AUDIENCE,
                "endpoint_gallery": f"{base_url}/gallery/",
                "endpoint_portal": f"{base_url}/portal",
            }
        }
    )
    _write_ini(directory / "clouds.config", clouds)

    config = _read_ini(directory / "config")
    config.read_dict({"cloud": {"name": CLOUD}, "core": {"collect_telemetry": "no", "survey_message": "no"}})
    _write_ini(directory / "config", config)


def _install_extension(directory: Path) -> None:
    """Lay the extension out as pip would, in one move, and make az look at it anew."""
    version = extension_version()
    extensions = directory / "cliextensions"
    extensions.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory, prefix="extension-") as scratch:
        new = Path(scratch) / "new"
        package = new / EXTENSION_FILES.name
        package.mkdir(parents=True)
        for path in _extension_files():
            shutil.copyfile(path, package / path.name)
        about = new / f"{EXTENSION.replace('-', '_')}-{version}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {EXTENSION}\nVersion: {version}\n"
            "Summary: Runs the documented AKS node pool commands as printed, and shows generations\n"
            "License: Apache-2.0\n"
        )
        (about / "WHEEL").write_text("Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        current = _extension_dir(directory)
        if current.exists():
            current.rename(Path(scratch) / "old")
        new.rename(current)
    for index in INDEXES:
        (directory / index).unlink(missing_ok=True)


def _say_that_versions_are_known(directory: Path, az: Path) -> None:
    """Keep az from looking for a newer az on the internet at its first start."""
    path = directory / "versionCheck.json"
    version = None if path.exists() else version_of(az)
    if version is not None:
        local = {"local": ".".join(str(number) for number in version)}
        _write(path, json.dumps({"versions": {"azure-cli": local, "core": local}, "update_time": ""}))


def _log_in(az: Path, data_dir: Path, service: Service) -> None:
    # With a token of before, az would take any secret without asking the service.
    for cache in ("msal_token_cache.json", "msal_token_cache.bin"):
        (config_dir(data_dir) / cache).unlink(missing_ok=True)
    for principal in service.principals:
        command = [str(az), "login", "--service-principal", "--username", principal.client_id]
        command += ["--tenant", principal.tenant_id, "--output", "none", "--only-show-errors"]
        command += ["--password", "@-"]  # from standard input, so that no process list shows it
        outcome = subprocess.run(
            command,
            env=environment(data_dir, service),
            input=principal.client_secret,
            capture_output=True,
            text=True,
            check=False,
        )
        if outcome.returncode != 0:
            raise LoginFailed(
                f"az could not log in to {service.base_url} as {principal.client_id}: {_reason(outcome.stderr)}"
            )


def _reason(stderr: str) -> str:
    """The error az prints, without the traceback it adds where no service answers."""
    errors = [line.removeprefix("ERROR: ") for line in stderr.splitlines() if line.startswith("ERROR: ")]
    telling = [line for line in errors if not line.endswith("Here is the traceback:")]
    return "\n".join(telling) or stderr.strip()


def _read_ini(path: Path) -> configparser.RawConfigParser:
    ini = configparser.RawConfigParser()
    try:
        ini.read(path, "utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return configparser.RawConfigParser()
    return ini


def _write_ini(path: Path, ini: configparser.RawConfigParser) -> None:
    text = io.StringIO()
    ini.write(text)
    _write(path, text.getvalue())


def _write(path: Path, text: str) -> None:
    """Replace the file in one move, so that an az running beside never reads half of it."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="utf-8", delete=False) as scratch:
        scratch.write(text)
    Path(scratch.name).replace(path)
