"""Names that are markup, escape sequences, bidirectional text or several lines: shown as what they are."""

import re
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import pytest

from tests.small import MIB, package

from .room import Members, Room, holds, room, sentence, spoiled

# C1's CSI is the one escape sequence that XML 1.0 lets through; RLO reverses what follows it.
HOSTILE = "[bold red]{}[/] [/nope] \x9b31m\u202egnp.exe\u2066\nsecond line"
SHOWN = "[bold red]{}[/] [/nope]"
# Whatever moves a cursor, changes a colour or turns text round.
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with room(tmp_path_factory.mktemp("room")) as opened:
        yield opened


def hostile(held: Members) -> None:
    """Give machine, network, disk and adapter such names."""
    text = held["good.ovf"].decode()
    network = HOSTILE.format("net").replace("\n", " ")
    for before, after in (
        ("<Name>good</Name>", f"<Name>{escape(HOSTILE.format('vm'))}</Name>"),
        ('ovf:name="Front"', f"ovf:name={quoteattr(network)}"),
        (">Front<", f">{escape(network)}<"),
        (">Disk 0<", f">{escape(HOSTILE.format('disk'))}<"),
        (">Network<", f">{escape(HOSTILE.format('nic'))}<"),
        ("One machine", escape(HOSTILE.format("info"))),
    ):
        assert before in text
        text = text.replace(before, after)
    held["good.ovf"] = text.encode()


def lines(text: str) -> list[str]:
    """The lines of an output in which nothing is left that a terminal would obey."""
    assert not FORBIDDEN.search(text), repr(text)
    return text.splitlines()


def test_hostile_names_are_shown_as_text_everywhere_and_arrive_harmless(
    here: Room, tmp_path: Path
) -> None:
    path = spoiled(here.good, tmp_path / "names.ova", hostile, fresh=True)
    shown = here.run("package", "show", str(path))
    assert shown.returncode == 0
    assert any(SHOWN.format("vm") in line for line in lines(shown.stdout))
    assert any(SHOWN.format("net") in line for line in lines(shown.stdout))
    assert not any(line.startswith("second line") for line in lines(shown.stdout))
    lines(here.run("package", "check", str(path)).stdout)

    done = here.imports(path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines(done.stdout + done.stderr)
    job = here.desk.jobs()[0]["id"]
    assert re.fullmatch(r"[a-z0-9-]+", job)
    page = here.run("job", "show", job).stdout
    assert any(SHOWN.format("vm") in line for line in lines(page))
    lines(here.run("job", "list").stdout)
    lines(here.run("job", "watch", job).stdout)

    # On the platform others read these names with programs of theirs.
    database = here.lab.toolstack.database
    names = [
        database.get(kind, ref, "name_label")
        for kind in ("VM", "VDI", "VM_appliance")
        for ref in database.refs(kind)
    ]
    assert any(SHOWN.format("vm") in name for name in names)
    assert not [name for name in names if FORBIDDEN.search(name) or "\n" in name]


def test_a_network_that_is_not_there_is_told_on_one_line(here: Room, tmp_path: Path) -> None:
    path = spoiled(here.good, tmp_path / "names.ova", hostile, fresh=True)
    done = here.imports(path, "--network", "Nowhere=VLAN 10")
    assert done.returncode == 3
    assert "[bold red]net[/]" in sentence(done)
    assert len(lines(done.stderr)) == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../up.vmdk", ("../up.vmdk", "name is a path", "Do not trust this package")),
        ("/etc/passwd", ("/etc/passwd", "name is a path", "Do not trust this package")),
        ("x/../../y.vmdk", ("name is a path", "Do not trust this package")),
        ("[bold]d[/].vmdk", ("[bold]d[/].vmdk", "name is a path")),
    ],
)
def test_a_member_that_points_out_of_the_package_is_refused(
    name: str, words: tuple[str, ...], here: Room, tmp_path: Path
) -> None:
    here.remember()

    def rename(held: Members) -> None:
        held[name] = held.pop("good-disk0.vmdk")
        held["good.ovf"] = held["good.ovf"].replace(b"good-disk0.vmdk", name.encode())

    done = here.imports(spoiled(here.good, tmp_path / "given.ova", rename, fresh=True))
    assert done.returncode == 3
    holds(sentence(done), *words)
    here.untouched()


@pytest.mark.parametrize("name", ["[red]disk.vmdk", "d\u202egnp.vmdk", "disk 1 \u2028two.vmdk"])
def test_a_member_with_an_odd_name_is_read_and_shown_as_text(
    name: str, here: Room, tmp_path: Path
) -> None:
    good, _ = package(tmp_path, "odd", [MIB])

    def rename(held: Members) -> None:
        held[name] = held.pop("odd-disk0.vmdk")
        held["odd.ovf"] = held["odd.ovf"].replace(b"odd-disk0.vmdk", name.encode())

    path = spoiled(good, tmp_path / "given.ova", rename, fresh=True)
    lines(here.run("package", "check", "--digests", str(path)).stdout)
    done = here.imports(path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines(done.stdout + done.stderr)


def test_a_name_of_two_lines_in_a_manifest_is_refused_with_a_remedy(
    here: Room, tmp_path: Path
) -> None:
    here.remember()

    def rename(held: Members) -> None:
        held["a\nb.vmdk"] = held.pop("good-disk0.vmdk")
        held["good.ovf"] = held["good.ovf"].replace(b"good-disk0.vmdk", b"a&#10;b.vmdk")

    done = here.imports(spoiled(here.good, tmp_path / "given.ova", rename, fresh=True))
    assert done.returncode == 8
    (said,) = [x for x in lines(done.stdout) if x.startswith("✗")]
    holds(said, "Line 2 of the manifest", "Get the package again")
    here.untouched()
