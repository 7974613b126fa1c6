"""Where new packages go by their name, and copies of packages: in either container, to the byte."""

import gzip
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.disks.files import FileError
from kensho_tui.ovf.errors import ManifestError, PackageError, SignatureError
from kensho_tui.ovf.output import PACKED, check_format, destination
from kensho_tui.ovf.package import open_package
from kensho_tui.ovf.rewrite import Wanted, rewrite
from kensho_tui.ovf.sign import KeySigner, certificate_file
from kensho_tui.ovf.signature import State
from tests.unit.cli.test_signing import contents
from tests.unit.ovf.certificates import publisher
from tests.unit.ovf.test_edits import shop
from tests.unit.ovf.test_package import manifest, ova

FILES = {"a.ovf": shop(), "d.vmdk": b"0123456789"}
COPY = Wanted(copied=True)


def signed(members: dict[str, bytes], name: str = "a.mf") -> dict[str, bytes]:
    """With a manifest of that name, and its signature."""
    who = publisher()
    promised = manifest(members)
    signature = certificate_file(promised, name, KeySigner(who.key, [who.certificate]))
    return {**members, name: promised, f"{Path(name).stem}.cert": signature}


def put(path: Path, members: dict[str, bytes]) -> Path:
    """Those as one archive, or as a folder, by its ending."""
    if path.suffix == ".ova":
        return ova(path, members)
    path.mkdir()
    for name, data in members.items():
        (path / name).write_bytes(data)
    return path / "a.ovf"


@given(st.text(st.characters(codec="ascii", exclude_characters="/\0"), min_size=1, max_size=12))
def test_a_name_is_an_archive_a_folder_or_refused(name: str) -> None:
    target = Path("/nowhere") / f"x{name}"
    if target.name.lower().endswith(PACKED):
        with pytest.raises(PackageError, match="not written"):
            destination(target)
        return
    path, archive = destination(target)
    assert archive == target.name.lower().endswith(".ova")
    assert path == (target.with_suffix("") if target.suffix.lower() == ".ovf" else target)


@pytest.mark.parametrize("name", ["a.zip", "a.ova.gz", "a.tar", "A.XZ", "a.tgz"])
def test_what_is_no_package_that_is_written_is_refused(tmp_path: Path, name: str) -> None:
    path = put(tmp_path / "a.ova", FILES)
    with pytest.raises(PackageError, match="not written"):
        rewrite(open_package(path), COPY, tmp_path / name)
    assert [each.name for each in tmp_path.iterdir()] == ["a.ova"]


def test_a_name_does_not_contradict_the_format(tmp_path: Path) -> None:
    for name, format_ in (("a.ova", "ovf"), ("a.OVF", "ova"), ("a.zip", "ova"), ("a.gz", None)):
        with pytest.raises(PackageError, match=r"format is|not written"):
            check_format(tmp_path / name, format_)
    for name, format_ in (
        ("a.ova", "ova"),
        ("a.ovf", "ovf"),
        ("a", "ovf"),
        ("a", "ova"),
        ("a", None),
    ):
        check_format(tmp_path / name, format_)
    (tmp_path / "old.zip").mkdir()
    check_format(tmp_path / "old.zip", "ova")  # the package is put into it


@pytest.mark.parametrize("source", ["s.ova", "s"])
@pytest.mark.parametrize("target", ["t.ova", "t.OVA", "t", "t.ovf", "deep/t"])
def test_a_copy_has_every_byte_of_it_in_whatever_container(
    tmp_path: Path, source: str, target: str
) -> None:
    members = signed(FILES)
    old = put(tmp_path / source, members)
    opened = open_package(old)
    made = rewrite(opened, COPY, tmp_path / target)
    assert made.name == (target if target.lower().endswith(".ova") else "a.ovf")
    again = open_package(made)
    assert contents_of(made) == members
    assert again.origin.state is State.RIGHT
    assert again.origin == opened.origin
    assert {each.id for each in again.findings} == {each.id for each in opened.findings}
    if again.archive:
        with tarfile.open(made) as tar:
            assert tar.getnames() == ["a.ovf", "d.vmdk", "a.mf", "a.cert"]
    assert contents_of(old) == members


