"""Writing packages through the contract: bytes, names, keys, and what an interruption leaves."""

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from backends.base import (
    Access,
    Consistency,
    DamagedError,
    Deployment,
    Format,
    NameTakenError,
    NoSpaceError,
    NotFoundError,
    Offer,
    Placement,
    RefusedError,
    UnsupportedError,
)
from backends.package.layout import Layout, safe_name
from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.findings import Severity
from kensho_tui.machine import Appliance, Attachment, Disk, DiskId, EnvironmentFile, Medium
from kensho_tui.ovf.names import FORMAT_QCOW2, FORMAT_VHD, FORMAT_VHDX
from kensho_tui.ovf.package import open_package
from kensho_tui.ovf.profiles import PROFILES
from kensho_tui.ovf.rules import lint
from tests.contract.bench import CAPACITY, DISKS, pattern
from tests.contract.package import connect, fill, read_disk, shop, write_package
from tests.unit.ovf.schemas import envelope_schema, needs_xsd, problems, second_schema

KEY = "kensho:job-1:deploy"
ROOT = Path(__file__).parents[3]


def begin(
    path: Path, key: str = KEY, appliance: Appliance | None = None, **settings: Any
) -> Deployment:
    """A deployment by a session of its own."""
    return connect(path, **settings).deploy(appliance or shop(), Placement(), key)


