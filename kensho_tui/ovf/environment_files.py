"""Files of a package that guests are handed beside their environment: its EnvironmentFilesSection."""

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from kensho_tui.disks.files import FileError
from kensho_tui.findings import Finding, Severity
from kensho_tui.machine import Appliance, EnvironmentFile
from kensho_tui.ovf.environment import FILE_NAME
from kensho_tui.ovf.errors import ManifestError, OvfError, PackageError
from kensho_tui.ovf.iso import unfit
from kensho_tui.ovf.package import Package
from kensho_tui.ovf.promises import Integrity
from kensho_tui.text import one_line

MAX_FILE = 8 << 20
MAX_ALL = 32 << 20
_CLAUSE = "DSP0243 2.1.1 EnvironmentFilesSection"


def read(
    package: Package, wanted: Sequence[EnvironmentFile], integrity: Integrity
) -> tuple[tuple[EnvironmentFile, ...], dict[str, bytes], tuple[Finding, ...]]:
    """The files that the descriptor names: those that can be handed over, their bytes, and findings.

    Args:
        wanted: as `Envelope.appliance` gives them: ``name`` is the id of the file in the References.
        integrity: whether they have to match the manifest, and what it is if they do not.
    """
    kept: list[EnvironmentFile] = []
    data: dict[str, bytes] = {}
    findings: list[Finding] = []
    for each in wanted:
        path = each.path.removeprefix("./")
        try:
            others = [e.path for e in kept if "" in {e.owner, each.owner} or e.owner == each.owner]
            _check(path, others)
            name = _load(package, each.name, data, integrity)
        except (OvfError, FileError) as error:
            hard = isinstance(error, ManifestError) and integrity == "require"
            findings.append(
                Finding(
                    "environment-file-left",
                    Severity.ERROR if hard else Severity.WARNING,
                    f"The file '{one_line(each.path, limit=80)}' for the guest is left out:"
                    f" {error.what}.",
                    each.owner,
                    error.remedy,
                    _CLAUSE,
                )
            )
            continue
        kept.append(EnvironmentFile(each.owner, path, name))
    return tuple(kept), data, tuple(findings)


def beside(appliance: Appliance, machine: str) -> dict[str, bytes]:
    """What the machine is handed beside its document, by path."""
    return {
        each.path: appliance.blobs[each.name]
        for each in appliance.environment_files
        if each.owner in {"", machine}
    }


def _check(path: str, others: Iterable[str]) -> None:
    """Raise `PackageError` for a path that cannot be on the CD, or that another one is in the way of."""
    if why := unfit(path):
        raise PackageError(why)
    mine = PurePosixPath(path.casefold())
    for other in (PurePosixPath(each.casefold()) for each in (FILE_NAME, *others)):
        if mine == other or mine in other.parents or other in mine.parents:
            raise PackageError("another file is in its place")


def _load(package: Package, id_: str, data: dict[str, bytes], integrity: Integrity) -> str:
    file = package.envelope.file(id_)
    if file is None:
        raise PackageError(f"the references have no file '{one_line(id_, limit=40)}'")
    if file.href not in data:
        room = MAX_ALL - sum(map(len, data.values()))
        data[file.href] = package.small(file.href, min(MAX_FILE, room), digests=integrity != "off")
    return file.href


__all__ = ["beside", "read"]
