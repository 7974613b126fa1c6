"""Logins of one wizard, command or job: opened when first needed, shared, closed together."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from backends.base import AuthenticationError, Session
from backends.registry import platform
from kensho_tui.cancel import Cancel
from kensho_tui.connections import Connection, ConnectionBook, LoginSecrets, normal_pin
from kensho_tui.errors import KenshoError
from kensho_tui.migration.plan import (
    Digest,
    DiskFormat,
    Integrity,
    OvfVersion,
    PackageFormat,
    PackageProfile,
    Spec,
    TargetPlan,
)
from kensho_tui.paths import named_path
from kensho_tui.web.address import is_url, parse, shown

PACKAGE = "package"


@dataclass(frozen=True, slots=True)
class Reading:
    """How a package is read.

    Attributes:
        integrity: what a file that does not match the manifest is: an error (``require``), a warning
            (``warn``), or not looked at (``off``).
        signed_by: files with certificates of those by whom it has to be signed; none: by nobody.
        locale: language of its texts (``de-DE``); "" its own.
        lenient: whether sections that its author requires and nobody understands are only a warning.
    """

    integrity: Integrity = "require"
    signed_by: tuple[str, ...] = ()
    locale: str = ""
    lenient: bool = False

    @classmethod
    def of(cls, spec: Spec) -> "Reading":
        """As a plan says."""
        return cls(spec.integrity, spec.signed_by, spec.locale, spec.lenient)

    def settings(self) -> dict[str, str]:
        """Settings of the package back end. Raises: KenshoError: see `kensho_tui.paths.named_path`."""
        settings: dict[str, str] = {"integrity": self.integrity}
        if self.signed_by:
            settings["signed_by"] = "\n".join(map(named_path, self.signed_by))
        if self.locale:
            settings["locale"] = self.locale
        if self.lenient:
            settings["lenient"] = "true"
        return settings


@dataclass(frozen=True, slots=True)
class Writing:
    """How a package is written; see `kensho_tui.migration.plan.TargetPlan`."""

    format: PackageFormat = "ova"
    disk_format: DiskFormat = "vmdk"
    ovf_version: OvfVersion = "1.1"
    profile: PackageProfile = ""
    compression: Literal["none", "gzip"] = "none"
    chunk_bytes: int = 0
    digest: Digest = "sha256"
    strict: bool = False
    reproducible: bool = False
    epoch: int = 0

    @classmethod
    def of(cls, target: TargetPlan) -> "Writing":
        """As the plan has it."""
        return cls(**{each.name: getattr(target, each.name) for each in fields(cls)})

    def planned(self) -> dict[str, Any]:
        """As a `TargetPlan` takes it."""
        return asdict(self)

    def settings(self) -> dict[str, str]:
        """Settings of the package back end."""
        usual = asdict(Writing())
        chosen = {name: str(value) for name, value in asdict(self).items() if value != usual[name]}
        return {**chosen, "format": self.format}


class Sessions:
    """Sessions by connection name or by package path. Thread-safe; one login for each.

    Args:
        book: where connection names are looked up.
        secrets: where passwords come from.
        cancel: ends every call of every session; None: nothing does.
        pins: certificates that are expected of connections instead of those of the book.
    """

    def __init__(
        self,
        book: ConnectionBook,
        secrets: LoginSecrets,
        cancel: Cancel | None = None,
        pins: Mapping[str, str] | None = None,
    ) -> None:
        self.book = book
        self.secrets = secrets
        self._cancel = cancel or Cancel()
        self._lock = threading.Lock()
        self._opening: dict[object, threading.Lock] = {}
        self._open: dict[object, Session] = {}
        self._pins: dict[str, str] = dict(pins or {})
        self._closed = False

    def connection(self, name: str) -> Connection:
        """The connection of that name, with the pin that was trusted for this run, if one was.

        Raises: ConnectionBookError: there is none.
        """
        connection = self.book.get(name)
        pin = self._pins.get(name)
        return replace(connection, pin=pin) if pin else connection

    def get(self, name: str) -> Session:
        """The session of the connection of that name.

        Raises: ConnectionBookError, and what `backends.base.Platform.connect` raises.
        """
        return self._once(name, lambda: self.connection(name))

    def package(self, path: str, **settings: str) -> Session:
        """A session on the package at the path, which may be yet to be written.

        Args:
            path: folder, descriptor or archive; or an address on a web server, which is spoken to as
                the connection says that it lies below.
            settings: of the package back end, as its settings model names them.

        Raises: KenshoError: see `kensho_tui.paths.named_path` and `kensho_tui.web.address.parse`.
        """
        key = (path, tuple(sorted(settings.items())))
        if is_url(path):
            url = parse(path)
            return self._once(key, lambda: self._on_web(url, settings))
        path = named_path(path)
        connection = Connection(name=path, platform=PACKAGE, address=path, settings=settings)
        return self._once(key, lambda: connection)

    def _on_web(self, url: str, settings: Mapping[str, str]) -> Connection:
        from kensho_tui.web.known import covering

        found = covering(self.book, url)
        if found is None:
            return Connection(name=shown(url), platform=PACKAGE, address=url, settings=settings)
        known = self.connection(found.name)
        return replace(known, settings={**known.settings, **settings, "url": url})

    def trust(self, name: str, pin: str) -> None:
        """Expect this certificate of the connection from now on; the book is not changed."""
        with self._lock:
            self._pins[name] = normal_pin(pin)

    def apart(self) -> "Sessions":
        """Logins of their own by the same rules, which no cancellation ends: for cleaning up."""
        with self._lock:
            return Sessions(self.book, self.secrets, self._cancel.apart(), self._pins)

    def forget(self, name: str) -> None:
        """Close the session of that name, so that the next `get` logs in anew."""
        with self._lock:
            session = self._open.pop(name, None)
        if session is not None:
            session.close()

    def _once(self, key: object, find: Callable[[], Connection]) -> Session:
        with self._lock:
            opening = self._opening.setdefault(key, threading.Lock())
        # A lock for each login: a platform that is slow to answer holds up nobody else.
        with opening:
            with self._lock:
                if key in self._open and not self._closed:
                    return self._open[key]
            session = self._login(find())
            with self._lock:
                if not self._closed:
                    self._open[key] = session
                    return session
            # Somebody closed all of them while this one was being opened.
            session.close()
            raise KenshoError("the sessions are closed", subject=str(key))

    def _login(self, connection: Connection) -> Session:
        """Log in, with another password as often as a person gives one."""
        while True:
            try:
                return platform(connection.platform).connect(connection, self.secrets, self._cancel)
            except AuthenticationError as error:
                if not self.secrets.refused(connection, error.what):
                    raise

    def close(self) -> None:
        """Log out everywhere. Twice is once."""
        with self._lock:
            self._closed = True
            sessions, self._open = list(self._open.values()), {}
        for session in sessions:
            session.close()

    def __enter__(self) -> "Sessions":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
