"""``runner.toml``: what holds for all jobs of a runner together.

::

    jobs_at_once = 8
    bandwidth = ["100 MiB", "20 MiB mon-fri 07:00-18:00 Europe/Berlin"]
                                   # a second, all jobs together

    [caps]                         # of jobs at once
    "source:vc-old" = 4
    "target:*" = 2                 # each target
    "storage:xen-new/local-sr" = 1

    [disks]                        # what jobs accept of strangers' disks
    max_disk = "16 TiB"
    max_ratio = 200                # bytes that may come of one that is compressed

    [retention]                    # of ended jobs; the others are archived
    older_than = "90d"
    keep = 50                      # so many stay in any case
    folder = "/srv/kensho-archive"
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

import tomlkit
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from tomlkit.exceptions import ParseError, TOMLKitError

from kensho_tui.disks.bounds import Bounds
from kensho_tui.disks.image import MAX_CAPACITY
from kensho_tui.engine.retention import Retention
from kensho_tui.engine.slots import JOBS_AT_ONCE, Settings
from kensho_tui.errors import KenshoError
from kensho_tui.migration.needs import TAGS
from kensho_tui.migration.plan import BandwidthPlan
from kensho_tui.migration.times import parse_limits
from kensho_tui.migration.units import parse_age, parse_size
from kensho_tui.text import one_line


class SettingsError(KenshoError):
    """The file is not right. ``subject`` is ``file:line``."""


def _bandwidth(value: object) -> object:
    """One limit or several as texts; what is no text is a table as a plan has it."""
    texts = [value] if isinstance(value, str) else value
    if not (isinstance(texts, list) and all(isinstance(each, str) for each in texts)):
        return value
    try:
        return BandwidthPlan.of(parse_limits(texts))
    except KenshoError as error:
        raise ValueError(str(error)) from error


def _age(value: object) -> object:
    try:
        return parse_age(value) if isinstance(value, str) else value
    except KenshoError as error:
        raise ValueError(str(error)) from error


class _Retention(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    older_than: Annotated[timedelta | None, BeforeValidator(_age)] = None
    keep: Annotated[int, Field(ge=0, strict=True)] = 0
    folder: Path

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.older_than is None and not self.keep:
            raise ValueError("it does not say what stays; write older_than, keep or both")
        if not self.folder.expanduser().is_absolute():
            raise ValueError("the folder's whole path is needed: the runner has no folder of yours")
        return self

    def retention(self) -> Retention:
        """As what archives by it."""
        return Retention(self.older_than, self.keep, self.folder.expanduser())


def _size(value: object) -> object:
    found = parse_size(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('it is no size; write it with its unit, such as "16 TiB"')
    return found


class _Disks(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    max_disk: Annotated[int, BeforeValidator(_size), Field(ge=1, le=MAX_CAPACITY)] = Bounds().disk
    max_ratio: Annotated[int, Field(ge=1, strict=True)] = Bounds().ratio


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    jobs_at_once: Annotated[int, Field(ge=1, le=256, strict=True)] = JOBS_AT_ONCE
    bandwidth: Annotated[BandwidthPlan, BeforeValidator(_bandwidth)] = BandwidthPlan()
    caps: dict[str, Annotated[int, Field(ge=1, strict=True)]] = {}
    disks: _Disks = _Disks()
    retention: _Retention | None = None

    @field_validator("caps")
    @classmethod
    def _tags(cls, caps: dict[str, int]) -> dict[str, int]:
        for tag in caps:
            kind, colon, name = tag.partition(":")
            if kind not in TAGS or not colon or not name:
                known = ", ".join(f"{each}:NAME" for each in TAGS)
                raise ValueError(f"'{one_line(tag, limit=60)}' is no tag; write one of {known}")
        return caps


def read(path: Path) -> Settings:
    """The settings of the file.

    Raises: SettingsError: it cannot be read, or says what there is not.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = tomlkit.parse(text).unwrap()
    except ParseError as error:
        raise _wrong(path, error.line, "this is no TOML") from error
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise _wrong(path, 0, f"it cannot be read ({error})") from error
    try:
        file = _File.model_validate(data)
    except ValidationError as invalid:
        first = invalid.errors()[0]
        where = [str(each) for each in first["loc"]]
        what = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            what = f"there is no setting '{one_line(where[-1], limit=40)}'"
            if len(where) == 1:
                what += f" (there are {', '.join(_File.model_fields)})"
        elif first["type"] == "missing":
            what = f"'{where.pop()}' is missing"
            where = [each for each in where if not each.isdigit()]
        else:
            what = f"'{one_line('.'.join(where), limit=60)}': {what}"
        tag = next((each for each in data.get("caps", {}) if f"'{each}'" in what), "")
        raise _wrong(path, _line(text, tag or where[-1]), what) from invalid
    return Settings(
        file.jobs_at_once,
        file.bandwidth.limits(),
        file.caps,
        file.retention.retention() if file.retention else None,
        Bounds(file.disks.max_disk, file.disks.max_ratio),
    )


def _line(text: str, key: str) -> int:
    """The line on which the key is set; 0 where it stands on none of its own."""
    setting = re.compile(rf"""\s*\[{{0,2}}\s*(?:\w+\.)*["']?{re.escape(key)}["']?\s*[]=]""")
    for number, line in enumerate(text.splitlines(), 1):
        if setting.match(line):
            return number
    return 0


def _wrong(path: Path, line: int, what: str) -> SettingsError:
    return SettingsError(
        one_line(what).rstrip("."),
        subject=f"{path}:{line}" if line else str(path),
        remedy="Mend the file; docs/cli.md says what can stand in it",
    )
