"""The application: leaving, help, palette, colours, signals."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from textual.filter import Monochrome

from kensho_tui.app import KenshoApp
from kensho_tui.connections import Connection, ConnectionBook
from kensho_tui.engine.events import JobState
from screens.desk import DRAW_SELDOM_S
from screens.feed import wants_a_person
from screens.home import Home
from screens.widgets.notice import Notice
from tests.ui.fakes import FakeRunner, summary, view
from tests.ui.waiting import keys, seen, until, until_seen

SIZE = (80, 24)


@pytest.mark.parametrize("pressed", [("q", "d"), ("q", "q"), ("ctrl+q",)])
async def test_leaving_touches_no_job_and_says_that_they_go_on(
    app: KenshoApp, runner: FakeRunner, pressed: tuple[str, ...]
) -> None:
    runner.views["j1"] = view(summary())
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "● shop")
        await keys(pilot, *pressed)
    assert runner.cancelled == []
    assert app.parting.startswith("1 job goes on. 'kensho' brings you back")
    assert not app.return_code


async def test_leaving_asks_what_becomes_of_the_jobs_and_may_be_thought_better_of(
    app: KenshoApp, runner: FakeRunner
) -> None:
    runner.views["j1"] = view(summary())
    runner.views["j2"] = view(summary("j2", JobState.SUCCEEDED, name="build"))
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "● shop")
        await keys(pilot, "q")
        await until_seen(pilot, "1 job under way:")
        assert "build" not in seen(app).split("under way:")[1].split("Jobs run outside")[0]
        await keys(pilot, "s")
        await until(pilot, lambda: isinstance(app.screen, Home))
        await keys(pilot, "q", "x")
        await until_seen(pilot, "Cancel this job?")
        await keys(pilot, "n")
        await until(pilot, lambda: isinstance(app.screen, Home))
        assert runner.cancelled == []
        await keys(pilot, "q", "x", "y")
        await until(pilot, lambda: runner.cancelled == ["j1"])
    assert app.parting == "j1 is being cancelled.\n"


async def test_with_nothing_under_way_leaving_asks_nothing(
    app: KenshoApp, runner: FakeRunner
) -> None:
    runner.views["j1"] = view(summary(state=JobState.SUCCEEDED))
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "✓ shop")
        await keys(pilot, "q")
    assert app.parting == ""


async def test_a_slow_line_gets_the_terminals_own_colours_and_few_drawings(
    runner: FakeRunner,
) -> None:
    app = KenshoApp(runner.desk(), low_bandwidth=True)
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "No jobs yet.")
        assert app.theme == "ansi-dark"
        assert app.desk.draw_every_s == DRAW_SELDOM_S


@pytest.mark.parametrize("key", ["question_mark", "f1"])
async def test_help_explains_the_screen_with_its_keys(app: KenshoApp, key: str) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "No jobs yet.")
        await keys(pilot, key)
        await until(pilot, lambda: isinstance(app.screen, Notice))
        notice = app.screen
        assert isinstance(notice, Notice)
        for expected in ("does not touch them", "New migration", "Connections"):
            assert expected in notice.text
        await keys(pilot, "escape")
        await until(pilot, lambda: isinstance(app.screen, Home))


async def test_the_palette_finds_a_command_of_the_screen_by_its_name(app: KenshoApp) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "No jobs yet.")
        await keys(pilot, "ctrl+p")
        await until_seen(pilot, "Search for commands")
        await keys(pilot, "'new mig")
        await until_seen(pilot, "Key: n")
        await keys(pilot, "enter")
        await until_seen(pilot, "Nothing is open yet.")


@pytest.mark.parametrize(
    "theme", ["kensho", "kensho-light", "textual-dark", "ansi-dark", "ansi-light"]
)
async def test_every_theme_draws_the_screen(app: KenshoApp, runner: FakeRunner, theme: str) -> None:
    runner.views["j1"] = view(summary())
    async with app.run_test(size=SIZE) as pilot:
        app.theme = theme
        await until_seen(pilot, "● shop")


async def test_without_colour_the_row_under_the_cursor_still_stands_out(
    runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = KenshoApp(runner.desk())
    runner.views = {id: view(summary(id, name=id)) for id in ("alpha", "beta")}
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "● beta")
        rows = {
            name: [segment.style for segment in strip if name in segment.text]
            for strip in app.screen._compositor.render_strips()
            for name in ("alpha", "beta")
            if name in strip.text
        }
        (here,), (there,) = rows["alpha"], rows["beta"]
        assert here is not None
        assert there is not None
        assert here.bold
        assert not there.bold
        assert here.bgcolor != there.bgcolor
        assert any(isinstance(each, Monochrome) for each in app._filters)


async def test_a_password_asked_for_in_a_thread_is_typed_unseen_and_given_to_it(
    app: KenshoApp, book: ConnectionBook
) -> None:
    book.put(Connection("xen-new", "xenserver", "xen.example", "root"))
    desk = app.desk
    got: list[str] = []
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "asks for its password")
        app.run_worker(
            lambda: got.append(desk.secrets().password(book.get("xen-new"))), thread=True
        )
        await until_seen(pilot, "Password of 'xen-new' (")
        await keys(pilot, "'geheim")
        assert "geheim" not in seen(app)
        await keys(pilot, "enter")
        await until(pilot, lambda: got == ["geheim"])


async def test_leaving_while_a_password_is_asked_for_ends_the_thread_that_waits(
    app: KenshoApp, book: ConnectionBook
) -> None:
    book.put(Connection("xen-new", "xenserver", "xen.example", "root"))
    failed: list[str] = []

    def wait() -> None:
        from kensho_tui.cancel import CancelledError

        try:
            app.desk.secrets().password(book.get("xen-new"))
        except CancelledError as error:
            failed.append(str(error))

    async with app.run_test(size=SIZE) as pilot:
        app.run_worker(wait, thread=True)
        await until_seen(pilot, "Password of 'xen-new' (")
        app.desk.close()
        await until(pilot, lambda: failed)


SIGNALLED = """
import os, signal, sys
sys.path[:0] = {path!r}
from kensho_tui.app import KenshoApp
from tests.ui.fakes import FakeRunner

