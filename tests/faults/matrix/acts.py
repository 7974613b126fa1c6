"""What each fault does while the job is held at its moment, and what an operator does after it."""

import os
import resource
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from tests.desk import until
from tests.faults.chaos import Mishap, Rule
from tests.faults.matrix.case import MIB, NETWORK, Case, Fault
from tests.faults.runs import fill

if TYPE_CHECKING:
    from tests.faults.matrix.play import Play

After = Callable[[], None]
_TRACED = frozenset(
    {Fault.STATE_NO_SPACE, Fault.STATE_EIO, Fault.RUNNER_EIO, Fault.SOURCE_EIO, Fault.PACKAGE_EIO}
)
_MOUNTED = {Fault.STATE_FULL: 48 * MIB, Fault.PACKAGE_FULL: 3 * MIB}


def impossible(fault: Fault) -> str:
    """Why the fault cannot be had on this machine; "" where it can."""
    if fault in _TRACED:
        return "" if shutil.which("strace") else "needs strace: apt-get install strace"
    if fault in _MOUNTED and os.geteuid() != 0:
        return "needs root, to mount a small file system"
    return ""


def rule(case: Case) -> Rule | None:
    """What the proxy does at the moment; None where the moment is no place of the network."""
    place = case.moment.place
    if place is None:
        return None
    if case.fault not in NETWORK:
        return Rule(Mishap.HOLD, place)
    dice = case.dice()
    return Rule(
        Mishap(case.fault),
        place,
        seconds=dice.choice([0.2, 1.0, 2.5]),
        rate=dice.choice([512, 8 << 10, 256 << 10]),
        times=dice.choice([1, 1, 2, 5]),
    )


@contextmanager
def mounted(fault: Fault, state: Path, out: Path) -> Iterator[None]:
    """A small file system in the place of one of the directories, where the fault wants one."""
    if fault not in _MOUNTED:
        yield
        return
    place = state if fault is Fault.STATE_FULL else out
    place.mkdir(parents=True, exist_ok=True)
    size = f"size={_MOUNTED[fault]},mode=0700"
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(place)],
            check=True, capture_output=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError) as error:
        raise Impossible(f"needs to mount a small file system ({error})") from error
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True, capture_output=True)


class Impossible(Exception):
    """The fault cannot be had on this machine; says why."""


def act(play: "Play") -> After:
    """Do it, while the job is held; gives what is to be done once the job goes on."""
    fault, dice = play.case.fault, play.case.dice()
    match fault:
        case Fault.KILL_WORKER:
            kill(play.worker())
        case Fault.KILL_RUNNER:
            kill(play.runner())
        case Fault.KILL_BOTH:
            kill(play.runner())
            kill(play.worker())
        case Fault.SECOND_OWNER:
            return _second_owner(play, dice)
        case Fault.POWER:
            _power(play, dice)
        case Fault.KILL_SERVER:
            lab = play.lab(dice)
            lab.kill()
            return _later(dice.choice([0.0, 0.5, 3.0]), lab.start)
        case Fault.EXPIRE:
            play.lab(dice).tell(expire_sessions=True)
        case Fault.STATE_FULL:
            return _later(dice.choice([0.3, 2.0, 4.0]), _filled(play, dice))
        case Fault.STATE_NO_SPACE:
            _inject(play, play.worker(), "ENOSPC", play.journal_files(), dice)
        case Fault.STATE_EIO:
            _inject(play, play.worker(), "EIO", play.journal_files(), dice)
        case Fault.RUNNER_EIO:
            _inject(play, play.runner(), "EIO", play.journal_files(), dice)
        case Fault.SOURCE_EIO:
            _inject(play, play.worker(), "EIO", [play.stage.package], dice, calls="read,pread64")
        case Fault.PACKAGE_EIO:
            ends = [".ova.partial", ".ova.partial.json", ".partial.json"]
            files = [play.out, *(play.out / f"{play.name}{end}" for end in ends)]
            folder = play.out / f"{play.name}.partial"
            files += [folder / f"{play.name}-disk{n}.vmdk.partial" for n in (1, 2)]
            _inject(play, play.worker(), dice.choice(["EIO", "ENOSPC"]), files, dice)
        case Fault.FILE_LIMIT:
            limit = dice.choice([0, 64 << 10, MIB, 3 * MIB])
            resource.prlimit(play.worker(), resource.RLIMIT_FSIZE, (limit, limit))
        case Fault.TARGET_FULL:
            code = dice.choice(["VDI_IO_ERROR", "SR_FULL"])
            play.target.tell(modes={"full_after": dice.randrange(2 * MIB), "full_code": code})
        case Fault.TARGET_BUSY:
            play.target.tell(modes={"vdi_in_use_s": dice.choice([0.5, 2.0])})
        case Fault.PACKAGE_FULL:
            pass  # its directory is the fault
        case _:
            assert fault in NETWORK, fault
    return lambda: None


