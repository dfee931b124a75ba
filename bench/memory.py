"""Memory of a process, as the kernel counts it."""

from __future__ import annotations

from pathlib import Path


def memory_mb(pid: int) -> float:
    """Return the resident memory in MB. Raises `OSError` or `IndexError` where there is no such process any more."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
