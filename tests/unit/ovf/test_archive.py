"""The tar reader against archives that are right, cut off, damaged and hostile."""

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kensho_tui.disks.files import FileError
from kensho_tui.ovf.archive import BLOCK, Member
from kensho_tui.ovf.archive import members as members_at
from kensho_tui.ovf.archive_write import ArchiveWriter, header
from kensho_tui.ovf.errors import OvfError, PackageError
from kensho_tui.ovf.members import FilePlace
from kensho_tui.ovf.package import open_package
from tests.unit.ovf.test_package import text

Added = tuple[str, bytes]


def members(path: Path) -> tuple[Member, ...]:
    """Those of an archive that is all of a file."""
    return members_at(FilePlace(path, 0, path.stat().st_size), path.name)


def made(path: Path, *files: Added, form: int = tarfile.USTAR_FORMAT) -> Path:
    """An archive as Python's own writer makes it."""
    with tarfile.open(path, "w", format=form) as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def special(path: Path, **fields: object) -> Path:
    """An archive with one good member and one with those header fields."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        good = tarfile.TarInfo("a.ovf")
        good.size = 3
        tar.addfile(good, io.BytesIO(b"abc"))
        bad = tarfile.TarInfo("x")
        for name, value in fields.items():
            setattr(bad, name, value)
        tar.addfile(bad)
    return path


def content(path: Path, member: Member) -> bytes:
    """The member's bytes."""
    with path.open("rb") as file:
        file.seek(member.offset)
        return file.read(member.size)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_lie_where_the_reader_says(tmp_path: Path, form: int) -> None:
    long = "虚拟机-" + "x" * 120 + ".vmdk"
    files = [("a.ovf", b"abc"), ("empty.mf", b""), ("disk.vmdk", bytes(range(256)) * 5)]
    if form != tarfile.USTAR_FORMAT:
        files.append((long, b"long"))
    path = made(tmp_path / "a.ova", *files, form=form)
    assert [(m.name, content(path, m)) for m in members(path)] == files


def test_dot_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.ova"
    with tarfile.open(path, "w") as tar:
        folder = tarfile.TarInfo("__MACOSX")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name in ("._a.ovf", "./a.ovf", ".DS_Store"):
            info = tarfile.TarInfo(name)
            info.size = 600
            tar.addfile(info, io.BytesIO(bytes(600)))
    assert [m.name for m in members(path)] == ["a.ovf"]


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "a symbolic link"),
        ({"type": tarfile.LNKTYPE, "linkname": "a.ovf"}, "a hard link"),
        ({"type": tarfile.CHRTYPE}, "a device"),
        ({"type": tarfile.BLKTYPE}, "a device"),
        ({"type": tarfile.FIFOTYPE}, "a named pipe"),
        ({"type": tarfile.GNUTYPE_SPARSE}, "a sparse file"),
        ({"type": b"Z"}, "unknown type"),
        ({"name": "../../etc/passwd"}, "is a path"),
        ({"name": "/etc/passwd"}, "is a path"),
        ({"name": "folder/disk.vmdk"}, "is a path"),
        ({"name": "..\\disk.vmdk"}, "is a path"),
        ({"name": "../.ssh"}, "is a path"),
        ({"name": "a.ovf"}, "two members of this name"),
    ],
)
def test_what_no_ova_holds_is_refused(tmp_path: Path, fields: dict[str, object], what: str) -> None:
    path = special(tmp_path / "a.ova", **fields)
    with pytest.raises(PackageError, match=what):
        members(path)


@pytest.mark.parametrize(
    "headers",
    [
        {"path": "../../etc/cron.d/x"},
        {"GNU.sparse.major": "1"},
        {"size": "-1"},
        {"size": "99999999999999999999999"},
        {"size": str(1 << 40)},
    ],
)
def test_extended_headers_cannot_smuggle(tmp_path: Path, headers: dict[str, str]) -> None:
    path = tmp_path / "a.ova"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("a.vmdk")
        info.pax_headers = headers
        tar.addfile(info)
    with pytest.raises(PackageError):
        members(path)


