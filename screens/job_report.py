"""A job in words: its steps as rows, its journal as log lines, its end as a report."""

from collections.abc import Mapping
from datetime import datetime

from kensho_tui.engine.events import JobState, JobView, StepView, leftover_text
from kensho_tui.migration.context import Sample, StepState
from kensho_tui.migration.units import count, size
from kensho_tui.text import one_line
from screens import figures
from screens.states import JOB, STEP
from screens.widgets.rows import Cell, Row

BAR = 14


def machine_name(view: JobView, machine: str) -> str:
    """What the machine is called on the target, where the plan says so; else its id."""
    machines = view.plan.get("spec", {}).get("machines", {})
    named = machines.get(machine, {}).get("name") if isinstance(machines, dict) else None
    return str(named or machine)


def step_rows(
    view: JobView, samples: Mapping[str, Sample], *, wide: bool, small: bool = False
) -> list[Row]:
    """The steps under a heading for each machine; what belongs to no machine comes first.

    ``small``: glyph, title, and one word of how far it is; ``wide``: how many bytes too.
    """
    rows: list[Row] = []
    groups: dict[str, list[StepView]] = {"": []}
    for step in view.steps:
        groups.setdefault(step.machine, []).append(step)
    for machine, steps in groups.items():
        if machine:
            rows.append(Row(f"machine:{machine}", (machine_name(view, machine),), heading=True))
        for step in steps:
            sample = samples.get(step.step, step.sample)
            rows.append(_small_row(step, sample) if small else _step_row(step, sample, wide))
    return rows


def _small_row(step: StepView, sample: Sample | None) -> Row:
    sign = STEP[step.state]
    far = sign.word
    if step.state is StepState.RUNNING:
        far = figures.percent(sample.position, sample.total) if sample else ""
    return Row(step.step, (Cell(sign.glyph, sign.style), step.title, Cell(far, sign.style)))


def _step_row(step: StepView, sample: Sample | None, wide: bool) -> Row:
    sign = STEP[step.state]
    head: tuple[Cell | str, ...] = (Cell(sign.glyph, sign.style), step.title)
    if step.state is not StepState.RUNNING:
        # The word has the room of the figures, which there are none of.
        word = Cell(step.word or sign.word, sign.style, span=4 if wide else 3)
        return Row(step.step, (*head, word, figures.clock(step.ended)))
    if sample is None:
        return Row(step.step, head)
    bar = Cell(figures.bar(figures.share(sample.position, sample.total), BAR), sign.style)
    moved = (f"{size(sample.position)} of {size(sample.total)}",) if wide else ()
    percent = figures.percent(sample.position, sample.total)
    rate, left = figures.rate(sample.rate), figures.span(sample.eta_s)
    return Row(step.step, (*head, bar, percent, *moved, rate, left))


def step_text(step: StepView, sample: Sample | None, now: datetime) -> str:
    """All that is known of one step, for the details."""
    sign = STEP[step.state]
    lines = [one_line(step.title), f"{sign.glyph} {step.word or sign.word}"]
    if step.began:
        lines.append(f"Begun    {figures.clock(step.began)}")
    if step.ended:
        lines.append(f"Ended    {figures.clock(step.ended)}")
    if step.began:
        lines.append(f"Took     {figures.elapsed(step.began, step.ended, now)}")
    if sample is not None:
        lines += [
            f"Disk     {size(sample.position)} of {size(sample.total)}",
            f"Read     {size(sample.read)}",
            f"Written  {size(sample.written)}",
            f"Empty    {size(sample.empty)}, not moved",
        ]
    if step.error:
        lines += ["", *error_lines(step.error)]
    return "\n".join(lines)


def error_lines(error: Mapping[str, str]) -> list[str]:
    """What, where and what to do, each where it is known."""
    lines = [one_line(error.get("what", ""))]
    if error.get("subject"):
        lines.append(f"Where: {one_line(error['subject'])}")
    if error.get("remedy"):
        lines.append(f"What to do: {one_line(error['remedy'])}")
    return lines


def report(view: JobView, now: datetime) -> str:
    """How the job ended: what, where, what was cleaned up, what is left, what to do. "" before."""
    job = view.summary
    if not job.state.ended:
        return ""
    sign = JOB[job.state]
    took = figures.elapsed(job.created, job.updated, now)
    head = f"{sign.glyph} {sign.word.capitalize()} at {figures.clock(job.updated)} after {took}"
    if job.state is JobState.SUCCEEDED:
        stays = [f"  Left over   {leftover_text(each)}" for each in view.leftovers]
        made = f"{head}: {count(job.machines, 'machine')} on {job.target}."
        return "\n".join([made, *_made(view), *stays])
    lines = [f"{head}."]
    if job.error:
        lines.append(f"  What        {one_line(job.error.get('what', ''))}.")
        if job.error.get("subject"):
            lines.append(f"  Where       {one_line(job.error['subject'])}")
        if job.error.get("remedy"):
            lines.append(f"  What to do  {one_line(job.error['remedy'])}.")
    undone = [one_line(step.title) for step in view.steps if step.state is StepState.UNDONE]
    lines.append(f"  Cleaned up  {'; '.join(undone) if undone else 'nothing had to be removed'}")
    if view.leftovers:
        for leftover in view.leftovers:
            lines.append(f"  Left over   {leftover_text(leftover)}")
    else:
        lines.append(f"  Left over   nothing on {job.target}; the source was not changed")
    return "\n".join(lines)


def _made(view: JobView) -> list[str]:
    """What came into being, one line for each machine, as the platform calls it."""
    result = view.result if isinstance(view.result, Mapping) else {}
    if result.get("location"):
        return [f"  {one_line(str(result['location']))}"]
    lines = []
    for machine in result.get("machines", ()):
        ref = machine.get("ref") or {}
        state = "started" if machine.get("started") else "not started"
        lines.append(f"  {one_line(str(ref.get('name') or machine.get('machine', '')))}: {state}")
    return lines
