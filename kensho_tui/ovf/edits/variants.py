"""Items of a deployment option: which ones an edit is for, and what becomes of the others (DSP0243 2.1.1 §9.8).

An Item that is bound to options replaces the plain one of its id in those. So an edit for one option
makes that option a copy of its own, and the others keep what they had.
"""

from collections.abc import Sequence
from copy import deepcopy

from lxml import etree

from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.tree import options, put, removed


def check_option(envelope: Envelope, configuration: str | None) -> None:
    """Raise `DescriptorError` if there is no such deployment option; None is all of them."""
    known = [each.id for each in envelope.configurations]
    if configuration is not None and configuration not in known:
        raise DescriptorError(
            f"there is no deployment option '{configuration}'",
            subject=envelope.subject,
            remedy=f"Known are: {', '.join(known)}" if known else "It has none",
        )


def variants(
    items: Sequence[etree._Element], configuration: str | None
) -> Sequence[etree._Element]:
    """The Items to edit: all of them, or that of the option, which is made where it has none of its own.

    Args: items: all of one id, or of one kind that a machine has once; at least one.
    """
    if configuration is None:
        return items
    own = [each for each in items if configuration in options(each)]
    if own and options(own[0]) == [configuration]:
        return own[:1]
    if own:
        # It is that of others too: those keep it.
        made = copied(own[0], configuration)
        put(own[0], "configuration", " ".join(o for o in options(own[0]) if o != configuration))
        return [made]
    plain = [each for each in items if not options(each)]
    return [copied((plain or list(items))[0], configuration)]


def copied(item: etree._Element, configuration: str) -> etree._Element:
    """A copy behind the Item, for one deployment option: it replaces the plain one of the same id."""
    copy = deepcopy(item)
    item.addnext(copy)
    put(copy, "configuration", configuration)
    return copy


def without(envelope: Envelope, items: Sequence[etree._Element], configuration: str | None) -> None:
    """Take the Items away, from all options or from one: the others keep what they had."""
    if configuration is None:
        for each in items:
            removed(each)
        return
    others = [each.id for each in envelope.configurations if each.id != configuration]
    bound = {option for each in items for option in options(each)}
    for each in items:
        named = options(each)
        # The plain one stays for the options that have none of their own.
        stays = (
            [o for o in named if o != configuration] if named
            else [o for o in others if o not in bound]
        )  # fmt: skip
        if not stays:
            removed(each)
        elif stays != named:
            put(each, "configuration", " ".join(stays))