class Signalled(KenshoApp):
    def on_ready(self):
        self.call_after_refresh(os.kill, os.getpid(), {number})

    def on_unmount(self):
        super().on_unmount()
        open({mark!r}, "w").write("in order")

app = Signalled(FakeRunner().desk())
app.run(headless=True)
sys.exit(app.return_code)
"""


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_closed_terminal_and_a_polite_kill_end_the_program_in_order(
    tmp_path: Path, number: signal.Signals
) -> None:
    mark = tmp_path / "mark"
    code = SIGNALLED.format(path=[p for p in sys.path if p], number=int(number), mark=str(mark))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        env=dict(os.environ),
        timeout=60,
    )
    assert done.returncode == 128 + number
    assert mark.read_text() == "in order"


def test_home_opens_without_what_only_the_wizard_needs() -> None:
    code = (
        "import sys, kensho_tui.app\n"
        "print(sorted({'pydantic', 'lxml', 'ruamel', 'XenAPI'} & "
        "{name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_a_job_that_ends_or_waits_rings_once_wherever_the_operator_is(
    app: KenshoApp, runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name in ("TMUX", "STY", "KENSHO_NO_BELL"):
        monkeypatch.delenv(name, raising=False)
    runner.views["j1"] = view(summary())
    runner.views["j2"] = view(summary("j2", JobState.SUCCEEDED, name="old"))
    written: list[str] = []
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "● shop")
        assert app._driver is not None
        monkeypatch.setattr(app._driver, "write", written.append)
        await keys(pilot, "enter")
        runner.views["j1"] = view(summary(state=JobState.WAITING))
        await until(pilot, lambda: any("waits for you" in each for each in written))
        runner.views["j1"] = view(summary(state=JobState.SUCCEEDED))
        await until(pilot, lambda: any("finished" in each for each in written))
        app.action_ringing()
        home = next(each for each in app.screen_stack if isinstance(each, Home))
        for state in (JobState.RUNNING, JobState.FAILED, JobState.RUNNING):
            runner.views["j3"] = view(summary("j3", state))
            wanted = ("j3", state)
            await until(pilot, lambda wanted=wanted: wanted in [(j.id, j.state) for j in home.jobs])  # type: ignore[misc]
    rung = [each for each in written if "\x1b]9;" in each]
    assert rung == ["\a\x1b]9;Kensho: shop: waits for you\a", "\a\x1b]9;Kensho: shop: finished\a"]


def test_only_a_change_calls_a_person_and_several_at_once_call_once() -> None:
    running = [summary("a"), summary("b")]
    ended = [summary("a", JobState.FAILED, name="x"), summary("b", JobState.SUCCEEDED)]
    assert wants_a_person([], ended) == "", "what ended before is known"
    assert wants_a_person(ended, ended) == ""
    assert wants_a_person(running, [*ended[:1], running[1]]) == "x: failed"
    assert wants_a_person(running, ended) == "2 jobs have ended or wait for you"


async def test_a_defect_of_a_screen_is_a_sentence_and_shows_no_variable(
    app: KenshoApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KENSHO_STATE_DIR", str(tmp_path / "state"))
    secret = app.desk.secrets()
    secret.put("connection:xen1", "canary-correct-horse")

    def broken() -> None:
        password = secret.values()[0]
        raise ZeroDivisionError(f"not with {password}")

    with pytest.raises(ZeroDivisionError):
        async with app.run_test(size=SIZE) as pilot:
            await until_seen(pilot, "No jobs yet.")
            app.call_later(broken)
            await until(pilot, lambda: bool(app.parting))
    report = tmp_path / "state" / "last-defect.txt"
    assert app.parting.startswith("Error: a defect of Kensho's own (ZeroDivisionError)")
    assert str(report) in app.parting
    assert app._exit_renderables == []
    assert app.return_code == 1
    assert "in broken" in report.read_text()
    assert "canary" not in report.read_text() + app.parting
    assert report.stat().st_mode & 0o777 == 0o600
