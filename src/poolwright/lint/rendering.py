"""A report for people and for programs: text, JSON and SARIF.

Invariant: all say the same; the JSON's names stay, and `version` counts what cannot be read as before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from poolwright.lint.findings import Finding, LintedPool, LintReport, Outcome
from poolwright.lint.kinds import ELSEWHERE
from poolwright.lint.pools import Action
from poolwright.lint.texts import Place
from poolwright.reports.numbers import counted
from poolwright.reports.sarif import Level, SarifNotification, SarifPlace, SarifResult, SarifRule, sarif
from poolwright.templates.partial import Unknown

VERSION: Final = 1
_MAX_IMAGES: Final = 3

Json = dict[str, Any]


def text_of(report: LintReport) -> str:
    """Return the report for people, in the order of places."""
    lines: list[str] = []
    entries: list[tuple[Place, list[str]]] = [(linted.pool.place, list(_pool_lines(linted))) for linted in report.pools]
    entries += [(mistake.place, list(_finding_lines(mistake, ""))) for mistake in report.mistakes]
    entries += [(place, [f"{place}: cannot be read: {reason}"]) for place, reason in report.broken]
    for _, each in sorted(entries, key=lambda entry: entry[0]):
        lines += each
    lines += ["", summary_of(report)] if lines else [summary_of(report)]
    return "\n".join(lines)


def summary_of(report: LintReport) -> str:
    """Return one line: how many of what."""
    counts = counts_of(report)
    parts = [
        f"{counted(counts['pools'], 'node pool')} in {counted(report.files, 'file')}",
        f"{counts['gen2']} Generation 2",
        f"{counts['gen1']} Generation 1",
        f"{counts['unknown']} unknown",
        counted(counts["errors"], "error"),
        counted(counts["warnings"], "warning"),
    ]
    parts += [f"{counts['kept']} left as {'it is' if counts['kept'] == 1 else 'they are'}"] if counts["kept"] else []
    parts += [f"{counted(counts['broken'], 'place')} that cannot be read"] if counts["broken"] else []
    left_out = sum(report.left_out.values())
    parts += [f"{counted(left_out, 'file')} left out"] if left_out else []
    return f"{', '.join(parts)} (profile {report.profile.value})"


def left_out_of(report: LintReport) -> list[str]:
    """Return a line for each reason why files were left out."""
    return [f"left out: {counted(count, 'file')} {reason}" for reason, count in sorted(report.left_out.items())]


def counts_of(report: LintReport) -> dict[str, int]:
    """Return how many node pools, findings and broken places there are, by kind."""
    outcomes = [linted.outcome for linted in report.pools]
    numbers = [outcome.generation.number for outcome in outcomes if outcome.generation is not None]
    levels = [finding.level.value for finding in report.findings]
    return {
        "pools": len(outcomes),
        "gen1": numbers.count(1),
        "gen2": numbers.count(2),
        "unknown": sum(_is_unknown(linted) for linted in report.pools),
        "elsewhere": sum(finding.kind is ELSEWHERE for finding in report.findings),
        "kept": sum(_is_kept(linted) for linted in report.pools),
        "refused": sum(outcome.is_refused for outcome in outcomes),
        "errors": levels.count("error"),
        "warnings": levels.count("warning"),
        "notes": levels.count("note"),
        "broken": len(report.broken),
    }


def json_of(report: LintReport) -> Json:
    """Return the report for programs."""
    return {
        "version": VERSION,
        "profile": report.profile.value,
        "pools": [_pool(linted) for linted in report.pools],
        "findings": [_finding(finding) for finding in report.findings],
        "broken": [{**_position(place), "reason": reason} for place, reason in report.broken],
        "leftOut": [{"files": count, "reason": reason} for reason, count in sorted(report.left_out.items())],
        "summary": {**counts_of(report), "files": report.files, "skipped": report.skipped},
    }


def sarif_of(report: LintReport, tool_version: str) -> Json:
    """Return the report as a SARIF log; what cannot be read is a notification of the run."""
    findings = report.findings
    worst: dict[str, Finding] = {}
    for finding in sorted(findings, key=lambda each: list(Level).index(each.level)):
        worst.setdefault(finding.kind.id, finding)
    rules = [
        SarifRule(kind_id, each.kind.text, f"{each.kind.text} Source: {each.kind.source}", each.level)
        for kind_id, each in worst.items()
    ]
    results = [
        SarifResult(
            finding.kind.id,
            f"{_subject(finding)}{finding.message}" + (f"\nRemedy: {finding.remedy}" if finding.remedy else ""),
            _sarif_place(finding.place, finding.pool.address if finding.pool is not None else None),
            finding.level,
        )
        for finding in findings
    ]
    broken = [
        SarifNotification(f"cannot be read: {reason}", _sarif_place(place, None)) for place, reason in report.broken
    ]
    return sarif(tool_version, rules, results, broken)


def _subject(finding: Finding) -> str:
    return f"{finding.pool.address}: " if finding.pool is not None else ""


def _sarif_place(place: Place, name: str | None) -> SarifPlace:
    return SarifPlace(file=place.file, line=place.line, column=place.column, name=name)


def _pool_lines(linted: LintedPool) -> Iterator[str]:
    pool, outcome = linted.pool, linted.outcome
    yield f"{pool.place}: {pool.address} ({pool.tool.name}): {_outcome_text(linted)}"
    if pool.condition is not None:
        yield f"    only where: {pool.condition}"
    for rule in outcome.rules:
        yield f"    rule {rule.id}: {rule.text} [{rule.source}]"
    for assumption in outcome.assumptions:
        yield f"    assumed: {assumption}"
    for finding in linted.findings:
        yield from _finding_lines(finding, "    ")


def _outcome_text(linted: LintedPool) -> str:
    outcome = linted.outcome
    if outcome.is_refused:
        return "is refused"
    if _is_kept(linted):
        return "keeps its generation"
    images = _images(outcome)
    if outcome.generation is None:
        accepted = "" if linted.pool.action is Action.KEEP else " if it is accepted"
        return f"generation unknown{f'; {images}{accepted}' if images else ''}"
    fails = "and the operation fails" if outcome.fails_later else ""
    likely = "likely " if outcome.is_likely else ""
    return ", ".join(filter(None, (f"{likely}Generation {outcome.generation.number}", images, fails)))


def _images(outcome: Outcome) -> str:
    shown = list(outcome.images[:_MAX_IMAGES])
    more = len(outcome.images) - len(shown)
    return " or ".join([*shown, *([f"{more} other images"] if more else [])])


def _finding_lines(finding: Finding, indent: str) -> Iterator[str]:
    yield f"{indent}{finding.place}: {finding.level.value} {finding.kind.id}: {finding.message}"
    if finding.remedy:
        yield f"{indent}    remedy: {finding.remedy}"


def _is_unknown(linted: LintedPool) -> bool:
    return linted.outcome.generation is None and not linted.outcome.is_refused and not _is_kept(linted)


def _is_kept(linted: LintedPool) -> bool:
    changes = linted.pool.action in (Action.UPDATE, Action.UPGRADE)
    return changes and bool(linted.outcome.rules) and linted.outcome.rules[0].id in ("upgrade-keeps", "update-keeps")


def _pool(linted: LintedPool) -> Json:
    pool, outcome = linted.pool, linted.outcome
    return {
        **_position(pool.place),
        "address": pool.address,
        "name": _plain(pool.name),
        "tool": pool.tool.name,
        "action": pool.action.value,
        "condition": pool.condition,
        "vmSize": _plain(pool.properties.get("vmSize")),
        "location": _plain(pool.cluster.location),
        "generation": outcome.generation.value if outcome.generation is not None else None,
        "images": list(outcome.images),
        "rules": [{"id": rule.id, "text": rule.text, "source": rule.source} for rule in outcome.rules],
        "unknown": outcome.because_unknown,
        "isRefused": outcome.is_refused,
        "failsLater": outcome.fails_later,
        "isLikely": outcome.is_likely,
        "assumptions": list(outcome.assumptions),
    }


def _finding(finding: Finding) -> Json:
    return {
        **_position(finding.place),
        "id": finding.kind.id,
        "level": finding.level.value,
        "message": finding.message,
        "remedy": finding.remedy or None,
        "source": finding.kind.source,
        "pool": finding.pool.address if finding.pool is not None else None,
    }


def _position(place: Place) -> Json:
    return {"file": place.file, "line": place.line, "column": place.column}


def _plain(value: Any) -> Any:
    return {"unknown": value.expression} if isinstance(value, Unknown) else value
