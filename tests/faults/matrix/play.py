"""One run: the job is started, held at its moment, hurt, looked after, and judged."""

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from kensho_tui.engine.client import Client, RunnerAbsentError, start_runner
from kensho_tui.engine.events import JobState, JobView
from kensho_tui.engine.journal import Journal, JournalError
from kensho_tui.engine.places import Places, StateDirError, is_held
from kensho_tui.errors import KenshoError
from tests.desk import until
from tests.faults.matrix import acts
from tests.faults.matrix.case import Case, Moment, Verb
from tests.faults.matrix.stage import SOURCE, TARGET, Lab, Stage

ROOT = Path(__file__).parents[3]
RUN = "tests.faults.matrix.runs:run_job"
DEADLINE_S = 120.0
_LOOK_S = 0.02


@dataclass
class Played:
    """How it went: the job as it ended, and what does not hold (nothing, mostly)."""

    case: Case
    reached: bool
    view: JobView | None = None
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        state = str(self.view.summary.state) if self.view else "no end"
        met = "" if self.reached else " (the moment never came)"
        return f"seed {self.case.seed}: {self.case}{met}: {state}, {self.seconds:.1f} s"


class Play:
    """One case on a stage."""

    def __init__(self, stage: Stage, which: Case, home: Path) -> None:
        """Args: home: an empty directory for this run alone."""
        self.stage, self.case, self.home = stage, which, home
        self.state = home / "state"
        self.out = home / "out"
        self.places = Places(self.state)
        self.name = f"m{which.seed}-{os.urandom(3).hex()}"
        self.target = stage.labs[TARGET]
        self.job = ""
        self.tracers: list[subprocess.Popen[str]] = []
        self._folder = home / "edges"
        self._moments = [which.moment]
        if which.cancel not in (None, which.moment):
            self._moments.append(which.cancel)
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "KENSHO_CONFIG_DIR": str(stage.config),
            "KENSHO_STATE_DIR": str(self.state),
        }

    # ------------------------------------------------------------------------------ what acts use
    def lab(self, dice: Random) -> Lab:
        """The server that is meant: the one of the moment, or any that takes part."""
        if self.case.verb is Verb.IMPORT:
            return self.target
        if self.case.verb is Verb.EXPORT:
            return self.stage.labs[SOURCE]
        return self.stage.labs[dice.choice([SOURCE, TARGET])]

    def worker(self) -> int:
        """Process id of the job's worker."""
        return int(json.loads(self.places.job_lock(self.job).read_text())["pid"])

    def runner(self) -> int:
        """Process id of the supervisor."""
        return int(json.loads(self.places.runner_lock.read_text())["pid"])

    def start_runner(self) -> None:
        """What any command of the operator's does first."""
        start_runner(self.state, run=RUN, environment=self._environment)

    def journal_files(self) -> list[Path]:
        """Where the journal is written."""
        return [self.places.journal.with_name(f"journal.db{end}") for end in ("", "-wal")]

    def epoch(self) -> int:
        """How many workers have had the job."""
        rows = self._rows("SELECT epoch FROM lease WHERE job = ?")
        return int(rows[0][0]) if rows else 0

    def ended(self) -> bool:
        """Whether the job is over."""
        rows = self._rows("SELECT state FROM job WHERE id = ?")
        return bool(rows) and JobState(rows[0][0]).ended

    def over(self) -> bool:
        """`ended`, after a look whether the operator is wanted."""
        self._attend()
        return self.ended()

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Nothing where the journal cannot be read just now."""
        try:
            with Journal(self.places.journal) as journal:
                return journal.rows(sql, (self.job,))
        except KenshoError:
            return []

    # ------------------------------------------------------------------------------------- the run
    def run(self) -> Played:
        """The whole of it. Raises: acts.Impossible: this machine does not have the fault."""
        if reason := acts.impossible(self.case.fault):
            raise acts.Impossible(reason)
        from tests.faults.matrix.verdict import Before, judge

        began = time.monotonic()
        self.stage.calm()
        for folder in (self._folder, self.out):
            folder.mkdir(parents=True)
        with acts.mounted(self.case.fault, self.state, self.out):
            try:
                before = Before.of(self)
                played = self._play()
                self._end()
                self.stage.calm()
                played.broken += judge(self, before, played)
            finally:
                self._end()
        played.seconds = time.monotonic() - began
        return played

    def _play(self) -> Played:
        edges = [[each.edge, each.step, each.nth] for each in self._moments]
        labels = {"folder": str(self._folder), "edges": json.dumps(edges)}
        plan = self.stage.plan(
            self.case.verb,
            self.name,
            self.out,
            snapshot=self.case.snapshot,
            folder=self.case.folder,
            labels=labels,
        )
        if place := acts.rule(self.case):
            self._server(self.case.moment).chaos.arm(place)
        self.start_runner()
        with Client.open(self.state, start=False) as client:
            self.job = client.submit(plan)
        played = Played(self.case, reached=False)
        try:
            self._hurt(played)
            until("the end of the job", self.over, deadline_s=DEADLINE_S)
        except AssertionError as error:
            played.broken.append(f"{error}; {self._where()}")
            return played
        with self._client() as client:
            played.view = client.job(self.job)
        return played

    def _hurt(self, played: Played) -> None:
        """Wait for the moments, and do at each what belongs to it."""
        if len(self._moments) > 1:
            if not self._await(1):
                return
            self._cancel()
            self._go(1)
        if not self._await(0):
            return
        played.reached = True
        if self.case.cancel == self.case.moment:
            self._cancel()
        after = acts.act(self)
        self._go(0)
        after()

    def _server(self, moment: Moment) -> Lab:
        return self.stage.labs[SOURCE if moment.at_source else TARGET]

    def _await(self, number: int) -> bool:
        """Whether the moment came before the job's end."""
        moment = self._moments[number]
        mark = self._folder / f"reached-{number}"

        def come() -> bool:
            place = moment.place and self._server(moment).chaos.reached.is_set()
            return bool(place) or mark.exists()

        until(f"the moment {moment}, or the end", lambda: come() or self.over())
        return come()

    def _go(self, number: int) -> None:
        (self._folder / f"go-{number}").touch()
        if self._moments[number].place:
            self._server(self._moments[number]).chaos.release()

    def _cancel(self) -> None:
        with suppress(KenshoError), Client.open(self.state, start=False) as client:
            client.cancel(self.job)

    # ------------------------------------------------------------------------------ the operator
    def _client(self) -> Client:
        """A client; starts a runner where none answers, as every command does."""
        end = time.monotonic() + DEADLINE_S
        while True:
            try:
                return Client.open(self.state, start=False)
            except (RunnerAbsentError, OSError):
                with suppress(RunnerAbsentError, StateDirError, JournalError):
                    self.start_runner()
                if time.monotonic() > end:
                    raise

    def _attend(self) -> None:
        """Start a runner where none is, and answer what is asked."""
        if not is_held(self.places.runner_lock):
            with suppress(RunnerAbsentError, StateDirError):
                self.start_runner()
        for name, asked in self._rows(
            "SELECT id, asked FROM question WHERE job = ? AND state = 'open'"
        ):
            question = json.loads(asked)
            choices = question.get("choices") or [question.get("default") or "yes"]
            with suppress(KenshoError, OSError), Client.open(self.state, start=False) as client:
                client.answer(self.job, name, choices[0], by="operator")

    def _where(self) -> str:
        """What is known of a job that does not end."""
        lines = [f"{n} e{e} {k} {s} {d[:200]}" for n, e, k, s, d in self._rows(
            "SELECT n, epoch, kind, step, data FROM event WHERE job = ? ORDER BY n")]  # fmt: skip
        log = self.places.job_log(self.job)
        said = log.read_text()[-2000:] if log.exists() else ""
        return "\n".join([*lines[-12:], said])

    def _end(self) -> None:
        """Stop all that was started."""
        for tracer in self.tracers:
            tracer.terminate()
            tracer.wait()
            if tracer.stderr:
                tracer.stderr.close()
        self.tracers.clear()
        with suppress(KenshoError, OSError), Client.open(self.state, start=False) as client:
            client.stop(workers=True)

    def processes(self) -> dict[int, str]:
        """What still runs on the state directory; only for `verdict`, which wants none."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with suppress(OSError):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if f"--state {self.state} " in f"{line} " and not acts.gone(int(entry.name)):
                    found[int(entry.name)] = line
        return found

    def end_processes(self) -> None:
        """Kill what `processes` found."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def play(stage: Stage, which: Case, home: Path) -> Played:
    """Run the case in a directory of its own below ``home``, which is removed where all holds."""
    place = home / f"seed-{which.seed}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    played = Play(stage, which, place).run()
    if not played.broken:
        shutil.rmtree(place)
    return played
