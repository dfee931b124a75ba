"""`poolwright env` and `poolwright sp`: the only commands that print a secret."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from poolwright.cli import connection, troubles
from poolwright.cli.failure import NOT_FOUND, Failure, NothingThere
from poolwright.cli.options import OutputForm, OwnDataDir, examples
from poolwright.cli.output import Output, print_answer, print_json

app = typer.Typer(no_args_is_help=True, help="The service principal that clients log in as.")


@app.callback()
def sp() -> None:
    """The service principal that clients log in as."""


def env(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
    data_dir: OwnDataDir = None,
) -> None:
    """Print the variables that the Azure SDKs read.

    With them, a Python program writes EnvironmentCredential(disable_instance_discovery=True), because SDKs ask
    Microsoft about authorities they do not know, and ContainerServiceClient(credential, subscription,
    base_url=os.environ["POOLWRIGHT_ENDPOINT"]). In that shell TLS trusts the service's authority alone.
    """
    try:
        variables = connection.of_directory(connection.data_directory(data_dir)).environment
    except NothingThere as nothing:
        raise Failure(nothing.text, code=NOT_FOUND) from nothing
    if as_json:
        print_json(variables)
    else:
        for name, value in variables.items():
            print(f"export {name}={shlex.quote(value)}")


@app.command(epilog=examples("poolwright sp reset", "poolwright sp reset -o json --no-local-credentials"))
def reset(
    local_credentials: Annotated[
        bool | None,
        typer.Option(
            "--local-credentials/--no-local-credentials",
            help="Whether credentials.json holds the new secret; else POOLWRIGHT_LOCAL_CREDENTIALS.",
        ),
    ] = None,
    data_dir: OwnDataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Give the service principal a new secret and print it; the old one is refused from now on."""
    from poolwright import installation
    from poolwright.settings import Settings

    directory = installation.DataDirectory(connection.data_directory(data_dir))
    if not directory.database.exists():
        raise Failure(f"error: {directory.path} holds no service yet: run `poolwright up` once", code=NOT_FOUND)
    with troubles.told(directory.path):
        local = Settings().local_credentials if local_credentials is None else local_credentials
        database = installation.open_database(directory)
        try:
            made = installation.reset_secret(database, directory, local=local)
        except LookupError as error:
            raise Failure(f"error: {error}", code=NOT_FOUND) from error
        finally:
            database.close()
        if not local:
            directory.credentials.unlink(missing_ok=True)
    answer = {"appId": made.client_id, "password": made.client_secret, "tenant": made.tenant_id}
    print_answer(answer, [{name[0].upper() + name[1:]: value for name, value in answer.items()}], output)
