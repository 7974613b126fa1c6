"""A storage that fails in the middle of a conversion: a sentence, and nothing under the final name."""

import hashlib
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from kensho_tui.cli.out import Exit

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is missing: apt-get install strace"
)

MIB = 1 << 20
FORMATS = ["vmdk", "vmdk-sparse", "vhd", "vhd-fixed", "vhdx", "vhdx-fixed", "qcow2", "raw"]
WRITES = "pwrite64,pwritev,pwritev2,write,fsync,rename,renameat,renameat2"
READS = "preadv,preadv2,pread64"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw disk of eight windows, six with data."""
    path = tmp_path_factory.mktemp("disk") / "a.raw"
    noise = hashlib.shake_128(b"errors").digest(2 * MIB)
    with path.open("wb") as file:
        file.truncate(16 * MIB)
        for window in (0, 1, 2, 4, 5, 7):
            file.seek(window * 2 * MIB)
            file.write(noise)
    return path


def convert(source: Path, target: Path, to: str, injected: str) -> subprocess.CompletedProcess[str]:
    calls = injected.split(":", 1)[0]
    words = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", str(target.parent), "-P", str(target),
             "-P", f"{target}.partial", "-e", f"trace={calls}", "-e", f"inject={injected}"]  # fmt: skip
    if calls == READS:
        words[5:11] = ["-P", str(source)]
    command = ["-m", "kensho_tui", "disk", "convert", source, target, "-f", "raw", "-O", to]
    return subprocess.run(
        [*words, sys.executable, *map(str, command)], capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("to, number, error", [*product(FORMATS, [1, 3], ["ENOSPC", "EIO"])])
def test_a_write_that_fails_leaves_no_file_and_one_sentence(
    tmp_path: Path, source: Path, to: str, number: int, error: str
) -> None:
    target = tmp_path / "target"
    done = convert(source, target, to, f"{WRITES}:error={error}:when={number}+")
    reason = {"ENOSPC": "No space left on device", "EIO": "Input/output error"}[error]
    assert done.returncode == Exit.INPUT, done.stderr
    assert done.stderr.count("\n") == 1
    assert f"cannot write: {reason}" in done.stderr
    assert str(target) in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("number", [1, 2])  # of each thread: strace counts by them
def test_a_read_that_fails_leaves_no_file_and_names_the_source(
    tmp_path: Path, source: Path, to: str, number: int
) -> None:
    done = convert(source, tmp_path / "target", to, f"{READS}:error=EIO:when={number}+")
    assert done.returncode == Exit.INPUT, done.stderr
    assert f"{source}: cannot read: Input/output error" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("to", FORMATS)
def test_the_last_sync_counts(tmp_path: Path, source: Path, to: str) -> None:
    """What cannot be brought to the disk at the very end is no success."""
    done = convert(source, tmp_path / "target", to, "fsync:error=EIO:when=1")
    assert done.returncode == Exit.INPUT
    assert "cannot write: Input/output error" in done.stderr
    assert list(tmp_path.iterdir()) == []
