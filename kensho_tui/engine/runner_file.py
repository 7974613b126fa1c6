"""``runner.toml``: what holds for all jobs of a runner together.

::

    jobs_at_once = 8
    bandwidth = "100 MiB"          # a second, all jobs together

    [caps]                         # of jobs at once
    "source:vc-old" = 4
    "target:*" = 2                 # each target
    "storage:xen-new/local-sr" = 1
"""

import re
from pathlib import Path
from typing import Annotated

import tomlkit
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from tomlkit.exceptions import ParseError, TOMLKitError

from kensho_tui.engine.slots import JOBS_AT_ONCE, Settings
from kensho_tui.errors import KenshoError
from kensho_tui.migration.needs import TAGS
from kensho_tui.migration.plan import Rate
from kensho_tui.text import one_line


class SettingsError(KenshoError):
    """The file is not right. ``subject`` is ``file:line``."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    jobs_at_once: Annotated[int, Field(ge=1, le=256, strict=True)] = JOBS_AT_ONCE
    bandwidth: Rate = None
    caps: dict[str, Annotated[int, Field(ge=1, strict=True)]] = {}

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
        tag = next((each for each in data.get("caps", {}) if f"'{each}'" in what), "")
        raise _wrong(path, _line(text, tag or where[-1]), what) from invalid
    return Settings(file.jobs_at_once, file.bandwidth, file.caps)


def _line(text: str, key: str) -> int:
    """The line on which the key is set; 0 where it stands on none of its own."""
    setting = re.compile(rf"""\s*(?:\[\s*)?["']?{re.escape(key)}["']?\s*[]=]""")
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
