"""Packages written anew around their files: other names, how far it is, and an end on the way."""

from pathlib import Path

import pytest

from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.disks.files import FileError
from kensho_tui.ovf import edits
from kensho_tui.ovf.editing import Editing
from kensho_tui.ovf.package import open_package
from kensho_tui.ovf.rewrite import Wanted, rewrite
from tests.unit.cli.test_signing import contents
from tests.unit.ovf.test_edits import shop
from tests.unit.ovf.test_package import folder, manifest, ova

MEMBERS = {"a.ovf": shop(), "d.vmdk": b"0123456789"}
BIG = {**MEMBERS, "big.bin": bytes(3 << 20)}


def made(tmp_path: Path, members: dict[str, bytes], *, archive: bool) -> Path:
    """A package of those."""
    whole = {**members, "a.mf": manifest(members)}
    if archive:
        return ova(tmp_path / "a.ova", whole)
    return folder(tmp_path / "a", **{name.replace(".", "_"): data for name, data in whole.items()})


def renamed() -> Wanted:
    """The disk's file under another name."""
    editing = Editing(shop())
    editing.apply(edits.rename_file("d.vmdk", "system.vmdk"))
    return Wanted(descriptor=editing.data, algorithm="sha256", renamed={"d.vmdk": "system.vmdk"})


@pytest.mark.parametrize("archive", [True, False])
def test_it_is_told_how_far_the_files_are(tmp_path: Path, archive: bool) -> None:
    opened = open_package(made(tmp_path, BIG, archive=archive))
    told: list[tuple[int, int]] = []
    rewrite(opened, renamed(), progress=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1]
    assert told[-1][1] == (10 + (3 << 20) if archive else 10)


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("other", [True, False])
def test_an_end_on_the_way_leaves_the_package_as_it_was(
    tmp_path: Path, archive: bool, other: bool
) -> None:
    path = made(tmp_path, BIG, archive=archive)
    before = contents(path)
    cancel = Cancel()
    target = None if not other else tmp_path / ("b.ova" if archive else "b")
    with pytest.raises(CancelledError):
        rewrite(open_package(path), renamed(), target, cancel,
                progress=lambda done, total: cancel.cancel())  # fmt: skip
    assert contents(path) == before
    assert not [each for each in tmp_path.rglob("*") if "partial" in each.name]
    if archive and target is not None:
        assert not target.exists()


def test_a_name_that_is_taken_beside_the_package_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path, MEMBERS, archive=False)
    (path.parent / "system.vmdk").write_bytes(b"somebody's")
    before = contents(path)
    with pytest.raises(FileError, match=r"system\.vmdk"):
        rewrite(open_package(path), renamed())
    assert contents(path) == before
