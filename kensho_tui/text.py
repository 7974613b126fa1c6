"""Text from outside (machine names, OVF texts, server messages) made fit for a terminal or a log."""

import re
import unicodedata

# Escape sequences first (CSI, OSC, two-character ones), so that their letters do not stay behind.
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_UNUSUAL = re.compile(r"[^ -~\n\t]")  # what has to be looked at: few characters of most texts


def plain(text: str, *, limit: int | None = None) -> str:
    """The text without escape sequences, control and bidirectional-override characters.

    Bytes of a name that are no UTF-8 are shown: ``\\xff``.
    Line breaks and tabs stay. ``limit`` cuts to that many characters, the last one an ellipsis.
    The result may still hold ``[``: whoever gives it to a widget turns markup off.
    """
    text = _ESCAPE.sub("", text.replace("\r\n", "\n"))
    text = _UNUSUAL.sub(lambda found: _shown(found[0]), text)
    if limit is not None and len(text) > limit:
        text = text[: max(0, limit - 1)] + "…"
    return text


def plain_json(text: str) -> str:
    """JSON text that says the same and holds none of what `plain` removes: written as ``\\uXXXX``.

    But bytes that are no UTF-8, which no JSON can say: they become the text ``\\xff``.
    """
    return _UNUSUAL.sub(lambda found: _escaped(found[0]) if _unfit(found[0]) else found[0], text)


def _shown(c: str) -> str:
    return _byte(c) if _unfit(c) else c


def _byte(c: str) -> str:
    """The byte of a name that is no UTF-8, which Python says as a lone surrogate (PEP 383); or ""."""
    return f"\\x{ord(c) - 0xDC00:02x}" if 0xDC80 <= ord(c) <= 0xDCFF else ""


def _unfit(c: str) -> bool:
    return unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co"}


def _escaped(c: str) -> str:
    if unicodedata.category(c) == "Cs":
        return f"\\{_byte(c)}" if _byte(c) else "\\ufffd"
    units = c.encode("utf-16-be")
    return "".join(f"\\u{units[n]:02x}{units[n + 1]:02x}" for n in range(0, len(units), 2))


def one_line(text: str, *, limit: int | None = None) -> str:
    """`plain` with every run of white space folded into one blank."""
    return plain(" ".join(plain(text).split()), limit=limit)


def shorten_middle(text: str, width: int) -> str:
    """The text in at most ``width`` characters, shortened in the middle: ``web…-prod``."""
    if len(text) <= width:
        return text
    if width < 3:
        return text[:width]
    head = (width - 1 + 1) // 2
    return text[:head] + "…" + text[len(text) - (width - 1 - head) :]
