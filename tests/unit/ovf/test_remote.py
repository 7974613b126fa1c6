"""Packages on a web server: read in place; nothing is fetched unasked, or asked for elsewhere."""

import gzip
import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kensho_tui.findings import Severity
from kensho_tui.ovf.archive_write import OCTAL_LIMIT, header
from kensho_tui.ovf.errors import ManifestError, PackageError
from kensho_tui.ovf.package import Package, open_package
from kensho_tui.ovf.remote import Remote
from kensho_tui.ovf.rewrite import Wanted, rewrite
from kensho_tui.web.errors import AbsentError, ChangedError, DeniedError
from tests.unit.ovf.test_package import DISK, everything, good, manifest, ova, text
from tests.unit.web.conftest import quick  # noqa: F401 - a fixture
from tests.web import Asked, Handler, Site, serving

MIB = 1 << 20
UNPROTECTED = "source-unprotected"  # said of all that comes from loopback without TLS


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site()) as made:
        yield made


def open_at(site: Site, path: str = "/x/a.ova", **how: bool) -> Package:
    return open_package(Remote.at(site.at(path)))


def ids(package: Package) -> set[str]:
    return {each.id for each in package.findings} - {UNPROTECTED}


def put_ova(site: Site, folder: Path, members: dict[str, bytes] | None = None) -> bytes:
    data = ova(folder / "a.ova", members or good()).read_bytes()
    site.files["/x/a.ova"] = data
    return data


def put_folder(site: Site, members: dict[str, bytes]) -> None:
    site.files |= {f"/x/{name}": data for name, data in members.items()}


def test_an_archive_by_its_address_is_what_it_is_by_its_path(site: Site, tmp_path: Path) -> None:
    put_ova(site, tmp_path)
    here, there = open_package(tmp_path / "a.ova"), open_at(site)
    assert (there.name, there.archive, list(there.places)) == (here.name, True, list(here.places))
    assert there.appliance()[0] == here.appliance()[0]
    assert (ids(there), there.size) == (set(), here.size)
    stream = there.stream("d.vmdk")
    assert everything(stream) == DISK
    stream.verify()
    stream.close()
    there.verify("d.vmdk")
    there.check_unchanged()
    assert there.location == site.at("/x/a.ova")


@pytest.mark.parametrize("signed", [True, False])
def test_a_descriptor_by_its_address_finds_its_files_beside_it_and_no_others(
    site: Site, signed: bool
) -> None:
    members = good(size=len(DISK))
    put_folder(site, members)
    site.files["/x/other.vmdk"] = b"of another package"
    package = open_at(site, "/x/a.ovf")
    assert (ids(package), set(package.places)) == (set(), set(members))
    assert package.manifest is not None
    assert everything(package.stream("d.vmdk")) == DISK
    asked = [each.path for each in site.asked]
    assert set(asked) == {"/x/a.ovf", "/x/a.mf", "/x/a.cert", "/x/d.vmdk"}


def test_what_is_not_beside_it_is_missing_and_what_is_denied_is_said(site: Site) -> None:
    members = good()
    put_folder(site, {name: data for name, data in members.items() if name != "d.vmdk"})
    assert {"member-missing"} == ids(open_at(site, "/x/a.ovf"))

    def trick(handler: Handler, asked: Asked) -> bool:
        if asked.path.endswith("d.vmdk"):
            handler.say(403)
            return True
        return False

    site.trick = trick
    with pytest.raises(DeniedError, match="does not give this file away"):
        open_at(site, "/x/a.ovf")


