"""A lab for each test, and a session on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kensho_tui.lab import XenLab
from tests.unit.lab.wire import Wire


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[XenLab]:
    with XenLab(tmp_path / "lab") as lab:
        yield lab


@pytest.fixture
def wire(lab: XenLab) -> Wire:
    return Wire(lab).login()
