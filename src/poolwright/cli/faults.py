"""`poolwright faults`: bad days on demand, in a running service.

Invariant: options only put together the document that `--file` takes whole; the service alone says what is wrong.
"""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from poolwright.cli.connection import connect
from poolwright.cli.failure import Failure
from poolwright.cli.options import DataDir, OutputForm, examples, in_any_case, value_of
from poolwright.cli.output import Json, Output, note, print_answer, print_json

app = typer.Typer(no_args_is_help=True, help="Faults: bad days on demand. See docs/compatibility.md for every effect.")


# As poolwright.domain has them, which commands do not import; a test compares the two.
class Operation(StrEnum):
    CREATE_NODE_POOL = "create_node_pool"
    UPDATE_NODE_POOL = "update_node_pool"
    UPGRADE_NODE_IMAGE = "upgrade_node_image"
    ROLLBACK_NODE_POOL = "rollback_node_pool"
    DELETE_MACHINES = "delete_machines"
    REIMAGE_MACHINE = "reimage_machine"
    ABORT_NODE_POOL = "abort_node_pool"
    DELETE_NODE_POOL = "delete_node_pool"
    CREATE_CLUSTER = "create_cluster"
    UPDATE_CLUSTER = "update_cluster"
    STOP_CLUSTER = "stop_cluster"
    START_CLUSTER = "start_cluster"
    ABORT_CLUSTER = "abort_cluster"
    DELETE_CLUSTER = "delete_cluster"
    DELETE_RESOURCE_GROUP = "delete_resource_group"
    CREATE_DEPLOYMENT = "create_deployment"


class Capacity(StrEnum):
    ALLOCATION = "AllocationFailed"
    ZONAL = "ZonalAllocationFailed"
    SKU = "SkuNotAvailable"


STEPS: Final = (
    "plan_waves",
    "add_machines",
    "await_ready",
    "cordon",
    "drain",
    "soak",
    "remove_machines",
    "reimage_machines",
    "await_reimaged",
    "undo_wave",
    "mark_succeeded",
    "delete_machines",
    "undo_delete_machines",
    "remove_resources",
    "conclude_deployment",
)
METHODS: Final = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE")


def _complete_step(incomplete: str) -> list[str]:
    return [step for step in STEPS if step.startswith(incomplete)]


def _complete_method(incomplete: str) -> list[str]:
    return [method for method in METHODS if method.startswith(incomplete.upper())]


Name = Annotated[str, typer.Argument(metavar="NAME", help="The fault's name: lower-case letters, digits, hyphens.")]


def _match(help_text: str, *spellings: str, **more: Any) -> Any:
    return typer.Option(*spellings, help=f"Only for {help_text}", **more)


def _does(help_text: str, *spellings: str, **more: Any) -> Any:
    return typer.Option(*spellings, help=help_text, **more)