def test_a_truncated_member_is_told_with_both_sizes(tmp_path: Path) -> None:
    path = made(tmp_path / "a.ova", ("a.ovf", b"abc"), ("disk1.vmdk", bytes(5000)))
    os.truncate(path, 3 * BLOCK + 1000)
    with pytest.raises(PackageError) as caught:
        members(path)
    assert str(caught.value) == (
        "a.ova: the file ends in the middle of member disk1.vmdk: 1000 of 5000 bytes. "
        "Get the package again."
    )


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(0, 7 * BLOCK))
def test_no_cut_goes_unnoticed(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("cut")
    path = made(folder / "a.ova", ("a.ovf", b"abc"), ("b.vmdk", bytes(700)), ("c.mf", b"x"))
    os.truncate(path, cut)  # the members end at 7 * BLOCK; then the end is marked
    if cut in {2 * BLOCK, 5 * BLOCK, 7 * BLOCK}:
        # Exactly after a member: writers that mark no end look like that.
        assert len(members(path)) == {2: 1, 5: 2, 7: 3}[cut // BLOCK]
        return
    with pytest.raises(PackageError):
        members(path)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "this is no OVA: the file is empty"),
        (b"hello", "this is no OVA: it has only 5 bytes"),
        (b"hello" * 200, "this is no OVA: it is not a tar archive"),
        (b"\x7fELF" + bytes(4096), "this is no OVA: it is not a tar archive"),
    ],
)
def test_what_is_no_tar_is_no_ova(tmp_path: Path, data: bytes, what: str) -> None:
    path = tmp_path / "a.ova"
    path.write_bytes(data)
    with pytest.raises(PackageError, match=what):
        members(path)


