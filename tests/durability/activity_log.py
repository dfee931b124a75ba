"""What the activity log holds once a service that was killed has finished everything."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path


def require_logged_once(data_dir: Path) -> int:
    """Every stored operation has one entry of its beginning and one of its end, as it ended; returns how many."""
    with closing(sqlite3.connect(f"file:{data_dir / 'poolwright.sqlite'}?mode=ro", uri=True)) as connection:
        operations = dict(connection.execute("SELECT id, status FROM pw_operations"))
        records = [json.loads(record) for (record,) in connection.execute("SELECT record FROM pw_activity")]
    begun = Counter(record["operation_id"] for record in records if record["begins"])
    ended = Counter((record["operation_id"], record["outcome"]) for record in records if not record["begins"])
    assert ended == Counter(operations.items())
    assert {operation: begun[operation] for operation in operations} == dict.fromkeys(operations, 1)
    return len(operations)
