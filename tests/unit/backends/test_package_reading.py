"""Reading packages through the contract: what is offered, what is compared, and how it is refused."""

import gzip
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from backends.base import (
    Access,
    Consistency,
    DamagedError,
    Format,
    Kind,
    NotFoundError,
    Offer,
    Power,
    Ref,
    TransferError,
    UnsupportedError,
)
from kensho_tui.disks.copy import transfer
from kensho_tui.disks.image import ExtentMap, ImageError
from kensho_tui.findings import Severity
from kensho_tui.machine import DiskId
from kensho_tui.ovf.names import FORMAT_VHD, FORMAT_VMDK
from tests.contract.bench import CAPACITY, DISKS, pattern
from tests.contract.package import Sparse, connect, write_package
from tests.unit.disks import craft_qcow2, craft_vhdx
from tests.unit.disks.streams import vhdx
from tests.unit.ovf.corpus import GOVMOMI, descriptor, needs_corpus
from tests.unit.ovf.test_envelope import envelope, item, system
from tests.unit.ovf.test_package import manifest, ova

KEY = "kensho:job-1:capture"
needs_qemu = pytest.mark.skipif(
    shutil.which("qemu-img") is None, reason="qemu-img is not here: apt install qemu-utils"
)


def package(path: Path, image: bytes, *, form: str = FORMAT_VMDK, **file: str) -> Path:
    """An archive with one machine, one disk, and a manifest that is right."""
    extra = "".join(f' ovf:{name}="{value}"' for name, value in file.items())
    text = envelope(
        references=f'<File ovf:id="f" ovf:href="d.img"{extra}/>',
        sections='<DiskSection><Info/><Disk ovf:diskId="d" ovf:capacity="65536" ovf:fileRef="f"'
        f' ovf:format="{form}"/></DiskSection>',
        content=system(item(17, HostResource="ovf:/disk/d")),
    ).encode()
    members = {"a.ovf": text, "d.img": image}
    return ova(path, {**members, "a.mf": manifest(members)})


def read(path: Path, disk: str, capacity: int) -> bytes:
    """The guest's bytes, by the best offer."""
    session = connect(path)
    capture = session.capture([], Consistency.OFF, KEY)
    offer = capture.offers(DiskId(disk))[0]
    reader = capture.open(DiskId(disk), offer)
    sink = Sparse(capacity)

    def open_writer(chosen: Offer, length: int | None, allocation: ExtentMap | None) -> Sparse:
        return sink

    transfer(
        reader,
        offer,
        targets=[Offer(Format.RAW, Access.EXTENTS)],
        open_writer=open_writer,
        capacity=capacity,
        verify=reader.verify,
    )
    session.close()
    return bytes(sink.content)


@needs_corpus
@needs_qemu
@pytest.mark.peer
def test_an_image_of_qemu_behind_a_descriptor_of_others_is_read_to_the_byte(
    tmp_path: Path,
) -> None:
    source, member = f"{GOVMOMI}/ttylinux.ovf", "ttylinux-pc_i486-16.1-disk1.vmdk"
    disk, capacity = "vmdisk1", 30 << 20
    raw, image = tmp_path / "disk.raw", tmp_path / member
    with raw.open("wb") as file:
        for at in (0, 12345678, capacity - 512):
            file.seek(at)
            file.write(os.urandom(512) * (128 if at < capacity - 512 else 1))
        file.truncate(capacity)
    subprocess.run(
        ["qemu-img", "convert", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, image],
        check=True,
    )
    members = {"x.ovf": descriptor(source), member: image.read_bytes()}
    path = ova(tmp_path / "x.ova", {**members, "x.mf": manifest(members)})
    assert hashlib.sha256(read(path, disk, capacity)).digest() == (
        hashlib.sha256(raw.read_bytes()).digest()
    )


def test_a_package_is_one_appliance_with_its_machines(tmp_path: Path) -> None:
    session = connect(write_package(tmp_path / "shop.ova"))
    whole, *machines = session.inventory(frozenset({Kind.APPLIANCE, Kind.MACHINE})).items
    assert whole.ref.name == "shop"
    assert [(m.ref.id, m.ref.name) for m in machines] == [("web", "web01"), ("db", "db01")]
    described = session.describe([machines[1].ref])
    assert [m.id for m in described.appliance.machines] == ["db"]
    assert set(described.appliance.disks) == {"disk1", "disk2"}
    assert session.describe([]).appliance.name == "shop"
    assert session.describe([whole.ref]).appliance == session.describe([]).appliance
    session.close()


