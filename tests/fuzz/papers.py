"""What of a package is no disk, read from any bytes: descriptor, texts, archive, manifest, certificate."""

import io
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from kensho_tui.errors import KenshoError
from kensho_tui.ovf import manifest, revoked, rules, signature
from kensho_tui.ovf.convert import convert
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.package import open_package
from kensho_tui.ovf.trust import Trust
from tests.unit.ovf.certificates import authority, publisher
from tests.unit.ovf.test_edits import shop
from tests.unit.ovf.test_revoked import revoked_list
from tests.unit.ovf.test_strings import GERMAN

_NOW = datetime.now(UTC)
_MANIFEST = b"SHA256(a.ovf)= " + b"0" * 64 + b"\n"


@dataclass(frozen=True)
class Part:
    """One kind of file: what is done with it, and files to begin with."""

    look: Callable[[bytes], None]
    seeds: Mapping[str, bytes]


def _descriptor(data: bytes) -> None:
    try:
        envelope = Envelope.parse(data)
        for configuration in (None, *(each.id for each in envelope.configurations[:4])):
            envelope.appliance(configuration, locale="de")
        rules.inspect(envelope)
        rules.fix(envelope)
        Envelope.parse(envelope.save())
    except KenshoError:
        pass


def _bundle(data: bytes) -> None:
    envelope = Envelope.parse(shop())
    try:
        envelope.take_bundle("de", data, "")
    except KenshoError:
        return
    envelope.appliance(locale="de")


def _manifest(data: bytes) -> None:
    with suppress(KenshoError):
        manifest.parse(data)


def _converted(data: bytes) -> None:
    for version in ("2.0", "1.1"):
        try:
            made = convert(data, version, recover=True)
        except KenshoError:
            continue
        # What was written is read again, and nothing is left to be said of its version.
        again = convert(made.data, version)
        assert not again.lost, (version, again.lost)


def _revocations(data: bytes) -> None:
    try:
        found = revoked.parse(data)
    except KenshoError:
        return
    chain = [publisher().certificate]
    revoked.revocation(chain, [authority().certificate], [found], _NOW)


def _certificate(data: bytes) -> None:
    found = signature.origin(
        data, _MANIFEST, "a.mf", trust=Trust((authority().certificate,), ""), now=_NOW
    )
    # Nothing that a fuzzer changes in it leaves the author proven by another signature.
    if found.proven and found.signer is not None and found.signer.name != "Publisher Ltd":
        raise AssertionError(found)


class _Files:
    """A package as a file, which is written anew each time."""

    def __init__(self, name: str) -> None:
        self._path = Path(tempfile.mkdtemp(prefix="kensho-fuzz-", dir=_memory())) / name

    def __call__(self, data: bytes) -> None:
        self._path.write_bytes(data)
        with suppress(KenshoError):
            open_package(self._path).appliance()


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _members() -> dict[str, bytes]:
    from tests.unit.ovf.test_package import manifest as promised
    from tests.unit.ovf.test_signature import signed

    members = {"a.ovf": shop(), "d.vmdk": b"0123456789"}
    members["a.mf"] = promised(members)
    members["a.cert"] = signed(publisher(), members["a.mf"])
    return members


def _archives() -> dict[str, bytes]:
    found = {}
    for name, form in (
        ("ustar", tarfile.USTAR_FORMAT),
        ("gnu", tarfile.GNU_FORMAT),
        ("pax", tarfile.PAX_FORMAT),
    ):
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w", format=form) as tar:
            for member, data in _members().items():
                info = tarfile.TarInfo(member)
                info.size = len(data)
                if form == tarfile.PAX_FORMAT:
                    info.pax_headers = {"comment": "x"}
                tar.addfile(info, io.BytesIO(data))
        found[name] = made.getvalue()
    return found


def _zip() -> dict[str, bytes]:
    found = {}
    for name, way in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", way) as file:
            for member, data in _members().items():
                file.writestr(member, data)
        found[name] = made.getvalue()
    return found


def parts() -> dict[str, Part]:
    """All of them, by name."""
    members = _members()
    return {
        "descriptor": Part(_descriptor, {"shop": shop()}),
        "convert": Part(_converted, {"shop": shop(), "new": convert(shop(), "2.0").data}),
        "revocations": Part(
            _revocations, {"one": revoked_list(authority(), publisher()).public_bytes(Encoding.DER)}
        ),
        "texts": Part(_bundle, {"german": GERMAN.encode()}),
        "manifest": Part(_manifest, {"two": members["a.mf"]}),
        "certificate": Part(_certificate, {"publisher": members["a.cert"]}),
        "archive": Part(_Files("a.ova"), _archives()),
        "zip": Part(_Files("a.zip"), _zip()),
    }
