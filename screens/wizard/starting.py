"""Handing what was decided to the runner: one job, or one for each machine."""

import contextlib
import getpass
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kensho_tui.engine.secrets import connection_secret
from kensho_tui.errors import KenshoError
from kensho_tui.migration.draft import Draft
from screens.desk import Desk

if TYPE_CHECKING:
    from kensho_tui.migration.split import Part


@dataclass
class Started:
    """What is under way.

    Attributes:
        batch: of the jobs, where there is one for each machine.
        warning: what would end them all; "" for nothing.
        error: why the others were not started.
    """

    jobs: list[str] = field(default_factory=list)
    batch: str = ""
    warning: str = ""
    error: KenshoError | None = None


def start(draft: Draft, desk: Desk, parts: Sequence["Part"] = ()) -> Started:
    """Submit the draft: its plan, or one for each of the parts. Blocks.

    Raises: KenshoError: nothing was started.
    """
    from kensho_tui.engine.batches import batch_name
    from kensho_tui.engine.logind import ends_at_logout
    from kensho_tui.migration.separately import plans

    started = Started(batch=batch_name(draft.name) if parts else "")
    submitted = plans(draft, parts, started.batch) if parts else [draft.plan()]
    for plan in submitted:
        places = {plan.spec.source.connection, plan.spec.target.connection}
        # As they stand in the book now: a password that was entered for another is not handed on.
        now = [desk.sessions().connection(each) for each in places if each]
        names = {connection_secret(each) for each in now}
        known = desk.secrets().known()
        secrets = {name: known[name] for name in names if name in known}
        try:
            started.jobs.append(desk.runner().submit(plan, {**secrets, **draft.secrets()}))
        except KenshoError as error:
            if not started.jobs:
                raise
            # Started once more, what runs by now would be moved twice.
            many = f"{len(started.jobs)} of {len(submitted)} jobs were started; then: {error.what}"
            started.error = KenshoError(many, subject=error.subject, remedy=error.remedy)
            break
    with contextlib.suppress(KenshoError):  # they are on their way, and that is what counts
        pid = desk.runner().status().pid
        started.warning = ends_at_logout(pid, getpass.getuser()) if pid else ""
    return started
