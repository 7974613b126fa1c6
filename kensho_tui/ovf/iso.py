"""A small ISO 9660 image around one file, the same bytes for the same content."""

import io
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


def image(data: bytes, name: str, volume: str) -> bytes:
    """An ISO 9660 image with Joliet and Rock Ridge names.

    Args:
        data: content of the one file in it.
        name: the file's name, such as ``ovf-env.xml``.
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
        short = name.upper().replace("-", "_")
        disc.add_fp(
            io.BytesIO(data),
            len(data),
            f"/{short};1",
            rr_name=name,
            joliet_path=f"/{name}",
            file_mode=0o100444,
        )
        disc.force_consistency()
        _fix_dates(disc)
        out = io.BytesIO()
        disc.write_fp(out)
    finally:
        disc.close()
    return _unstamped(out.getvalue())


def _unstamped(data: bytes) -> bytes:
    """The image with the one date put back that writing stamps: modification, in each descriptor."""
    fixed = bytearray(data)
    sector = 16
    while fixed[sector * 2048] in (1, 2):  # primary and Joliet volume descriptors
        start = sector * 2048 + 830
        fixed[start : start + 17] = _STAMP
        sector += 1
    return bytes(fixed)


def _fix_dates(disc: Any) -> None:  # noqa: ANN401 - pycdlib has no types
    """Put one moment into every date of the image."""
    for descriptor in (disc.pvd, disc.joliet_vd):
        for field in _VOLUME_DATES:
            _volume_date(getattr(descriptor, field))
        root = descriptor.root_directory_record()
        for record in (root, *root.children):
            _record_date(record.date)
            if record.rock_ridge is not None:
                for entries in (record.rock_ridge.dr_entries, record.rock_ridge.ce_entries):
                    stamps = getattr(entries, "tf_record", None)
                    for date in (getattr(stamps, field, None) for field in _TF_FIELDS):
                        if date is not None:
                            _record_date(date)


def _record_date(date: Any) -> None:  # noqa: ANN401
    date.years_since_1900, date.month, date.day_of_month = _YEAR - 1900, 1, 1
    date.hour = date.minute = date.second = date.gmtoffset = 0


def _volume_date(date: Any) -> None:  # noqa: ANN401
    date.year, date.month, date.dayofmonth = _YEAR, 1, 1
    date.hour = date.minute = date.second = date.hundredthsofsecond = date.gmtoffset = 0
    date.date_str = _STAMP
