"""Starting and stopping machines."""

from typing import Any

from backends import commit
from backends.base import (
    Finding,
    Power,
    Ref,
    RefusedError,
    UnsupportedError,
)
from backends.kvm import marks
from backends.kvm.inventory import power
from backends.kvm.link import Link
from kensho_tui.machine import Appliance

_LOOK_S = 0.5


def state(link: Link, uuid: str, subject: str) -> Power:
    """The machine's power state now. Raises NotFoundError: it is gone."""
    return link.call(lambda conn: power(conn.lookupByUUIDString(uuid)), subject)


def start(link: Link, uuid: str, subject: str) -> None:
    """Start or resume: whatever brings the machine to run. Running already is fine."""

    def do(conn: Any) -> None:
        dom = conn.lookupByUUIDString(uuid)
        now = power(dom)
        if now is Power.PAUSED:
            dom.resume()
        elif now is Power.SUSPENDED and dom.isActive():
            dom.pMWakeup(0)
        elif now is not Power.ON:
            dom.create()

    link.call(do, subject, long=True)


def bring(link: Link, ref: Ref, to: Power, timeout_s: float, *, force: bool) -> Power:
    """`Session.power`.

    Raises: RefusedError: the guest did not stop in time and ``force`` is not given.
    """
    subject = ref.name or ref.id
    if to is Power.ON:
        start(link, ref.id, subject)
    elif to is Power.OFF:
        _stop(link, ref.id, subject, timeout_s, force=force)
    else:
        raise UnsupportedError(f"a machine cannot be brought to '{to}' here", subject=subject)
    return state(link, ref.id, subject)


def _stop(link: Link, uuid: str, subject: str, timeout_s: float, *, force: bool) -> None:
    now = state(link, uuid, subject)
    if now is Power.OFF:
        return
    if now is Power.ON:
        link.call(lambda conn: conn.lookupByUUIDString(uuid).shutdown(), subject)
        left = timeout_s
        while left > 0 and state(link, uuid, subject) is not Power.OFF:
            link.wait(min(_LOOK_S, left))
            left -= _LOOK_S
        if state(link, uuid, subject) is Power.OFF:
            return
        if not force:
            raise RefusedError(
                f"the guest did not shut down within {timeout_s:.0f} seconds",
                subject=subject,
                remedy="Shut it down from inside, or allow it to be switched off",
                retryable=True,
            )
    elif not force:
        raise RefusedError(
            "the machine is suspended or paused: switching it off loses what is in its memory",
            subject=subject,
            remedy="Resume it and shut it down, or allow it to be switched off",
        )

    def off(conn: Any) -> None:
        dom = conn.lookupByUUIDString(uuid)
        if dom.isActive():
            dom.destroy()
        if dom.hasManagedSaveImage():
            dom.managedSaveRemove()

    link.call(off, subject, long=True)


def start_in_order(link: Link, appliance: Appliance, made: marks.Made) -> list[Finding]:
    """Start the machines that stand, in their order; a finding for each that does not start."""
    return commit.start_in_order(
        [m for m in appliance.machines if m.start.start and m.id in made.machines],
        lambda each: start(link, made.machines[each.id].uuid, each.name),
        link.wait,
    )