def kill(pid: int) -> None:
    """SIGKILL, and wait until the process is gone."""
    os.kill(pid, signal.SIGKILL)
    until(f"the end of process {pid}", lambda: gone(pid))


def gone(pid: int) -> bool:
    """Whether the process has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def _later(seconds: float, do: Callable[[], object]) -> After:
    def after() -> None:
        threading.Event().wait(seconds)  # how long the trouble lasts
        do()

    return after


def _filled(play: "Play", dice: Random) -> Callable[[], None]:
    """Leave no byte free, or no more than the ballast; gives what makes room again."""
    if dice.random() < 0.5:
        play.places.ballast.unlink(missing_ok=True)
    filler = play.state / "filler"
    fill(filler)
    return filler.unlink


def _second_owner(play: "Play", dice: Random) -> After:
    """The first worker sleeps so long that another one is given the job; then it wakes up."""
    older = play.worker()
    os.kill(older, signal.SIGSTOP)
    kill(play.runner())
    play.places.job_lock(play.job).unlink()
    play.start_runner()
    epoch = play.epoch()
    # Asleep in the middle of writing it holds the journal's lock: nobody else gets the job then.
    with suppress(AssertionError):
        until(
            "a second worker's claim",
            lambda: play.ended() or play.epoch() > epoch,
            deadline_s=25,
        )
    late = dice.random() < 0.5

    def after() -> None:
        if late:
            # What it holds open, the second one has to wait for.
            with suppress(AssertionError):
                until("the second worker's end", play.over, deadline_s=12)
        os.kill(older, signal.SIGCONT)
        until(f"the end of the first worker, {older}", lambda: gone(older))

    return after


def _power(play: "Play", dice: Random) -> None:
    """All processes end at once; what is left is what stood in the state directory."""
    pids = [play.runner(), play.worker()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    copy = play.state.with_name("copy")
    shutil.copytree(play.state, copy, ignore=shutil.ignore_patterns("*.sock"))
    for pid in pids:
        kill(pid)
    shutil.rmtree(play.state)
    copy.rename(play.state)
    # What a disk had of a frame that was being written.
    with (play.state / "journal.db-wal").open("ab") as log:
        log.write(dice.randbytes(dice.choice([0, 11, 4096, 9000])))


def _inject(
    play: "Play", pid: int, error: str, files: list[Path], dice: Random, calls: str = ""
) -> None:
    """From some call on those files on, or at that one alone, the process gets the error."""
    calls = calls or dice.choice(
        ["write,pwrite64", "fsync,fdatasync", "write,pwrite64,fsync,fdatasync"]
    )
    when = f"{dice.randrange(1, 9)}{dice.choice(['', '+'])}"
    command = ["strace", "-f", "-o", str(play.home / "strace"), "-p", str(pid)]
    command += ["-e", f"trace={calls}", "-e", f"inject={calls}:error={error}:when={when}"]
    for file in files:
        command += ["-P", str(file)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    play.tracers.append(tracer)
    assert tracer.stderr is not None
    for line in tracer.stderr:
        if "attached" in line:
            return
        if "ptrace" in line or "denied" in line:
            raise Impossible(line.strip())
    raise Impossible("strace ended before it began")
