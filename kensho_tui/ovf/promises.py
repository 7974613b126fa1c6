"""What a package promises about its files, and whether it is kept: findings, before a disk is read."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from kensho_tui.findings import Finding, Severity
from kensho_tui.ovf import manifest, signature
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import ManifestError
from kensho_tui.ovf.manifest import Manifest
from kensho_tui.ovf.members import Place, chunks, unsafe, whole
from kensho_tui.ovf.revoked import Revocation
from kensho_tui.ovf.signature import Origin, State
from kensho_tui.ovf.trust import Chain

Integrity = Literal["require", "warn", "off"]


@dataclass(frozen=True)
class Papers:
    """What a package says of itself as files.

    Attributes:
        manifest: what it promises; None where there is none or it cannot be read.
        name: of the manifest; "" where there is none.
        data: the manifest's bytes, as they were parsed; None as ``manifest``.
        certificate_name: of the certificate file; "" where there is none.
        certificate: its bytes.
    """

    manifest: Manifest | None = None
    name: str = ""
    data: bytes | None = None
    certificate_name: str = ""
    certificate: bytes | None = None


def shape(file: str, places: Mapping[str, Place], names: list[str]) -> list[Finding]:
    """What is odd about an archive: several descriptors, their place."""
    found = []
    if len(names) > 1:
        found.append(Finding("descriptors-several", Severity.WARNING,
            f"The archive holds {len(names)} descriptors; '{names[0]}' is taken.",
            subject=file, clause="DSP0243 2.1.1 §5"))  # fmt: skip
    elif next(iter(places)) != names[0]:
        found.append(Finding("descriptor-not-first", Severity.INFO,
            "The descriptor is not the first member of the archive.",
            subject=file, clause="DSP0243 2.1.1 §5"))  # fmt: skip
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


def papers_of(
    file: str,
    places: Mapping[str, Place],
    descriptor: str,
    integrity: Integrity,
    *,
    archived: bool,
) -> tuple[Papers, list[Finding]]:
    """The package's manifest and certificate file.

    Those of an archive may have any name, those of a folder have the descriptor's.
    """
    if integrity == "off":
        return Papers(), []
    name = _paper(places, descriptor, ".mf", archived=archived)
    certificate = _paper(places, descriptor, ".cert", archived=archived)
    signed = Papers()
    if certificate:
        data = whole(places[certificate], signature.MAX_BYTES, f"{file}: {certificate}")
        signed = Papers(certificate_name=certificate, certificate=data)
    if not name:
        return signed, [
            Finding("manifest-missing", Severity.WARNING,
                    "The package has no manifest: nothing tells whether its files are intact.",
                    subject=file, clause="DSP0243 2.1.1 §5.1")
        ]  # fmt: skip
    try:
        data = whole(places[name], manifest.MAX_BYTES, f"{file}: {name}")
        parsed = manifest.parse(data, f"{file}: {name}")
        return replace(signed, manifest=parsed, name=name, data=data), []
    except ManifestError as error:
        return signed, [
            Finding("manifest-unreadable", _weight(integrity), f"{_sentence(error.what)}.",
                    subject=name, clause="DSP0243 2.1.1 §5.1",
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
    *,
    unlisted: Severity = Severity.WARNING,
) -> list[Finding]:
    """What the manifest promises against what is there; the descriptor's digest among it.

    Args:
        descriptor: name of the descriptor, and ``data`` the bytes of it that are parsed.
        covered: names that a manifest has to list.
        referred: names that the descriptor refers to, of which `references` has spoken.
        unlisted: how much a file weighs that the manifest says nothing of.
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
                remedy="Get the complete package.", clause="DSP0243 2.1.1 §5.1"))  # fmt: skip
        elif name == descriptor:
            actual = hashlib.new(digest.algorithm, data, usedforsecurity=False).hexdigest()
            if not digest.matches(actual):
                found.append(Finding("descriptor-damaged", _weight(integrity),
                    f"The descriptor does not match the manifest: {digest.algorithm} is {actual}, "
                    f"the manifest says {digest.value.hex()}.", subject=name,
                    remedy="Get the package again.", clause="DSP0243 2.1.1 §5.1"))  # fmt: skip
    for name in covered:
        if name not in promised.digests:
            found.append(Finding("manifest-incomplete", unlisted,
                "The manifest says nothing of this file.", subject=name,
                clause="DSP0243 2.1.1 §5.1"))  # fmt: skip
    if promised.weak:
        found.append(Finding("manifest-weak", Severity.INFO,
            "The manifest rests on SHA-1: it finds damage, but no deliberate change.",
            clause="DSP0243 2.1.1 §5.1"))  # fmt: skip
    return found


