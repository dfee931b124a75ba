"""`poolwright evidence`: check what a machine's firmware is said to have shown. Needs no service."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from poolwright.cli.failure import Failure
from poolwright.cli.options import OutputForm, examples
from poolwright.cli.output import Output, print_answer

app = typer.Typer(no_args_is_help=True, help="Evidence of what machines' firmware showed.")


@app.callback()
def evidence() -> None:
    """Evidence of what machines' firmware showed."""


@app.command(
    epilog=examples(
        "poolwright evidence verify evidence.json --key evidence.pub",
        "poolwright machines evidence NAME | poolwright evidence verify - --key evidence.pub",
    )
)
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The evidence; - reads it from stdin.")],
    key: Annotated[Path, typer.Option(help="The public key: PEM, as `machines evidence --key-to` wrote.")],
    output: OutputForm = Output.TABLE,
) -> None:
    """Verify a signature offline: exit code 0 when nothing was changed since the machine showed it, 1 otherwise."""
    from poolwright.machines.local import evidence as evidence_of

    try:
        document: Any = json.loads(sys.stdin.read() if str(file) == "-" else file.read_text())
        public = key.read_bytes()
    except OSError as error:
        raise Failure(f"error: {error.filename}: {error.strerror}") from error
    except ValueError as error:
        raise Failure(f"error: {file} is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise Failure(f"error: {file} is no evidence: a JSON object is expected")
    try:
        statement = evidence_of.verify(document, public)
    except evidence_of.InvalidEvidence as error:
        raise Failure(f"error: {file} does not verify: {error}") from error
    # Without our agent there is no report: the machine was seen from outside.
    report = statement["report"] or {"firmware": None, "secureBoot": None, "tpm": None}
    print_answer(
        {"verified": True, "statement": statement},
        [
            {
                "Verified": "yes",
                "Machine": statement["machine"].rpartition("/")[2],
                "Resolved": statement["resolvedGeneration"],
                "Observed": statement["observedGeneration"],
                "ObservedBy": statement["observedBy"],
                "Firmware": report["firmware"],
                "SecureBoot": {True: "on", False: "off", None: None}[report["secureBoot"]],
                "Tpm": report["tpm"],
                "Image": statement["image"]["digest"][:19],
                "Origin": statement["image"]["origin"],
            }
        ],
        output,
    )