def contents_of(path: Path) -> dict[str, bytes]:
    """All files of the package."""
    return contents(path.parent / "a.ovf") if path.suffix == ".ovf" else contents(path)


def test_there_and_back_is_the_same(tmp_path: Path) -> None:
    members = signed(FILES)
    first = rewrite(open_package(put(tmp_path / "s.ova", members)), COPY, tmp_path / "f")
    second = rewrite(open_package(first), COPY, tmp_path / "t.ova")
    third = rewrite(open_package(second), COPY, tmp_path / "u.ova")
    assert second.read_bytes() == third.read_bytes()
    assert contents(second) == members


@pytest.mark.parametrize("target", ["t.ova", "t"])
def test_what_has_no_manifest_or_one_that_cannot_be_read_is_copied_with_what_it_has(
    tmp_path: Path, target: str
) -> None:
    bare = rewrite(open_package(put(tmp_path / "s.ova", FILES)), COPY, tmp_path / f"1{target}")
    assert contents_of(bare) == FILES
    odd = {**FILES, "a.mf": b"this is none\n"}
    opened = open_package(put(tmp_path / "o.ova", odd), integrity="warn")
    assert contents_of(rewrite(opened, COPY, tmp_path / f"2{target}")) == odd


def test_what_the_manifest_does_not_list_comes_along_and_what_it_lists_too(tmp_path: Path) -> None:
    listed = {**FILES, "read.me": b"nothing refers to it"}
    members = {**listed, "a.mf": manifest(listed)}
    made = rewrite(open_package(put(tmp_path / "s", members)), COPY, tmp_path / "t.ova")
    assert contents(made) == members
    unlisted = {**FILES, "more.bin": b"x", "a.mf": manifest(FILES)}
    made = rewrite(open_package(put(tmp_path / "u.ova", unlisted)), COPY, tmp_path / "v.ova")
    assert contents(made) == unlisted


@pytest.mark.parametrize("source", ["s.ova", "s"])
@pytest.mark.parametrize("target", ["t.ova", "t"])
def test_damage_is_not_copied_and_nothing_half_made_is_left(
    tmp_path: Path, source: str, target: str
) -> None:
    old = put(tmp_path / source, {**signed(FILES), "d.vmdk": b"9876543210"})
    with pytest.raises(ManifestError, match="does not match"):
        rewrite(open_package(old, integrity="warn"), COPY, tmp_path / target)
    assert [each.name for each in tmp_path.iterdir()] == [source]


def test_an_end_on_the_way_leaves_no_folder(tmp_path: Path) -> None:
    old = put(tmp_path / "s.ova", signed(FILES))
    cancel = Cancel()
    with pytest.raises(CancelledError):
        rewrite(open_package(old), COPY, tmp_path / "t", cancel,
                progress=lambda done, total: cancel.cancel())  # fmt: skip
    assert [each.name for each in tmp_path.iterdir()] == ["s.ova"]


def test_a_manifest_of_another_name_gets_the_one_that_a_folder_needs(tmp_path: Path) -> None:
    odd = {**FILES, "other.mf": manifest(FILES)}
    opened = open_package(put(tmp_path / "s.ova", odd))
    made = rewrite(opened, COPY, tmp_path / "t")
    assert contents_of(made) == {**FILES, "a.mf": odd["other.mf"]}
    assert contents(rewrite(opened, COPY, tmp_path / "t.ova")) == odd
    opened = open_package(put(tmp_path / "signed.ova", signed(FILES, "other.mf")))
    assert opened.origin.state is State.RIGHT
    with pytest.raises(SignatureError, match=r"has to be called a\.mf"):
        rewrite(opened, COPY, tmp_path / "u")
    assert not (tmp_path / "u").exists()
    assert open_package(rewrite(opened, COPY, tmp_path / "u.ova")).origin.state is State.RIGHT


