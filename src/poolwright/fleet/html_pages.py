"""An audit and a plan as one HTML file each, which can be mailed, archived and printed.

Invariant: a page asks nothing of any other place (its content security policy forbids it), and nothing of the fleet can
become markup or script in it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import Final

from poolwright.fleet.audit import Audit, AuditedPool
from poolwright.fleet.audit_reports import row_of
from poolwright.fleet.plan import Plan
from poolwright.fleet.plan_report import outline
from poolwright.reports.blocks import html
from poolwright.reports.numbers import counted
from poolwright.reports.visible import visible

# What the table of an audit shows, and what one can choose by.
_SHOWN: Final = {
    **{"resourceGroup": "Resource group", "cluster": "Cluster", "pool": "Node pool", "generation": "Generation"},
    **{"move": "Move", "sizes": "Size", "count": "Machines", "osSku": "OS SKU", "mode": "Mode", "location": "Location"},
    **{
        "urgency": "Urgency",
        "firstEnd": "First end",
        "findings": "Findings and what helps",
        "because": "Known because",
    },
}
_FILTERS: Final = ("generation", "move", "urgency", "location", "mode", "osSku", "subscription")
_DATA: Final = (*_SHOWN, "confidence", "subscription", "nodeImageVersion", "id")
_MOST_BARS: Final = 12
_BAR: Final = 28  # how high one is


def audit_page(audit: Audit) -> str:
    """Return the audit as a page: charts, filters, a table that sorts, and a layout for paper."""
    rows = [_row(pool) for pool in audit.pools]
    data = {"columns": _DATA, "rows": [[row[name] for name in _DATA] for row in rows], "filters": _FILTERS}
    selects = "".join(_select(name, rows) for name in _FILTERS)
    heads = "".join(
        f'<th scope="col" data-column="{name}" aria-sort="none"><button type="button">{escape(label)}</button></th>'
        for name, label in _SHOWN.items()
    )
    problems = "".join(
        f"<li>{escape(visible(f'{problem.kind}: {problem.place.file}:{problem.place.line}: {problem.message}'))}</li>"
        for problem in audit.problems
    )
    trouble = f"<h2>Input that could not be taken</h2><ul>{problems}</ul>" if problems else ""
    said = (
        f"As of {audit.as_of}, profile {audit.profile}, catalogue {audit.catalogue}. "
        f"{counted(len(audit.pools), 'node pool')} in {counted(audit.clusters, 'cluster')}."
    )
    charts = _generations(audit) + _moves(audit.gen1) + _places(audit.gen1)
    content = f"""<a class="skip" href="#pools">To the table</a>
<header><h1>Fleet audit: which node pools are of Generation 1</h1><p class="quiet">{escape(said)}</p></header>
<main>
<section aria-label="Charts"><div class="charts">{charts}</div></section>
{trouble}
<h2 id="table">Node pools</h2>
<form class="filters" role="search" aria-label="Filter node pools">
<div><label for="text">Search</label><input id="text" name="text" type="search" placeholder="any word"></div>{selects}
<button type="reset">Show all</button></form>
<p id="count" role="status" class="quiet"></p>
<noscript><p>The table needs JavaScript; the same rows come from poolwright fleet audit -o csv.</p></noscript>
<div class="wide" role="region" aria-labelledby="table" tabindex="0"><table id="pools">
<caption>A generation is likely where only AKS's rules tell. Click a heading to sort.</caption>
<thead><tr>{heads}</tr></thead><tbody></tbody></table></div>
<button id="more" type="button" hidden>Show more</button>
</main>
<script id="data" type="application/json">{_json(data)}</script>"""
    return _page("Fleet audit", content, script=_text("audit.js"))


def _row(pool: AuditedPool) -> dict[str, object]:
    """A node pool in fewer columns than a spreadsheet has."""
    row = row_of(pool)
    end = f"{row['firstEnd']} {row['firstEndOf']}" if pool.ends else None
    findings = " ".join(f"{finding.message} Remedy: {finding.remedy}." for finding in pool.findings)
    row |= {"firstEnd": end, "findings": findings or None}
    return {name: visible(value) if isinstance(value, str) else value for name, value in row.items()}


def plan_page(plan: Plan) -> str:
    """Return the plan as a page: the text of its Markdown."""
    return _page("Fleet plan", f"<main>{html(outline(plan))}</main>")


def _page(title: str, content: str, script: str = "") -> str:
    style = _text("page.css")
    scripts = f"'{_digest(script)}'" if script else "'none'"
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src {scripts}; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
    code = f"<script>{script}</script>" if script else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
{content}
{code}
</body>
</html>
"""


