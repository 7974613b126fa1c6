"""What files with certificates and with lists of revoked ones have in common."""

from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from kensho_tui.disks.files import system_errors
from kensho_tui.ovf.errors import SignatureError

# What the library raises of a certificate or a list that is not right.
UNREADABLE = (
    ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)  # fmt: skip


def read_file(path: Path, limit: int) -> bytes:
    """The file's bytes. Raises: SignatureError: they are more than the limit. FileError."""
    with system_errors("read", str(path)), path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise SignatureError(f"the file is larger than {limit >> 20} MiB", subject=str(path))
    return data
