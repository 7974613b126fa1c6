"""Reports: made from events alone, and nothing a name says becomes markup, a formula or an escape."""

import csv
import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import lxml.html
import pytest

from kensho_tui.engine.events import Event, EventKind
from kensho_tui.engine.report import Report, ReportDisk, report
from kensho_tui.engine.reporting import FORMATS, ReportError, as_markdown, as_text, write

HOSTILE = "=cmd|' /C calc'!A1 <script>alert(1)</script> [x](javascript:y) `*_|\x1b[31m\u202e\nend"
CLEAN = "=cmd|' /C calc'!A1 <script>alert(1)</script> [x](javascript:y) `*_| end"
ERROR = {"what": "the storage is full", "subject": "local-sr", "remedy": "Make room"}


def at(second: int) -> str:
    return f"2026-03-01T12:00:{second:02}.000Z"


def story(name: str = "db01", *more: tuple[EventKind, str, dict[str, Any]]) -> list[Event]:
    """A job that moves one disk in two attempts, and what follows."""
    plan = {
        "metadata": {"name": name, "batch": "wave-1", "retry_of": "old-1"},
        "spec": {
            "source": {"connection": "old", "consistency": "snapshot"},
            "target": {"connection": "new"},
            "machines": {"m2": {"include": False}, "m1": {"memory": 4 << 30}},
            "storage": {"d1": {"kind": "storage", "id": "sr-1", "name": "local-sr"}},
            "accepted": ["tpm-not-moved"],
            "licences": [{"digest": "ab" * 32, "accepted_by": "ann", "accepted_at": at(0)}],
            "properties": {"shop.host": name, "shop.admin": {"secret": "property:shop.admin"}},
            "integrity": "require",
        },
    }
    disk = {"id": "d1", "name": name, "image": "", "capacity": 1000, "blank": False}
    blank = {"id": "d2", "name": "scratch", "image": "", "capacity": 500, "blank": True}
    machines = [
        {"id": "m1", "name": name, "processors": 2, "memory": 1 << 30, "disks": [disk, blank]},
        {"id": "m2", "name": "left out", "processors": 1, "memory": 1, "disks": []},
    ]
    found = [
        {
            "id": "tpm-not-moved",
            "severity": "warning",
            "message": name,
            "subject": "db01",
            "remedy": "",
        }
    ]
    moved = {
        "capacity": 1000, "read": 800, "written": 600, "empty": 200, "from": "vhd", "to": "raw",
        "digests": {"source": "sha256 aa", "target": "sha256 bb"},
    }  # fmt: skip
    begun = {"title": "db01 disk 0", "machine": name, "disk": "d1"}
    rest: list[tuple[EventKind, str, dict[str, Any]]] = [
        (EventKind.CLAIMED, "", {"worker": "w", "attempt": 1}),
        (EventKind.STEP_BEGUN, "source", {"title": "Read", "machine": "", "disk": ""}),
        (EventKind.STEP_DONE, "source", {"result": {"identity": "i", "machines": machines}}),
        (EventKind.STEP_BEGUN, "check", {"title": "Check", "machine": "", "disk": ""}),
        (EventKind.STEP_DONE, "check", {"result": {"findings": found}}),
        (EventKind.QUESTION, "", {"id": "q", "text": name, "kind": "cutover"}),
        (EventKind.ANSWER, "", {"question": "q", "value": "yes", "by": "bob"}),
        (EventKind.QUESTION, "", {"id": "s", "text": "Password", "kind": "secret"}),
        (EventKind.ANSWER, "", {"question": "s", "value": None, "by": ""}),
        (EventKind.STEP_BEGUN, "disk:d1", begun),
        (EventKind.CLAIMED, "", {"worker": "w", "attempt": 2}),
        (EventKind.STEP_BEGUN, "disk:d1", begun),
        (EventKind.NOTE, "", {"level": "warning", "message": name, "machine": ""}),
        (EventKind.STEP_DONE, "disk:d1", {"result": moved}),
        *more,
    ]
    first = {"plan": plan, "plan_digest": "cd" * 32, "by": "ann"}
    events = [(EventKind.SUBMITTED, "", first), *rest]
    return [
        Event("j-1", n, 1, kind, at(n), step, data) for n, (kind, step, data) in enumerate(events)
    ]


def succeeded(name: str = "db01") -> tuple[EventKind, str, dict[str, Any]]:
    ref = {"kind": "machine", "id": "vm-9", "name": name}
    made = {
        "machine": "m1",
        "ref": ref,
        "started": True,
        "disks": {"d1": {"id": "vdi-1", "name": name}},
    }
    result = {"location": "", "machines": [made]}
    return EventKind.STATE, "", {"state": "succeeded", "leftovers": [], "result": result}


def failed(name: str = "x") -> tuple[EventKind, str, dict[str, Any]]:
    left = {
        "kind": "disk",
        "id": "vdi-1",
        "name": name,
        "where": "new",
        "reason": name,
        "action": name,
    }
    data = {"state": "needs_attention", "error": {**ERROR, "subject": name}, "leftovers": [left]}
    return EventKind.STATE, "", {**data, "result": None}