def _text(name: str) -> str:
    return files("poolwright.fleet").joinpath("pages", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """What a content security policy knows a script or style by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(value: object) -> str:
    """JSON that no HTML parser takes for the end of its element."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _select(name: str, rows: Sequence[dict[str, object]]) -> str:
    values = sorted({"unknown" if row[name] is None else str(row[name]) for row in rows})
    options = "".join(f"<option>{escape(value)}</option>" for value in values)
    label = _SHOWN.get(name, name.capitalize())
    return (
        f'<div><label for="by-{name}">{escape(label)}</label>'
        f'<select id="by-{name}" name="{name}"><option value="">all</option>{options}</select></div>'
    )


# --- charts -----------------------------------------------------------------------------------------------------------


def _generations(audit: Audit) -> str:
    counted = Counter(pool.generation for pool in audit.pools)
    likely = sum(pool.confidence == "likely" for pool in audit.gen1)
    parts = [
        ("Generation 1", counted["V1"], "bar-v1"),
        ("Generation 2", counted["V2"], "bar-v2"),
        ("unknown", counted[None], "bar-none"),
    ]
    note = f" {likely:,} of Generation 1 are only likely." if likely else ""
    return _bars("Generations", parts, note)


def _moves(gen1: Iterable[AuditedPool]) -> str:
    counted = Counter(pool.move.value for pool in gen1)
    labels = {
        "same-size": "can move, same size",
        "other-size": "can move, other size",
        "waits": "waits for something",
        "blocked": "blocked",
    }
    return _bars("What Generation 1 needs", [(label, counted[move], "bar") for move, label in labels.items()])


def _places(gen1: Iterable[AuditedPool]) -> str:
    counted = Counter(pool.location or "unknown" for pool in gen1)
    # The same number: by name, so that the page is the same every time.
    most = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))
    bars = [(place, number, "bar-v1") for place, number in most[:_MOST_BARS]]
    rest = sum(number for _, number in most[_MOST_BARS:])
    return _bars("Generation 1 by location", bars + ([("others", rest, "bar-none")] if rest else []))


def _bars(title: str, bars: Sequence[tuple[str, int, str]], note: str = "") -> str:
    """A chart of horizontal bars that says in words what it shows."""
    name = title.lower().replace(" ", "-")
    words = ", ".join(f"{label}: {number:,}" for label, number, _ in bars) or "nothing"
    most = max([number for _, number, _ in bars] or [0]) or 1
    drawn = ""
    for row, (label, number, kind) in enumerate(bars):
        top, length = _BAR * row, max(1.0, 200 * number / most)
        drawn += (
            f'<text x="0" y="{top + 18}">{escape(label)}</text>'
            f'<rect class="{kind}" x="150" y="{top + 5}" width="{length:.1f}" height="17" rx="3"/>'
            f'<text x="{158 + length:.1f}" y="{top + 18}">{number:,}</text>'
        )
    height = _BAR * max(1, len(bars))
    return (
        f'<figure><figcaption id="{name}">{escape(title)}</figcaption>'
        f'<svg role="img" viewBox="0 0 420 {height}" aria-labelledby="{name} {name}-words">'
        f'<desc id="{name}-words">{escape(words + "." + note)}</desc>{drawn}</svg>'
        + (f'<p class="quiet">{escape(note.strip())}</p>' if note else "")
        + "</figure>"
    )