def _paper(places: Mapping[str, Place], descriptor: str, ending: str, *, archived: bool) -> str:
    """The name of the manifest or certificate file; "" where there is none."""
    wanted = f"{Path(descriptor).stem}{ending}".lower()
    fitting = [name for name in places if name.lower() == wanted]
    if archived and not fitting:
        fitting = [name for name in places if name.lower().endswith(ending)]
    return fitting[0] if fitting else ""


def signed(
    origin: Origin, papers: Papers, integrity: Integrity, required: str = ""
) -> list[Finding]:
    """What there is to say of the signature.

    Args:
        required: by whom the package has to be signed, in words; "" where it need not be.
    """
    name = papers.certificate_name
    clause = "DSP0243 2.1.1 §5.1"
    weak = papers.manifest is not None and papers.manifest.weak
    if required and (weak or not origin.proven):
        why = (
            "its manifest rests on SHA-1, which can be forged"
            if origin.proven
            else _unproven(origin)
        )
        return [
            Finding("signature-required", Severity.ERROR,
                    f"The package is not signed by {required}: {why}.", subject=name, clause=clause,
                    remedy="Get the package from its author, or do not ask for that signer.")
        ]  # fmt: skip
    match origin.state:
        case State.NONE:
            return []
        case State.UNREADABLE:
            said = f"The signature cannot be checked: {origin.why}."
            return [Finding("signature-unreadable", Severity.WARNING, said, name, clause=clause)]
        case State.WRONG:
            return [
                Finding("signature-wrong", _weight(integrity), f"The signature is wrong: {origin.why}.",
                        name, "Get the package again from its author.", clause)
            ]  # fmt: skip
    signer = origin.signer.name if origin.signer else ""
    if origin.proven:
        return [Finding("signature-right", Severity.INFO, f"Signed by {signer}; "
                        f"{words(origin)}.", name, clause=clause)]  # fmt: skip
    if origin.revocation is Revocation.REVOKED:
        return [
            Finding("signature-revoked", Severity.WARNING, f"Signed by {signer}, which does not count"
                    f" any more: {origin.revoked_why}.", name,
                    "Ask its author for a package that is signed anew.", clause)
        ]  # fmt: skip
    return [
        Finding("signature-unproven", Severity.INFO, f"Signed by {signer}, which proves no author: "
                f"{_unproven(origin)}.", name, clause=clause)
    ]  # fmt: skip


def words(origin: Origin) -> str:
    """Who answers for the signer, as a clause."""
    match origin.chain:
        case Chain.NAMED:
            return f"its certificate is one of {origin.trusted_by}"
        case Chain.TRUSTED:
            return f"{origin.trusted_by} answer for it"
        case Chain.SELF_SIGNED:
            return "the signer alone answers for itself"
    return origin.chain_why or "an authority answers for it that is not trusted here"


def _unproven(origin: Origin) -> str:
    if origin.state is State.NONE:
        return "it carries no signature"
    if origin.state is not State.RIGHT:
        return origin.why
    said = []
    if origin.chain not in {Chain.NAMED, Chain.TRUSTED}:
        said.append(words(origin))
    if not origin.in_time and origin.signer is not None:
        since, until = origin.signer.since.date(), origin.signer.until.date()
        said.append(f"its certificate is valid from {since} to {until} only")
    if origin.revocation is Revocation.REVOKED:
        said.append(origin.revoked_why)
    if origin.weak:
        said.append(f"the signature rests on {origin.weak}, which can be forged")
    return "; ".join(said)


def _weight(integrity: Integrity) -> Severity:
    return Severity.ERROR if integrity == "require" else Severity.WARNING


def _sentence(clause: str) -> str:
    return clause[:1].upper() + clause[1:]
