"""Many jobs as one: those of a batch, how far they are, what of them is to be done again.

A job that was done again is spoken for by the later one.
"""

import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kensho_tui.engine.events import JobState, JobSummary
from kensho_tui.errors import KenshoError
from kensho_tui.migration.units import count, size


class UnknownBatchError(KenshoError):
    """There is no job of that batch."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Some jobs, counted.

    Attributes:
        states: how many jobs are in each state.
        share: of the whole, from 0 to 1; every job counts the same, because what has not begun does
            not know its size.
        rate: bytes a second of all that run.
        questions: how many are open.
    """

    jobs: int
    states: dict[JobState, int]
    share: float
    rate: float
    questions: int

    @property
    def ended(self) -> int:
        """How many have ended."""
        return sum(number for state, number in self.states.items() if state.ended)


def batch_name(plan: str) -> str:
    """A name for the jobs of one plan that no others have: ``web01-web02-7f3a``."""
    # Here: who only counts jobs needs no journal.
    from kensho_tui.engine.journal import slug

    return f"{slug(plan)}-{secrets.token_hex(2)}"


def jobs_of(jobs: Iterable[JobSummary], batch: str) -> list[JobSummary]:
    """The jobs of the batch, in the order given.

    Raises: UnknownBatchError: there is none; says which batches there are.
    """
    everything = list(jobs)
    found = [each for each in everything if each.batch == batch]
    if not found or not batch:
        known = sorted({each.batch for each in everything if each.batch})
        raise UnknownBatchError(
            "there is no such batch",
            subject=batch,
            remedy=(f"There are: {', '.join(known[:8])}" if known else "No job belongs to a batch")
            + "; what was archived is counted no more",
        )
    return found


def current(jobs: Sequence[JobSummary]) -> list[JobSummary]:
    """Those of the jobs that none of the others does again."""
    again = {each.retry_of for each in jobs}
    return [each for each in jobs if each.id not in again]


def to_do_again(jobs: Sequence[JobSummary]) -> list[str]:
    """Ids of those that failed or were cancelled and were not done again since."""
    states = {JobState.FAILED, JobState.CANCELLED}
    return [each.id for each in current(jobs) if each.state in states]


def to_clean_up(jobs: Sequence[JobSummary]) -> list[str]:
    """Ids of those that left something over."""
    return [each.id for each in jobs if each.state is JobState.NEEDS_ATTENTION]


def tally(jobs: Sequence[JobSummary]) -> Tally:
    """The jobs, counted."""
    return Tally(
        jobs=len(jobs),
        states=dict(Counter(each.state for each in jobs)),
        share=sum(_share(each) for each in jobs) / len(jobs) if jobs else 1.0,
        rate=sum(each.rate for each in jobs),
        questions=sum(each.questions for each in jobs),
    )


def in_words(counted: Tally) -> str:
    """``34 % of 200 jobs: 66 succeeded, 8 running, 126 queued, 210 MB/s``."""
    states = [f"{number} {state.replace('_', ' ')}" for state, number in counted.states.items()]
    rate = [f"{size(int(counted.rate))}/s"] if counted.rate >= 1 else []
    return f"{int(counted.share * 100)} % of {count(counted.jobs, 'job')}: " + ", ".join(
        [*states, *rate]
    )


def _share(job: JobSummary) -> float:
    if job.state.ended:
        return 1.0
    return min(1.0, job.position / job.total) if job.total else 0.0