def names(folder: Path) -> list[str]:
    """All that is in the folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_an_archive_has_the_descriptor_first_and_a_manifest_that_is_right(tmp_path: Path) -> None:
    path = write_package(tmp_path / "shop.ova")
    assert path == tmp_path / "shop.ova"
    assert names(tmp_path) == ["shop.ova"]
    with tarfile.open(path) as tar:
        assert tar.getnames() == ["shop.ovf", "shop-disk1.vmdk", "shop-disk2.vmdk", "shop.mf"]
        members = {}
        for each in tar:
            file = tar.extractfile(each)
            assert file is not None
            members[each.name] = file.read()
    lines = members.pop("shop.mf").decode().splitlines()
    assert lines == [
        f"SHA256({name})= {hashlib.sha256(data).hexdigest()}" for name, data in members.items()
    ]
    package = open_package(path)
    assert package.findings == ()
    assert [file.size for file in package.envelope.files] == [
        len(members["shop-disk1.vmdk"]), len(members["shop-disk2.vmdk"]),
    ]  # fmt: skip
    assert [read_disk(path, disk) for disk in DISKS] == [pattern(disk) for disk in DISKS]


@pytest.mark.peer
@pytest.mark.skipif(
    shutil.which("qemu-img") is None, reason="qemu-img is not here: apt install qemu-utils"
)
@pytest.mark.parametrize(
    ("disk_format", "driver"),
    [("vmdk", "vmdk"), ("vhd", "vpc"), ("vhdx", "vhdx"), ("qcow2", "qcow2")],
)
def test_qemu_finds_the_disks_of_a_folder_equal(
    tmp_path: Path, disk_format: str, driver: str
) -> None:
    path = write_package(tmp_path / "shop", format="ovf", disk_format=disk_format)
    assert path == tmp_path / "shop" / "shop.ovf"
    for number, disk in enumerate(DISKS, 1):
        raw = tmp_path / "expected.raw"
        raw.write_bytes(pattern(disk))
        image = path.with_name(f"shop-disk{number}.{disk_format}")
        done = subprocess.run(
            ["qemu-img", "compare", "-f", driver, "-F", "raw", str(image), str(raw)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("form", ["ova", "ovf"])
@pytest.mark.parametrize(
    ("disk_format", "uri"), [("vhdx", FORMAT_VHDX), ("qcow2", FORMAT_QCOW2), ("vhd", FORMAT_VHD)]
)
def test_disks_of_every_format_are_named_and_read_back(
    tmp_path: Path, form: str, disk_format: str, uri: str
) -> None:
    path = write_package(tmp_path / f"shop.{form}", format=form, disk_format=disk_format)
    package = open_package(path, integrity="require")
    assert package.findings == ()
    disks = [each for each in package.appliance()[0].disks.values() if not each.blank]
    assert {(each.format, Path(each.image).suffix) for each in disks} == {(uri, f".{disk_format}")}
    assert [read_disk(path, disk) for disk in DISKS] == [pattern(disk) for disk in DISKS]


def test_what_was_exported_is_what_is_read_again(tmp_path: Path) -> None:
    web, base = shop().machines
    keys = {
        "xenserver:HVM_boot_params": "order=dc;firmware=uefi;",
        "xenserver:platform": "nx=true;",
    }
    given = replace(
        shop(), machines=(replace(web, extras=keys), base), blobs={"web.nvram": b"state"}
    )
    for settings in ({"format": "ova"}, {"format": "ovf"}):
        deployment = begin(tmp_path / settings["format"], appliance=given, **settings)
        for disk in DISKS:
            fill(deployment, disk)
        location = Path(deployment.commit(start=False).location)
        read = connect(location).describe([])
        assert read.findings == ()
        assert read.appliance.machines == given.machines
        assert read.appliance.networks == given.networks
        assert read.appliance.blobs == given.blobs
        assert (read.appliance.name, read.appliance.description) == (given.name, given.description)


@needs_xsd
def test_the_descriptor_is_valid_by_the_schema(tmp_path: Path) -> None:
    path = write_package(tmp_path / "shop.ova")
    assert problems(envelope_schema(), open_package(path).descriptor) == []


@pytest.mark.parametrize("format_", ["ova", "ovf"])
@pytest.mark.parametrize("profile", ["standard", "vmware", "xenserver", "hyperv", "virtualbox"])
def test_a_package_is_written_for_those_who_import_it(
    tmp_path: Path, profile: str, format_: str
) -> None:
    target = PROFILES[profile].target
    settings: dict[str, Any] = {
        "format": format_,
        "profile": profile,
        "disk_format": PROFILES[profile].disks[0],
    }
    path = tmp_path / ("shop.ova" if format_ == "ova" else "shop")
    deployment = begin(path, **settings)
    for disk in DISKS:
        fill(deployment, disk)
    assert deployment.commit(False).location
    opened = open_package(path)
    errors = [
        each.finding.id
        for each in lint(opened, [target] if target else [])
        if each.finding.severity is Severity.ERROR
    ]
    assert errors == (["hyperv-package"] if profile == "hyperv" else [])
    assert begin(path, **settings).commit(False).location  # the key finds it again
    found = {each.id for each in connect(tmp_path / "b.ova", **settings).check(shop(), Placement())}
    assert ("vendor-left" in found) == (profile in {"standard", "xenserver"})


@needs_xsd
def test_the_second_version_is_valid_by_its_schema(tmp_path: Path) -> None:
    path = write_package(tmp_path / "shop.ova", ovf_version="2.0")
    opened = open_package(path)
    assert b"ovf/envelope/2" in opened.descriptor
    assert problems(second_schema(), opened.descriptor) == []
    for name in opened.covered:
        opened.verify(name)


def test_a_cd_image_stays_as_it_is(tmp_path: Path) -> None:
    disc = DiskId("file:tools")
    web, base = shop().machines
    drive = Attachment("7", Medium.CDROM, disc, read_only=True)
    given = replace(
        shop(),
        machines=(replace(web, attachments=(*web.attachments, drive)), base),
        disks={**shop().disks, disc: Disk(disc, 5000, "tools.iso", "tools.iso", 5000, "iso")},
    )
    deployment = begin(tmp_path / "a.ova", appliance=given)
    assert deployment.offers(disc) == (Offer(Format.RAW, Access.FORWARD),)
    for disk in DISKS:
        fill(deployment, disk)
    writer = deployment.open(disc, deployment.offers(disc)[0])
    writer.write(b"i" * 5000)
    writer.finish()
    deployment.commit(start=False)
    package = open_package(tmp_path / "a.ova")
    read = package.appliance()[0].disks[disc]
    assert (read.image, read.capacity) == ("a-disk3.iso", 5000)
    assert package.findings == ()


def test_the_offers_begin_with_the_format_that_was_chosen(tmp_path: Path) -> None:
    for disk_format, first in (
        ("vmdk", Format.VMDK_STREAM), ("vhd", Format.VHD),
        ("vhdx", Format.VHDX), ("qcow2", Format.QCOW2),
    ):  # fmt: skip
        deployment = begin(tmp_path / f"{disk_format}.ova", disk_format=disk_format)
        assert deployment.offers(DISKS[0])[0].format is first
        assert len(deployment.offers(DISKS[0])) == 2
        deployment.abort()


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.contract.bench import DISKS
from tests.unit.backends.test_package_writing import begin, fill

deployment = begin(Path(sys.argv[1]), format=sys.argv[2])
fill(deployment, DISKS[0])
half = deployment.open(DISKS[1], deployment.offers(DISKS[1])[0])
half.write(b"x" * 100_000)
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(path: Path, format_: str) -> None:
    """A process that has written one disk and a half when it is killed."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, path, format_], cwd=ROOT, check=False, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


