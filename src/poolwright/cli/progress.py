"""Live progress of an operation, on stderr and only where a terminal is there to see it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Show = Callable[[Mapping[str, Any]], None]


@contextmanager
def shown(doing: str) -> Iterator[Show]:
    """Yield what to call with each state of an operation; its line is gone in the end."""
    if not sys.stderr.isatty():
        yield lambda operation: None
        return
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

        def show(operation: Mapping[str, Any]) -> None:
            bar.update(task, total=100, completed=operation.get("percentComplete", 0), detail=escape(detail(operation)))

        yield show


def detail(operation: Mapping[str, Any]) -> str:
    """Return the step, the wave where there are several, and the machines by generation."""
    block = operation.get("properties", {}).get("poolwright", {})
    parts = [(block.get("step") or "").replace("_", " ")]
    if block.get("waves", 1) > 1:
        parts.append(f"wave {block['wave']} of {block['waves']}")
    if block.get("toReplace"):
        parts.append(f"{block['replaced']} of {block['toReplace']} replaced")
    counts = [f"{name}: {count}" for name, count in block.get("generations", {}).items() if count]
    if counts:
        parts.append(", ".join(counts))
    return "  ".join(part for part in parts if part)
