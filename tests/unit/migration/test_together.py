"""Disks that move beside each other: the first that fails stops the others, which say so."""

import threading
from typing import Any, cast

import pytest

from kensho_tui.errors import KenshoError
from kensho_tui.machine import DiskId
from kensho_tui.migration import moving
from kensho_tui.migration.context import JobContext
from kensho_tui.migration.moving import DiskTask, move_all
from kensho_tui.migration.retry import Policy

from .memory import MemoryContext


def task(name: str) -> DiskTask:
    return DiskTask(DiskId(name), "db01", f"{name}.vmdk", f"db01 {name}", None, 512)


class Target:
    """As much of a deployment as is asked here."""

    parallel = 2


def test_a_disk_that_another_one_stopped_says_because_of_which(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    under_way = threading.Event()

    def send(
        context: Any, capture: Any, deployment: Any, task: DiskTask, stop: Any, *_: Any
    ) -> Any:
        if task.disk == "data":
            under_way.set()
            assert stop.wait(60)
            stop.check()
        assert under_way.wait(60)
        raise KenshoError("the storage is full", subject="local-sr")

    monkeypatch.setattr(moving, "_send", send)
    context = MemoryContext({})
    with pytest.raises(KenshoError, match="the storage is full"):
        move_all(
            cast("JobContext", context),
            cast("Any", None),
            cast("Any", Target()),
            [task("data"), task("system")],
            at_once=2,
            policy=Policy(),
        )
    assert {each["step"]: each["what"] for each in context.events("failed")} == {
        "disk:data": "stopped, because db01 system failed",
        "disk:system": "the storage is full",
    }
