"""Live progress of an operation, on stderr: a bar on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Show = Callable[[Mapping[str, Any]], None]
Steps = Callable[[str, float], None]


@contextmanager
def shown(doing: str, *, lines: bool) -> Iterator[Show]:
    """Yield what to call with each state of an operation.

    On a terminal the bar is gone in the end. Elsewhere each state that differs from the one before is a line where
    `lines` is set. Either way one line says when no Kubernetes cluster is attached.
    """
    if sys.stderr.isatty():
        with _bar(doing) as show:
            yield show
    elif lines:
        yield _lines(doing)
    else:
        yield lambda operation: None


@contextmanager
def steps_shown(doing: str, *, lines: bool) -> Iterator[Steps]:
    """Yield what to call with each step of work done here, and how much is done by then, from 0 to 1."""
    with shown(doing, lines=lines) as show:
        yield lambda step, share: show(
            {"percentComplete": round(share * 100), "properties": {"poolwright": {"step": step}}}
        )


def detail(operation: Mapping[str, Any]) -> str:
    """Return the step, the wave where there are several, the machines replaced, and those by generation."""
    block = _block(operation)
    parts = [(block.get("step") or "").replace("_", " ")]
    if block.get("waves", 1) > 1:
        parts.append(f"wave {block['wave']} of {block['waves']}")
    if block.get("toReplace"):
        parts.append(f"{block['replaced']} of {block['toReplace']} replaced")
    counts = [f"{name}: {count}" for name, count in block.get("generations", {}).items() if count]
    if counts:
        parts.append(", ".join(counts))
    return "  ".join(part for part in parts if part)


def remark(operation: Mapping[str, Any]) -> str | None:
    """Return what to say once about the Kubernetes cluster: that none is attached."""
    kubernetes = _block(operation).get("kubernetes")
    return f"note: {kubernetes['message']}" if kubernetes and not kubernetes["attached"] else None


@contextmanager
def _bar(doing: str) -> Iterator[Show]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(escape(doing), total=None, detail="")
        remark_once = _once(lambda text: bar.console.print(escape(text), highlight=False))

        def show(operation: Mapping[str, Any]) -> None:
            remark_once(remark(operation))
            bar.update(task, total=100, completed=operation.get("percentComplete", 0), detail=escape(detail(operation)))

        yield show


def _lines(doing: str) -> Show:
    tell = _once(lambda text: print(text, file=sys.stderr, flush=True))

    def show(operation: Mapping[str, Any]) -> None:
        tell(remark(operation))
        parts = (f"{doing}: {operation.get('percentComplete', 0)}%", detail(operation))
        tell("  ".join(part for part in parts if part))

    return show


def _once(tell: Callable[[str], None]) -> Callable[[str | None], None]:
    """`tell`, but no text twice; None is no text."""
    told: set[str] = set()

    def tell_once(text: str | None) -> None:
        if text is not None and text not in told:
            told.add(text)
            tell(text)

    return tell_once


def _block(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    block: Mapping[str, Any] = operation.get("properties", {}).get("poolwright", {})
    return block
