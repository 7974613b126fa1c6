"""Packages: how soon a large descriptor is understood and asked about, and what verifying costs.

CPU seconds where the work is ours alone; ratios beside ``openssl dgst`` for verifying, in pairs. What
is read of a large archive is counted by the kernel (``/proc/PID/io``), not by the program.
"""

import argparse
import asyncio
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from kensho_tui.app import KenshoApp
from kensho_tui.migration.draft import Page
from kensho_tui.ovf.package import open_package
from screens.wizard.screen import Wizard
from tests.ui.waiting import keys, until_seen

KENSHO = str(Path(sys.executable).with_name("kensho"))
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
PROPERTIES = 2000
EXPLAINED = "What this setting does, said at some length. " * 52
GIB = 1 << 30
ENVELOPE = "http://schemas.dmtf.org/ovf/envelope/1"
SYSTEM = (
    '<VirtualSystem ovf:id="large"><Info>A machine</Info>{}<VirtualHardwareSection><Info>Hardware'
    "</Info><Item><rasd:ElementName>1 CPU</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID>"
    "<rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>"
    "</VirtualHardwareSection></VirtualSystem>"
)


@dataclass(frozen=True)
class Run:
    """One run of a command: seconds of wall and CPU time, and bytes it asked the system to read."""

    wall: float
    cpu: float
    read: int


def run(*command: str) -> Run:
    """Run the command to its end."""
    begun = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    wall = time.monotonic() - begun
    counted = Path(f"/proc/{process.pid}/io").read_text() if sys.platform == "linux" else "rchar: 0"
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    read = int(next(each for each in counted.splitlines() if each.startswith("rchar"))[7:])
    return Run(wall, usage.ru_utime + usage.ru_stime, read)


