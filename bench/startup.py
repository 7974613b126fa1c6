"""How much CPU it takes until the operator sees something, beside the bare interpreter.

CPU seconds (user and system, children included) are what is felt on a busy jump host; wall time
would measure the host. Each figure is the median of several runs, taken in turn.
"""

import fcntl
import os
import pty
import resource
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

RUNS = 7
TICK = os.sysconf("SC_CLK_TCK")
FIRST_PAINT = b"New migration"


def cpu_of(arguments: list[str]) -> float:
    """CPU seconds of the command, run to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(arguments, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cpu_until_painted(arguments: list[str]) -> float:
    """CPU seconds the command has used when the home screen's keys are on an 80×24 terminal."""
    with tempfile.TemporaryDirectory() as private:
        environment = os.environ | {
            "TERM": "xterm-256color",
            "KENSHO_STATE_DIR": private,
            "KENSHO_CONFIG_DIR": private,
        }
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(arguments[0], arguments, environment)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        seen, deadline = b"", time.monotonic() + 30
        while FIRST_PAINT not in seen:
            if time.monotonic() > deadline:
                raise SystemExit(f"no first paint within 30 s; seen: {seen[-300:]!r}")
            if select.select([terminal], [], [], 1)[0]:
                seen += os.read(terminal, 65536)
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        used = (int(fields[11]) + int(fields[12])) / TICK
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)
        return used


def main() -> None:
    """Print the table."""
    kensho = str(Path(sys.executable).parent / "kensho")
    cases: dict[str, Callable[[], float]] = {
        "python -c pass": lambda: cpu_of([sys.executable, "-c", "pass"]),
        "import textual.app": lambda: cpu_of([sys.executable, "-c", "import textual.app"]),
        "kensho --help": lambda: cpu_of([kensho, "--help"]),
        "kensho, first paint": lambda: cpu_until_painted([kensho]),
    }
    figures: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(RUNS):
        for name, measure in cases.items():
            figures[name].append(measure())
    base = median(figures["python -c pass"])
    print(f"{'':22}{'CPU s':>8}{'× bare interpreter':>22}")
    for name, values in figures.items():
        print(f"{name:22}{median(values):8.2f}{median(values) / base:22.1f}")