def test_a_report_says_what_moved_from_where_to_where_and_who_agreed() -> None:
    made = report(story("db01", succeeded()))
    assert (made.job, made.state, made.source, made.target) == ("j-1", "succeeded", "old", "new")
    assert (made.batch, made.retry_of, made.submitted_by) == ("wave-1", "old-1", "ann")
    assert (made.attempts, made.seconds) == (2, 15.0)
    (machine,) = made.machines
    assert (machine.name, machine.target_id, machine.memory) == ("db01", "vm-9", 4 << 30)
    disk, blank = made.disks
    assert (disk.capacity, disk.read, disk.written, disk.empty) == (1000, 800, 600, 200)
    assert (disk.source_format, disk.target_format, disk.target_id) == ("vhd", "raw", "vdi-1")
    assert (disk.source_digest, disk.target_digest) == ("sha256 aa", "sha256 bb")
    assert (disk.seconds, disk.attempts, disk.rate) == (2.0, 2, 500.0)
    assert (blank.state, blank.capacity, blank.read) == ("blank", 500, None)
    (finding,) = made.findings
    assert (finding.accepted, finding.by) == (True, "ann")
    assert [(q.answer, q.by) for q in made.questions] == [("yes", "bob"), ("(hidden)", "")]
    assert made.properties == {"shop.host": "db01", "shop.admin": "(secret)"}
    assert made.licences[0].by == "ann"
    assert made.warnings == ("db01",)


@pytest.mark.parametrize(("leftovers", "state"), [([], "undone"), ([{"name": "x"}], "done")])
def test_a_disk_that_is_gone_with_what_was_built_for_it_is_not_done(
    leftovers: list[dict[str, str]], state: str
) -> None:
    built = (EventKind.STEP_BEGUN, "deploy", {"title": "Build", "machine": "", "disk": ""})
    gone = (EventKind.UNDONE, "deploy", {"action": "sweep", "leftovers": leftovers})
    end = {"state": "failed", "error": ERROR, "leftovers": leftovers, "result": None}
    made = report(story("db01", built, gone, (EventKind.STATE, "", end)))
    assert made.disks[0].state == state
    assert ("taken back" in FORMATS["md"]([made])) is (state == "undone")


def test_at_a_terminal_an_id_stands_as_it_is() -> None:
    made = report(story("db_01*", succeeded("db_01*")))
    assert "db_01*" in as_text([made])
    assert "db_01*" not in FORMATS["md"]([made])


def test_what_is_left_over_and_why_stands_in_every_page() -> None:
    made = report(story("db01", failed("disk 7")))
    assert made.error == {**ERROR, "subject": "disk 7"}
    for name in ("md", "html"):
        text = FORMATS[name]([made])
        assert "Left over" in text
        assert "disk 7" in text
        assert "the storage is full" in text


def test_what_was_cleaned_up_since_is_left_over_no_more() -> None:
    ended = (EventKind.STATE, "", {"state": "failed", "error": ERROR, "leftovers": []})
    reopened = (EventKind.REOPENED, "", {"by": "ann"})
    made = report(story("db01", failed(), reopened, ended))
    assert (made.state, made.leftovers) == ("failed", ())
    again = report(story("db01", failed(), reopened))
    assert (again.state, again.leftovers, again.ended) == ("queued", (), "")


def pages(*reports: Report) -> dict[str, str]:
    return {name: render(reports) for name, render in FORMATS.items()}


@pytest.mark.parametrize("end", [succeeded(HOSTILE), failed(HOSTILE)])
def test_no_name_is_anything_but_text_in_any_format(end: tuple[EventKind, str, Any]) -> None:
    made = report(story(HOSTILE, end))
    told = pages(made, made)
    for text in told.values():
        assert not {"\x1b", "\u202e", "\x07"} & set(text)
    page = lxml.html.fromstring(told["html"])
    assert {each.tag for each in page.iter()} <= {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "div", "table", "thead",
        "tbody", "tr", "th", "td", "ul", "li",
    }  # fmt: skip
    assert CLEAN in page.text_content()
    assert json.loads(told["json"])[0]["machines"][0]["name"] == CLEAN
    rows = list(csv.reader(StringIO(told["csv"])))
    assert len(rows) == 5
    assert {len(row) for row in rows} == {25}
    assert rows[1][5] == f"'{CLEAN}"
    assert not [c for row in rows for c in row if c[:1] in set("=+-@\t\r")]
    markdown = told["md"]
    for token in ("<script", "](", "`", "**"):
        assert not [
            i
            for i in range(len(markdown))
            if markdown.startswith(token, i) and markdown[i - 1] != "\\"
        ], token
    tables = [line for line in markdown.splitlines() if line.startswith("| ") and CLEAN[:4] in line]
    assert tables
    lines = markdown.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("|---"):
            columns = line.count("|")
            rest = lines[number + 1 :]
            for row in rest[: next(i for i, each in enumerate([*rest, ""]) if not each)]:
                assert row.replace("\\\\", "").replace("\\|", "").count("|") == columns, row


def test_a_job_that_came_to_no_disk_has_a_row_too() -> None:
    made = report(story("db01")[:2])
    rows = list(csv.reader(StringIO(FORMATS["csv"]([made]))))
    assert rows[1][:3] == ["j-1", "wave-1", "running"]


def test_a_report_is_written_whole_private_and_over_nothing(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    write(path, "one\r\n")
    assert path.read_bytes() == b"one\r\n"
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ReportError, match=r"already.*--force"):
        write(path, "two")
    write(path, "two", force=True)
    assert path.read_text() == "two"
    link = tmp_path / "link.md"
    link.symlink_to(path)
    for place in (link, tmp_path, tmp_path / "no" / "folder.md"):
        with pytest.raises(ReportError):
            write(place, "three", force=True)
    assert path.read_text() == "two"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link.md", "report.md"]


def test_a_digest_that_no_end_tells_has_no_column() -> None:
    disk = ReportDisk("db01", "disk 0", "d1", source_digest="sha256 aa")
    told = as_markdown([Report("j1", "shop", "succeeded", "a", "b", disks=(disk,))])
    assert "Source, as promised" in told
    assert "Target, as written" not in told
    both = replace(disk, target_digest="sha256 bb")
    assert "Target, as written" in as_markdown(
        [Report("j1", "shop", "succeeded", "a", "b", disks=(both,))]
    )
