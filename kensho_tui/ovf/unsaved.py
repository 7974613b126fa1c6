"""What the editor has not saved, kept in the state directory: a lost terminal loses no work.

One file for each package that is edited, private to the user, gone once the package is saved or its changes are
dropped. It holds the edited descriptor, whose passwords have no defaults that an edit could have put there.
"""

import hashlib
import json
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kensho_tui.disks.files import system_errors
from kensho_tui.paths import private_dir, state_dir

_MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Unsaved:
    """Changes that were not saved.

    Attributes:
        descriptor: the edited one.
        base: SHA-256 of the descriptor that was edited.
        files: those that were to come into the package, by the ids they have in it.
        when: they were made last.
    """

    descriptor: bytes
    base: str
    files: Mapping[str, Path]
    when: datetime

    def fits(self, descriptor: bytes) -> bool:
        """Whether they are changes of that very descriptor."""
        return hashlib.sha256(descriptor).hexdigest() == self.base


def _place(package: Path) -> Path:
    name = hashlib.sha256(os.fsencode(package.absolute())).hexdigest()[:32]
    return state_dir() / "unsaved" / f"{name}.json"


def keep(package: Path, original: bytes, descriptor: bytes, files: Mapping[str, Path]) -> None:
    """Keep the changes, in place of what was kept of this package. Raises: FileError; SharedDirError."""
    place = _place(package)
    private_dir(state_dir())
    private_dir(place.parent)
    text = json.dumps(
        {
            "package": os.fsdecode(package.absolute()),
            "base": hashlib.sha256(original).hexdigest(),
            "descriptor": b64encode(descriptor).decode(),
            "files": {id_: os.fsdecode(path.absolute()) for id_, path in files.items()},
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    )
    partial = place.with_suffix(".partial")
    with system_errors("keep what is not saved", str(place)):
        number = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(number, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            os.fsync(number)
        partial.replace(place)


def kept(package: Path) -> Unsaved | None:
    """What was kept of the package; None for nothing, and for what is none of it."""
    place = _place(package)
    try:
        if place.stat().st_size > _MOST_BYTES:
            return None
        found = json.loads(place.read_text("utf-8", errors="surrogateescape"))
        return Unsaved(
            b64decode(found["descriptor"], validate=True),
            str(found["base"]),
            {str(id_): Path(path) for id_, path in found["files"].items()},
            datetime.fromisoformat(found["when"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def drop(package: Path) -> None:
    """Forget what was kept of the package. Raises: FileError."""
    with system_errors("remove", str(_place(package))):
        _place(package).unlink(missing_ok=True)
