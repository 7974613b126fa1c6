"""Whether a platform can be reached: logs in and says what it found."""

import threading
from dataclasses import dataclass

from textual.message import Message
from textual.message_pump import MessagePump

from kensho_tui.connections import Connection
from kensho_tui.errors import KenshoError
from screens.desk import Desk
from screens.states import DONE, LATER, LOOK, Sign


@dataclass
class Probed(Message):
    """A platform was asked. ``error`` None: it answered; ``found`` is what it calls itself."""

    name: str
    found: str = ""
    error: KenshoError | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a connection stands, in a word or two."""

    sign: Sign
    word: str
    error: KenshoError | None = None


UNASKED = Standing(LATER, "not asked")
ASKS = Standing(LATER, "asks for its password")
ASKING = Standing(LATER, "asking …")


def standing(message: Probed) -> Standing:
    """How the connection stands after it was asked."""
    if message.error is None:
        return Standing(DONE, message.found)
    word = _WORDS.get(type(message.error).__name__, "error")
    if getattr(message.error, "expected", ""):
        word = "another certificate"
    return Standing(LOOK, word, message.error)


_WORDS = {
    "TrustError": "certificate",
    "AuthenticationError": "password",
    "ConnectError": "cannot be reached",
    "UnsupportedError": "library missing",
    "SecretError": "password",
}


def silent(connection: Connection) -> bool:
    """Whether the connection can be asked without asking the operator for a password."""
    from kensho_tui.engine.secrets import asks

    try:
        return not asks(connection)
    except KenshoError:
        return True  # asking the platform says what is wrong with the store


def probe(desk: Desk, name: str, to: MessagePump) -> None:
    """Ask the platform in a thread of its own, then post `Probed`.

    Not a worker: one that is slow to answer must not take a place in the pool all screens share.
    """

    def ask() -> None:
        try:
            platform = desk.sessions().get(name).capabilities.platform
        except KenshoError as error:
            to.post_message(Probed(name, error=error))
        else:
            to.post_message(Probed(name, f"{platform.kind} {platform.version}".strip()))

    threading.Thread(target=ask, name=f"kensho-probe-{name}", daemon=True).start()
