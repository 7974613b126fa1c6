"""What one seed stands for: a verb, a fault, and the moment it comes at. A pure function."""

from dataclasses import dataclass
from enum import StrEnum
from random import Random

from tests.faults.chaos import Place, Way

MIB = 1 << 20


class Verb(StrEnum):
    """What is moved from where to where."""

    IMPORT = "import"  # package → XenServer
    EXPORT = "export"  # XenServer → package
    MIGRATION = "migration"  # XenServer → another XenServer


class Fault(StrEnum):
    """What goes wrong."""

    KILL_WORKER = "kill-worker"  # kill -9
    KILL_RUNNER = "kill-runner"  # kill -9 of the supervisor; the operator starts another
    KILL_BOTH = "kill-both"
    SECOND_OWNER = "second-owner"  # SIGSTOP, the lock's file removed, a second worker, SIGCONT
    POWER = "power"  # the state directory as it is that moment is all that is left
    KILL_SERVER = "kill-server"  # kill -9 of the server, started again a little later
    EXPIRE = "expire"  # the server forgets all sessions
    CUT = "cut"
    RESET = "reset"
    HALF = "half"
    TRICKLE = "trickle"
    DELAY = "delay"
    STALL = "stall"
    DOWN = "down"
    STATE_FULL = "state-full"  # a real file system of a few MiB, filled for a while
    STATE_NO_SPACE = "state-no-space"  # ENOSPC from some write of the journal on
    STATE_EIO = "state-eio"  # EIO from some write or sync of the journal
    RUNNER_EIO = "runner-eio"  # the same, in the supervisor
    FILE_LIMIT = "file-limit"  # EFBIG: the worker may make no file larger than that
    TARGET_FULL = "target-full"  # the server's storage
    TARGET_BUSY = "target-busy"  # the server needs a while to let go of a disk
    SOURCE_EIO = "source-eio"  # reading the package
    PACKAGE_FULL = "package-full"  # a real file system of less than the package needs
    PACKAGE_EIO = "package-eio"


NETWORK = frozenset(
    {Fault.CUT, Fault.RESET, Fault.HALF, Fault.TRICKLE, Fault.DELAY, Fault.STALL, Fault.DOWN}
)
_ONLY = {
    Fault.TARGET_FULL: {Verb.IMPORT, Verb.MIGRATION},
    Fault.TARGET_BUSY: {Verb.IMPORT, Verb.MIGRATION},
    Fault.SOURCE_EIO: {Verb.IMPORT},
    Fault.PACKAGE_FULL: {Verb.EXPORT},
    Fault.PACKAGE_EIO: {Verb.EXPORT},
}
_STEPS = {
    Verb.IMPORT: ("source", "check", "capture", "deploy", "disk", "disk", "environment", "commit"),
    Verb.EXPORT: ("source", "check", "capture", "deploy", "disk", "disk", "commit"),
    Verb.MIGRATION: ("source", "check", "capture", "deploy", "disk", "disk", "commit"),
}
# What a calm run has, roughly; a place beyond it is one that is never come to.
_BYTES = int(6.1 * MIB)
_TURNS = {Verb.IMPORT: 105, Verb.EXPORT: 46, Verb.MIGRATION: 100}


@dataclass(frozen=True)
class Moment:
    """When: at a step's edge, or at a place of the network.

    Attributes:
        edge: ``begun`` (journaled, no effect yet), ``done`` (the effect is there, and not
            journaled), ``undone`` (likewise, of taking it back); "" for a place.
        step: the step, ``disk`` for any disk; nth: of those with that name, from 0.
        place: of the network; at_source: of the source's server and not the target's.
    """

    edge: str = ""
    step: str = ""
    nth: int = 0
    place: Place | None = None
    at_source: bool = False

    def __str__(self) -> str:
        if self.place is None:
            return f"{self.edge}:{self.step}" + (f"[{self.nth}]" if self.nth else "")
        what = "turn" if self.place.turns else "byte"
        side = "source" if self.at_source else "target"
        return f"{what} {self.place.nth} {self.place.way} at the {side}"


# Something stands on the target then, and is not in service yet.
MIDDLE = Moment("begun", "disk")


@dataclass(frozen=True)
class Case:
    """One run of the matrix.

    Attributes:
        cancel: when the operator cancels; None: never.
        snapshot: whether the source is captured by a snapshot.
        folder: whether a package is written as a folder, and not as an archive.
    """

    seed: int
    verb: Verb
    fault: Fault
    moment: Moment
    cancel: Moment | None = None
    snapshot: bool = False
    folder: bool = False

    def __str__(self) -> str:
        more = f", cancelled at {self.cancel}" if self.cancel else ""
        how = " of a snapshot" if self.snapshot else ""
        how += " to a folder" if self.folder else ""
        return f"{self.verb}{how}, {self.fault} at {self.moment}{more}"

    def dice(self) -> Random:
        """For whatever else is left to chance; the same for the same seed."""
        return Random(f"act {self.seed}")


def faults_of(verb: Verb) -> list[Fault]:
    """The faults that can befall it."""
    return [fault for fault in Fault if verb in _ONLY.get(fault, set(Verb))]


def case(seed: int) -> Case:
    """What the seed stands for. Verbs and faults go round, so that any range has all of them."""
    dice = Random(f"case {seed}")
    verb = list(Verb)[seed % 3]
    faults = faults_of(verb)
    fault = faults[(seed // 3) * 5 % len(faults)]
    cancel = None
    if fault in NETWORK:
        moment = _place(dice, verb)
    elif dice.random() < 0.15:
        # While it is taken back.
        edge, step = dice.choice([("begun", "cleanup"), ("undone", "deploy"), ("done", "cleanup")])
        moment, cancel = Moment(edge, step), MIDDLE
    elif dice.random() < 0.4:
        moment = _place(dice, verb)
    else:
        step = dice.choice(_STEPS[verb])
        nth = dice.randrange(2) if step == "disk" else 0
        moment = Moment(dice.choice(["begun", "done"]), step, nth)
    if cancel is None and dice.random() < 0.2:
        cancel = moment
    snapshot = verb is not Verb.IMPORT and dice.random() < 0.4
    folder = verb is Verb.EXPORT and dice.random() < 0.3
    return Case(seed, verb, fault, moment, cancel, snapshot, folder)


def _place(dice: Random, verb: Verb) -> Moment:
    at_source = verb is Verb.EXPORT or (verb is Verb.MIGRATION and dice.random() < 0.4)
    bulk = Way.DOWN if at_source else Way.UP
    if dice.random() < 0.45:
        place = Place(bulk, dice.randrange(_BYTES))
    else:
        turns = _TURNS[Verb.EXPORT if at_source else verb]
        place = Place(dice.choice(list(Way)), dice.randrange(turns), turns=True)
    return Moment(place=place, at_source=at_source)
