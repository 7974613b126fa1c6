"""A monitor that never rests, at a real terminal: eight disks on their way. Run as a program."""

import argparse
import sys
import threading
from dataclasses import replace

from kensho_tui.app import KenshoApp
from kensho_tui.engine.events import StepView
from kensho_tui.migration.context import StepState
from screens.monitor import Monitor
from tests.ui.fakes import GB, LATER, SAMPLE, FakeRunner, summary, view

DISKS = 8
# As often as the engine tells of progress.
EVERY_S = 0.5


def busy_runner() -> FakeRunner:
    """One job with eight disks, whose progress goes on until the program ends."""
    runner = FakeRunner()
    steps = tuple(
        StepView(f"disk:{n}", f"db{n:02} disk 0 to local-sr", StepState.RUNNING, f"vm{n}", f"d{n}", LATER)
        for n in range(DISKS)
    )  # fmt: skip
    runner.views["j1"] = view(summary(), steps=steps)

    def move() -> None:
        tick = 0
        while True:
            for n in range(DISKS):
                sample = replace(
                    SAMPLE,
                    step=f"disk:{n}",
                    position=(tick * 50_000_000 * (n + 1)) % (10 * GB),
                    rate=100e6 * (n + 1) + tick % 7 * 1e6,
                )
                runner.updates.put(("j1", sample))
            tick += 1
            threading.Event().wait(EVERY_S)

    threading.Thread(target=move, daemon=True).start()
    return runner


class Busy(KenshoApp):
    """Opens on the monitor."""

    def on_ready(self) -> None:
        """Show the job."""
        self.push_screen(Monitor(self.desk, "j1"))


def main() -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--low-bandwidth", action="store_true")
    low = parser.parse_args().low_bandwidth
    app = Busy(busy_runner().desk(), low_bandwidth=low)
    app.run(mouse=not low)
    return app.return_code or 0


if __name__ == "__main__":
    sys.exit(main())
