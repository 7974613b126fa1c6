"""Packages as files: what is there, what is promised, and what is refused when it is opened."""

import gzip
import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from kensho_tui.disks.files import FileError
from kensho_tui.findings import Severity
from kensho_tui.ovf.errors import DescriptorError, ManifestError, PackageError
from kensho_tui.ovf.package import MemberStream, Package, open_package
from tests.unit.ovf.test_envelope import envelope, item, system

DISK = bytes(range(256)) * 40


def text(href: str = "d.vmdk", **attributes: Any) -> bytes:
    """A descriptor that refers to one disk."""
    extra = "".join(f' ovf:{name}="{value}"' for name, value in attributes.items())
    return envelope(
        references=f'<File ovf:id="f" ovf:href="{href}"{extra}/>',
        sections='<DiskSection><Info/><Disk ovf:diskId="d" ovf:capacity="10240" ovf:fileRef="f"/>'
        "</DiskSection>",
        content=system(item(17, HostResource="ovf:/disk/d")),
    ).encode()


def manifest(members: dict[str, bytes], algorithm: str = "sha256") -> bytes:
    """A manifest of those files."""
    return "".join(
        f"{algorithm.upper()}({name})= {hashlib.new(algorithm, data).hexdigest()}\n"
        for name, data in members.items()
    ).encode()


def folder(path: Path, **members: bytes) -> Path:
    """A folder with those files (``_`` is ``.``); gives the descriptor's path."""
    path.mkdir(exist_ok=True)
    for name, data in members.items():
        (path / name.replace("_", ".")).write_bytes(data)
    return path / "a.ovf"


