"""What a package promises about its files, and whether it is kept: findings, before a disk is read."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from kensho_tui.findings import Finding, Severity
from kensho_tui.ovf import manifest
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import ManifestError
from kensho_tui.ovf.manifest import Manifest
from kensho_tui.ovf.members import Place, chunks, unsafe, whole

Integrity = Literal["require", "warn", "off"]


def shape(path: Path, places: Mapping[str, Place], names: list[str]) -> list[Finding]:
    """What is odd about an archive: several descriptors, their place, a signature."""
    found = []
    if len(names) > 1:
        found.append(Finding("descriptors-several", Severity.WARNING,
            f"The archive holds {len(names)} descriptors; '{names[0]}' is taken.",
            subject=path.name, clause="DSP0243 2.1.1 §5.3"))  # fmt: skip
    elif next(iter(places)) != names[0]:
        found.append(Finding("descriptor-not-first", Severity.INFO,
            "The descriptor is not the first member of the archive.",
            subject=path.name, clause="DSP0243 2.1.1 §5.3"))  # fmt: skip
    if any(name.lower().endswith(".cert") for name in places):
        found.append(Finding("signature-unchecked", Severity.INFO,
            "The package is signed; the signature is not checked.", subject=path.name))  # fmt: skip
    return found


def references(
    envelope: Envelope, places: Mapping[str, Place], linked: Collection[str] = ()
) -> list[Finding]:
    """Whether every file of the References is there, as long as it says, and in the package.

    ``linked``: names in the folder that are symbolic links.
    """
    found = []
    for file in envelope.files:
        name = file.href.removeprefix("./")
        place = places.get(name) or places.get(unquote(name))
        if unsafe(name):
            found.append(Finding("href-outside", Severity.ERROR,
                f"The descriptor refers to {unsafe(name)}; only files of the package are read.",
                subject=file.href, clause="DSP0243 2.1.1 §7.1", line=file.line))  # fmt: skip
        elif place is None and {name, unquote(name)} & set(linked):
            found.append(Finding("member-link", Severity.ERROR,
                "The file is a symbolic link, which is not followed.", subject=file.href,
                remedy="Put the file itself in its place.",
                clause="DSP0243 2.1.1 §7.1", line=file.line))  # fmt: skip
        elif place is None and not (file.chunk_size and chunks(name, places)):
            found.append(Finding("member-missing", Severity.ERROR,
                "The file is not in the package.", subject=file.href,
                remedy="Get the complete package.", clause="DSP0243 2.1.1 §7.1",
                line=file.line))  # fmt: skip
        elif place is not None and file.size is not None and file.size != place.size:
            found.append(Finding("size-differs", Severity.WARNING,
                f"The descriptor says {file.size} bytes, the file has {place.size}.",
                subject=file.href, clause="DSP0243 2.1.1 §7.1", line=file.line))  # fmt: skip
    return found


def promised_by(
    path: Path,
    places: Mapping[str, Place],
    descriptor: str,
    integrity: Integrity,
    *,
    archived: bool,
) -> tuple[Manifest | None, list[Finding]]:
    """The package's manifest; one of an archive may have any name, one of a folder has the .ovf's."""
    wanted = f"{Path(descriptor).stem}.mf".lower()
    names = [n for n in places if n.lower() == wanted or (archived and n.lower().endswith(".mf"))]
    if integrity == "off":
        return None, []
    if not names:
        return None, [
            Finding("manifest-missing", Severity.WARNING,
                    "The package has no manifest: nothing tells whether its files are intact.",
                    subject=path.name, clause="DSP0243 2.1.1 §6.2")
        ]  # fmt: skip
    try:
        data = whole(places[names[0]], manifest.MAX_BYTES, f"{path.name}: {names[0]}")
        return manifest.parse(data, f"{path.name}: {names[0]}"), []
    except ManifestError as error:
        return None, [
            Finding("manifest-unreadable", _weight(integrity), f"{_sentence(error.what)}.",
                    subject=names[0], clause="DSP0243 2.1.1 §6.2",
                    remedy="Get the package again, or leave the manifest unread (integrity off).")
        ]  # fmt: skip


def kept(
    promised: Manifest | None,
    places: Mapping[str, Place],
    descriptor: str,
    data: bytes,
    integrity: Integrity,
    covered: Sequence[str],
    referred: Collection[str] = (),
) -> list[Finding]:
    """What the manifest promises against what is there; the descriptor's digest among it.

    Args:
        descriptor: name of the descriptor, and ``data`` the bytes of it that are parsed.
        covered: names that a manifest has to list.
        referred: names that the descriptor refers to, of which `references` has spoken.
    """
    if promised is None:
        return []
    found = []
    for name, digest in promised.digests.items():
        if name not in places:
            if name in referred:
                continue  # said of the reference already
            found.append(Finding("manifest-lists-missing", _weight(integrity),
                "The manifest lists a file that is not in the package.", subject=name,
                remedy="Get the complete package.", clause="DSP0243 2.1.1 §6.2"))  # fmt: skip
        elif name == descriptor:
            actual = hashlib.new(digest.algorithm, data, usedforsecurity=False).hexdigest()
            if not digest.matches(actual):
                found.append(Finding("descriptor-damaged", _weight(integrity),
                    f"The descriptor does not match the manifest: {digest.algorithm} is {actual}, "
                    f"the manifest says {digest.value.hex()}.", subject=name,
                    remedy="Get the package again.", clause="DSP0243 2.1.1 §6.2"))  # fmt: skip
    for name in covered:
        if name not in promised.digests:
            found.append(Finding("manifest-incomplete", Severity.WARNING,
                "The manifest says nothing of this file.", subject=name,
                clause="DSP0243 2.1.1 §6.2"))  # fmt: skip
    if promised.weak:
        found.append(Finding("manifest-weak", Severity.INFO,
            "The manifest rests on SHA-1: it finds damage, but no deliberate change.",
            clause="DSP0243 2.1.1 §6.2"))  # fmt: skip
    return found


def _weight(integrity: Integrity) -> Severity:
    return Severity.ERROR if integrity == "require" else Severity.WARNING


def _sentence(clause: str) -> str:
    return clause[:1].upper() + clause[1:]
