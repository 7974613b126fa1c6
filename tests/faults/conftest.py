"""The runner's bench as a fixture."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .bench import Bench, bench


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Bench]:
    """A runner of its own, stopped with all its workers at the end."""
    with bench(tmp_path) as one:
        yield one
