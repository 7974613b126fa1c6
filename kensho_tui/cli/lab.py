"""``kensho lab``: a XenServer stand-in of one's own, in a process of its own.

The stand-in is started as a program and asked over its control, never imported: the commands stay
light, and it lives on when the terminal closes.
"""

import fcntl
import http.client
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from kensho_tui.cli.out import emit, guarded, json_option, narrate
from kensho_tui.connections import (
    Connection,
    ConnectionBook,
    ConnectionBookError,
    SecretKind,
    SecretRef,
    require_name,
    trusting,
)
from kensho_tui.engine.environment import clean_environment
from kensho_tui.errors import KenshoError
from kensho_tui.paths import private_dir

CONNECTION = "lab-xen"
START_S = 30.0
STOP_S = 30.0


class LabError(KenshoError):
    """The lab does not start, stop or answer."""


@dataclass(frozen=True)
class LabAddress:
    """Where a running lab is, from its ``address.json``; no secret."""

    url: str
    port: int
    pin: str
    username: str
    password_file: str
    pid: int


def read_address(state: Path) -> LabAddress | None:
    """Where the lab of that state is, or was; None where there never was one."""
    try:
        data = json.loads((state / "address.json").read_text(encoding="utf-8"))
        return LabAddress(**{name: data[name] for name in LabAddress.__dataclass_fields__})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def ask(state: Path, order: dict[str, Any]) -> dict[str, Any] | None:
    """Ask the lab's control; its answer, None where no lab answers.

    Raises: LabError: something answers that is not this lab.
    """
    address = read_address(state)
    if address is None:
        return None
    connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=START_S)
    try:
        token = (state / "token").read_text(encoding="ascii").strip()
        connection.request(
            "POST", "/lab/control", json.dumps(order).encode(), {"X-Lab-Token": token}
        )
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    if response.status != 200:
        raise LabError(
            f"port {address.port} is answered by something else",
            subject=str(state),
            remedy="End that program, or remove address.json and start again",
        )
    answer: dict[str, Any] = json.loads(body)
    return answer


def start_lab(state: Path, port: int = 0) -> LabAddress:
    """Start the lab of that state, detached, unless it runs already; where it is.

    Raises: LabError: it does not come up; the message ends with what it said.
    """
    private_dir(state)
    running = read_address(state)
    if running is not None and ask(state, {}) is not None:
        return running
    log = state / "lab.log"
    # -P: what lies in the current directory is not imported.
    command = [sys.executable, "-P", "-m", "kensho_tui.lab", "serve"]
    command += ["--state", str(state), "--port", str(port)]
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=out,
            start_new_session=True,
            # It lives long, and its environment can be read as long as it lives.
            env=clean_environment(os.environ),
        )
    assert process.stdout is not None
    with process.stdout as ready:
        # One line when it is ready, the end of the stream when it is not.
        line = ready.readline()
    address = read_address(state)
    if not line or address is None:
        process.wait()
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise LabError(
            f"the lab does not start ({said[-1] if said else 'it said nothing'})",
            subject=str(state),
            remedy=f"See {log}",
        )
    # It lives on as a child of init; Popen must not warn that it still runs.
    process.returncode = 0
    return address


def stop_lab(state: Path) -> bool:
    """Stop the lab and wait for its end; false where none ran.

    Raises: LabError: it does not end.
    """
    address = read_address(state)
    if address is None or ask(state, {"stop": True}) is None:
        return False
    deadline = time.monotonic() + STOP_S
    while _held(state / "lock"):
        if time.monotonic() > deadline:
            raise LabError(
                "the lab does not end",
                subject=str(state),
                remedy=f"End process {address.pid}",
            )
        time.sleep(0.02)
    return True


def _held(lock: Path) -> bool:
    """Whether a lab holds its state; it lets go when its process ends, however it ends."""
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def add_connection(state: Path, address: LabAddress, name: str = CONNECTION) -> Connection:
    """Put the lab into the connection book under that name, in place of what `require_free` allows."""
    book = ConnectionBook()
    secret = SecretRef(SecretKind.FILE, address.password_file)
    known = next((each for each in book if each.name == name), None)
    if known is None or known.secret != secret:
        known = Connection(name, "xenserver", address.url)
    connection = replace(known, address=address.url, username=address.username, secret=secret)
    if connection.pin != address.pin:
        connection = trusting(connection, address.pin, f"as the lab in {state} says itself")
    book.put(connection)
    return connection


