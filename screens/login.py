"""What is asked when a platform lets nobody in: is this its certificate, what is the password."""

from collections.abc import Callable

from textual.app import App

from backends.base import AuthenticationError, TrustError
from kensho_tui.connections import Connection, SecretKind, trusting
from kensho_tui.engine.secrets import connection_secret
from kensho_tui.errors import KenshoError
from kensho_tui.text import one_line
from screens.base import KenshoScreen
from screens.desk import Desk
from screens.widgets.ask import Ask
from screens.widgets.confirm import Confirm

TRUST = "trust"


def fingerprint(pin: str) -> str:
    """The pin in the form servers print it: pairs with colons, two lines."""
    pairs = [pin[i : i + 2].upper() for i in range(0, len(pin), 2)]
    return f"{':'.join(pairs[:16])}:\n{':'.join(pairs[16:])}"


def trust_text(error: TrustError) -> str:
    """What the operator compares before trusting the certificate."""
    changed = bool(error.expected)
    what = "The server shows another certificate than the one you trust" if changed else error.what
    lines = [f"{one_line(what)}.", "", "It shows the certificate with SHA-256"]
    lines.append(fingerprint(error.presented))
    if changed:
        lines += ["Trusted is", fingerprint(error.expected)]
    if error.issuer:
        lines.append(f"Issuer: {one_line(error.issuer)}")
    if error.not_after:
        begins = f"{one_line(error.not_before)[:10]} to " if error.not_before else "until "
        lines.append(f"Valid: {begins}{one_line(error.not_after)[:10]}")
    lines += ["", "Compare it with what the server itself says. A changed certificate that nobody"]
    lines.append("knows of may mean that somebody stands between you and the server.")
    return "\n".join(lines)


def confirm_trust(
    app: App[int], name: str, error: TrustError, then: Callable[[bool], None]
) -> None:
    """Ask whether this certificate is to be trusted from now on; ``then`` gets the answer.

    One that changed is not accepted by a single key: the word has to be typed.
    """
    if error.expected:
        text = f"{trust_text(error)}\n\nType {TRUST} to trust it from now on:"
        window = Ask(f"The certificate of {name} has changed", text, word=TRUST)
        app.push_screen(window, lambda said: then(said is not None))
    else:
        known = Confirm(
            f"Trust {name}?", trust_text(error), yes="trust it from now on", no="do not"
        )
        app.push_screen(known, lambda yes: then(bool(yes)))


def trusted_now(connection: Connection, error: TrustError) -> Connection:
    """The connection that trusts the certificate which was just confirmed."""
    why = "confirmed after it changed" if error.expected else "confirmed at first contact"
    return trusting(connection, error.presented, why)


def mend(
    app: App[int], desk: Desk, name: str, error: KenshoError, again: Callable[[], None]
) -> bool:
    """Ask what would mend a refused login, then do it ``again``; False where nothing can be asked."""
    if isinstance(error, TrustError) and error.presented:

        def trusted(yes: bool) -> None:
            if not yes:
                _tell(app, KenshoError("it is not trusted; nothing was changed", subject=name))
                return
            book = desk.book()
            try:
                book.put(trusted_now(book.get(name), error))
            except KenshoError as failed:
                _tell(app, failed)
                return
            desk.sessions().trust(name, error.presented)
            again()

        confirm_trust(app, name, error, trusted)
        return True
    if isinstance(error, AuthenticationError):
        return ask_password(app, desk, desk.book().get(name), error, again)
    return False


def _tell(app: App[int], error: KenshoError) -> None:
    """Say it on the screen that the window stood over."""
    if isinstance(app.screen, KenshoScreen):
        app.screen.say_error(error)


def ask_password(
    app: App[int],
    desk: Desk,
    connection: Connection,
    error: AuthenticationError,
    again: Callable[[], None],
) -> bool:
    """Ask for the password once more; False where it is kept in a place the operator named."""
    if connection.secret.kind is not SecretKind.PROMPT:
        return False

    def entered(value: str | None) -> None:
        if value is not None:
            desk.secrets().put(connection_secret(connection), value)
            again()

    text = f"{one_line(str(error))} Password of {connection.username or 'the account'} again:"
    app.push_screen(Ask(f"Log in to {connection.name}", text, secret=True), entered)
    return True
