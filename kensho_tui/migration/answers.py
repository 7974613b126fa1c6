"""Answers as a YAML file, for ``--answers`` and for the wizard's export and import.

::

    configuration: medium
    home: pool-1
    start: true
    mac: generate                  # new addresses from the target; keep is usual
    timezone: Europe/Berlin        # what guests are told in their environment
    networks:
      Front: Pool-wide eth0        # a network of the package, or machine/adapter; null unplugs
    storage:
      default: local-sr
      disk2: big-sr
    machines:
      web01: {name: shop-web, processors: 4, memory: 8 GiB}
    properties:
      hostname: shop.example.org
      admin.password: {env: SHOP_PASSWORD}   # or {file: /run/secrets/shop}

Values are taken as they are written (``010`` stays ``010``); every error names line and column.
"""

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from kensho_tui.errors import KenshoError
from kensho_tui.variables import take_variable

_NULL = "tag:yaml.org,2002:null"
_KEYS = (
    "configuration", "home", "licences", "machines", "name", "networks", "properties", "start", "eject_after",
    "mac", "storage", "timezone",
)  # fmt: skip
_MACHINE_KEYS = ("home", "include", "memory", "name", "processors")


class AnswersError(KenshoError):
    """The answers file is not right. ``subject`` is ``file:line:column``."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One value as written, and where. ``value`` None is ``null``; a secret is where to find it."""

    value: str | None
    where: str
    env: str = ""
    file: str = ""

    def text(self, *, secret: bool = False) -> str:
        """The value, looked up where it is a reference.

        Args: secret: nobody but its owner may read the file.

        Raises: AnswersError: the variable is not set, or the file cannot be read, or others can.
        """
        if self.env:
            found = take_variable(self.env)
            if found is None:
                raise AnswersError(
                    f"the environment variable {self.env} is not set", subject=self.where
                )
            return found
        if self.file:
            try:
                with Path(self.file).expanduser().open(encoding="utf-8") as file:
                    if secret and os.fstat(file.fileno()).st_mode & 0o077:
                        raise AnswersError(
                            f"{self.file} holds a password and can be read by others",
                            subject=self.where,
                            remedy=f"Run 'chmod 600 {self.file}' and think about another password",
                        )
                    return file.readline().rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is no text"
                raise AnswersError(
                    f"{self.file} cannot be read: {reason}", subject=self.where
                ) from error
        return self.value or ""

    @property
    def whole_file(self) -> str:
        """The file by its whole path, as who has another current directory finds it; "" for none."""
        return str(Path(self.file).expanduser().absolute()) if self.file else ""


def found_in_places(plan: Mapping[str, Any]) -> dict[str, str]:
    """What can be had of a plan's secret properties from the places that it names, by secret name.

    Args:
        plan: as JSON. What is not there, or others can read, is left out: whoever needs it asks.
    """
    found: dict[str, str] = {}
    for each in (plan["spec"].get("properties") or {}).values():
        if isinstance(each, Mapping) and (each.get("env") or each.get("file")):
            place = Answer(None, "", env=each.get("env") or "", file=each.get("file") or "")
            with suppress(AnswersError):
                if value := place.text(secret=True):
                    found[str(each["secret"])] = value
    return found


@dataclass(frozen=True, slots=True)
class Answers:
    """What the file says, not yet held against an appliance or a target."""

    configuration: Answer | None = None
    home: Answer | None = None
    name: Answer | None = None
    start: Answer | None = None
    eject_after: Answer | None = None
    mac: Answer | None = None
    timezone: Answer | None = None
    licences: tuple[Answer, ...] = ()
    networks: dict[str, tuple[Answer, Answer]] = field(default_factory=dict)
    storage: dict[str, tuple[Answer, Answer]] = field(default_factory=dict)
    machines: dict[str, tuple[Answer, dict[str, Answer]]] = field(default_factory=dict)
    properties: dict[str, tuple[Answer, Answer]] = field(default_factory=dict)


