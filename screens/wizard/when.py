"""When a job begins and works, how fast and how urgently: asked in windows, one thing at a time."""

from collections.abc import Callable

from kensho_tui.errors import KenshoError
from kensho_tui.migration.draft import Draft
from kensho_tui.migration.plan import BandwidthPlan, RunPlan, WindowPlan
from kensho_tui.migration.times import local_zone, parse_moment, parse_window
from kensho_tui.migration.units import count, memory, parse_rate, rate
from screens.widgets.ask import Ask
from screens.widgets.choose import Choice, Choose
from screens.wizard.page import WizardPage

_HOURS = "Days, hours and time zone, such as 'mon-fri 22:00-04:00 Europe/Berlin'; empty: "


def ask_when(page: WizardPage, then: Callable[[], object]) -> None:
    """Ask what to change of when and how the job runs, change it in the draft, then call ``then``."""
    run = page.draft.run
    begins = f"{run.not_before:%Y-%m-%d %H:%M} UTC" if run.not_before else ""
    hours = str(run.window.window()) if run.window else ""
    last = str(run.cutover.window()) if run.cutover else ""
    limit = run.bandwidth.limit
    choices = [
        Choice("begin", "Begins", begins or "at once"),
        Choice("hours", "Works", hours or "at any hour"),
        Choice("last", "Goes into service", last or "as soon as all is there"),
        Choice("speed", "Speed", rate(limit)),
        Choice("priority", "Priority", str(run.priority)),
    ]
    if page.draft.hands_over_password():
        choices.append(Choice("eject", "CD with a password", eject_in_words(page.draft)))

    def picked(what: str | None) -> None:
        if what == "begin":
            zone = local_zone()
            text = (
                "Date, time and time zone, such as '2026-12-01 22:00 Europe/Berlin' "
                f"(without one: {zone}); empty: at once."
            )
            _ask(
                page,
                then,
                "Begins",
                text,
                begins,
                lambda t: _run(page, not_before=_moment(t, zone)),
            )
        elif what == "hours":
            text = f"{_HOURS}at any hour. In between it is paused."
            _ask(page, then, "Works", text, hours, lambda t: _run(page, window=_window(t)))
        elif what == "last":
            text = f"{_HOURS}as soon as all is there. The bytes are moved before."
            _ask(
                page,
                then,
                "Goes into service",
                text,
                last,
                lambda t: _run(page, cutover=_window(t)),
            )
        elif what == "speed":
            text = "Bytes a second, all disks together, such as 50M or 1.5 GiB; empty: no limit."
            shown = memory(limit) if limit else ""
            _ask(page, then, "Speed", text, shown, lambda t: _run(page, bandwidth=_speed(run, t)))
        elif what == "priority":
            text = "Of jobs that wait, the highest begins first: -100 to 100, usually 0."
            _ask(
                page,
                then,
                "Priority",
                text,
                str(run.priority),
                lambda t: _run(page, priority=_priority(t)),
            )
        elif what == "eject":
            text = "Minutes that started guests have to read it, then it is ejected; 0: at once."
            shown = str(page.draft.eject_after)
            _ask(
                page, then, "CD with a password", text, shown, lambda t: _eject_after(page.draft, t)
            )

    page.app.push_screen(Choose("When and how fast", choices), picked)


def eject_in_words(draft: Draft) -> str:
    """What becomes of the CD that hands guests a password, one clause."""
    if not draft.start:
        return "stays until you eject it: no machine is started that could read it"
    if not draft.eject_after:
        return "is ejected as soon as the machines are started"
    return f"is ejected {count(draft.eject_after, 'minute')} after the machines are started"


def _ask(
    page: WizardPage,
    then: Callable[[], object],
    title: str,
    text: str,
    value: str,
    take: Callable[[str], object],
) -> None:
    def given(written: str | None) -> None:
        if written is not None and page.attempt(lambda: take(written.strip())):
            then()

    page.app.push_screen(Ask(title, text, value=value, empty=True), given)


def _run(page: WizardPage, **changes: object) -> None:
    page.draft.run = page.draft.run.model_copy(update=changes)


def _eject_after(draft: Draft, text: str) -> None:
    if not (text.isascii() and text.isdigit()):
        raise KenshoError("that is no number of minutes", remedy="Write a whole one, such as 15")
    draft.eject_after = int(text)


def _moment(text: str, zone: str) -> object:
    return parse_moment(text, zone) if text else None


def _window(text: str) -> WindowPlan | None:
    return WindowPlan.of(parse_window(text)) if text else None


def _speed(run: RunPlan, text: str) -> BandwidthPlan:
    return run.bandwidth.model_copy(update={"limit": parse_rate(text) if text else None})


def _priority(text: str) -> int:
    try:
        number = int(text or "0")
    except ValueError:
        number = 1000
    if not -100 <= number <= 100:
        raise KenshoError("that is no priority", remedy="Write a whole number from -100 to 100")
    return number
