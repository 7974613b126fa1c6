"""Texts in several languages (DSP0243 2.1.1 §10)."""

import re
from collections.abc import Mapping

from lxml import etree

from kensho_tui.ovf import names as n
from kensho_tui.ovf import xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.tree import appended, free, named, put

# What may have a text in each language.
_TRANSLATED = frozenset({
    "Label", "Description", "Category", "Product", "Vendor", "Annotation", "License", "Name", "Info",
})  # fmt: skip


def add_texts(language: str, texts: Mapping[str, str]) -> Change:
    """Translations of what the descriptor says, by the text that is translated (§10).

    Raises (when applied): DescriptorError: it says no such thing, or no such language exists.
    """
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", language):
        raise DescriptorError(f"'{language}' is no language", remedy="Write it like de or de-DE")

    def change(envelope: Envelope) -> None:
        said: dict[str, list[etree._Element]] = {}
        for each in envelope.root.iter():
            if xml.local(each) in _TRANSLATED:
                said.setdefault(xml.text(each).strip(), []).append(each)
        bundle = etree.Element(named(envelope.root, "Strings"))
        bundle.set(f"{{{n.XML}}}lang", language)
        taken = {xml.attr(each, "msgid") or "" for each in envelope.root.iter() if xml.local(each)}
        for text, translation in texts.items():
            found = said.get(text.strip(), [])
            if not found:
                raise DescriptorError(f"nothing in the package says '{text}'", subject=language)
            known = next((id_ for each in found if (id_ := xml.attr(each, "msgid"))), None)
            key = known or free("text", taken)
            taken.add(key)
            for each in found:
                put(each, "msgid", xml.attr(each, "msgid") or key)
            message = appended(bundle, "Msg")
            put(message, "msgid", key)
            message.text = xml.printable(translation)
        envelope.root.append(bundle)

    return change
