"""The databases of a data directory, looked into from outside."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

STORE = Path("poolwright.sqlite")
ENGINE = Path("machines") / "simulated.sqlite"


def rows(path: Path, query: str) -> list[Any]:
    """Return the rows of a query. The database may be in use."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()
