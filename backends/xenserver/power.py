"""Starting and stopping machines."""

from backends.base import ConnectError, Power, Ref, RefusedError, UnsupportedError
from backends.xenserver.api import Api
from backends.xenserver.inventory import POWER
from backends.xenserver.lookup import opaque

# As long as a guest is given to shut down, and between two looks whether it has.
_SHUTTING_DOWN_S = 600.0
_LOOK_S = 1.0
_SHUTDOWNS = frozenset({"clean_shutdown", "hard_shutdown", "shutdown"})


def state(api: Api, vm: str) -> Power:
    """The machine's power state now."""
    return POWER.get(str(api.call("VM.get_power_state", vm)), Power.OFF)


def start(api: Api, vm: str, subject: str) -> None:
    """Start, resume or unpause: whatever brings the machine to run. Running already is fine.

    One that is just shutting down still counts as running: its end is waited for.

    Raises: RefusedError: no host can run it, and why.
    """
    patience = _SHUTTING_DOWN_S
    while patience > 0 and _shutting_down(api, vm):
        api.wait(_LOOK_S)
        patience -= _LOOK_S
    now = state(api, vm)
    if now is Power.OFF:
        api.long("VM.start", vm, False, False, subject=subject)
    elif now is Power.SUSPENDED:
        api.long("VM.resume", vm, False, False, subject=subject)
    elif now is Power.PAUSED:
        api.long("VM.unpause", vm, subject=subject)


def _shutting_down(api: Api, vm: str) -> bool:
    under_way = api.call("VM.get_current_operations", vm)
    return isinstance(under_way, dict) and not _SHUTDOWNS.isdisjoint(under_way.values())


def bring(api: Api, ref: Ref, to: Power, timeout_s: float, *, force: bool) -> Power:
    """`Session.power`.

    Raises: RefusedError: the guest did not stop in time and ``force`` is not given.
    """
    vm = opaque(api, ref)
    subject = ref.name or ref.id
    if to is Power.ON:
        start(api, vm, subject)
    elif to is Power.OFF:
        _stop(api, vm, subject, timeout_s, force=force)
    else:
        raise UnsupportedError(f"a machine cannot be brought to '{to}' here", subject=subject)
    return state(api, vm)


def _stop(api: Api, vm: str, subject: str, timeout_s: float, *, force: bool) -> None:
    now = state(api, vm)
    if now is Power.OFF:
        return
    if now is Power.ON:
        try:
            api.call("VM.clean_shutdown", vm, subject=subject, answer_s=max(1.0, timeout_s))
        except (RefusedError, ConnectError) as error:
            # Without an answer in time the guest may still have stopped, or be about to.
            if state(api, vm) is Power.OFF:
                return
            if not force:
                raise RefusedError(
                    f"the guest did not shut down ({error.what})",
                    subject=subject,
                    remedy="Shut it down from inside, or allow it to be switched off",
                    retryable=True,
                ) from error
        else:
            return
    elif not force:
        raise RefusedError(
            "the machine is suspended or paused: switching it off loses what is in its memory",
            subject=subject,
            remedy="Resume it and shut it down, or allow it to be switched off",
        )
    api.long("VM.hard_shutdown", vm, subject=subject)
