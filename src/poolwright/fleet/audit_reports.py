"""An audit for spreadsheets (CSV) and for programs that show findings (SARIF).

Invariant: both say what the audit says and judge nothing anew.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, Final

from poolwright.domain.evidence import Confidence
from poolwright.fleet.audit import OBSTACLES, Audit, AuditedPool, Effect, Urgency
from poolwright.fleet.document import Place
from poolwright.reports.sarif import Level, SarifNotification, SarifPlace, SarifResult, SarifRule, sarif
from poolwright.reports.visible import visible

COLUMNS: Final = (
    *("subscription", "resourceGroup", "cluster", "pool", "location", "mode", "osType", "osSku", "kubernetesVersion"),
    *("poolType", "priority", "powerState", "provisioningState", "sizes", "count", "nodeImageVersion", "generation"),
    *("confidence", "because", "gen2Size", "move", "urgency", "firstEnd", "firstEndOf", "findings", "remedies"),
    *("id", "file", "line"),
)
# What spreadsheets take for a formula, in both widths. Source: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA: Final = tuple("=+-@\uff1d\uff0b\uff0d\uff20")


def csv_text(audit: Audit) -> str:
    """Return one line for every node pool, with a line of names above them."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for pool in audit.pools:
        writer.writerow({name: _safe(value) for name, value in row_of(pool).items()})
    return out.getvalue()


def row_of(pool: AuditedPool) -> dict[str, object]:
    """Return a node pool by the names of `COLUMNS`."""
    first = pool.ends[0] if pool.ends else None
    return {
        "subscription": pool.subscription,
        "resourceGroup": pool.resource_group,
        "cluster": pool.cluster,
        "pool": pool.pool,
        "location": pool.location,
        "mode": pool.mode,
        "osType": pool.os_type,
        "osSku": pool.os_sku,
        "kubernetesVersion": pool.kubernetes_version,
        "poolType": pool.pool_type,
        "priority": pool.priority,
        "powerState": pool.power_state,
        "provisioningState": pool.provisioning_state,
        "sizes": " ".join(pool.sizes),
        "count": pool.count,
        "nodeImageVersion": pool.node_image_version,
        "generation": pool.generation,
        "confidence": pool.confidence.value,
        "because": pool.because.message,
        "gen2Size": pool.gen2_size.value,
        "move": pool.move.value,
        "urgency": pool.urgency.value,
        "firstEnd": first.day.isoformat() if first else None,
        "firstEndOf": f"{first.subject}: {first.effect}" if first else None,
        "findings": " ".join(finding.message for finding in pool.findings),
        "remedies": "; ".join(finding.remedy for finding in pool.findings),
        "id": pool.id,
        "file": pool.place.file,
        "line": pool.place.line,
    }


def _safe(value: object) -> object:
    """A cell that no spreadsheet takes for a formula, in one line."""
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text


_GEN1: Final = SarifRule(
    "fleet-gen1",
    "A node pool runs machines of Generation 1.",
    "poolwright fleet plan says how it gets to Generation 2.",
    Level.WARNING,
)
_UNKNOWN: Final = SarifRule(
    "fleet-generation-unknown",
    "Nothing tells which generation a node pool is.",
    "Export it with a current az, and add az vm list-skus to the input.",
    Level.NOTE,
)
_ENDED: Final = SarifRule(
    "fleet-ended",
    "A size, an OS release or a type of node pool has ended.",
    "Move the node pool now; scaling it may fail.",
    Level.ERROR,
)
_ENDS_SOON: Final = SarifRule(
    "fleet-ends-soon",
    "A size, an OS release or a type of node pool ends within a year.",
    "Plan the move.",
    Level.WARNING,
)
_LEVELS: Final = {Effect.BLOCKS: Level.WARNING, Effect.WAITS: Level.WARNING, Effect.NOTE: Level.NOTE}
RULES: Final = (
    *(_GEN1, _UNKNOWN, _ENDED, _ENDS_SOON),
    *(
        SarifRule(f"fleet-{row.rule.id}", row.rule.text, f"Source: {row.rule.source}", _LEVELS[row.effect])
        for row in OBSTACLES
    ),
)


def sarif_log(audit: Audit) -> dict[str, Any]:
    """Return the findings of an audit as SARIF; what could not be read is told as notifications of the run."""
    notifications = [
        SarifNotification(f"{problem.kind}: {problem.message}", _place(problem.place)) for problem in audit.problems
    ]
    return sarif(version("poolwright"), RULES, _results(audit), notifications)


def _results(audit: Audit) -> Iterator[SarifResult]:
    for pool in audit.pools:
        place = _place(pool.place, pool.id)
        called = f"Node pool {pool.resource_group}/{pool.cluster}/{pool.pool}"
        if pool.generation == "V1":
            likely = pool.confidence is not Confidence.CERTAIN
            message = f"{called} is{' likely' if likely else ''} of Generation 1: {pool.because.message}"
            yield SarifResult(_GEN1.id, message, place, Level.NOTE if likely else None)
        elif pool.generation is None:
            yield SarifResult(_UNKNOWN.id, f"{called}: {pool.because.message}", place)
        for end in pool.ends[:1]:
            rule = {Urgency.OVERDUE: _ENDED, Urgency.SOON: _ENDS_SOON}.get(pool.urgency)
            if rule is not None:
                yield SarifResult(rule.id, f"{called}: {end.subject} {end.day}: {end.effect} ({end.source})", place)
        for finding in pool.findings:
            yield SarifResult(f"fleet-{finding.id}", f"{called}: {finding.message} Remedy: {finding.remedy}", place)


def _place(place: Place, name: str | None = None) -> SarifPlace:
    # Standard input, and what came from an endpoint, is no file.
    is_file = not place.file.startswith("<")
    return SarifPlace(
        place.file if is_file else None, place.line if is_file else 0, name=name or place.path or place.file
    )