def test_damage_in_a_later_header_is_told_by_its_place(tmp_path: Path) -> None:
    path = made(tmp_path / "a.ova", ("a.ovf", b"abc"), ("b.vmdk", b"def"))
    with path.open("r+b") as file:
        file.seek(2 * BLOCK + 3)
        file.write(b"!")
    with pytest.raises(PackageError, match="damaged at byte 1024"):
        members(path)


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=2048), place=st.integers(0, 1600))
def test_no_bytes_bring_the_reader_down(
    data: bytes, place: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = made(tmp_path_factory.mktemp("t") / "a.ova", ("a.ovf", b"abc"), form=tarfile.PAX_FORMAT)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(data)
    try:
        for member in members(path):
            assert member.offset + member.size <= path.stat().st_size
    except PackageError as error:
        assert error.what


@settings(max_examples=50, deadline=None)
@given(
    name=st.text("abcÄ虚01 ._[-", min_size=1, max_size=30).filter(lambda n: n.strip(" .") != ""),
    size=st.one_of(st.integers(0, 1 << 20), st.integers(8 << 30, 1 << 60)),
)
def test_our_headers_are_what_python_reads(name: str, size: int) -> None:
    info = tarfile.TarInfo.frombuf(header(name, size), "utf-8", "strict")
    assert (info.name, info.size, info.isreg()) == (name, size, True)


def test_an_archive_is_written_descriptor_first_and_read_by_others(tmp_path: Path) -> None:
    path = tmp_path / "a.ova"
    writer = ArchiveWriter(path, "a.ovf", 1000)
    writer.begin("half.vmdk")
    writer.write(b"given up")
    writer.begin("disk.vmdk")
    writer.write(b"x" * 600)
    writer.write(memoryview(b"y" * 600))
    member = writer.finish()
    writer.close_with(b"<Envelope/>", lambda filled: [("a.mf", b"%d bytes" % len(filled))])
    writer.close()
    assert content(path, member) == b"x" * 600 + b"y" * 600
    with tarfile.open(path) as tar:
        assert tar.getnames() == ["a.ovf", "disk.vmdk", "a.mf"]
        extracted = [tar.extractfile(each) for each in tar]
        assert [each.read() for each in extracted if each] == [
            b"<Envelope/>".ljust(1000, b"\n"), b"x" * 600 + b"y" * 600, b"1000 bytes",
        ]  # fmt: skip
    assert [m.name for m in members(path)] == ["a.ovf", "disk.vmdk", "a.mf"]


def test_a_descriptor_that_outgrew_its_place_is_refused(tmp_path: Path) -> None:
    writer = ArchiveWriter(tmp_path / "a.ova", "a.ovf", 10)
    with pytest.raises(OvfError, match="outgrew"):
        writer.close_with(bytes(11), lambda _: [("a.mf", b"")])
    writer.close()


def test_a_member_larger_than_octal_allows_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.ova"
    size = (8 << 30) + 5
    with path.open("wb") as file:
        file.write(header("big.raw", size))
        file.truncate(BLOCK + (8 << 30) + BLOCK + 2 * BLOCK)  # a hole: no room is taken
    assert members(path) == (Member("big.raw", BLOCK, size, beyond=True),)


BIG = (9 << 30) + 700  # of which almost all is a hole: no room is taken
TAIL = b"the end of a large disk"


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"])
def test_a_disk_of_more_than_8_gib_is_read_in_an_archive_of_others(
    tmp_path: Path, form: Literal[1, 2]
) -> None:
    path, info = tmp_path / "a.ova", tarfile.TarInfo("d.vmdk")
    info.size = BIG
    descriptor = text(size=BIG)
    with path.open("wb") as file:
        first = tarfile.TarInfo("a.ovf")
        first.size = len(descriptor)
        file.write(first.tobuf(tarfile.USTAR_FORMAT) + descriptor)
        file.seek(-file.tell() % BLOCK, os.SEEK_CUR)
        file.write(info.tobuf(form))
        file.seek(BIG - len(TAIL), os.SEEK_CUR)
        file.write(TAIL)
        file.seek(-file.tell() % BLOCK, os.SEEK_CUR)
        last = tarfile.TarInfo("last.nvram")
        file.write(last.tobuf(tarfile.USTAR_FORMAT) + bytes(2 * BLOCK))
    package = open_package(path)
    assert list(package.places) == ["a.ovf", "d.vmdk", "last.nvram"]
    assert [(each.id, each.subject) for each in package.findings] == [
        ("size-beyond-ustar", "d.vmdk"),
        ("manifest-missing", "a.ova"),
    ]
    stream = package.stream("d.vmdk")
    tail = bytearray(100)
    assert stream.pread(BIG - len(TAIL), tail) == len(TAIL)
    assert tail[: len(TAIL)] == TAIL
    assert stream.length == BIG
    stream.close()


def test_a_disk_of_more_than_8_gib_that_we_write_is_read_by_others(tmp_path: Path) -> None:
    path = tmp_path / "a.ova"
    writer = ArchiveWriter(path, "a.ovf", 1000)
    os.truncate(path, writer.position + BLOCK + BIG)
    assert writer.go_on("big.vmdk", BIG - len(TAIL)), "as if so much had been written before"
    writer.write(TAIL)
    writer.finish()
    writer.close_with(b"<Envelope/>", lambda filled: [("a.mf", b"nothing")])
    writer.close()
    assert path.stat().st_blocks * 512 < 1 << 20
    with tarfile.open(path) as tar:
        assert [(each.name, each.size) for each in tar] == [
            ("a.ovf", 1000), ("big.vmdk", BIG), ("a.mf", 7)
        ]  # fmt: skip
        stored = tar.extractfile("big.vmdk")
        assert stored is not None
        stored.seek(BIG - len(TAIL))
        assert stored.read() == TAIL
    for program in ("tar", "bsdtar"):
        if shutil.which(program):
            listed = subprocess.run([program, "-tvf", str(path)], capture_output=True, text=True)
            assert listed.returncode == 0, listed.stderr
            assert str(BIG) in listed.stdout.splitlines()[1]
            assert len(listed.stdout.splitlines()) == 3
    assert [(each.size, each.beyond) for each in members(path)] == [
        (1000, False), (BIG, True), (7, False)
    ]  # fmt: skip


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kensho_tui.ovf.archive.MAX_MEMBERS", 2)
    path = made(tmp_path / "a.ova", ("a", b""), ("b", b""), ("c", b""))
    with pytest.raises(PackageError, match="more than 2 members"):
        members(path)


@pytest.mark.parametrize(("end", "warned"), [(2 * BLOCK, True), (4 * BLOCK, False)])
def test_an_archive_without_the_mark_of_its_end_is_read_with_a_warning(
    tmp_path: Path, end: int, warned: bool
) -> None:
    envelope = b'<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"/>'
    path = made(tmp_path / "a.ova", ("a.ovf", envelope))
    os.truncate(path, end)
    found = {each.id for each in open_package(path).findings}
    assert ("archive-unmarked-end" in found) is warned


def test_an_archive_is_not_written_into_a_file_with_another_name(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    os.link(precious, tmp_path / "a.ova.partial")
    with pytest.raises(FileError, match=r"has another name too \(a hard link\)"):
        ArchiveWriter(tmp_path / "a.ova.partial", "a.ovf", 1000)
    assert precious.read_bytes() == b"precious"
