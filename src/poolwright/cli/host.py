"""`poolwright host`: what this host can do for real machines, and what it lacks. Needs no service."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from poolwright.cli.failure import Failure
from poolwright.cli.options import OutputForm, examples
from poolwright.cli.output import Output, note, print_answer

app = typer.Typer(no_args_is_help=True, help="What this host can do for real machines (--engine local).")


@app.command(epilog=examples("poolwright host check", "poolwright host check -o json"))
def check(output: OutputForm = Output.TABLE) -> None:
    """Show what real machines need and whether it is here. Exit code 1 where they cannot run."""
    from importlib.util import find_spec

    from poolwright.machines import host_packages
    from poolwright.machines.local import host
    from poolwright.machines.local.daemon import ACCOUNT

    rows = [
        {"What": f"package {package.name}", "Here": package.is_installed, "For": package.why}
        for package in host_packages.HOST_PACKAGES
    ]
    rows.append(
        {
            "What": "Python package libvirt-python",
            "Here": find_spec("libvirt") is not None,
            "For": "talking to libvirt: make setup ENGINE=local",
        }
    )
    if os.geteuid() == 0:
        rows.append(
            {
                "What": f"account {ACCOUNT}",
                "Here": _is_known(ACCOUNT),
                "For": "whom machines of root's service belong to",
            }
        )
    accelerator, why = host.probe()
    room = host.room(Path.home())
    able = all(row["Here"] for row in rows)
    print_answer(
        {
            "able": able,
            "needs": [{"name": row["What"], "installed": row["Here"], "for": row["For"]} for row in rows],
            "accelerator": {"name": accelerator.name, "because": why},
            "free": {"memoryMiB": room.memory_mib, "vCPUs": room.cpus, "diskBytes": room.disk_bytes},
        },
        [
            *({**row, "Here": "yes" if row["Here"] else "no"} for row in rows),
            {"What": "accelerator", "Here": accelerator.name, "For": why},
            {"What": "free memory", "Here": f"{room.memory_mib} MiB", "For": "machines"},
            {"What": "free disk", "Here": f"{room.disk_bytes // 2**20} MiB", "For": "their disks"},
        ],
        output,
    )
    if not able:
        raise Failure("error: real machines cannot run here yet: poolwright host install")


@app.command(epilog=examples("poolwright host install", "sudo poolwright host install"))
def install(
    print_only: Annotated[bool, typer.Option("--print", help="Only print what would be run.")] = False,
) -> None:
    """Install the Debian packages that real machines lack, and the account that they run under when root serves."""
    from poolwright.machines import host_packages
    from poolwright.machines.local.daemon import ACCOUNT

    names = [package.name for package in host_packages.HOST_PACKAGES if not package.is_installed]
    commands = []
    if names:
        commands += [["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *names]]
    if os.geteuid() == 0 and not _is_known(ACCOUNT):
        commands.append(["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT])
    if not commands:
        note("nothing is missing")
        return
    line = " && ".join(" ".join(command) for command in commands)
    prefix: list[str] = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if print_only:
        print(line)
        return
    if shutil.which("apt-get") is None:
        raise Failure(f"error: this host has no apt-get; it lacks what these Debian packages bring: {', '.join(names)}")
    if prefix and subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
        raise Failure(f"error: this needs root. Run: sudo sh -c '{line}'")
    for command in commands:
        note(f"+ {' '.join([*prefix, *command])}")
        # useradd and what apt-get calls are in directories that an ordinary PATH lacks.
        path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "PATH": path}
        code = subprocess.run([*prefix, *command], check=False, env=environment, stdin=subprocess.DEVNULL).returncode
        # Somebody else may have made the account meanwhile.
        if code != 0 and not (command[0] == "useradd" and _is_known(ACCOUNT)):
            raise Failure(f"error: `{' '.join(command)}` ended with {code}")


def _is_known(account: str) -> bool:
    from poolwright.machines.engine import PermanentError
    from poolwright.machines.local.daemon import Account

    try:
        Account.called(account)
    except PermanentError:
        return False
    return True


@app.command(epilog=examples("poolwright host clean"))
def clean() -> None:
    """End the machines, and remove the files, of this account's services whose data directories are gone."""
    from poolwright.machines.engine import PermanentError, TemporaryError
    from poolwright.machines.local import abandoned
    from poolwright.settings import Settings

    try:
        number = abandoned.clean(Settings().local_uri, note)
    except PermanentError as error:
        raise Failure(f"error: {error}. {error.remedy or ''}".strip()) from error
    except TemporaryError as error:
        raise Failure(f"error: {error}") from error
    note(f"{number} service(s) cleaned up after")
