"""Children in the order that the schema has them (DSP8023); comments stay with what they stand before."""

from collections.abc import Callable

from lxml import etree

from kensho_tui.ovf import xml

Rank = Callable[[etree._Element], tuple[int, str]]


def arrange(parent: etree._Element, rank: Rank) -> None:
    """Bring the child elements into the order of their ranks; those of one rank stay as they are.

    White space belongs to places, and not to what stands there: indentation stays.
    """
    groups: list[list[etree._Element]] = [[]]
    for node in parent:
        groups[-1].append(node)
        if isinstance(node.tag, str):
            groups.append([])
    end = groups.pop()  # comments behind the last element
    ranks = [rank(group[-1]) for group in groups]
    if ranks == sorted(ranks):
        return
    order = sorted(range(len(groups)), key=lambda number: ranks[number])
    nodes = [node for number in order for node in groups[number]] + end
    tails = [node.tail for node in parent]
    plain = not any(tail and tail.strip() for tail in tails)
    for node in list(parent):
        parent.remove(node)
    for node, tail in zip(nodes, tails, strict=True):
        if plain:
            node.tail = tail
        parent.append(node)


def by_kind(*kinds: str | tuple[str, ...], others: int | None = None) -> Rank:
    """Kinds in this order (those of a tuple in one place); all others at ``others``, else behind them."""
    places = {
        kind: number
        for number, each in enumerate(kinds)
        for kind in ((each,) if isinstance(each, str) else each)
    }
    rest = len(kinds) if others is None else others
    return lambda element: (places.get(xml.kind(element), rest), "")


def alphabetical(space: str) -> Rank:
    """Properties of that namespace by the alphabet, as CIM's schemas have them; all others behind them."""

    def rank(element: etree._Element) -> tuple[int, str]:
        own = xml.namespace(element) == space
        return (0, xml.local(element)) if own else (1, "")

    return rank
