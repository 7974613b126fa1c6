"""A package with its texts in several languages, in the wizard and in the plan."""

from pathlib import Path

import pytest

from kensho_tui.app import KenshoApp
from kensho_tui.connections import ConnectionBook
from kensho_tui.engine.secrets import Secrets
from kensho_tui.migration.draft import Draft, Page
from kensho_tui.migration.sessions import Reading, Sessions
from tests.ui.pages import wizard
from tests.ui.waiting import keys, until, until_seen
from tests.unit.ovf.test_strings import package

SIZE = (80, 24)


async def test_the_language_of_texts_is_chosen_on_the_package_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "fr_FR.UTF-8")
    path = package(tmp_path)
    app = KenshoApp()
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "No jobs yet.")
        await keys(pilot, "n", f"'{path}", "enter")
        await until_seen(pilot, "Product   Bonjour")
        await until_seen(pilot, "Texts in  fr  (also en-US, de-DE: l chooses)")
        await until(pilot, lambda: not wizard(app).busy)
        await keys(pilot, "l")
        await until_seen(pilot, "type to filter")
        await keys(pilot, "'de", "enter")
        await until_seen(pilot, "Product   Hallo")
        await until(pilot, lambda: not wizard(app).busy)
        assert [each.text for each in wizard(app).draft.licences()] == ["Alles."]


def test_a_licence_in_another_language_is_accepted_anew(tmp_path: Path) -> None:
    path = package(tmp_path)
    draft = Draft()
    with Sessions(ConnectionBook(tmp_path / "book.toml"), Secrets()) as sessions:
        draft.load_package(sessions, str(path), Reading(locale="fr"))
        draft.accept_licence(draft.licences()[0].digest, "anna")
        assert draft.page(Page.LICENCES).complete
        draft.choose_language(sessions, "de-DE")
        assert [each.text for each in draft.licences()] == ["Alles."]
        assert not draft.page(Page.LICENCES).complete
        # What is asked in this language is what another reading gives too: the job's own.
        assert draft.describe(sessions).appliance == draft.appliance
