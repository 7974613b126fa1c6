"""Home, by keyboard at 80×24."""

from kensho_tui.app import KenshoApp
from kensho_tui.engine.events import JobState, RunnerStatus
from screens.home import Home, Jobs
from screens.monitor import Monitor
from tests.ui.fakes import FakeRunner, summary, view
from tests.ui.platforms import FakeSessions
from tests.ui.waiting import keys, seen, until, until_seen

SIZE = (80, 24)


def fill(runner: FakeRunner) -> None:
    """A job in every state, one with markup in its name."""
    error = {"what": "the disk is full", "subject": "local-sr", "remedy": "Make room, then retry"}
    for job in (
        summary("run", name="finance [bold]1[/bold]"),
        summary("wait", JobState.WAITING, name="crm", questions=1),
        summary("done", JobState.SUCCEEDED, name="build"),
        summary("bad", JobState.FAILED, name="legacy", error=error),
        summary("left", JobState.NEEDS_ATTENTION, name="half", error=error),
    ):
        runner.views[job.id] = view(job)


async def test_every_state_of_a_job_is_a_glyph_and_a_word(
    app: KenshoApp, runner: FakeRunner
) -> None:
    fill(runner)
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "finance")
        text = seen(app)
        for expected in ("● finance", "waits for you", "✓ build", "failed: the disk", "look here"):
            assert expected in text
        assert "● 1 running   ! 2 need you   ✗ 1 failed   ✓ 1 finished" in text


async def test_a_failure_that_was_mended_since_is_counted_no_more(
    app: KenshoApp, runner: FakeRunner
) -> None:
    fill(runner)
    again = summary("again", JobState.SUCCEEDED, name="legacy", retry_of="bad")
    runner.views["again"] = view(again)
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "! 2 need you   ✓ 2 finished")


async def test_what_of_the_runner_is_not_right_is_said_above_the_platforms(
    app: KenshoApp, runner: FakeRunner
) -> None:
    fill(runner)
    wrong = {"what": "there is no setting 'x'", "subject": "r.toml:2", "remedy": "Mend the file"}
    runner.standing = RunnerStatus(
        running=True, full=True, free=5_000_000, needed=34_000_000, settings_error=wrong
    )
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "! The state disk is full: 5 MB are free and 34 MB have to be")
        assert "r.toml:2: there is no setting 'x'" in seen(app)
        runner.standing = RunnerStatus(running=True)
        await until(pilot, lambda: "setting" not in seen(app))


async def test_markup_in_a_jobs_name_is_shown_as_it_is(app: KenshoApp, runner: FakeRunner) -> None:
    runner.views["x"] = view(summary("x", name="[red]x[/]"))
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "[red]x[/]")


async def test_the_line_below_says_what_went_wrong_and_what_to_do(
    app: KenshoApp, runner: FakeRunner
) -> None:
    fill(runner)
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "legacy")
        await keys(pilot, "down", "down", "down")
        await until_seen(pilot, "✗ legacy: the disk is full. Make room, then retry.")


async def test_a_filter_leaves_what_matches_and_escape_shows_all(
    app: KenshoApp, runner: FakeRunner
) -> None:
    fill(runner)
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "legacy")
        await keys(pilot, "slash", "'build")
        await until(pilot, lambda: "legacy" not in seen(app))
        assert "build" in seen(app)
        await keys(pilot, "escape")
        await until_seen(pilot, "legacy")


async def test_enter_opens_the_job_and_escape_comes_back(
    app: KenshoApp, runner: FakeRunner
) -> None:
    fill(runner)
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "legacy")
        await keys(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, Monitor))
        await keys(pilot, "escape")
        await until(pilot, lambda: isinstance(app.screen, Home))


async def test_the_cursor_stays_on_its_job_when_the_list_changes(
    app: KenshoApp, runner: FakeRunner
) -> None:
    fill(runner)
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "legacy")
        await keys(pilot, "down", "down")
        assert app.screen.query_one(Jobs).current == "done"
        runner.views = {"new": view(summary("new", name="newest")), **runner.views}
        await until_seen(pilot, "newest")
        assert app.screen.query_one(Jobs).current == "done"


async def test_a_runner_that_does_not_answer_is_a_sentence_and_comes_back(
    app: KenshoApp, runner: FakeRunner
) -> None:
    runner.silent = "no runner answers"
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "no runner answers. Run 'kensho runner status'.")
        runner.silent = ""
        fill(runner)
        await until_seen(pilot, "legacy")


async def test_a_platform_that_answers_has_a_mark_and_one_that_refuses_a_word(
    app: KenshoApp, sessions: FakeSessions
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "lab-xen ✓ Fake 1")


async def test_nothing_yet_says_how_to_begin(app: KenshoApp) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "No jobs yet.")
        assert "n  starts a migration" in seen(app)


async def test_a_terminal_of_forty_columns_or_ten_lines_does_not_break_it(
    app: KenshoApp, runner: FakeRunner
) -> None:
    fill(runner)
    async with app.run_test(size=(40, 10)) as pilot:
        await until_seen(pilot, "finance")
        await pilot.resize_terminal(20, 5)
        await pilot.resize_terminal(120, 40)
        await until_seen(pilot, "Begun")