@pytest.mark.parametrize("format_", ["ova", "ovf"])
def test_another_process_goes_on_where_one_was_killed(tmp_path: Path, format_: str) -> None:
    path = tmp_path / "shop"
    killed(path, format_)
    assert [name for name in names(tmp_path) if "partial" in name]
    deployment = begin(path, format=format_)
    fill(deployment, DISKS[1])
    location = Path(deployment.commit(start=False).location)
    assert [read_disk(location, disk) for disk in DISKS] == [pattern(disk) for disk in DISKS]
    assert open_package(location).findings == ()
    assert not [name for name in names(tmp_path) if "partial" in name or "kensho" in name]


@pytest.mark.parametrize("format_", ["ova", "ovf"])
def test_what_a_killed_process_left_is_swept_by_its_key(tmp_path: Path, format_: str) -> None:
    killed(tmp_path / "shop", format_)
    assert connect(tmp_path / "shop", format=format_).sweep("kensho:other:deploy") == []
    assert names(tmp_path) != []
    assert connect(tmp_path / "shop", format=format_).sweep(KEY) == []
    assert names(tmp_path) == []


@pytest.mark.parametrize("format_", ["ova", "ovf"])
def test_the_key_of_a_committed_package_finds_it_again(tmp_path: Path, format_: str) -> None:
    for path in (tmp_path / "shop", tmp_path):
        first = begin(path, format=format_)
        if path == tmp_path / "shop":
            for disk in DISKS:
                fill(first, disk)
            result = first.commit(start=False)
            before = names(tmp_path)
        again = begin(path, format=format_)
        assert again.token == first.token
        assert Path(again.commit(start=False).location) == Path(result.location)
        with pytest.raises(RefusedError, match="complete"):
            again.open(DISKS[0], again.offers(DISKS[0])[0])
        assert again.abort() == []
        assert connect(path, format=format_).sweep(KEY) == []
        assert names(tmp_path) == before


