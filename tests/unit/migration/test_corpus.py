"""Descriptors that others wrote: whatever they hold, a draft of them can be shown and answered."""

import os
from pathlib import Path

import pytest

from kensho_tui.connections import ConnectionBook
from kensho_tui.errors import KenshoError
from kensho_tui.migration.sessions import Sessions
from kensho_tui.migration.words import plan_in_words
from tests.unit.migration import samples
from tests.unit.migration.memory import MemorySecrets

ROOT = Path(__file__).parents[3]
CORPUS = Path(os.environ.get("KENSHO_CORPUS", ROOT / "../shared/corpus"))
EVERY = 4  # of the descriptors; all of them say no more and take longer


def test_any_descriptor_gives_pages_words_and_answers_that_can_be_taken_back(
    tmp_path: Path,
) -> None:
    descriptors = sorted(CORPUS.rglob("*.ovf"))[::EVERY]
    if not descriptors:
        pytest.skip(f"no corpus at {CORPUS}: set KENSHO_CORPUS to a folder of descriptors")
    shown = 0
    for path in descriptors:
        draft = samples.LoadedDraft()
        with Sessions(ConnectionBook(tmp_path / "book.toml"), MemorySecrets({})) as sessions:
            try:
                draft.load_package(sessions, str(path))
            except KenshoError as error:
                assert str(error).strip(), path
                continue
        draft.target_is(samples.target())
        assert len(draft.pages()) == 8
        assert "→ xen-new" in plan_in_words(draft).text()
        before = draft.export_answers()
        draft.import_answers(before)
        assert draft.export_answers() == before, path
        shown += 1
    assert shown > len(descriptors) / 2
