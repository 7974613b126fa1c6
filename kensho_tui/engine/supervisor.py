"""The supervisor: one process per user and state directory, outside every terminal.

``python -m kensho_tui.engine.supervisor --state DIR [--detach]``. It starts a worker process per job,
hands on what clients ask and workers say, and keeps secrets in memory until their job has ended. It
holds nothing that cannot be lost: after a crash the next one takes stock of journal and locks.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from kensho_tui import __version__
from kensho_tui.engine import service, views, wire
from kensho_tui.engine.client import UnknownJobError, unknown_job
from kensho_tui.engine.crew import Crew
from kensho_tui.engine.detach import RunnerHeldError, detached, off_the_terminal
from kensho_tui.engine.events import EventKind, JobState, JobSummary, Json, Reason, RunnerStatus
from kensho_tui.engine.journal import Journal, stamp, state_disk_full, utc_now
from kensho_tui.engine.limits import Limit, in_force
from kensho_tui.engine.places import FileLock, Places, boot_id, log
from kensho_tui.engine.retention import Archivist
from kensho_tui.engine.settings import SettingsFile
from kensho_tui.engine.slots import shares
from kensho_tui.engine.watching import Watcher
from kensho_tui.errors import KenshoError
from kensho_tui.migration.context import COMMIT, QuestionKind, Sample, StepState
from kensho_tui.migration.leftovers import CANCELLED_LATE, EJECT
from kensho_tui.migration.times import Limits
from kensho_tui.ovf.properties import problem

# Between two looks at what nobody tells us: workers that an earlier supervisor started.
TEND_INTERVAL_S = 1.0
# Workers end by themselves after their own grace; this is for those that cannot.
STOP_WAIT_S = 20.0

Message = dict[str, Json]


def _log(text: str) -> None:
    """Into runner.log, which standard error is when detached."""
    log(f"{stamp(utc_now())} {text}")


class Supervisor:
    """Serves the socket and tends the crew, in one event loop."""

    def __init__(self, places: Places, journal: Journal, run: str, settings: SettingsFile) -> None:
        self._places = places
        self._journal = journal
        self._since = stamp(utc_now())
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._stop_workers = False
        self._trouble = ""
        self._loop = asyncio.get_running_loop()
        journal.on_full = self._disk_is_full
        self._settings = settings
        self._crew = Crew(places, journal, run, self._poke_from_thread, settings=settings.now)
        self._archivist = Archivist(places, settings.now, _log)
        self._shares: dict[str, int | None] = {}
        self._secrets: dict[str, dict[str, str]] = {}
        self._samples: dict[str, dict[str, Sample]] = {}
        self._links: dict[str, asyncio.StreamWriter] = {}
        self._watchers: set[Watcher] = set()
        self._do: dict[str, Callable[[Message], Json]] = {
            "submit": self._submit,
            "jobs": self._jobs,
            "job": self._job,
            "cancel": self._cancel,
            "retry": self._retry,
            "cleanup": self._cleanup,
            "pause": self._pause_job,
            "resume": self._resume_job,
            "limit": self._limit,
            "priority": self._priority,
            "answer": self._answer,
            "secret": self._secret,
            "status": self._status,
            "stop": self._stop,
        }

    # -------------------------------------------------------------------------------------- life
    async def serve(self, socket_path: Path, lock: FileLock, ready: Callable[[], None]) -> None:
        """Serve until told to stop, or until the state directory is taken away."""
        socket_path.unlink(missing_ok=True)  # a dead one's; we hold the lock
        server = await asyncio.start_unix_server(
            self._serve_one, os.fspath(socket_path), limit=wire.LINE_LIMIT
        )
        socket_path.chmod(0o600)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stopping.set)
        ready()
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                due = self._tend()
                await self._pause(min(TEND_INTERVAL_S, due or TEND_INTERVAL_S))
                if not lock.stands():
                    break
            server.close()
            if self._stop_workers:
                await self._end_workers()
        finally:
            server.close()
            self._archivist.stop()
            if lock.stands():
                socket_path.unlink(missing_ok=True)
                if not self._crew.any_alive():
                    self._crew.ballast.release()
            # Before the connections close: who waits for our end may start the next one.
            lock.release()

    def _tend(self) -> float | None:
        """Tend the crew; a disk that is full for a while ends no runner."""
        try:
            due = self._crew.tend()
            self._divide()
            self._grown()
            self._archivist.tend()
        except (KenshoError, OSError) as error:
            if str(error) != self._trouble:
                _log(str(error))
            self._trouble = str(error)
            return None
        self._trouble = ""
        return due

    def _divide(self) -> None:
        """Divide the limit for all jobs among those that run, and tell them where it has changed."""
        limits: dict[str, int | None] = dict(self._journal.rows("SELECT id, rate_limit FROM job"))
        running = {job: limits[job] for job in self._crew.running()}
        limit = self._settings.now().bandwidth.at(utc_now())
        before, self._shares = self._shares, shares(limit, running)
        for job, share in self._shares.items():
            if share != before.get(job):
                self._tell(job, {"share": share})

    def _disk_is_full(self) -> bool:
        """Room for what must be written; no worker is started until it stands again."""
        self._crew.ballast.release()
        return True

    def _need_room(self) -> None:
        """Refuse what would begin new work on a full state disk."""
        if not self._crew.ballast.keep():
            raise state_disk_full(self._places.state, self._crew.ballast.needed())

    async def _pause(self, seconds: float) -> None:
        waits = [asyncio.ensure_future(each.wait()) for each in (self._wake, self._stopping)]
        _, pending = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for each in pending:
            each.cancel()

    async def _end_workers(self) -> None:
        self._crew.signal(signal.SIGTERM)
        end = time.monotonic() + STOP_WAIT_S
        while self._crew.any_alive():
            if time.monotonic() > end:
                self._crew.signal(signal.SIGKILL)
                end += STOP_WAIT_S
            await asyncio.sleep(0.05)

    def _poke_from_thread(self, job: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended before the worker
            self._loop.call_soon_threadsafe(self._wake.set)

    def _grown(self) -> None:
        """The journal has grown, maybe: watchers look; what ended is forgotten."""
        for watcher in self._watchers:
            watcher.wake()
        for job in [*self._secrets]:
            if self._is_over(job):
                del self._secrets[job]

    def _is_over(self, job: str) -> bool:
        rows = self._journal.rows("SELECT state FROM job WHERE id = ?", (job,))
        return not rows or JobState(rows[0][0]).ended  # none: archived

    def _state_of(self, job: str) -> str:
        rows = self._journal.rows("SELECT state FROM job WHERE id = ?", (job,))
        if not rows:
            kept = self._journal.rows("SELECT file FROM archived WHERE job = ?", (job,))
            if kept:
                raise UnknownJobError(
                    "the job is archived",
                    subject=job,
                    remedy=f"See 'kensho journal show {kept[0][0]}'",
                )
            raise unknown_job(job, [*self._journal.heads()])
        return str(rows[0][0])

    # ---------------------------------------------------------------------------------- the socket
    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if wire.peer_uid(writer.get_extra_info("socket")) == os.getuid():
                await self._converse(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # it went away, or we end
        except (KenshoError, ValueError, KeyError, TypeError) as error:
            # It speaks something else: that connection ends, no more.
            _log(f"a connection was closed: {type(error).__name__}")
        finally:
            for job in [job for job, link in self._links.items() if link is writer]:
                del self._links[job]
                self._wake.set()
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        worker = ""
        while raw := await reader.readline():
            message = wire.parse(raw)
            word = message.get("do", "")
            if worker:
                self._from_worker(worker, message)
            elif word == "hello" and message.get("role") == "worker":
                worker = str(message["job"])
                self._reply(writer, message, self._meet(worker, message, writer))
            elif word == "hello":
                self._reply(writer, message, self._greeting())
            elif word == "watch":
                if message.get("job"):
                    self._state_or_refuse(writer, message)
                await self._watch(reader, writer, message)
                return
            else:
                self._handle(writer, message)
            await writer.drain()

    def _reply(self, writer: asyncio.StreamWriter, request: Message, content: Json) -> None:
        writer.write(wire.line({"id": request.get("id"), "ok": content}))

    def _refuse(self, writer: asyncio.StreamWriter, request: Message, error: KenshoError) -> None:
        kind = "unknown-job" if isinstance(error, UnknownJobError) else ""
        body = {**wire.error_to(error), "kind": kind}
        writer.write(wire.line({"id": request.get("id"), "error": body}))

    def _handle(self, writer: asyncio.StreamWriter, message: Message) -> None:
        word = message.get("do", "")
        try:
            if word not in self._do:
                raise wire.ProtocolError(f"the runner knows no '{word}'")
            content = self._do[word](message)
        except KenshoError as error:
            self._refuse(writer, message, error)
        except Exception as error:  # noqa: BLE001 - the boundary: one request's defect ends no job
            # Where, and not what it says: a request may hold a secret, and its error quote it.
            _log(f"{''.join(traceback.format_tb(error.__traceback__))}{type(error).__name__}")
            defect = KenshoError(
                "a defect of the runner's own", subject=word, remedy="See runner.log"
            )
            self._refuse(writer, message, defect)
        else:
            self._reply(writer, message, content)

    def _state_or_refuse(self, writer: asyncio.StreamWriter, message: Message) -> None:
        try:
            self._state_of(message["job"])
        except KenshoError as error:
            self._refuse(writer, message, error)
            raise wire.ProtocolError("refused") from error

    async def _watch(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: Message
    ) -> None:
        watcher = Watcher(self._journal, message.get("job"), message.get("after") or {})
        for job, samples in self._samples.items():
            if not self._is_over(job):
                for sample in samples.values():
                    watcher.sample(job, sample)
        self._reply(writer, message, {})
        self._watchers.add(watcher)
        tasks = [
            asyncio.ensure_future(watcher.send(writer)),
            asyncio.ensure_future(reader.read()),  # ends when the client goes
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._watchers.discard(watcher)
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, KenshoError):
                    _log(str(outcome))

    # ------------------------------------------------------------------------------------ workers
    def _meet(self, job: str, message: Message, writer: asyncio.StreamWriter) -> Json:
        """A worker's greeting: it brings what a supervisor before us gave it, and gets what we have."""
        state = self._state_of(job)
        known = self._secrets.setdefault(job, {})
        for name, value in message.get("secrets", {}).items():
            known.setdefault(name, value)
        self._links[job] = writer
        self._wake.set()  # for its share of the limit
        self._grown()
        return {
            **self._greeting(),
            "secrets": known,
            "cancel": state == JobState.CANCELLING,
            "look": True,
            "share": self._shares.get(job),
        }

    def _from_worker(self, job: str, message: Message) -> None:
        if "sample" in message:
            sample = wire.sample_from(message["sample"])
            self._samples.setdefault(job, {})[sample.step] = sample
            for watcher in self._watchers:
                watcher.sample(job, sample)
        else:
            self._grown()

    def _tell(self, job: str, message: Message) -> None:
        """To the job's worker, where it listens; what matters it finds in the journal or at hello."""
        if job in self._links:
            self._links[job].write(wire.line(message))

    # ----------------------------------------------------------------------------------- requests
    def _greeting(self) -> Json:
        return {"protocol": wire.PROTOCOL, "version": __version__, "pid": os.getpid()}

    def _submit(self, message: Message) -> Json:
        self._need_room()
        job = self._journal.submit(message["plan"], by=message.get("by", ""))
        self._begin(job, message)
        return job

    def _begin(self, job: str, message: Message) -> None:
        """Take the secrets that came with the request, and have the crew look at the job."""
        if message.get("secrets"):
            self._secrets.setdefault(job, {}).update(message["secrets"])
        self._grown()
        self._wake.set()

    def _retry(self, message: Message) -> Json:
        self._state_of(message["job"])
        self._need_room()
        job = self._journal.retry(message["job"], by=message.get("by", ""))
        self._begin(job, message)
        return job

    def _cleanup(self, message: Message) -> Json:
        job = message["job"]
        self._state_of(job)
        self._journal.reopen(job, by=message.get("by", ""))
        self._begin(job, message)
        return {}

    def _jobs(self, message: Message) -> Json:
        return [asdict(each) for each in self._summaries()]

    def _job(self, message: Message) -> Json:
        job = message["job"]
        self._state_of(job)
        view = views.view(self._journal, job, self._samples.get(job, {}))
        return wire.view_to(replace(view, summary=self._as_it_stands(view.summary)))

    def _summaries(self) -> list[JobSummary]:
        return [self._as_it_stands(each) for each in views.summaries(self._journal, self._samples)]

    def _as_it_stands(self, row: JobSummary) -> JobSummary:
        """What no journal says, because it changes with the hour and with every job that ends."""
        if row.state.ended:
            return row
        limit = self._limit_of(row)
        row = replace(row, limit=limit.rate, limit_by=limit.by)
        if row.state is not JobState.QUEUED:
            return row
        return replace(row, waits=self._crew.waits.get(row.id, ""))

    def _limit_of(self, row: JobSummary) -> Limit:
        """The limit that holds for the job now."""
        planned = self._crew.needs_of(row.id).bandwidth
        # What the operator said is asked for only where it makes a difference: he said "none".
        told = row.limit is not None or (
            planned != Limits()
            and bool(
                self._journal.rows(
                    "SELECT 1 FROM event WHERE job = ? AND kind = ? LIMIT 1",
                    (row.id, EventKind.LIMITED),
                )
            )
        )
        share = self._shares.get(row.id)
        return in_force(utc_now(), told=told, operator=row.limit, planned=planned, share=share)

    def _under_way(self, message: Message) -> tuple[str, JobState]:
        """The job of the message and its state. Raises KenshoError where it has ended."""
        job = str(message["job"])
        state = JobState(self._state_of(job))
        if state.ended:
            raise KenshoError(f"the job has ended already ({state})", subject=job)
        return job, state

    def _cancel(self, message: Message) -> Json:
        job, state = self._under_way(message)
        if self._crew.is_queued(job):
            self._journal.set_state(job, JobState.CANCELLED, leftovers=[], result=None)
        elif state is JobState.CANCELLING:
            # Sent again because the connection broke is not asked again.
            if not message.get("repeated"):
                self._tell(job, {"give_up": True})
        elif not self._end_waiting(job, message.get("by", "")):
            self._journal.set_state(job, JobState.CANCELLING)
            self._tell(job, {"cancel": True})
        self._grown()
        return {"stays": self._in_service(job)}

    def _in_service(self, job: str) -> bool:
        """Whether the machines of the job stand, so that nothing takes them back any more."""
        return bool(
            self._journal.rows(
                "SELECT 1 FROM step WHERE job = ? AND step = ? AND state = ?",
                (job, COMMIT, StepState.DONE),
            )
        )

    def _end_waiting(self, job: str, by: str) -> bool:
        """Where guests are waited for that read their settings, answer that; whether they were."""
        for name, asked in self._journal.rows(
            "SELECT id, asked FROM question WHERE job = ? AND state = 'open'", (job,)
        ):
            if wire.question_from(json.loads(asked)).kind is not QuestionKind.ENVIRONMENT:
                continue
            who = f"{by or 'the operator'}, who cancelled the job"
            if self._journal.answer(job, name, EJECT, by=who):
                told = f"cancelled{f' by {by}' if by else ''}: {CANCELLED_LATE}"
                note = {"message": told, "level": "warning", "machine": ""}
                self._journal.steer(job, EventKind.NOTE, note)
                self._tell(job, {"answered": name})
                return True
        return False

    def _pause_job(self, message: Message) -> Json:
        job, state = self._under_way(message)
        if state is JobState.CANCELLING:
            raise KenshoError("the job is being cancelled", subject=job)
        self._journal.pause(job, Reason.OPERATOR, by=message.get("by", ""))
        return self._steered(job)

    def _resume_job(self, message: Message) -> Json:
        job, state = self._under_way(message)
        queued = not self._crew.has_worker(job)
        by = message.get("by", "")
        if not self._journal.go_on(job, {Reason.OPERATOR}, by=by, queued=queued):
            ((reason, until),) = self._journal.rows(
                "SELECT reason, until FROM job WHERE id = ?", (job,)
            )
            if state is JobState.PAUSED and reason:
                raise KenshoError(
                    "the job goes on by itself" + (f" at {until}" if until else ""),
                    subject=job,
                    remedy="Cancel it and start it with other times to have it go on earlier",
                )
        return self._steered(job)

    def _limit(self, message: Message) -> Json:
        job, _ = self._under_way(message)
        limit = message["limit"]
        if limit is not None and not (isinstance(limit, int) and limit > 0):
            raise KenshoError("a limit is one byte a second or more", subject=job)
        data = {"limit": limit, "by": message.get("by", "")}
        self._journal.steer(job, EventKind.LIMITED, data)
        return self._steered(job)

    def _priority(self, message: Message) -> Json:
        job, _ = self._under_way(message)
        priority = message["priority"]
        if not (isinstance(priority, int) and -100 <= priority <= 100):
            raise KenshoError("a priority is a number from -100 to 100", subject=job)
        data = {"priority": priority, "by": message.get("by", "")}
        self._journal.steer(job, EventKind.PRIORITIZED, data)
        return self._steered(job)

    def _steered(self, job: str) -> Json:
        """The journal says something else of the job: its worker and the crew take notice."""
        self._tell(job, {"look": True})
        self._grown()
        self._wake.set()
        return {}

    def _answer(self, message: Message) -> Json:
        job, name, value = message["job"], message["question"], message["value"]
        self._state_of(job)
        found = self._journal.answer_to(job, name)
        if found is None or found[0] != "open":
            raise KenshoError("the question is not open", subject=f"{job}: {name}")
        question = wire.question_from(found[2])
        if question.choices and value not in question.choices:
            raise KenshoError(
                "that is none of the answers",
                subject=f"{job}: {name}",
                remedy=f"Answer one of: {', '.join(question.choices)}",
            )
        if question.kind is QuestionKind.SECRET:
            if not value:
                raise KenshoError("an empty secret is no answer", subject=f"{job}: {name}")
            if question.asked is not None and (why := problem(question.asked, value)):
                raise KenshoError(
                    why,
                    subject=f"{job}: {name}",
                    remedy="The question is open still: give an answer that is allowed",
                )
            # Kept first: when the worker dies on it, the next one need not ask.
            kept = question.secret or name.removeprefix("secret:")
            self._secrets.setdefault(job, {})[kept] = value
            self._tell(job, {"secret": name, "value": value})
        else:
            self._journal.answer(job, name, value, by=message.get("by", ""))
            self._tell(job, {"answered": name})
            self._grown()
        return {}

    def _secret(self, message: Message) -> Json:
        job, name = message["job"], message["name"]
        self._state_of(job)
        self._secrets.setdefault(job, {})[name] = message["value"]
        self._tell(job, {"secrets": {name: message["value"]}})
        return {}

    def _status(self, message: Message) -> Json:
        self._settings.now()
        wrong = self._settings.wrong
        return asdict(
            RunnerStatus(
                running=True,
                pid=os.getpid(),
                since=self._since,
                version=__version__,
                workers=self._crew.size,
                state_dir=str(self._places.state),
                full=not self._crew.ballast.keep(),
                free=self._crew.ballast.free(),
                needed=self._crew.ballast.needed(),
                settings_error=wire.error_to(wrong) if wrong else None,
            )
        )

    def _stop(self, message: Message) -> Json:
        self._stop_workers = bool(message.get("workers"))
        self._stopping.set()
        return {}


