"""The platforms: list, add, test, remove; by keyboard at 80×24."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from pydantic import BaseModel
from textual.pilot import Pilot
from textual.widgets import Input, Select

from backends import registry
from backends.base import (
    AuthenticationError,
    ConnectError,
    Session,
    TrustError,
    UnsupportedError,
)
from kensho_tui.app import KenshoApp
from kensho_tui.cancel import Cancel
from kensho_tui.connections import Connection, ConnectionBook, SecretSource
from screens.connections import Connections
from tests.ui.platforms import FakeSession, FakeSessions
from tests.ui.waiting import keys, seen, until, until_seen

SIZE = (80, 24)
PIN = "0f" * 32


@dataclass
class FakePlatform:
    """Lets in who has the right certificate and password."""

    pin: str = ""
    password: str = ""
    tried: list[Connection] = field(default_factory=list)
    name: str = "xenserver"
    title: str = "Fake"
    settings: type[BaseModel] = BaseModel

    def connect(self, connection: Connection, secrets: SecretSource, cancel: Cancel) -> Session:
        self.tried.append(connection)
        if connection.pin != self.pin:
            raise TrustError("the certificate is not known", presented=self.pin, issuer="CN=[x]")
        if secrets.password(connection) != self.password:
            raise AuthenticationError("user name or password refused", subject=connection.name)
        return FakeSession()


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePlatform]:
    """The one platform there is."""
    made = FakePlatform()

    def find(name: str) -> FakePlatform:
        if name != made.name:
            raise UnsupportedError("no such platform", subject=name)
        return made

    monkeypatch.setattr(registry, "platform", find)
    monkeypatch.setattr(registry, "names", lambda: [made.name])
    yield made


async def opened(pilot: Pilot[int], *, add: bool = False) -> None:
    """The list, or the form."""
    await until_seen(pilot, "No jobs yet.")
    await keys(pilot, "c")
    await until_seen(pilot, "NAME")
    if add:
        await keys(pilot, "a")
        await until_seen(pilot, "Connections ▸ Add")


FORM = ("'xen-new", "tab", "tab", "'xen1.example.org", "tab", "'root")


async def test_a_connection_is_added_once_its_certificate_is_trusted_and_its_password_right(
    app: KenshoApp, platform: FakePlatform, book: ConnectionBook
) -> None:
    platform.pin, platform.password = PIN, "right"
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, add=True)
        await keys(pilot, *FORM, "ctrl+s")
        await until_seen(pilot, "0F:0F:0F")
        assert "Issuer: CN=[x]" in seen(app)
        await keys(pilot, "y")
        await until_seen(pilot, "Password of 'xen-new' (")
        await keys(pilot, "'wrong", "enter")
        await until_seen(pilot, "Password of root again")
        await keys(pilot, "'right", "enter")
        await until(pilot, lambda: isinstance(app.screen, Connections))
        kept = book.get("xen-new")
        assert (kept.address, kept.username, kept.pin) == ("xen1.example.org", "root", PIN)
        assert "right" not in book.path.read_text()


async def test_a_certificate_that_is_not_trusted_keeps_nothing(
    app: KenshoApp, platform: FakePlatform, book: ConnectionBook
) -> None:
    platform.pin = PIN
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, add=True)
        await keys(pilot, *FORM, "ctrl+s")
        await until_seen(pilot, "0F:0F:0F")
        await keys(pilot, "n")
        await until_seen(pilot, "Not trusted; nothing is kept.")
        assert [each.name for each in book] == ["lab-xen"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("'a b", "a name is letters"),
        ("'lab-xen", "there is one of that name"),
        ("'x", "Address: is missing"),
    ],
)
async def test_a_form_that_is_not_right_says_what_is_allowed(
    app: KenshoApp, platform: FakePlatform, name: str, said: str
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, add=True)
        await keys(pilot, name, "ctrl+s")
        await until_seen(pilot, said)
        assert platform.tried == []


async def test_a_platform_that_cannot_be_reached_now_can_be_kept_untried(
    app: KenshoApp, platform: FakePlatform, book: ConnectionBook
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, add=True)
        await keys(pilot, *FORM, "ctrl+k")
        await until(pilot, lambda: "xen-new" in {each.name for each in book})
        assert platform.tried == []


async def test_the_list_says_how_each_platform_stands_and_why(
    app: KenshoApp, sessions: FakeSessions
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "lab-xen ✓ Fake 1")
        sessions.errors = [
            ConnectError("it does not answer", subject="lab-xen", remedy="Look whether it is on")
        ]
        await keys(pilot, "c")
        await until_seen(pilot, "! lab-xen")
        assert "cannot be reached" in seen(app)
        await until_seen(pilot, "lab-xen: it does not answer. Look whether it is on.")
        await keys(pilot, "t")
        await until_seen(pilot, "✓ lab-xen")


async def test_a_connection_is_removed_after_one_question(
    app: KenshoApp, book: ConnectionBook
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await until_seen(pilot, "lab-xen")
        await keys(pilot, "d")
        await until_seen(pilot, "Remove lab-xen?")
        await keys(pilot, "n")
        assert [each.name for each in book] == ["lab-xen"]
        await keys(pilot, "d", "y")
        await until_seen(pilot, "No platform is known yet.")
        assert list(book) == []


async def test_a_book_that_cannot_be_read_is_a_sentence(
    app: KenshoApp, book: ConnectionBook
) -> None:
    book.path.write_text("this is [not toml")
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "No jobs yet.")
        await keys(pilot, "c")
        await until_seen(pilot, "the connection book cannot be read")


async def test_a_certificate_that_is_not_known_yet_is_taken_with_y_in_the_list_too(
    app: KenshoApp, sessions: FakeSessions, book: ConnectionBook
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "lab-xen ✓ Fake 1")
        unknown = TrustError("the certificate is not known", presented=PIN)
        sessions.errors = [unknown]
        await keys(pilot, "c")
        await until_seen(pilot, "! lab-xen")
        await keys(pilot, "t")
        await until_seen(pilot, "Trust lab-xen?")
        await keys(pilot, "y")
        await until(pilot, lambda: book.get("lab-xen").pin == PIN)
        assert book.get("lab-xen").pinned.endswith(": confirmed at first contact")
        await until_seen(pilot, "✓ lab-xen")


async def test_a_book_that_cannot_be_written_is_told_when_a_certificate_is_confirmed(
    app: KenshoApp, sessions: FakeSessions, book: ConnectionBook
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "lab-xen ✓ Fake 1")
        sessions.errors = [TrustError("the certificate is not known", presented=PIN)]
        await keys(pilot, "c")
        await until_seen(pilot, "! lab-xen")
        await keys(pilot, "t")
        await until_seen(pilot, "Trust lab-xen?")
        book.path.chmod(0o666)
        await keys(pilot, "y")
        await until_seen(pilot, "others can write the connection book")
        book.path.chmod(0o600)
        assert book.get("lab-xen").pin == ""


@pytest.mark.parametrize(
    ("typed", "taken"), [("'trust", True), ("y", False), ("'trusty", False), ("", False)]
)
async def test_a_changed_certificate_is_taken_by_typing_and_never_by_one_key(
    app: KenshoApp, sessions: FakeSessions, book: ConnectionBook, typed: str, taken: bool
) -> None:
    old = "ab" * 32
    book.put(replace(book.get("lab-xen"), pin=old))
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "lab-xen ✓ Fake 1")
        error = TrustError(
            f"the server shows another certificate ({PIN}) than the one that is trusted ({old})",
            presented=PIN, expected=old, issuer="CN=xen1",
            not_before="2026-01-02T00:00:00+00:00", not_after="2027-01-02T00:00:00+00:00",
        )  # fmt: skip
        sessions.errors = [error]
        await keys(pilot, "c")
        await until_seen(pilot, "another certificate")
        await keys(pilot, "t")
        await until_seen(pilot, "Type trust to trust it from now on")
        for shown in ("0F:0F:0F", "AB:AB:AB", "CN=xen1", "2026-01-02 to 2027-01-02"):
            assert shown in seen(app)
        await keys(pilot, *([typed] if typed else []), "enter")
        if not taken:
            # The window still asks: closing would look as if it had been taken.
            await until_seen(pilot, "Type the whole word trust; esc leaves everything as it is.")
            assert "0F:0F:0F" in seen(app)
            await keys(pilot, "escape")
            await until(pilot, lambda: isinstance(app.screen, Connections))
            await until_seen(pilot, "lab-xen: it is not trusted; nothing was changed.")
            assert book.get("lab-xen").pin == old
            return
        await until(pilot, lambda: book.get("lab-xen").pin == PIN)
        assert book.get("lab-xen").pinned.endswith(": confirmed after it changed")
        await until_seen(pilot, "✓ lab-xen")


async def test_a_password_file_that_others_can_read_is_refused_in_the_form(
    app: KenshoApp, platform: FakePlatform, book: ConnectionBook, tmp_path: Path
) -> None:
    file = tmp_path / "p"
    file.write_text("secret")
    file.chmod(0o644)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, add=True)
        await keys(pilot, *FORM)
        app.screen.query_one("#kind", Select).value = "file"
        app.screen.query_one("#value", Input).value = str(file)
        await keys(pilot, "ctrl+k")
        await until_seen(pilot, "others can read")
        assert [each.name for each in book] == ["lab-xen"]
        file.chmod(0o600)
        await keys(pilot, "ctrl+k")
        await until(pilot, lambda: "xen-new" in {each.name for each in book})
        assert str(book.get("xen-new").secret) == f"file:{file}"
