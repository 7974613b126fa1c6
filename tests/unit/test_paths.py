"""Paths that a plan can hold and a file system can look up."""

import os
from pathlib import Path

import pytest

from kensho_tui.errors import KenshoError
from kensho_tui.ovf.errors import PackageError
from kensho_tui.ovf.package import open_package
from kensho_tui.paths import named_path


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
