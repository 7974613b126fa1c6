"""A package as an editor shows it: nodes with fields and actions, and the changes that answers make.

Nothing of it is XML to whoever shows it, and nothing of it knows how it is shown.
"""

from kensho_tui.ovf.outline.nodes import Action, Field, Kind, Made, Node
from kensho_tui.ovf.outline.outline import Outline
from kensho_tui.ovf.outline.words import words

__all__ = ["Action", "Field", "Kind", "Made", "Node", "Outline", "words"]
