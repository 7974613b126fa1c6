"""A descriptor that is edited: every change is checked, can be undone, and shows as a difference.

A change works on the XML tree, in place, so that all it does not touch stays as it was written. After it the
document is read again from its new bytes and resolved for every configuration: a change that would
make it unreadable is refused, and the document stays as it was.
"""

import difflib
from collections.abc import Callable, Iterator

from lxml import etree

from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.resolved import resolved
from kensho_tui.ovf.tree import tidy

Change = Callable[[Envelope], None]
_MOST_STATES = 200
_LONG_LINE = 1000


class Editing:
    """A descriptor and its history.

    Args:
        data: its bytes; they are kept to the byte as long as nothing is changed, or all is undone.
        subject: how the operator knows it, for errors.

    Raises: DescriptorError: see `Envelope.parse`; or it cannot be edited.
    """

    def __init__(self, data: bytes, subject: str = "") -> None:
        self._subject = subject
        self._original = data
        self._states = [data]
        self._at = 0
        self.envelope = Envelope.parse(data, subject)
        if not self.envelope.editable:
            raise DescriptorError(
                "the descriptor has a namespace whose name is no URI, and cannot be edited",
                subject=subject,
                remedy="Mend the name by hand first",
            )

    @property
    def data(self) -> bytes:
        """The document as it is now."""
        return self._states[self._at]

    @property
    def changed(self) -> bool:
        """Whether it says something else than it did."""
        if self.data == self._original:
            return False
        return self.envelope.canonical() != Envelope.parse(self._original).canonical()

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to undo."""
        return self._at > 0

    @property
    def can_redo(self) -> bool:
        """Whether there is an undone change to make again."""
        return self._at + 1 < len(self._states)

    def apply(self, *changes: Change) -> None:
        """Make these changes as one step.

        Raises: DescriptorError (or what a change raises): it is refused; nothing is changed.
        """
        envelope = Envelope.parse(self.data, self._subject)
        known = set(envelope.root.iter())
        for change in changes:
            change(envelope)
        tidy(envelope.root, known)
        envelope.touched()
        self.become(envelope.save())

    def become(self, data: bytes) -> None:
        """Take that document as one step.

        Raises: DescriptorError: it cannot be read, or not resolved; nothing is changed.
        """
        again = Envelope.parse(data, self._subject)
        for configuration in (None, *(each.id for each in again.configurations)):
            resolved(again, configuration)
        if again.canonical() == self.envelope.canonical():
            return  # it says what it said before: not even its spelling changes
        self._states = [*self._states[: self._at + 1], data][-_MOST_STATES:]
        self._at = len(self._states) - 1
        self.envelope = again

    def undo(self) -> None:
        """Take the last change back, if there is one."""
        self._go(self._at - 1 if self.can_undo else self._at)

    def redo(self) -> None:
        """Make the change again that was taken back, if there is one."""
        self._go(self._at + 1 if self.can_redo else self._at)

    def _go(self, at: int) -> None:
        if at != self._at:
            self._at = at
            self.envelope = Envelope.parse(self.data, self._subject)

    def saved(self) -> None:
        """It was saved as it is now: what is undone from here on is a change again."""
        self._original = self.data

    @property
    def original(self) -> bytes:
        """The document as it was, or as it was saved last."""
        return self._original

    def diff(self) -> Iterator[str]:
        """What is different from how it was, as lines of a unified difference; none where nothing is."""
        before, after = (_lines(each, self._subject) for each in (self._original, self.data))
        return difflib.unified_diff(before, after, "before", "after", lineterm="", n=1)


def _lines(data: bytes, subject: str) -> list[str]:
    """The document's lines; one that is written without any is given some, to be compared."""
    envelope = Envelope.parse(data, subject)
    lines = envelope.text().splitlines()
    if max(map(len, lines), default=0) > _LONG_LINE:
        etree.indent(envelope.root)
        lines = envelope.text().splitlines()
    return lines
