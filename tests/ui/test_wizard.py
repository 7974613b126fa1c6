"""The wizard, by keyboard at 80×24, on a platform of plain data."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from textual.css.query import NoMatches

from backends.base import (
    AuthenticationError,
    ConnectError,
    TrustError,
)
from kensho_tui.app import KenshoApp
from kensho_tui.connections import ConnectionBook
from kensho_tui.migration.draft import Page
from kensho_tui.migration.plan import ShutDown
from screens.home import Home
from screens.widgets.rows import Rows
from screens.wizard.properties import about
from screens.wizard.property_field import HERE, PropertyField
from screens.wizard.screen import Wizard
from screens.wizard.source import SourcePage
from tests.ui.pages import at, at_machines, opened, taken, wizard
from tests.ui.platforms import FakeSession, FakeSessions, appliance
from tests.ui.waiting import keys, seen, until, until_seen

SIZE = (80, 24)
PIN = "ab" * 32


async def test_a_package_by_its_path_leads_to_what_it_is(app: KenshoApp) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        text = seen(app)
        for expected in ("Shop [bold]", "Product   Shop 4.2", "data  80 GB  d3.vmdk"):
            assert expected in text


async def test_a_path_is_taken_from_where_the_program_was_started(
    app: KenshoApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The job's process has another current directory.
    monkeypatch.chdir(tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "No jobs yet.")
        await keys(pilot, "n", "'shop.ova", "enter")
        await until(pilot, lambda: wizard(app).draft.source is not None)
        source = wizard(app).draft.source
        assert source is not None
        assert source.package == str(tmp_path / "shop.ova")


async def test_a_package_that_cannot_be_read_is_a_sentence_and_the_page_stays(
    app: KenshoApp, sessions: FakeSessions
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "lab-xen ✓")
        await keys(pilot, "n", "'x.ova")
        sessions.errors = [ConnectError("it is no OVA", subject="x.ova", remedy="Choose an OVA")]
        await keys(pilot, "enter")
        await until_seen(pilot, "✗ x.ova: it is no OVA. Choose an OVA.")
        assert wizard(app).here is Page.SOURCE
        # The name has become a whole path, and one types on at its end.
        page = wizard(app).page
        assert isinstance(page, SourcePage)
        assert page.path.value.endswith("/x.ova")
        assert page.path.cursor_position == len(page.path.value)


async def test_where_a_question_mark_is_a_letter_the_footer_shows_the_key_that_helps(
    app: KenshoApp,
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "? Help")
        await keys(pilot, "n")
        await until_seen(pilot, "F1 Help")
        assert "? Help" not in seen(app)
        await keys(pilot, "f1")
        await until_seen(pilot, "Where the appliance comes from.")
        await keys(pilot, "f1")
        await until(pilot, lambda: isinstance(app.screen, Wizard))
        await keys(pilot, "tab")
        await until_seen(pilot, "? Help")


async def test_next_says_why_it_is_closed_and_opens_when_all_licences_are_accepted(
    app: KenshoApp,
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        here = await at(pilot, Page.LICENCES)
        await until_seen(pilot, "Next is closed: 2 licences to read and accept.")
        assert "You may use it. [red]" in seen(app)
        await keys(pilot, "ctrl+n")
        assert here.here is Page.LICENCES
        await keys(pilot, "a")
        await until_seen(pilot, "1 licence to read and accept")
        await keys(pilot, "a", "ctrl+n")
        await until(pilot, lambda: here.here is Page.CONFIGURATION)


async def test_a_configuration_shows_what_it_changes_before_it_is_chosen(app: KenshoApp) -> None:
    async with app.run_test(size=SIZE) as pilot:
        here = await at(pilot, Page.CONFIGURATION)
        await keys(pilot, "down")
        await until_seen(pilot, "It changes: web01 1 → 4 CPU, 1 GiB → 4 GiB")
        await keys(pilot, "enter")
        await until(pilot, lambda: here.draft.configuration == "large" and not here.busy)


async def test_what_reaches_a_page_that_is_taken_down_does_nothing(app: KenshoApp) -> None:
    async with app.run_test(size=SIZE) as pilot:
        here = await at(pilot, Page.CONFIGURATION)
        page = here.page
        assert page is not None
        listing = page.query_one("#configurations", Rows)
        late = Rows.OptionHighlighted(listing, listing.options[0], 0)
        await page.remove()
        with pytest.raises(NoMatches):
            page.query_one("#configurations")
        await page._dispatch_message(late)


async def test_a_host_that_does_not_fit_says_why_and_is_refused(app: KenshoApp) -> None:
    async with app.run_test(size=SIZE) as pilot:
        here = await at(pilot, Page.TARGET)
        await keys(pilot, "enter")
        await until_seen(pilot, "lab-pool on lab-xen (the only one)")
        await keys(pilot, "tab", "end")
        await until_seen(pilot, "xen2: does not fit: web01 needs 1 GiB of memory")
        await keys(pilot, "enter")
        await until_seen(pilot, "✗ xen2: web01 needs")
        assert here.draft.home().ref is not None
        assert here.draft.home().ref.name == "lab-pool"  # type: ignore[union-attr]


async def test_a_certificate_that_is_not_known_is_trusted_by_its_fingerprint(
    app: KenshoApp, sessions: FakeSessions, book: ConnectionBook
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        here = await at(pilot, Page.TARGET)
        sessions.errors = [TrustError("the certificate is not known", presented=PIN)]
        await keys(pilot, "enter")
        await until_seen(pilot, "AB:AB:AB")
        await keys(pilot, "y")
        await until(pilot, lambda: here.draft.target_view is not None)
        assert book.get("lab-xen").pin == PIN


async def test_a_refused_password_that_is_kept_elsewhere_is_a_sentence(
    app: KenshoApp, sessions: FakeSessions
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        here = await at(pilot, Page.TARGET)
        sessions.errors = [AuthenticationError("user name or password refused", subject="lab-xen")]
        await keys(pilot, "enter")
        await until_seen(pilot, "✗ lab-xen: user name or password refused.")
        assert here.draft.target_view is None


async def test_a_network_is_chosen_from_a_list_and_given_to_all_like_it(app: KenshoApp) -> None:
    async with app.run_test(size=SIZE) as pilot:
        here = await at(pilot, Page.MAPPING)
        await until_seen(pilot, 'Next is closed: choose a network for "Front".')
        assert "same VLAN 20" in seen(app)
        await keys(pilot, "enter")
        await until_seen(pilot, "Network for web01 eth0 (Front)")
        await keys(pilot, "'eth0", "enter")
        await until_seen(pilot, "▸ Pool-wide eth0")
        await keys(pilot, "m")
        await until_seen(pilot, "✓ All adapters on Front have the same network now.")
        assert here.draft.page(Page.MAPPING).complete


async def test_addresses_are_left_to_the_target_where_the_operator_says_so(
    app: KenshoApp,
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        here = await at(pilot, Page.MAPPING)
        await keys(pilot, "g")
        await until_seen(pilot, "gives it a new MAC address (g keeps what it has)")
        assert here.draft.mac == "generate"
        appliance = here.draft.appliance
        assert appliance is not None
        assert not [a for m in appliance.machines for a in m.adapters if a.mac]
        await keys(pilot, "g")
        await until(pilot, lambda: here.draft.mac == "keep")


async def test_a_storage_that_is_too_small_says_by_how_much_and_is_not_taken(
    app: KenshoApp,
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await at(pilot, Page.MAPPING)
        assert "412 GB → 292 GB" in seen(app)
        await keys(pilot, *["down"] * 3, "enter")
        await until_seen(pilot, "Storage for web01 system")
        await keys(pilot, "'tiny")
        await until_seen(pilot, "✗ too small: 15 GB are missing")
        await keys(pilot, "enter")
        assert "Storage for web01 system" in seen(app)
        await keys(pilot, "escape")


async def test_name_processors_and_memory_of_a_machine_are_changed_and_taken_back(
    app: KenshoApp,
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        here = await at(pilot, Page.MAPPING)
        await keys(pilot, "end", "up", "enter")
        await until_seen(pilot, "Change web01")
        await keys(pilot, "down", "down", "enter")
        await until_seen(pilot, "Memory:")
        await keys(pilot, *["backspace"] * 5, "'lots", "enter")
        await until_seen(pilot, "Write it like 512 MiB or 4 GiB")
        await keys(pilot, "enter", "down", "down", "enter")
        await until_seen(pilot, "Memory:")
        await keys(pilot, *["backspace"] * 5, "'3 GiB", "enter")
        await until_seen(pilot, "3 GiB")
        await keys(pilot, "ctrl+z")
        await until(pilot, lambda: "3 GiB" not in seen(app))
        assert "taken back" in seen(app)
        assert here.here is Page.MAPPING


async def test_an_answer_that_is_not_valid_says_beside_it_what_is(app: KenshoApp) -> None:
    async with app.run_test(size=SIZE) as pilot:
        here = await at(pilot, Page.PROPERTIES)
        await keys(pilot, "tab", *["backspace"] * 2)
        await until_seen(pilot, "✗ must be an IP address")
        await keys(pilot, "'10", "tab")
        await until(pilot, lambda: "✗ must be" not in seen(app))
        await keys(pilot, "space")
        await until_seen(pilot, "[X] yes")
        await until(pilot, lambda: here.draft.property_value("dhcp") == "true")


async def test_the_question_under_the_cursor_is_marked_without_colour(app: KenshoApp) -> None:
    def marked() -> list[str]:
        return [line for line in seen(app).splitlines() if f"│ {HERE} " in line]

    async with app.run_test(size=SIZE) as pilot:
        await at(pilot, Page.PROPERTIES)
        await until(pilot, lambda: len(marked()) == 1)
        assert "Host name" in marked()[0]
        await keys(pilot, "tab")
        await until(pilot, lambda: [line for line in marked() if "IP address" in line])
        assert len(marked()) == 1


async def test_passwords_are_hidden_typed_twice_and_must_be_equal(app: KenshoApp) -> None:
    async with app.run_test(size=SIZE) as pilot:
        here = await at(pilot, Page.PROPERTIES)
        await keys(pilot, "'shop", *["tab"] * 5, "'pass", "tab", "'pas")
        await until_seen(pilot, "the two passwords differ")
        await keys(pilot, "ctrl+n")
        assert here.here is Page.PROPERTIES
        await keys(pilot, "'s")
        await until(pilot, lambda: "they differ" not in seen(app))
        assert "pass" not in seen(app).replace("password", "")
        await keys(pilot, "ctrl+n")
        await until(pilot, lambda: here.here is Page.REVIEW)
        assert dict(here.draft.secrets()) == {"property:admin": "pass"}


async def test_the_rail_jumps_back_without_losing_an_answer(app: KenshoApp) -> None:
    async with app.run_test(size=SIZE) as pilot:
        here = await at(pilot, Page.PROPERTIES)
        await keys(pilot, "'shop", "shift+tab")
        await until(pilot, lambda: here.rail.has_focus)
        await keys(pilot, "home", "down", "enter")
        await until(pilot, lambda: here.here is Page.PACKAGE)
        here.rail.focus()
        await keys(pilot, "end", "up", "enter")
        await until(pilot, lambda: here.here is Page.PROPERTIES)
        field = here.query(PropertyField).first()
        assert field.value == "shop"
        assert here.draft.page(Page.LICENCES).complete


async def test_the_rail_does_not_jump_over_what_is_not_decided(app: KenshoApp) -> None:
    async with app.run_test(size=SIZE) as pilot:
        here = await opened(pilot)
        here.rail.focus()
        await keys(pilot, "end", "enter")
        await until_seen(pilot, "Review is not open yet. Licences: 2 licences to read")
        assert here.here is Page.PACKAGE


async def test_closing_asks_once_something_is_open(app: KenshoApp) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        await keys(pilot, "escape")
        await until_seen(pilot, "Close the wizard?")
        await keys(pilot, "n")
        assert isinstance(app.screen, Wizard)
        await keys(pilot, "escape", "y")
        await until(pilot, lambda: isinstance(app.screen, Home))


async def test_machines_are_marked_filtered_and_taken_and_a_running_one_says_why_not(
    app: KenshoApp,
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await at_machines(pilot)
        await keys(pilot, "end")
        await until_seen(pilot, "old-on: it runs, and this platform gives away only")
        await keys(pilot, "slash", "'off", "enter")
        await until(pilot, lambda: "old-on" not in seen(app))
        await keys(pilot, "space")
        await until_seen(pilot, "1 machine marked")
        await keys(pilot, "enter")
        source = await taken(pilot)
        assert [each.name for each in source.machines] == ["old-off"]


async def test_a_running_machine_is_taken_by_a_snapshot_where_the_platform_can(
    app: KenshoApp, session: FakeSession
) -> None:
    session.capabilities = replace(session.capabilities, captures_running=True)
    async with app.run_test(size=SIZE) as pilot:
        await at_machines(pilot)
        await keys(pilot, "end")
        await until_seen(pilot, "old-on runs: it is read from a snapshot, and runs on.")
        await keys(pilot, "enter")
        source = await taken(pilot)
        assert source.consistency == "snapshot"


async def test_a_running_machine_is_shut_down_first_where_the_operator_says_so(
    app: KenshoApp,
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await at_machines(pilot)
        await keys(pilot, "end", "s")
        await until_seen(pilot, "old-on runs: it is shut down first, and started again if the")
        await keys(pilot, "enter")
        source = await taken(pilot)
        assert source.consistency == "off"
        assert source.shut_down == ShutDown(force=False)


async def test_the_file_picker_shows_folders_and_packages_only(
    app: KenshoApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "shop[1].ova").write_bytes(b"x" * 2000)
    (tmp_path / "sub" / "notes.txt").write_text("no")
    monkeypatch.chdir(tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "No jobs yet.")
        await keys(pilot, "n", "ctrl+o")
        await until_seen(pilot, "sub/")
        here = app.screen
        here.listing.go_to(str(tmp_path / "sub"))  # type: ignore[attr-defined]
        await keys(pilot, "enter")
        await until_seen(pilot, "shop[1].ova")
        assert "notes.txt" not in seen(app)
        await keys(pilot, "enter")
        await until(pilot, lambda: wizard(app).here is Page.PACKAGE)


async def test_a_defect_in_a_thread_is_a_sentence_and_opens_the_page_again(
    app: KenshoApp, sessions: FakeSessions
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "lab-xen ✓")
        await keys(pilot, "n", "'x.ova")
        sessions.errors = [ZeroDivisionError("oops")]
        await keys(pilot, "enter")
        await until_seen(pilot, "a defect of Kensho itself (ZeroDivisionError: oops)")
        assert not wizard(app).busy


async def test_while_a_platform_is_asked_the_page_says_so_and_next_is_closed(
    app: KenshoApp, session: FakeSession
) -> None:
    session.gate = threading.Event()
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "No jobs yet.")
        await keys(pilot, "n", "'/srv/shop.ova", "enter")
        await until_seen(pilot, "● Reading /srv/shop.ova …")
        await keys(pilot, "ctrl+n")
        assert wizard(app).here is Page.SOURCE
        session.gate.set()
        await until(pilot, lambda: wizard(app).here is Page.PACKAGE)


@pytest.mark.parametrize("size", [(60, 16), (40, 10), (120, 40)])
async def test_every_page_stands_at_other_sizes(app: KenshoApp, size: tuple[int, int]) -> None:
    async with app.run_test(size=SIZE) as pilot:
        here = await at(pilot, Page.REVIEW)
        await pilot.resize_terminal(*size)
        for page in Page:
            await here.go(page)
            await until(pilot, lambda: not here.busy)
            await pilot.pause()
            assert here.here is page


def test_about_a_question_names_its_type_and_choices_but_never_a_passwords_default() -> None:
    questions = {each.key: each for each in appliance().properties}
    assert "one of demo, production" in about(questions["mode"], ("demo", "production"))
    assert "default 443" in about(questions["port"], ())
