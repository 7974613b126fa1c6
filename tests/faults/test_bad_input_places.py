"""The operator's own places: a connection book that is damaged, directories that cannot be written."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .room import Room, holds, room, sentence
from .test_bad_input_export import small_disk


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with room(tmp_path_factory.mktemp("room")) as opened:
        yield opened


@pytest.fixture
def book(here: Room) -> Iterator[Path]:
    """The connection book; as it was again afterwards."""
    path = here.home / "config" / "connections.toml"
    good = path.read_bytes()
    yield path
    path.write_bytes(good)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (b"[lab-xen]", b"[lab-xen", ("cannot be read", "line 1")),
        (b"[lab-xen]", b"x = 1\n[lab-xen]", ("'x' is no table",)),
        (b"address", b"adress", ("lab-xen", "address missing")),
        (b'pin = "', b'pin = "zz', ("lab-xen", "64 hex digits")),
        (
            b'"file:',
            b'"fil:',
            (
                "lab-xen",
                "'fil' is no place for a secret",
                "kerberos, systemd, keyring, age, command, env, file, prompt",
            ),
        ),
        (b"[lab-xen]", b"\xff\xfe\x00", ("cannot be read",)),
    ],
    ids=["no-toml", "no-table", "no-address", "bad-pin", "bad-secret", "binary"],
)
def test_a_damaged_connection_book_is_named_with_the_place_and_left_alone(
    before: bytes, after: bytes, words: tuple[str, ...], here: Room, book: Path
) -> None:
    here.remember()
    damaged = book.read_bytes().replace(before, after, 1)
    assert damaged != book.read_bytes()
    book.write_bytes(damaged)
    said = {
        sentence(done)
        for done in (
            here.run("connection", "list"),
            here.imports(here.good),
            here.run("connection", "remove", "lab-xen"),
        )
        if done.returncode == 3
    }
    (one,) = said
    holds(one, str(book), *words)
    assert book.read_bytes() == damaged
    here.untouched()


def test_a_platform_that_is_not_known_is_told_with_those_that_are(here: Room, book: Path) -> None:
    book.write_bytes(book.read_bytes().replace(b'"xenserver"', b'"xenservr"'))
    done = here.imports(here.good)
    assert done.returncode == 2
    holds(sentence(done), "xenservr", "no such platform", "package, xenserver")


def test_a_connection_that_is_not_known_is_told_with_those_that_are(here: Room) -> None:
    done = here.run("import", str(here.good), "--to", "lab-xne", "--wait")
    assert done.returncode == 3
    holds(sentence(done), "lab-xne", "no such connection", "lab-xen")


@pytest.mark.parametrize("kind", ["read-only", "file"])
def test_a_state_directory_that_cannot_be_made_is_told_by_every_command(
    kind: str, here: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.remember()
    place = tmp_path / "disk"
    if kind == "file":
        place.write_text("a file where a directory should be")
        said = _state_refused(here, place, monkeypatch)
        assert place.read_text() == "a file where a directory should be"
    else:
        with small_disk(place, "ro,size=1m") as disk:
            said = _state_refused(here, disk / "state", monkeypatch)
    holds(said, str(place), "state directory cannot be made", "KENSHO_STATE_DIR")
    here.untouched()


def _state_refused(here: Room, place: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(here.desk.environment, "KENSHO_STATE_DIR", str(place))
    ends = [here.run("job", "list"), here.imports(here.good)]
    assert [each.returncode for each in ends] == [3, 3]
    (said,) = {sentence(each) for each in ends}
    return said


def test_a_connection_book_that_cannot_be_written_is_told(
    here: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "disk", "ro,size=1m") as disk:
        monkeypatch.setitem(here.desk.environment, "KENSHO_CONFIG_DIR", str(disk / "config"))
        done = here.run(
            "connection", "add", "fresh", "--platform", "xenserver", "--address", here.lab.url,
            "--username", "root", "--secret", f"file:{here.lab.password_file}",
            "--pin", here.lab.pin,
        )  # fmt: skip
        assert done.returncode == 3
        holds(sentence(done), str(disk), "cannot be written", "KENSHO_CONFIG_DIR")


def test_after_all_of_these_the_runner_takes_a_good_package(here: Room, book: Path) -> None:
    book.write_bytes(b"not a book")
    assert here.imports(here.good).returncode == 3
    book.unlink()
    here.connect()
    here.goes_on()
