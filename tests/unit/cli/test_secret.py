"""``kensho secret`` and ``--password-fd``: values come by standard input or a descriptor, and show nowhere."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kensho_tui.cli.out import Exit
from kensho_tui.cli.passwords import secrets_for
from kensho_tui.cli.root import root
from kensho_tui.connections import Connection, ConnectionBook
from kensho_tui.engine.secrets import connection_secret
from kensho_tui.errors import KenshoError

CANARY = "canary-correct-horse"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("KENSHO_CONFIG_DIR", str(tmp_path / "config"))
    yield tmp_path / "config"


def kensho(*arguments: str | Path, input: str = "") -> Result:
    return CliRunner().invoke(root, [*map(str, arguments)], input=input)


def test_a_secret_is_kept_from_standard_input_listed_and_removed(
    config: Path, tmp_path: Path
) -> None:
    made = kensho("secret", "set", "xen1", "--key", tmp_path / "key", input=f"{CANARY}\n")
    assert made.exit_code == Exit.OK, made.output
    assert CANARY not in made.output
    assert "--secret age:xen1" in made.stderr
    listed = kensho("secret", "list")
    assert (listed.stdout, listed.exit_code) == ("xen1\n", Exit.OK)
    assert str(tmp_path / "key") in listed.stderr
    assert kensho("secret", "remove", "xen1").exit_code == Exit.OK
    assert kensho("secret", "remove", "xen1").exit_code == Exit.INPUT
    assert kensho("secret", "list").stdout == ""


def test_a_secret_is_no_argument_and_not_nothing(config: Path, tmp_path: Path) -> None:
    assert kensho("secret", "set", "xen1", CANARY).exit_code == Exit.USAGE
    empty = kensho("secret", "set", "xen1", "--key", tmp_path / "key")
    assert empty.exit_code == Exit.INPUT
    assert "standard input is empty" in empty.stderr


def pipe(value: str) -> int:
    reading, writing = os.pipe()
    os.write(writing, value.encode())
    os.close(writing)
    return reading


def test_a_descriptor_is_the_password_of_the_one_connection_or_of_the_named(config: Path) -> None:
    book = ConnectionBook()
    for each in ("xen1", "xen2"):
        book.put(Connection(each, "xenserver", f"{each}.example"))
    one, two = (connection_secret(book.get(each)) for each in ("xen1", "xen2"))
    assert secrets_for([str(pipe(CANARY))], ["xen1"]).known() == {one: CANARY}
    both = [f"xen1={pipe('one')}", f"xen2={pipe('two')}"]
    assert secrets_for(both, ["xen1", "xen2"]).known() == {one: "one", two: "two"}


@pytest.mark.parametrize("given", [["3"], ["xen3=3"], ["xen1=3", "xen1=4"], ["xen1=x"], ["-1"]])
def test_a_descriptor_that_says_not_whose_it_is_is_refused(given: list[str]) -> None:
    with pytest.raises(KenshoError) as caught:
        secrets_for(given, ["xen1", "xen2"])
    assert "--password-fd" in caught.value.subject
