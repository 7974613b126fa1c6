"""Cancellation reaches what waits, once."""

import threading

import pytest

from kensho_tui.cancel import Cancel, CancelledError


def test_a_callback_runs_once_when_cancelled() -> None:
    cancel, calls = Cancel(), list[int]()
    with cancel.closing(lambda: calls.append(1)):
        cancel.cancel()
        cancel.cancel()
    assert calls == [1]


def test_a_callback_that_is_left_does_not_run() -> None:
    cancel, calls = Cancel(), list[int]()
    with cancel.closing(lambda: calls.append(1)):
        pass
    cancel.cancel()
    assert calls == []


def test_entering_after_cancellation_closes_at_once() -> None:
    cancel, calls = Cancel(), list[int]()
    cancel.cancel()
    with cancel.closing(lambda: calls.append(1)):
        assert calls == [1]


def test_check_raises_and_wait_returns_in_another_thread() -> None:
    cancel, woke = Cancel(), threading.Event()

    def waits() -> None:
        if cancel.wait(60):
            woke.set()

    thread = threading.Thread(target=waits)
    thread.start()
    cancel.cancel()
    thread.join(60)
    assert woke.is_set()
    with pytest.raises(CancelledError):
        cancel.check()
