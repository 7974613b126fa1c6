"""``kensho connection``: the platforms that can be reached, and how each is trusted."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kensho_tui.cli.out import Exit, emit, guarded, json_option, narrate
from kensho_tui.cli.passwords import password_fd_option
from kensho_tui.connections import (
    Connection,
    ConnectionBook,
    ConnectionBookError,
    SecretKind,
    SecretRef,
    normal_pin,
)
from kensho_tui.errors import KenshoError
from kensho_tui.text import one_line

if TYPE_CHECKING:
    from backends.base import Session, TrustError


@click.group()
def connection() -> None:
    """Platforms that can be reached, kept in the connection book."""


@connection.command()
@click.argument("name")
@click.option("--platform", required=True, metavar="NAME", help="Such as xenserver.")
@click.option("--address", required=True, help="host, host:port or URL; a path for packages.")
@click.option("--username", default="", help="Who logs in.")
@click.option(
    "--secret",
    "reference",
    default="prompt",
    show_default=True,
    metavar="REF",
    help="Where the password is, never itself: systemd:NAME, keyring:SERVICE/USER, age:NAME,"
    " command:JSON-LIST, env:NAME, file:PATH or prompt.",
)
@click.option("--pin", default="", metavar="SHA256", help="Certificate that is trusted.")
@click.option("--trust", is_flag=True, help="Trust the certificate shown now, without asking.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Further settings.")
@click.option("--replace", "replacing", is_flag=True, help="Replace a connection of that name.")
@json_option
@guarded
def add(
    name: str,
    platform: str,
    address: str,
    username: str,
    reference: str,
    pin: str,
    trust: bool,
    settings: tuple[str, ...],
    replacing: bool,
    as_json: bool,
) -> None:
    """Add a platform, after looking whether it is there and whom it is.

    A certificate that no authority vouches for is shown, and trusted once you say so. Where there
    is no terminal to ask at, give its fingerprint with --pin.
    """
    book = ConnectionBook()
    if not replacing and name in {each.name for each in book}:
        raise ConnectionBookError(
            "there is a connection of this name already",
            subject=name,
            remedy="Choose another name, or give --replace",
        )
    wanted = Connection(
        name,
        platform,
        address,
        username,
        _secret(reference),
        normal_pin(pin),
        _settings(platform, settings),
    )
    known = _introduce(wanted, trust=trust and not pin, as_json=as_json)
    book.put(known)
    narrate(f"Added '{name}'. Try it with 'kensho connection test {name}'.")
    emit(_data(known), "", as_json=as_json)


@connection.command()
@click.argument("name")
@password_fd_option
@json_option
@guarded
def test(name: str, password_fd: tuple[str, ...], as_json: bool) -> None:
    """Log in once, and tell what is there."""
    from backends.base import HostItem, MachineItem, StorageItem
    from kensho_tui.cli import inventory

    session = _session(ConnectionBook().get(name), password_fd)
    try:
        platform = session.capabilities.platform
        items = inventory.read(session)
    finally:
        session.close()
    counts = {
        "hosts": sum(isinstance(each, HostItem) for each in items),
        "storages": sum(isinstance(each, StorageItem) for each in items),
        "machines": sum(isinstance(each, MachineItem) for each in items),
    }
    title = " ".join(filter(None, (platform.vendor or platform.kind, platform.version)))
    told = ", ".join(f"{number} {what}" for what, number in counts.items() if number)
    emit(
        {"name": name, "platform": platform, **counts},
        f"{name}: {title}{f' ({told})' if told else ''}",
        as_json=as_json,
    )


@connection.command()
@click.argument("name")
@password_fd_option
@json_option
@guarded
def show(name: str, password_fd: tuple[str, ...], as_json: bool) -> None:
    """Log in, and list the machines, storages, networks and homes that other commands can name."""
    from kensho_tui.cli import inventory

    session = _session(ConnectionBook().get(name), password_fd)
    try:
        found = inventory.read(session)
    finally:
        session.close()
    emit(found, inventory.told(found), as_json=as_json)


@connection.command("list")
@json_option
@guarded
def list_(as_json: bool) -> None:
    """All connections."""
    from kensho_tui.cli.inventory import table

    known = list(ConnectionBook())
    head = ("NAME", "PLATFORM", "ADDRESS", "USER", "PASSWORD FROM", "TRUST")
    rows = [
        (
            each.name,
            each.platform,
            one_line(each.address),
            one_line(each.username) or "-",
            one_line(str(each.secret)),
            f"pin {each.pin[:16]}…" if each.pin else "system",
        )
        for each in known
    ]
    if not known:
        narrate("No connection yet. Add one with 'kensho connection add'.")
    emit([_data(each) for each in known], table(head, rows), as_json=as_json)


@connection.command()
@click.argument("name")
@json_option
@guarded
def remove(name: str, as_json: bool) -> None:
    """Forget a connection. Its password stays where it is."""
    ConnectionBook().remove(name)
    narrate(f"Removed '{name}'.")
    emit({"removed": name}, "", as_json=as_json)


def _data(known: Connection) -> dict[str, object]:
    """A connection as JSON; it holds no secret."""
    return {
        "name": known.name,
        "platform": known.platform,
        "address": known.address,
        "username": known.username,
        "secret": str(known.secret),
        "pin": known.pin,
        "settings": dict(known.settings),
    }


def _secret(text: str) -> SecretRef:
    """The reference, with a file's path made absolute: jobs run elsewhere."""
    found = SecretRef.parse(text)
    if found.kind is SecretKind.FILE:
        if not found.value:
            raise ConnectionBookError("no file is named", subject=text, remedy="Use file:PATH")
        return SecretRef(found.kind, str(Path(found.value).expanduser().absolute()))
    return found


