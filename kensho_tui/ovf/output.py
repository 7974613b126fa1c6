"""Where a new package goes, by the name it is given: one archive, or a folder; and what a copy keeps."""

from collections.abc import Mapping
from pathlib import Path

from kensho_tui.ovf import manifest, signature
from kensho_tui.ovf.errors import PackageError, SignatureError
from kensho_tui.ovf.members import whole
from kensho_tui.ovf.package import Package

# What people may expect of these names, and what is never written.
PACKED = (".zip", ".gz", ".tgz", ".xz", ".bz2", ".7z", ".tar")


def check_name(target: Path) -> None:
    """Raise `PackageError` where the name says that it is something that is not written."""
    if target.name.lower().endswith(PACKED):
        raise PackageError(
            f"a package of the kind {target.suffix} is not written",
            subject=str(target),
            remedy="Give a name that ends in .ova for an archive, or that of a folder",
        )


def check_format(target: Path, format_: str | None) -> None:
    """Raise `PackageError` where the name contradicts the format, ``ova`` or ``ovf``; None: nothing is said.

    A folder that is there may have any name: the package is put into it.
    """
    if target.is_dir():
        return
    check_name(target)
    kind = target.suffix.lower()
    if format_ is not None and kind in {".ova", ".ovf"} and kind != f".{format_}":
        raise PackageError(
            f"the name ends in {target.suffix}, and the format is {format_}",
            subject=str(target),
            remedy="Leave --format out, or give another name",
        )


def destination(target: Path) -> tuple[Path, bool]:
    """The path that is written for that name, and whether it is an archive.

    ``x.ova`` is an archive. ``x.ovf`` is the folder ``x``, as an export has it, and every other name is that
    of a folder.

    Raises: PackageError: see `check_name`; or it is there already.
    """
    check_name(target)
    kind = target.suffix.lower()
    path = target.with_suffix("") if kind == ".ovf" else target
    if path.exists() or path.is_symlink():
        inside = f", such as {path / 'new.ova'}" if path.is_dir() else ""
        raise PackageError("there is something of that name already", subject=str(path),
                           remedy=f"Choose another name{inside}")  # fmt: skip
    return path, kind == ".ova"


def papers(package: Package, *, archive: bool) -> Mapping[str, bytes]:
    """Manifest and certificate file as they are, to the byte, by the names they get.

    Those of an archive may have any name, those of a folder have the descriptor's: there they get it.

    Args: archive: whether they go into one.

    Raises: SignatureError: the signature is that of a manifest with its old name.
    """
    stem = Path(package.descriptor_name).stem
    found: dict[str, bytes] = {}
    for ending, limit in ((".mf", manifest.MAX_BYTES), (".cert", signature.MAX_BYTES)):
        fitting = [name for name in package.places if name.lower().endswith(ending)]
        own = [name for name in fitting if name.lower() == f"{stem}{ending}".lower()]
        name = next(iter(own or (fitting if package.archive else ())), "")
        if not name:
            continue
        data = whole(package.places[name], limit, f"{package.name}: {name}")
        if archive or own:
            found[name] = data
        elif package.papers.certificate_name:
            raise SignatureError(
                f"in a folder '{name}' has to be called {stem}{ending}, and the signature is of its"
                " old name",
                subject=package.name,
                remedy="Write an .ova, or take the signature off first (kensho package strip)",
            )
        else:
            found[f"{stem}{ending}"] = data
    return found
