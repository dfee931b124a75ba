"""Documents: what is written of them, and what comes of a signal meanwhile."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from types import DynamicClassAttribute
from typing import Any

import pytest
from pydantic_core import PydanticSerializationError

from poolwright.cli.interruption import Ended, signals_interrupt
from poolwright.fleet.document import Document, json_of, json_pieces


class Signalling(Enum):
    """Has the process get a signal, once, when it is written."""

    INT = signal.SIGINT
    TERM = signal.SIGTERM

    @DynamicClassAttribute
    def value(self) -> str:
        if self not in got:
            got.append(self)
            signal.raise_signal(self._value_)
        return self.name


got: list[Signalling] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder(Document):
    """Anything."""

    held: dict[str, Any]


def pieces_of(document: Document) -> bytes:
    return b"".join(json_pieces(document))


@pytest.mark.parametrize("write", [json_of, pieces_of])
@pytest.mark.parametrize(
    ("sent", "kind"), [(Signalling.INT, KeyboardInterrupt), (Signalling.TERM, Ended)], ids=["int", "term"]
)
def test_a_signal_while_a_document_is_written_interrupts_as_ever(
    sent: Signalling, kind: type[KeyboardInterrupt], write: Callable[[Document], bytes]
) -> None:
    got.clear()
    with pytest.raises(KeyboardInterrupt) as interrupt, signals_interrupt():
        write(Holder(held={"a": sent}))
    assert type(interrupt.value) is kind
    assert got == [sent]
    if isinstance(interrupt.value, Ended):
        assert interrupt.value.number == signal.SIGTERM


def test_what_cannot_be_written_is_no_interrupt() -> None:
    with pytest.raises(PydanticSerializationError):
        json_of(Holder(held={"a": object()}))