# ---------------------------------------------------------------------------------------- reading
class _Reader:
    """Walks the node tree: nodes keep the text as written and its place, values would not."""

    def __init__(self, name: str) -> None:
        self.name = name

    def where(self, node: Any) -> str:  # noqa: ANN401
        mark = node.start_mark
        return f"{self.name}:{mark.line + 1}:{mark.column + 1}"

    def mapping(self, node: Any, what: str) -> list[tuple[Answer, Any]]:  # noqa: ANN401
        if node.id != "mapping":
            raise AnswersError(
                f"{what} must be a mapping of names to values", subject=self.where(node)
            )
        pairs: list[tuple[Answer, Any]] = []
        seen: set[str] = set()
        for key, value in node.value:
            if key.id != "scalar":
                raise AnswersError("a key must be a plain word", subject=self.where(key))
            if key.value in seen:
                raise AnswersError(f"'{key.value}' stands twice", subject=self.where(key))
            seen.add(key.value)
            pairs.append((Answer(key.value, self.where(key)), value))
        return pairs

    def scalar(self, node: Any, what: str, *, secret: bool = False) -> Answer:  # noqa: ANN401
        where = self.where(node)
        if node.id == "scalar":
            return Answer(None if node.tag == _NULL else str(node.value), where)
        if secret and node.id == "mapping":
            pairs = self.mapping(node, what)
            if len(pairs) == 1 and pairs[0][0].value in ("env", "file"):
                place = self.scalar(pairs[0][1], what).value or ""
                if place:
                    return Answer(None, where, **{pairs[0][0].value: place})
            raise AnswersError(
                f"{what} is no value", subject=where, remedy="Write {env: NAME} or {file: PATH}"
            )
        raise AnswersError(f"{what} must be a single value", subject=where)

    def named(
        self,
        node: Any,  # noqa: ANN401
        what: str,
        *,
        secret: bool = False,
    ) -> dict[str, tuple[Answer, Answer]]:
        return {
            key.value or "": (key, self.scalar(value, f"'{key.value}'", secret=secret))
            for key, value in self.mapping(node, what)
        }


def parse(text: str, name: str = "answers") -> Answers:
    """The answers in the text.

    Args:
        name: of the file, for messages.

    Raises: AnswersError: no YAML, an unknown key (the nearest known one is said), a wrong shape.
    """
    reader = _Reader(name)
    try:
        root = YAML().compose(StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise AnswersError(f"this is no YAML: {error.problem}", subject=place) from error
    except YAMLError as error:
        raise AnswersError("this is no YAML", subject=name) from error
    if root is None or (root.id == "scalar" and root.tag == _NULL):
        return Answers()
    found: dict[str, Any] = {}
    for key, node in reader.mapping(root, "the file"):
        nearest_known(key, _KEYS, "key")
        match key.value:
            case "networks" | "properties" as section:
                found[section] = reader.named(node, section, secret=section == "properties")
            case "storage":
                found["storage"] = (
                    {"default": (Answer("default", key.where), reader.scalar(node, "'storage'"))}
                    if node.id == "scalar"
                    else reader.named(node, "storage")
                )
            case "machines":
                found["machines"] = _machines(reader, node)
            case "licences":
                if node.id != "sequence":
                    raise AnswersError("'licences' must be a list of digests", subject=key.where)
                found["licences"] = tuple(reader.scalar(each, "a digest") for each in node.value)
            case other:
                found[str(other)] = reader.scalar(node, f"'{other}'")
    return Answers(**found)


def _machines(reader: _Reader, node: Any) -> dict[str, tuple[Answer, dict[str, Answer]]]:  # noqa: ANN401
    machines: dict[str, tuple[Answer, dict[str, Answer]]] = {}
    for machine, choices in reader.mapping(node, "machines"):
        entries: dict[str, Answer] = {}
        for key, value in reader.mapping(choices, f"'{machine.value}'"):
            nearest_known(key, _MACHINE_KEYS, "key of a machine")
            entries[key.value or ""] = reader.scalar(value, f"'{key.value}'")
        machines[machine.value or ""] = (machine, entries)
    return machines


def nearest_known(
    key: Answer, known: Iterable[str], what: str, names: Sequence[str] | None = None
) -> str:
    """The key, if it is known; else an error with the nearest one.

    Args:
        names: which of the known ones are listed, where ids are taken as well; None: all.
    """
    known = list(known)
    if key.value in known:
        return key.value or ""
    near = difflib.get_close_matches(key.value or "", known, 1)
    remedy = f"Do you mean '{near[0]}'? " if near else ""
    shown = names if names is not None else known
    remedy += f"Known are: {', '.join(shown)}" if known else "There is none here"
    raise AnswersError(f"'{key.value}' is no {what}", subject=key.where, remedy=remedy)
