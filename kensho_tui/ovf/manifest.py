"""The manifest: a digest for every file of the package (DSP0243 2.1.1 §5.1, "<package>.mf")."""

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kensho_tui.ovf.errors import ManifestError

ALGORITHMS = {"sha1": 20, "sha256": 32, "sha512": 64}  # name: bytes of the digest
MAX_BYTES = 4 << 20
# The name is all between the first and the last parenthesis: names may hold some themselves.
_LINE = re.compile(r"\s*([A-Za-z0-9-]+)\s*\((.*)\)\s*=\s*([0-9A-Fa-f]+)\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest of one file."""

    algorithm: str  # of ALGORITHMS
    value: bytes

    def matches(self, hexadecimal: str) -> bool:
        """Whether it is this digest, in any case of letters."""
        try:
            return hmac.compare_digest(self.value, bytes.fromhex(hexadecimal))
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"{self.algorithm} {self.value.hex()}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the manifest promises: one digest for each name, in the order of its lines."""

    digests: Mapping[str, Digest]

    @property
    def weak(self) -> bool:
        """Whether it rests on SHA-1, which can be forged."""
        return any(each.algorithm == "sha1" for each in self.digests.values())


def parse(data: bytes, subject: str = "") -> Manifest:
    """A manifest: lines ``SHA256(name)= hex``, with blanks or without, LF or CRLF.

    Raises: ManifestError: a line that is none, an unknown algorithm, a name twice.
    """
    if len(data) > MAX_BYTES:
        raise ManifestError(f"the manifest is larger than {MAX_BYTES >> 20} MiB", subject=subject)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ManifestError(
            "the manifest is no text", subject=subject, remedy="Get the package again"
        ) from error
    digests: dict[str, Digest] = {}
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ManifestError(
                f"line {number} of the manifest is no 'SHA256(name)= digest'", subject=subject
            )
        algorithm = match[1].lower().replace("-", "").replace("sha2256", "sha256")
        length = ALGORITHMS.get(algorithm)
        if length is None:
            raise ManifestError(
                f"line {number} of the manifest uses '{match[1]}'",
                subject=subject,
                remedy="Known are SHA1, SHA256 and SHA512",
            )
        if len(match[3]) != length * 2:
            raise ManifestError(
                f"line {number} of the manifest has {len(match[3])} hex digits, not {length * 2}",
                subject=subject,
            )
        if match[2] in digests:
            raise ManifestError(f"the manifest lists '{match[2]}' twice", subject=subject)
        digests[match[2]] = Digest(algorithm, bytes.fromhex(match[3]))
    return Manifest(digests)


def write(digests: Iterable[tuple[str, str]], algorithm: str = "sha256") -> bytes:
    """A manifest of ``(name, hexadecimal digest)``: no blank before ``(``, which vSphere refuses.

    Raises: ManifestError: a name that a line cannot hold.
    """
    lines = []
    for name, value in digests:
        if "\n" in name or "\r" in name:
            raise ManifestError("a name with a line break cannot stand in a manifest", subject=name)
        lines.append(f"{algorithm.upper()}({name})= {value.lower()}\n")
    return "".join(lines).encode()
