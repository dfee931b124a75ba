"""`poolwright subscription`: subscriptions and tenants of the service.

They are made at the data directory, like service principals; a running service has noticed when a command ends.
"""

from __future__ import annotations

from typing import Annotated

import typer

from poolwright.cli import connection
from poolwright.cli.credentials import administration, keeps_credentials
from poolwright.cli.options import LocalCredentials, OutputForm, OwnDataDir, examples
from poolwright.cli.output import Json, Output, print_answer

app = typer.Typer(no_args_is_help=True, help="Subscriptions and tenants.")


@app.command(
    epilog=examples(
        "poolwright subscription create test",
        "poolwright subscription create team-b --tenant new",
        "poolwright subscription create shop --id 00000000-1111-2222-3333-444444444444",
        'eval "$(poolwright env --subscription team-b)"',
    )
)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name; unique in the service.")],
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="new|ID", help="Its tenant: a new one, or by ID; else the first.")
    ] = None,
    identity: Annotated[
        str | None,
        typer.Option("--id", metavar="GUID", help="Its ID, for example that of one in Azure; else a new one."),
    ] = None,
    local: LocalCredentials = None,
    data_dir: OwnDataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Make a subscription. With a new tenant, its owner's secret is shown this once."""
    directory = connection.data_directory(data_dir)
    with administration(directory) as operator:
        made, owner = operator.create_subscription(
            name, tenant, local=keeps_credentials(local), subscription_id=identity
        )
    from poolwright.az import configuration

    configuration.forget(directory)
    answer: Json = {
        "displayName": made.display_name,
        "subscriptionId": made.subscription_id,
        "tenantId": made.tenant_id,
    }
    if owner is not None:
        answer |= {"appId": owner.client_id, "password": owner.client_secret}
    print_answer(answer, [{part[0].upper() + part[1:]: value for part, value in answer.items()}], output)


@app.command("list", epilog=examples("poolwright subscription list"))
def list_subscriptions(data_dir: OwnDataDir = None, output: OutputForm = Output.TABLE) -> None:
    """List all subscriptions with their tenants."""
    with administration(connection.data_directory(data_dir)) as operator:
        found = operator.subscriptions()
    rows = [
        {"Name": known.display_name, "SubscriptionId": known.subscription_id, "TenantId": known.tenant_id}
        for known in found
    ]
    documents = [
        {"displayName": known.display_name, "subscriptionId": known.subscription_id, "tenantId": known.tenant_id}
        for known in found
    ]
    print_answer(documents, rows, output)
