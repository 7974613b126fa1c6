"""Exports that cannot be: what stands there stays, nothing half-written stays, and the server is asked why."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.small import MIB, package

from .room import Room, digest, findings, holds, job_sentence, room, sentence


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with room(tmp_path_factory.mktemp("room")) as opened:
        path, _ = package(opened.home, "big", [4 * MIB])
        assert opened.imports(path).returncode == 0
        yield opened


@pytest.fixture(autouse=True)
def _source_untouched(here: Room) -> Iterator[None]:
    here.lab.control.reset()
    here.remember()
    yield
    here.lab.control.reset()
    here.untouched()


@contextmanager
def small_disk(at: Path, options: str) -> Iterator[Path]:
    """A file system of its own, in memory; the test is skipped where none can be mounted."""
    at.mkdir()
    program = shutil.which("mount")
    if program is None:
        pytest.skip("needs mount: apt-get install mount")
    done = subprocess.run(
        [program, "-t", "tmpfs", "-o", options, "tmpfs", str(at)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"needs a small file system, which only root may mount: {done.stderr.strip()}")
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)


def export(here: Room, output: Path, *options: str) -> tuple[int, list[str], str]:
    """Exit code, findings and the job's last sentence of an export of one machine."""
    done = here.run("export", "lab-xen", "big", "--output", str(output), "--wait", *options)
    if done.returncode in {5, 6}:
        return done.returncode, [], job_sentence(done)
    return done.returncode, findings(done), ""


def test_a_path_that_exists_is_not_written_over(here: Room, tmp_path: Path) -> None:
    archive, folder = tmp_path / "mine.ova", tmp_path / "mine"
    archive.write_bytes(b"mine")
    folder.mkdir()
    (folder / "mine.ovf").write_text("mine")
    before = digest(tmp_path)
    for path, options in ((archive, ()), (folder, ("--format", "ovf"))):
        code, (line,), _ = export(here, path, *options)
        assert code == 8
        holds(line, str(path), "already", "Choose another name")
    assert digest(tmp_path) == before


def test_a_folder_that_is_not_there_is_not_made_up(here: Room, tmp_path: Path) -> None:
    code, (line,), _ = export(here, tmp_path / "no" / "x.ova")
    assert code == 8
    holds(line, str(tmp_path / "no"), "not there", "Make it")
    assert not list(tmp_path.iterdir())


def test_a_machine_that_is_not_there_is_told_with_the_nearest(here: Room, tmp_path: Path) -> None:
    done = here.run("export", "lab-xen", "bgi", "--output", str(tmp_path / "x.ova"), "--wait")
    assert done.returncode == 3
    holds(sentence(done), "bgi", "no machine of that name", "'big'")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_to_is_told_before_anything_is_read(
    here: Room, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", "ro,size=1m") as disk:
        code, (line,), _ = export(here, disk / "x.ova")
        assert code == 8
        holds(line, str(disk), "cannot be written to", "permissions")


@pytest.mark.parametrize("format_", ["ova", "ovf"])
def test_a_disk_that_fills_up_is_told_and_left_as_it_was(
    format_: str, here: Room, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", "size=1m") as disk:
        (disk / "other.txt").write_text("of somebody else")
        code, _, said = export(here, disk / f"x.{format_}", "--format", format_)
        assert code == 5
        holds(said, str(disk), "No space left", "Free some space there, or choose another place")
        assert [each.name for each in disk.iterdir()] == ["other.txt"]
    export_again(here, tmp_path)


def export_again(here: Room, tmp_path: Path) -> None:
    """Assert that the same runner writes the package where there is room."""
    here.lab.control.reset()
    code, _, said = export(here, tmp_path / "good.ova")
    assert code == 0, said
    assert [each.name for each in tmp_path.glob("good*")] == ["good.ova"]
    assert here.run("package", "check", "--digests", str(tmp_path / "good.ova")).returncode == 0


@pytest.mark.parametrize("mode", ["cut_after", "error_in_body"])
def test_a_disk_that_the_server_ends_early_is_the_servers_fault_and_leaves_no_package(
    mode: str, here: Room, tmp_path: Path
) -> None:
    here.lab.control.set(**{mode: MIB})
    code, _, said = export(here, tmp_path / "x.ova")
    assert code == 5
    holds(said, "big", "the server", "network", "log", "then try again")
    assert "get it again" not in said
    assert not list(tmp_path.iterdir())
    export_again(here, tmp_path)
