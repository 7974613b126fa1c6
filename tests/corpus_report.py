"""What becomes of every descriptor of other projects: ``./dev corpus`` prints it, a test holds it.

What is expected is told by the path: their own suites keep what has to be refused in folders and files that
say so ("Neg", "invalid", "corrupt" …). A verdict of theirs may be about a file that the corpus does not have,
or about their platform alone; so the table tells how much was said, and the test asks for the least that must
hold.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kensho_tui.errors import KenshoError
from kensho_tui.findings import Finding, Severity
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.package import open_package
from kensho_tui.ovf.rules import inspect, lint, merge
from kensho_tui.text import plain
from tests.unit.ovf.corpus import CORPUS

_NEGATIVE = re.compile(
    r"/Neg/|/jeos_corrupted|/invalid|invalid\.ovf|[-_/]unsupported|negative|/security-test|XEE|ersatz"
    r"|CorruptedCert|/empty\.ovf|empty_vsc|bad-ovf"
)
# Said of most descriptors of those suites, the good ones too.
_COMMON = frozenset({"processors-missing", "memory-missing", "disk-unused"})


@dataclass(frozen=True)
class Row:
    """One descriptor.

    Attributes:
        path: relative to the corpus.
        negative: whether its authors mean it to be refused.
        refused: the sentence, where it was; "" where it was read.
        findings: of all deployment options and all rules; what vSphere refuses is among them.
        options: deployment options it was resolved for.
        kept: whether it was saved as its original bytes.
    """

    path: str
    negative: bool
    refused: str = ""
    findings: tuple[Finding, ...] = field(default=())
    options: int = 0
    kept: bool = True

    @property
    def came(self) -> str:
        """How much was said: refused, error, warning, info, or nothing."""
        if self.refused:
            return "refused"
        weights = {each.severity for each in self.findings if each.id not in _COMMON}
        found = next((each for each in Severity if each in weights), None)
        return "nothing" if found is None else str(found)


def rows(corpus: Path = CORPUS) -> Iterator[Row]:
    """Every descriptor of the corpus, in the order of their paths."""
    for path in sorted(corpus.rglob("*.ovf")):
        name = str(path.relative_to(corpus))
        yield _row(path, name, negative=_NEGATIVE.search(f"/{name}") is not None)


def _row(path: Path, name: str, *, negative: bool) -> Row:
    data = path.read_bytes()
    try:
        envelope = Envelope.parse(data, path.name)
        options = [each.id for each in envelope.configurations] or [""]
        found: list[Finding] = []
        for option in options:
            found = merge(found, envelope.appliance(option)[1])
        found = merge(found, [each.finding for each in inspect(envelope)])
        # Of the package only what the descriptor says; the corpus has few of the files.
        found += [
            each.finding for each in lint(open_package(path, integrity="off"), ["vsphere"])
            if each.finding.severity is Severity.ERROR
        ]  # fmt: skip
        return Row(name, negative, "", tuple(found), len(options), envelope.save() == data)
    except KenshoError as error:
        return Row(name, negative, str(error))


def table(found: list[Row]) -> Iterator[str]:
    """The table, and its totals."""
    for row in found:
        said = row.refused or ", ".join(sorted({each.id for each in row.findings}))
        yield f"{'refuse' if row.negative else 'read':<7} {row.came:<8} {row.path}  {said}"
    yield ""
    kinds = ["refused", *map(str, Severity), "nothing"]
    yield f"{'expected':<8} {'files':>6} " + " ".join(f"{kind:>8}" for kind in kinds)
    for negative in (False, True):
        of = [row for row in found if row.negative is negative]
        counts = Counter(row.came for row in of)
        word = "refuse" if negative else "read"
        yield f"{word:<8} {len(of):>6} " + " ".join(f"{counts[kind]:>8}" for kind in kinds)
    yield (
        f"{sum(row.options for row in found)} deployment options resolved;"
        f" {sum(row.kept and not row.refused for row in found)} saved as their original bytes"
    )


def main() -> int:
    """Print the table."""
    if not CORPUS.is_dir():
        sys.stderr.write(f"The corpus is not at {CORPUS}: set KENSHO_CORPUS to it.\n")
        return 3
    for line in table(list(rows())):
        sys.stdout.write(f"{plain(line)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
