"""Who is believed about who signed: certificates of authorities and of publishers, and chains to them."""

import os
import ssl
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from kensho_tui.ovf.errors import SignatureError
from kensho_tui.ovf.revoked import SUFFIX, Verdict, read_lists, revocation
from kensho_tui.ovf.x509_files import UNREADABLE, read_file
from kensho_tui.paths import config_dir

_MAX_BYTES = 8 << 20
# Where systems keep the authorities in one file; Python's own default is often another one.
_SYSTEM_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_OWN_FOLDER = "trust"
_CERTIFICATES = (".pem", ".crt", ".cer")


class Chain(StrEnum):
    """Who answers for a signer."""

    NAMED = "named"  # the signer's certificate is itself one of those that are trusted
    TRUSTED = "trusted"  # an authority that is trusted, maybe through others
    SELF_SIGNED = "self-signed"  # the signer alone
    UNKNOWN = "unknown"  # an authority that is not trusted, or a chain with a gap


def _is_authority(policy: object, certificate: object, found: x509.BasicConstraints) -> None:
    if not found.ca:
        raise ValueError("a certificate is used as an authority's that is none")


def _may_sign(policy: object, certificate: object, found: x509.KeyUsage | None) -> None:
    if found is not None and not found.key_cert_sign:
        raise ValueError("a certificate is used as an authority's that may not sign others")


# As OpenSSL has it: an authority that does not say what its key is for may use it for what it is.
_AUTHORITY = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_authority)
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_sign)
)


@dataclass(frozen=True)
class Trust:
    """Certificates that are trusted.

    Attributes:
        certificates: of authorities, or of signers themselves.
        name: how the operator knows them, for what is said of a chain.
        lists: of certificates that authorities have revoked.
    """

    certificates: tuple[x509.Certificate, ...]
    name: str
    lists: tuple[x509.CertificateRevocationList, ...] = ()

    @classmethod
    def of_files(cls, paths: Iterable[Path], name: str = "") -> "Trust":
        """The certificates of PEM files, and of all ``.pem``, ``.crt`` and ``.cer`` files in folders.

        Files that end in ``.crl``, by themselves or in those folders, are lists of revoked ones.

        Raises: SignatureError: a file holds none. FileError: it cannot be read.
        """
        listed = list(paths)
        found: list[x509.Certificate] = []
        lists: list[Path] = []
        for path in listed:
            if path.is_dir():
                for file in _in_folder(path, *_CERTIFICATES):
                    found += _read(file)
                lists += _in_folder(path, SUFFIX)
            elif path.suffix.lower() == SUFFIX:
                lists.append(path)
            else:
                found += _read(path)
        named = name or ", ".join(str(each) for each in listed)
        return cls(tuple(found), named, read_lists(lists))

    @classmethod
    def usual(cls) -> "Trust":
        """The system's authorities and what the operator put into ``trust/`` beside the connection book."""
        own = config_dir() / _OWN_FOLDER
        named = [os.environ.get("SSL_CERT_FILE") or "", ssl.get_default_verify_paths().cafile or ""]
        system = next(
            (p for p in map(Path, [*named, *_SYSTEM_FILES]) if str(p) != "." and p.is_file()), None
        )
        found = _read(system) if system is not None else []
        mine = cls.of_files([own]) if own.is_dir() else cls((), "")
        name = "the authorities of this system"
        return cls((*found, *mine.certificates), name, mine.lists)

    def chain(
        self, signer: x509.Certificate, others: Sequence[x509.Certificate], now: datetime
    ) -> tuple[Chain, str]:
        """Who answers for the signer, at a time at which its own certificate holds.

        That it holds *now* is another question, answered by its dates.

        Args:
            others: certificates of authorities that came with it.

        Returns: that, and why a trusted authority that is named as an issuer does not; "" mostly.
        """
        if signer in self.certificates:
            return Chain.NAMED, ""
        at = min(max(now.astimezone(UTC), signer.not_valid_before_utc), signer.not_valid_after_utc)
        said = ""
        if self.certificates:
            try:
                self._verify(signer, others, at)
            except (VerificationError, *UNREADABLE) as error:
                said = str(error)
            else:
                return Chain.TRUSTED, ""
        if signer.issuer == signer.subject:
            return Chain.SELF_SIGNED, ""
        return Chain.UNKNOWN, self._why([signer, *others], said)

    def _why(self, chain: Sequence[x509.Certificate], said: str) -> str:
        """Why the chain does not hold, where an authority that it names is trusted."""
        issuers = {each.issuer for each in chain}
        named = next((each for each in self.certificates if each.subject in issuers), None)
        if named is None:
            return ""
        known = named.subject.rfc4514_string()
        if any(each.version is not x509.Version.v3 for each in chain):
            return f"{known} is trusted, but a certificate under it is not of version 3"
        reason = said.split(" (encountered")[0].rsplit("exhausted: ", 1)[-1]
        return f"{known} is trusted, but the certificates do not hold together: {reason}"

    def revoked(
        self, signer: x509.Certificate, others: Sequence[x509.Certificate], now: datetime
    ) -> Verdict:
        """Whether the signer's certificate, or one that came with it, was revoked, as far as is known."""
        return revocation([signer, *others], [*others, *self.certificates], self.lists, now)

    def _verify(
        self, signer: x509.Certificate, others: Sequence[x509.Certificate], at: datetime
    ) -> None:
        # What a signer's certificate is for is told, not required: publishers sign with what they have.
        PolicyBuilder().store(Store(list(self.certificates))).time(at).extension_policies(
            ca_policy=_AUTHORITY, ee_policy=ExtensionPolicy.permit_all()
        ).build_client_verifier().verify(signer, list(others))


def _in_folder(folder: Path, *suffixes: str) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in suffixes)


def _read(path: Path) -> list[x509.Certificate]:
    data = read_file(path, _MAX_BYTES)
    try:
        with warnings.catch_warnings():
            # Some authorities of old have serial numbers that RFC 5280 does not allow.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return x509.load_pem_x509_certificates(data)
    except UNREADABLE as error:
        raise SignatureError(
            "the file holds no certificate",
            subject=str(path),
            remedy="Give certificates in PEM form ('-----BEGIN CERTIFICATE-----')",
        ) from error
