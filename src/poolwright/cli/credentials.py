"""`poolwright env` and `poolwright sp`: the commands that print a secret, and who may log in.

Like `poolwright subscription` they work on the data directory itself, whether the service runs or not.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from poolwright.cli import changes, connection, troubles
from poolwright.cli.failure import FAILED, NOT_FOUND, Failure
from poolwright.cli.options import LocalCredentials, OutputForm, OwnDataDir, Yes, examples
from poolwright.cli.output import Json, Output, print_answer, print_json

if TYPE_CHECKING:
    from poolwright.administration import Administration, ShownPrincipal

app = typer.Typer(no_args_is_help=True, help="The service principals that clients log in as.")

SubscriptionOption = Annotated[
    str | None, typer.Option("--subscription", help="Subscription, by name or ID; else the first one.")
]
PrincipalName = Annotated[str, typer.Argument(metavar="NAME", help="Name, app ID or object ID.")]
Years = Annotated[int, typer.Option("--years", min=1, max=100, help="How long the secret is good.")]
DEFAULT_YEARS: Final = 1  # az's


@app.callback()
def sp() -> None:
    """The service principals that clients log in as."""


def env(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
    subscription: SubscriptionOption = None,
    data_dir: OwnDataDir = None,
) -> None:
    """Print the variables that the Azure SDKs read.

    With them, a Python program writes EnvironmentCredential(disable_instance_discovery=True), because SDKs ask
    Microsoft about authorities they do not know, and ContainerServiceClient(credential, subscription,
    base_url=os.environ["POOLWRIGHT_ENDPOINT"]). In that shell TLS trusts the service's authority alone.
    """
    directory = connection.data_directory(data_dir)
    if subscription is None:
        service = connection.of_directory(directory)
    else:
        with administration(directory) as operator:
            credentials_file, subscription_id = operator.owners_file(subscription)
        service = replace(connection.of_directory(directory, credentials_file), subscription_id=subscription_id)
    if as_json:
        print_json(service.environment)
    else:
        for name, value in service.environment.items():
            print(f"export {name}={shlex.quote(value)}")


@app.command(
    epilog=examples(
        "poolwright sp create ci --role Contributor",
        "poolwright sp create watcher --role Reader --scope /subscriptions/<id>/resourceGroups/rg",
    )
)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name; unique in its tenant.")],
    role: Annotated[str | None, typer.Option("--role", help="A role to assign, by name or GUID.")] = None,
    scope: Annotated[
        str | None, typer.Option("--scope", help="Where the role holds, as a resource ID; else the subscription.")
    ] = None,
    years: Years = DEFAULT_YEARS,
    subscription: SubscriptionOption = None,
    data_dir: OwnDataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Make a service principal and print its secret, which is shown this once."""
    if scope is not None and role is None:
        raise typer.BadParameter("it says where a role holds: name one with --role", param_hint="--scope")
    with administration(connection.data_directory(data_dir)) as operator:
        made, secret = operator.create_principal(
            name, subscription=subscription, role=role, scope=scope, expires=_in_years(years)
        )
    answer = {
        "appId": made.app_id,
        "displayName": made.display_name,
        "password": secret,
        "tenant": made.tenant_id,
    }
    _print_secret(answer, output)


@app.command("list", epilog=examples("poolwright sp list", "poolwright sp list --subscription team-b"))
def list_principals(
    subscription: SubscriptionOption = None, data_dir: OwnDataDir = None, output: OutputForm = Output.TABLE
) -> None:
    """List the service principals of a subscription's tenant."""
    with administration(connection.data_directory(data_dir)) as operator:
        found = operator.principals(subscription)
    print_answer([_document(shown) for shown in found], [_row(shown) for shown in found], output)


@app.command(epilog=examples("poolwright sp show ci", "poolwright sp show ci -o json"))
def show(
    name: PrincipalName,
    subscription: SubscriptionOption = None,
    data_dir: OwnDataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Show a service principal and its roles."""
    with administration(connection.data_directory(data_dir)) as operator:
        found = operator.principal(name, subscription)
    print_answer(_document(found), [_row(found)], output)


@app.command(epilog=examples("poolwright sp delete ci"))
def delete(
    name: PrincipalName,
    yes: Yes = False,
    subscription: SubscriptionOption = None,
    data_dir: OwnDataDir = None,
) -> None:
    """Delete a service principal with its roles; tokens it has are refused at once."""
    changes.confirm(f"Delete service principal '{name}' with its roles?", yes=yes, az_asks=False)
    with administration(connection.data_directory(data_dir)) as operator:
        operator.delete_principal(name, subscription)


@app.command(epilog=examples("poolwright sp reset", "poolwright sp reset ci", "poolwright sp reset -o json"))
def reset(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Name, app ID or object ID; else the tenant's owner.")
    ] = None,
    local: LocalCredentials = None,
    years: Years = DEFAULT_YEARS,
    subscription: SubscriptionOption = None,
    data_dir: OwnDataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Give a service principal a new secret and print it; the old one is refused from now on.

    Of the tenant's owner, as which `poolwright env` and `az` log in, the secret never expires.
    """
    with administration(connection.data_directory(data_dir)) as operator:
        made = operator.reset_principal(name, subscription, expires=_in_years(years), local=keeps_credentials(local))
    _print_secret({"appId": made.client_id, "password": made.client_secret, "tenant": made.tenant_id}, output)


@contextmanager
def administration(path: Path) -> Iterator[Administration]:
    """Yield the verbs of the local operator; what they refuse becomes a `Failure`."""
    from poolwright.administration import Administration
    from poolwright.errors import NotFound, PoolwrightError
    from poolwright.installation import DataDirectory

    directory = DataDirectory(path)
    if not directory.database.exists():
        raise Failure(f"error: {path} holds no service yet: run `poolwright up` once", code=NOT_FOUND)
    with troubles.told(path):
        try:
            with Administration(directory) as operator:
                yield operator
        except LookupError as error:
            raise Failure(f"error: {error.args[0]}", code=NOT_FOUND) from error
        except PoolwrightError as error:
            code = NOT_FOUND if isinstance(error, NotFound) else FAILED
            raise Failure(f"error: {error.code}: {error.message}\n  remedy: {error.remedy}", code=code) from error


def keeps_credentials(given: bool | None) -> bool:
    """Whether secrets of owners go into the credentials files."""
    from poolwright.settings import Settings

    return Settings().local_credentials if given is None else given


def _in_years(years: int) -> float:
    return (datetime.now(UTC) + timedelta(days=365 * years)).timestamp()


def _print_secret(answer: dict[str, str], output: Output) -> None:
    print_answer(answer, [{name[0].upper() + name[1:]: value for name, value in answer.items()}], output)


def _document(shown: ShownPrincipal) -> Json:
    principal = shown.principal
    return {
        "appId": principal.app_id,
        "displayName": principal.display_name,
        "id": principal.object_id,
        "tenant": principal.tenant_id,
        "expires": _day(principal.expires),
        "roleAssignments": [{"role": role, "scope": scope} for role, scope in shown.roles],
    }


def _row(shown: ShownPrincipal) -> dict[str, object]:
    principal = shown.principal
    return {
        "Name": principal.display_name,
        "AppId": principal.app_id,
        "ObjectId": principal.object_id,
        "Expires": _day(principal.expires) or "never",
        "Roles": ", ".join(f"{role} at {scope}" for role, scope in shown.roles) or "none",
    }


def _day(expires: float | None) -> str | None:
    return None if expires is None else datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
