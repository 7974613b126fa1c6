"""How the files of a package are made: compressed, cut, with other digests, and the same again."""

import filecmp
import gzip
import hashlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from backends.base import Access, NameTakenError, Offer, Placement
from backends.package.layout import is_marked
from backends.package.settings import PackageSettings
from kensho_tui.disks.copy import transfer
from kensho_tui.disks.image import Buffer, Format
from kensho_tui.machine import DiskId
from kensho_tui.migration.plan import TargetPlan
from kensho_tui.migration.sessions import Writing
from kensho_tui.ovf.archive_write import OCTAL_LIMIT, USTAR_LARGEST, header
from kensho_tui.ovf.package import Package, open_package
from tests.contract.bench import CAPACITY, DISKS, MemoryDisk, pattern
from tests.contract.package import connect, fill, read_disk, shop, write_package
from tests.unit.ovf.schemas import envelope_schema, needs_xsd, problems

FORMATS = ["vmdk", "vhd", "vhdx", "qcow2"]
CHUNK = 500


def unpacked(path: Path, folder: Path) -> Path:
    """The members of an archive as GNU tar makes them files."""
    folder.mkdir()
    subprocess.run(["tar", "-xf", path, "-C", folder], check=True)
    return folder


def files_of(path: Path, tmp_path: Path) -> Path:
    """The folder that holds the package's files, whatever it is."""
    return unpacked(path, tmp_path / "out") if path.suffix == ".ova" else path.parent


def checked_by_coreutils(folder: Path, algorithm: str = "sha256") -> None:
    """Every line of the manifest, by the program for its digests."""
    (manifest,) = folder.glob("*.mf")
    lines = []
    for line in manifest.read_text().splitlines():
        name, digest = line.removeprefix(f"{algorithm.upper()}(").split(")= ")
        lines.append(f"{digest}  {name}\n")
    assert len(lines) == len(list(folder.iterdir())) - 1
    subprocess.run([f"{algorithm}sum", "--strict", "--quiet", "-c", "-"], input="".join(lines),
                   text=True, check=True, cwd=folder)  # fmt: skip


def is_whole(path: Path) -> Package:
    """The package read by ourselves: without a word, and with the disks that were written."""
    package = open_package(path)
    assert [each for each in package.findings if each.id != "manifest-weak"] == []
    for name in package.manifest.digests if package.manifest else ():
        package.verify(name)
    assert [read_disk(path, disk) for disk in DISKS] == [pattern(disk) for disk in DISKS]
    return package


# --------------------------------------------------------------------------------------------- compression
@pytest.mark.parametrize("form", ["ova", "ovf"])
@pytest.mark.parametrize("disk_format", ["vmdk", "vhd", "vhdx"])
def test_files_are_compressed_and_others_unpack_them(
    tmp_path: Path, form: str, disk_format: str
) -> None:
    how = {"format": form, "disk_format": disk_format}
    plain = write_package(tmp_path / f"plain.{form}", reproducible=True, **how)
    path = write_package(tmp_path / f"shop.{form}", reproducible=True, compression="gzip", **how)
    package = is_whole(path)
    folder = files_of(path, tmp_path)
    checked_by_coreutils(folder)
    for file in package.envelope.files:
        assert file.compression == "gzip"
        packed = folder / file.href
        assert packed.stat().st_size == file.size
        subprocess.run(["gunzip", "--test", "--suffix", packed.suffix, packed], check=True)
        # The image inside is the one of a package that is not compressed, but for its name.
        with open_package(plain).places[file.href.replace("shop", "plain")].open("") as stream:
            there = bytearray(stream.length)
            stream.pread(0, there)
        assert len(gzip.decompress(packed.read_bytes())) == len(there)


