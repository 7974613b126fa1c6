"""Disk conversion beside its peers: paired runs of whole commands, on one image of real files.

Every pair runs ours and the peer in turn on the same warm source, each into a fresh file. The ratio of a
row is the median over the pairs of the peer's wall time by ours. Files lie in memory where there is room
(``/dev/shm``), so that no disk is measured.

Two more peers take part where it is said where they are: open-vmdk's ``vmdk-convert`` (``--vmdk-convert``),
and Xen Orchestra's npm package xo-vmdk-to-vhd 0.1.8, put into a folder of its own (``--xo``).
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, groupby, islice
from pathlib import Path
from statistics import median

from kensho_tui.disks.codec import deflater, inflater
from kensho_tui.disks.files import FileInput
from kensho_tui.disks.progress import processors
from kensho_tui.disks.vmdk import VmdkSource

GIB = 1 << 30
KENSHO = (str(Path(sys.executable).with_name("kensho")), "disk")
QEMU = ("qemu-img", "convert")
MOST_FILES = 1_600_000_000  # bytes of files in the image, at most
LARGEST_FILE = 64 << 20
NEEDED = 14 * GIB
GRAIN = 1 << 16
# What is installed comes compiled; a checkout is compiled by its first run, unless it is told not to keep it.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
SAMPLE = 200  # windows of 2 MiB that the bare loops work on


@dataclass(frozen=True)
class Run:
    """One run of a command: seconds of wall and CPU time, bytes of memory at most and of the output."""

    wall: float
    cpu: float
    memory: int
    size: int


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        work: what is done.
        ours, peer: the commands; ``{}`` is the target.
        peer_name: who the peer is.
        goal: the ratio to reach, peer's wall time by ours.
        check: format by which qemu-img compares our output with the source; "" for no check.
    """

    work: str
    ours: tuple[str, ...]
    peer: tuple[str, ...]
    peer_name: str
    goal: float
    check: str = ""


def run(command: tuple[str, ...], target: Path) -> Run:
    """Run the command once, into a fresh file."""
    target.unlink(missing_ok=True)
    arguments = [each.replace("{}", str(target)) for each in command]
    begun = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(arguments, stdout=said, stderr=said, env=ENVIRONMENT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - begun
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(arguments)} failed:\n{said.read().decode()[-2000:]}")
    size = target.stat().st_size if target.exists() else 0
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, size)


