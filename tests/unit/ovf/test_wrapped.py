"""Packages that are compressed as a whole, or lie in a zip file."""

import contextlib
import gzip
import lzma
import os
import shutil
import struct
import subprocess
import tempfile
import warnings
import weakref
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.disks import bounds
from kensho_tui.disks.bounds import Bounds, BoundsError
from kensho_tui.errors import KenshoError
from kensho_tui.ovf import unxz
from kensho_tui.ovf.errors import ManifestError, PackageError
from kensho_tui.ovf.members import SpooledPlace
from kensho_tui.ovf.package import open_package
from tests.unit.disks.streams import Memory, Trickle
from tests.unit.ovf.test_package import DISK, everything, good, ova, text

MIB = 1 << 20


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where spools are."""
    path = tmp_path / "spools"
    path.mkdir()
    monkeypatch.setenv("KENSHO_SPOOL_DIR", str(path))
    return path


def gzipped(path: Path, members: dict[str, bytes]) -> Path:
    data = ova(path.with_name("inner"), members).read_bytes()
    path.write_bytes(gzip.compress(data))
    return path


def xzed(path: Path, members: dict[str, bytes]) -> Path:
    data = ova(path.with_name("inner"), members).read_bytes()
    path.write_bytes(lzma.compress(data[:7777]) + bytes(8) + lzma.compress(data[7777:]))
    return path


def zipped(way: int, form: str) -> Callable[[Path, dict[str, bytes]], Path]:
    def make(path: Path, members: dict[str, bytes]) -> Path:
        with zipfile.ZipFile(path, "w", way) as archive:
            archive.writestr("__MACOSX/._a.ovf", b"nothing")
            if form == "ova":
                archive.writestr("d/a.ova", ova(path.with_name("inner"), members).read_bytes())
                return path
            for name in reversed(members):
                archive.writestr(f"{form}{name}", members[name])
            archive.writestr("other/d.vmdk", b"of something else")
        return path

    return make


WRAPPED = {
    "gz": gzipped,
    "xz": xzed,
    "stored ova": zipped(zipfile.ZIP_STORED, "ova"),
    "deflated ova": zipped(zipfile.ZIP_DEFLATED, "ova"),
    "stored folder": zipped(zipfile.ZIP_STORED, "a/"),
    "deflated folder": zipped(zipfile.ZIP_DEFLATED, ""),
    "lzma folder": zipped(zipfile.ZIP_LZMA, "some/where/"),
}
IN_PLACE = {"stored ova", "stored folder"}


@pytest.mark.parametrize("kind", WRAPPED)
def test_a_wrapped_package_is_read_as_if_it_were_not(
    tmp_path: Path, folder: Path, kind: str
) -> None:
    said: list[str] = []
    path = WRAPPED[kind](tmp_path / "a.bin", good())
    package = open_package(path, told=said.append)
    plain = open_package(ova(tmp_path / "a.ova", good()))
    assert package.descriptor == plain.descriptor
    assert dict(package.manifest.digests) == dict(plain.manifest.digests)  # type: ignore[union-attr]
    stream = package.stream("d.vmdk")
    assert (stream.length, stream.forward) == (len(DISK), False)
    middle = bytearray(1000)
    assert stream.pread(5000, middle) == 1000
    assert middle == DISK[5000:6000]
    assert everything(stream) == DISK
    stream.verify()
    stream.close()
    found = {each.id: each for each in package.findings}
    if kind in IN_PLACE:
        assert found == {} and said == []
    else:
        assert list(found) == ["package-spooled"]
        assert f"to a temporary file in {folder}, by each" in found["package-spooled"].message
        assert len(said) == 1 and f"Unpacking a.bin to a temporary file in {folder}" in said[0]
    assert list(folder.iterdir()) == [], "it has no name"


@pytest.mark.parametrize("kind", WRAPPED)
def test_what_does_not_match_the_manifest_is_refused_there_too(tmp_path: Path, kind: str) -> None:
    members = good()
    members["d.vmdk"] = DISK[:-1] + b"!"
    package = open_package(WRAPPED[kind](tmp_path / "a.bin", members))
    stream = package.stream("d.vmdk")
    with pytest.raises(ManifestError):
        stream.verify()
    stream.close()


@pytest.mark.parametrize("program", ["gzip", "xz -T2 --block-size=4096", "xz -9 --check=sha256"])
def test_what_the_usual_programs_make_is_read(tmp_path: Path, program: str) -> None:
    words = program.split()
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is missing: apt-get install {words[0]}-utils")
    path = ova(tmp_path / "a.ova", good())
    subprocess.run([*words, str(path)], check=True)
    packed = path.with_name(f"a.ova.{'gz' if words[0] == 'gzip' else 'xz'}")
    stream = open_package(packed).stream("d.vmdk")
    assert everything(stream) == DISK
    stream.close()


def test_it_is_unpacked_once_for_all_who_hold_it_and_goes_with_the_last(tmp_path: Path) -> None:
    said: list[str] = []
    path = gzipped(tmp_path / "a.ova.gz", good())
    first = open_package(path, told=said.append)
    second = open_package(path, told=said.append)
    assert len(said) == 1
    assert first.identity == second.identity
    one, other = first.places["a.ovf"], second.places["a.ovf"]
    assert isinstance(one, SpooledPlace)
    assert isinstance(other, SpooledPlace)
    held = one.spool
    assert held is other.spool
    assert os.fstat(held.number).st_nlink == 0
    assert os.fstat(held.number).st_mode & 0o077 == 0
    number, gone = held.number, weakref.ref(held)
    stream = first.stream("d.vmdk")
    identity = stream.identity
    del first, second, one, other, held
    assert everything(stream) == DISK, "who reads it still can"
    stream.close()
    assert gone() is None
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(number)
    third = open_package(path, told=said.append)
    assert len(said) == 2
    again = third.stream("d.vmdk")
    assert again.identity == identity, "another spool of the same file: a disk can go on"
    again.close()


def test_a_wrapping_that_was_replaced_is_noticed(tmp_path: Path) -> None:
    package = open_package(gzipped(tmp_path / "a.ova.gz", good()))
    gzipped(tmp_path / "a.ova.gz", {**good(), "d.vmdk": DISK * 2})
    with pytest.raises(PackageError, match="was changed since"):
        package.check_unchanged()


# ---------------------------------------------------------------------------------------- refusals
def test_where_there_is_no_room_nothing_is_begun(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = gzipped(tmp_path / "a.ova.gz", good())
    usage = shutil.disk_usage(folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=(64 << 20) + 100))
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: pytest.fail("begun"))
    with pytest.raises(PackageError, match="no room for it") as caught:
        open_package(path)
    assert "KENSHO_SPOOL_DIR" in caught.value.remedy
    assert caught.value.subject == "a.ova.gz"


def test_a_storage_that_fills_meanwhile_ends_it(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.ova.gz"
    path.write_bytes(
        gzip.compress(os.urandom(1000) * 200_000, 1)
    )  # 200 MB, and says so modulo 4 GiB
    usage = shutil.disk_usage(folder)
    left = iter([usage.free, 1 << 20])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=next(left)))
    with pytest.raises(PackageError, match="no room"):
        open_package(path)
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KENSHO_SPOOL_DIR", str(tmp_path / "not there"))
    with pytest.raises(KenshoError, match="cannot write: No such file") as caught:
        open_package(gzipped(tmp_path / "a.ova.gz", good()))
    assert caught.value.subject == str(tmp_path / "not there")


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress], ids=["gz", "xz"])
def test_a_bomb_ends_where_it_inflates_too_far(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "a.ova.gz"
    path.write_bytes(pack(bytes(100 * MIB)))
    with bounds.within(Bounds(ratio=500)), pytest.raises(BoundsError, match="inflate to"):
        open_package(path)


def test_a_zip_that_says_it_is_a_bomb_is_not_begun(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.ovf", text())
        archive.writestr("d.vmdk", bytes(100 * MIB))
    with bounds.within(Bounds(ratio=500)), pytest.raises(BoundsError):
        open_package(path, told=lambda _: pytest.fail("begun"))


def test_cancelling_ends_the_unpacking(tmp_path: Path, folder: Path) -> None:
    cancel = Cancel()
    path = gzipped(tmp_path / "a.ova.gz", good())
    with pytest.raises(CancelledError):
        open_package(path, cancel=cancel, told=lambda _: cancel.cancel())
    assert list(folder.iterdir()) == []


def zip_of(path: Path, *names: str, change: Callable[[bytearray], None] | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that comes twice
        for name in names:
            archive.writestr(name, text() if name.endswith(".ovf") else DISK)
    if change is not None:
        data = bytearray(path.read_bytes())
        change(data)
        path.write_bytes(data)
    return path


def put(form: str, where: bytes, at: int, value: int) -> Callable[[bytearray], None]:
    """Write a number behind each record of that mark."""

    def change(data: bytearray) -> None:
        start = data.rindex(where)
        struct.pack_into(form, data, start + at, value)

    return change


@pytest.mark.parametrize(
    ("names", "change", "reason"),
    [
        (["readme.txt"], None, "holds no package"),
        (["a.ovf", "b.ovf"], None, "holds 2 packages"),
        (["a.ova", "x/b.ova"], None, "holds 2 packages"),
        (["a/a.ovf", "a/d.vmdk", "a/d.vmdk"], None, "two files of the name d.vmdk"),
        (["a.ovf"], put("<H", b"PK\x01\x02", 8, 1), "encrypted"),
        (["a.ovf"], put("<H", b"PK\x01\x02", 10, 99), "not known"),
        (["a.ovf"], put("<I", b"PK\x01\x02", 42, 1 << 30), "lies outside"),
        (["a.ovf"], put("<I", b"PK\x01\x02", 42, 7), "not where its directory says"),
        (["a.ovf"], put("<I", b"PK\x01\x02", 20, 9), "not where its directory says"),
        (["a.ovf", "d.vmdk"], lambda data: data.__delitem__(slice(40, 5000)), "damaged"),
        (["a.ova"], None, "not a tar archive"),
    ],
)
def test_a_zip_that_is_not_right_is_refused_by_a_sentence(
    tmp_path: Path, names: list[str], change: Any, reason: str
) -> None:
    with pytest.raises(KenshoError, match=reason):
        open_package(zip_of(tmp_path / "a.zip", *names, change=change))


def test_a_zip_with_more_files_than_a_package_has_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(4097):
            archive.writestr(str(number), b"")
    with pytest.raises(PackageError, match="holds 4097 files"):
        open_package(path)


def test_a_directory_of_a_zip_that_would_fill_memory_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(64 * MIB)
        file.seek(64 * MIB)
        file.write(struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 9, 9, 64 * MIB - 4, 4, 0))
    with pytest.raises(PackageError, match="too large"):
        open_package(path)


@pytest.mark.parametrize("cut", [30, 300, -13, -3])
@pytest.mark.parametrize("make", [gzipped, xzed])
def test_what_is_cut_off_is_damaged(
    tmp_path: Path, make: Callable[[Path, dict[str, bytes]], Path], cut: int
) -> None:
    path = make(tmp_path / "a.bin", good())
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(PackageError, match=r"ends too early|damaged|cut"):
        open_package(path)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), kind=st.sampled_from(sorted(WRAPPED)))
def test_no_bytes_bring_it_down(
    data: st.DataObject, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = WRAPPED[kind](tmp_path_factory.mktemp("w") / "a.bin", good())
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(
            st.integers(0, len(content) - 1) | st.integers(len(content) - 80, len(content) - 1)
        )
        content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        package = open_package(path, integrity="warn")
        stream = package.stream("d.vmdk")
        try:
            everything(stream)
        finally:
            stream.close()
    except KenshoError as error:
        assert error.what


# --------------------------------------------------------------------------------------------- xz
def blocks(data: bytes, size: int) -> bytes:
    """As xz packs it with several threads: in blocks of so many bytes."""
    done = subprocess.run(
        ["xz", "-T2", f"--block-size={size}", "-c"], input=data, capture_output=True, check=True
    )
    return done.stdout


@pytest.mark.skipif(shutil.which("xz") is None, reason="xz is missing: apt-get install xz-utils")
@pytest.mark.parametrize("size", [1, 999, 100_000])
def test_an_xz_file_says_how_long_it_will_be(size: int) -> None:
    data = os.urandom(50_000)[: 50_000 if size > 1 else 500]
    assert unxz.unpacked_size(Memory(blocks(data, size))) == len(data)


@given(st.binary(max_size=300), st.integers(0, 40))
def test_the_index_of_an_xz_file_may_be_anything(tail: bytes, size: int) -> None:
    end = struct.pack("<4sIH", b"", size, 0) + b"YZ"
    assert unxz.unpacked_size(Memory(b"\xfd7zXZ\x00" + tail + end)) >= 0
    with contextlib.suppress(PackageError):
        stream = unxz.XzInput(Trickle(lzma.compress(b"x") + tail, 7), "a")
        while stream.readinto(bytearray(100)):
            pass


def test_what_wants_more_memory_than_xz_ever_does_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ova.xz"
    # The lie of a small file: its block's header asks for a dictionary of 4 GiB (LZMA2 property 40).
    packed = bytearray(lzma.compress(b"data", lzma.FORMAT_XZ))
    header = packed[12 : 12 + (packed[12] + 1) * 4]
    header[header.index(b"\x21\x01") + 2] = 40
    header[-4:] = struct.pack("<I", zlib.crc32(header[:-4]))
    packed[12 : 12 + len(header)] = header
    path.write_bytes(packed)
    with pytest.raises(PackageError, match=r"[Mm]emory usage limit"):
        open_package(path)