@pytest.mark.parametrize(
    "href",
    ["http://127.0.0.1:9/d.vmdk", "https://evil.example/d.vmdk", "//evil.example/d.vmdk", "../d.vmdk",
     "%2e%2e/d.vmdk", "%2e%2e%2fd.vmdk", "/d.vmdk", "sub/d.vmdk", "file:///etc/passwd", "..", "."],
)  # fmt: skip
def test_a_descriptor_sends_nobody_to_another_server_or_folder(site: Site, href: str) -> None:
    put_folder(site, {"a.ovf": text(href)})
    site.files["/d.vmdk"] = DISK
    package = open_at(site, "/x/a.ovf")
    assert any(each.severity is Severity.ERROR for each in package.findings)
    with pytest.raises(PackageError):
        package.stream(href)
    assert {each.path for each in site.asked} == {"/x/a.ovf", "/x/a.mf", "/x/a.cert"}


@pytest.mark.parametrize("name", ["d 1.vmdk", "d?x=1.vmdk", "d#1.vmdk", "ä.vmdk"])
def test_names_that_mean_something_in_addresses_are_names(site: Site, name: str) -> None:
    from urllib.parse import quote

    site.files |= {"/x/a.ovf": text(quote(name)), f"/x/{quote(name)}": DISK}
    package = open_at(site, "/x/a.ovf")
    assert everything(package.stream(quote(name))) == DISK


@pytest.mark.parametrize("told", [True, False])
def test_a_file_in_chunks_is_found_chunk_by_chunk(site: Site, told: bool) -> None:
    descriptor = text(chunkSize=4000, size=len(DISK)) if told else text(chunkSize=4000)
    parts = {f"d.vmdk.{n:09d}": DISK[n * 4000 :][:4000] for n in range(3)}
    members = {"a.ovf": descriptor, **parts}
    put_folder(site, {**members, "a.mf": manifest(members)})
    package = open_at(site, "/x/a.ovf")
    assert ids(package) == set()
    stream = package.stream("d.vmdk")
    assert everything(stream) == DISK
    stream.verify()
    stream.close()


def test_a_member_that_is_not_what_the_manifest_says_is_found_out(
    site: Site, tmp_path: Path
) -> None:
    put_ova(site, tmp_path, {**good(), "d.vmdk": DISK[:-1] + b"!"})
    with pytest.raises(ManifestError, match="does not match"):
        open_at(site).verify("d.vmdk")


