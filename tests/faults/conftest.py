"""The runner's bench and the crash matrix as fixtures."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kensho_tui.lab import XenLab
from tests.desk import Desk, desk_at

from .bench import Bench, bench
from .matrix.acts import Impossible
from .matrix.case import Case
from .matrix.play import Played, play
from .matrix.stage import Stage


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Bench]:
    """A runner of its own, stopped with all its workers at the end."""
    with bench(tmp_path) as one:
        yield one


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[XenLab]:
    """A lab in the test's own process."""
    with XenLab(tmp_path / "lab") as opened:
        yield opened


@pytest.fixture
def desk(tmp_path: Path, lab: XenLab) -> Iterator[Desk]:
    """A desk that knows the lab."""
    with desk_at(tmp_path, lab) as opened:
        yield opened


@pytest.fixture(scope="session")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Case], Played]]:
    """Plays a case; all cases share one stage, until something breaks on it."""
    stages: list[Stage] = []
    with ExitStack() as stack:

        def run(which: Case) -> Played:
            if not stages:
                stages.append(stack.enter_context(Stage(tmp_path_factory.mktemp("stage"))))
            try:
                played = play(stages[0], which, tmp_path_factory.mktemp("runs"))
            except Impossible as reason:
                pytest.skip(f"{which.fault} {reason}")
            except BaseException:
                stages.clear()
                raise
            if played.broken:
                stages.clear()
            return played

        yield run