def _settings(platform: str, given: tuple[str, ...]) -> Mapping[str, str]:
    """``KEY=VALUE`` options, as the platform's model takes them."""
    from pydantic import ValidationError

    from backends.registry import platform as load

    settings = {}
    for each in given:
        key, mark, value = each.partition("=")
        if not mark or not key:
            raise ConnectionBookError("a setting is KEY=VALUE", subject=each)
        settings[key] = value
    model = load(platform).settings
    try:
        model.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConnectionBookError(
            f"setting '{'.'.join(map(str, first['loc']))}' is not right: {first['msg']}",
            subject=platform,
            remedy=f"Known are: {', '.join(model.model_fields) or 'none'}",
        ) from error
    return settings


class _NotAskedYet(KenshoError):
    """The platform wants the password: so it is there, and it is trusted."""


class _NoSecrets:
    """Stands where secrets are found, for a first contact that must not need one."""

    def password(self, connection: Connection) -> str:
        """Ends the contact."""
        raise _NotAskedYet("not asked yet", subject=connection.name)

    def secret(self, name: str) -> str:
        """Ends the contact."""
        raise _NotAskedYet("not asked yet", subject=name)


def _introduce(wanted: Connection, *, trust: bool, as_json: bool) -> Connection:
    """The connection with the pin the operator agreed to, after a contact that logs nobody in."""
    from backends.base import TrustError

    try:
        _contact(wanted)
    except TrustError as error:
        if wanted.pin or not error.presented:
            raise
        narrate(_certificate(error))
        if not trust and not _agreed(error, as_json=as_json):
            raise
        known = replace(wanted, pin=error.presented)
        _contact(known)
        return known
    return wanted


def _contact(wanted: Connection) -> None:
    from backends.registry import platform
    from kensho_tui.cancel import Cancel

    try:
        platform(wanted.platform).connect(wanted, _NoSecrets(), Cancel()).close()
    except _NotAskedYet:
        return


def _certificate(error: "TrustError") -> str:
    pairs = [error.presented[n : n + 2].upper() for n in range(0, 64, 2)]
    return "\n".join(
        (
            f"{one_line(error.subject)} shows a certificate that is not known here:",
            f"  SHA-256      {':'.join(pairs[:16])}:",
            f"               {':'.join(pairs[16:])}",
            f"  issued by    {one_line(error.issuer) or '(unreadable)'}",
            f"  valid until  {one_line(error.not_after) or '(unreadable)'}",
            f"  as --pin     {error.presented}",
        )
    )


def _agreed(error: "TrustError", *, as_json: bool) -> bool:
    """Whether the person at the terminal trusts it; without one, the way to say so is told."""
    if _at_terminal() and not as_json:
        return click.confirm(
            "Is this the fingerprint on the server's own console?", default=False, err=True
        )
    narrate(f"Nobody can be asked here. If it is right, add --pin {error.presented}")
    if as_json:
        emit(
            {
                "error": {
                    "what": error.what,
                    "subject": error.subject,
                    "remedy": error.remedy,
                    "certificate": {
                        "pin": error.presented,
                        "issuer": error.issuer,
                        "not_after": error.not_after,
                    },
                }
            },
            "",
            as_json=True,
        )
        raise SystemExit(int(Exit.PLATFORM))
    return False


def _at_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty()


def _session(known: Connection, descriptors: tuple[str, ...]) -> "Session":
    from backends.registry import platform
    from kensho_tui.cancel import Cancel
    from kensho_tui.cli.passwords import secrets_for

    secrets = secrets_for(descriptors, [known.name])
    return platform(known.platform).connect(known, secrets, Cancel())
