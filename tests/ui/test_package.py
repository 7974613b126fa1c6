"""The editor of packages, by keyboard: changes are seen, undone, asked about, and written only when told."""

import gzip
import threading
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from kensho_tui.app import KenshoApp
from kensho_tui.cancel import Cancel
from kensho_tui.connections import ConnectionBook
from kensho_tui.engine.secrets import Secrets
from kensho_tui.migration.sessions import Sessions
from kensho_tui.ovf.members import FilePlace, PlaceInput
from kensho_tui.ovf.package import open_package
from screens.home import Home
from screens.package.editor import PackageEditor
from screens.package.saving import Writing
from screens.widgets.file_picker import FilePicker
from tests.ui.fakes import FakeRunner
from tests.ui.platforms import FakeSessions
from tests.ui.waiting import keys, seen, until, until_seen
from tests.unit.cli.test_edit import DISK, MEMBERS
from tests.unit.cli.test_signing import contents, run
from tests.unit.ovf.certificates import publisher
from tests.unit.ovf.test_package import folder, manifest, ova

SIZES = [(80, 24), (120, 40)]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The shop as one archive."""
    return ova(tmp_path / "shop.ova", {**MEMBERS, "a.mf": manifest(MEMBERS)})


async def opened(pilot: Pilot[int], path: Path) -> PackageEditor:
    """The editor, opened from home."""
    app = pilot.app
    await until(pilot, lambda: isinstance(app.screen, Home))
    home = app.screen
    assert isinstance(home, Home)
    home.edit_package(path)
    await until(pilot, lambda: isinstance(app.screen, PackageEditor))
    editor = app.screen
    assert isinstance(editor, PackageEditor)
    await until(pilot, lambda: editor.found is not None)
    return editor


async def go_to(pilot: Pilot[int], editor: PackageEditor, node: str) -> None:
    """The cursor on that node, and the form on it."""
    editor.branches.reveal(node)
    await until(pilot, lambda: editor.node is not None and editor.node.id == node)
    await pilot.pause()


async def to_field(pilot: Pilot[int], editor: PackageEditor, field: str) -> None:
    """The cursor on that field of the form."""
    editor.branches.focus()
    await keys(pilot, "enter")
    await until(pilot, lambda: editor.form.fields.has_focus)
    editor.form.fields.go_to(field)
    await pilot.pause()


@pytest.mark.parametrize("size", SIZES)
async def test_a_value_is_changed_undone_made_again_and_saved(
    app: KenshoApp, package: Path, size: tuple[int, int]
) -> None:
    before = package.read_bytes()
    async with app.run_test(size=size) as pilot:
        editor = await opened(pilot, package)
        assert "▾ web" in seen(app)
        assert "Network adapters" in seen(app)
        await go_to(pilot, editor, "machine:web")
        await to_field(pilot, editor, "cpus")
        await keys(pilot, "enter", "ctrl+u", "'0", "enter")
        await until_seen(pilot, "a machine has 1 to 4096 processors")
        await keys(pilot, "ctrl+u", "'6", "enter")
        await until_seen(pilot, "✓ web: Processors 2 → 6.")
        await until_seen(pilot, "● not saved")
        await keys(pilot, "ctrl+z")
        await until_seen(pilot, "✓ as saved")
        await keys(pilot, "ctrl+y")
        await until_seen(pilot, "Made again: web: Processors 2 → 6.")
        assert package.read_bytes() == before
        await keys(pilot, "s")
        await until_seen(pilot, "• web: Processors 2 → 6.")
        await keys(pilot, "d")
        await until_seen(pilot, "VirtualQuantity>6<")
        await keys(pilot, "s")
        await until_seen(pilot, "Saved as shop.ova")
        await until_seen(pilot, "✓ as saved")
        await keys(pilot, "u")
        await until_seen(pilot, "● not saved")
        await keys(pilot, "ctrl+y", "left", "escape")
        await until(pilot, lambda: isinstance(app.screen, Home))
    assert open_package(package).appliance()[0].machine("web").processors.count == 6
    assert run("verify", package).exit_code == 0


async def test_one_deployment_option_is_edited_alone(app: KenshoApp, package: Path) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        editor = await opened(pilot, package)
        await keys(pilot, "o")
        await until_seen(pilot, "Edit the hardware and defaults of")
        await keys(pilot, "'large", "enter")
        await until_seen(pilot, "option: large")
        await go_to(pilot, editor, "machine:web")
        await to_field(pilot, editor, "memory")
        await keys(pilot, "enter", "ctrl+u", "'8 GiB", "enter")
        await until_seen(pilot, "8 GiB")
        assert editor.bench is not None
        sizes = [
            editor.bench.envelope.appliance(each)[0].machine("web").memory.size >> 30
            for each in ("small", "large")
        ]
        assert sizes == [2, 8]


async def test_things_are_added_and_removed_where_the_cursor_is(
    app: KenshoApp, package: Path
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        editor = await opened(pilot, package)
        await go_to(pilot, editor, "networks")
        await keys(pilot, "a")
        await until_seen(pilot, "Add: Network")
        await keys(pilot, "'front", "enter")
        await until_seen(pilot, "a network already")
        await keys(pilot, "ctrl+u", "'spare", "enter")
        await until_seen(pilot, "Network 'spare' is added")
        assert editor.node is not None
        assert editor.node.id == "network:spare"
        await keys(pilot, "x")
        await until_seen(pilot, "u undoes it")
        assert editor.bench is not None
        assert not editor.bench.changed
        await go_to(pilot, editor, "network:back")
        await keys(pilot, "x")  # no key of this node: adapters are on it
        assert not editor.bench.changed
        await go_to(pilot, editor, "machine:web")
        await keys(pilot, "a")
        await until_seen(pilot, "Network adapter")
        await keys(pilot, "'serial", "enter")
        await until_seen(pilot, "Leads to")
        await keys(pilot, "'telnet", "enter")
        await until_seen(pilot, "serial port 'Serial port 1' is added")


async def test_findings_are_counted_listed_and_lead_to_their_node(
    app: KenshoApp, package: Path
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        editor = await opened(pilot, package)
        found = editor.found
        assert found is not None
        assert f"{len(found.findings) and ''}would refuse it" in seen(app)
        await keys(pilot, "f")
        await until_seen(pilot, "By the standard")
        await until_seen(pilot, "Import by vSphere")
        await keys(pilot, "enter")
        await until(pilot, lambda: app.screen is editor)
        assert editor.node is not None
        first = found.findings[0]
        assert editor.outline is not None
        assert editor.node.id == editor.outline.at(first).id


async def test_what_is_wrong_with_the_edited_document_is_told_at_once(
    app: KenshoApp, package: Path
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        editor = await opened(pilot, package)
        before = editor.found
        await go_to(pilot, editor, "machine:web/device:31")
        await keys(pilot, "x")
        await until(pilot, lambda: editor.found is not before)
        assert editor.found is not None
        assert "disk-unused" in {each.id for each in editor.found.findings}


async def test_leaving_asks_and_drops_only_when_told(app: KenshoApp, package: Path) -> None:
    before = package.read_bytes()
    async with app.run_test(size=(80, 24)) as pilot:
        editor = await opened(pilot, package)
        await go_to(pilot, editor, "machine:web")
        await to_field(pilot, editor, "name")
        await keys(pilot, "enter", "ctrl+u", "'front01", "enter")
        await until_seen(pilot, "web: Name web → front01.")
        for leaving in ("ctrl+q", "q"):
            await keys(pilot, leaving)
            await until_seen(pilot, "has changes that are not saved")
            await keys(pilot, "escape")
            await until(pilot, lambda: app.screen is editor)
        await keys(pilot, "left", "escape")
        await until_seen(pilot, "has changes that are not saved")
        await keys(pilot, "x")
        await until(pilot, lambda: isinstance(app.screen, Home))
    assert package.read_bytes() == before


async def test_a_package_that_somebody_changed_is_not_written_over(
    app: KenshoApp, package: Path, tmp_path: Path
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        editor = await opened(pilot, package)
        await go_to(pilot, editor, "machine:web")
        await to_field(pilot, editor, "name")
        await keys(pilot, "enter", "ctrl+u", "'front01", "enter")
        await until_seen(pilot, "front01")
        assert run("edit", package, "--machine", "db", "--set", "name=theirs").exit_code == 0
        theirs = package.read_bytes()
        await keys(pilot, "s")
        await until_seen(pilot, "Changed by others")
        await keys(pilot, "enter")
        await until_seen(pilot, "Keep my descriptor")
        await keys(pilot, "enter")
        await until_seen(pilot, "The descriptor as you edited it is in")
        kept = (tmp_path / "shop.edited.ovf").read_bytes()
        assert b"front01" in kept
        assert package.read_bytes() == theirs
        await keys(pilot, "s")
        await until_seen(pilot, "Changed by others")
        await keys(pilot, "'anew", "enter")
        await until_seen(pilot, "theirs")
        await until_seen(pilot, "✓ as saved")
        assert "front01" not in seen(app)


async def test_that_a_signature_goes_is_said_before_and_after(
    app: KenshoApp, package: Path, tmp_path: Path
) -> None:
    key, certificate = publisher().save(tmp_path, "who")
    assert run("sign", package, "--key", key, "--certificate", certificate).exit_code == 0
    async with app.run_test(size=(80, 24)) as pilot:
        editor = await opened(pilot, package)
        await go_to(pilot, editor, "machine:web")
        await to_field(pilot, editor, "name")
        await keys(pilot, "enter", "ctrl+u", "'front01", "enter", "s")
        await until_seen(pilot, "The package is signed")
        assert "kensho package sign" in seen(app)
        await keys(pilot, "s")
        await until_seen(pilot, "Sign it again: kensho package sign")
    assert not [each for each in contents(package) if each.endswith(".cert")]


@pytest.mark.parametrize("archive", [True, False])
async def test_it_is_saved_as_another_one_with_a_file_more(
    app: KenshoApp, package: Path, tmp_path: Path, archive: bool
) -> None:
    (tmp_path / "notes.txt").write_text("Read me.")
    if not archive:
        members = {**MEMBERS, "a.mf": manifest(MEMBERS)}
        package = folder(tmp_path / "a", **{n.replace(".", "_"): d for n, d in members.items()})
    before = contents(package)
    target = tmp_path / ("other.ova" if archive else "other")
    async with app.run_test(size=(80, 24)) as pilot:
        editor = await opened(pilot, package)
        await go_to(pilot, editor, "files")
        await keys(pilot, "a")
        await until_seen(pilot, "Name in package")
        app.screen.query_one("#ask-0", Input).value = str(tmp_path / "notes.txt")
        await keys(pilot, "enter")
        await until_seen(pilot, "File 'notes.txt' is added")
        await go_to(pilot, editor, "file:d.vmdk")
        await to_field(pilot, editor, "name")
        await keys(pilot, "enter", "ctrl+u", "'system.vmdk", "enter")
        await until_seen(pilot, "system.vmdk")
        await keys(pilot, "w")
        await until_seen(pilot, "Save as")
        app.screen.query_one("#answer", Input).value = str(target)
        await keys(pilot, "enter")
        await until_seen(pilot, "with a new manifest")
    made = target if archive else target / "a.ovf"
    found = contents(made)
    assert (found["notes.txt"], found["system.vmdk"]) == (b"Read me.", DISK)
    assert "d.vmdk" not in found
    assert run("verify", made).exit_code == 0
    assert contents(package) == before


async def test_a_damaged_file_stops_the_saving_and_nothing_is_lost(
    app: KenshoApp, tmp_path: Path
) -> None:
    members = {**MEMBERS, "a.mf": manifest(MEMBERS), "d.vmdk": b"damaged..."}
    package = ova(tmp_path / "shop.ova", members)
    before = package.read_bytes()
    async with app.run_test(size=(80, 24)) as pilot:
        editor = await opened(pilot, package)
        await go_to(pilot, editor, "machine:web")
        await to_field(pilot, editor, "name")
        await keys(pilot, "enter", "ctrl+u", "'front01", "enter", "s", "s")
        await until_seen(pilot, "does not match the manifest")
        assert not isinstance(app.screen, Writing)
        assert "● not saved" in seen(app)
    assert package.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir() if "partial" in each.name] == []


async def test_it_is_opened_by_a_key_and_by_the_palette(
    app: KenshoApp,
    runner: FakeRunner,
    sessions: FakeSessions,
    package: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, Home))
        await keys(pilot, "e")
        await until_seen(pilot, "shop.ova")
        picker = app.screen
        assert isinstance(picker, FilePicker)
        picker.listing.go_to(str(package))
        await keys(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, PackageEditor))
        await until_seen(pilot, "▾ web")
        await keys(pilot, "escape")
        await until(pilot, lambda: isinstance(app.screen, Home))
        await keys(pilot, "ctrl+p", "'edit a")
        await until_seen(pilot, "Change what an OVF package says")
        await keys(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, FilePicker))


async def test_by_the_command_it_is_all_that_is_opened_and_ends_where_it_began(
    runner: FakeRunner, book: ConnectionBook, package: Path
) -> None:
    app = KenshoApp(runner.desk(Sessions(book, Secrets(), Cancel())), edit=package)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, PackageEditor))
        await until_seen(pilot, "▾ web")
        assert not any(isinstance(each, Home) for each in app.screen_stack)
        await keys(pilot, "escape")
        await until(pilot, lambda: not app.is_running)
    assert app.return_code == 0
    assert not runner.asked.is_set()


async def test_it_is_opened_from_the_wizard_which_reads_what_was_saved(
    runner: FakeRunner, book: ConnectionBook, package: Path
) -> None:
    app = KenshoApp(runner.desk(Sessions(book, Secrets(), Cancel())), package=package)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_seen(pilot, "Product   Shop")
        wizard = app.screen
        await keys(pilot, "e")
        await until(pilot, lambda: isinstance(app.screen, PackageEditor))
        editor = app.screen
        assert isinstance(editor, PackageEditor)
        await until(pilot, lambda: editor.found is not None)
        await go_to(pilot, editor, "machine:web")
        await to_field(pilot, editor, "name")
        await keys(pilot, "enter", "ctrl+u", "'front01", "enter", "s", "s")
        await until_seen(pilot, "Saved as shop.ova")
        await keys(pilot, "left", "escape")
        await until(pilot, lambda: app.screen is wizard)
        await until_seen(pilot, "front01")


async def test_a_compressed_package_is_saved_as_another_one(
    app: KenshoApp, package: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "shop.ova.gz"
    packed.write_bytes(gzip.compress(package.read_bytes()))
    package.unlink()
    before = packed.read_bytes()
    async with app.run_test(size=(80, 24)) as pilot:
        editor = await opened(pilot, packed)
        await go_to(pilot, editor, "machine:web")
        await to_field(pilot, editor, "name")
        await keys(pilot, "enter", "ctrl+u", "'front01", "enter", "s")
        await until_seen(pilot, "compressed as a whole")
        await keys(pilot, "s")  # no key of this window
        await keys(pilot, "w")
        await until_seen(pilot, "shop-edited.ova")
        await keys(pilot, "enter")
        await until_seen(pilot, "Saved as shop-edited.ova")
    assert packed.read_bytes() == before
    found = open_package(tmp_path / "shop-edited.ova").appliance()[0]
    assert found.machine("web").name == "front01"


async def test_what_is_no_package_is_said(app: KenshoApp, tmp_path: Path) -> None:
    (tmp_path / "x.ova").write_bytes(b"BZh" + bytes(600))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, Home))
        home = app.screen
        assert isinstance(home, Home)
        home.edit_package(tmp_path / "x.ova")
        await until_seen(pilot, "this is no OVA but a bzip2 file")
        await keys(pilot, "escape")
        await until(pilot, lambda: isinstance(app.screen, Home))


async def test_a_text_of_several_lines_is_not_dropped_by_a_slip(
    app: KenshoApp, package: Path
) -> None:
    async with app.run_test(size=(60, 20)) as pilot:
        editor = await opened(pilot, package)
        await go_to(pilot, editor, "machine:web")
        await to_field(pilot, editor, "annotation")
        await keys(pilot, "enter")
        await until_seen(pilot, "F2")
        await keys(pilot, "'two", "enter", "'lines", "escape")
        await until_seen(pilot, "is not taken yet")
        await keys(pilot, "ctrl+s")
        await until_seen(pilot, "✓ web: Annotation is")
        assert editor.bench is not None
        assert editor.bench.envelope.appliance()[0].machine("web").description == "two\nlines"


def kept_files(tmp_path: Path) -> list[Path]:
    """What is kept of changes that were not saved."""
    return list((tmp_path / "state" / "unsaved").glob("*.json"))


@pytest.mark.parametrize("same", [True, False])
async def test_a_lost_terminal_loses_no_work(
    runner: FakeRunner, sessions: FakeSessions, package: Path, tmp_path: Path, same: bool
) -> None:
    app = KenshoApp(runner.desk(sessions))
    async with app.run_test(size=(80, 24)) as pilot:
        editor = await opened(pilot, package)
        await go_to(pilot, editor, "machine:web")
        await to_field(pilot, editor, "name")
        await keys(pilot, "enter", "ctrl+u", "'front01", "enter")
        await until_seen(pilot, "front01")
        await until(pilot, lambda: kept_files(tmp_path))
        app.exit(return_code=129)  # as a hangup ends it
    assert [each.stat().st_mode & 0o777 for each in kept_files(tmp_path)] == [0o600]
    if not same:
        assert run("edit", package, "--machine", "db", "--set", "name=theirs").exit_code == 0
    app = KenshoApp(runner.desk(sessions))
    async with app.run_test(size=(80, 24)) as pilot:
        editor = await opened(pilot, package)
        await until_seen(pilot, "─ Not saved ─")
        if same:
            await until_seen(pilot, "Go on with them")
            await keys(pilot, "enter")
            await until_seen(pilot, "Taken up: web: Name web → front01.")
            await keys(pilot, "u")
            await until_seen(pilot, "✓ as saved")
            await keys(pilot, "ctrl+y", "s", "s")
            await until_seen(pilot, "Saved as shop.ova")
        else:
            await until_seen(pilot, "the package is another one")
            await keys(pilot, "enter")
            await until_seen(pilot, "Keep my descriptor")
            await keys(pilot, "enter")
            await until_seen(pilot, "The descriptor as you edited it is in")
            assert b"front01" in (tmp_path / "shop.edited.ovf").read_bytes()
        await until(pilot, lambda: same is not bool(kept_files(tmp_path)))


async def test_nothing_is_kept_of_what_was_dropped_on_purpose(
    app: KenshoApp, package: Path, tmp_path: Path
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        editor = await opened(pilot, package)
        await go_to(pilot, editor, "network:front")
        await to_field(pilot, editor, "name")
        await keys(pilot, "enter", "ctrl+u", "'outside", "enter")
        await until(pilot, lambda: kept_files(tmp_path))
        await keys(pilot, "left", "escape")
        await until_seen(pilot, "has changes that are not saved")
        await keys(pilot, "x")
        await until(pilot, lambda: isinstance(app.screen, Home))
        assert kept_files(tmp_path) == []
        editor = await opened(pilot, package)
        assert app.screen is editor


async def test_saving_is_ended_and_nothing_is_changed(
    app: KenshoApp, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = package.read_bytes()
    reached, go_on = threading.Event(), threading.Event()
    copy = FilePlace.open

    def slow(place: FilePlace, subject: str, *, forward: bool = False) -> PlaceInput:
        reached.set()
        go_on.wait(30)
        return copy(place, subject, forward=forward)

    async with app.run_test(size=(80, 24)) as pilot:
        editor = await opened(pilot, package)
        await go_to(pilot, editor, "network:front")
        await to_field(pilot, editor, "name")
        await keys(pilot, "enter", "ctrl+u", "'outside", "enter")
        await until_seen(pilot, "outside")
        monkeypatch.setattr(FilePlace, "open", slow)
        await keys(pilot, "s", "s")
        await until(pilot, reached.is_set)
        await until_seen(pilot, "Saving shop.ova")
        await keys(pilot, "x")
        await until_seen(pilot, "Ending")
        go_on.set()
        await until_seen(pilot, "You ended it")
        assert "● not saved" in seen(app)
    assert package.read_bytes() == before
