"""Signing a manifest: with a key in a file, or with whatever holds the key (DSP0243 2.1.1 §5.1)."""

import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    load_pem_private_key,
    pkcs12,
)

from kensho_tui.disks.files import system_errors
from kensho_tui.ovf.errors import SignatureError
from kensho_tui.ovf.signature import HASHES, State, chain_of, origin
from kensho_tui.ovf.trust import Trust

DEFAULT = "sha256"
_MAX_BYTES = 1 << 20
_COMMAND_S = 120.0
_MOST_SIGNATURE = 1 << 14


class Signer(Protocol):
    """Who signs.

    Attributes:
        certificates: the signer's, then those above it.
    """

    @property
    def certificates(self) -> Sequence[x509.Certificate]: ...

    def sign(self, manifest: bytes, algorithm: str) -> bytes:
        """The signature of the manifest's bytes. Raises: SignatureError."""
        ...


class KeySigner:
    """A private key and its certificates.

    Raises: SignatureError: the key is of a kind that is not used for packages.
    """

    def __init__(self, key: object, certificates: Sequence[x509.Certificate]) -> None:
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise SignatureError(
                "the key is of a kind that is not used for packages", remedy="Use an RSA or EC key"
            )
        self._key = key
        self.certificates = _chain(certificates)

    @classmethod
    def from_pem(cls, key: Path, certificates: Path, passphrase: str | None = None) -> "KeySigner":
        """A key and certificates in PEM files, which may be the same file.

        Raises: SignatureError: no key, a wrong passphrase, no certificate. FileError.
        """
        try:
            loaded = load_pem_private_key(_read(key), passphrase.encode() if passphrase else None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise _no_key(key, passphrase) from error
        return cls(loaded, Trust.of_files([certificates]).certificates)

    @classmethod
    def from_pkcs12(cls, path: Path, passphrase: str | None = None) -> "KeySigner":
        """A key and certificates in a PKCS#12 file (``.p12``, ``.pfx``).

        Raises: SignatureError: no such file, a wrong passphrase, no key in it. FileError.
        """
        try:
            key, own, others = pkcs12.load_key_and_certificates(
                _read(path), passphrase.encode() if passphrase else None
            )
        except (ValueError, UnsupportedAlgorithm) as error:
            raise _no_key(path, passphrase) from error
        if key is None or own is None:
            raise SignatureError("the file holds no key with its certificate", subject=str(path))
        # Such a file may hold others' certificates too.
        return cls(key, chain_of(own, others)[0])

    def sign(self, manifest: bytes, algorithm: str) -> bytes:
        """PKCS #1 v1.5 with RSA (RFC 8017, 8.2), ECDSA in DER with EC."""
        how = HASHES[algorithm]()
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(manifest, padding.PKCS1v15(), how)
        return self._key.sign(manifest, ec.ECDSA(how))


class CommandSigner:
    """A program that signs with a key that never leaves its place: a smart card, an HSM, a service.

    It gets the manifest as its input and gives the signature (PKCS #1 v1.5, or ECDSA in DER) as its
    output, in binary; ``{algorithm}`` in an argument stands for ``sha256`` and the like.

    Args:
        command: program and arguments; no shell takes part.
        certificates: the signer's, then those above it.
    """

    def __init__(self, command: Sequence[str], certificates: Sequence[x509.Certificate]) -> None:
        self._command = command
        self.certificates = _chain(certificates)

    def sign(self, manifest: bytes, algorithm: str) -> bytes:
        """Run it. Raises: SignatureError: it cannot be run, fails, takes too long, or says too much."""
        program = self._command[0]
        # What it prints may tell of the key: it never stands in an error.
        with tempfile.TemporaryFile() as given:
            given.write(manifest)
            given.seek(0)
            try:
                process = subprocess.Popen(
                    [each.replace("{algorithm}", algorithm) for each in self._command],
                    stdin=given,
                    stdout=subprocess.PIPE,
                )
            except OSError as error:
                raise SignatureError(
                    f"the program that signs cannot be run: {error.strerror}", subject=program
                ) from error
            with process, _killed_after(process, _COMMAND_S) as late:
                value = process.stdout.read(_MOST_SIGNATURE + 1) if process.stdout else b""
                if len(value) > _MOST_SIGNATURE:
                    process.kill()
                process.wait()
        if late.is_set():
            raise SignatureError(
                f"the program that signs gave no answer within {_COMMAND_S:.0f} s", subject=program
            )
        if len(value) > _MOST_SIGNATURE or not value or process.returncode:
            ended = (
                f"printed more than {_MOST_SIGNATURE} bytes"
                if len(value) > _MOST_SIGNATURE
                else f"ended with {process.returncode} and {len(value)} bytes of signature"
            )
            raise SignatureError(
                f"the program that signs {ended}",
                subject=program,
                remedy="It gets the manifest as its input and gives the binary signature as its output",
            )
        return value


@contextmanager
def _killed_after(process: "subprocess.Popen[bytes]", seconds: float) -> Iterator[threading.Event]:
    """Kill the process when so much time has passed; the event says that it was."""
    late = threading.Event()

    def kill() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(seconds, kill)
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def certificate_file(manifest: bytes, name: str, signer: Signer, algorithm: str = DEFAULT) -> bytes:
    """The certificate file of a manifest, checked before it is given back.

    Args:
        manifest: its bytes.
        name: of its file.
        algorithm: of `HASHES`; SHA-1 only where an old consumer knows nothing else.

    Raises: SignatureError: it cannot be signed, or key and certificate do not belong together.
    """
    from datetime import UTC, datetime

    value = signer.sign(manifest, algorithm)
    armour = b"".join(each.public_bytes(Encoding.PEM) for each in signer.certificates)
    data = f"{algorithm.upper()}({name})= {value.hex()}\n".encode() + armour
    made = origin(data, manifest, name, trust=Trust((), ""), now=datetime.now(UTC))
    if made.state is not State.RIGHT:
        raise SignatureError(
            "the certificate does not belong to the key that signed",
            subject=signer.certificates[0].subject.rfc4514_string(),
            remedy="Give the certificate of that key first, then those above it",
        )
    return data


def is_encrypted(path: Path) -> bool:
    """Whether the file holds a key that needs a passphrase. Raises: FileError."""
    data = _read(path)
    if b"-----BEGIN" in data:
        return b"ENCRYPTED" in data
    try:
        pkcs12.load_key_and_certificates(data, None)
    except (ValueError, UnsupportedAlgorithm):
        return True
    return False


def _chain(certificates: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """The signer's, which is given first, and those above it in their order."""
    if not certificates:
        raise SignatureError("there is no certificate to sign with")
    chain, left = chain_of(certificates[0], certificates[1:])
    if left:
        raise SignatureError(
            "a certificate does not belong to the chain of the signer's",
            subject=left[0].subject.rfc4514_string(),
            remedy="Give the signer's certificate first, and only those that are above it",
        )
    return chain


def _read(path: Path) -> bytes:
    with system_errors("read", str(path)), path.open("rb") as file:
        return file.read(_MAX_BYTES)


def _no_key(path: Path, passphrase: str | None) -> SignatureError:
    return SignatureError(
        "the key cannot be read" + (" with this passphrase" if passphrase else ""),
        subject=str(path),
        remedy="Give a PEM or PKCS#12 file with a private key"
        + ("" if passphrase else ", and its passphrase where it has one"),
    )


__all__ = ["CommandSigner", "KeySigner", "Signer", "certificate_file"]
