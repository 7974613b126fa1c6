"""What an editor shows of a package: nodes with fields, each with what an answer does to the descriptor."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from lxml import etree

from kensho_tui.ovf import xml
from kensho_tui.ovf.editing import Change


class Kind(StrEnum):
    """How a field is answered."""

    TEXT = "text"
    LINES = "lines"  # a text of several lines
    CHOICE = "choice"
    FLAG = "flag"  # "yes" or "no"
    PATH = "path"  # of a file on this computer


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that a node says.

    Attributes:
        value: as it is edited.
        shown: as it is shown, where that is another text.
        choices: values that can be chosen, each with how it is shown.
        about: what it means and what it takes, in a sentence or two.
        fixed: why it cannot be edited here; "" where it can.
        change: from an answer to the change; may raise `DescriptorError` at once.
        options: whether a deployment option may have its own.
    """

    id: str
    label: str
    value: str = ""
    kind: Kind = Kind.TEXT
    choices: tuple[tuple[str, str], ...] = ()
    about: str = ""
    fixed: str = ""
    change: Callable[[str], Change] | None = None
    options: bool = False
    shown: str = ""

    @property
    def text(self) -> str:
        """The value as it is shown."""
        return self.shown or dict(self.choices).get(self.value, self.value)


@dataclass(frozen=True, slots=True)
class Made:
    """What an action does: changes, made as one, and files that come into the package, by their names there."""

    changes: tuple[Change, ...]
    files: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Action:
    """Something that can be put into the package.

    Attributes:
        asks: what has to be known, answered together.
        make: from the answers, by the fields' ids, to what is done; may raise `KenshoError`.
    """

    id: str
    label: str
    asks: tuple[Field, ...]
    make: Callable[[Mapping[str, str]], Made]
    about: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """One thing of the package.

    Attributes:
        id: stays the same as long as the thing is there.
        noun: what kind of thing it is, for sentences.
        detail: what it is, in few words.
        lines: where it stands in the descriptor, first and last lines.
        actions: what can be put into it.
        remove: takes it out; None where it stays.
        stays: why it cannot be taken out.
    """

    id: str
    label: str
    noun: str = ""
    detail: str = ""
    about: str = ""
    fields: tuple[Field, ...] = ()
    actions: tuple[Action, ...] = ()
    remove: Change | None = None
    stays: str = ""
    children: tuple["Node", ...] = ()
    lines: tuple[tuple[int, int], ...] = ()

    def walk(self) -> Iterator["Node"]:
        """This node and all under it, in order."""
        yield self
        for each in self.children:
            yield from each.walk()


def lines_of(*elements: etree._Element | None) -> tuple[tuple[int, int], ...]:
    """Where elements stand: first and last line of each."""
    found = []
    for each in elements:
        first = None if each is None else xml.line(each)
        if each is not None and first is not None:
            found.append((first, max(xml.line(e) or first for e in each.iter())))
    return tuple(found)


def flag(value: bool) -> str:
    """``yes`` or ``no``."""
    return "yes" if value else "no"


def yes(answer: str) -> bool:
    """Whether the answer to a flag is yes."""
    return answer == "yes"