def require_free(name: str, state: Path) -> None:
    """Refuse a name that a lab of that state may not take in the connection book.

    It may take a new one, its own, and that of a lab that runs no more.

    Raises: ConnectionBookError: the name is none, or is another connection's.
    """
    require_name(name)
    known = next((each for each in ConnectionBook() if each.name == name), None)
    if known is None:
        return
    other = _lab_of(known)
    if other == state:
        return
    if other is None:
        what = "there is a connection of this name, and no lab has made it"
    elif _answers(other):
        what = f"the connection of this name leads to another lab, which runs (in {other})"
    else:
        return
    raise ConnectionBookError(
        what,
        subject=name,
        remedy=f"Give this lab's connection another name, such as --name {name}-2",
    )


def _lab_of(known: Connection) -> Path | None:
    """State of the lab that the connection was made by; None where no lab has made it."""
    if known.platform != "xenserver" or known.secret.kind is not SecretKind.FILE:
        return None
    password = Path(known.secret.value)
    state = password.parent
    address = read_address(state)
    if address is not None:
        return state if address.password_file == str(password) else None
    # One whose directory was removed: the loopback address is all that is left of it.
    gone = password.name == "password" and not state.exists()
    return state if gone and known.address.startswith("https://127.0.0.1:") else None


def _answers(state: Path) -> bool:
    try:
        return ask(state, {}) is not None
    except LabError:
        return False  # something else has its port by now


state_option = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    required=True,
    help="The directory the lab lives in.",
)


@click.group()
def lab() -> None:
    """A XenServer stand-in on this machine, to try things on."""


@lab.command()
@state_option
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0: any free one.")
@click.option(
    "--name", default=CONNECTION, show_default=True, help="The connection that leads to it."
)
@json_option
@guarded
def start(state: Path, port: int, name: str, as_json: bool) -> None:
    """Start it (or find it running) and add a connection to it.

    A connection that no lab has made, or that leads to another lab which runs, is not replaced.
    """
    require_free(name, state)
    address = start_lab(state, port)
    connection = add_connection(state, address, name)
    data = {
        "connection": connection.name,
        "url": address.url,
        "pin": address.pin,
        "username": address.username,
        "password_file": address.password_file,
        "pid": address.pid,
        "state": str(state),
    }
    narrate(f"The lab runs. Connection '{name}' is in {ConnectionBook().path}.")
    emit(data, f"{name}  {address.url}", as_json=as_json)


@lab.command()
@state_option
@json_option
@guarded
def stop(state: Path, as_json: bool) -> None:
    """Stop it. Its machines and disks stay for the next start; so does the connection."""
    stopped = stop_lab(state)
    emit({"stopped": stopped}, "Stopped." if stopped else "No lab runs there.", as_json=as_json)


@lab.command()
@state_option
@json_option
@guarded
def status(state: Path, as_json: bool) -> None:
    """Whether it runs, where, and how it misbehaves."""
    address = read_address(state)
    answer = ask(state, {})
    if address is None or answer is None:
        emit({"running": False}, "No lab runs there.", as_json=as_json)
        return
    data = {"running": True, "url": address.url, "pin": address.pin, "pid": address.pid}
    emit(data | {"modes": answer["modes"]}, f"Runs at {address.url}.", as_json=as_json)


@lab.command()
@state_option
@json_option
@guarded
def disks(state: Path, as_json: bool) -> None:
    """Every disk on it: machine, device, file, format and capacity in bytes."""
    answer = ask(state, {"disks": True})
    if answer is None:
        raise LabError(
            "no lab runs there",
            subject=str(state),
            remedy=f"Start it with 'kensho lab start --state {state}'",
        )
    rows = [("MACHINE", "DEVICE", "NAME", "FORMAT", "CAPACITY", "FILE")]
    rows += [
        (
            d["machine"] or "-",
            d["device"] or "-",
            d["name"],
            d["format"],
            str(d["capacity"]),
            d["file"],
        )
        for d in answer["disks"]
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    lines = [
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[5]])
        for row in rows
    ]
    emit(answer["disks"], "\n".join(lines), as_json=as_json)
