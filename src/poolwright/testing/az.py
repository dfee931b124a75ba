"""The real az for scripts under test: `az` in their PATH, logged in to one service.

Invariant: `~/.azure` is neither read nor written.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

from poolwright.az import configuration, installation

if TYPE_CHECKING:
    from poolwright.testing.process import Service


def environment(service: Service, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which `az` is az, logged in to the service; what else there is stays as inherited."""
    known = service.credentials
    principal = configuration.Service(
        base_url=service.url,
        ca_file=service.ca,
        tenant_id=known["tenantId"],
        client_id=known["clientId"],
        client_secret=known["clientSecret"],
    )
    program = installation.ensure_az()
    configuration.prepare(program, service.data_dir, principal)
    # A directory with nothing else in it: the private az lies beside a Python of its own.
    directory = service.data_dir / "az-bin"
    directory.mkdir(exist_ok=True)
    wrapper = directory / "az"
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.quote(str(program))} "$@"\n')
    wrapper.chmod(0o700)
    environ = configuration.environment(service.data_dir, principal, inherited)
    return {**environ, "PATH": f"{directory}{os.pathsep}{environ.get('PATH', os.defpath)}"}
