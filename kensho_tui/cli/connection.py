"""``kensho connection``: the platforms that can be reached, and how each is trusted."""

import shlex
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
    trusting,
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
        settings=_settings(platform, settings),
    )
    if wanted.pin:
        wanted = trusting(wanted, wanted.pin, "given with --pin")
    known = _introduce(wanted, trust=trust and not pin, replacing=replacing, as_json=as_json)
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


@connection.command()
@click.argument("name")
@click.option("--pin", default="", metavar="SHA256", help="Trust this one, if the server shows it.")
@click.option("--system", is_flag=True, help="Trust what the system's authorities vouch for again.")
@click.option("--reason", default="", help="Why, for whoever reads the book.")
@json_option
@guarded
def trust(name: str, pin: str, system: bool, reason: str, as_json: bool) -> None:
    """Show which certificate is trusted and which one is shown now, and change that.

    A certificate that changed may mean that somebody stands between you and the server: ask who runs
    it. Where there is no terminal to ask at, give the new one's fingerprint with --pin.
    """
    if pin and system:
        raise click.UsageError("give --pin or --system")
    book = ConnectionBook()
    known = book.get(name)
    narrate(_trusted(known))
    if system:
        changed = trusting(known, "", "")
        _contact(changed)
        book.put(changed)
        narrate("Trusted from now on: what the system's authorities vouch for.")
        emit(_data(changed), "", as_json=as_json)
        return
    shown = _shown(known)
    if shown is None:
        raise KenshoError("nothing there shows a certificate", subject=name)
    shown.expected = known.pin
    shown.what = "the certificate has changed" if known.pin else "the certificate is not known yet"
    shown.remedy = (
        "Compare the fingerprint with what the server itself says; if it is the same, run"
        f" 'kensho connection trust {name} --pin {shown.presented}'"
    )
    narrate("Shown now:")
    narrate(_certificate(shown))
    if shown.presented != known.pin:
        _expect(shown, normal_pin(pin))
        if not pin and not _agreed(shown, as_json=as_json):
            raise KenshoError("nothing was changed", subject=name, remedy=shown.remedy)
        how = "given with --pin" if pin else "confirmed"
        why = reason or f"{how} {'after it changed' if known.pin else 'at first contact'}"
        known = trusting(known, shown.presented, one_line(why))
        book.put(known)
        narrate("Trusted from now on.")
    else:
        _expect(shown, normal_pin(pin))
        narrate("That is the one that is trusted; nothing changes.")
    emit(_data(known), "", as_json=as_json)


def _trusted(known: Connection) -> str:
    if not known.pin:
        return "Trusted: what the system's authorities vouch for."
    by = f"\n  since        {one_line(known.pinned)}" if known.pinned else ""
    return "\n".join(("Trusted:", *_fingerprint(known.pin))) + by


def _expect(shown: "TrustError", pin: str) -> None:
    """Raise where another certificate was to be trusted than the one that is shown."""
    if pin and pin != shown.presented:
        from backends.base import RefusedError

        raise RefusedError(
            f"the server shows {shown.presented}, not {pin}",
            subject=shown.subject,
            remedy="Ask who runs the server which one is right",
        )


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
        "pinned": known.pinned,
        "settings": dict(known.settings),
    }


def _secret(text: str) -> SecretRef:
    """The reference, as the book keeps it."""
    from kensho_tui.engine.sources import placed

    found = placed(SecretRef.parse(text))
    if found.kind is SecretKind.FILE and not Path(found.value).exists():
        narrate(f"Warning: {found.value} is not there yet; it needs mode 0600.")
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


def _adding(wanted: Connection, replacing: bool) -> str:
    """The command that adds this connection, to be pasted."""
    words = ["kensho", "connection", "add", wanted.name, "--platform", wanted.platform]
    words += ["--address", wanted.address]
    if wanted.username:
        words += ["--username", wanted.username]
    if wanted.secret.kind is not SecretKind.PROMPT:
        words += ["--secret", str(wanted.secret)]
    for key, value in wanted.settings.items():
        words += ["--set", f"{key}={value}"]
    words += ["--pin", wanted.pin, *(["--replace"] if replacing else [])]
    return shlex.join(words)


def _introduce(wanted: Connection, *, trust: bool, replacing: bool, as_json: bool) -> Connection:
    """The connection with the pin the operator agreed to, after a contact that logs nobody in."""
    from backends.base import TrustError

    try:
        _contact(wanted)
    except TrustError as error:
        if not error.presented:
            raise
        # It is in no book yet, so that there is nothing whose trust could be changed.
        error.remedy = (
            "Compare the fingerprint with the one on the server's console; if it is the same, run"
            f" '{_adding(replace(wanted, pin=error.presented), replacing)}'"
        )
        if wanted.pin:
            raise
        narrate(f"{one_line(error.subject)} shows a certificate that is not known here:")
        narrate(_certificate(error))
        if not trust and not _agreed(error, as_json=as_json):
            raise
        why = "taken with --trust, compared with nothing" if trust else "confirmed at first contact"
        known = trusting(wanted, error.presented, why)
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


def _shown(known: Connection) -> "TrustError | None":
    """The certificate that the server shows now, whoever trusts it; None: it shows none."""
    from backends.base import TrustError

    try:
        # No certificate has this fingerprint: so it is told, and nothing is sent.
        _contact(replace(known, pin="0" * 64))
    except TrustError as error:
        return error
    return None


def _certificate(error: "TrustError") -> str:
    return "\n".join(
        (
            *_fingerprint(error.presented),
            f"  issued by    {one_line(error.issuer) or '(unreadable)'}",
            f"  valid        {_span(error)}",
            f"  as --pin     {error.presented}",
        )
    )


def _fingerprint(pin: str) -> tuple[str, str]:
    pairs = [pin[n : n + 2].upper() for n in range(0, 64, 2)]
    return f"  SHA-256      {':'.join(pairs[:16])}:", f"               {':'.join(pairs[16:])}"


def _span(error: "TrustError") -> str:
    if not error.not_after:
        return "(unreadable)"
    return one_line(f"from {error.not_before} until {error.not_after}")


def _agreed(error: "TrustError", *, as_json: bool) -> bool:
    """Whether the person at the terminal trusts it; without one, the error's remedy is the way."""
    if _at_terminal() and not as_json:
        if not error.expected:
            return click.confirm(
                "Is this the fingerprint on the server's own console?", default=False, err=True
            )
        said: str = click.prompt("Type 'trust' to trust this one from now on", default="", err=True)
        return said.strip() == "trust"
    narrate("Nobody can be asked here.")
    if as_json:
        emit({"error": _error_data(error)}, "", as_json=True)
        raise SystemExit(int(Exit.PLATFORM))
    return False


def _error_data(error: "TrustError") -> dict[str, object]:
    return {
        "what": error.what,
        "subject": error.subject,
        "remedy": error.remedy,
        "certificate": {
            "pin": error.presented,
            "issuer": error.issuer,
            "not_before": error.not_before,
            "not_after": error.not_after,
        },
    }


def _at_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty()


def _session(known: Connection, descriptors: tuple[str, ...]) -> "Session":
    from backends.registry import platform
    from kensho_tui.cancel import Cancel
    from kensho_tui.cli.passwords import secrets_for

    secrets = secrets_for(descriptors, [known.name])
    return platform(known.platform).connect(known, secrets, Cancel())
