"""What an operator compares of a server's certificate."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Certificate:
    """What an operator compares. Times are ISO 8601 in UTC; all but the first "" where unreadable."""

    fingerprint: str
    issuer: str = ""
    not_before: str = ""
    not_after: str = ""


def certificate(der: bytes) -> Certificate:
    """Fingerprint (SHA-256, 64 hex digits), issuer and validity of a certificate in DER."""
    from cryptography import x509

    fingerprint = hashlib.sha256(der).hexdigest()
    try:
        parsed = x509.load_der_x509_certificate(der)
        issuer = parsed.issuer.rfc4514_string()
        begins = parsed.not_valid_before_utc.isoformat()
        ends = parsed.not_valid_after_utc.isoformat()
    except ValueError:
        return Certificate(fingerprint)
    return Certificate(fingerprint, issuer, begins, ends)
