"""Packages of disks that other tools made, under descriptors that other projects wrote."""

import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

CORPUS = Path(
    os.environ.get("KENSHO_CORPUS", Path(__file__).resolve().parents[3] / "shared" / "corpus")
)


def needed(program: str, package: str) -> str:
    """The program's path; skips the test, saying how to get it, where it is not there."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if not found:
        pytest.skip(f"needs {program}: apt-get install {package}")
    return found


def corpus(name: str) -> bytes:
    """A descriptor of another project; skips the test where the corpus is not there."""
    path = CORPUS / name
    if not path.exists():
        pytest.skip(f"needs descriptors of other projects in KENSHO_CORPUS (looked for {path})")
    return path.read_bytes()


@dataclass(frozen=True)
class MadeDisk:
    """A disk image by qemu-img, and the raw disk it was made of."""

    image: Path
    origin: Path


def file_system(path: Path, size: int, seed: str) -> Path:
    """A raw disk of that many bytes with an ext4 file system and some files that differ by seed."""
    content = path.with_suffix(".d")
    content.mkdir()
    for i in range(12):
        block = hashlib.sha256(f"{seed}{i}".encode()).digest()
        (content / f"file{i}").write_bytes(block * (i * 700) + bytes(i * 4096) + block)
    with path.open("wb") as file:
        file.truncate(size)
    subprocess.run(
        [needed("mke2fs", "e2fsprogs"), "-q", "-F", "-t", "ext4", "-d", str(content), str(path)],
        check=True,
        capture_output=True,
    )
    return path


def qemu_image(origin: Path, image: Path) -> MadeDisk:
    """The raw disk as a streamOptimized VMDK or a dynamic VHD (by the name's ending), by qemu-img."""
    output = (
        ["-O", "vpc", "-o", "subformat=dynamic,force_size=on"]
        if image.suffix == ".vhd"
        else ["-O", "vmdk", "-o", "subformat=streamOptimized"]
    )
    subprocess.run(
        [
            needed("qemu-img", "qemu-utils"),
            "convert",
            "-f",
            "raw",
            *output,
            str(origin),
            str(image),
        ],
        check=True,
        capture_output=True,
    )
    return MadeDisk(image, origin)


def with_sizes(descriptor: bytes, sizes: dict[str, int]) -> bytes:
    """The descriptor with ``ovf:size`` of each file set to what the file really is, nothing else.

    Works on the bytes: the rest of the descriptor stays as its author wrote it.
    """
    for name, size in sizes.items():
        element = re.compile(rb'<(?:ovf:)?File [^>]*"' + re.escape(name).encode() + rb'"[^>]*>')
        found = element.search(descriptor)
        assert found, f"no File element for {name}"
        changed = re.sub(rb'ovf:size="\d+"', b'ovf:size="%d"' % size, found[0])
        descriptor = descriptor.replace(found[0], changed)
    return descriptor


def ova(path: Path, descriptor: bytes, members: dict[str, Path]) -> Path:
    """A package written by Python's own tarfile: descriptor, SHA-256 manifest, members."""
    descriptor = with_sizes(descriptor, {name: f.stat().st_size for name, f in members.items()})
    lines = [f"SHA256({path.stem}.ovf)= {hashlib.sha256(descriptor).hexdigest()}\n"]
    for name, file in members.items():
        with file.open("rb") as opened:
            lines.append(f"SHA256({name})= {hashlib.file_digest(opened, 'sha256').hexdigest()}\n")
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in (
            (f"{path.stem}.ovf", descriptor),
            (f"{path.stem}.mf", "".join(lines).encode()),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for name, file in members.items():
            tar.add(file, arcname=name)
    return path


def equal(left: Path, right: Path, *, left_format: str, right_format: str, size: int) -> None:
    """Assert that two images hold the same guest-visible bytes up to ``size``, by qemu-img.

    A platform may round a disk up; qemu-img then compares, and the longer one's rest must be zero.
    """
    done = subprocess.run(
        [needed("qemu-img", "qemu-utils"), "compare", "-f", left_format, "-F", right_format,
         str(left), str(right)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert right.stat().st_size >= size or right_format != "raw"
