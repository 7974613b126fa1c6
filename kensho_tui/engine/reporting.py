"""A report as a file: JSON, CSV (a row for each disk), Markdown, and one HTML page that needs no other."""

import contextlib
import csv
import html
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path

from kensho_tui.engine.report import Report, ReportDisk
from kensho_tui.errors import KenshoError
from kensho_tui.migration.units import count, memory, size


class ReportError(KenshoError):
    """The report cannot be written."""


# --------------------------------------------------------------------------------------------- data
def as_json(reports: Sequence[Report]) -> str:
    """A list with an object for each job, as `Report` names its fields."""
    return json.dumps([asdict(each) for each in reports], indent=2, ensure_ascii=True) + "\n"


_COLUMNS = (
    "job", "batch", "state", "source", "target", "machine", "disk", "disk_id", "disk_state",
    "capacity_bytes", "read_bytes", "written_bytes", "empty_bytes", "source_format",
    "target_format", "storage", "target_disk", "target_disk_id", "source_digest", "target_digest",
    "began", "ended", "seconds", "bytes_per_second", "attempts",
)  # fmt: skip


def as_csv(reports: Sequence[Report]) -> str:
    """A row for each disk; a job that knows of none has a row without."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for each in reports:
        for disk in each.disks or (ReportDisk("", "", ""),):
            rate = round(disk.rate) if disk.rate else None
            row = (
                each.job, each.batch, each.state, each.source, each.target, disk.machine, disk.name,
                disk.id, disk.state, disk.capacity, disk.read, disk.written, disk.empty,
                disk.source_format, disk.target_format, disk.storage, disk.target, disk.target_id,
                disk.source_digest, disk.target_digest, disk.began, disk.ended, disk.seconds, rate,
                disk.attempts,
            )  # fmt: skip
            writer.writerow([_cell(value) for value in row])
    return out.getvalue()


def _cell(value: object) -> object:
    """A text that a spreadsheet would take for a formula is marked as text."""
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        return f"'{value}"
    return value


# ------------------------------------------------------------------------------------------ a page
Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """A heading (none for "") over a table, or over lines."""

    heading: str
    head: Row = ()
    rows: tuple[Row, ...] = ()
    lines: tuple[str, ...] = ()


def _parts(each: Report) -> Iterator[_Part]:
    """What a page says of one job, section by section; those that would be empty are left out."""
    yield _Part("", ("", ""), tuple(_facts(each)))
    if each.error:
        parts = (each.error.get("what"), each.error.get("subject"), each.error.get("remedy"))
        named = zip(("What happened", "Where", "What to do"), parts, strict=True)
        yield _Part("Error", ("", ""), tuple((name, text) for name, text in named if text))
    if each.leftovers:
        yield _Part("Left over", lines=tuple(each.leftover_lines()))
    head: Row
    rows: tuple[Row, ...]
    if each.machines:
        head = ("Machine", "Id", "On the target", "Id there", "Processors", "Memory", "Started")
        rows = tuple(
            (
                m.name, m.id, m.target, m.target_id, str(m.processors or ""),
                memory(m.memory) if m.memory else "", "yes" if m.started else "",
            )
            for m in each.machines
        )  # fmt: skip
        yield _Part("Machines", head, rows)
    if each.disks:
        yield _Part("Disks", _DISK_HEAD, tuple(_disk_row(disk) for disk in each.disks))
        digests = tuple(
            (disk.machine, disk.name, disk.source_digest, disk.target_digest)
            for disk in each.disks
            if disk.source_digest or disk.target_digest
        )
        if digests:
            head = ("Machine", "Disk", "Source, as promised", "Target, as written")
            # A platform tells no digest of what it keeps, and machines come without a manifest.
            kept = [n for n in range(len(head)) if n < 2 or any(row[n] for row in digests)]
            rows = tuple(tuple(row[n] for n in kept) for row in digests)
            yield _Part("Digests", tuple(head[n] for n in kept), rows)
    yield from _decisions(each)
    if each.warnings:
        yield _Part("Warnings on the way", lines=each.warnings)


def _decisions(each: Report) -> Iterator[_Part]:
    head: Row
    rows: tuple[Row, ...]
    if each.findings:
        head = ("Severity", "Finding", "About", "What to do", "Accepted by")
        rows = tuple(
            (f.severity, f.message, f.subject, f.remedy, (f.by or "yes") if f.accepted else "")
            for f in each.findings
        )
        yield _Part("Findings", head, rows)
    if each.licences:
        head = ("Licence (SHA-256)", "Accepted by", "At")
        yield _Part("Licences", head, tuple((x.digest, x.by, x.at) for x in each.licences))
    if each.questions:
        head = ("Question", "Answer", "By", "At")
        rows = tuple((q.text, q.answer or "not answered", q.by, q.at) for q in each.questions)
        yield _Part("Questions", head, rows)
    if each.properties:
        yield _Part("Properties", ("Property", "Value"), tuple(each.properties.items()))


def _facts(each: Report) -> Iterator[Row]:
    moved = sum(disk.written or 0 for disk in each.disks)
    whole = sum(disk.capacity or 0 for disk in each.disks)
    facts = (
        ("State", each.state.replace("_", " ")),
        ("From", each.source),
        ("To", each.target),
        ("Written to", each.location),
        ("Job", each.job),
        ("Batch", each.batch),
        ("Again for", each.retry_of),
        ("Moved", f"{size(moved)} written for disks of {size(whole)}" if each.disks else ""),
        ("Submitted", f"{each.created}{f' by {each.submitted_by}' if each.submitted_by else ''}"),
        ("Ended", each.ended),
        ("Took", _span(each.seconds)),
        ("Attempts", str(each.attempts)),
        ("Source held by", each.consistency if each.consistency != "off" else ""),
        ("Integrity", each.integrity),
        ("Plan (SHA-256)", each.plan_digest),
    )
    return ((name, text) for name, text in facts if text)


_DISK_HEAD = (
    "Machine", "Disk", "State", "Capacity", "Read", "Written", "Empty", "Format", "Storage",
    "On the target", "Id there", "Took", "Rate", "Attempts",
)  # fmt: skip


def _disk_row(disk: ReportDisk) -> Row:
    def known(number: int | None) -> str:
        return "" if number is None else size(number)

    formats = " → ".join(each for each in (disk.source_format, disk.target_format) if each)
    return (
        disk.machine, disk.name, "taken back" if disk.state == "undone" else disk.state,
        known(disk.capacity), known(disk.read),
        known(disk.written), known(disk.empty), formats, disk.storage, disk.target, disk.target_id,
        _span(disk.seconds) if disk.seconds is not None else "",
        f"{size(int(disk.rate))}/s" if disk.rate else "", str(disk.attempts or ""),
    )  # fmt: skip


def _span(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _title(each: Report) -> str:
    return f"{each.name or each.job}: {each.state.replace('_', ' ')}"


def _overview(reports: Sequence[Report]) -> tuple[str, tuple[Row, ...]]:
    good = sum(each.state == "succeeded" for each in reports)
    rows = tuple((each.job, each.name, each.state.replace("_", " ")) for each in reports)
    return f"{count(len(reports), 'job')}, {good} succeeded", rows


# ---------------------------------------------------------------------------------------- Markdown
_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~&=$^-])")


def _md(text: str) -> str:
    return _MARKUP.sub(r"\\\1", text)


def as_markdown(reports: Sequence[Report]) -> str:
    """Markdown with tables; nothing from outside can be markup."""
    return _page(reports, _md)


def as_text(reports: Sequence[Report]) -> str:
    """The same for a terminal, where an id is to be copied as it is: nothing is escaped."""
    return _page(reports, lambda text: text)


def _page(reports: Sequence[Report], escaped: Callable[[str], str]) -> str:
    out: list[str] = []
    if len(reports) > 1:
        head, rows = _overview(reports)
        out += [f"# {escaped(head)}", "", *_md_table(("Job", "Name", "State"), rows, escaped), ""]
    for each in reports:
        out += [f"# {escaped(_title(each))}", ""]
        for part in _parts(each):
            out += [f"## {part.heading}", ""] if part.heading else []
            out += _md_table(part.head, part.rows, escaped) if part.rows else []
            out += [f"- {escaped(line)}" for line in part.lines]
            out.append("")
    return "\n".join(out).rstrip() + "\n"


def _md_table(head: Row, rows: Sequence[Row], escaped: Callable[[str], str]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(escaped(cell) for cell in row) + " |"


# -------------------------------------------------------------------------------------------- HTML
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;"
    "color:#1b1f24;background:#fff}h1{font-size:1.5rem;margin:2rem 0 .5rem}"
    "h2{font-size:1.1rem;margin:1.5rem 0 .3rem}div{overflow-x:auto}table{border-collapse:collapse}"
    "th,td{text-align:left;padding:.2rem .8rem .2rem 0;border-bottom:1px solid #d8dee4;"
    "vertical-align:top}th{font-weight:600}td{overflow-wrap:anywhere}"
    "@media print{body{max-width:none}}"
)
# No page that is written from names of strangers runs or loads anything, whatever a name is.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def as_html(reports: Sequence[Report]) -> str:
    """One page that loads nothing; everything from outside is escaped."""
    title = _overview(reports)[0] if len(reports) > 1 else _title(reports[0]) if reports else "-"
    out = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>",
    ]
    if len(reports) > 1:
        head, rows = _overview(reports)
        out += [f"<h1>{html.escape(head)}</h1>", _html_table(("Job", "Name", "State"), rows)]
    for each in reports:
        out.append(f"<h1>{html.escape(_title(each))}</h1>")
        for part in _parts(each):
            out += [f"<h2>{html.escape(part.heading)}</h2>"] if part.heading else []
            out += [_html_table(part.head, part.rows)] if part.rows else []
            if part.lines:
                items = "".join(f"<li>{html.escape(line)}</li>" for line in part.lines)
                out.append(f"<ul>{items}</ul>")
    return "\n".join([*out, "</body></html>"]) + "\n"


def _html_table(head: Row, rows: Sequence[Row]) -> str:
    names = "".join(f"<th>{html.escape(each)}</th>" for each in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    first = f"<thead><tr>{names}</tr></thead>" if any(head) else ""
    return f"<div><table>{first}<tbody>{body}</tbody></table></div>"


FORMATS: dict[str, Callable[[Sequence[Report]], str]] = {
    "md": as_markdown,
    "json": as_json,
    "csv": as_csv,
    "html": as_html,
}


# ---------------------------------------------------------------------------------------- the file
def write(path: Path, text: str, *, force: bool = False) -> None:
    """Write the file, whole or not at all, readable by its owner alone.

    Args:
        force: put it in the place of a file that is there.

    Raises: ReportError: there is one, or the place cannot be written to.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise ReportError("this is no file", subject=str(path), remedy="Name another one")
    draft = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if force:
                draft.replace(path)
            else:
                os.link(draft, path)  # unlike a rename, it replaces nothing
        finally:
            with contextlib.suppress(FileNotFoundError):
                draft.unlink()
    except FileExistsError as error:
        raise ReportError(
            "there is a file of that name already", subject=str(path), remedy="Give --force"
        ) from error
    except OSError as error:
        raise ReportError(
            f"the report cannot be written ({error.strerror})", subject=str(path)
        ) from error
