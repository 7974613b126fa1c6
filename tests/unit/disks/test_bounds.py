"""What a transfer may use: memory within a bound, and nothing after it was interrupted."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kensho_tui.cli.out import Exit

MIB = 1 << 20

# Peak memory of one transfer over what the interpreter and all imports use, in bytes.
MEASURE = """
import json, sys
import deflate
from isal import isal_zlib
from kensho_tui.disks.copy import transfer
from kensho_tui.disks.digest import DigestTap
from kensho_tui.disks.files import FileInput, FileOutput
from kensho_tui.disks.image import Access, Format, Need, Offer
from pathlib import Path

def peak():
    # Not ru_maxrss: it remembers the process that started this one.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024

source, target, from_, to, access, threads = sys.argv[1:]
forward = access == "forward"
before = peak()
tap = DigestTap(FileInput(Path(source)), ["sha256"], forward=forward)
if to == "compressed":
    ways = [Offer(Format.QCOW2, Access.SEEK, compressed=True)]
else:
    first = {"raw": Access.EXTENTS, "qcow2": Access.SEEK}.get(to, Access.FORWARD)
    ways = [Offer(Format(to), first), Offer(Format(to), Access.SEEK)]
transfer(
    tap, Offer(Format(from_), Access(access)), targets=ways, threads=int(threads), verify=tap.complete,
    open_writer=lambda offer, length, _: FileOutput(
        Path(target), size=length if offer.access is Access.EXTENTS else None, overwrite=True),
)
print(json.dumps(peak() - before))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc: run on Linux")
@pytest.mark.parametrize("threads", [2, 6])
def test_memory_stays_within_64_mib_whatever_the_format(tmp_path: Path, threads: int) -> None:
    size = 192 * MIB
    raw = tmp_path / "a.raw"
    with raw.open("wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))
    steps = [
        ("a.raw", "raw", "a.vmdk", "vmdk", "seek"),
        ("a.vmdk", "vmdk", "a.vhd", "vhd", "seek"),
        ("a.vmdk", "vmdk", "b.raw", "raw", "forward"),
        ("a.vhd", "vhd", "c.raw", "raw", "forward"),
        ("a.vmdk", "vmdk", "a.vhdx", "vhdx", "seek"),
        ("a.vhdx", "vhdx", "d.raw", "raw", "forward"),
        ("a.vhdx", "vhdx", "d.vmdk", "vmdk", "seek"),
        ("a.vmdk", "vmdk", "a.qcow2", "qcow2", "seek"),
        ("a.raw", "raw", "b.qcow2", "compressed", "seek"),
        ("a.qcow2", "qcow2", "e.vmdk", "vmdk", "seek"),
        ("b.qcow2", "qcow2", "e.raw", "raw", "seek"),
    ]
    for source, from_, target, to, access in steps:
        words = [tmp_path / source, tmp_path / target, from_, to, access, threads]
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, *map(str, words)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) < 64 * MIB, (source, target)


def test_an_interrupt_ends_a_conversion_and_leaves_no_file(tmp_path: Path) -> None:
    source, target = tmp_path / "a.raw", tmp_path / "a.vmdk"
    source.write_bytes(os.urandom(4 * MIB))
    words = ["disk", "convert", source, target, "-O", "vmdk", "--limit", "1000"]
    running = subprocess.Popen(
        [sys.executable, "-m", "kensho_tui", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Tests that run in a shell's background are started with the signal ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    partial = tmp_path / "a.vmdk.partial"
    pause = threading.Event()
    # The target's name appears only with its first bytes; there is no other sign to wait for.
    while running.poll() is None and not (partial.exists() and partial.stat().st_size):
        pause.wait(0.01)
    running.send_signal(signal.SIGINT)
    out, error = running.communicate(timeout=60)
    assert running.returncode == Exit.INTERRUPTED
    assert out == ""
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == [source]
