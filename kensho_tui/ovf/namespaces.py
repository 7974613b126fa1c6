"""A document in other namespaces, with every prefix as it was: only the declarations are written anew."""

import re
from collections.abc import Callable, Mapping

from lxml import etree

from kensho_tui.ovf import xml
from kensho_tui.ovf.errors import DescriptorError

# As lxml writes them: no "<" or ">" stands in an attribute's value.
_PIECE = re.compile(r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<[^<>]*>", re.DOTALL)
_DECLARATION = re.compile(r'(\sxmlns(?::[^\s="]+)?=")([^"]*)(")')


def declared(text: str) -> set[str]:
    """Names of all namespaces that are declared in a document as lxml writes it."""
    return {
        match[2]
        for piece in _PIECE.findall(text)
        if piece[1] not in "!?/"
        for match in _DECLARATION.finditer(piece)
    }


def moved(
    tree: etree._ElementTree, space: Callable[[str], str], prefixes: Mapping[str, str]
) -> etree._Element:
    """The document in other namespaces; lines, prefixes, order and comments stay.

    Args:
        space: from the name of a namespace to what it becomes.
        prefixes: namespaces by prefix that the root declares too, so that elements can be put into them.

    Raises: DescriptorError: an element has the same attribute in two namespaces that become one.
    """
    text = etree.tostring(tree, encoding="unicode")
    seen_root = False

    def changed(match: re.Match[str]) -> str:
        nonlocal seen_root
        piece = match[0]
        if piece[1] in "!?/":
            return piece
        piece = _DECLARATION.sub(lambda each: f"{each[1]}{space(each[2])}{each[3]}", piece)
        if not seen_root:
            seen_root = True
            piece = _with_prefixes(piece, prefixes)
        return piece

    try:
        return xml.read(_PIECE.sub(changed, text).encode()).root
    except DescriptorError as error:
        raise DescriptorError(
            f"it cannot be written in one namespace: {error.what}",
            remedy="Take out what stands there twice, in both versions of the standard",
        ) from error


def _with_prefixes(tag: str, prefixes: Mapping[str, str]) -> str:
    taken = {match[1].strip()[:-2]: match[2] for match in _DECLARATION.finditer(tag)}
    bound = {uri for name, uri in taken.items() if ":" in name}  # attributes need a prefix
    added = ""
    for prefix, uri in prefixes.items():
        if uri in bound:
            continue
        free = next(
            name
            for name in (prefix, *(f"{prefix}{i}" for i in range(2, 1 << 16)))
            if f"xmlns:{name}" not in taken
        )
        added += f' xmlns:{free}="{uri}"'
    end = "/>" if tag.endswith("/>") else ">"
    return tag.removesuffix(end).rstrip() + added + end
