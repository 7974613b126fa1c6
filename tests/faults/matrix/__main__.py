"""``./dev faults``: run seeds of the matrix, and say of each that breaks something how to run it again."""

import argparse
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.faults.matrix.acts import Impossible
from tests.faults.matrix.case import case
from tests.faults.matrix.play import Played, play
from tests.faults.matrix.stage import Stage

SEEDS = range(50)


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run what the command line asks for; 1 where something broke."""
    parser = argparse.ArgumentParser(prog="./dev faults", description=__doc__)
    parser.add_argument("--seeds", type=_range, default=SEEDS, help="A-B, both included")
    parser.add_argument("--seed", type=int, help="that one alone")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once")
    parser.add_argument("--list", action="store_true", help="say what the seeds are, and run none")
    parser.add_argument(
        "--keep", type=Path, help="where everything is kept; else a place that is removed"
    )
    options = parser.parse_args()
    seeds = [options.seed] if options.seed is not None else [*options.seeds]
    if options.list:
        for seed in seeds:
            _say(f"{seed}: {case(seed)}")
        return 0
    with tempfile.TemporaryDirectory(prefix="kensho-faults-") as made:
        return _run(seeds, options.jobs, options.keep or Path(made))


def _run(seeds: list[int], jobs: int, home: Path) -> int:
    waiting: SimpleQueue[int] = SimpleQueue()
    for seed in seeds:
        waiting.put(seed)
    began = time.monotonic()
    outcomes: Counter[str] = Counter()
    broken: list[int] = []

    def tell(played: Played) -> None:
        outcomes["broken" if played.broken else str(played.view and played.view.summary.state)] += 1
        _say(("✗ " if played.broken else "✓ ") + str(played))
        for each in played.broken:
            _say(f"    {each}")
        if played.broken:
            broken.append(played.case.seed)
            _say(f"    again: ./dev faults --seed {played.case.seed}")

    def work(number: int) -> None:
        seed, turn = -1, 0
        while not waiting.empty():
            turn += 1
            # A stage on which something broke is used no more: what it left must blame no other.
            with Stage(home / f"stage-{number}-{turn}") as stage:
                while not waiting.empty():
                    seed = waiting.get()
                    try:
                        played = play(stage, case(seed), home / f"runs-{number}")
                    except Impossible as reason:
                        outcomes["left out"] += 1
                        _say(f"- seed {seed}: {case(seed)}: left out, {reason}")
                        continue
                    tell(played)
                    if played.broken:
                        break

    with ThreadPoolExecutor(jobs) as pool:
        working = [pool.submit(work, number) for number in range(jobs)]
        try:
            for each in working:
                each.result()
        except BaseException:
            while not waiting.empty():  # those that run are ended in order
                waiting.get()
            raise
    counts = ", ".join(f"{count} {what}" for what, count in sorted(outcomes.items()))
    _say(f"{len(seeds)} seeds in {time.monotonic() - began:.0f} s: {counts}")
    if broken:
        _say(f"broken: {', '.join(map(str, sorted(broken)))}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
