"""``kensho secret``: the store of secrets, encrypted with age, that connections name as ``age:NAME``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kensho_tui.cli.out import emit, guarded, json_option, narrate
from kensho_tui.errors import KenshoError

if TYPE_CHECKING:
    from kensho_tui.engine.age_store import AgeStore


def _store() -> "AgeStore":
    from kensho_tui.engine.age_store import AgeStore

    return AgeStore()


@click.group()
def secret() -> None:
    """Passwords in an encrypted store; connections name them as age:NAME."""


@secret.command("set")
@click.argument("name")
@click.option(
    "--key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What opens the store: an age identity or SSH private key. Made where there is none.",
)
@click.option("--passphrase", is_flag=True, help="A passphrase opens the store.")
@json_option
@guarded
def set_(name: str, key: Path | None, passphrase: bool, as_json: bool) -> None:
    """Keep a secret, in place of one of that name.

    It is asked for here, or read as the first line of standard input; it is never an argument, which
    every user of this machine could read. The first secret needs --key or --passphrase.
    """
    if key is not None and passphrase:
        raise click.UsageError("give --key or --passphrase")
    store = _store()
    if (key is not None or passphrase) and store.open_with(key):
        narrate(f"Made the key {key}. Keep a copy of it: without it the store does not open.")
    fresh = not store.names()
    store.put(name, _value(name), lambda: _passphrase(fresh=fresh))
    emit({"name": name, "reference": f"age:{name}"}, "", as_json=as_json)
    narrate(f"Kept. A connection finds it with --secret age:{name}")


@secret.command("list")
@json_option
@guarded
def list_(as_json: bool) -> None:
    """List the names of the secrets in the store, and what opens it."""
    store = _store()
    names = store.names()
    opened_by = str(store.key) if store.key else "passphrase" if store.asks else ""
    if names:
        narrate(f"Opened by: {opened_by or 'nothing'}")
    else:
        narrate("The store is empty. Add to it with 'kensho secret set NAME'.")
    emit({"names": names, "opened_by": opened_by}, "\n".join(names), as_json=as_json)


@secret.command()
@click.argument("name")
@json_option
@guarded
def remove(name: str, as_json: bool) -> None:
    """Forget a secret."""
    _store().remove(name)
    narrate(f"Removed '{name}'.")
    emit({"removed": name}, "", as_json=as_json)


def _value(name: str) -> str:
    if sys.stdin.isatty():
        value: str = click.prompt(
            f"Secret '{name}'", hide_input=True, confirmation_prompt=True, err=True
        )
        return value
    value = sys.stdin.readline().rstrip("\r\n")
    if not value:
        raise KenshoError(
            "no secret was given: standard input is empty",
            subject=name,
            remedy="Give it as its first line",
        )
    return value


def _passphrase(*, fresh: bool) -> str:
    """From the terminal itself: standard input may be what gives the secret."""
    try:
        with Path("/dev/tty").open("r+b", buffering=0):
            pass
    except OSError as error:
        raise KenshoError(
            "a passphrase opens the store, and there is no terminal to ask at",
            remedy="Run this at a terminal, or use a store that a key file opens",
        ) from error
    value: str = click.prompt(
        "Passphrase of the store", hide_input=True, confirmation_prompt=fresh, err=True
    )
    return value