async def _serve(places: Places, lock: FileLock, run: str, ready: Callable[[], None]) -> None:
    settings = SettingsFile(log=_log)
    settings.load()  # what is wrong in it from the start is told to who starts us
    with Journal(places.journal) as journal:
        supervisor = Supervisor(places, journal, run, settings)
        await supervisor.serve(places.make_socket_place(), lock, ready)


def supervise(places: Places, run: str, ready: Callable[[], None]) -> None:
    """Be the supervisor of the state directory until told to stop.

    Raises: RunnerHeldError: it has one already. KenshoError: the directory cannot be used.
    """
    os.umask(0o077)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    places.make()
    with FileLock(places.runner_lock) as lock:
        if not lock.take():
            raise RunnerHeldError("a runner is running already", subject=str(places.state))
        lock.write({"pid": os.getpid(), "boot": boot_id(), "version": __version__})
        asyncio.run(_serve(places, lock, run, ready))


def main(argv: Sequence[str] | None = None) -> int:
    """Supervise as the command line says; gives the exit code."""
    parser = argparse.ArgumentParser(prog="kensho_tui.engine.supervisor", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="the state directory")
    parser.add_argument("--run", default="", help="module:function that workers run")
    parser.add_argument("--detach", action="store_true", help="leave the terminal")
    parser.add_argument("--log", action="store_true", help="stay, and write into runner.log")
    options = parser.parse_args(argv)
    places = Places(options.state.absolute())
    try:
        if options.detach:
            return detached(places, lambda ready: supervise(places, options.run, ready))
        if options.log:
            places.make()
            off_the_terminal(places)
        supervise(places, options.run, lambda: service.notify("READY=1"))
    except RunnerHeldError as error:
        log(str(error))
        return service.EXIT_HELD
    except (KenshoError, OSError) as error:
        log(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