def envelope(references: str, disks: str, sections: str) -> bytes:
    """A descriptor of one machine."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Envelope xmlns="{ENVELOPE}" xmlns:ovf="{ENVELOPE}"'
        ' xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData">'
        f"<References>{references}</References>{disks}{SYSTEM.format(sections)}</Envelope>\n"
    ).encode()


def large_descriptor(folder: Path) -> Path:
    """5 MB with 2,000 properties in forty categories."""
    lines = []
    for i in range(PROPERTIES):
        if i % 50 == 0:
            lines.append(f"<Category>Part {i // 50 + 1}</Category>")
        lines.append(
            f'<Property ovf:key="setting{i}" ovf:type="{("string", "uint16", "boolean")[i % 3]}"'
            f' ovf:userConfigurable="true" ovf:value="{("text", i, "true")[i % 3]}">'
            f"<Label>Setting {i}</Label><Description>{EXPLAINED}</Description></Property>"
        )
    path = folder / "large.ovf"
    product = f"<ProductSection><Info>Settings</Info>{''.join(lines)}</ProductSection>"
    path.write_bytes(envelope("", "", product))
    return path


def sparse_archive(folder: Path) -> Path:
    """An OVA whose one disk has 100 GiB of hole."""
    size = 100 * GIB
    data = envelope(
        f'<File ovf:id="f" ovf:href="disk.img" ovf:size="{size}"/>',
        f'<DiskSection><Info>Disks</Info><Disk ovf:diskId="d" ovf:fileRef="f" ovf:capacity="{size}"/>'
        "</DiskSection>",
        "",
    )
    path = folder / "sparse.ova"
    with path.open("wb") as file:
        for name, length, content in (("sparse.ovf", len(data), data), ("disk.img", size, b"")):
            member = tarfile.TarInfo(name)
            member.size = length
            file.write(member.tobuf(tarfile.GNU_FORMAT) + content)
            file.write(bytes(-len(content) % 512))
        file.truncate(file.tell() + size + 1024)
    return path


def whole_archive(folder: Path, size: int) -> Path:
    """An OVA of so many random bytes with its manifest, made by the program itself."""
    data = envelope(f'<File ovf:id="f" ovf:href="disk.img" ovf:size="{size}"/>', "", "")
    path = folder / "whole.ova"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        member = tarfile.TarInfo("whole.ovf")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
        member = tarfile.TarInfo("disk.img")
        member.size = size
        with Path("/dev/urandom").open("rb") as noise:
            tar.addfile(member, noise)
    subprocess.run(
        [KENSHO, "package", "manifest", str(path)], check=True, stdout=subprocess.DEVNULL
    )
    return path


def cpu(work: Callable[[], object], times: int) -> float:
    """CPU seconds of the work in this process; the median."""
    figures = []
    for _ in range(times):
        before = time.process_time()
        work()
        figures.append(time.process_time() - before)
    return median(figures)


async def form(path: Path) -> list[tuple[str, float]]:
    """CPU seconds of the wizard's page of questions: to open it, and for each key on it."""
    app = KenshoApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, "No jobs yet.")
        await keys(pilot, "n", f"'{path}", "enter")
        await until_seen(pilot, "Machines")
        screen = app.screen
        rows = []
        before = time.process_time()
        assert isinstance(screen, Wizard)
        await screen.go(Page.PROPERTIES)
        await until_seen(pilot, "Setting 0")
        rows.append(("the page of questions opens", time.process_time() - before))
        for name, key in (("tab to the next question", "tab"), ("a letter into a field", "x")):
            figures = []
            for _ in range(40):
                before = time.process_time()
                await pilot.press(key)
                await pilot.pause()
                figures.append(time.process_time() - before)
            rows.append((name, median(figures)))
        return rows


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./dev bench packages")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the files lie; room for 3 GiB")
    wanted = parser.parse_args(sys.argv[2:] if arguments is None else arguments)
    place = wanted.folder or (Path("/dev/shm") if Path("/dev/shm").is_dir() else None)
    with tempfile.TemporaryDirectory(dir=place) as name:
        folder = Path(name)
        large = large_descriptor(folder)
        print(f"a descriptor of {large.stat().st_size / 1e6:.1f} MB with {PROPERTIES:,} properties")

        def understood() -> None:
            open_package(large).appliance()

        print(
            f"  read and understood             {cpu(understood, wanted.pairs):8.3f} s of CPU (goal 0.3)"
        )
        base = median(run(KENSHO, "--version").cpu for _ in range(wanted.pairs))
        for what in (("show", "--json"), ("check",)):
            found = median(
                run(KENSHO, "package", *what, str(large)).cpu for _ in range(wanted.pairs)
            )
            print(
                f"  kensho package {' '.join(what):17}{found - base:8.3f} s of CPU over the start's {base:.3f}"
            )
        for what_, seconds in asyncio.run(form(large)):
            print(f"  {what_:32}{seconds:8.3f} s of CPU")
        sparse = sparse_archive(folder)
        runs = [run(KENSHO, "package", "show", str(sparse)) for _ in range(wanted.pairs)]
        start = median(run(KENSHO, "--version").read for _ in range(3))
        print(
            f"an OVA of 100 GiB, package show   {median(each.wall for each in runs):8.3f} s (goal 0.5),"
            f" {(median(each.read for each in runs) - start) / 1e6:.2f} MB read, modules included"
        )
        whole = whole_archive(folder, 2 * GIB)
        ratios = []
        for _ in range(wanted.pairs):
            ours = run(KENSHO, "package", "verify", str(whole))
            peer = run("openssl", "dgst", "-sha256", str(whole))
            ratios.append((peer.wall / ours.wall, ours.wall, peer.wall))
        ratio, ours_s, peer_s = (median(each[i] for each in ratios) for i in range(3))
        print(
            f"package verify of 2 GiB           {ratio:8.2f} of openssl's speed (goal 0.9;"
            f" {ours_s:.2f} s, {peer_s:.2f} s, starts included)"
        )
