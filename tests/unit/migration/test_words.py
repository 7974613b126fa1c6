"""The plan in words."""

from dataclasses import replace

import pytest

from kensho_tui.findings import Finding, Severity
from kensho_tui.machine import Start
from kensho_tui.migration.draft import DraftError
from kensho_tui.migration.plan import SourcePlan
from kensho_tui.migration.units import clause, disk_label, memory, parse_size, sentence, size
from kensho_tui.migration.words import finding_line, in_words, plan_in_words
from tests.unit.migration import samples
from tests.unit.migration.samples import DB, GIB, WEB


def test_a_plan_is_told_in_one_headline_and_a_line_for_each_machine() -> None:
    draft = samples.complete()
    draft.choose_network(DB, "e1", None)
    draft.start = True
    words = plan_in_words(draft)
    assert words.headline == "2 machines, 3 disks, 90 GB (2 GB to move) → xen-new"
    assert words.machines == (
        "1 web01  4 CPU  4 GiB  BIOS  1 disk 20 GB on local-sr  "
        "nic0→Front nic1→Pool-wide eth1  is started",
        "2 db01  1 CPU  8 GiB  BIOS  2 disks 70 GB on local-sr, big-sr  "
        "nic0→Pool-wide eth1 nic1→unplugged  is started",
    )
    assert words.text().splitlines()[0] == words.headline
    assert words.text().splitlines()[-1] == words.failure


def test_machines_stand_in_the_order_they_are_started_in() -> None:
    base = samples.appliance()
    web = replace(base.machines[0], start=Start(order=2))
    db = replace(base.machines[1], start=Start(order=1, start_delay_s=30))
    draft = samples.draft(replace(base, machines=(web, db)))
    draft.start = True
    lines = plan_in_words(draft).machines
    assert lines[0].startswith("1 db01")
    assert lines[0].endswith("is started, then 30 s are waited")
    assert lines[1].startswith("2 web01")


def test_what_is_not_decided_yet_is_a_question_mark() -> None:
    view = replace(samples.target(), networks=())
    line = plan_in_words(samples.draft(view=view)).machines[0]
    assert "nic0→?" in line


def test_names_from_outside_cannot_move_the_cursor() -> None:
    base = samples.appliance()
    evil = replace(base.machines[0], name="web\x1b[2J\n01")
    words = plan_in_words(samples.draft(replace(base, machines=(evil, base.machines[1]))))
    assert "\x1b" not in words.text()
    assert any(line.startswith("1 web 01") for line in words.machines)


def test_findings_are_lines_with_glyph_and_remedy() -> None:
    finding = Finding("x", Severity.WARNING, "It is old.", "db01", "Renew it.")
    assert finding_line(finding) == "! db01: It is old. Renew it."
    assert finding_line(Finding("x", Severity.ERROR, "it is gone")) == "✗ it is gone."


def test_what_happens_to_the_source_is_promised() -> None:
    spec = samples.complete().plan().spec
    appliance = samples.appliance()
    assert "package is not changed" in in_words(appliance, spec).promise
    running = SourcePlan(connection="old", consistency="snapshot")
    assert "snapshot" in in_words(appliance, spec.model_copy(update={"source": running})).promise
    off = SourcePlan(connection="old")
    assert "not changed" in in_words(appliance, spec.model_copy(update={"source": off})).promise


def test_there_are_no_words_without_a_target() -> None:
    draft = samples.LoadedDraft()
    draft.source_is(samples.appliance())
    with pytest.raises(DraftError, match="no target yet"):
        plan_in_words(draft)


@pytest.mark.parametrize(
    ("count", "decimal", "binary"),
    [
        (0, "0 B", "0 B"),
        (999, "999 B", "999 B"),
        (1000, "1 kB", "1000 B"),
        (1536, "1.5 kB", "1.5 KiB"),
        (999_950, "1 MB", "977 KiB"),
        (20 * 10**9, "20 GB", "19 GiB"),
        (8 * GIB, "8.6 GB", "8 GiB"),
        (-35 * 10**9, "−35 GB", "−33 GiB"),
    ],
)
def test_numbers_are_short(count: int, decimal: str, binary: str) -> None:
    assert size(count) == decimal
    assert memory(count) == binary


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8 GiB", 8 * GIB),
        ("8G", 8 * GIB),
        ("1.5GB", 1_500_000_000),
        ("4096 B", 4096),
        ("512 mib", 512 << 20),
        ("4096", None),
        ("", None),
        ("-1 GiB", None),
        ("8 GiBs", None),
    ],
)
def test_a_size_needs_its_unit(text: str, expected: int | None) -> None:
    assert parse_size(text) == expected


def test_sentences_and_clauses_are_made_of_each_other() -> None:
    assert sentence("the folder is full") == "The folder is full."
    assert clause("The folder is full.") == "the folder is full"
    assert clause("VLAN 10 is gone.") == "VLAN 10 is gone"
    assert sentence("") == ""
    assert clause("") == ""


def test_a_disk_is_called_by_its_machine_once() -> None:
    assert disk_label("db01", "data", 1) == "db01 data"
    assert disk_label("db01", "db01 data", 1) == "db01 data"
    assert disk_label("db01", "", 1) == "db01 disk 1"
    assert disk_label(WEB, "system", 0) == "web01 system"