@pytest.mark.parametrize("source", ["s.ova", "s"])
@pytest.mark.parametrize("target", ["t.ova", "t"])
def test_what_is_changed_can_go_into_another_container_at_once(
    tmp_path: Path, source: str, target: str
) -> None:
    opened = open_package(put(tmp_path / source, signed(FILES)))
    made = rewrite(opened, Wanted(algorithm="sha512"), tmp_path / target)
    found = contents_of(made)
    assert found == {**FILES, "a.mf": manifest(FILES, "sha512")}
    assert open_package(made).findings == ()


def test_what_is_there_is_never_written_over(tmp_path: Path) -> None:
    opened = open_package(put(tmp_path / "s.ova", FILES))
    for name in ("t.ova", "t"):
        put(tmp_path / name, FILES)
        with pytest.raises(PackageError, match="something of that name"):
            rewrite(opened, COPY, tmp_path / name)
    with pytest.raises(PackageError, match="something of that name"):
        rewrite(opened, COPY, tmp_path / "t.ovf")  # that is the folder 't'
    (tmp_path / "link.ova").symlink_to(tmp_path / "nowhere")
    with pytest.raises(PackageError, match="something of that name"):
        rewrite(opened, COPY, tmp_path / "link.ova")


@pytest.mark.parametrize("source", ["s.ova", "s"])
def test_who_may_not_read_the_old_one_may_not_read_the_copy(tmp_path: Path, source: str) -> None:
    old = put(tmp_path / source, FILES)
    shut, wide = (0o600, 0o644) if source == "s.ova" else (0o700, 0o755)
    kept = tmp_path / source
    kept.chmod(shut)
    made = rewrite(open_package(old), COPY, tmp_path / "shut")
    assert made.parent.stat().st_mode & 0o777 == 0o700
    kept.chmod(wide)
    made = rewrite(open_package(old), COPY, tmp_path / "wide")
    assert made.parent.stat().st_mode & 0o777 == 0o755 & ~umask()


def umask() -> int:
    """What this process takes away from new files."""
    now = os.umask(0o022)
    os.umask(now)
    return now


@pytest.mark.parametrize("target", ["t.ova", "t"])
def test_what_is_wrapped_is_unwrapped_into_either(tmp_path: Path, target: str) -> None:
    members = signed(FILES)
    with zipfile.ZipFile(tmp_path / "s.zip", "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members.items():
            made.writestr(f"shop/{name}", data)
    copy = rewrite(open_package(tmp_path / "s.zip"), COPY, tmp_path / target)
    assert contents_of(copy) == members
    (tmp_path / "s.ova.gz").write_bytes(
        gzip.compress(put(tmp_path / "s.ova", members).read_bytes())
    )
    copy = rewrite(open_package(tmp_path / "s.ova.gz"), COPY, tmp_path / f"2{target}")
    assert contents_of(copy) == members


def test_a_name_too_long_for_an_archive_and_a_place_that_is_not_there_leave_nothing(
    tmp_path: Path,
) -> None:
    long = "d" * 120 + ".vmdk"
    members = {"a.ovf": shop().replace(b"d.vmdk", long.encode()), long: FILES["d.vmdk"]}
    opened = open_package(put(tmp_path / "s", members))
    with pytest.raises(PackageError, match="does not fit into an archive"):
        rewrite(opened, COPY, tmp_path / "t.ova")
    with pytest.raises(FileError, match=r"No such file") as caught:
        rewrite(opened, COPY, tmp_path / "none" / "t.ova")
    assert caught.value.subject == str(tmp_path / "none" / "t.ova")
    assert [each.name for each in tmp_path.iterdir()] == ["s"]
