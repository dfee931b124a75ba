"""`poolwright activity`: who changed what, and how it ended.

Of the events that Azure's activity log has, this shows how a change stood, not that it was asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

import typer

from poolwright.cli.connection import connect
from poolwright.cli.options import SINCE_HELP, AnyGroup, DataDir, OutputForm, moment
from poolwright.cli.output import Json, Output, print_answer

if TYPE_CHECKING:
    from poolwright.cli.client import ServiceClient

DEFAULT_SINCE: Final = "1d"


def activity(
    group: AnyGroup = None,
    cluster_name: Annotated[str | None, typer.Option("--cluster-name", help="Only this cluster; needs -g.")] = None,
    pool: Annotated[
        str | None, typer.Option("--pool", help="Only this node pool; needs -g and --cluster-name.")
    ] = None,
    correlation_id: Annotated[str | None, typer.Option("--correlation-id", help="Only this correlation ID.")] = None,
    caller: Annotated[str | None, typer.Option("--caller", help="Only changes by this app ID.")] = None,
    since: Annotated[str, typer.Option("--since", help=SINCE_HELP)] = DEFAULT_SINCE,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Show the activity log: who changed what, when, and how it ended. It goes back 90 days."""
    start = moment(since).isoformat()
    with connect(data_dir, output) as client:
        clauses = [f"eventTimestamp ge '{start}'"]
        if pool is not None or cluster_name is not None:
            if group is None or (pool is not None and cluster_name is None):
                raise typer.BadParameter("name also --resource-group and --cluster-name", param_hint="--pool")
            path = client.cluster_path(group, cluster_name)
            clauses.append(f"resourceUri eq '{path if pool is None else f'{path}/agentPools/{pool}'}'")
        elif group is not None:
            clauses.append(f"resourceGroupName eq '{group}'")
        if correlation_id is not None:
            clauses.append(f"correlationId eq '{correlation_id}'")
        if caller is not None:
            clauses.append(f"caller eq '{caller}'")
        events = [
            event for event in _all(client, " and ".join(clauses)) if event["eventName"]["value"] != "BeginRequest"
        ]
    print_answer({"value": events}, [_row(event) for event in events], output)


def _all(client: ServiceClient, wanted: str) -> list[Json]:
    path = client.subscription_path("providers/Microsoft.Insights/eventtypes/management/values")
    page = client.get(path, **{"$filter": wanted})
    found: list[Json] = page["value"]
    while "nextLink" in page:
        parts = urlsplit(page["nextLink"])
        page = client.get_target(f"{parts.path}?{parts.query}")
        found += page["value"]
    return found


def _row(event: Json) -> dict[str, object]:
    return {
        "Time": event["eventTimestamp"][:19] + "Z",
        "Caller": event["caller"],
        "Operation": event["operationName"]["value"],
        "Resource": _short(event["resourceId"]),
        "Status": event["status"]["value"],
        "CorrelationId": event["correlationId"],
    }


def _short(resource_id: str) -> str:
    """The names of a resource without the types: `rg/c1/np1`."""
    names = [
        part for part in resource_id.strip("/").split("/")[1::2] if not part.startswith(("Microsoft.", "microsoft."))
    ]
    return "/".join(names[1:]) or names[0]
