"""Options of the transfer commands that say how a job is run: when, how fast, how urgent."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from kensho_tui.errors import KenshoError

if TYPE_CHECKING:
    from kensho_tui.migration.plan import RunPlan

Option = Callable[[Callable[..., Any]], Callable[..., Any]]


def _read(parse: Callable[[str], Any]) -> Callable[..., Any]:
    """A callback of click's that reads the option; what is wrong with it is a wrong command line."""

    def callback(ctx: click.Context, param: click.Parameter, value: Any) -> Any:  # noqa: ANN401
        try:
            if isinstance(value, tuple):
                return tuple(parse(each) for each in value)
            return None if value is None else parse(value)
        except KenshoError as error:
            raise click.BadParameter(str(error).rstrip("."), ctx, param) from error

    return callback


def _moment(text: str) -> Any:  # noqa: ANN401 - a datetime, whose module is not loaded for --help
    from kensho_tui.migration.times import local_zone, parse_moment

    return parse_moment(text, local_zone())


def _window(text: str) -> Any:  # noqa: ANN401
    from kensho_tui.migration.times import parse_window

    return parse_window(text)


def _limit(text: str) -> str:
    """The text, which says a limit; taken together with the others in `run_plan`."""
    from kensho_tui.migration.times import parse_limits

    parse_limits([text])
    return text


run_options: tuple[Option, ...] = (
    click.option(
        "--start-at",
        metavar="MOMENT",
        callback=_read(_moment),
        help="Not before: '2026-12-01 22:00 [ZONE]', or ISO 8601 with Z or an offset.",
    ),
    click.option(
        "--window",
        metavar="[DAYS] FROM-TO [ZONE]",
        callback=_read(_window),
        help="Work only then: 'mon-fri 22:00-04:00 Europe/Berlin'; paused in between.",
    ),
    click.option(
        "--cutover-window",
        metavar="[DAYS] FROM-TO [ZONE]",
        callback=_read(_window),
        help="Put the machines into service only then; the bytes are moved before.",
    ),
    click.option(
        "--bandwidth",
        multiple=True,
        metavar="SIZE|none [WINDOW]",
        callback=_read(_limit),
        help="Bytes a second, all disks together: 50M, or '20M mon-fri 07:00-18:00'; may be repeated.",
    ),
    click.option(
        "--priority",
        type=click.IntRange(-100, 100),
        help="Of jobs that wait, the highest begins first; usually 0.",
    ),
    click.option("--disks-at-once", type=click.IntRange(1, 32), help="At most; usually 2."),
)


def run_plan(
    *,
    start_at: Any = None,  # noqa: ANN401 - as the callbacks above read them
    window: Any = None,  # noqa: ANN401
    cutover_window: Any = None,  # noqa: ANN401
    bandwidth: Sequence[str] = (),
    priority: int | None = None,
    disks_at_once: int | None = None,
) -> "RunPlan":
    """The options as a plan says them; times of day that are named win over a limit for always."""
    from kensho_tui.migration.plan import BandwidthPlan, RunPlan, WindowPlan
    from kensho_tui.migration.times import parse_limits

    said: dict[str, Any] = {
        "not_before": start_at,
        "window": window and WindowPlan.of(window),
        "cutover": cutover_window and WindowPlan.of(cutover_window),
        "priority": priority,
        "disks_at_once": disks_at_once,
        "bandwidth": BandwidthPlan.of(parse_limits(bandwidth)),
    }
    return RunPlan(**{name: value for name, value in said.items() if value is not None})
