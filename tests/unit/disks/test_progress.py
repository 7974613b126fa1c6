"""Progress: what is told, how often, and how a limit holds back. The clock is ours."""

from kensho_tui.cancel import Cancel
from kensho_tui.disks.progress import Meter, Progress


class Clock:
    """Time that passes when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Waiting(Cancel):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout_s: float) -> bool:
        self._clock.now += timeout_s
        return self.cancelled


def meter(
    clock: Clock, told: list[Progress], *, expected: int | None = None, limit: int | None = None
) -> Meter:
    return Meter(
        told.append,
        total=1000,
        expected=expected,
        length=None,
        limit=limit,
        cancel=Waiting(clock),
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
    one = meter(clock, told, limit=100)
    one.written = 350
    one.hold()
    assert clock.now == 3.5
    one.count_read(1000)
    one.hold()
    assert clock.now == 10.0
