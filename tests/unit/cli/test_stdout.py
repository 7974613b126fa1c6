"""Standard output that cannot be written: said, or quietly ended, and never a defect of ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kensho_tui.cli.out import Exit


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(4096))
    return path


def told(image: Path, redirection: str, *words: str) -> tuple[int, str]:
    """Exit code and standard error of a command whose standard output goes where a shell says."""
    command = f'exec "$0" -m kensho_tui "$@" {redirection}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, *(words or ("disk", "info", str(image)))],
        env={**os.environ, "KENSHO_STATE_DIR": str(image.parent / "state")},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=120,
    )
    assert not list(image.parent.rglob("last-defect.txt"))
    return done.returncode, done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full: run on Linux")
@pytest.mark.parametrize(
    "words", [(), ("--help",), ("--version",), ("disk", "info", "none", "--json")]
)
def test_a_full_disk_is_said(image: Path, words: tuple[str, ...]) -> None:
    code, said = told(image, ">/dev/full", *words)
    assert said == "Error: standard output cannot be written: No space left on device\n"
    assert code == Exit.OUTPUT


def test_closed_standard_output_is_said_and_nothing_is_done(image: Path) -> None:
    target = image.with_name("out.vhd")
    code, said = told(image, ">&-", "disk", "convert", str(image), str(target), "-O", "vhd")
    assert said == "Error: standard output cannot be written: Bad file descriptor\n"
    assert code == Exit.OUTPUT
    assert [each.name for each in image.parent.iterdir()] == [image.name]


@pytest.mark.parametrize("words", [(), ("--help",)])
def test_where_nobody_reads_any_more_the_command_ends_quietly(
    image: Path, words: tuple[str, ...]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        os.set_inheritable(writing, True)
        done = subprocess.run(
            [sys.executable, "-m", "kensho_tui", *(words or ("disk", "info", str(image)))],
            stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=120,
        )  # fmt: skip
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (Exit.PIPE, "")


def test_all_closed_is_no_crash_and_all_written_is_ok(image: Path) -> None:
    assert told(image, "<&- >&- 2>&-")[0] == Exit.OUTPUT
    out = image.with_name("said")
    assert told(image, f"<&- >'{out}'") == (Exit.OK, "")
    assert "Capacity" in out.read_text()
