"""``kensho journal``: whether what was written of the jobs still holds."""

from typing import TYPE_CHECKING

import click

from kensho_tui.cli.out import Exit, emit, guarded, json_option
from kensho_tui.text import one_line

if TYPE_CHECKING:
    from kensho_tui.engine.checking import Checked
    from kensho_tui.engine.places import Places
    from kensho_tui.findings import Finding


def _places() -> "Places":
    from kensho_tui.engine.places import Places
    from kensho_tui.paths import state_dir

    return Places(state_dir().absolute())


@click.group()
def journal() -> None:
    """What happened to every job. It is only ever added to; these commands look after it."""


@journal.command()
@json_option
@guarded
@click.pass_context
def verify(ctx: click.Context, as_json: bool) -> None:
    """Check that no event is missing or changed, and that what is shown is what the events say.

    Jobs may run meanwhile. Exits 8 where something does not hold.
    """
    from kensho_tui.engine.keeping import open_existing

    places = _places()
    with open_existing(places) as opened:
        seen = opened.check()
    _tell(ctx, str(places.journal), seen, as_json)


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