def _files(tree: Path) -> int:
    """Copy regular files of the system into the tree; bytes copied."""
    total = 0
    for top in ("/usr/lib", "/usr/bin", "/usr/share"):
        for folder, folders, names in os.walk(top):
            folders.sort()
            for name in sorted(names):
                path = Path(folder, name)
                if path.is_symlink() or not path.is_file():
                    continue
                size = path.stat().st_size
                if size > LARGEST_FILE or total + size > MOST_FILES:
                    continue
                target = tree / path.relative_to("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                total += size
    return total


def make_images(folder: Path) -> dict[str, Path]:
    """The sources: real files on ext4, and the same disk in every other format; noise; a hole."""
    images = {name: folder / f"{name}.img" for name in ("real", "noise", "hole")}
    with tempfile.TemporaryDirectory(dir=folder) as tree:
        _files(Path(tree))
        images["real"].touch()
        os.truncate(images["real"], 4 * GIB)
        subprocess.run(
            ["mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, str(images["real"])], check=True
        )
    chance = random.Random(1)
    with images["noise"].open("wb") as file:
        for _ in range(512):
            file.write(chance.randbytes(1 << 20))
    images["hole"].touch()
    os.truncate(images["hole"], 100 * GIB)
    for name, format_ in (("vmdk", "vmdk"), ("vhd", "vhd"), ("vhdx", "vhdx"), ("qcow2", "qcow2")):
        images[name] = folder / f"real.{name}"
        subprocess.run(
            [
                *KENSHO,
                "convert",
                str(images["real"]),
                str(images[name]),
                "-f",
                "raw",
                "-O",
                format_,
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return images


def _ours(source: Path, from_: str, to: str, *more: str) -> tuple[str, ...]:
    return (*KENSHO, "convert", str(source), "{}", "-f", from_, "-O", to, *more)


def _qemu(source: Path, from_: str, to: str, *more: str) -> tuple[str, ...]:
    return (*QEMU, "-f", from_, "-O", to, *more, str(source), "{}")


_STREAMED = ("-o", "subformat=streamOptimized")


def rows(
    images: dict[str, Path], folder: Path, vmdk_convert: Path | None, xo: Path | None
) -> Iterator[Row]:
    """All lines of the table."""
    real, so = images["real"], images["vmdk"]
    if vmdk_convert is not None:
        yield Row(
            "raw → streamOptimized, fast",
            _ours(real, "raw", "vmdk"),
            (str(vmdk_convert), "-c1", "-n2", str(real), "{}"),
            "vmdk-convert",
            3.5,
            "vmdk",
        )
    if xo is not None:
        script = Path(__file__).with_name("xo_vmdk_to_vhd.cjs")
        yield Row(
            "streamOptimized → vhd",
            _ours(so, "vmdk", "vhd"),
            ("node", str(script), str(xo.absolute()), str(so), "{}"),
            "xo-vmdk-to-vhd",
            4.0,
            "vhd",
        )
    yield Row(
        "raw → streamOptimized, fast",
        _ours(real, "raw", "vmdk"),
        _qemu(real, "raw", "vmdk", *_STREAMED),
        "qemu-img",
        15,
        "vmdk",
    )
    yield Row(
        "raw → streamOptimized, small",
        _ours(real, "raw", "vmdk", "--compression", "small"),
        _qemu(real, "raw", "vmdk", *_STREAMED),
        "qemu-img",
        5,
        "vmdk",
    )
    for name, goal in (("raw", 5.0), ("vpc", 5.0), ("vhdx", 5.0), ("qcow2", 5.0)):
        own = "vhd" if name == "vpc" else name
        yield Row(
            f"streamOptimized → {own}",
            _ours(so, "vmdk", own),
            _qemu(so, "vmdk", name),
            "qemu-img",
            goal,
            own,
        )
    for name in ("vpc", "vhdx", "qcow2"):
        own = "vhd" if name == "vpc" else name
        yield Row(
            f"{own} → streamOptimized",
            _ours(images[own], own, "vmdk"),
            _qemu(images[own], name, "vmdk", *_STREAMED),
            "qemu-img",
            12,
            "vmdk",
        )
    yield Row(
        "raw → qcow2, compressed",
        _ours(real, "raw", "qcow2", "--compression", "fast"),
        _qemu(real, "raw", "qcow2", "-c"),
        "qemu-img",
        8,
        "qcow2",
    )
    yield Row(
        "raw → raw", _ours(real, "raw", "raw"), _qemu(real, "raw", "raw"), "qemu-img", 0.9, "raw"
    )
    yield Row(
        "raw → qcow2, plain",
        _ours(real, "raw", "qcow2"),
        _qemu(real, "raw", "qcow2"),
        "qemu-img",
        0.9,
        "qcow2",
    )
    yield Row(
        "noise → streamOptimized",
        _ours(images["noise"], "raw", "vmdk"),
        _qemu(images["noise"], "raw", "vmdk", *_STREAMED),
        "qemu-img",
        10,
        "",
    )
    copied = folder / "copied"
    plain = (
        "sh",
        "-c",
        f"cp {{src}} {copied} && openssl dgst -sha256 {{src}} {copied} && rm {copied}",
    )
    for name, own in (("streamOptimized", "vmdk"), ("dynamic VHD", "vhd")):
        yield Row(
            f"{name} as it is, SHA-256 of both",
            _ours(images[own], own, own, "--digest", "sha256"),
            tuple(each.replace("{src}", str(images[own])) for each in plain),
            "cp, openssl of both",
            0.8,
            own,
        )
    yield Row(
        "digests of both ends on the way",
        _ours(so, "vmdk", "vhd", "--digest", "sha256"),
        _ours(so, "vmdk", "vhd"),
        "without",
        0.9,
        "",
    )
    yield Row(
        "two threads, raw → streamOptimized",
        _ours(real, "raw", "vmdk", "--threads", "2"),
        _ours(real, "raw", "vmdk", "--threads", "1"),
        "one thread",
        1.5,
        "",
    )
    for own in ("raw", "vmdk", "vhd", "vhdx", "qcow2"):
        yield Row(
            f"100 GiB of hole → {own}",
            _ours(images["hole"], "raw", own),
            (sys.executable, "-c", "pass"),
            "python",
            0.0,
            "",
        )


@contextmanager
def _quiet_folder(asked: Path | None) -> Iterator[Path]:
    memory = Path("/dev/shm")
    place = asked or (
        memory if memory.is_dir() and shutil.disk_usage(memory).free > NEEDED else None
    )
    with tempfile.TemporaryDirectory(dir=place, prefix="kensho-bench-") as name:
        yield Path(name)


def _same(target: Path, format_: str, source: Path) -> None:
    name = "vpc" if format_ == "vhd" else format_
    more = ("--image-opts",) if name == "vpc" else ()
    described = (
        f"driver=vpc,force_size_calc=current_size,file.filename={target}" if more else target
    )
    command = ["qemu-img", "compare", "-q", *more]
    if not more:
        command += ["-F", "raw", "-f", name, str(described), str(source)]
    else:
        command += [str(described), f"driver=raw,file.filename={source}"]
    subprocess.run(command, check=True)


def measure(
    lines: Sequence[Row], folder: Path, pairs: int, source: Path
) -> Iterator[tuple[Row, dict[str, float]]]:
    """Run the pairs of lines that have the same peer: it runs once in each pair, after all of ours."""
    target = folder / "target"
    for row in lines:
        run(row.ours, target)  # both sources and programs are warm after it
        if row.check:
            _same(target, row.check, source)
    ours: list[list[Run]] = [[] for _ in lines]
    peers = []
    for _ in range(pairs):
        for row, runs in zip(lines, ours, strict=True):
            runs.append(run(row.ours, target))
        peers.append(run(lines[0].peer, target))
    target.unlink(missing_ok=True)
    for row, runs in zip(lines, ours, strict=True):
        yield row, _figures(runs, peers)


def _figures(ours: Sequence[Run], peers: Sequence[Run]) -> dict[str, float]:
    return {
        "ratio": median(b.wall / a.wall for a, b in zip(ours, peers, strict=True)),
        "wall": median(each.wall for each in ours),
        "cpu": median(each.cpu for each in ours),
        "peer_wall": median(each.wall for each in peers),
        "memory": max(each.memory for each in ours),
        "size": ours[-1].size,
        "peer_size": peers[-1].size,
    }


def codec_limits(image: Path) -> list[tuple[float, float]]:
    """Bytes a second of bare loops over the grains of a VMDK, in one thread and in as many as there are
    processors: inflating and deflating. Nothing is read and nothing written.
    """
    with FileInput(image) as stream:
        grains = [
            bytes(data)
            for piece in islice(VmdkSource(stream).deflated(), SAMPLE)
            for _, data in piece.load()
        ]
    inflate, deflate = inflater(), deflater()
    plain = [bytes(inflate(grain, GRAIN, False)) for grain in grains]

    def inflating(some: Sequence[bytes]) -> int:
        return sum(len(inflate(grain, GRAIN, False)) for grain in some)

    def deflating(some: Sequence[bytes]) -> int:
        return sum(len(deflate(grain)) for grain in some)

    rates = []
    for loop, material in ((inflating, grains), (deflating, plain)):
        found = []
        for threads in (1, processors()):
            took = []
            for _ in range(5):
                begun = time.perf_counter()
                with ThreadPoolExecutor(threads) as pool:
                    list(pool.map(loop, [material[i::threads] for i in range(threads)]))
                took.append(time.perf_counter() - begun)
            found.append(len(material) * GRAIN / median(took))
        rates.append((found[0], found[1]))
    return rates


def _idle() -> float:
    """Bytes of memory of an interpreter that has loaded the commands and does nothing."""
    with tempfile.TemporaryDirectory() as name:
        return run((*KENSHO, "--help"), Path(name, "none")).memory


def main(arguments: list[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="./dev bench disks")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--only", default="", help="lines whose name holds this")
    parser.add_argument("--folder", type=Path, help="where the files lie; room for 14 GiB")
    parser.add_argument("--vmdk-convert", type=Path, metavar="PROGRAM", help="open-vmdk's")
    parser.add_argument(
        "--xo", type=Path, metavar="FOLDER", help="that npm put xo-vmdk-to-vhd into"
    )
    parser.add_argument("--json", action="store_true", dest="as_json")
    wanted = parser.parse_args(sys.argv[2:] if arguments is None else arguments)
    idle = _idle()
    walls: dict[str, float] = {}
    with _quiet_folder(wanted.folder) as folder:
        images = make_images(folder)
        used = images["real"].stat().st_blocks * 512
        print(f"{processors()} cores, Python {sys.version.split()[0]}, files in {folder.parent}")
        print(
            f"4 GiB of ext4 with {used / 1e9:.2f} GB of real files; {wanted.pairs} pairs a line\n"
        )
        print(f"{'':36} {'ratio':>7} {'goal':>5} {'ours':>8} {'peer':>8} {'memory':>7} {'size':>6}")
        lines = [row for row in rows(images, folder, wanted.vmdk_convert, wanted.xo)
                 if wanted.only in row.work]  # fmt: skip
        for row, found in chain.from_iterable(
            measure(list(same), folder, wanted.pairs, images["real"])
            for _, same in groupby(lines, key=lambda row: row.peer)
        ):
            if wanted.as_json:
                named = {"work": row.work, "peer": row.peer_name, "goal": row.goal}
                print(json.dumps(named | found))
                continue
            ratio = (
                f"{found['ratio']:6.2f}×"
                if row.goal
                else f"+{found['wall'] - found['peer_wall']:.2f} s"
            )
            size = (
                f"{found['size'] / found['peer_size']:.3f}"
                if row.check and found["peer_size"]
                else ""
            )
            walls.setdefault(row.work, found["wall"])
            extra = (found["memory"] - idle) / (1 << 20)
            print(
                f"{row.work:36} {ratio:>7} {row.goal or '':>5} {found['wall']:6.2f} s"
                f" {found['peer_wall']:6.2f} s {extra:+4.0f} MiB {size:>6}  {row.peer_name}",
                flush=True,
            )
        start = run(_ours(images["hole"], "raw", "vmdk"), folder / "target").wall
        with FileInput(images["vmdk"]) as stream:
            moved = VmdkSource(stream).allocated.total
        limits = codec_limits(images["vmdk"])
        for work, (one, all_), word in zip(
            ("streamOptimized → raw", "raw → streamOptimized, fast"),
            limits,
            ("inflating", "deflating"),
            strict=True,
        ):
            print(
                f"{word} alone: {one / 1e6:.0f} MB/s in one thread, {all_ / 1e6:.0f} MB/s in"
                f" {processors()}: this disk in {moved / all_:.2f} s"
            )
            if work in walls:
                rate = moved / (walls[work] - start)
                print(
                    f"{work}: {rate / all_:.2f} of that, {rate / 2 / one:.2f} of twice one thread,"
                    f" without the command's start ({start:.2f} s)"
                )
