"""Lists of revoked certificates (RFC 5280 §5): whether a signer's, or one above it, was taken back.

Only lists that the operator keeps are asked, never the network: a jump host often has no way out, and
who checks what should not be told to others. What was not asked is said.
"""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from kensho_tui.ovf.errors import SignatureError
from kensho_tui.ovf.x509_files import UNREADABLE, read_file

SUFFIX = ".crl"
_MAX_BYTES = 32 << 20
_PEM = b"-----BEGIN X509 CRL-----"


class Revocation(StrEnum):
    """What lists say of a signer's certificate and those above it."""

    NOT_CHECKED = "not checked"  # of one of them there is no list
    GOOD = "good"  # every one's list is there, is in time, and does not name it
    OUT_OF_DATE = "out of date"  # a list that does not name it has ended
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Args: why: a clause that says which list, or which certificate and since when."""

    state: Revocation
    why: str


def read_lists(paths: Iterable[Path]) -> tuple[x509.CertificateRevocationList, ...]:
    """The lists in files, PEM or DER.

    Raises: SignatureError: a file is no such list. FileError: it cannot be read.
    """
    return tuple(parse(read_file(path, _MAX_BYTES), str(path)) for path in paths)


def parse(data: bytes, subject: str = "") -> x509.CertificateRevocationList:
    """The list in the bytes, PEM or DER. Raises: SignatureError: there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            found = x509.load_pem_x509_crl(data) if _PEM in data else x509.load_der_x509_crl(data)
            # All of it, now: else it is parsed late, and fails late.
            _ = found.issuer, found.extensions, found.last_update_utc, found.next_update_utc
            return found
    except UNREADABLE as error:
        raise SignatureError(
            "the file holds no list of revoked certificates",
            subject=subject,
            remedy="Give a list (CRL) as its authority publishes it, PEM or DER",
        ) from error


def revocation(
    chain: Sequence[x509.Certificate],
    issuers: Sequence[x509.Certificate],
    lists: Sequence[x509.CertificateRevocationList],
    now: datetime,
) -> Verdict:
    """What the lists say of certificates.

    Args:
        chain: the signer's, and those above it that came along.
        issuers: whose lists are believed: trusted certificates, and those of the chain.
        now: when a list has to be in time.
    """
    good, old, missing = [], [], []
    for certificate in chain:
        if certificate.issuer == certificate.subject:
            continue  # who answers for itself would have to revoke itself
        fitting = [each for each in lists if _is_of(each, certificate, issuers)]
        for each in fitting:
            entry = _entry(each, certificate)
            if entry is not None:
                return Verdict(Revocation.REVOKED, _said(certificate, entry))
        newest = max(fitting, key=lambda each: each.last_update_utc, default=None)
        if newest is None:
            missing.append(_name(certificate.issuer))
        elif newest.next_update_utc is not None and newest.next_update_utc < now.astimezone(UTC):
            old.append(f"{_name(newest.issuer)} ended on {newest.next_update_utc:%Y-%m-%d}")
        else:
            good.append(f"{_name(newest.issuer)} of {newest.last_update_utc:%Y-%m-%d}")
    if missing:
        return Verdict(
            Revocation.NOT_CHECKED, f"no list of revoked certificates of {missing[0]} is here"
        )
    if old:
        return Verdict(Revocation.OUT_OF_DATE, f"the list of revoked certificates of {old[0]}")
    if good:
        return Verdict(Revocation.GOOD, f"not revoked, by the list of {good[0]}")
    return Verdict(Revocation.NOT_CHECKED, "nobody but the signer could revoke it")


def _is_of(
    found: x509.CertificateRevocationList,
    certificate: x509.Certificate,
    issuers: Sequence[x509.Certificate],
) -> bool:
    """Whether the list is that of the certificate's issuer, whole, and signed by it."""
    if found.issuer != certificate.issuer or _is_partial(found):
        return False
    for issuer in issuers:
        if issuer.subject != certificate.issuer:
            continue
        try:
            certificate.verify_directly_issued_by(issuer)
            if found.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]
                return True
        except Exception:  # noqa: BLE001, S112 - a key of another kind, a wrong signature: not this one
            continue
    return False


def _is_partial(found: x509.CertificateRevocationList) -> bool:
    """Whether it holds only changes, or entries of other authorities: both need what is not here."""
    for extension in found.extensions:
        if isinstance(extension.value, x509.DeltaCRLIndicator):
            return True
        if isinstance(extension.value, x509.IssuingDistributionPoint):
            return extension.value.indirect_crl
    return False


def _entry(
    found: x509.CertificateRevocationList, certificate: x509.Certificate
) -> x509.RevokedCertificate | None:
    return found.get_revoked_certificate_by_serial_number(certificate.serial_number)


def _said(certificate: x509.Certificate, entry: x509.RevokedCertificate) -> str:
    why = ""
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
        words = "".join(f" {c.lower()}" if c.isupper() else c for c in reason.value)
        why = f" ({words})"
    except (x509.ExtensionNotFound, *UNREADABLE):
        pass
    return f"{_name(certificate.subject)} was revoked on {entry.revocation_date_utc:%Y-%m-%d}{why}"


def _name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return f"'{found[0].value!s}'" if found else f"'{name.rfc4514_string()}'"