def test_describing_an_archive_of_100_gib_fetches_less_than_a_mebibyte(
    site: Site, tmp_path: Path
) -> None:
    size = 100 << 30
    assert size > OCTAL_LIMIT
    descriptor = text(size=size)
    path, at = tmp_path / "a.ova", 0
    with path.open("wb") as file:
        for name, length, data in [
            ("a.ovf", len(descriptor), descriptor), ("d.vmdk", size, b"KDMV"), ("e.bin", 3, b"end"),
        ]:  # fmt: skip
            file.seek(at)
            file.write(header(name, length) + data)
            at += 512 + -(-length // 512) * 512
        file.truncate(at + 1024)
    site.files["/x/a.ova"] = path
    package = open_at(site)
    assert package.places["d.vmdk"].size == size
    package.appliance()
    buffer = bytearray(4)
    with package.places["e.bin"].open("e") as stream:
        assert stream.pread(0, buffer) == 3
    assert buffer[:3] == b"end"
    assert site.sent < MIB // 4
    assert len(site.asked) < 10


# ---------------------------------------------------------------------------------- servers without ranges
@pytest.mark.parametrize("lengths", [True, False])
def test_an_archive_of_a_server_without_ranges_is_fetched_and_that_is_said(
    site: Site, tmp_path: Path, lengths: bool
) -> None:
    members = {**good(), "d.vmdk": DISK * 30}
    members["a.mf"] = manifest({n: d for n, d in members.items() if n != "a.mf"})
    put_ova(site, tmp_path, members)
    site.ranges, site.lengths = False, lengths
    said: list[str] = []
    package = open_package(Remote.at(site.at("/x/a.ova")), told=said.append)
    assert len(said) == 1
    assert "Fetching a.ova to a temporary file" in said[0]
    assert ids(package) == {"source-without-ranges"}
    package.verify("d.vmdk")
    stream = package.stream("d.vmdk")
    buffer = bytearray(10)
    stream.pread(200_000, buffer)
    assert buffer == (DISK * 30)[200_000:200_010]
    stream.close()
    assert len(site.asked) == 2


def test_a_descriptor_of_a_server_without_ranges_fetches_no_disk_to_be_shown(site: Site) -> None:
    members = {"a.ovf": text(), "d.vmdk": DISK * 5000}
    put_folder(site, {**members, "a.mf": manifest(members)})
    site.ranges = False
    said: list[str] = []
    package = open_package(Remote.at(site.at("/x/a.ovf")), told=said.append)
    package.appliance()
    package.verify("d.vmdk")
    assert said == []
    assert package.places["d.vmdk"].size == len(DISK) * 5000
    with package.places["d.vmdk"].open("d") as stream:
        buffer = bytearray(10)
        stream.pread(len(DISK) * 4999, buffer)
    assert buffer == DISK[:10]
    assert len(said) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_a_package_that_is_compressed_as_a_whole_is_unpacked_as_it_comes(
    site: Site, tmp_path: Path, ranges: bool
) -> None:
    site.files["/x/a.ova.gz"] = gzip.compress(put_ova(site, tmp_path))
    site.ranges = ranges
    said: list[str] = []
    package = open_package(Remote.at(site.at("/x/a.ova.gz")), told=said.append)
    assert [each[:9] for each in said] == ["Unpacking"]
    assert "package-spooled" in ids(package)
    package.verify("d.vmdk")


def test_a_zip_that_only_stores_is_read_in_place(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("pad", bytes(3 * MIB))
        archive.writestr("in/a.ova", put_ova(site, tmp_path, {**good(), "e": bytes(5 * MIB)}))
    site.files["/x/a.zip"] = path
    package = open_at(site, "/x/a.zip")
    package.verify("d.vmdk")
    assert site.sent < MIB


def test_a_server_that_gives_no_mark_is_told_of(site: Site, tmp_path: Path) -> None:
    put_ova(site, tmp_path)
    site.tags = site.times = False
    assert ids(open_at(site)) == {"source-unstamped"}


# ---------------------------------------------------------------------------------------------- identity
def test_a_package_that_is_changed_is_found_out_whenever_it_is_looked_at(
    site: Site, tmp_path: Path
) -> None:
    put_ova(site, tmp_path)
    first, second = open_at(site), open_at(site)
    assert first.identity == second.identity
    put_ova(site, tmp_path, {**good(), "e": b"new"})
    with pytest.raises(PackageError, match="was changed since it was opened"):
        first.check_unchanged()
    assert open_at(site).identity != first.identity
    stream = first.stream("d.vmdk")
    try:
        with pytest.raises(ChangedError):
            stream.verify()
    finally:
        stream.close()


# ---------------------------------------------------------------------------------------------- writing
def test_nothing_is_written_there_and_a_new_one_is_written_here(site: Site, tmp_path: Path) -> None:
    put_ova(site, tmp_path)
    package = open_at(site)
    with pytest.raises(PackageError, match="on a web server, where nothing is written"):
        rewrite(package, Wanted(algorithm="sha512"))
    made = rewrite(package, Wanted(algorithm="sha512"), tmp_path / "new.ova")
    again = open_package(made)
    assert again.manifest is not None
    digest = again.manifest.digests["d.vmdk"]
    assert digest.matches(hashlib.sha512(DISK).hexdigest())
    put_folder(site, good())
    folder = rewrite(open_at(site, "/x/a.ovf"), Wanted(algorithm="sha256"), tmp_path / "new")
    open_package(folder).verify("d.vmdk")


def test_nothing_there_is_said(site: Site) -> None:
    with pytest.raises(AbsentError, match="no such file"):
        open_at(site, "/x/nothing.ova")
    site.files["/x/page.html"] = b"<html>not found</html>"
    with pytest.raises(Exception, match=r"descriptor|Envelope"):
        open_at(site, "/x/page.html")
