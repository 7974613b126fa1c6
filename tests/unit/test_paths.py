"""Paths that a plan can hold and a file system can look up; directories that are nobody else's."""

import os
import stat
from pathlib import Path

import pytest

from kensho_tui.errors import KenshoError
from kensho_tui.ovf.errors import PackageError
from kensho_tui.ovf.package import open_package
from kensho_tui.paths import SharedDirError, named_path, private_dir


@pytest.mark.parametrize("path", ["/srv/shop.ova", "shop 4.2\u00a0(1).ova", "虚拟机/x.ovf", "-x"])
def test_names_of_people_are_paths(path: str) -> None:
    assert named_path(path) == path


@pytest.mark.parametrize(
    ("path", "reason"),
    [("bad\udcff.ova", "no text"), ("two\nlines.ova", "no text"), ("x" * 300, "too long")],
)
def test_what_cannot_be_kept_or_looked_up_is_refused(path: str, reason: str) -> None:
    with pytest.raises(KenshoError, match=reason):
        named_path(path)


def test_a_pipe_is_no_package_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ova")
    with pytest.raises(PackageError, match="no file"):
        open_package(tmp_path / "pipe.ova")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def made(path: Path, mode: int, *names: str) -> Path:
    path.mkdir()
    for name in names:
        (path / name).touch()
    path.chmod(mode)
    return path


def test_all_that_is_made_of_a_private_directory_is_private(tmp_path: Path) -> None:
    before = mode_of(tmp_path)
    private_dir(tmp_path / "deep" / "er" / "kensho")
    for each in ("deep", "deep/er", "deep/er/kensho"):
        assert mode_of(tmp_path / each) == 0o700
    assert mode_of(tmp_path) == before


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        (0o1777, ()),  # /tmp
        (0o1700, ()),
        (0o755, ("notes.txt",)),  # a home
        (0o750, ("journal.db", "notes.txt")),
        (0o775, ("connections.toml",)),  # who may have written it
        (0o703, ("connections.toml",)),
    ],
)
def test_a_directory_that_may_be_shared_is_refused_and_stays_as_it_is(
    tmp_path: Path, mode: int, names: tuple[str, ...]
) -> None:
    shared = made(tmp_path / "shared", mode, *names)
    with pytest.raises(SharedDirError) as refused:
        private_dir(shared)
    assert mode_of(shared) == mode
    assert refused.value.subject == str(shared)
    assert str(shared / "kensho") in refused.value.remedy
    # Advice that would lock everybody out of /tmp is none.
    assert ("chmod 700" in refused.value.remedy) == (not mode & stat.S_ISVTX)
    private_dir(shared / "kensho")


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        (0o755, ()),  # mkdir /srv/kensho
        (0o777, ()),
        (0o755, ("connections.toml", "runner.toml")),  # written by hand
        (0o750, ("journal.db", "journal.db-wal", "jobs", "runner.sock.path")),  # from a backup
    ],
)
def test_a_directory_that_nobody_else_can_miss_becomes_private(
    tmp_path: Path, mode: int, names: tuple[str, ...]
) -> None:
    spare = made(tmp_path / "spare", mode, *names)
    assert mode_of(private_dir(spare)) == 0o700


def test_a_private_directory_is_used_as_it_is_through_a_link_too(tmp_path: Path) -> None:
    own = made(tmp_path / "own", 0o2700, "anything")
    link = tmp_path / "link"
    link.symlink_to(own)
    assert private_dir(link) == link
    assert mode_of(own) == 0o2700


def test_what_appears_while_a_directory_is_taken_has_it_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_to_all = made(tmp_path / "open", 0o777)
    change = os.fchmod

    def late(handle: int, mode: int) -> None:
        change(handle, mode)
        (open_to_all / "connections.toml").touch()

    monkeypatch.setattr(os, "fchmod", late)
    with pytest.raises(SharedDirError, match="others can write"):
        private_dir(open_to_all)
    assert mode_of(open_to_all) == 0o777


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a directory away")
def test_a_directory_of_another_user_is_refused_even_to_root(tmp_path: Path) -> None:
    theirs = made(tmp_path / "theirs", 0o700)
    os.chown(theirs, 65534, 65534)
    with pytest.raises(SharedDirError, match="another user"):
        private_dir(theirs)
    assert theirs.stat().st_uid == 65534


def test_no_directory_is_made_through_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        private_dir(tmp_path / "link")
    assert not (tmp_path / "gone").exists()
