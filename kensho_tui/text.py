"""Text from outside (machine names, OVF texts, server messages) made fit for a terminal or a log."""

import re
import unicodedata

# Escape sequences first (CSI, OSC, two-character ones), so that their letters do not stay behind.
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_KEEP = frozenset("\n\t")


def plain(text: str, *, limit: int | None = None) -> str:
    """The text without escape sequences, control and bidirectional-override characters.

    Line breaks and tabs stay. ``limit`` cuts to that many characters, the last one an ellipsis.
    The result may still hold ``[``: whoever gives it to a widget turns markup off.
    """
    text = _ESCAPE.sub("", text.replace("\r\n", "\n"))
    text = "".join(c for c in text if c in _KEEP or not _unfit(c))
    if limit is not None and len(text) > limit:
        text = text[: max(0, limit - 1)] + "…"
    return text


def plain_json(text: str) -> str:
    """JSON text that says the same and holds none of what `plain` removes: written as ``\\uXXXX``."""
    return "".join(c if c in _KEEP or not _unfit(c) else _escaped(c) for c in text)


def _unfit(c: str) -> bool:
    return unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co"}


def _escaped(c: str) -> str:
    units = c.encode("utf-16-be", "surrogatepass")
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