@pytest.mark.parametrize("settings", [{"format": "ova"}, {"format": "ovf"}])
def test_a_sweep_removes_what_the_key_has_and_nothing_else(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    fill(begin(mine, "kensho:mine:deploy", **settings), DISKS[0])
    fill(begin(other, "kensho:other:deploy", **settings), DISKS[0])
    (tmp_path / "mine.txt").write_text("the operator's own")
    kept = [name for name in names(tmp_path) if not name.startswith("mine") or name == "mine.txt"]
    session = connect(mine, **settings)
    assert session.sweep("kensho:mine:deploy") == []
    assert names(tmp_path) == kept
    assert session.sweep("kensho:mine:deploy") == []


def test_two_jobs_do_not_write_one_package(tmp_path: Path) -> None:
    begin(tmp_path / "a.ova", "kensho:one:deploy")
    with pytest.raises(NameTakenError, match="another job"):
        begin(tmp_path / "a.ova", "kensho:two:deploy")
    found = connect(tmp_path / "a.ova").check(shop(), Placement())
    assert [f.id for f in found] == ["package-unfinished"]


@pytest.mark.parametrize("format_", ["ova", "ovf"])
def test_a_cancelled_session_writes_and_reads_no_more(tmp_path: Path, format_: str) -> None:
    source = write_package(tmp_path / "source.ova")
    cancel = Cancel()
    reading = connect(source, cancel).capture([], Consistency.OFF, "kensho:job-1:capture")
    reader = reading.open(DISKS[0], reading.offers(DISKS[0])[0])
    deployment = connect(tmp_path / "a", cancel, format=format_).deploy(shop(), Placement(), KEY)
    writer = deployment.open(DISKS[0], deployment.offers(DISKS[0])[0])
    writer.write(b"x")
    cancel.cancel()
    for call in (
        lambda: writer.write(b"x"),
        writer.finish,
        lambda: reader.readinto(bytearray(8)),
        lambda: reader.pread(0, bytearray(8)),
        reader.verify,
        lambda: deployment.open(DISKS[1], deployment.offers(DISKS[1])[0]),
        lambda: deployment.commit(start=False),
    ):
        with pytest.raises(CancelledError):
            call()
    writer.close()
    reader.close()
    # What was begun goes in spite of the cancellation.
    assert deployment.abort() == []
    assert names(tmp_path) == ["source.ova"]


def test_a_writer_and_a_reader_that_were_closed_were_cancelled(tmp_path: Path) -> None:
    capture = connect(write_package(tmp_path / "a.ova")).capture([], Consistency.OFF, KEY)
    reader = capture.open(DISKS[0], capture.offers(DISKS[0])[1])
    assert reader.readinto(bytearray(8)) == 8
    reader.close()
    with pytest.raises(CancelledError):
        reader.readinto(bytearray(8))
    deployment = begin(tmp_path / "b.ova")
    writer = deployment.open(DISKS[0], deployment.offers(DISKS[0])[0])
    writer.close()
    writer.close()
    with pytest.raises(CancelledError):
        writer.write(b"x")


@pytest.mark.parametrize("settings", [{"format": "ova"}, {"format": "ovf"}])
def test_what_is_there_is_never_replaced(tmp_path: Path, settings: dict[str, Any]) -> None:
    path = tmp_path / ("a.ova" if settings["format"] == "ova" else "a")
    deployment = begin(path, **settings)
    for disk in DISKS:
        fill(deployment, disk)
    path.write_text("came in between")
    with pytest.raises(NameTakenError):
        deployment.commit(start=False)
    assert path.read_text() == "came in between"
    path.unlink()
    location = Path(deployment.commit(start=False).location)
    assert open_package(location).findings == ()
    with pytest.raises(NameTakenError):
        begin(path, "kensho:later:deploy", **settings)


def test_a_disk_that_was_not_written_keeps_the_package_from_being_one(tmp_path: Path) -> None:
    deployment = begin(tmp_path / "a.ova")
    fill(deployment, DISKS[0])
    with pytest.raises(RefusedError, match=r"a-disk2\.vmdk"):
        deployment.commit(start=False)
    assert deployment.abort() == []
    assert names(tmp_path) == []
    with pytest.raises(RefusedError, match="given up"):
        deployment.open(DISKS[0], deployment.offers(DISKS[0])[0])


def test_an_archive_takes_one_disk_after_the_other(tmp_path: Path) -> None:
    deployment = begin(tmp_path / "a.ova")
    assert deployment.parallel == 1
    offer = deployment.offers(DISKS[0])[0]
    writer = deployment.open(DISKS[0], offer)
    with pytest.raises(RefusedError, match="one disk after the other"):
        deployment.open(DISKS[1], offer)
    writer.close()
    fill(deployment, DISKS[1])
    fill(deployment, DISKS[0])
    fill(deployment, DISKS[0])  # again: the last one of an archive can be replaced
    with pytest.raises(RefusedError, match="follows it"):
        deployment.open(DISKS[1], offer)
    deployment.commit(start=False)
    assert read_disk(tmp_path / "a.ova", DISKS[0]) == pattern(DISKS[0])


@pytest.mark.parametrize("settings", [{"format": "ova"}, {"format": "ovf"}])
def test_a_full_disk_is_said_and_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    deployment = begin(tmp_path / "a", **settings)
    writer = deployment.open(DISKS[0], deployment.offers(DISKS[0])[0])

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.pwrite", full)
    with pytest.raises(NoSpaceError, match="No space left"):
        writer.write(bytes(1000))
    monkeypatch.undo()
    writer.close()
    assert deployment.abort() == []
    assert names(tmp_path) == []


def test_what_cannot_be_removed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = begin(tmp_path / "a.ova")

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    (left,) = deployment.abort()
    assert left.reason == "Permission denied"
    assert left.action == f"Remove {tmp_path / 'a.ova.partial'}"


def test_a_folder_that_is_not_there_is_said_before_and_while_deploying(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "a.ova"
    with pytest.raises(NotFoundError, match="the folder is not there"):
        begin(path)
    assert [f.id for f in connect(path).check(shop(), Placement())] == ["folder-missing"]
    assert connect(tmp_path / "a.ova").check(shop(), Placement()) == []
    large = replace(
        shop(), disks={id: replace(each, populated=9 << 30) for id, each in shop().disks.items()}
    )
    told = connect(tmp_path / "a.ova").check(large, Placement())
    assert {each.id for each in told} == {"size-beyond-ustar"}
    assert len(told) == sum(not each.blank for each in large.disks.values())
    assert connect(tmp_path / "a.ova", format="ovf").check(large, Placement()) == []
    (tmp_path / "a.ova").write_bytes(b"x")
    assert [f.id for f in connect(tmp_path / "a.ova").check(shop(), Placement())] == [
        "package-exists"
    ]


def test_a_disk_of_unknown_capacity_is_found_before_anything_is_written(tmp_path: Path) -> None:
    given = shop()
    disk = replace(given.disks[DISKS[0]], capacity=None)
    given = replace(given, disks={**given.disks, disk.id: disk})
    found = connect(tmp_path / "a.ova").check(given, Placement())
    assert [(f.id, f.subject) for f in found] == [("capacity-unknown", "disk0")]
    with pytest.raises(DamagedError, match="capacity is not known"):
        begin(tmp_path / "a.ova", appliance=given)


def test_names_from_outside_are_only_names(tmp_path: Path) -> None:
    given = replace(shop(), name="../../etc/[red]passwd\x1b[31m")
    deployment = begin(tmp_path, appliance=given)
    for disk in DISKS:
        fill(deployment, disk)
    location = Path(deployment.commit(start=False).location)
    assert location.parent == tmp_path
    assert location.name == "etc-red-passwd-31m.ova"


@pytest.mark.parametrize(
    ("address", "format_", "final", "stem"),
    [
        ("out/shop.ova", "ova", "out/shop.ova", "shop"),
        ("out/shop", "ova", "out/shop.ova", "shop"),
        ("out/shop.OVA", "ova", "out/shop.ova", "shop"),
        ("out/shop", "ovf", "out/shop", "shop"),
        ("out/shop.ovf", "ovf", "out/shop", "shop"),
        ("out/v1.2", "ova", "out/v1.2.ova", "v1.2"),
        ("out/shop.ova", "ovf", "out/shop", "shop"),
        ("out/shop.ovf", "ova", "out/shop.ova", "shop"),
    ],
)
def test_where_a_package_goes(address: str, format_: str, final: str, stem: str) -> None:
    layout = Layout.of(address, "Web Shop", format_)
    assert (str(layout.final), layout.stem) == (final, stem)


def test_a_folder_that_exists_gets_the_package_put_into_it(tmp_path: Path) -> None:
    assert Layout.of(str(tmp_path), "Web Shop", "ova").final == tmp_path / "Web-Shop.ova"
    assert Layout.of(f"{tmp_path}/", "Web Shop", "ovf").final == tmp_path / "Web-Shop"
    assert safe_name("../..") == "appliance"


def test_a_setting_that_is_not_right_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="'format'"):
        connect(tmp_path / "a", format="zip")
    with pytest.raises(UnsupportedError, match="'colour'"):
        connect(tmp_path / "a", colour="red")


def test_the_descriptor_in_the_archive_ends_in_line_feeds_only(tmp_path: Path) -> None:
    data = open_package(write_package(tmp_path / "a.ova")).descriptor
    assert data.rstrip(b"\n").endswith(b"</ovf:Envelope>")
    assert etree.QName(etree.fromstring(data)).localname == "Envelope"
    assert b'capacity="%d"' % CAPACITY in data


@pytest.mark.parametrize(("version", "found"), [("1.1", 1), ("2.0", 0)])
def test_files_for_guests_that_no_section_can_name_are_told_of(
    tmp_path: Path, version: str, found: int
) -> None:
    """OVF 1.1 has no EnvironmentFilesSection: what is installed from the package hands them to nobody."""
    session = connect(tmp_path / "shop.ova", ovf_version=version)
    files = (EnvironmentFile("web", "conf/host.conf", "host.conf"),)
    appliance = replace(shop(), environment_files=files, blobs={"host.conf": b"x = 1\n"})
    said = [
        e for e in session.check(appliance, Placement()) if e.id == "environment-files-unlisted"
    ]
    assert len(said) == found
    for each in said:
        assert (str(each.severity), each.subject) == ("warning", "shop")
        assert "--ovf-version 2.0" in each.remedy
    assert not [
        e for e in session.check(shop(), Placement()) if e.id == "environment-files-unlisted"
    ]
    # The files themselves are in the package either way.
    deployment = session.deploy(appliance, Placement(), KEY)
    for disk in DISKS:
        fill(deployment, disk)
    package = open_package(Path(deployment.commit(start=False).location))
    assert "host.conf" in package.places
    named = [each.path for each in package.appliance()[0].environment_files]
    assert named == ([] if found else ["conf/host.conf"])
