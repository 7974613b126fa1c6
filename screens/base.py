"""What every screen has: its help, its keys, and a place for errors."""

from collections.abc import Callable
from typing import ClassVar, TypeVar

from textual import on
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.dom import DOMNode
from textual.message import Message
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from kensho_tui.errors import KenshoError
from kensho_tui.text import one_line, shorten_middle
from screens.states import BAD
from screens.widgets.notice import Notice
from screens.widgets.reason import ReasonLine

T = TypeVar("T")


class Passing(MessagePump):
    """A screen or page that may be taken down while messages to it still wait.

    What those would change is not there any more by then, which is no defect.
    """

    async def _dispatch_message(self, message: Message) -> None:
        try:
            await super()._dispatch_message(message)
        except NoMatches:
            if not isinstance(self, DOMNode) or self.display:  # false while it is taken down
                raise


class KenshoScreen(Passing, Screen[T]):
    """A whole screen: title line, work, reason line, keys."""

    HELP_TITLE: ClassVar[str] = "Help"
    HELP_TEXT: ClassVar[str] = ""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "explain", "Help", key_display="?", id="screen.help"),
        # A field takes the question mark as a letter: then the footer shows this one.
        Binding("f1", "explain", "Help", key_display="F1", id="screen.help-typing"),
    ]

    def help_text(self) -> str:
        """What this screen is for and what can be done here, for `?` and F1."""
        return self.HELP_TEXT

    def unsaved(self) -> str:
        """What is lost where one leaves now, in a sentence; "" for nothing."""
        return ""

    def leave(self, then: Callable[[], object]) -> None:
        """Close, once what is not saved is saved or dropped, and do that then."""
        then()

    def action_explain(self) -> None:
        """Explain the screen, with every key that works here."""
        keys = [
            f"  {self.app.get_key_display(active.binding):<9} {active.binding.description}"
            for active in self.active_bindings.values()
            if active.binding.show and active.binding.description
        ]
        text = "\n".join([flowing(self.help_text()), "", "Keys", *dict.fromkeys(keys)])
        self.app.push_screen(Notice(self.HELP_TITLE, text))

    @on(Worker.StateChanged)
    def _worker_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.defect(event.worker.error)

    def defect(self, error: BaseException) -> None:
        """A thread ended with an error nobody foresaw: say so in place; the program goes on."""
        self.say_error(defect(error))

    def say_error(self, error: KenshoError) -> None:
        """Show the error's sentence in place; the program goes on."""
        self.query_one(ReasonLine).say(sentence(error), BAD)


def defect(error: BaseException) -> KenshoError:
    """An error nobody foresaw, in words."""
    return KenshoError(
        f"a defect of Kensho itself ({type(error).__name__}: {one_line(str(error), limit=120)})",
        remedy="Try again; report it if it comes back",
    )


def sentence(error: KenshoError) -> str:
    """The error as a sentence: subject, what, remedy, and a full stop. A long path is shortened."""
    subject = shorten_middle(one_line(error.subject), 36)
    head = f"{subject}: {error.what}" if subject else error.what
    text = f"{head.rstrip('.')}. {error.remedy}" if error.remedy else head
    return text if text.endswith((".", "!", "?")) else f"{text}."


def flowing(text: str) -> str:
    """The text with the lines of each paragraph joined; lines that begin with a blank stand alone."""
    out: list[str] = []
    for line in text.strip().splitlines():
        joins = out and out[-1] and not out[-1].startswith(" ") and line and line[0] != " "
        if joins:
            out[-1] = f"{out[-1]} {line}"
        else:
            out.append(line)
    return "\n".join(out)
