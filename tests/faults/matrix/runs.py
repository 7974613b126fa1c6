"""The real job, in a worker that waits at a step's edge until somebody outside has done his worst.

Named to the runner as ``tests.faults.matrix.runs:run_job``. The plan's labels say where it waits.
"""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from kensho_tui.cancel import Cancel
from kensho_tui.migration.context import Clock, JobContext, Undo
from kensho_tui.migration.plan import Plan
from kensho_tui.migration.run import run_job as real

HASTE = 4.0  # pauses before another attempt are so many times shorter
_LOOK_S = 0.01
_LONGEST_S = 60.0


class Edges:
    """The edges where this job waits, each once in its life, whoever works at it.

    ``reached-N`` (it holds the worker's process id) says that it waits at the nth edge, ``go-N``
    lets it go on.
    """

    def __init__(self, folder: Path, wanted: list[list[Any]]) -> None:
        self._folder = folder
        self._wanted = [(edge, step, nth) for edge, step, nth in wanted]
        self._seen: dict[tuple[str, str], set[str]] = {}
        self._lock = threading.Lock()

    def at(self, edge: str, step: str) -> None:
        """Wait here if it is one of the edges."""
        group = step.partition(":")[0]
        with self._lock:
            seen = self._seen.setdefault((edge, group), set())
            nth = len(seen)
            seen.add(step)
        for number, wanted in enumerate(self._wanted):
            reached = self._folder / f"reached-{number}"
            if wanted != (edge, group, nth) or reached.exists():
                continue
            draft = reached.with_suffix(f".{os.getpid()}")
            draft.write_text(str(os.getpid()))
            draft.replace(reached)
            self._wait(self._folder / f"go-{number}")

    def _wait(self, go: Path) -> None:
        end = time.monotonic() + _LONGEST_S
        while not go.exists() and time.monotonic() < end:
            time.sleep(_LOOK_S)  # a file is all that outlives whoever waits here


class Hasty:
    """The job's clock, by which one waits a fraction of the time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.now, self.monotonic, self.wait = clock.now, clock.monotonic, clock.wait

    def sleep(self, seconds: float, cancel: Cancel) -> None:
        """Wait a little."""
        self._clock.sleep(seconds / HASTE, cancel)


class Held:
    """The context of a job that waits at edges."""

    def __init__(self, context: JobContext, edges: Edges) -> None:
        self._context = context
        self._edges = edges
        self.clock = Hasty(context.clock)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def begin(self, step: str, *arguments: Any, **named: Any) -> None:
        self._context.begin(step, *arguments, **named)
        self._edges.at("begun", step)

    def done(self, step: str, *arguments: Any) -> None:
        self._edges.at("done", step)
        self._context.done(step, *arguments)

    def undone(self, undo: Undo, leftovers: Any) -> None:
        self._edges.at("undone", undo.step)
        self._context.undone(undo, leftovers)


def run_job(context: JobContext, plan: Plan) -> Any:
    """The real job, held at the edges that the plan's labels name."""
    labels = plan.metadata.labels
    edges = Edges(Path(labels["folder"]), json.loads(labels["edges"]))
    held: Any = Held(context, edges)
    return real(held, plan)
