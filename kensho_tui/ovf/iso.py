"""A small ISO 9660 image around a few files, the same bytes for the same content."""

import io
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

# pycdlib stamps the present moment and the local time zone; the image shall depend on neither.
_YEAR = 2020
_STAMP = b"%04d010100000000\0" % _YEAR
_TF_FIELDS = (
    "creation_time", "access_time", "modification_time", "attribute_change_time", "backup_time",
    "expiration_time", "effective_time",
)  # fmt: skip
_VOLUME_DATES = (
    "volume_creation_date", "volume_modification_date", "volume_expiration_date",
    "volume_effective_date",
)  # fmt: skip
NAME_LENGTH = 64  # of a file or folder in Joliet, in UTF-16 units
DEPTH = 7  # folders above a file: ISO 9660 has eight levels, the root among them
# What Joliet has no letter for, and what a drive on Windows would take for something else.
_FORBIDDEN = frozenset('*/:;?\\"<>|')


def unfit(path: str) -> str:
    """Why a file cannot have that path on a CD, as a clause; "" where it can."""
    parts = path.split("/")
    if any(each in {"", ".", ".."} for each in parts):
        return "its path is none inside the CD"
    if len(parts) > DEPTH + 1:
        return f"its path has more than {DEPTH} folders"
    for each in parts:
        if _FORBIDDEN & set(each) or not each.isprintable() or each.endswith((".", " ")):
            return "its path has letters that a CD cannot have"
        if len(each.encode("utf-16-le")) > 2 * NAME_LENGTH or len(each.encode()) > 200:
            return f"a name in its path is longer than {NAME_LENGTH} letters"
    return ""


def image(files: Mapping[str, bytes], volume: str) -> bytes:
    """An ISO 9660 image with Joliet and Rock Ridge names.

    Args:
        files: content by path, such as ``conf/host.conf``; the folders are made. Names are of at
            most `NAME_LENGTH`, in at most `DEPTH` folders, and no two differ by case alone.
        volume: label of the volume.
    """
    import pycdlib

    disc = pycdlib.PyCdlib()
    disc.new(
        interchange_level=3,
        vol_ident=volume.upper().replace(" ", "_")[:32],
        joliet=3,
        rock_ridge="1.09",
    )
    try:
        _fill(disc, files)
        disc.force_consistency()
        _fix_dates(disc)
        out = io.BytesIO()
        disc.write_fp(out)
    finally:
        disc.close()
    return _unstamped(out.getvalue())


def _fill(disc: Any, files: Mapping[str, bytes]) -> None:  # noqa: ANN401 - pycdlib has no types
    plain: dict[PurePosixPath, str] = {PurePosixPath(): ""}
    taken: set[str] = set()
    for path, data in files.items():
        whole = PurePosixPath(path)
        for folder in reversed(whole.parents):
            if folder not in plain:
                plain[folder] = _plain(plain[folder.parent], folder.name, taken, folder=True)
                disc.add_directory(
                    plain[folder],
                    rr_name=folder.name,
                    joliet_path=f"/{folder}",
                    file_mode=0o040555,
                )
        disc.add_fp(
            io.BytesIO(data),
            len(data),
            _plain(plain[whole.parent], whole.name, taken, folder=False),
            rr_name=whole.name,
            joliet_path=f"/{whole}",
            file_mode=0o100444,
        )


def _plain(parent: str, name: str, taken: set[str], *, folder: bool) -> str:
    """A free path in the letters that ISO 9660 itself has; people see the other two."""
    stem, dot, ending = name.rpartition(".")
    if folder or not dot or not stem:
        stem, ending = name, ""
    stem, ending = (re.sub(r"[^A-Z0-9_]", "_", each.upper()) for each in (stem, ending))
    for number in range(len(taken) + 1):
        mark = f"_{number}" if number else ""
        made = f"{parent}/{stem[: 8 - len(mark)]}{mark}"
        made += "" if folder else f".{ending[:3]};1"
        if made not in taken:
            break
    taken.add(made)
    return made


def _unstamped(data: bytes) -> bytes:
    """The image with the one date put back that writing stamps: modification, in each descriptor."""
    fixed = bytearray(data)
    sector = 16
    while fixed[sector * 2048] in (1, 2):  # primary and Joliet volume descriptors
        start = sector * 2048 + 830
        fixed[start : start + 17] = _STAMP
        sector += 1
    return bytes(fixed)


def _fix_dates(disc: Any) -> None:  # noqa: ANN401
    """Put one moment into every date of the image."""
    for descriptor in (disc.pvd, disc.joliet_vd):
        for field in _VOLUME_DATES:
            _volume_date(getattr(descriptor, field))
        for record in _records(descriptor.root_directory_record()):
            _record_date(record.date)
            if record.rock_ridge is not None:
                for entries in (record.rock_ridge.dr_entries, record.rock_ridge.ce_entries):
                    stamps = getattr(entries, "tf_record", None)
                    for date in (getattr(stamps, field, None) for field in _TF_FIELDS):
                        if date is not None:
                            _record_date(date)


def _records(folder: Any) -> Iterator[Any]:  # noqa: ANN401
    yield folder
    for record in folder.children:
        if record.is_dir() and not (record.is_dot() or record.is_dotdot()):
            yield from _records(record)
        else:
            yield record


def _record_date(date: Any) -> None:  # noqa: ANN401
    date.years_since_1900, date.month, date.day_of_month = _YEAR - 1900, 1, 1
    date.hour = date.minute = date.second = date.gmtoffset = 0


def _volume_date(date: Any) -> None:  # noqa: ANN401
    date.year, date.month, date.dayofmonth = _YEAR, 1, 1
    date.hour = date.minute = date.second = date.hundredthsofsecond = date.gmtoffset = 0
    date.date_str = _STAMP
