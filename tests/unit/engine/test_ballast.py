"""Room kept for a full disk: made where there is enough, given away, and what is done with it."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kensho_tui.engine import ballast
from kensho_tui.engine.ballast import Ballast, is_full
from kensho_tui.engine.context import RunContext
from kensho_tui.engine.events import EventKind
from kensho_tui.engine.journal import Journal, StateDiskFullError
from kensho_tui.engine.places import Places
from kensho_tui.migration.context import CLEANUP, Sample, Undo

from .given import PLAN, context, journal

SIZE = 1 << 20


def places(directory: Path) -> Places:
    """A state directory."""
    made = Places(directory / "state")
    made.make()
    return made


def test_the_ballast_takes_real_room_and_gives_it_back(tmp_path: Path) -> None:
    one = Ballast(places(tmp_path), SIZE)
    assert one.keep()
    assert one.path.stat().st_blocks * 512 >= SIZE
    assert one.path.stat().st_mode & 0o777 == 0o600
    before = one.path.stat().st_ino
    assert one.keep()
    assert one.path.stat().st_ino == before, "it is not made twice"
    one.release()
    one.release()
    assert [each.name for each in one.path.parent.iterdir()] == ["jobs"]


@pytest.mark.parametrize(
    ("room", "made", "work"),
    [(2 * SIZE, True, True), (2 * SIZE - 1, False, False), (0, False, False)],
)
def test_it_is_made_only_where_as_much_again_stays_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, made: bool, work: bool
) -> None:
    monkeypatch.setattr(ballast, "free", lambda directory: room)
    one = Ballast(places(tmp_path), SIZE)
    assert one.keep() is work
    assert one.path.exists() is made


def test_there_is_no_room_for_work_where_only_the_ballast_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Ballast(places(tmp_path), SIZE)
    assert one.keep()
    monkeypatch.setattr(ballast, "free", lambda directory: ballast.FLOOR - 1)
    assert not one.keep()
    assert one.path.exists()


def test_a_full_disk_and_a_used_up_share_of_it_are_told_from_other_failures(tmp_path: Path) -> None:
    assert is_full(OSError(errno.ENOSPC, ""), tmp_path)
    assert is_full(OSError(errno.EDQUOT, ""), tmp_path)
    assert not is_full(OSError(errno.EIO, ""), tmp_path)


@pytest.fixture
def full(tmp_path: Path) -> Iterator[tuple[Journal, RunContext]]:
    """A job whose journal can grow no further, until its ballast is let go of."""
    with journal(tmp_path) as one:
        here = context(one, one.submit(PLAN))
        here.begin("a", "Make a", undo=Undo("a", "remove", {}))
        ((pages,),) = one.rows("PRAGMA page_count")
        one.rows(f"PRAGMA max_page_count = {pages}")

        def make_room() -> bool:
            one.rows("PRAGMA max_page_count = 100000")
            return here.disk_is_full()

        one.on_full = make_room
        yield one, here


def test_on_a_full_disk_what_is_done_is_written_and_nothing_new_is_begun(
    full: tuple[Journal, RunContext],
) -> None:
    one, here = full
    here.done("a", "x" * 100_000)
    begun: tuple[Callable[[], None], ...] = (
        lambda: here.begin("b", "Make b"),
        lambda: here.resume_point("a", 1),
        lambda: here.sample(Sample("a", "", "", 1, 2)),
    )
    for new in begun:
        with pytest.raises(StateDiskFullError, match="state disk is full") as caught:
            new()
        assert caught.value.remedy
    here.begin(CLEANUP, "Take back")
    here.resume_point(CLEANUP, None)
    for undo in here.undos():
        here.undone(undo, [])
    assert [each.kind for each in one.events(here.job)][-3:] == [
        EventKind.STEP_BEGUN,
        EventKind.RESUME_POINT,
        EventKind.UNDONE,
    ]
    assert one.verify() == []


def test_what_cannot_be_written_down_before_it_is_done_is_not_done(
    full: tuple[Journal, RunContext],
) -> None:
    one, here = full
    with pytest.raises(StateDiskFullError):
        here.begin("b", "Make b", undo=Undo("b", "remove", {"x": "y" * 100_000}))
    assert one.events(here.job)[-1].step == "b", "it is in the journal, and so will be taken back"


def test_a_submission_takes_no_ballast(tmp_path: Path) -> None:
    with journal(tmp_path) as one:
        ((pages,),) = one.rows("PRAGMA page_count")
        one.rows(f"PRAGMA max_page_count = {pages}")
        one.on_full = lambda: pytest.fail("what can be refused needs no room")
        with pytest.raises(StateDiskFullError):
            one.submit({**PLAN, "more": "x" * 100_000})
        assert one.rows("SELECT 1 FROM event") == []
