"""The lab's own switchboard: what no host has. Modes, the call log, the disks.

Used in the same process (`Control`) and over the wire: ``POST /lab/control`` with the token of the
state directory in ``X-Lab-Token`` and one JSON object as body.
"""

import hmac
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from kensho_tui.lab.xen.modes import Modes
from kensho_tui.lab.xen.schema import Value

if TYPE_CHECKING:
    from kensho_tui.lab.xen.lab import XenLab


class Order(BaseModel):
    """What is asked for; each part that is present is done, in this order.

    Attributes:
        modes: modes to change, by name.
        reset: all modes off.
        new_certificate: make and use a new certificate; open connections keep the old one.
        expire_sessions: forget all sessions.
        calls: answer the call log.
        clear_calls: empty it.
        disks: answer the list of disks.
        stop: end the lab.
    """

    model_config = ConfigDict(extra="forbid")

    modes: dict[str, Any] = {}
    reset: bool = False
    new_certificate: bool = False
    expire_sessions: bool = False
    calls: bool = False
    clear_calls: bool = False
    disks: bool = False
    stop: bool = False


class Control:
    """The switchboard of one lab. Attributes: token: what the wire asks for."""

    def __init__(self, lab: "XenLab", token: str, stop: Callable[[], None]) -> None:
        self._lab = lab
        self.token = token
        self._stop = stop
        self._ending = False

    @property
    def modes(self) -> Modes:
        """The modes as they are."""
        return self._lab.toolstack.modes

    @property
    def calls(self) -> list[str]:
        """What was called since the last `clear_calls`, oldest first."""
        return self._lab.toolstack.log.list()

    def clear_calls(self) -> None:
        """Empty the call log."""
        self._lab.toolstack.log.clear()

    def set(self, **modes: Value) -> None:
        """Change modes. Raises: pydantic.ValidationError: no such mode, or no such value."""
        stack = self._lab.toolstack
        stack.modes = Modes.model_validate(stack.modes.model_dump() | modes)

    def reset(self) -> None:
        """All modes off."""
        self._lab.toolstack.modes = Modes()

    def new_certificate(self) -> str:
        """Show another certificate from now on; its pin."""
        return self._lab.new_certificate()

    def expire_sessions(self) -> None:
        """Forget all sessions."""
        self._lab.toolstack.expire_sessions()

    def request(self, token: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Answer a request of the wire: HTTP status and JSON."""
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return 403, {"error": "wrong token"}
        try:
            order = Order.model_validate_json(body)
            if order.modes:
                self.set(**order.modes)
        except ValidationError as error:
            return 400, {"error": json.loads(error.json(include_url=False, include_input=False))}
        if order.reset:
            self.reset()
        answer: dict[str, Any] = {"modes": self.modes.model_dump()}
        if order.new_certificate:
            answer["pin"] = self.new_certificate()
        if order.expire_sessions:
            self.expire_sessions()
        if order.calls:
            answer["calls"] = self.calls
        if order.clear_calls:
            self.clear_calls()
        if order.disks:
            answer["disks"] = [disk.as_json() for disk in self._lab.disks()]
        self._ending = order.stop
        return 200, answer

    def after(self) -> None:
        """What waits until the answer is out: the end of the lab."""
        if self._ending:
            self._stop()
