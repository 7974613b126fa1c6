"""Texts of a descriptor in the language of choice: message bundles (DSP0243 2.1.1 §10)."""

from lxml import etree

from kensho_tui.ovf import xml
from kensho_tui.ovf.names import XML


class Strings:
    """The message bundles that stand in the descriptor itself.

    A message is looked for in the bundle of the wanted language, then of the same language in
    another country; then the element's own text holds; where that is empty, any bundle helps.
    """

    def __init__(self, root: etree._Element, locale: str = "") -> None:
        """Args: root: the Envelope. locale: wanted language (``de-DE``); "" the descriptor's own."""
        bundles: list[tuple[str, dict[str, str]]] = []
        self.external: list[str] = []  # languages whose bundle is a file of its own
        for element in xml.children(root, "Strings"):
            language = element.get(f"{{{XML}}}lang", "").lower()
            if xml.attr(element, "fileRef"):
                self.external.append(language)
                continue
            messages = {
                xml.attr(message, "msgid") or "": xml.text(message)
                for message in xml.children(element, "Msg")
            }
            bundles.append((language, messages))
        wanted = (locale or root.get(f"{{{XML}}}lang", "en-US")).lower()
        language = wanted.partition("-")[0]
        self._wanted = [m for name, m in bundles if name == wanted]
        self._wanted += [
            m for name, m in bundles if name != wanted and name.partition("-")[0] == language
        ]
        self._any = [m for _, m in bundles]

    def message(self, element: etree._Element | None) -> str:
        """The text of a localisable element, without white space around it; "" for no element."""
        return self.verbatim(element).strip()

    def verbatim(self, element: etree._Element | None) -> str:
        """The text of a localisable element as it stands: a licence is hashed as it is written."""
        if element is None:
            return ""
        own, key = xml.text(element), xml.attr(element, "msgid")
        if key:
            candidates = self._wanted if own.strip() else self._wanted + self._any
            for messages in candidates:
                if key in messages:
                    return messages[key]
        return own