def ova(path: Path, members: dict[str, bytes]) -> Path:
    """An archive with those files."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def good(**attributes: Any) -> dict[str, bytes]:
    """Members of a package that is all right."""
    members = {"a.ovf": text(**attributes), "d.vmdk": DISK}
    return {**members, "a.mf": manifest(members)}


def errors(package: Package) -> list[tuple[str, str]]:
    """Ids and subjects of what closes the way."""
    return [(f.id, f.subject) for f in package.findings if f.severity is Severity.ERROR]


def everything(stream: MemberStream) -> bytes:
    """All bytes, read forward in odd pieces."""
    found, buffer = bytearray(), bytearray(777)
    while count := stream.readinto(buffer):
        found += buffer[:count]
    return bytes(found)


@pytest.mark.parametrize("archived", [True, False])
def test_a_good_package_has_no_findings_and_its_members_are_read_in_place(
    tmp_path: Path, archived: bool
) -> None:
    members = good(size=len(DISK))
    path = (
        ova(tmp_path / "a.ova", members)
        if archived
        else folder(tmp_path / "p", **{n.replace(".", "_"): d for n, d in members.items()})
    )
    package = open_package(path)
    assert (package.findings, package.archive) == ((), archived)
    assert package.descriptor == members["a.ovf"]
    stream = package.stream("d.vmdk")
    assert stream.length == len(DISK)
    buffer = bytearray(10)
    assert stream.pread(300, buffer) == 10
    assert buffer == DISK[300:310]
    stream.verify()
    stream.close()
    again = package.stream("d.vmdk")
    assert everything(again) == DISK
    again.verify()
    again.close()


def test_a_folder_is_opened_by_its_one_descriptor(tmp_path: Path) -> None:
    folder(tmp_path / "p", a_ovf=text(), d_vmdk=DISK)
    assert open_package(tmp_path / "p").path.name == "a.ovf"
    (tmp_path / "p" / "b.ovf").write_bytes(text())
    with pytest.raises(PackageError, match="holds 2 descriptors"):
        open_package(tmp_path / "p")
    with pytest.raises(PackageError, match="holds no descriptor"):
        (tmp_path / "empty").mkdir()
        open_package(tmp_path / "empty")


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_a_member_that_does_not_match_is_told_with_both_digests(
    tmp_path: Path, algorithm: str
) -> None:
    members = good()
    members["a.mf"] = manifest({k: members[k] for k in ("a.ovf", "d.vmdk")}, algorithm)
    members["d.vmdk"] = DISK[:-1] + b"!"
    package = open_package(ova(tmp_path / "a.ova", members))
    assert errors(package) == []
    stream = package.stream("d.vmdk")
    with pytest.raises(ManifestError) as caught:
        stream.verify()
    stream.close()
    assert caught.value.subject == "a.ova: d.vmdk"
    assert hashlib.new(algorithm, DISK).hexdigest() in caught.value.what
    assert hashlib.new(algorithm, members["d.vmdk"]).hexdigest() in caught.value.what


def test_the_bytes_that_are_parsed_are_the_bytes_that_are_compared(tmp_path: Path) -> None:
    members = good()
    members["a.ovf"] += b"<!-- changed -->"
    path = ova(tmp_path / "a.ova", members)
    assert errors(open_package(path)) == [("descriptor-damaged", "a.ovf")]
    assert errors(open_package(path, integrity="warn")) == []
    ids = [each.id for each in open_package(path, integrity="warn").findings]
    assert "descriptor-damaged" in ids
    assert open_package(path, integrity="off").findings == ()


def test_a_manifest_that_lists_a_missing_member_is_refused(tmp_path: Path) -> None:
    members = good()
    members["a.mf"] += b"SHA256(gone.vmdk)= " + b"0" * 64
    package = open_package(ova(tmp_path / "a.ova", members))
    assert errors(package) == [("manifest-lists-missing", "gone.vmdk")]


def test_a_manifest_that_cannot_be_read_is_an_error_and_none_is_a_warning(tmp_path: Path) -> None:
    members = good()
    members["a.mf"] = b"\n-- no manifest --"
    package = open_package(ova(tmp_path / "a.ova", members))
    assert errors(package) == [("manifest-unreadable", "a.mf")]
    del members["a.mf"]
    package = open_package(ova(tmp_path / "b.ova", members))
    assert [(f.id, f.severity) for f in package.findings] == [
        ("manifest-missing", Severity.WARNING)
    ]


def test_a_member_the_manifest_does_not_list_is_told(tmp_path: Path) -> None:
    members = {**good(), "more.vmdk": b"x"}
    package = open_package(ova(tmp_path / "a.ova", members))
    assert [(f.id, f.subject) for f in package.findings] == [("manifest-incomplete", "more.vmdk")]


def test_a_missing_member_is_an_error_and_a_wrong_size_a_warning(tmp_path: Path) -> None:
    members = {"a.ovf": text(size=5), "a.mf": b""}
    package = open_package(ova(tmp_path / "a.ova", members), integrity="off")
    assert errors(package) == [("member-missing", "d.vmdk")]
    assert package.findings[0].line == 1
    with pytest.raises(PackageError, match="not in the package"):
        package.stream("d.vmdk")
    package = open_package(
        ova(tmp_path / "b.ova", {"a.ovf": text(size=5), "d.vmdk": DISK}), integrity="off"
    )
    assert [f.id for f in package.findings] == ["size-differs"]


@pytest.mark.parametrize(
    ("href", "what"),
    [
        ("../d.vmdk", "a path"),
        ("sub/d.vmdk", "a path"),
        ("sub\\d.vmdk", "a path"),
        ("/etc/passwd", "an absolute path"),
        ("file:///etc/passwd", "an address outside the package"),
        ("http://192.0.2.1/d.vmdk", "an address outside the package"),
        ("nbd:unix:/run/x", "an address outside the package"),
        ("..", "no file name"),
        ("..%2Fd.vmdk", "a path"),
        ("%2Fetc%2Fpasswd", "an absolute path"),
    ],
)
def test_a_reference_out_of_the_package_is_read_and_refused_when_its_file_is_opened(
    tmp_path: Path, href: str, what: str
) -> None:
    (tmp_path / "d.vmdk").write_bytes(b"outside")
    package = open_package(folder(tmp_path / "p", a_ovf=text(href), d_vmdk=DISK))
    assert package.appliance()[0].machines
    with pytest.raises(PackageError, match=what):
        package.stream(href)
    assert errors(package)


def test_a_link_in_the_folder_is_no_member(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"outside")
    path = folder(tmp_path / "p", a_ovf=text())
    (tmp_path / "p" / "d.vmdk").symlink_to(tmp_path / "secret")
    package = open_package(path)
    assert errors(package) == [("member-link", "d.vmdk")]
    (said,) = [each for each in package.findings if each.id == "member-link"]
    assert said.message == "The file is a symbolic link, which is not followed."
    with pytest.raises(PackageError, match="a symbolic link, which is not followed"):
        package.stream("d.vmdk")


def test_a_percent_encoded_reference_finds_its_member(tmp_path: Path) -> None:
    path = folder(tmp_path / "p", a_ovf=text("my%20disk.vmdk"))
    (tmp_path / "p" / "my disk.vmdk").write_bytes(DISK)
    package = open_package(path, integrity="off")
    assert package.findings == ()
    stream = package.stream("my%20disk.vmdk")
    assert everything(stream) == DISK
    stream.close()


def test_a_compressed_member_is_inflated_forward_and_compared_as_it_lies(tmp_path: Path) -> None:
    packed = gzip.compress(DISK[:5000]) + gzip.compress(DISK[5000:])
    members = {"a.ovf": text("d.vmdk.gz", compression="gzip"), "d.vmdk.gz": packed}
    members["a.mf"] = manifest(members)
    package = open_package(ova(tmp_path / "a.ova", members))
    assert package.findings == ()
    stream = package.stream("d.vmdk.gz")
    assert (stream.forward, stream.length) == (True, None)
    assert everything(stream) == DISK
    stream.verify()
    stream.close()


@pytest.mark.parametrize(
    ("packed", "what"),
    [
        (gzip.compress(DISK)[:-20], "ends too early"),
        (gzip.compress(DISK)[:-8] + b"\xff" * 8, "damaged"),
        (b"hello" * 20, "damaged"),
    ],
    ids=["cut", "sum", "text"],
)
def test_damaged_compression_is_told(tmp_path: Path, packed: bytes, what: str) -> None:
    members = {"a.ovf": text("d.gz", compression="gzip"), "d.gz": packed}
    package = open_package(ova(tmp_path / "a.ova", members), integrity="off")
    stream = package.stream("d.gz")
    with pytest.raises(PackageError, match=what):
        everything(stream)
    stream.close()


def test_other_compressions_are_refused(tmp_path: Path) -> None:
    members = {"a.ovf": text(compression="bzip2"), "d.vmdk": DISK}
    package = open_package(ova(tmp_path / "a.ova", members))
    with pytest.raises(PackageError, match=r"not supported"):
        package.stream("d.vmdk")


def cut(data: bytes, size: int, href: str = "d.vmdk") -> dict[str, bytes]:
    return {f"{href}.{n:09d}": data[n * size :][:size] for n in range(-(-len(data) // size))}


@pytest.mark.parametrize("form", ["folder", "ova"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_file_in_chunks_is_read_as_one_and_each_chunk_is_checked(
    tmp_path: Path, form: str, packed: bool
) -> None:
    stored = gzip.compress(DISK) if packed else DISK
    size = len(stored) // 3
    attributes: dict[str, Any] = {"chunkSize": size, "size": len(stored)}
    if packed:
        attributes["compression"] = "gzip"
    members = {"a.ovf": text(**attributes), **cut(stored, size)}
    members["a.mf"] = manifest(members)

    def opened(name: str) -> Package:
        if form == "ova":
            return open_package(ova(tmp_path / f"{name}.ova", members))
        return open_package(folder(tmp_path / name, **members))

    package = opened("good")
    assert not package.findings
    stream = package.stream("d.vmdk")
    assert everything(stream) == DISK
    stream.verify()
    assert stream.digest.count("sha256 ") == len(members) - 2
    stream.close()

    second = members["d.vmdk.000000001"]
    members["d.vmdk.000000001"] = second[:-1] + bytes([second[-1] ^ 1])
    stream = opened("changed").stream("d.vmdk")
    with pytest.raises(ManifestError, match="does not match the manifest") as caught:
        stream.verify()
    assert "d.vmdk.000000001" in caught.value.subject
    stream.close()


def test_chunks_that_are_missing_or_of_other_sizes_are_told(tmp_path: Path) -> None:
    size = len(DISK) // 3
    chunks = cut(DISK, size)
    last = sorted(chunks)[-1]
    cases: list[tuple[dict[str, bytes], str]] = [
        ({}, "not in the package"),
        ({k: v for k, v in chunks.items() if k != last}, "bytes together"),
        (chunks | {last: b""}, "are not of"),
        (chunks | {"d.vmdk.000000000": b"short"}, "are not of"),
    ]
    for number, (files, what) in enumerate(cases):
        members = {"a.ovf": text(chunkSize=size, size=len(DISK)), **files}
        package = open_package(ova(tmp_path / f"{number}.ova", members), integrity="off")
        with pytest.raises(PackageError, match=what):
            package.stream("d.vmdk")


def test_a_file_that_only_says_it_is_in_chunks_is_read_whole(tmp_path: Path) -> None:
    members = {"a.ovf": text(chunkSize=100), "d.vmdk": DISK}
    stream = open_package(ova(tmp_path / "a.ova", members)).stream("d.vmdk")
    assert everything(stream) == DISK
    stream.close()


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"BZh9", "this is no OVA but a bzip2 file"),
        (b"7z\xbc\xaf\x27\x1c", "this is no OVA but a 7z archive"),
        (b"KDMV", "this is no OVA but a virtual disk"),
        (b"conectix", "this is no OVA but a virtual disk"),
        (b"", "this is no OVA"),
        (b"\x00" * 600, "this is no OVA"),
    ],
    ids=["bzip2", "7z", "vmdk", "vhd", "empty", "zeros"],
)
def test_what_is_no_package_is_called_by_its_name(tmp_path: Path, start: bytes, what: str) -> None:
    path = tmp_path / "a.ova"
    path.write_bytes(start + b"rest")
    if not start:
        path.write_bytes(b"")
    with pytest.raises(PackageError, match=what):
        open_package(path)


def test_an_archive_without_descriptor_and_one_with_two(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="holds no descriptor"):
        open_package(ova(tmp_path / "a.ova", {"d.vmdk": DISK}))
    members = {"a.ovf": text(), "b.ovf": text(), "d.vmdk": DISK}
    ids = [each.id for each in open_package(ova(tmp_path / "b.ova", members)).findings]
    assert "descriptors-several" in ids


def test_a_file_that_is_not_there_and_a_descriptor_that_is_no_xml(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="No such file"):
        open_package(tmp_path / "gone.ova")
    path = tmp_path / "a.ovf"
    path.write_bytes(b"hello")
    with pytest.raises(DescriptorError, match="not well-formed"):
        open_package(path)


def test_the_identity_changes_with_the_package(tmp_path: Path) -> None:
    path = folder(tmp_path / "p", a_ovf=text(), d_vmdk=DISK)
    package = open_package(path)
    (tmp_path / "p" / "unrelated.txt").write_bytes(b"x")
    assert open_package(path).identity == package.identity
    package.check_unchanged()
    (tmp_path / "p" / "d.vmdk").write_bytes(DISK + b"!")
    assert open_package(path).identity != package.identity
    with pytest.raises(PackageError, match="was changed"):
        package.check_unchanged()


def test_a_file_that_shrinks_while_it_is_read_is_told(tmp_path: Path) -> None:
    path = folder(tmp_path / "p", a_ovf=text(), d_vmdk=DISK)
    package = open_package(path)
    stream = package.stream("d.vmdk")
    (tmp_path / "p" / "d.vmdk").write_bytes(b"")
    with pytest.raises(FileError):
        everything(stream)
    stream.close()


def test_nvram_comes_along_as_a_blob(tmp_path: Path) -> None:
    path = folder(tmp_path / "p", a_ovf=text("vm.nvram"), vm_nvram=b"state")
    assert open_package(path).blobs() == {"vm.nvram": b"state"}
