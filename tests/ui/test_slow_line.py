"""The monitor at the end of a serial line of 38,400 baud: it is drawn, it hears keys, it leaves."""

import os
import sys
from pathlib import Path

from tests.ui.line import Line

BYTES_PER_S = 3840


def test_a_busy_monitor_stays_usable_at_38400_baud() -> None:
    environment = {
        **os.environ,
        "TERM": "xterm-256color",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)]),
    }
    command = [sys.executable, "-m", "tests.ui.busy", "--low-bandwidth"]
    with Line(command, environment, bytes_per_s=BYTES_PER_S) as line:
        painted = line.until("the steps", lambda came: b"db02 disk 0" in came)
        # Several drawings have to pass before the key does.
        moved = line.until("more drawings", lambda came: len(came) > BYTES_PER_S, after=painted)
        line.keys(b"l")
        line.until("the log alone", lambda came: b"Check the plan" in came, after=moved)
        line.keys(b"\x11")  # ctrl+q
        assert line.process.wait(60) == 0
        assert b"\x1b[?1000h" not in line._came, "no mouse on a slow line"
