"""Texts in several languages (DSP0243 2.1.1 §10)."""

import re
from collections.abc import Mapping

from lxml import etree

from kensho_tui.ovf import names as n
from kensho_tui.ovf import xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.tree import appended, drop, free, named, put, removed

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
        bundle = next(
            (each for each in bundles(envelope, language) if not xml.attr(each, "fileRef")), None
        )
        if bundle is None:
            bundle = etree.Element(named(envelope.root, "Strings"))
            bundle.set(f"{{{n.XML}}}lang", language)
            last = list(envelope.root)[-1]
            bundle.tail, last.tail = last.tail, envelope.root.text
            envelope.root.append(bundle)
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
            there = [each for each in xml.children(bundle, "Msg") if xml.attr(each, "msgid") == key]
            message = there[0] if there else appended(bundle, "Msg")
            put(message, "msgid", key)
            message.text = xml.printable(translation)

    return change


def bundles(envelope: Envelope, language: str) -> list[etree._Element]:
    """The message bundles of that language, in the descriptor or as references to files."""
    return [
        each
        for each in envelope.sections("Strings")
        if each.get(f"{{{n.XML}}}lang", "en-US").lower() == language.lower()
    ]


def _own_bundles(envelope: Envelope, language: str) -> list[etree._Element]:
    found = bundles(envelope, language)
    if not found:
        raise DescriptorError(f"the package has no texts in '{language}'", subject=envelope.subject)
    own = [each for each in found if not xml.attr(each, "fileRef")]
    if not own:
        raise DescriptorError(
            f"the texts in '{language}' are in a file of their own",
            subject=envelope.subject,
            remedy="Edit that file, and put it into the package again",
        )
    return own


def set_message(language: str, msgid: str, text: str) -> Change:
    """Another translation, by its id.

    Raises (when applied): DescriptorError: no such language or id, or it is in a file of its own.
    """

    def change(envelope: Envelope) -> None:
        for bundle in _own_bundles(envelope, language):
            for message in xml.children(bundle, "Msg"):
                if xml.attr(message, "msgid") == msgid:
                    message.text = xml.printable(text)
                    return
        raise DescriptorError(f"'{language}' has no text '{msgid}'", subject=envelope.subject)

    return change


def remove_language(language: str) -> Change:
    """Take the texts of a language away; those in a file of their own go with `remove_file`.

    Raises (when applied): DescriptorError: there are none; or a text of the package is nowhere else.
    """

    def change(envelope: Envelope) -> None:
        gone = bundles(envelope, language)
        if not gone:
            _own_bundles(envelope, language)
        kept = {
            xml.attr(message, "msgid")
            for each in envelope.sections("Strings")
            if each not in gone
            for message in xml.children(each, "Msg")
        }
        for element in envelope.root.iter(etree.Element):
            key = xml.attr(element, "msgid")
            if key and xml.kind(element) != "Msg" and key not in kept:
                if not xml.text(element).strip():
                    raise DescriptorError(
                        f"a text of the package is in '{language}' alone (msgid '{key}')",
                        subject=envelope.subject,
                        remedy="Give it a text in the descriptor first",
                    )
                drop(element, "msgid")
        for each in gone:
            removed(each)

    return change
