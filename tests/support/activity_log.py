"""What the activity log holds once a service that was killed has finished everything."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from tests.support.databases import STORE, rows


def unlogged(data_dir: Path) -> list[str]:
    """Say which stored operations have not exactly one entry of their beginning and one of their end, as they ended."""
    operations = dict(rows(data_dir / STORE, "SELECT id, status FROM pw_operations"))
    records = [json.loads(record) for (record,) in rows(data_dir / STORE, "SELECT record FROM pw_activity")]
    begun = Counter(record["operation_id"] for record in records if record["begins"])
    ended = Counter((record["operation_id"], record["outcome"]) for record in records if not record["begins"])
    wrong = [
        f"the beginning of operation {operation} is in the activity log {begun[operation]} times"
        for operation in operations
        if begun[operation] != 1
    ]
    for (operation, outcome), times in (ended - Counter(operations.items())).items():
        wrong.append(f"the activity log says {times} times too often that operation {operation} ended {outcome}")
    for operation, status in Counter(operations.items()) - ended:
        wrong.append(f"the activity log does not say that operation {operation} ended {status}")
    return wrong


def require_logged_once(data_dir: Path) -> int:
    """Every stored operation has one entry of its beginning and one of its end, as it ended; returns how many."""
    assert unlogged(data_dir) == []
    [(number,)] = rows(data_dir / STORE, "SELECT count(*) FROM pw_operations")
    return int(number)
