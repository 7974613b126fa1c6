"""The sample appliance asks everything, holds real file systems, and is right in every detail."""

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from kensho_tui.lab.sample import DISKS, file_system, make_sample
from kensho_tui.ovf.package import Package, open_package


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return open_package(make_sample(tmp_path_factory.mktemp("sample") / "shop.ova"))


def test_the_sample_has_nothing_to_complain_about_and_is_small(package: Package) -> None:
    appliance, findings = package.appliance()
    assert package.findings == ()
    assert findings == ()
    assert package.path.stat().st_size < 20_000_000
    assert [machine.name for machine in appliance.machines] == ["web01", "db01"]
    assert len(appliance.licences) == 2
    assert [str(network.id) for network in appliance.networks] == ["Front", "Back"]


def test_the_sample_asks_for_a_property_of_every_type(package: Package) -> None:
    asked = {each.type for each in package.appliance()[0].properties}
    integers = {f"{sign}int{bits}" for sign in "us" for bits in (8, 16, 32, 64)}
    assert asked == integers | {"string", "boolean", "real32", "real64"}


def test_the_deployment_options_change_processors_and_memory(package: Package) -> None:
    small, medium = (
        [(m.processors.count, m.memory.size >> 20) for m in package.appliance(name)[0].machines]
        for name in ("small", "medium")
    )
    assert small == [(1, 512), (1, 512)]
    assert medium == [(2, 1024), (4, 2048)]


def test_every_member_matches_the_manifest(package: Package) -> None:
    for disk in DISKS:
        stream = package.stream(disk.file)
        try:
            buffer = bytearray(1 << 20)
            while stream.readinto(buffer):
                pass
            stream.verify()
        finally:
            stream.close()


@pytest.mark.peer
def test_the_disks_are_whole_for_programs_that_are_not_ours(
    package: Package, tmp_path: Path
) -> None:
    tools = {name: shutil.which(name) for name in ("qemu-img", "e2fsck", "mke2fs")}
    absent = [name for name, path in tools.items() if path is None]
    if absent:
        pytest.skip(f"needs {', '.join(absent)}: apt-get install qemu-utils e2fsprogs")
    with tarfile.open(package.path) as archive:
        for member in archive:
            content = archive.extractfile(member)
            assert content is not None
            (tmp_path / member.name).write_bytes(content.read())
    for disk in DISKS:
        raw = tmp_path / f"{disk.id}.raw"
        command = ["qemu-img", "convert", "-f", "vmdk", "-O", "raw"]
        subprocess.run([*command, tmp_path / disk.file, raw], check=True)
        assert raw.stat().st_size == disk.capacity
        subprocess.run(["e2fsck", "-fn", raw], check=True, capture_output=True)


def test_without_mke2fs_the_file_system_is_iso_9660(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_args, **_kwargs: None)
    file_system(DISKS[0], tmp_path / "tree", tmp_path / "disk.raw")
    with (tmp_path / "disk.raw").open("rb") as file:
        file.seek(16 * 2048)
        assert file.read(6) == b"\x01CD001"
    assert (tmp_path / "disk.raw").stat().st_size == DISKS[0].capacity
