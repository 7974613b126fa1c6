"""What putting machines into service means on every platform: disks that are whole, starts in their order."""

from collections.abc import Callable, Mapping, Sequence

from backends.base import BackendError, Finding, RefusedError, Severity
from kensho_tui.machine import Disk, DiskId, Machine


def expect_written(
    wanted: Mapping[DiskId, Disk], states: Mapping[DiskId, str | None], written: str
) -> None:
    """Raise `RefusedError` for a disk that is not there, or not written to its end.

    Args:
        states: what is marked of the disks that are there; "" or None: nothing was written to it,
            which is enough for a blank one.
        written: the mark of one that is whole.
    """
    for ident, disk in wanted.items():
        state = states.get(ident)
        if ident not in states or (state != written and (state or not disk.blank)):
            raise RefusedError(
                "the disk was not written to its end",
                subject=disk.name or ident,
                remedy="Write it again, or undo the deployment",
            )


def start_in_order(
    starting: Sequence[Machine], start: Callable[[Machine], object], wait: Callable[[float], object]
) -> list[Finding]:
    """Start the machines, those of a lower order first; a finding for each that does not start.

    Args:
        start: starts one. Raises BackendError.
        wait: waits so many seconds between one order and the next.
    """
    findings: list[Finding] = []
    orders = sorted({machine.start.order for machine in starting})
    for order in orders:
        group = [machine for machine in starting if machine.start.order == order]
        for machine in group:
            try:
                start(machine)
            except BackendError as error:
                findings.append(
                    Finding(
                        "machine-not-started",
                        Severity.ERROR,
                        f"The machine stands but does not start: {error.what}.",
                        machine.name,
                        f"{error.remedy}." if error.remedy else "",
                    )
                )
        if order != orders[-1]:
            wait(max(machine.start.start_delay_s for machine in group))
    return findings
