"""`poolwright az`: the real az, logged in to the service.

Everything after `az` belongs to az. Its configuration lies in `DATA_DIR/azure-cli`.
"""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperCommand

from poolwright.cli import connection
from poolwright.cli.connection import Connection
from poolwright.cli.failure import Failure, NoAnswer
from poolwright.cli.output import note

REACH_TIMEOUT_SECONDS = 10.0


class PassThrough(TyperCommand):
    """A command that reads none of its arguments, not even --help."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.args = list(args)
        return []


def az(context: typer.Context) -> None:
    """Run the real az against the service: poolwright az aks list. All arguments are az's.

    Its --subscription chooses among the subscriptions of all tenants whose owners' secrets the data directory holds.
    Installs azure-cli privately when there is none. Your own ~/.azure is not touched. POOLWRIGHT_DATA_DIR chooses
    another service.
    """
    from poolwright.az import AzError, configuration, installation

    service = connection.find(None)
    if context.args[:1] == ["login"] and "--service-principal" not in context.args:
        # az would ask for a person, whom this service does not know.
        note("`poolwright az` logs in by itself, as the service principal of the service: just run az commands.")
        return
    _require_answer(service)
    directory = connection.data_directory(None)
    principal = configuration.Service(
        base_url=service.url,
        ca_file=service.ca,
        tenant_id=service.tenant_id,
        client_id=service.client_id,
        client_secret=service.client_secret,
        others=tuple(
            configuration.Principal(other.tenant_id, other.client_id, other.client_secret)
            for other in (connection.of_other_tenants(directory) if service.origin == str(directory) else ())
        ),
    )
    try:
        program = installation.ensure_az()
        configuration.prepare(program, directory, principal)
        environ = configuration.environment(directory, principal)
        sys.exit(configuration.run(program, context.args, environ))
    except AzError as error:
        raise Failure(f"error: {error}") from error


def _require_answer(service: Connection) -> None:
    """Return when the service answers; az shows a traceback where it does not."""
    import http.client
    import ssl
    from urllib.parse import urlsplit

    address = urlsplit(service.url)
    try:
        trust = ssl.create_default_context(cafile=str(service.ca))
        asked = http.client.HTTPSConnection(
            address.hostname or "", address.port, timeout=REACH_TIMEOUT_SECONDS, context=trust
        )
        asked.request("GET", "/healthz")
        asked.getresponse().read()
        asked.close()
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(
            f"error: no service answers at {service.url} ({error}); start it with `poolwright up`"
        ) from error
