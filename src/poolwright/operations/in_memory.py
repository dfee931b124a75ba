"""Operations carried out in this process, without a workflow engine.

For unit tests: `enlist` remembers, `begin` carries out on the calling thread (or on one background
thread when `background` is set). Checkpoints last as long as the process; recovery runs what is
unfinished again from the start, which steps must bear anyway.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy.engine import Connection

from poolwright.operations.plans import Context, Effect, Failure, at_once, run_plan


class InMemoryOperations:
    """Implements `DurableOperations`."""

    def __init__(self, context: Context, *, background: bool = False) -> None:
        self._context = context
        self._enlisted: list[str] = []
        self._done: dict[tuple[str, str], Failure | None] = {}
        self._thread = ThreadPoolExecutor(max_workers=1) if background else None

    def enlist(self, connection: Connection, operation_id: str) -> None:
        self._enlisted.append(operation_id)

    def begin(self, operation_id: str) -> None:
        if self._thread is not None:
            self._thread.submit(self._carry_out, operation_id)
        else:
            self._carry_out(operation_id)

    def start(self) -> None:
        for operation_id in list(self._enlisted):
            self.begin(operation_id)

    def await_idle(self, seconds: float) -> bool:
        if self._thread is None:
            return True
        try:
            self._thread.submit(lambda: None).result(timeout=seconds)
        except TimeoutError:
            return False
        return True

    def stop(self) -> None:
        if self._thread is not None:
            self._thread.shutdown()

    def _carry_out(self, operation_id: str) -> None:
        def checkpoint(name: str, part: Effect) -> Failure | None:
            if (operation_id, name) not in self._done:
                self._done[operation_id, name] = part()
            return self._done[operation_id, name]

        run_plan(self._context, operation_id, at_once, checkpoint)
        if operation_id in self._enlisted:
            self._enlisted.remove(operation_id)
