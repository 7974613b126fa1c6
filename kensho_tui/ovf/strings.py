"""Texts of a descriptor in the language of choice: message bundles (DSP0243 2.1.1 §10)."""

from collections.abc import Mapping

from lxml import etree

from kensho_tui.ovf import xml
from kensho_tui.ovf.names import XML

_DEFAULT = "en-US"  # of texts that do not say (§10)


class Strings:
    """The message bundles of a descriptor: those that stand in it, and those in files of their own.

    A message is looked for in the bundle of the wanted language, then of the same language in
    another country; then the element's own text holds; where that is empty, any bundle helps.
    """

    def __init__(
        self,
        root: etree._Element,
        locale: str = "",
        external: Mapping[str, etree._Element] | None = None,
        texts: Mapping[str, str] | None = None,
    ) -> None:
        """Args:
        root: the Envelope.
        locale: wanted language (``de-DE``); "" the descriptor's own.
        external: bundles that were read from files, by the id of the file.
        texts: of messages that are plain files (OVF 2), by the id of the file.
        """
        bundles: list[tuple[str, dict[str, str]]] = []
        self.unread: list[str] = []  # languages whose bundle is a file that was not read
        own = root.get(f"{{{XML}}}lang", _DEFAULT)
        languages = [own]
        for element in xml.children(root, "Strings"):
            file = xml.attr(element, "fileRef")
            bundle = element if not file else (external or {}).get(file)
            named = [each for each in (element, bundle) if each is not None]
            language = next(filter(None, (each.get(f"{{{XML}}}lang") for each in named)), _DEFAULT)
            if bundle is None:
                self.unread.append(language)
                continue
            languages.append(language)
            messages = {
                xml.attr(message, "msgid") or "": (texts or {}).get(
                    xml.attr(message, "fileRef") or "", xml.text(message)
                )
                for message in xml.children(bundle, "Msg")
            }
            bundles.append((languages[-1].lower(), messages))
        self.languages = tuple({each.lower(): each for each in reversed(languages)}.values())[::-1]
        wanted = (locale or own).lower()
        self._wanted = [m for name, m in bundles if name == wanted]
        self._wanted += [
            m for name, m in bundles if name != wanted and _language(name) == _language(wanted)
        ]
        self._any = [m for _, m in bundles]
        fitting = [each for each in self.languages if each.lower() == wanted]
        fitting += [each for each in self.languages if _language(each.lower()) == _language(wanted)]
        self.language = (fitting or [own])[0]

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


def _language(name: str) -> str:
    """The language of ``de-AT``, whatever the country: ``de``."""
    return name.partition("-")[0]
