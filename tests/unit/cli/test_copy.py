"""``kensho package copy``, and the copy that there is where nothing had to change; from a web server too."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kensho_tui.cli.out import Exit
from kensho_tui.ovf.convert import convert
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.package import open_package
from kensho_tui.ovf.rules import fix
from kensho_tui.ovf.signature import State
from tests.unit.cli.test_edit import run
from tests.unit.cli.test_signing import contents
from tests.unit.ovf.test_edits import shop
from tests.unit.ovf.test_output import contents_of, put, signed
from tests.web import Site, serving


def mended() -> bytes:
    """The shop as version 1.1 has it, without what could be mended."""
    envelope = Envelope.parse(shop())
    fix(envelope, {"d.vmdk": 10})
    return convert(envelope.save(), "1.1").data


FILES = {"a.ovf": mended(), "d.vmdk": b"0123456789"}
SAME: list[tuple[str, ...]] = [
    ("convert", "--to", "1.1"),
    ("edit", "--machine", "web", "--set", "name=web"),
    ("check", "--fix"),
    ("copy",),
]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(Site()) as made:
        made.files["/d/s.ova"] = put(tmp_path / "there.ova", signed(FILES)).read_bytes()
        for name, data in signed(FILES).items():
            made.files[f"/f/{name}"] = data
        yield made


@pytest.mark.parametrize("asked", SAME, ids=lambda each: str(each[0]))
@pytest.mark.parametrize("source", ["s.ova", "s"])
@pytest.mark.parametrize("target", ["t.ova", "t", "t.ovf"])
def test_where_nothing_has_to_change_there_is_a_copy_with_its_signature(
    tmp_path: Path, asked: tuple[str, ...], source: str, target: str
) -> None:
    members = signed(FILES)
    path = put(tmp_path / source, members)
    done = run(asked[0], path, *asked[1:], "--output", tmp_path / target)
    assert done.exit_code == Exit.OK, done.output
    made = tmp_path / "t.ova" if target == "t.ova" else tmp_path / "t" / "a.ovf"
    assert str(made) in done.output
    assert "othing was written" not in done.output
    assert "signature" not in done.stderr
    assert contents_of(made) == members
    assert open_package(made).origin.state is State.RIGHT
    assert contents_of(path) == members


@pytest.mark.parametrize("asked", SAME[:2], ids=lambda each: str(each[0]))
def test_json_says_whether_it_was_changed_and_whether_it_was_written(
    tmp_path: Path, asked: tuple[str, ...]
) -> None:
    path = put(tmp_path / "s.ova", signed(FILES))
    told = json.loads(run(asked[0], path, *asked[1:], "--json").stdout)
    assert (told["changed"], told["written"], told["package"]) == (False, False, str(path))
    target = tmp_path / "t.ova"
    dry = run(asked[0], path, *asked[1:], "--json", "--output", target, "--dry-run")
    assert json.loads(dry.stdout)["written"] is False
    assert not target.exists()
    told = json.loads(run(asked[0], path, *asked[1:], "--json", "--output", target).stdout)
    assert (told["changed"], told["written"], told["package"]) == (False, True, str(target))


@pytest.mark.parametrize("asked", SAME, ids=lambda each: str(each[0]))
def test_damage_is_refused_also_where_nothing_has_to_change(
    tmp_path: Path, asked: tuple[str, ...]
) -> None:
    path = put(tmp_path / "s.ova", {**signed(FILES), "d.vmdk": b"9876543210"})
    done = run(asked[0], path, *asked[1:], "--output", tmp_path / "t.ova")
    assert done.exit_code == Exit.INPUT, done.output
    assert "d.vmdk" in done.stderr
    assert not (tmp_path / "t.ova").exists()


def test_an_incomplete_package_is_not_copied(tmp_path: Path) -> None:
    path = put(tmp_path / "s.ova", {"a.ovf": FILES["a.ovf"]})
    done = run("copy", path, "--output", tmp_path / "t.ova")
    assert (done.exit_code, "d.vmdk" in done.stderr) == (Exit.INPUT, True)
    assert not (tmp_path / "t.ova").exists()


@pytest.mark.parametrize("name", ["t.ova/", "t.ovf/", "https://depot.example.org/t.ova"])
def test_a_name_that_says_two_things_or_is_an_address_is_a_wrong_command_line(
    tmp_path: Path, name: str
) -> None:
    path = put(tmp_path / "s.ova", FILES)
    output = name if name.startswith("https") else f"{tmp_path}/{name}"
    done = run("copy", path, "--output", output)
    assert done.exit_code == Exit.USAGE, done.output


def test_a_name_with_a_slash_is_a_folder(tmp_path: Path) -> None:
    path = put(tmp_path / "s.ova", signed(FILES))
    done = run("copy", path, "--output", f"{tmp_path}/t/")
    assert done.exit_code == Exit.OK, done.output
    assert contents(tmp_path / "t" / "a.ovf") == contents(path)


@pytest.mark.parametrize("address", ["/d/s.ova", "/f/a.ovf"])
@pytest.mark.parametrize("target", ["t.ova", "t"])
def test_a_package_on_a_web_server_is_fetched(
    site: Site, tmp_path: Path, address: str, target: str
) -> None:
    done = run("copy", site.at(address), "--output", tmp_path / target)
    assert done.exit_code == Exit.OK, done.output
    made = open_package(tmp_path / target)
    assert made.origin.state is State.RIGHT
    assert set(made.places) == {"a.ovf", "d.vmdk", "a.mf", "a.cert"}
    made.verify("d.vmdk")


@pytest.mark.parametrize("address", ["/d/s.ova", "/f/a.ovf"])
@pytest.mark.parametrize(
    "asked",
    [
        ("convert", "--to", "2.0"),
        ("edit", "--machine", "web", "--set", "name=front01"),
        ("rename-network", "back", "storage"),
    ],
    ids=lambda each: str(each[0]),
)
def test_a_package_on_a_web_server_is_changed_to_a_new_one_here(
    site: Site, tmp_path: Path, address: str, asked: tuple[str, ...]
) -> None:
    asked = (asked[0], site.at(address), *asked[1:])
    refused = run(*asked)
    assert refused.exit_code == Exit.INPUT, refused.output
    assert "--output" in refused.stderr
    assert run(*asked, "--dry-run").exit_code == Exit.OK
    done = run(*asked, "--output", tmp_path / "t.ova")
    assert done.exit_code == Exit.OK, done.output
    assert run("verify", tmp_path / "t.ova").exit_code == Exit.OK


def test_the_editor_says_that_it_opens_no_address(site: Site) -> None:
    done = run("edit", site.at("/d/s.ova"))
    assert done.exit_code in {Exit.USAGE, Exit.INPUT}
    assert "does not exist" not in done.stderr