def test_the_format_is_the_images_own_and_reading_is_in_place(tmp_path: Path) -> None:
    for number, (form, magic) in enumerate([("vmdk", Format.VMDK_STREAM), ("vhd", Format.VHD)]):
        path = write_package(tmp_path / f"{number}.ova", disk_format=form)
        capture = connect(path).capture([], Consistency.OFF, KEY)
        assert capture.offers(DISKS[0]) == (
            Offer(magic, Access.SEEK),
            Offer(magic, Access.FORWARD),
        )
        with pytest.raises(UnsupportedError):
            capture.open(DISKS[0], Offer(Format.QCOW2, Access.SEEK))


VHDX_URI = "http://technet.microsoft.com/en-us/library/hh831446.aspx#vhdx"


def test_a_vhdx_in_a_package_is_read_in_place_and_never_with_a_parent(tmp_path: Path) -> None:
    path = package(tmp_path / "a.ova", vhdx(65536, [(100, b"vhdx")]), form=VHDX_URI)
    capture = connect(path).capture([], Consistency.OFF, KEY)
    assert capture.offers(DiskId("d")) == (
        Offer(Format.VHDX, Access.SEEK),
        Offer(Format.VHDX, Access.FORWARD),
    )
    assert read(path, "d", 65536) == bytes(100) + b"vhdx" + bytes(65536 - 104)
    found = craft_vhdx.items(65536, flags=2, locator=craft_vhdx.locator())
    difference = bytes(craft_vhdx.image(65536, {}, found=found))
    path = package(tmp_path / "b.ova", difference, form=VHDX_URI)
    with pytest.raises(ImageError, match="only the difference to a parent"):
        read(path, "d", 65536)


QCOW2_URI = "http://www.gnome.org/~markmc/qcow-image-format.html"


def test_a_qcow2_in_a_package_is_read_in_place_only_and_follows_no_name(tmp_path: Path) -> None:
    image = craft_qcow2.image(65536, [(0, craft_qcow2.deflated(b"qcow2".ljust(65536, b"\0")))])
    path = package(tmp_path / "a.ova", bytes(image), form=QCOW2_URI)
    capture = connect(path).capture([], Consistency.OFF, KEY)
    assert capture.offers(DiskId("d")) == (Offer(Format.QCOW2, Access.SEEK),)
    assert read(path, "d", 65536) == b"qcow2".ljust(65536, b"\0")
    packed = package(
        tmp_path / "b.ova", gzip.compress(bytes(image)), form=QCOW2_URI, compression="gzip"
    )
    with pytest.raises(ImageError, match="cannot be read from its first byte to its last"):
        read(packed, "d", 65536)
    name = str(path).encode()
    image = craft_qcow2.image(65536, backing=(4096, len(name)))
    image[4096 : 4096 + len(name)] = name
    with pytest.raises(ImageError, match="only the difference to another file"):
        read(package(tmp_path / "c.ova", bytes(image), form=QCOW2_URI), "d", 65536)


def test_how_large_a_vhdxs_sectors_are_is_told_with_the_disk(tmp_path: Path) -> None:
    blocks: dict[int, tuple[int, bytes | None]] = {0: (craft_vhdx.PRESENT, b"data")}
    for sector in (512, 4096):
        image = craft_vhdx.image(3 << 20, blocks, sector=sector)
        session = connect(package(tmp_path / f"{sector}.ova", bytes(image), form="vhdx"))
        (disk,) = session.describe([]).appliance.disks.values()
        assert disk.sector == sector
    damaged = connect(package(tmp_path / "b.ova", bytes(image[:70000]), form="vhdx"))
    (disk,) = damaged.describe([]).appliance.disks.values()
    assert disk.sector == 512, "what is wrong is said where the disk is read"


def test_an_image_that_is_not_what_the_descriptor_says_is_damaged(tmp_path: Path) -> None:
    for form in (FORMAT_VMDK, FORMAT_VHD):
        path = package(tmp_path / "a.ova", bytes(65536), form=form)
        capture = connect(path).capture([], Consistency.OFF, KEY)
        with pytest.raises(DamagedError, match="the file is none"):
            capture.offers(DiskId("d"))


def test_a_raw_disk_with_a_magic_in_its_first_bytes_is_no_way_out(tmp_path: Path) -> None:
    flat = b'# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 8 FLAT "/etc/passwd" 0\n'
    path = package(tmp_path / "a.ova", flat.ljust(65536, b"\n"))
    capture = connect(path).capture([], Consistency.OFF, KEY)
    with pytest.raises(DamagedError):
        capture.offers(DiskId("d"))