@app.command(
    epilog=examples(
        "poolwright faults add disk --pool np1 --step await_ready --fail 'no space left' --count 1",
        "poolwright faults add full --zone 2 --no-capacity ZonalAllocationFailed",
        "poolwright faults add busy --method GET --path '*/agentPools/*' --throttle 2 --count 3",
        "poolwright faults add policy --operation create_node_pool --refuse RequestDisallowedByPolicy",
        "poolwright faults add lost --operation update_node_pool --step wave_2.remove_machines --lose-machine 1",
        "poolwright faults add mine --file fault.json",
    )
)
def add(
    name: Name,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="The whole document, as JSON; - is stdin.")] = None,
    operation: Annotated[Operation | None, _match("this kind of operation.", "--operation", metavar="KIND")] = None,
    pool: Annotated[str | None, _match("node pools, by name or ID; * and ? stand for text.")] = None,
    cluster: Annotated[str | None, _match("clusters, by name or ID; a pattern.")] = None,
    size: Annotated[str | None, _match("VM sizes; a pattern.")] = None,
    location: Annotated[str | None, _match("this location.", "--location", "-l")] = None,
    zone: Annotated[str | None, _match("this availability zone.", "--zone", "-z")] = None,
    step: Annotated[
        str | None,
        _match("this step, or wave_2.STEP in one wave.", metavar="STEP", autocompletion=_complete_step),
    ] = None,
    method: Annotated[str | None, _match("requests with this method.", autocompletion=_complete_method)] = None,
    path: Annotated[str | None, _match("requests to these paths; a pattern.")] = None,
    nth: Annotated[int | None, _match("the nth time all this matches.", min=1)] = None,
    delay: Annotated[float | None, _does("The reply or the step comes later.", metavar="SECONDS")] = None,
    refuse: Annotated[
        str | None, _does("Refuse the request, or with --step fail the operation.", metavar="CODE")
    ] = None,
    message: Annotated[str | None, _does("What --refuse says in place of Azure's words.")] = None,
    throttle: Annotated[int | None, _does("Answer 429 with this Retry-After.", metavar="SECONDS")] = None,
    fail: Annotated[str | None, _does("Fail the operation at --step with this cause.", metavar="CAUSE")] = None,
    lose_machine: Annotated[int | None, _does("So many machines vanish before --step.", metavar="N")] = None,
    retired_size: Annotated[bool, _does("--size is no longer offered.", "--retired-size")] = False,
    no_capacity: Annotated[
        Capacity | None, _does("New machines are not made.", "--no-capacity", **in_any_case(Capacity, shown="CODE"))
    ] = None,
    quota_short: Annotated[bool, _does("One vCPU is missing; with --step half way.", "--quota-short")] = False,
    unsigned_driver: Annotated[
        str | None, _does("New machines with Secure Boot never become ready.", metavar="DRIVER")
    ] = None,
    fail_drain: Annotated[str | None, _does("Pods do not leave, for this reason.", metavar="WHY")] = None,
    count: Annotated[int | None, typer.Option(help="Fire at most so often.", min=1)] = None,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Add a fault, or replace the one with that name. It acts from the next request on.

    KIND is create_node_pool, update_node_pool, upgrade_node_image, rollback_node_pool, delete_machines,
    reimage_machine, abort_node_pool, delete_node_pool, create_cluster, update_cluster, stop_cluster, start_cluster,
    delete_cluster, delete_resource_group, create_deployment or abort_cluster.

    CODE of --refuse is one of the table "Errors" in docs/compatibility.md; `poolwright faults schema` lists them, too.
    """
    match = _given(
        operation=value_of(operation),
        pool=pool,
        cluster=cluster,
        size=size,
        location=location,
        zone=zone,
        step=step,
        nth=nth,
        method=method.upper() if method else None,
        path=path,
    )
    effect = _given(
        delaySeconds=delay,
        refuse=_given(code=refuse, message=message) or None,
        throttle=throttle,
        failAtStep=fail,
        loseMachine=lose_machine,
        retiredSize=retired_size or None,
        noCapacity=value_of(no_capacity),
        quotaShort=quota_short or None,
        unsignedDriver=unsigned_driver,
        failDrain=fail_drain,
    )
    document = _given(match=match or None, effect=effect or None, count=count)
    if file is not None:
        if document:
            raise typer.BadParameter("the file is the whole document; leave the other options out", param_hint="--file")
        document = _read(file)
    elif not effect:
        raise typer.BadParameter("say what it does, for example with --refuse, or give --file", param_hint="NAME")
    with connect(data_dir, output) as client:
        fault = client.put(client.fault_path(name), document, {}).json()
        _print([fault], fault, output)
        for warning in fault["state"]["warnings"]:
            note(f"warning: {warning}")


@app.command("list", epilog=examples("poolwright faults list", "poolwright faults list -o json"))
def list_faults(data_dir: DataDir = None, output: OutputForm = Output.TABLE) -> None:
    """List the faults: what each is meant for, how often it fired, and on what last."""
    with connect(data_dir, output) as client:
        faults = client.get(client.fault_path())
        _print(faults["value"], faults, output)


@app.command(epilog=examples("poolwright faults show disk", "poolwright faults show disk -o json"))
def show(name: Name, data_dir: DataDir = None, output: OutputForm = Output.TABLE) -> None:
    """Show a fault and when it fired."""
    with connect(data_dir, output) as client:
        fault = client.get(client.fault_path(name))
        _print([fault], fault, output)
        if output is not Output.JSON:
            for firing in fault["state"]["firings"]:
                print(f"{firing['at']}  {firing['on']}")
            for warning in fault["state"]["warnings"]:
                note(f"warning: {warning}")


@app.command(epilog=examples("poolwright faults clear disk", "poolwright faults clear --all"))
def clear(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Faults to take away.")] = None,
    everything: Annotated[bool, typer.Option("--all", "-a", help="Take all faults away.")] = False,
    data_dir: DataDir = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Take faults away. What they did stays; what they would still do does not happen."""
    if everything == bool(names):
        raise typer.BadParameter("name faults, or give --all", param_hint="NAME")
    with connect(data_dir, output) as client:
        for name in names or ():
            client.delete(client.fault_path(name), {})
        cleared = client.delete(client.fault_path(), {}).json()["cleared"] if everything else len(names or ())
        if output is Output.JSON:
            print_json({"cleared": cleared})
        else:
            note(f"{cleared} fault{'' if cleared == 1 else 's'} cleared")


@app.command(epilog=examples("poolwright faults schema > fault.schema.json"))
def schema(data_dir: DataDir = None) -> None:
    """Print the JSON schema of a fault's document."""
    with connect(data_dir, Output.JSON) as client:
        print_json(client.get("/_poolwright/fault-schema"))


def _given(**parts: Any) -> Json:
    return {name: value for name, value in parts.items() if value is not None}


def _read(file: Path) -> Json:
    try:
        document = json.loads(sys.stdin.read() if str(file) == "-" else file.read_text())
    except OSError as error:
        raise Failure(f"error: {file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Failure(f"error: {file} holds no JSON: {error}") from error
    if not isinstance(document, dict):
        raise Failure(f"error: {file} holds no JSON object")
    return document


def _print(faults: list[Json], document: Json, output: Output) -> None:
    print_answer(document, [_row(fault) for fault in faults], output)


def _row(fault: Json) -> dict[str, object]:
    state = fault["state"]
    ((effect, value),) = fault["effect"].items()
    shown = value["code"] if isinstance(value, dict) else value
    last = state["firings"][0]["on"] if state["firings"] else None
    return {
        "Name": fault["name"],
        "Effect": effect if shown is True else f"{effect}={shown}",
        "Match": " ".join(f"{name}={part}" for name, part in fault["match"].items()) or "everything",
        "At": state["decidedAt"],
        "Fired": f"{state['fired']}" + (f" of {fault['count']}" if "count" in fault else ""),
        "Last": last,
    }
