"""The sample appliance: a web server and its database, small, made in a moment, nothing copied.

It has one of everything the wizard asks about: two licences, two deployment options, properties of
every CIM type, two networks, three disks with real file systems, a start order with delays, and a
SHA-256 manifest. The descriptor is ``sample.ovf`` beside this file, with sizes to fill in.
"""

import hashlib
import io
import os
import random
import shutil
import string
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from kensho_tui.disks.copy import transfer
from kensho_tui.disks.files import (
    FileInput,
    FileOutput,
    mark_finished,
    open_partial,
    partial_name,
)
from kensho_tui.disks.image import Access, ExtentMap, Format, Offer
from kensho_tui.errors import KenshoError
from kensho_tui.paths import private_dir

MIB = 1024 * 1024
DESCRIPTOR = "shop.ovf"
MANIFEST = "shop.mf"


class SampleError(KenshoError):
    """The sample cannot be made."""


@dataclass(frozen=True)
class SampleDisk:
    """One disk. Sizes in bytes; ``data`` of content that does not compress."""

    id: str
    capacity: int
    data: int
    label: str

    @property
    def file(self) -> str:
        """The member's name."""
        return f"shop-{self.id}.vmdk"

    @property
    def placeholder(self) -> str:
        """The name in the descriptor's text."""
        return self.id.replace("-", "_")


DISKS = (
    SampleDisk("web01-system", 64 * MIB, 3 * MIB, "web01"),
    SampleDisk("db01-system", 48 * MIB, 2 * MIB, "db01"),
    SampleDisk("db01-data", 96 * MIB, 6 * MIB, "dbdata"),
)


def make_sample(output: Path) -> Path:
    """Write the sample as one ``.ova``; the path.

    Raises: SampleError: a file system cannot be made. KenshoError: the file cannot be written.
    """
    private = Path(tempfile.mkdtemp(prefix="kensho-sample-"))
    try:
        sizes: dict[str, int] = {}
        for disk in DISKS:
            raw = private / f"{disk.id}.raw"
            file_system(disk, private / disk.id, raw)
            _stream_optimized(raw, private / disk.file, disk)
            raw.unlink()
            sizes[disk.placeholder] = disk.capacity
            sizes[f"{disk.placeholder}_file"] = (private / disk.file).stat().st_size
        text = resources.files("kensho_tui.lab").joinpath("sample.ovf").read_text(encoding="utf-8")
        (private / DESCRIPTOR).write_text(string.Template(text).substitute(sizes), encoding="utf-8")
        members = [DESCRIPTOR, *(disk.file for disk in DISKS)]
        lines = [f"SHA256({name})= {_sha256(private / name)}\n" for name in members]
        (private / MANIFEST).write_text("".join(lines), encoding="ascii")
        _archive(private, [DESCRIPTOR, MANIFEST, *members[1:]], output)
    except OSError as error:
        raise SampleError(
            f"the sample cannot be made ({error.strerror or error})", subject=str(output)
        ) from error
    finally:
        shutil.rmtree(private)
    return output


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _archive(folder: Path, names: list[str], output: Path) -> None:
    """Descriptor first, manifest second, as DSP0243 6.2 has it; nothing of the maker's identity."""
    partial = partial_name(output)
    with (
        os.fdopen(open_partial(partial), "r+b") as written,
        tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = (folder / name).stat().st_size
            member.mode = 0o644
            with (folder / name).open("rb") as file:
                archive.addfile(member, file)
        archive.close()
        written.flush()
        partial.replace(output)
        mark_finished(written.fileno())


def _stream_optimized(raw: Path, target: Path, disk: SampleDisk) -> None:
    def create(_offer: Offer, _length: int | None, _map: ExtentMap | None) -> FileOutput:
        return FileOutput(target)

    with FileInput(raw) as stream:
        transfer(
            stream,
            Offer(Format.RAW, Access.EXTENTS),
            targets=[Offer(Format.VMDK_STREAM, Access.FORWARD)],
            open_writer=create,
            capacity=disk.capacity,
            name=disk.file,
            subject=disk.id,
        )


def file_system(disk: SampleDisk, tree: Path, image: Path) -> None:
    """Make a disk with a real file system and files in it: ext4, else ISO 9660.

    Args:
        tree: a directory to be made, for the files.
        image: the raw disk to be made.

    Raises: SampleError: ``mke2fs`` refuses.
    """
    _files(disk, tree)
    mke2fs = shutil.which("mke2fs") or shutil.which("mke2fs", path="/sbin:/usr/sbin")
    if mke2fs is None:
        _iso(disk, tree, image)
        return
    with image.open("xb") as file:
        file.truncate(disk.capacity)
    # The journal would be 4 MiB of zeros that a VMDK keeps as nothing; the guest adds one.
    command = [mke2fs, "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0"]
    command += ["-L", disk.label, "-d", str(tree), str(image)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SampleError(f"mke2fs refuses ({done.stderr.strip()})", subject=disk.id)


def _files(disk: SampleDisk, tree: Path) -> None:
    source = random.Random(disk.id)  # noqa: S311 - content to compare, no secret
    private_dir(tree)
    for folder in ("etc", "var"):
        (tree / folder).mkdir()
    host = disk.id.partition("-")[0]
    (tree / "etc" / "hostname").write_text(f"{host}\n", encoding="ascii")
    (tree / "etc" / "issue").write_text("Shop 4.2, sample\n", encoding="ascii")
    lines = "".join(f"{number} order {number * 7919 % 1000}\n" for number in range(20_000))
    (tree / "var" / "orders.txt").write_text(lines, encoding="ascii")
    (tree / "var" / "pictures.bin").write_bytes(source.randbytes(disk.data))


def _iso(disk: SampleDisk, tree: Path, image: Path) -> None:
    import pycdlib

    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, vol_ident=disk.label.upper(), rock_ridge="1.09")
    try:
        for path in sorted(tree.rglob("*")):
            parts = path.relative_to(tree).parts
            upper = "/" + "/".join(part.upper() for part in parts)
            if path.is_dir():
                iso.add_directory(upper, rr_name=path.name)
            else:
                content = path.read_bytes()
                iso.add_fp(io.BytesIO(content), len(content), f"{upper};1", rr_name=path.name)
        with image.open("xb") as file:
            iso.write_fp(file)
            file.truncate(disk.capacity)
    finally:
        iso.close()
