"""Platforms for the tests of single back ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.xenserver import XenBench


@pytest.fixture
def xen(tmp_path: Path) -> Iterator[XenBench]:
    """A XenServer pool on loopback, and sessions on it."""
    with XenBench(tmp_path / "lab") as made:
        yield made
