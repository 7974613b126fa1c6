"""Progress: what is told, how often, and how a limit holds back. The clock is ours."""

from collections.abc import Callable

import pytest

from kensho_tui.cancel import Cancel, CancelledError
from kensho_tui.disks.pace import Pace
from kensho_tui.disks.progress import Meter, Progress


class Clock:
    """Time that passes when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Waiting(Pace):
    """A pace whose waiting takes time of that clock alone."""

    def __init__(self, clock: Clock, limit: int | None = None) -> None:
        super().__init__(limit, clock=clock)
        self._passing = clock
        self.at: dict[float, Callable[[], None]] = {}

    def wait(self, seconds: float) -> None:
        """Whatever is to happen at a moment happens when that one has come."""
        self._passing.now += seconds
        for moment in [each for each in self.at if each <= self._passing.now]:
            self.at.pop(moment)()


def meter(
    clock: Clock, told: list[Progress], *, expected: int | None = None, pace: Pace | None = None
) -> Meter:
    return Meter(
        told.append,
        total=1000,
        expected=expected,
        length=None,
        pace=pace or Pace(),
        cancel=Cancel(),
        clock=clock,
    )


def test_progress_is_told_at_most_twice_a_second_and_at_the_end() -> None:
    clock, told = Clock(), list[Progress]()
    one = meter(clock, told)
    for _ in range(100):
        clock.now += 0.125
        one.position += 10
        one.tick()
    one.last()
    assert len(told) == 25 + 1
    assert told[-1].position == 1000
    assert told[-1].eta_s == 0.0


def test_rate_and_time_left_follow_the_last_seconds() -> None:
    clock, told = Clock(), list[Progress]()
    one = meter(clock, told)
    for step in range(10):
        clock.now += 1
        one.count_read(100 if step < 5 else 50)
        one.position += 50
        one.tick()
    assert told[-1].rate == 75.0
    assert told[-1].eta_s == 10.0


def test_time_left_counts_data_and_not_holes_where_the_map_is_known() -> None:
    clock, told = Clock(), list[Progress]()
    one = meter(clock, told, expected=100)
    clock.now = 1.0
    one.position, one.seen = 900, 25
    one.tick()
    assert told[-1].eta_s == 3.0


def test_a_limit_holds_back_until_the_bytes_are_due() -> None:
    clock, told = Clock(), list[Progress]()
    one = meter(clock, told, pace=Waiting(clock, 100))
    one.written = 350
    one.hold()
    assert clock.now == 3.5
    one.count_read(1000)
    one.hold()
    assert clock.now == 10.0


def test_two_transfers_share_one_limit_and_take_notice_of_another_one_at_once() -> None:
    clock = Clock()
    pace = Waiting(clock, 100)
    first, second = (meter(clock, [], pace=pace) for _ in range(2))
    first.written = second.written = 200
    first.hold()
    assert clock.now == 2.0
    second.hold()
    assert clock.now == 4.0
    first.written += 1000
    # After one second 900 bytes are owed; at 300 a second that is three seconds more.
    pace.at[5.0] = lambda: pace.set(held=False, limit=300)
    first.hold()
    assert clock.now == pytest.approx(8.0)
    second.written += 10_000
    pace.at[9.0] = lambda: pace.set(held=False, limit=None)
    second.hold()
    assert clock.now == pytest.approx(9.0)


def test_what_was_not_used_is_no_credit_for_a_burst() -> None:
    clock = Clock()
    one = meter(clock, [], pace=Waiting(clock, 100))
    clock.now = 3600.0
    one.written = 350
    one.hold()
    assert clock.now == 3603.0


def test_a_pause_shows_no_rate_and_is_counted_into_none() -> None:
    clock, told = Clock(), list[Progress]()
    pace = Waiting(clock)
    one = meter(clock, told, pace=pace)
    clock.now = 1.0
    one.written = one.position = 100
    one.tick()
    assert told[-1].rate == 100.0
    pace.set(held=True, limit=None)
    pace.at[3601.0] = lambda: pace.set(held=False, limit=None)
    one.pass_gate()
    assert clock.now == 3601.0
    assert [(each.rate, each.eta_s) for each in told[1:-1]] == [(0.0, None)] * (len(told) - 2)
    clock.now += 2.0
    one.written, one.position = 500, 500
    one.last()
    assert told[-1].rate == 200.0


def test_cancelling_ends_a_pause_and_so_does_what_the_check_raises() -> None:
    clock, cancel = Clock(), Cancel()
    pace = Waiting(clock)
    pace.set(held=True, limit=None)
    pace.at[10.0] = cancel.cancel
    with pytest.raises(CancelledError):
        pace.pass_gate(cancel)
    assert clock.now == 10.0

    class Stop(Exception):
        pass

    def check() -> None:
        raise Stop

    stopped = Pace(check=check)
    stopped.set(held=True, limit=None)
    stopped.wait = lambda seconds: None  # type: ignore[method-assign]
    with pytest.raises(Stop):
        stopped.pass_gate(Cancel())
