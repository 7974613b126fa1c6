"""``kensho journal``: whether what was written of the jobs still holds."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kensho_tui.cli.out import Exit, emit, guarded, json_option, narrate
from kensho_tui.errors import KenshoError
from kensho_tui.text import one_line

if TYPE_CHECKING:
    from kensho_tui.engine.checking import Checked
    from kensho_tui.engine.places import Places
    from kensho_tui.findings import Finding


class Age(click.ParamType[timedelta]):
    """``90d``, ``12w``, ``36h``."""

    name = "AGE"

    def convert(
        self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """The text as a span of time."""
        if isinstance(value, timedelta):
            return value
        from kensho_tui.migration.units import parse_age

        try:
            return parse_age(value)
        except KenshoError as error:
            self.fail(str(error).rstrip("."), param, ctx)


def _places() -> "Places":
    from kensho_tui.engine.places import Places
    from kensho_tui.paths import state_dir

    return Places(state_dir().absolute())


@click.group()
def journal() -> None:
    """What happened to every job. It is only ever added to; these commands look after it."""


@journal.command()
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
@json_option
@guarded
@click.pass_context
def verify(ctx: click.Context, files: tuple[Path, ...], as_json: bool) -> None:
    """Check that no event is missing or changed, and that what is shown is what the events say.

    Jobs may run meanwhile. With FILE, archived jobs are checked instead, each by itself and, where
    this journal knows it, by what was noted when it was written. Exits 8 where something does not
    hold.
    """
    from kensho_tui.engine import archive as archives
    from kensho_tui.engine.checking import Checked
    from kensho_tui.engine.keeping import open_existing

    places = _places()
    if not files:
        with open_existing(places) as opened:
            seen = opened.check()
        _tell(ctx, str(places.journal), seen, as_json)
        return
    seen = Checked()
    for file in files:
        one = archives.check(file)
        seen.jobs += one.jobs
        seen.events += one.events
        seen.findings += one.findings
        if places.journal.exists():
            with open_existing(places) as opened:
                exchanged = archives.known(opened, file)
            seen.findings += [exchanged] if exchanged else []
    _tell(ctx, ", ".join(map(str, files)), seen, as_json)


def _tell(ctx: click.Context, subject: str, seen: "Checked", as_json: bool) -> None:
    from kensho_tui.migration.units import count

    wrong = len(seen.findings)
    verdict = f"{count(wrong, 'error')}" if wrong else "everything holds"
    total = f"{count(seen.jobs, 'job')}, {count(seen.events, 'event')}: {verdict}"
    emit(
        {
            "journal": subject,
            "jobs": seen.jobs,
            "events": seen.events,
            "errors": wrong,
            "findings": seen.findings,
        },
        "\n".join([*map(_line, seen.findings), total]),
        as_json=as_json,
    )
    if wrong:
        ctx.exit(int(Exit.FINDINGS))


def _line(each: "Finding") -> str:
    return f"{each.severity:<8} {one_line(each.subject)}: {one_line(each.message)}. {each.remedy}."


@journal.command()
@json_option
@guarded
def rebuild(as_json: bool) -> None:
    """Make everything that is shown of the jobs anew from their events, and say what was wrong.

    Nothing else may write meanwhile: stop the runner and its workers first.
    """
    from kensho_tui.engine.keeping import open_existing, quiet

    places = _places()
    with open_existing(places) as opened, quiet(places):
        mended = opened.rebuild()
    lines = [f"{one_line(each.subject)}: {one_line(each.message)}; mended." for each in mended]
    emit(
        {"journal": str(places.journal), "mended": mended},
        "\n".join(lines or ["Nothing was wrong; all was made anew."]),
        as_json=as_json,
    )


@journal.command()
@click.argument("jobs", nargs=-1, metavar="[JOB]...")
@click.option("--older-than", type=Age(), help="Only those that ended so long ago: 36h, 90d, 12w.")
@click.option("--keep", type=click.IntRange(min=0), default=0, help="Leave the newest N of them.")
@click.option(
    "--output",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the files are written.",
)
@click.option("--dry-run", is_flag=True, help="Only say which jobs it would be.")
@json_option
@guarded
def archive(
    jobs: tuple[str, ...],
    older_than: timedelta | None,
    keep: int,
    output: Path,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Write ended jobs to a file each, with their events and logs, and take them out of the journal.

    Without JOB: all that have ended and left nothing over. A job that needs attention is archived
    only where it is named. Jobs may run meanwhile.
    """
    from kensho_tui.engine.archive import archive as write
    from kensho_tui.engine.archive import ripe
    from kensho_tui.engine.journal import utc_now
    from kensho_tui.engine.keeping import open_existing

    if not jobs and older_than is None and not keep:
        raise click.UsageError("name jobs, or give --older-than or --keep")
    places = _places()
    done, left = [], []
    with open_existing(places) as opened:
        chosen = ripe(opened, jobs, older_than, keep, utc_now())
        if dry_run:
            emit({"jobs": chosen}, "\n".join(chosen) or "None.", as_json=as_json)
            return
        try:
            output.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise KenshoError(f"cannot be made ({error.strerror})", subject=str(output)) from error
        for job in chosen:
            try:
                done.append(write(opened, places, job, output))
            except KenshoError as error:
                if not error.retryable:
                    raise
                left.append(job)
                narrate(f"{job} is left out: {error.what}.")
    lines = [f"{each.job}: {each.events} events in {one_line(each.file)}" for each in done]
    emit({"archived": done, "left_out": left}, "\n".join(lines) or "None.", as_json=as_json)


@journal.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--log", is_flag=True, help="The lines of the job's log file instead.")
@json_option
@guarded
def show(file: Path, log: bool, as_json: bool) -> None:
    """Show an archived job, as 'kensho job show' does; it is checked first."""
    from kensho_tui.cli.job import page
    from kensho_tui.engine.archive import ArchivedJob
    from kensho_tui.engine.views import view

    with ArchivedJob(file) as read:
        if log:
            emit({"job": read.job, "log": read.log}, "\n".join(read.log), as_json=as_json)
            return
        seen = view(read, read.job, {})
    emit(seen, page(seen), as_json=as_json)
