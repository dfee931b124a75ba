"""The syntax of node labels and taints: Kubernetes' own, which the API server of a cluster would refuse nodes by.

Sources: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set,
https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/ and `kubectl taint --help`.

Invariant: what is well formed here, Kubernetes takes as a label or a taint of a node.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

TAINT_EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_MAX_PREFIX: Final = 253
_NAME: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PART: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_PREFIX: Final = re.compile(rf"{_PART}(\.{_PART})*")


def malformed_label(labels: Mapping[str, str | None]) -> str | None:
    """Return the first label that is none, as `key: value`; None when all are well formed."""
    wrong = (f"{key}: {value or ''}" for key, value in labels.items() if not (_is_key(key) and _is_value(value or "")))
    return next(wrong, None)


def malformed_taint(taints: Sequence[str]) -> str | None:
    """Return the first taint that is neither `key=value:effect` nor `key:effect`; None when all are."""
    return next((taint for taint in taints if not _is_taint(taint)), None)


def repeated_taint(taints: Sequence[str]) -> str | None:
    """Return the first key and effect, as `key:effect`, that two taints have; None when there is none."""
    parted = (taint.rpartition(":") for taint in taints)
    counts = Counter(f"{key.partition('=')[0]}:{effect}" for key, _, effect in parted)
    return next((taint for taint, number in counts.items() if number > 1), None)


def _is_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    if slash and not (len(prefix) <= _MAX_PREFIX and _PREFIX.fullmatch(prefix)):
        return False
    return _NAME.fullmatch(name) is not None


def _is_value(value: str) -> bool:
    return not value or _NAME.fullmatch(value) is not None


def _is_taint(taint: str) -> bool:
    pair, _, effect = taint.rpartition(":")
    key, _, value = pair.partition("=")
    return effect in TAINT_EFFECTS and _is_key(key) and _is_value(value)
