"""One job, by keyboard at 80×24."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from kensho_tui.app import KenshoApp
from kensho_tui.engine.events import Event, EventKind, JobState, StepView
from kensho_tui.migration.context import Question, QuestionKind, StepState
from screens.home import Home
from screens.monitor import Monitor
from tests.ui.fakes import LATER, SAMPLE, FakeRunner, summary, view
from tests.ui.waiting import keys, seen, until, until_seen

SIZE = (80, 24)

# Whatever has happened: the monitor asks for the job anew.
NEWS = Event("j1", 5, 1, EventKind.NOTE, LATER, "", {"message": "something happened"})


def opened(app: KenshoApp) -> Monitor:
    """The monitor on job j1."""
    return Monitor(app.desk, "j1")


async def test_steps_stand_under_their_machine_with_bar_rate_and_time_left(
    app: KenshoApp, runner: FakeRunner
) -> None:
    runner.views["j1"] = view(summary())
    runner.updates.put(("j1", SAMPLE))
    async with app.run_test(size=SIZE) as pilot:
        await app.push_screen(opened(app))
        await until_seen(pilot, "█████░░░░░░░░░  40 %  212 MB/s     6 min")
        text = seen(app)
        assert text.index("web01") < text.index("✓ web01 disk 0 to local-sr")
        assert "1 of 2 machines  ██" in text
        assert "7 of 7 members match" in text


async def test_the_whole_moves_with_the_samples_between_two_readings_of_the_job(
    app: KenshoApp, runner: FakeRunner
) -> None:
    runner.views["j1"] = view(summary(position=0))
    async with app.run_test(size=SIZE) as pilot:
        await app.push_screen(opened(app))
        await until_seen(pilot, "0 %  ")
        runner.updates.put(("j1", SAMPLE))
        await until_seen(pilot, "20 %  4 GB of 20 GB  212 MB/s  1 min left")


async def test_an_event_brings_the_job_anew(app: KenshoApp, runner: FakeRunner) -> None:
    first = view(summary())
    runner.views["j1"] = first
    async with app.run_test(size=SIZE) as pilot:
        await app.push_screen(opened(app))
        await until_seen(pilot, "● db01 disk 1")
        done = replace(first.steps[2], state=StepState.DONE, ended=LATER)
        event = Event("j1", 5, 1, EventKind.STEP_DONE, LATER, "disk:2")
        runner.views["j1"] = view(
            summary(), steps=(*first.steps[:2], done), log=(*first.log, event), last=5
        )
        runner.updates.put(event)
        await until_seen(pilot, "✓ db01 disk 1")
        await until_seen(pilot, "disk:2: done")


async def test_cancelling_says_what_will_be_removed_and_asks_once(
    app: KenshoApp, runner: FakeRunner
) -> None:
    runner.views["j1"] = view(summary())
    async with app.run_test(size=SIZE) as pilot:
        await app.push_screen(opened(app))
        await until_seen(pilot, "db01 disk 1")
        await keys(pilot, "x")
        await until_seen(pilot, "will be removed")
        text = seen(app)
        assert "web01 disk 0 to local-sr" in text
        assert "The source is not changed." in text
        await keys(pilot, "n")
        assert runner.cancelled == []
        await keys(pilot, "x", "y")
        await until(pilot, lambda: runner.cancelled == ["j1"])


async def test_cancelling_machines_in_service_says_that_they_stay(
    app: KenshoApp, runner: FakeRunner
) -> None:
    question = Question(
        "withdraw", QuestionKind.ENVIRONMENT, "Have they?", ("eject", "keep"), "eject"
    )
    job = view(summary(state=JobState.WAITING, questions=1), questions=(question,))
    committed = StepView("commit", "Finish on lab-b and start", StepState.DONE)
    runner.views["j1"] = replace(job, steps=(*job.steps, committed))
    async with app.run_test(size=SIZE) as pilot:
        await app.push_screen(opened(app))
        await until_seen(pilot, "e Eject…")
        await keys(pilot, "x")
        await until_seen(pilot, "is in service and stays")
        assert "will be removed" not in seen(app)
        assert "Eject the CDs and end the job?" in seen(app)
        assert "A guest that has not read its own" in seen(app)
        await keys(pilot, "y")
        await until(pilot, lambda: runner.cancelled == ["j1"])


async def test_a_failed_job_says_what_where_what_was_cleaned_and_what_to_do(
    app: KenshoApp, runner: FakeRunner
) -> None:
    error = {"what": "the storage is full", "subject": "local-sr", "remedy": "Make room"}
    job = view(summary(state=JobState.FAILED, error=error))
    undone = replace(job.steps[1], state=StepState.UNDONE)
    runner.views["j1"] = replace(job, steps=(job.steps[0], undone, job.steps[2]))
    async with app.run_test(size=SIZE) as pilot:
        await app.push_screen(opened(app))
        await until_seen(pilot, "What        the storage is full.")
        text = seen(app)
        assert "Where       local-sr" in text
        assert "What to do  Make room." in text
        assert "Cleaned up  web01 disk 0 to local-sr" in text
        assert "Left over   nothing on lab-xen" in text


async def test_what_is_left_over_comes_with_the_action_that_removes_it(
    app: KenshoApp, runner: FakeRunner
) -> None:
    left = {"name": "VDI db01", "reason": "in use", "action": "Run 'xe vdi-destroy uuid=1'"}
    runner.views["j1"] = view(summary(state=JobState.NEEDS_ATTENTION), leftovers=(left,))
    async with app.run_test(size=SIZE) as pilot:
        await app.push_screen(opened(app))
        await until_seen(pilot, "Left over   VDI db01: in use. Run 'xe vdi-destroy uuid=1'")


@pytest.mark.parametrize("key", ["enter", "a"])
async def test_a_secret_that_the_job_asks_for_is_typed_unseen(
    app: KenshoApp, runner: FakeRunner, key: str
) -> None:
    question = Question("q1", QuestionKind.SECRET, "Password of [b]xen-new[/b]?")
    runner.views["j1"] = view(
        summary(state=JobState.WAITING, name="crm", questions=1), questions=(question,)
    )
    async with app.run_test(size=SIZE) as pilot:
        if key == "a":
            # From home the question comes at once.
            await until_seen(pilot, "crm")
            await keys(pilot, "a")
        else:
            await app.push_screen(opened(app))
            await until_seen(pilot, "Press a to answer")
            await keys(pilot, "a")
        await until_seen(pilot, "Password of [b]xen-new[/b]?")
        await keys(pilot, "'geheim")
        await until_seen(pilot, "••••••")
        assert "geheim" not in seen(app)
        await keys(pilot, "enter")
        await until(pilot, lambda: runner.answers == [("j1", "q1", "geheim")])


async def test_a_question_with_choices_offers_them(app: KenshoApp, runner: FakeRunner) -> None:
    question = Question(
        "q2", QuestionKind.SPACE, "No space", ("retry", "stop"), "stop", datetime.now(UTC)
    )
    runner.views["j1"] = view(summary(state=JobState.WAITING), questions=(question,))
    async with app.run_test(size=SIZE) as pilot:
        await app.push_screen(opened(app))
        await until_seen(pilot, "Press a to answer")
        await keys(pilot, "a")
        await until_seen(pilot, "retry")
        assert "by itself at " in seen(app)
        await keys(pilot, "up", "enter")
        await until(pilot, lambda: runner.answers == [("j1", "q2", "retry")])


async def test_the_log_takes_the_screen_and_gives_it_back(
    app: KenshoApp, runner: FakeRunner
) -> None:
    runner.views["j1"] = view(summary())
    async with app.run_test(size=SIZE) as pilot:
        await app.push_screen(opened(app))
        await until_seen(pilot, "db01 disk 1")
        await keys(pilot, "l")
        await until(pilot, lambda: "● db01 disk 1" not in seen(app))
        await keys(pilot, "escape")
        await until_seen(pilot, "● db01 disk 1")
        await keys(pilot, "escape")
        await until(pilot, lambda: isinstance(app.screen, Home))


async def test_a_step_shows_all_that_is_known_of_it(app: KenshoApp, runner: FakeRunner) -> None:
    runner.views["j1"] = view(summary())
    runner.updates.put(("j1", SAMPLE))
    async with app.run_test(size=SIZE) as pilot:
        await app.push_screen(opened(app))
        await until_seen(pilot, "212 MB/s     6 min")
        await keys(pilot, "end", "enter")
        await until_seen(pilot, "Read     3 GB")


async def test_a_job_that_is_gone_is_a_sentence(app: KenshoApp, runner: FakeRunner) -> None:
    runner.views["j1"] = view(summary())
    async with app.run_test(size=SIZE) as pilot:
        runner.silent = "there is no such job"
        await app.push_screen(opened(app))
        await until_seen(pilot, "there is no such job")


async def test_space_lets_a_job_hold_still_and_go_on(app: KenshoApp, runner: FakeRunner) -> None:
    runner.views["j1"] = view(summary())
    async with app.run_test(size=SIZE) as pilot:
        await app.push_screen(opened(app))
        await until_seen(pilot, "space Pause")
        await keys(pilot, "space")
        await until(pilot, lambda: runner.said == [("pause", "j1")])
        paused = summary(state=JobState.PAUSED, reason="operator", waits="paused by anna")
        runner.views["j1"] = view(paused)
        runner.updates.put(NEWS)
        await until_seen(pilot, "Paused by anna. space lets it go on.")
        await until_seen(pilot, "space Go on")
        await keys(pilot, "space")
        await until(pilot, lambda: runner.said[1:] == [("resume", "j1")])


@pytest.mark.parametrize(
    ("typed", "asked"), [("50M", 50 << 20), ("1.5 GiB/s", 3 << 29), ("none", None)]
)
async def test_the_speed_of_a_job_is_typed_with_its_unit(
    app: KenshoApp, runner: FakeRunner, typed: str, asked: int | None
) -> None:
    runner.views["j1"] = view(summary(limit=20 << 20, limit_by="operator"))
    async with app.run_test(size=SIZE) as pilot:
        await app.push_screen(opened(app))
        await until_seen(pilot, "b Speed")
        await keys(pilot, "b")
        await until_seen(pilot, "Now: 20 MiB/s, as it was told.")
        await keys(pilot, "ctrl+u", f"'{typed}", "enter")
        await until(pilot, lambda: runner.said == [("limit", "j1", asked)])


@pytest.mark.parametrize("size", [(40, 12), (40, 24)])
async def test_the_steps_are_there_on_the_smallest_terminal(
    app: KenshoApp, runner: FakeRunner, size: tuple[int, int]
) -> None:
    runner.views["j1"] = view(summary())
    async with app.run_test(size=size) as pilot:
        await app.push_screen(opened(app))
        await until_seen(pilot, "✓ Check the plan")
        runner.updates.put(("j1", SAMPLE))
        await until_seen(pilot, "● db01 disk 1")
        await until_seen(pilot, "40 %")
        await keys(pilot, "l")
        await until_seen(pilot, "7 of 7 members match")


async def test_a_speed_that_the_plan_says_is_told_and_enter_leaves_it(
    app: KenshoApp, runner: FakeRunner
) -> None:
    planned = view(summary(limit=100 << 10, limit_by="plan"))
    runner.views["j1"] = planned
    async with app.run_test(size=SIZE) as pilot:
        await app.push_screen(opened(app))
        await until_seen(pilot, "b Speed")
        await keys(pilot, "b")
        await until_seen(pilot, "Now: 100 KiB/s, as its plan says.")
        await keys(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, Monitor))
        assert runner.said == []
        await keys(pilot, "b")
        await until_seen(pilot, "Now: 100 KiB/s, as its plan says.")
        await keys(pilot, "'none", "enter")
        await until(pilot, lambda: runner.said == [("limit", "j1", None)])


async def test_a_limit_that_was_taken_off_is_told_whatever_the_plan_says(
    app: KenshoApp, runner: FakeRunner
) -> None:
    limits = {"limit": 100 << 10, "times": []}
    plan = {"spec": {"run": {"bandwidth": limits}}}
    runner.views["j1"] = replace(view(summary()), plan=plan)
    async with app.run_test(size=SIZE) as pilot:
        await app.push_screen(opened(app))
        await until_seen(pilot, "b Speed")
        await keys(pilot, "b")
        await until_seen(pilot, "Now: no limit.")


async def test_a_speed_that_is_none_is_a_sentence_and_changes_nothing(
    app: KenshoApp, runner: FakeRunner
) -> None:
    runner.views["j1"] = view(summary())
    async with app.run_test(size=SIZE) as pilot:
        await app.push_screen(opened(app))
        await until_seen(pilot, "b Speed")
        await keys(pilot, "b", "ctrl+u", "'fast", "enter")
        await until_seen(pilot, "'fast' is no limit")
        assert runner.said == []


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
async def test_a_job_that_came_to_nothing_is_done_again_as_a_new_one(
    app: KenshoApp, runner: FakeRunner, state: JobState
) -> None:
    runner.views["j1"] = view(summary(state=state))
    async with app.run_test(size=SIZE) as pilot:
        await app.push_screen(opened(app))
        await until_seen(pilot, "r does it once more.")
        assert "Cancel…" not in seen(app)
        await keys(pilot, "r")
        await until_seen(pilot, "shop-again")
        assert runner.said == [("retry", "j1")]
        await keys(pilot, "escape")
        await until(pilot, lambda: isinstance(app.screen, Home))


async def test_what_is_left_over_is_tried_again(app: KenshoApp, runner: FakeRunner) -> None:
    left = {"name": "VDI db01", "reason": "in use", "action": "Detach it"}
    runner.views["j1"] = view(summary(state=JobState.NEEDS_ATTENTION), leftovers=(left,))
    async with app.run_test(size=SIZE) as pilot:
        await app.push_screen(opened(app))
        await until_seen(pilot, "r Clean up")
        await keys(pilot, "r")
        await until(pilot, lambda: runner.said == [("cleanup", "j1")])
        runner.views["j1"] = view(summary(state=JobState.FAILED))
        runner.updates.put(NEWS)
        await until_seen(pilot, "r does it once more.")


CD = {"kind": "environment", "name": "the CDs", "reason": "kept", "kept": "true"}


async def test_a_cd_with_a_password_that_was_left_is_ejected_after_one_question(
    app: KenshoApp, runner: FakeRunner
) -> None:
    runner.views["j1"] = view(summary(state=JobState.SUCCEEDED), leftovers=(CD,))
    async with app.run_test(size=SIZE) as pilot:
        await app.push_screen(opened(app))
        await until_seen(pilot, "a CD with a password is still in the guests' drives. e ejects it.")
        await keys(pilot, "e")
        await until_seen(pilot, "A guest that has not read its own by now never will.")
        await keys(pilot, "n")
        assert runner.said == []
        await keys(pilot, "e", "y")
        await until(pilot, lambda: runner.said == [("cleanup", "j1")])
        # It is at work again, and what comes of it is seen.
        runner.views["j1"] = view(summary(state=JobState.SUCCEEDED))
        runner.updates.put(NEWS)
        await until_seen(pilot, "Done. esc goes home.")
        await until(pilot, lambda: "Eject…" not in seen(app))


async def test_a_job_that_waits_for_its_guests_to_read_is_told_to_eject(
    app: KenshoApp, runner: FakeRunner
) -> None:
    question = Question(
        "withdraw", QuestionKind.ENVIRONMENT, "Have they?", ("eject", "keep"), "eject"
    )
    waiting = summary(state=JobState.WAITING, questions=1)
    runner.views["j1"] = view(waiting, questions=(question,))
    async with app.run_test(size=SIZE) as pilot:
        await app.push_screen(opened(app))
        await until_seen(pilot, "e Eject…")
        await keys(pilot, "e", "y")
        await until(pilot, lambda: runner.answers == [("j1", "withdraw", "eject")])


async def test_of_a_job_that_is_done_no_key_is_shown_that_does_nothing(
    app: KenshoApp, runner: FakeRunner
) -> None:
    runner.views["j1"] = view(summary(state=JobState.SUCCEEDED))
    async with app.run_test(size=SIZE) as pilot:
        await app.push_screen(opened(app))
        await until_seen(pilot, "Done. esc goes home.")
        await until(pilot, lambda: "Pause" not in seen(app).splitlines()[-1])
        assert not {"Answer", "Retry", "Cancel…", "Speed"} & set(seen(app).split())
        await keys(pilot, "space", "r", "x", "b", "e")
        assert runner.said == []
        assert runner.cancelled == []
