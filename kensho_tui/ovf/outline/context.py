"""What the parts of an outline share: the document, its option, and how texts and options are told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lxml import etree

from kensho_tui.machine import Appliance, Machine
from kensho_tui.ovf import xml
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.resolved import resolved

_MOST_OPTIONS = 16  # each is a reading of its own


@dataclass
class Context:
    """A descriptor as an editor looks at it.

    Attributes:
        configuration: the deployment option that is edited; None: all of them.
        appliance: resolved for that option, or for the default one.
        others: resolved for each option, the first `_MOST_OPTIONS` of them.
    """

    envelope: Envelope
    configuration: str | None = None
    appliance: Appliance = field(init=False)
    others: Mapping[str, Appliance] = field(init=False)

    def __post_init__(self) -> None:
        """Resolve it."""
        self.appliance, _ = resolved(self.envelope, self.configuration)
        known = [each.id for each in self.envelope.configurations][:_MOST_OPTIONS]
        self.others = {each: resolved(self.envelope, each)[0] for each in known}
        self._strings = self.envelope.strings()

    def text(self, element: etree._Element | None) -> str:
        """The text of a localisable element in the descriptor's own language."""
        return self._strings.message(element)

    def verbatim(self, element: etree._Element | None) -> str:
        """The same as it stands."""
        return self._strings.verbatim(element)

    def translated(self, element: etree._Element | None, about: str) -> str:
        """What is said of a text, and that its translations go where it has some."""
        if element is None or not xml.attr(element, "msgid"):
            return about
        dropped = (
            "It has translations, which are dropped when it is changed: they were of the old text."
        )
        return f"{about} {dropped}".strip()

    def differing(self, machine: str, what: Callable[[Machine], str]) -> str:
        """What is shown of a machine where its deployment options differ: ``2 (large: 8)``; else ""."""
        if self.configuration is not None:
            return ""
        mine = {each.id: each for each in self.appliance.machines}.get(machine)  # type: ignore[call-overload]
        if mine is None:
            return ""
        usual = what(mine)
        other = []
        for option, appliance in self.others.items():
            found = next((each for each in appliance.machines if each.id == machine), None)
            if found is not None and what(found) != usual:
                other.append(f"{option}: {what(found)}")
        return f"{usual} ({', '.join(other)})" if other else ""
