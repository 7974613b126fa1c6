"""The objects of the pool, and what changed when.

Follows xapi's database as ``event.from`` shows it (``ocaml/xapi/xapi_event.ml``): one generation
number for the whole database, raised by every change; each object knows the generation it was made
and last changed in, and deletions are remembered. A reference that is the other end of another
class's reference (``VM.VBDs``) is not stored but looked up.
"""

import datetime
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kensho_tui.lab.xen.fault import Fault
from kensho_tui.lab.xen.schema import NULL, REVERSE, TABLES, Value
from kensho_tui.lab.xen.store import Store


def now() -> str:
    """This moment, as XenAPI writes dates."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H:%M:%SZ")


@dataclass
class Row:
    """One object and its place in the history."""

    values: dict[str, Value]
    created: int
    modified: int


@dataclass(frozen=True)
class Deletion:
    """An object that is gone."""

    cls: str
    ref: str
    created: int
    deleted: int


class Database:
    """All objects. Every method takes the lock; hold `lock` to do several things as one.

    Attributes:
        changed: notified after every change; its lock is `lock`.
        generation: of the last change.
    """

    def __init__(self, store: Store) -> None:
        """Args: store: where the objects are kept; what it holds is loaded now."""
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.generation = 1
        self._store = store
        self._rows: dict[str, dict[str, Row]] = {name: {} for name in TABLES}
        self.deletions: list[Deletion] = []
        for cls, ref, values in store.load():
            self.generation += 1
            complete = TABLES[cls].complete(values)
            self._rows[cls][ref] = Row(complete, self.generation, self.generation)

    def _change(self) -> int:
        self.generation += 1
        self.changed.notify_all()
        return self.generation

    def row(self, cls: str, ref: str) -> Row:
        """One object. Raises: Fault: ``HANDLE_INVALID``."""
        try:
            return self._rows[cls][ref]
        except KeyError:
            raise Fault("HANDLE_INVALID", cls, ref) from None

    def rows(self, cls: str) -> Iterator[tuple[str, Row]]:
        """All objects of a class. Iterate under `lock`."""
        return iter(self._rows[cls].items())

    def exists(self, cls: str, ref: str) -> bool:
        """Whether there is such an object."""
        return ref in self._rows[cls]

    def class_of(self, ref: str) -> str | None:
        """Which class the reference is of; None where it points nowhere."""
        return next((cls for cls, rows in self._rows.items() if ref in rows), None)

    def create(self, cls: str, values: Mapping[str, Value], *, ref: str = "") -> str:
        """Make an object; its reference. Fields not given have their default, the UUID is new."""
        with self.lock:
            complete = TABLES[cls].complete(values)
            complete["uuid"] = complete["uuid"] or str(uuid.uuid4())
            ref = ref or f"OpaqueRef:{uuid.uuid4()}"
            generation = self._change()
            self._rows[cls][ref] = Row(complete, generation, generation)
            self._store.save(cls, ref, complete)
            self._touch_others(cls, complete)
            return ref

    def set(self, cls: str, ref: str, **changes: Value) -> None:
        """Change fields. Raises: Fault: ``HANDLE_INVALID``."""
        with self.lock:
            row = self.row(cls, ref)
            unknown = changes.keys() - row.values.keys()
            if unknown:
                raise KeyError(f"{cls} has no {', '.join(sorted(unknown))}")
            before = dict(row.values)
            row.values.update(changes)
            row.modified = self._change()
            self._store.save(cls, ref, row.values)
            if any(before[name] != value for name, value in changes.items()):
                self._touch_others(cls, before)
                self._touch_others(cls, row.values)

    def touch(self, cls: str, ref: str) -> None:
        """Make the object look changed (``event.inject``; a derived field changed)."""
        with self.lock:
            self.row(cls, ref).modified = self._change()

    def destroy(self, cls: str, ref: str) -> None:
        """Remove an object. Raises: Fault: ``HANDLE_INVALID``."""
        with self.lock:
            row = self.row(cls, ref)
            del self._rows[cls][ref]
            self.deletions.append(Deletion(cls, ref, row.created, self._change()))
            self._store.delete(ref)
            self._touch_others(cls, row.values)

    def clear(self) -> None:
        """Remove everything."""
        with self.lock:
            for cls, rows in self._rows.items():
                for ref in list(rows):
                    self.destroy(cls, ref)

    def _touch_others(self, cls: str, values: Mapping[str, Value]) -> None:
        for (other, _), (source, field) in REVERSE.items():
            if source == cls and self.exists(other, values[field]):
                self._rows[other][values[field]].modified = self._change()

    def get(self, cls: str, ref: str, field: str) -> Value:
        """One field, looked up where it is the other end of a reference."""
        with self.lock:
            row = self.row(cls, ref)
            if (cls, field) in REVERSE:
                source, back = REVERSE[cls, field]
                return self.find(source, **{back: ref})
            return row.values[field]

    def record(self, cls: str, ref: str) -> dict[str, Value]:
        """All fields of an object."""
        with self.lock:
            return {name: self.get(cls, ref, name) for name in self.row(cls, ref).values}

    def refs(self, cls: str) -> list[str]:
        """All references of a class, in the order the objects were made."""
        with self.lock:
            return list(self._rows[cls])

    def find(self, cls: str, **equal: Value) -> list[str]:
        """The references of all objects whose fields equal these."""
        with self.lock:
            return [
                ref
                for ref, row in self._rows[cls].items()
                if all(row.values[name] == value for name, value in equal.items())
            ]

    def by_uuid(self, cls: str, text: str) -> str:
        """The object of that UUID. Raises: Fault: ``UUID_INVALID``."""
        found = self.find(cls, uuid=text)
        if not found:
            raise Fault("UUID_INVALID", cls, text)
        return found[0]

    def reference(self, cls: str, text: str) -> str:
        """The reference, from a reference or a UUID, as the HTTP handlers take it."""
        return text if self.exists(cls, text) else self.by_uuid(cls, text)

    def valid_ref_counts(self) -> dict[str, int]:
        """How many objects of each class there are, by the class names events use."""
        with self.lock:
            return {cls.lower(): len(rows) for cls, rows in self._rows.items()}

    def close(self) -> None:
        """Close the store."""
        with self.lock:
            self._store.close()


def present(ref: str) -> bool:
    """Whether the reference points anywhere."""
    return ref not in {"", NULL}
