"""What a machine is told by cloud-init: the NoCloud seed of an image that understands it.

The seed is a file system labelled CIDATA with three files, on a disk that the machine only reads. It says who the
machine is, who may log in, and how its network card is set up; user data of the operator's own come after that.

Invariant: pure; the same machine gets the same seed, which golden files show. The instance ID is the machine's UUID, so
a machine that is made again is a new one to cloud-init, and one that is started again is not. Sources:
the pages nocloud, format and merging below https://cloudinit.readthedocs.io/en/22.4.2/topics/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from enum import Enum
from typing import Any, Final

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import Node

from poolwright import bounded_yaml
from poolwright.domain.machine import Login

LABEL: Final = "CIDATA"
# Of the disk it lies on: FAT12, with room for more than the largest user data.
SEED_BYTES: Final = 1024 * 1024
META_DATA: Final = "meta-data"
USER_DATA: Final = "user-data"
NETWORK_CONFIG: Final = "network-config"

# As large as Azure's custom data may be: https://learn.microsoft.com/azure/virtual-machines/custom-data
LARGEST_USER_DATA_BYTES: Final = 64 * 1024
# With aliases and merges written out; as many as 64 KiB can hold without them.
_MAX_VALUES: Final = 50_000
_CLOUD_CONFIG: Final = "#cloud-config"
# Without it, cloud-init keeps of two lists the first one: our users would keep the operator's out.
_MERGED: Final = "list(append)+dict(recurse_list)+str()"
# Fixed, for the same machine to have the same seed; the parts are in base64, which has no such line.
_BOUNDARY: Final = "==poolwright=="


class UserDataRefused(ValueError):
    """These are no user data for machines; the message says why, and repeats nothing of them."""


class Kind(Enum):
    """What user data are; the value is the subtype of text by which cloud-init knows it."""

    CLOUD_CONFIG = "cloud-config"
    SCRIPT = "x-shellscript"


@dataclass(frozen=True, slots=True)
class UserData:
    """User data of the operator's own. They may hold secrets, so `repr` does not show them."""

    kind: Kind
    text: str

    def __repr__(self) -> str:
        return f"UserData({self.kind})"


def user_data(content: bytes) -> UserData:
    """Return what a file of user data holds: a `#cloud-config` or a script. Raises `UserDataRefused`."""
    if len(content) > LARGEST_USER_DATA_BYTES:
        raise UserDataRefused(f"it has {len(content):,} bytes, and user data have {LARGEST_USER_DATA_BYTES:,} at most")
    try:
        text = content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        # The error itself has all of them.
        raise UserDataRefused(f"it is not UTF-8: byte {error.start} is none of it") from None
    first = text.partition("\n")[0].rstrip()
    if text.startswith("#!"):
        return UserData(Kind.SCRIPT, text)
    if first == _CLOUD_CONFIG:
        _require_mapping(text)
        return UserData(Kind.CLOUD_CONFIG, text)
    raise UserDataRefused(
        f"its first line must be '{_CLOUD_CONFIG}', or begin with '#!' for a script; templates, includes and MIME "
        "archives are not taken"
    )


def seed(
    *, instance_id: str, hostname: str, mac: str, login: Login | None, user: UserData | None
) -> Mapping[str, bytes]:
    """Return the files of a machine's seed by name; `mac` is the address of its network card."""
    # With its own name in /etc/hosts, sudo asks no DNS for it.
    config = {"users": _users(login), "ssh_pwauth": False, "manage_etc_hosts": "localhost"}
    own = f"{_CLOUD_CONFIG}\n{_yaml(config)}"
    return {
        META_DATA: _yaml({"instance-id": instance_id, "local-hostname": hostname}).encode(),
        USER_DATA: own.encode() if user is None else _together(own, user),
        # As cloud-init's own source for Azure writes it (DataSourceAzure, generate_network_config).
        NETWORK_CONFIG: _yaml(
            {
                "version": 2,
                "ethernets": {"eth0": {"match": {"macaddress": mac}, "set-name": "eth0", "dhcp4": True}},
            }
        ).encode(),
    }


def _users(login: Login | None) -> list[dict[str, Any]]:
    """The one account that AKS makes; an empty list means none, not even the image's own."""
    if login is None:
        return []
    return [
        {
            "name": login.user,
            "sudo": "ALL=(ALL) NOPASSWD:ALL",
            "shell": "/bin/bash",
            "lock_passwd": True,
            "ssh_authorized_keys": list(login.public_keys),
        }
    ]


def _together(own: str, user: UserData) -> bytes:
    archive = MIMEMultipart(boundary=_BOUNDARY)
    archive.attach(MIMEText(own, Kind.CLOUD_CONFIG.value, "utf-8"))
    theirs = MIMEText(user.text, user.kind.value, "utf-8")
    if user.kind is Kind.CLOUD_CONFIG:
        theirs["Merge-Type"] = _MERGED
    archive.attach(theirs)
    return archive.as_bytes()


def _yaml(value: Mapping[str, Any]) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=10_000, allow_unicode=True)


def _require_mapping(text: str) -> None:
    """Read it as cloud-init will, which says nothing on a machine where it cannot."""
    try:
        roots = bounded_yaml.documents(text, max_values=_MAX_VALUES)
    except bounded_yaml.TooMuchYaml as error:
        raise UserDataRefused(f"{error} (line {error.line}); write less, or in fewer levels") from None
    except yaml.MarkedYAMLError as error:
        # Without what stands there, which may be a secret.
        at = f" from line {error.problem_mark.line + 1} on" if error.problem_mark is not None else ""
        raise UserDataRefused(f"it is no YAML{at}") from None
    except yaml.YAMLError:
        raise UserDataRefused("it is no YAML") from None
    if len(roots) > 1:
        raise UserDataRefused(f"its YAML has a second document from line {roots[1].start_mark.line + 1} on")
    found = _constructed(roots[0]) if roots else None
    if found is not None and not isinstance(found, dict):
        raise UserDataRefused("its YAML is no mapping of names to values")


def _constructed(node: Node) -> Any:
    """The value of the node. Raises `UserDataRefused`."""
    try:
        return SafeConstructor().construct_document(node)
    except yaml.MarkedYAMLError as error:
        at = f" on line {error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        raise UserDataRefused(f"its YAML has a tag or a name{at} that cloud-init does not take") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        # What PyYAML meets in a scalar that is not of its tag: `!!int ''`, `!!timestamp x`, `!!bool x`.
        raise UserDataRefused(
            "its YAML has a value that is not of its type, such as !!int '' or the 31st of June; correct it, or put it "
            "in quotes"
        ) from None