# ------------------------------------------------------------------------------------------------- chunks
@pytest.mark.parametrize("form", ["ova", "ovf"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_files_are_cut_and_are_the_file_when_joined(
    tmp_path: Path, form: str, compression: str
) -> None:
    how = {"format": form, "reproducible": True, "compression": compression}
    (tmp_path / "whole").mkdir()
    whole = write_package(tmp_path / "whole" / f"shop.{form}", **how)
    path = write_package(tmp_path / f"shop.{form}", chunk_bytes=CHUNK, **how)
    package = is_whole(path)
    folder = files_of(path, tmp_path)
    checked_by_coreutils(folder)
    there = open_package(whole)
    for file in package.envelope.files:
        with there.places[file.href].open("") as stream:
            data = bytearray(stream.length)
            stream.pread(0, data)
        chunks = sorted(folder.glob(f"{file.href}.*"))
        assert len(chunks) == -(-len(data) // CHUNK) > 1
        assert [each.name for each in chunks] == [
            f"{file.href}.{n:09d}" for n in range(len(chunks))
        ]
        assert {each.stat().st_size for each in chunks[:-1]} == {CHUNK}
        assert b"".join(each.read_bytes() for each in chunks) == data
        assert (file.chunk_size, file.size) == (CHUNK, len(data))
        assert not (folder / file.href).exists()


@pytest.mark.parametrize("form", ["ova", "ovf"])
def test_a_file_that_does_not_outgrow_a_chunk_stays_a_file(tmp_path: Path, form: str) -> None:
    path = write_package(tmp_path / f"shop.{form}", format=form, chunk_bytes=64 << 20)
    assert {each.chunk_size for each in is_whole(path).envelope.files} == {None}


@pytest.mark.parametrize("form", ["ova", "ovf"])
def test_a_file_of_exactly_one_chunk_stays_a_file(tmp_path: Path, form: str) -> None:
    how = {"format": form, "reproducible": True}
    first = write_package(tmp_path / f"shop.{form}", **how)
    sizes = sorted(each.size or 0 for each in open_package(first).envelope.files)
    (tmp_path / "b").mkdir()
    path = write_package(tmp_path / "b" / f"shop.{form}", chunk_bytes=sizes[-1], **how)
    assert {each.chunk_size for each in is_whole(path).envelope.files} == {None}
    (tmp_path / "c").mkdir()
    path = write_package(tmp_path / "c" / f"shop.{form}", chunk_bytes=sizes[-1] - 1, **how)
    files = is_whole(path).envelope.files
    assert [file.chunk_size for file in files if (file.size or 0) == sizes[-1]][-1] == sizes[-1] - 1


@pytest.mark.parametrize("form", ["ova", "ovf"])
def test_a_disk_that_is_given_up_in_a_later_chunk_and_written_again_is_whole(
    tmp_path: Path, form: str
) -> None:
    session = connect(tmp_path / f"shop.{form}", format=form, chunk_bytes=CHUNK)
    deployment = session.deploy(shop(), Placement(), "kensho:job:deploy")
    fill(deployment, DISKS[0])
    offer = deployment.offers(DISKS[1])[0]
    writer = deployment.open(DISKS[1], offer, None, None)
    for _ in range(9):
        writer.write(bytes(CHUNK // 2))
    assert writer.durable()[1] is None
    writer.close()
    # Another process goes on with what is there.
    again = connect(tmp_path / f"shop.{form}", format=form, chunk_bytes=CHUNK)
    deployment = again.deploy(shop(), Placement(), "kensho:job:deploy")
    fill(deployment, DISKS[1])
    path = Path(deployment.commit(start=False).location)
    package = is_whole(path)
    folder = files_of(path, tmp_path)
    checked_by_coreutils(folder)
    assert len(list(folder.iterdir())) == len(package.covered) + 1


# ---------------------------------------------------------------------------------------------- manifest
@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("form", ["ova", "ovf"])
def test_the_manifest_has_the_digests_that_are_asked_for(
    tmp_path: Path, form: str, algorithm: str
) -> None:
    path = write_package(tmp_path / f"shop.{form}", format=form, digest=algorithm)
    package = is_whole(path)
    assert package.manifest is not None
    assert {each.algorithm for each in package.manifest.digests.values()} == {algorithm}
    checked_by_coreutils(files_of(path, tmp_path), algorithm)


@pytest.mark.parametrize("algorithm", ["sha1", "sha512"])
def test_a_disk_goes_on_under_any_manifest(tmp_path: Path, algorithm: str) -> None:
    how: dict[str, Any] = {"digest": algorithm, "resume_bytes": 512}
    deployment = connect(tmp_path / "shop.ova", **how).deploy(
        shop(), Placement(), "kensho:j:deploy"
    )
    fill(deployment, DISKS[0])
    offer = deployment.offers(DISKS[1])[0]
    (tmp_path / "other").mkdir()
    other = write_package(tmp_path / "other" / "shop.ova", reproducible=True)
    place = open_package(other).places["shop-disk2.vmdk"]
    data = bytearray(place.size)
    with place.open("") as stream:
        stream.pread(0, data)
    writer = deployment.open(DISKS[1], offer)
    writer.write(bytes(data[:5000]))
    token = writer.durable()[1]
    writer.write(b"lost")
    writer.close()
    again = connect(tmp_path / "shop.ova", **how).deploy(shop(), Placement(), "kensho:j:deploy")
    writer = again.open(DISKS[1], offer, resume=token)
    writer.write(bytes(data[5000:]))
    writer.finish()
    writer.close()
    path = Path(again.commit(start=False).location)
    is_whole(path)
    checked_by_coreutils(unpacked(path, tmp_path / "out"), algorithm)


# ------------------------------------------------------------------------------------------- reproducible
@pytest.mark.parametrize("form", ["ova", "ovf"])
@pytest.mark.parametrize("disk_format", FORMATS)
def test_the_same_machines_give_the_same_bytes(
    tmp_path: Path, form: str, disk_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = []
    for number, time in enumerate((1_700_000_000.0, 1_800_000_000.0)):
        monkeypatch.setattr("time.time", lambda time=time: time)
        folder = tmp_path / str(number)
        folder.mkdir()
        session = connect(folder / f"shop.{form}", format=form, disk_format=disk_format,
                          reproducible=True, epoch=1_600_000_000)  # fmt: skip
        deployment = session.deploy(shop(), Placement(), f"kensho:job-{number}:deploy")
        for disk in DISKS:
            fill(deployment, disk)
        paths.append(Path(deployment.commit(start=False).location))
        session.close()
    if form == "ova":
        assert filecmp.cmp(paths[0], paths[1], shallow=False)
        with tarfile.open(paths[0]) as tar:
            assert {each.mtime for each in tar} == {1_600_000_000}
    else:
        one, other = paths[0].parent, paths[1].parent
        names = sorted(os.listdir(one))
        assert names == sorted(os.listdir(other))
        assert filecmp.cmpfiles(one, other, names, shallow=False)[0] == names
        assert {(one / each).stat().st_mtime for each in names} == {1_600_000_000}
    is_whole(paths[0])


def test_without_it_two_runs_differ(tmp_path: Path) -> None:
    """So that the test above can fail."""
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        write_package(tmp_path / str(number) / "shop.ova")
    assert not filecmp.cmp(tmp_path / "0" / "shop.ova", tmp_path / "1" / "shop.ova", shallow=False)


@pytest.mark.parametrize("form", ["ova", "ovf"])
def test_a_job_knows_its_own_package_without_a_mark_in_its_bytes(tmp_path: Path, form: str) -> None:
    how: dict[str, Any] = {"format": form, "reproducible": True}
    path = write_package(tmp_path / f"shop.{form}", **how)
    place = path if form == "ova" else path.parent
    if not is_marked(place, "kensho:made:deploy"):
        pytest.skip("this file system keeps no extended attributes: run it on ext4, xfs or btrfs")
    assert open_package(path).envelope.written_by == ""
    session = connect(tmp_path / f"shop.{form}", **how)
    assert session.stands("kensho:made:deploy")
    assert not session.stands("kensho:other:deploy")
    # The same job once more: it is done.
    again = session.deploy(shop(), Placement(), "kensho:made:deploy").commit(start=False)
    assert Path(again.location) == path
    with pytest.raises(NameTakenError):
        connect(tmp_path / f"shop.{form}", **how).deploy(shop(), Placement(), "kensho:other:deploy")


# -------------------------------------------------------------------------------------- order, plain ustar
@pytest.mark.parametrize("chunk", [0, CHUNK])
def test_files_lie_in_the_archive_as_the_references_name_them(tmp_path: Path, chunk: int) -> None:
    session = connect(tmp_path / "shop.ova", chunk_bytes=chunk)
    deployment = session.deploy(shop(), Placement(), "kensho:job:deploy")
    for disk in reversed(DISKS):
        fill(deployment, disk)
    path = Path(deployment.commit(start=False).location)
    package = is_whole(path)
    listed = subprocess.run(["tar", "-tf", path], capture_output=True, text=True, check=True)
    names = listed.stdout.splitlines()
    assert (names[0], names[-1]) == ("shop.ovf", "shop.mf")
    files = [each.href for each in package.envelope.files]
    assert list(dict.fromkeys(name[: len(files[0])] for name in names[1:-1])) == files
    assert names[1].startswith("shop-disk2")
    assert names[1:-1] == sorted(
        names[1:-1], key=lambda name: (files.index(name[: len(files[0])]), name)
    )


@pytest.mark.skipif(
    shutil.which("bsdtar") is None, reason="bsdtar is not here: apt install libarchive-tools"
)
def test_what_is_asked_for_together_is_plain_ustar_that_two_other_programs_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit that a test can reach stands for the real one, which the next test is about."""
    monkeypatch.setattr("backends.package.deployment.USTAR_LARGEST", 1 << 9)
    path = write_package(
        tmp_path / "shop.ova", strict=True, digest="sha512", compression="gzip", reproducible=True
    )
    is_whole(path)
    theirs = tmp_path / "bsd"
    theirs.mkdir()
    subprocess.run(["bsdtar", "-xf", path, "-C", theirs], check=True)
    gnu = unpacked(path, tmp_path / "gnu")
    names = sorted(os.listdir(gnu))
    assert (
        filecmp.cmpfiles(gnu, theirs, names, shallow=False)[0]
        == names
        == sorted(os.listdir(theirs))
    )
    checked_by_coreutils(gnu, "sha512")
    assert max(each.stat().st_size for each in gnu.glob("*.vmdk*")) == 1 << 9
    told = subprocess.run(["bsdtar", "-tvvf", path], capture_output=True, text=True, check=True)
    assert "POSIX ustar format" in told.stdout + told.stderr


def test_the_largest_file_of_plain_ustar_has_a_length_in_octal_digits() -> None:
    assert USTAR_LARGEST < OCTAL_LIMIT
    assert USTAR_LARGEST % 512 == 0
    block = header("d.vmdk", USTAR_LARGEST)
    assert int(block[124:135], 8) == USTAR_LARGEST
    assert tarfile.TarInfo.frombuf(block, "utf-8", "strict").size == USTAR_LARGEST
    assert header("d.vmdk", OCTAL_LIMIT)[124] == 0x80


@needs_xsd
def test_the_descriptor_is_valid_with_compression_and_chunks(tmp_path: Path) -> None:
    path = write_package(tmp_path / "shop.ova", compression="gzip", chunk_bytes=CHUNK)
    assert problems(envelope_schema(), open_package(path).descriptor) == []


# ------------------------------------------------------------------------------------------------ findings
@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, set()),
        ({"compression": "gzip"}, {"disk-compressed"}),
        (
            {"compression": "gzip", "disk_format": "qcow2"},
            {"disk-compressed", "compression-unreadable"},
        ),
        ({"chunk_bytes": CHUNK}, {"disk-in-chunks"}),
        ({"chunk_bytes": 1 << 50}, set()),
        ({"strict": True}, set()),
    ],
)
def test_who_may_not_read_it_is_said_beforehand(
    tmp_path: Path, settings: dict[str, Any], found: set[str]
) -> None:
    session = connect(tmp_path / "shop.ova", **settings)
    assert {each.id for each in session.check(shop(), Placement())} == found


def test_a_plan_says_all_of_it_and_the_back_end_understands_it() -> None:
    target = TargetPlan(package="/x.ova", compression="gzip", chunk_bytes=5, digest="sha512",
                        strict=True, reproducible=True, epoch=7, disk_format="vhd")  # fmt: skip
    settings = PackageSettings.of(Writing.of(target).settings())
    for name in (
        "compression",
        "chunk_bytes",
        "digest",
        "strict",
        "reproducible",
        "epoch",
        "disk_format",
    ):
        assert getattr(settings, name) == getattr(target, name)
    assert Writing.of(TargetPlan(package="/x.ova")).settings() == {"format": "ova"}


def test_images_are_known_by_what_is_said_and_else_by_chance() -> None:
    def made(identity: UUID | None) -> bytes:
        out = MemorySink()
        offer = Offer(Format.VMDK_STREAM, Access.FORWARD, identity=identity)
        transfer(
            MemoryDisk(pattern(DiskId("disk0"))),
            Offer(Format.RAW, Access.SEEK),
            targets=[offer],
            open_writer=lambda chosen, length, allocation: out,
            capacity=CAPACITY,
        )
        return bytes(out.data)

    one, two = UUID(int=1), UUID(int=2)
    assert made(one) == made(one)
    assert len({hashlib.sha256(made(each)).digest() for each in (one, two, None)}) == 3


class MemorySink:
    """A file in memory that is written forward."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: Buffer, /) -> None:
        self.data += data

    def pwrite(self, offset: int, data: Buffer, /) -> None:
        raise AssertionError("not forward")

    def finish(self) -> None:
        """All is there."""

    def close(self) -> None:
        """Nothing is open."""
