"""Local files as streams: ranges, holes, changes, and names that appear only when complete."""

import errno
import fcntl
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kensho_tui.disks.files import FileError, FileInput, FileOutput, RangeInput
from kensho_tui.disks.image import ExtentMap


def read(stream: RangeInput) -> bytes:
    buffer = bytearray(stream.length + 10)
    return bytes(buffer[: stream.pread(0, buffer)])


def test_a_range_of_a_file_is_a_stream_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.ova"
    path.write_bytes(bytes(range(256)))
    with RangeInput(path, 10, 5) as stream:
        assert stream.length == 5
        assert read(stream) == bytes(range(10, 15))
        assert stream.pread(3, bytearray(10)) == 2
        assert stream.pread(5, bytearray(10)) == 0
        assert stream.pread(50, bytearray(10)) == 0
        buffer = bytearray(3)
        assert [stream.readinto(buffer) for _ in range(3)] == [3, 2, 0]


def test_a_range_of_an_open_file_leaves_the_file_open(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        with RangeInput(file.fileno(), 4) as stream:
            assert read(stream) == b"456789"
        assert file.read() == b"0123456789"


def test_a_range_beyond_the_end_of_the_file_is_truncation(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    with pytest.raises(
        FileError, match="the file ends at byte 10, but byte 12 is needed"
    ) as caught:
        RangeInput(path, 4, 8, subject="a: disk.vmdk")
    assert caught.value.subject == "a: disk.vmdk"


def test_holes_are_known(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(64 << 20)
        file.seek(16 << 20)
        file.write(b"x" * 65536)
    with FileInput(path) as stream:
        allocated = stream.allocated
        if allocated == ExtentMap([(0, 64 << 20)]):
            pytest.skip(
                "the file system of the temporary folder keeps no holes: use ext4, xfs or btrfs"
            )
        assert allocated == ExtentMap([(16 << 20, 65536)])
    with RangeInput(path, (16 << 20) + 4096, 8 << 20) as part:
        assert part.allocated == ExtentMap([(0, 65536 - 4096)])
    with RangeInput(path, 32 << 20) as part:
        assert part.allocated == ExtentMap()


def test_an_empty_file_has_no_data(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    with FileInput(path) as stream:
        assert (stream.length, stream.allocated, read(stream)) == (0, ExtentMap(), b"")


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot read: No such file or directory") as caught:
        FileInput(tmp_path / "none")
    assert caught.value.errno == errno.ENOENT
    assert caught.value.subject == str(tmp_path / "none")


def test_a_file_that_was_changed_while_it_was_read_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    with FileInput(path) as stream:
        stream.verify()
        identity = stream.identity
        os.utime(path, ns=(1, 1))
        with pytest.raises(FileError, match="changed while it was read"):
            stream.verify()
    with FileInput(path) as again:
        assert again.identity != identity


def test_a_file_that_became_shorter_is_noticed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(1000))
    with FileInput(path) as stream:
        os.truncate(path, 500)
        with pytest.raises(FileError, match="became shorter"):
            stream.pread(400, bytearray(200))


def test_a_closed_file_is_never_another_one(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"mine")
    stream = FileInput(path)
    stream.close()
    stream.close()
    with (tmp_path / "b").open("wb"), pytest.raises(FileError, match="the file is closed"):
        stream.pread(0, bytearray(4))


def test_closing_waits_for_no_read_and_breaks_none(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(1 << 20))
    stream = FileInput(path)
    started = threading.Event()
    errors: list[str] = []

    def reads() -> None:
        buffer = bytearray(1 << 20)
        while True:
            started.set()
            try:
                assert stream.pread(0, buffer) == 1 << 20
            except FileError as error:
                errors.append(error.what)
                return

    readers = [threading.Thread(target=reads) for _ in range(3)]
    for each in readers:
        each.start()
    assert started.wait(60)
    stream.close()
    for each in readers:
        each.join(60)
    assert errors == ["the file is closed"] * 3


def test_a_file_has_its_name_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "disk.vmdk"
    with FileOutput(path) as output:
        output.write(b"012")
        output.write(memoryview(b"345"))
        assert not path.exists()
        assert (tmp_path / "disk.vmdk.partial").exists()
        output.finish()
    assert path.read_bytes() == b"012345"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    with FileOutput(tmp_path / "disk.raw", size=4096) as output:
        output.pwrite(100, b"data")
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileError, match="the file is closed"):
        output.write(b"late")
    with pytest.raises(FileError, match="the file is closed"):
        output.finish()


def test_a_sparse_file_has_its_size_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    with FileOutput(path, size=1 << 20) as output:
        output.pwrite(70_000, b"data")
        output.finish()
    assert path.stat().st_size == 1 << 20
    assert path.read_bytes()[70_000:70_004] == b"data"


def test_what_an_earlier_attempt_left_is_replaced(tmp_path: Path) -> None:
    left_by_a_killed_one(tmp_path / "a", b"left from before, and longer")
    with FileOutput(tmp_path / "a") as output:
        output.write(b"new")
        output.finish()
    assert (tmp_path / "a").read_bytes() == b"new"
    assert not os.listxattr(tmp_path / "a")


def left_by_a_killed_one(path: Path, content: bytes) -> Path:
    """What stays when the process that writes the file is killed: its partial file."""
    script = (
        "import os, signal, sys, pathlib\n"
        "from kensho_tui.disks.files import FileOutput\n"
        "FileOutput(pathlib.Path(sys.argv[1])).write(os.fsencode(sys.argv[2]))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, path, content], check=False)
    assert done.returncode == -signal.SIGKILL
    left = path.with_name(path.name + ".partial")
    assert left.read_bytes() == content
    return left


def test_a_file_under_the_partial_name_that_is_somebody_elses_is_refused(tmp_path: Path) -> None:
    theirs = tmp_path / "a.partial"
    theirs.write_bytes(b"precious")
    with pytest.raises(FileError, match="a file that Kensho may not have left there") as caught:
        FileOutput(tmp_path / "a", overwrite=True)
    assert caught.value.subject == str(theirs)
    assert "Move it away, or choose another name" in caught.value.remedy
    assert theirs.read_bytes() == b"precious"
    # In a folder of Kensho's own, nothing is.
    with FileOutput(tmp_path / "a", ours=True) as output:
        output.finish()
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_an_empty_file_under_the_partial_name_is_nobodys_loss(tmp_path: Path) -> None:
    # It also is what stays of one that was killed between making it and marking it.
    (tmp_path / "a.partial").touch()
    with FileOutput(tmp_path / "a") as output:
        output.write(b"new")
        output.finish()
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("ours", [False, True])
@pytest.mark.parametrize("kept", [0, 3])
def test_a_file_with_another_name_is_never_written(tmp_path: Path, ours: bool, kept: int) -> None:
    left = left_by_a_killed_one(tmp_path / "a", b"precious")
    os.link(left, tmp_path / "other")
    with pytest.raises(FileError, match=r"has another name too \(a hard link\)"):
        FileOutput(tmp_path / "a", ours=ours, kept=kept, lasting=bool(kept))
    assert (tmp_path / "other").read_bytes() == left.read_bytes() == b"precious"


def test_what_another_one_finished_meanwhile_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = FileOutput(tmp_path / "a")
    first.write(b"first")
    real = fcntl.flock

    def late(number: int, operation: int) -> None:
        first.finish()
        first.close()
        real(number, operation)

    monkeypatch.setattr("kensho_tui.disks.files.fcntl.flock", late)
    with pytest.raises(FileError, match="is being written already"):
        FileOutput(tmp_path / "a", overwrite=True)
    assert (tmp_path / "a").read_bytes() == b"first"


def test_a_name_that_is_taken_is_refused_before_and_after(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(FileError, match="there is a file of that name already"):
        FileOutput(path)
    with FileOutput(path, overwrite=True) as output:
        output.write(b"new")
        assert path.read_bytes() == b"old"
        output.finish()
    assert path.read_bytes() == b"new"
    path.unlink()
    with FileOutput(path) as output:
        path.write_bytes(b"somebody else's")
        with pytest.raises(FileError, match="there is a file of that name already"):
            output.finish()
    assert path.read_bytes() == b"somebody else's"


def test_two_cannot_write_the_same_file(tmp_path: Path) -> None:
    with FileOutput(tmp_path / "a") as first:
        first.write(b"first")
        with pytest.raises(FileError, match="is being written already"):
            FileOutput(tmp_path / "a")
        first.finish()
    assert (tmp_path / "a").read_bytes() == b"first"


def test_a_partial_name_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "a.partial").symlink_to(victim)
    with pytest.raises(FileError):
        FileOutput(tmp_path / "a")
    assert victim.read_bytes() == b"precious"


def test_a_system_that_refuses_to_write_says_why(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with FileOutput(tmp_path / "a") as output:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
        try:
            with pytest.raises(FileError, match="cannot write: File too large") as caught:
                output.write(bytes(20_000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG
    assert caught.value.remedy
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full: run on Linux")
def test_a_full_device_is_no_space_left(tmp_path: Path) -> None:
    with FileOutput(tmp_path / "a") as output:
        number = os.open("/dev/full", os.O_RDWR)
        with output._file.use() as mine:
            os.dup2(number, mine)
        os.close(number)
        with pytest.raises(FileError, match="cannot write: No space left on device") as caught:
            output.write(b"x")
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.retryable


def special(path: Path, kind: str) -> None:
    """Something at the path that is no regular file."""
    if kind == "a named pipe":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    else:
        path.symlink_to(path.with_name("elsewhere"))


@pytest.mark.parametrize("name", ["a", "a.partial"])
@pytest.mark.parametrize("kind", ["a named pipe", "a folder", "a symbolic link"])
def test_what_is_no_file_is_never_replaced(tmp_path: Path, kind: str, name: str) -> None:
    special(tmp_path / name, kind)
    before = (tmp_path / name).lstat()
    with pytest.raises(FileError, match=f"this is {kind}, and no file is put in its place"):
        FileOutput(tmp_path / "a", overwrite=True)
    assert (tmp_path / name).lstat() == before
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_what_becomes_no_file_meanwhile_is_not_replaced_either(tmp_path: Path) -> None:
    with FileOutput(tmp_path / "a", overwrite=True) as output:
        output.write(b"x")
        os.mkfifo(tmp_path / "a")
        with pytest.raises(FileError, match="this is a named pipe"):
            output.finish()
    assert (tmp_path / "a").is_fifo()
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("kind", ["a named pipe", "a folder"])
def test_what_is_no_file_is_not_read_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    special(tmp_path / "a", kind)
    with pytest.raises(FileError, match=f"this is {kind}, not a file") as caught:
        FileInput(tmp_path / "a")
    assert caught.value.remedy


def test_a_link_to_a_file_is_read_as_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with FileInput(tmp_path / "b") as stream:
        assert read(stream) == b"x"
