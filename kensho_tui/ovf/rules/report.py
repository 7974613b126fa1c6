"""All rules on one descriptor, and the edits that mend what can be mended without a decision."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kensho_tui.findings import Finding
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.rules import hardware, storage, structure, texts
from kensho_tui.ovf.rules.walk import Noted, Walk

_REPAIRED = {
    "encoding-repaired": "The descriptor is written as UTF-8, and says so.",
    "prefix-undeclared": "The namespace prefix is declared.",
}
_NOTHING: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class Fixed:
    """One thing that was mended: the rule's id, the line it was on, and what was changed."""

    id: str
    message: str
    line: int | None = None


def inspect(envelope: Envelope, sizes: Mapping[str, int] = _NOTHING) -> list[Noted]:
    """What is not as the standard has it, in the order of the descriptor.

    Args:
        sizes: bytes of the package's files by href, as far as there are files.
    """
    walk = Walk(envelope, sizes)
    structure.rules(walk)
    storage.rules(walk)
    hardware.rules(walk)
    texts.rules(walk)
    return sorted(walk.notes, key=lambda each: each.finding.line or 0)


def merge(said: Iterable[Finding], more: Iterable[Finding]) -> list[Finding]:
    """Both, each thing once: what was said of the same line, or in the same words, stays unsaid."""
    found = list(dict.fromkeys(said))
    lines = {(each.id, each.line) for each in found if each.line is not None}
    words = {(each.id, each.message) for each in found}
    found += [
        each
        for each in dict.fromkeys(more)
        if (each.id, each.line) not in lines and (each.id, each.message) not in words
    ]
    return found


def fix(
    envelope: Envelope, sizes: Mapping[str, int] = _NOTHING, more: Iterable[Noted] = ()
) -> list[Fixed]:
    """Mend in the tree what can be mended safely; all else stays as it was written.

    Args:
        sizes: as of `inspect`.
        more: what else was found in this very tree, whose edits were asked for too.

    Safe is what changes no meaning: how a thing is spelled that everybody reads alike, and sizes that the
    files themselves tell. `Envelope.save` gives the new descriptor, in UTF-8.
    """
    if not envelope.editable:
        return []
    done = [
        Fixed(each.id, _REPAIRED[each.id], each.line)
        for each in envelope.findings
        if each.id in _REPAIRED
    ]
    for noted in [*inspect(envelope, sizes), *more]:
        if noted.mend is not None:
            done.append(Fixed(noted.finding.id, noted.mend(), noted.finding.line))
    if done:
        envelope.touched()
    return done
