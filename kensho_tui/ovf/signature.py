"""The certificate file: who signed the manifest (DSP0243 2.1.1 §5.1, ``<package>.cert``).

Its first line is ``SHA256(shop.mf)= <signature in hexadecimal>``, the signer's certificate follows. What holds
is told apart: whether the signature belongs to the manifest, whether the certificate is valid today,
and who answers for the signer. None of them makes up for another.
"""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kensho_tui.ovf.errors import SignatureError
from kensho_tui.ovf.revoked import Revocation
from kensho_tui.ovf.trust import Chain, Trust
from kensho_tui.ovf.x509_files import UNREADABLE

MAX_BYTES = 1 << 20
HASHES: dict[str, Callable[[], hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
_MOST_CERTIFICATES = 10
_LEAST_RSA_BITS = 2048
# The name stays on its line: else a second signature would be part of it.
_LINE = re.compile(r"\s*([A-Za-z0-9-]+)\s*\(([^\r\n]*)\)\s*=\s*([0-9A-Fa-f\s]+)")
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_ARMOUR = re.compile(r"-----(?:BEGIN|END) ")
# CERT_CERT_PROP_ID of the store that .NET's X509ContentType.SerializedCert writes: the certificate itself.
_SERIALIZED_CERTIFICATE = 32


class State(StrEnum):
    """What is to be said of a package's signature."""

    NONE = "none"  # the package is not signed
    UNREADABLE = "unreadable"  # there is a certificate file, but it cannot be understood
    WRONG = "wrong"  # it is the signature of something else
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class Signer:
    """Whose certificate it is.

    Attributes:
        name: common name or organisation, for a line.
        subject, issuer: distinguished names (RFC 4514).
        since, until: the certificate's validity, UTC.
        fingerprint: SHA-256 of the certificate, hexadecimal.
        key: kind and size: ``RSA 2048``.
        for_code: whether it says that it is for signing code; None where it says nothing of its use.
    """

    name: str
    subject: str
    issuer: str
    since: datetime
    until: datetime
    fingerprint: str
    key: str
    for_code: bool | None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a package is from, as far as its signature tells: verdicts that stand side by side.

    Attributes:
        state: whether there is a signature and whether it is that of the manifest.
        why: what is wrong with it; "" where nothing is.
        algorithm: digest that was signed: ``sha256``.
        signer: None where no certificate could be read.
        chain: who answers for the signer; None where there is none.
        chain_why: why a trusted authority that is named does not answer for it; "" mostly.
        in_time: whether the certificate is valid at the time it was asked for.
        weak: what of it could be forged, in words; "" where nothing.
        trusted_by: name of the certificates that were asked.
        revocation: what lists of revoked certificates say of the signer's; None where there is none.
        revoked_why: that in words.
        form: what is unusual about how it is written, in words; "" mostly.
    """

    state: State = State.NONE
    why: str = ""
    algorithm: str = ""
    signer: Signer | None = None
    chain: Chain | None = None
    in_time: bool = False
    weak: str = ""
    trusted_by: str = ""
    revocation: Revocation | None = None
    revoked_why: str = ""
    form: str = ""
    chain_why: str = ""

    @property
    def proven(self) -> bool:
        """Whether the author is known: a right and strong signature, in time, by somebody trusted.

        That it is not revoked is part of it as far as lists are here that could say so.
        """
        return (
            self.state is State.RIGHT
            and self.in_time
            and self.revocation is not Revocation.REVOKED
            and not self.weak
            and self.chain in {Chain.NAMED, Chain.TRUSTED}
        )


@dataclass(frozen=True)
class CertificateFile:
    """What a certificate file says.

    Attributes:
        algorithm: of `HASHES`.
        manifest: the file it is the signature of.
        value: the signature.
        certificates: the signer's, and those of the authorities above it in their order.
        form: as of `Origin`.
    """

    algorithm: str
    manifest: str
    value: bytes
    certificates: tuple[x509.Certificate, ...]
    form: str = ""


def parse(data: bytes, subject: str = "") -> CertificateFile:
    """Read a certificate file: one signature, the signer's certificate, and maybe the chain above it.

    The signature's digits may go over several lines, as they do in the wild. A second signature, a
    certificate that is not the issuer of the one before it, and blocks of other kinds are refused: two
    readers could see two signers.

    Raises: SignatureError.
    """
    if len(data) > MAX_BYTES:
        raise SignatureError(
            f"the certificate file is larger than {MAX_BYTES >> 20} MiB", subject=subject
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SignatureError("the certificate file is no text", subject=subject) from error
    start = text.find("-----BEGIN ")
    line = _LINE.fullmatch(text if start < 0 else text[:start])
    if line is None:
        raise SignatureError(
            "the certificate file does not begin with 'SHA256(manifest)= signature'",
            subject=subject,
        )
    algorithm = line[1].lower().replace("-", "")
    if algorithm not in HASHES:
        raise SignatureError(
            f"the signature uses '{line[1]}'",
            subject=subject,
            remedy=f"Known are {', '.join(each.upper() for each in HASHES)}",
        )
    digits = "".join(line[3].split())
    if len(digits) % 2:
        raise SignatureError("the signature has an odd number of digits", subject=subject)
    certificates, form = _certificates(text[start:] if start >= 0 else "", subject)
    return CertificateFile(algorithm, line[2], bytes.fromhex(digits), certificates, form)


def _certificates(text: str, subject: str) -> tuple[tuple[x509.Certificate, ...], str]:
    found: list[x509.Certificate] = []
    form = ""
    if _ARMOUR.search(_BLOCK.sub("", text)):
        raise SignatureError("the certificate file has a block without an end", subject=subject)
    for block in _BLOCK.finditer(text):
        kind, whole = block[1], block[0].encode("ascii", "replace")
        if kind in {"CMS", "PKCS7"} and not form:
            form = "VirtualBox's CMS signature beside it is not looked at"
            continue
        if kind != "CERTIFICATE":
            raise SignatureError(
                f"the certificate file holds a block of the kind '{kind}'",
                subject=subject,
                remedy="A signature, its certificate and those above it is all that may stand there",
            )
        if len(found) == _MOST_CERTIFICATES:
            raise SignatureError(
                "the certificate file holds too many certificates", subject=subject
            )
        certificate, odd = _certificate(whole, block[2], subject)
        form = form or odd
        if found and not is_above(found[-1], certificate):
            raise SignatureError(
                "the certificate file holds a certificate that is not the issuer of the one before it",
                subject=subject,
            )
        found.append(certificate)
    if not found:
        raise SignatureError("the certificate file holds no certificate", subject=subject)
    return tuple(found), form


def _certificate(pem: bytes, body: str, subject: str) -> tuple[x509.Certificate, str]:
    try:
        return _whole(x509.load_pem_x509_certificate(pem)), ""
    except UNREADABLE as error:
        inner = _serialized(body)
        if inner is not None:
            return inner, "the certificate is written as XenCenter does, which others cannot read"
        raise SignatureError(
            "the certificate in the certificate file is damaged", subject=subject
        ) from error


def _whole(certificate: x509.Certificate) -> x509.Certificate:
    """The certificate, all of it read: else it is parsed late, and fails late. Raises: `UNREADABLE`."""
    _ = certificate.subject, certificate.issuer, certificate.extensions
    _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return certificate


def _serialized(body: str) -> x509.Certificate | None:
    """The certificate of a .NET ``SerializedCert``: elements of property, 1, length, bytes; little-endian."""
    try:
        data = base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    at = 0
    while at + 12 <= len(data):
        kind, one, size = (int.from_bytes(data[at + i : at + i + 4], "little") for i in (0, 4, 8))
        if one != 1 or at + 12 + size > len(data):
            return None
        if kind == _SERIALIZED_CERTIFICATE:
            try:
                return _whole(x509.load_der_x509_certificate(data[at + 12 : at + 12 + size]))
            except UNREADABLE:
                return None
        at += 12 + size
    return None


def origin(
    data: bytes | None,
    manifest: bytes | None,
    name: str,
    *,
    trust: Trust,
    now: datetime,
    subject: str = "",
) -> Origin:
    """All that the signature says of a package. Raises nothing: what is wrong is part of the answer.

    Args:
        data: the certificate file; None: there is none.
        manifest: the manifest's bytes, as they are parsed; None: there is none, or it is not readable.
        name: of the manifest.
        trust: who is believed.
        now: when the certificate has to be valid.
        subject: how the operator knows the certificate file.
    """
    if data is None:
        return Origin()
    try:
        file = parse(data, subject)
        signer, verify = _signer(file.certificates[0], subject)
    except SignatureError as error:
        return Origin(State.UNREADABLE, error.what)
    why = ""
    if manifest is None:
        why = "there is no manifest that it could be the signature of"
    elif file.manifest != name and file.manifest.lower() != name.lower():
        why = f"it is the signature of '{file.manifest}', not of '{name}'"
    else:
        try:
            verify(file.value, manifest, HASHES[file.algorithm]())
        except (InvalidSignature, ValueError, UnsupportedAlgorithm):
            why = "it is not the signature of this manifest: one of them was changed"
    weak = [
        word for word in (_weak_digest(file.algorithm), _weak_key(file.certificates[0])) if word
    ]
    chain, chain_why = trust.chain(file.certificates[0], file.certificates[1:], now)
    revoked = trust.revoked(file.certificates[0], file.certificates[1:], now)
    return Origin(
        State.WRONG if why else State.RIGHT,
        why,
        file.algorithm,
        signer,
        chain,
        signer.since <= now.astimezone(UTC) <= signer.until,
        " and ".join(weak),
        trust.name,
        revoked.state,
        revoked.why,
        file.form,
        chain_why,
    )


_Verify = Callable[[bytes, bytes, hashes.HashAlgorithm], None]


def _signer(certificate: x509.Certificate, subject: str) -> tuple[Signer, _Verify]:
    try:
        key = certificate.public_key()
        described = Signer(
            _common_name(certificate.subject),
            certificate.subject.rfc4514_string(),
            certificate.issuer.rfc4514_string(),
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
            certificate.fingerprint(hashes.SHA256()).hex(),
            _key(key),
            _for_code(certificate),
        )
    except UNREADABLE as error:
        raise SignatureError(
            "the signer's certificate cannot be understood", subject=subject
        ) from error
    if isinstance(key, rsa.RSAPublicKey):
        rsa_key = key
        return described, lambda value, data, how: rsa_key.verify(
            value, data, padding.PKCS1v15(), how
        )
    if isinstance(key, ec.EllipticCurvePublicKey):
        ec_key = key
        return described, lambda value, data, how: ec_key.verify(value, data, ec.ECDSA(how))
    raise SignatureError(
        f"the signer's key is of a kind that is not used for packages ({described.key})",
        subject=subject,
    )


def _key(key: object) -> str:
    match key:
        case rsa.RSAPublicKey():
            return f"RSA {key.key_size}"
        case ec.EllipticCurvePublicKey():
            return f"EC {key.curve.name}"
        case dsa.DSAPublicKey():
            return f"DSA {key.key_size}"
    return type(key).__name__.removesuffix("PublicKey").strip("_")


def _common_name(name: x509.Name) -> str:
    for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        for attribute in name.get_attributes_for_oid(oid):
            return str(attribute.value)
    return name.rfc4514_string()


def _for_code(certificate: x509.Certificate) -> bool | None:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return None
    allowed = {ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    return any(each in allowed for each in usage)


def _weak_digest(algorithm: str) -> str:
    return "SHA-1" if algorithm == "sha1" else ""


def _weak_key(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _LEAST_RSA_BITS:
        return f"a key of {key.key_size} bits"
    return ""


def chain_of(
    own: x509.Certificate, others: Sequence[x509.Certificate]
) -> tuple[list[x509.Certificate], list[x509.Certificate]]:
    """The signer's certificate, each followed by the one it names as its issuer; and what is left over."""
    chain, left = [own], list(others)
    while above := next((each for each in left if is_above(chain[-1], each)), None):
        left.remove(above)
        chain.append(above)
    return chain, left


def is_above(certificate: x509.Certificate, other: x509.Certificate) -> bool:
    """Whether it names the other one as its issuer. That this is so is for `Trust.chain` to find out."""
    return certificate.issuer == other.subject and certificate != other
