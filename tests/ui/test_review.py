"""The wizard's last page: what is started, when, and as how many jobs."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from backends.base import (
    ConnectError,
    Finding,
    Kind,
    MachineItem,
    Power,
    Ref,
)
from kensho_tui.app import KenshoApp
from kensho_tui.engine import logind
from kensho_tui.errors import KenshoError
from kensho_tui.findings import Severity
from kensho_tui.migration.draft import Page
from kensho_tui.migration.plan import Plan
from screens.home import Home, Jobs
from screens.monitor import Monitor
from tests.ui.fakes import FakeRunner, summary, view
from tests.ui.pages import at, by_hand
from tests.ui.platforms import WARNING, FakeSession, FakeSessions
from tests.ui.waiting import keys, seen, until, until_seen

SIZE = (80, 24)


async def test_starting_hands_plan_and_passwords_over_and_shows_the_job(
    app: KenshoApp,
    runner: FakeRunner,
    session: FakeSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session.checked = (WARNING,)
    monkeypatch.setattr(logind, "ends_at_logout", lambda pid, user: "the runner ends: do [this]")
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        here = await by_hand(pilot, Page.REVIEW)
        await until_seen(pilot, "! web01: the clock is local time.")
        await keys(pilot, "p")
        await until(pilot, lambda: here.draft.start and not here.busy)
        await until_seen(pilot, "yes, in their start")
        await keys(pilot, "s")
        await until(pilot, lambda: isinstance(app.screen, Monitor))
        await until_seen(pilot, "The runner ends: do [this]")
        plan, secrets = runner.submitted[0]
        assert plan.spec.start
        assert plan.spec.target.connection == "lab-xen"
        assert secrets == {"property:admin": "pass"}
        assert "pass" not in plan.model_dump_json().replace("password", "")
        await keys(pilot, "escape")
        await until(pilot, lambda: isinstance(app.screen, Home))


async def test_review_says_when_the_job_works_and_lets_it_be_changed(app: KenshoApp) -> None:
    async with app.run_test(size=SIZE) as pilot:
        here = await at(pilot, Page.REVIEW)
        await until_seen(pilot, "Begins at once (w changes it).")
        await keys(pilot, "w")
        await until_seen(pilot, "When and how fast")
        await keys(pilot, "down", "enter", "'mon-fri 22:00-04:00 Europe/Berlin", "enter")
        await until_seen(pilot, "Works only mon-fri 22:00-04:00 Europe/Berlin")
        await keys(pilot, "w", "'speed", "enter", "'20M", "enter")
        await until_seen(pilot, "Moves at most 20 MiB/s.")
        run = here.draft.plan().spec.run
        assert run.bandwidth.limit == 20 << 20
        assert run.window is not None
        assert str(run.window.window()) == "mon-fri 22:00-04:00 Europe/Berlin"
        await keys(pilot, "w", "'begins", "enter", "'tomorrow", "enter")
        await until_seen(pilot, "'tomorrow' is no moment")
        assert here.draft.run.not_before is None
        await keys(pilot, "ctrl+z")
        await until(pilot, lambda: here.draft.run.bandwidth.limit is None)


async def test_how_long_guests_may_read_a_password_is_asked_where_one_is_handed_over(
    app: KenshoApp, session: FakeSession
) -> None:
    session.capabilities = replace(session.capabilities, environment=True)
    async with app.run_test(size=SIZE) as pilot:
        here = await at(pilot, Page.REVIEW)
        await until_seen(pilot, "password stays until you eject")
        here.draft.start = True
        await keys(pilot, "w", "'cd", "enter", "ctrl+u", "'soon", "enter")
        await until_seen(pilot, "that is no number of minutes. Write a whole one")
        await keys(pilot, "w", "'cd", "enter", "ctrl+u", "'99999", "enter")
        await until_seen(pilot, "99999 minutes are too long to leave a password lying about.")
        await keys(pilot, "w", "'cd", "enter", "ctrl+u", "'90", "enter")
        await until_seen(pilot, "password is ejected 90 minutes")
        assert here.draft.plan().spec.eject_after == 90


async def test_without_a_password_nothing_is_said_of_its_cd(
    app: KenshoApp, session: FakeSession, sessions: FakeSessions, tmp_path: Path
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        session.capabilities = replace(session.capabilities, environment=True)
        here = await at(pilot, Page.REVIEW)
        # A package hands nothing to anybody.
        here.draft.load_target_package(sessions, str(tmp_path / "all.ova"), "ova")
        here.changed()
        await until(pilot, lambda: "hands guests a password" not in seen(app))
        await keys(pilot, "w")
        await until_seen(pilot, "When and how fast")
        assert "CD with a password" not in seen(app)


def two_machines(session: FakeSession) -> list[Ref]:
    """Machines of the platform that are off."""
    refs = [Ref(Kind.MACHINE, "m1", "old1"), Ref(Kind.MACHINE, "m2", "old2")]
    others = tuple(each for each in session.items if not isinstance(each, MachineItem))
    session.items = (*others, *(MachineItem(each, Power.OFF) for each in refs))
    return refs


async def test_machines_become_a_job_each_where_the_operator_says_so_and_home_shows_the_batch(
    app: KenshoApp, runner: FakeRunner, session: FakeSession
) -> None:
    runner.views["other"] = view(summary("other", name="unrelated"))
    async with app.run_test(size=SIZE) as pilot:
        here = await at(pilot, Page.REVIEW, two_machines(session))
        await until_seen(pilot, "One job for all machines: all arrive, or none")
        await keys(pilot, "j")
        await until(pilot, lambda: here.draft.separately and not here.busy)
        await until_seen(pilot, "2 jobs, each for itself")
        await keys(pilot, "ctrl+z")
        await until_seen(pilot, "One job for all machines")
        await keys(pilot, "j")
        await until(pilot, lambda: here.draft.separately and not here.busy)
        await keys(pilot, "s")
        await until(pilot, lambda: isinstance(app.screen, Home))
        plans = [plan for plan, _ in runner.submitted]
        assert [[m.name for m in plan.spec.source.machines] for plan in plans] == [
            ["old1"],
            ["old2"],
        ]
        (batch,) = {plan.metadata.batch for plan in plans}
        await until_seen(pilot, f"Kensho ▸ {batch}")
        await until_seen(pilot, "of 2 jobs: 2 running")
        assert "unrelated" not in seen(app)
        await until(pilot, lambda: isinstance(app.focused, Jobs))
        await keys(pilot, "escape")
        await until_seen(pilot, "unrelated")
        assert "3 running" in seen(app)


async def test_machines_of_one_appliance_stay_one_job(app: KenshoApp, session: FakeSession) -> None:
    refs = two_machines(session)
    shop = Ref(Kind.APPLIANCE, "a", "shop")
    session.items = tuple(
        replace(each, appliance=shop) if isinstance(each, MachineItem) else each
        for each in session.items
    )
    async with app.run_test(size=SIZE) as pilot:
        await at(pilot, Page.REVIEW, refs)
        await keys(pilot, "j")
        await until_seen(pilot, "old1, old2 belong together, and are one job.")


async def test_a_package_for_each_machine_that_stands_there_already_closes_start(
    app: KenshoApp, runner: FakeRunner, session: FakeSession, tmp_path: Path
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        here = await at(pilot, Page.REVIEW, two_machines(session))
        here.draft.load_target_package(app.desk.sessions(), str(tmp_path / "all.ova"), "ova")
        await keys(pilot, "j")
        await until_seen(pilot, "web01.ova, db01.ova")
        session.checked = (Finding("there", Severity.ERROR, "there is one", "web01.ova"),)
        await keys(pilot, "f5")
        await until_seen(pilot, "Next is closed: web01.ova: there is one.")
        await keys(pilot, "s")
        assert runner.submitted == []


async def test_of_many_jobs_the_one_that_is_refused_leaves_the_others_and_says_so(
    app: KenshoApp, runner: FakeRunner, session: FakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = runner.submit

    def once(plan: Plan, secrets: Mapping[str, str] | None = None) -> str:
        if runner.submitted:
            raise KenshoError("the state disk is full", remedy="Make room")
        return submit(plan, secrets)

    monkeypatch.setattr(runner, "submit", once)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        here = await at(pilot, Page.REVIEW, two_machines(session))
        await keys(pilot, "j")
        await until(pilot, lambda: here.draft.separately and not here.busy)
        await keys(pilot, "s")
        await until(pilot, lambda: isinstance(app.screen, Home))
        await until_seen(pilot, "1 of 2 jobs were started")


async def test_without_a_look_at_each_machine_none_is_started(
    app: KenshoApp, runner: FakeRunner, session: FakeSession, sessions: FakeSessions
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        here = await at(pilot, Page.REVIEW, two_machines(session))
        sessions.errors = [None, ConnectError("it does not answer", subject="lab-xen")]
        await keys(pilot, "j")
        await until_seen(pilot, "✗ lab-xen: it does not answer.")
        assert not here.busy
        await keys(pilot, "s")
        assert runner.submitted == []


async def test_a_package_is_one_job(app: KenshoApp) -> None:
    async with app.run_test(size=SIZE) as pilot:
        here = await at(pilot, Page.REVIEW)
        assert "Jobs" not in seen(app)
        await keys(pilot, "j")
        await until_seen(pilot, "A package is one appliance: it arrives whole, by one job")
        assert not here.draft.separately


async def test_one_machine_is_one_job_and_says_so(app: KenshoApp, session: FakeSession) -> None:
    async with app.run_test(size=SIZE) as pilot:
        here = await at(pilot, Page.REVIEW, two_machines(session)[:1])
        await keys(pilot, "j")
        await until_seen(pilot, "There is one machine, so there is one job.")
        assert not here.draft.separately


async def test_what_is_changed_of_the_hours_is_checked_with_the_rest_and_can_be_started(
    app: KenshoApp, runner: FakeRunner
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        here = await at(pilot, Page.REVIEW)
        await until(pilot, lambda: here.draft.findings is not None and not here.busy)
        await until_seen(pilot, "f5 Check")
        await keys(pilot, "w", "'priority", "enter", "ctrl+u", "'7", "enter")
        await until(pilot, lambda: here.draft.run.priority == 7 and not here.busy)
        await until(pilot, lambda: here.draft.findings is not None)
        await keys(pilot, "s")
        await until(pilot, lambda: len(runner.submitted) == 1)
