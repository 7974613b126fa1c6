"""Bytes a second to an 80×24 terminal while eight disks move, and how soon a key is answered.

Each kind of terminal in turn, several rounds: what the monitor paints per second on a fast line; and
at 38,400 baud (3.84 kB/s) how long it takes from a key to the screen it opens.
"""

import os
import statistics
import sys
import time
from pathlib import Path

from tests.ui.line import Line

ROUNDS = 3
WATCH_S = 8.0
SLOW = 3840
KINDS: dict[str, tuple[list[str], dict[str, str]]] = {
    "true colour": ([], {"TERM": "xterm-256color", "COLORTERM": "truecolor"}),
    "256 colours": ([], {"TERM": "xterm-256color", "COLORTERM": ""}),
    "low bandwidth": (["--low-bandwidth"], {"TERM": "xterm-256color", "COLORTERM": ""}),
}


def _line(kind: str, bytes_per_s: int | None) -> Line:
    options, terminal = KINDS[kind]
    environment = {**os.environ, **terminal, "PYTHONPATH": str(Path(__file__).parents[1])}
    return Line(
        [sys.executable, "-m", "tests.ui.busy", *options], environment, bytes_per_s=bytes_per_s
    )


def _painting(kind: str) -> tuple[int, float]:
    """Bytes of the first paint, and bytes a second after it."""
    with _line(kind, None) as line:
        first = line.until("the steps", lambda came: b"db02 disk 0" in came)
        time.sleep(2)
        before = line.count
        time.sleep(WATCH_S)
        return first, (line.count - before) / WATCH_S


def _answer(kind: str) -> float:
    """Seconds from the key to the whole log at 38,400 baud."""
    with _line(kind, SLOW) as line:
        line.until("the steps", lambda came: b"db02 disk 0" in came)
        time.sleep(5)
        before, began = line.count, time.monotonic()
        line.keys(b"l")
        line.until("the log", lambda came: b"Check the plan" in came, after=before, longest_s=120)
        return time.monotonic() - began


def main() -> None:
    """Measure and print."""
    rows: dict[str, list[tuple[int, float, float]]] = {kind: [] for kind in KINDS}
    for _ in range(ROUNDS):
        for kind in KINDS:
            rows[kind].append((*_painting(kind), _answer(kind)))
    print(
        f"{'terminal':15} {'first paint':>12} {'painting':>12} {'key → screen at 38,400 baud':>28}"
    )
    for kind, found in rows.items():
        first, rate, answer = (statistics.median(each) for each in zip(*found, strict=True))
        print(f"{kind:15} {first / 1000:9.1f} kB {rate / 1000:7.1f} kB/s {answer:26.1f} s")
