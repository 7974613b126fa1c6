"""``licences.toml``: what a site says of licences, beside the connection book.

::

    unlisted = "error"             # what is on no list below: error or warn
    uuid = "warn"                  # a machine that gets another SMBIOS UUID: error, warn or info

    [[licences]]                   # texts that are accepted here
    digest = "9f86d0…"             # SHA-256 of the text, as 'kensho package show --json' has it
    name = "Shop, terms of 2026"
    until = 2027-06-30             # the last day that it is

    [[vendors]]
    name = "Example*"              # as the product says it; a pattern, in any case of letters
    licences = "any"               # its texts need not be listed one by one; else "listed"

    [[keys]]                       # questions whose answers are licence keys
    match = ["*licen?e*key*"]      # key, address or label of the question
    format = "[A-Z0-9]{5}(-[A-Z0-9]{5}){4}"

    [hook]                         # a program of the site's is asked too
    command = ["/opt/kensho/licences"]
    timeout_s = 20
"""

import os
import re
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

import tomlkit
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator
from tomlkit.exceptions import TOMLKitError

from kensho_tui.errors import KenshoError
from kensho_tui.machine import Property
from kensho_tui.paths import config_dir
from kensho_tui.text import one_line

NAME = "licences.toml"
_LONGEST = 1 << 20  # bytes


class PolicyError(KenshoError):
    """The policy cannot be used: nothing is allowed then."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _expression(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"it is no regular expression ({error})") from error
    return value


def _fits(pattern: str, value: str) -> bool:
    return fnmatchcase(value.casefold(), pattern.casefold())


class Allowance(_Model):
    """What is accepted, and until which day; None: until it is taken back."""

    until: date | None = None
    note: str = ""  # for people: who decided it, and why

    def ended(self, today: date) -> bool:
        """Whether it held once, and does not any more."""
        return self.until is not None and today > self.until


class LicenceAllowance(Allowance):
    """A licence's text that is accepted, by its SHA-256."""

    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    name: str = ""


class VendorAllowance(Allowance):
    """Vendors whose products are accepted; ``any``: with whatever licence."""

    name: str
    licences: Literal["any", "listed"] = "listed"

    def covers(self, vendor: str) -> bool:
        """Whether it is about that vendor."""
        return _fits(self.name, vendor.strip())


class KeyRule(_Model):
    """Which questions are answered by a licence key, and how such a key looks.

    ``format``: a regular expression for all of the answer; "" for any.
    """

    match: Annotated[tuple[str, ...], Field(min_length=1)]
    format: Annotated[str, AfterValidator(_expression)] = ""
    required: bool = True

    @field_validator("match", mode="before")
    @classmethod
    def _one(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    def covers(self, asked: Property) -> bool:
        """Whether the question asks for such a key."""
        names = (asked.key, asked.address, asked.label)
        return any(_fits(pattern, name) for pattern in self.match for name in names if name)

    def well_formed(self, value: str) -> bool:
        """Whether it looks like one."""
        return not self.format or re.fullmatch(self.format, value[:4096]) is not None


class HookPolicy(_Model):
    """A program that is asked whether there are seats; see `kensho_tui.migration.licence_hook`."""

    command: Annotated[tuple[str, ...], Field(min_length=1)]
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 20.0
    on_failure: Literal["error", "warn"] = "error"

    @field_validator("command")
    @classmethod
    def _whole(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not Path(value[0]).is_absolute():
            raise ValueError("the program's whole path is needed: jobs have another PATH than you")
        return value


class Policy(_Model):
    """What the site says. Lists that are not there judge nothing."""

    unlisted: Literal["error", "warn"] = "error"
    uuid: Literal["error", "warn", "info"] = "info"
    licences: tuple[LicenceAllowance, ...] = ()
    vendors: tuple[VendorAllowance, ...] = ()
    keys: tuple[KeyRule, ...] = ()
    hook: HookPolicy | None = None


def policy_path() -> Path:
    """Where the policy stands."""
    return config_dir() / NAME


def load(path: Path | None = None) -> Policy | None:
    """The site's policy; None where there is none.

    Raises: PolicyError: it is not right, or others can write it.
    """
    path = path or policy_path()
    try:
        with path.open("rb") as file:
            _require_trusted(path, os.fstat(file.fileno()))
            text = file.read(_LONGEST).decode()
        data: dict[str, Any] = tomlkit.parse(text).unwrap()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise _wrong(path, f"it cannot be read ({error})") from error
    try:
        return Policy.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(each) for each in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            what = "there is no such setting"
        raise _wrong(path, f"'{where}': {what}") from error


def _require_trusted(path: Path, seen: os.stat_result) -> None:
    """It says what is allowed, and names a program that is run: by nobody else's hand."""
    if seen.st_uid not in {os.geteuid(), 0} or seen.st_mode & 0o022:
        raise PolicyError(
            "others can write the policy of licences, and with it say what is allowed",
            subject=str(path),
            remedy=f"Look at what is in it, make the file your own and run 'chmod 644 {path}'",
        )


def _wrong(path: Path, what: str) -> PolicyError:
    return PolicyError(
        f"the policy of licences is not right: {one_line(what).rstrip('.')}",
        subject=str(path),
        remedy="Mend the file; docs/packages.md says what can stand in it",
    )