def test_a_member_that_does_not_match_is_damaged_after_its_last_byte(tmp_path: Path) -> None:
    data = bytes(range(256)) * 256
    path = package(tmp_path / "b.ova", data, form="")
    content = bytearray(path.read_bytes())
    at = content.index(data)
    content[at + 70000 % len(data)] ^= 1
    path.write_bytes(content)
    wrong = hashlib.sha256(content[at : at + len(data)]).hexdigest()
    capture = connect(path).capture([], Consistency.OFF, KEY)
    for offer in capture.offers(DiskId("d")):
        reader = capture.open(DiskId("d"), offer)
        with pytest.raises(DamagedError, match="does not match the manifest") as caught:
            reader.verify()
        reader.close()
        assert wrong in caught.value.what
        assert hashlib.sha256(data).hexdigest() in caught.value.what
        assert caught.value.subject == "b.ova: d.img"
    # Whether it is a warning is the plan's to say; the reader says what is.
    capture = connect(path, integrity="warn").capture([], Consistency.OFF, KEY)
    reader = capture.open(DiskId("d"), capture.offers(DiskId("d"))[0])
    with pytest.raises(DamagedError, match="does not match the manifest"):
        reader.verify()
    reader.close()
    capture = connect(path, integrity="off").capture([], Consistency.OFF, KEY)
    reader = capture.open(DiskId("d"), capture.offers(DiskId("d"))[0])
    reader.verify()
    reader.close()


def test_a_compressed_image_is_offered_forward_only(tmp_path: Path) -> None:
    plain = write_package(tmp_path / "shop.ova")
    session = connect(plain)
    capture = session.capture([], Consistency.OFF, KEY)
    reader = capture.open(DISKS[0], capture.offers(DISKS[0])[0])
    image = bytearray(reader.length or 0)
    reader.pread(0, image)
    reader.close()
    session.close()
    path = package(tmp_path / "a.ova", gzip.compress(bytes(image)), compression="gzip")
    offers = connect(path).capture([], Consistency.OFF, KEY).offers(DiskId("d"))
    assert offers == (Offer(Format.VMDK_STREAM, Access.FORWARD),)
    assert read(path, "d", CAPACITY) == pattern(DISKS[0])


def test_a_package_that_changes_under_a_capture_is_found_out(tmp_path: Path) -> None:
    path = package(tmp_path / "a.ova", bytes(65536), form="")
    capture = connect(path).capture([], Consistency.OFF, KEY)
    offer = capture.offers(DiskId("d"))[0]
    with path.open("ab") as file:
        file.write(bytes(512))
    with pytest.raises(DamagedError, match="was changed"):
        capture.open(DiskId("d"), offer)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    session = connect(tmp_path / "gone.ova")
    with pytest.raises(NotFoundError, match="no such file"):
        session.describe([])
    assert session.inventory(frozenset({Kind.MACHINE})).items == ()
    session = connect(write_package(tmp_path / "shop.ova"))
    with pytest.raises(NotFoundError, match="no deployment option 'huge'"):
        session.describe([], configuration="huge")
    with pytest.raises(NotFoundError, match="no such machine"):
        session.describe([Ref(Kind.MACHINE, "x")])
    capture = session.capture([], Consistency.OFF, KEY)
    with pytest.raises(NotFoundError, match="has no image"):
        capture.offers(DiskId("disk2"))


def test_a_truncated_package_is_damaged_with_the_member_it_ends_in(tmp_path: Path) -> None:
    path = package(tmp_path / "a.ova", bytes(65536))
    os.truncate(path, 20000)
    with pytest.raises(DamagedError, match=r"in the middle of member d\.img: "):
        connect(path).describe([])


def test_machines_of_a_package_do_not_run(tmp_path: Path) -> None:
    session = connect(write_package(tmp_path / "shop.ova"))
    web = Ref(Kind.MACHINE, "web", "web01")
    assert session.power(web, Power.OFF, 1) is Power.OFF
    with pytest.raises(UnsupportedError):
        session.power(web, Power.ON, 1)
    session.close()
    with pytest.raises(TransferError, match="closed"):
        session.describe([])


def test_a_package_that_requires_what_nobody_understands_is_taken_where_asked(
    tmp_path: Path,
) -> None:
    text = envelope(sections="<v:Magic><Info/></v:Magic>").encode()
    path = ova(tmp_path / "a.ova", {"a.ovf": text, "a.mf": manifest({"a.ovf": text})})
    for lenient, severity in (("false", Severity.ERROR), ("true", Severity.WARNING)):
        (found,) = connect(path, lenient=lenient).describe([]).findings
        assert (found.id, found.severity) == ("section-required", severity)
