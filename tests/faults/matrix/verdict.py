"""Whether everything holds that has to, looked at from outside after the job has ended."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kensho_tui.engine.events import Event, EventKind, JobState, JobView
from kensho_tui.engine.journal import Journal
from kensho_tui.errors import KenshoError
from tests.contract.package import connect, read_disk
from tests.desk import until
from tests.faults.matrix.case import Verb
from tests.faults.matrix.stage import KINDS, SIZES, SOURCE, TARGET, Record, World

if TYPE_CHECKING:
    from tests.faults.matrix.play import Play, Played


@dataclass
class Before:
    """What stood where before the job."""

    labs: dict[str, World]
    package: str

    @classmethod
    def of(cls, play: "Play") -> "Before":
        labs = {name: lab.look() for name, lab in play.stage.labs.items()}
        return cls(labs, _file(play.stage.package))


def _file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def judge(play: "Play", before: Before, played: "Played") -> list[str]:
    """What does not hold; the run's processes have been stopped."""
    return [*_findings(play, before, played)]


def _findings(play: "Play", before: Before, played: "Played") -> Iterator[str]:
    running = _still_running(play)
    if running:
        yield f"still running: {running}"
        play.end_processes()
    yield from _journal(play)
    view = played.view
    if view is None:
        return
    state = view.summary.state
    if state is not JobState.SUCCEEDED and state is not JobState.CANCELLED:
        error = view.summary.error
        if not error and not view.leftovers:
            yield f"{state} without a sentence"
        if error and not error.get("what"):
            yield f"an empty sentence: {error}"
    if state is JobState.NEEDS_ATTENTION and not view.leftovers:
        yield "needs attention, and nothing is left over"
    for each in view.leftovers:
        if not each.get("action") or not each.get("reason"):
            yield f"a leftover without reason or action: {each}"
    if _file(play.stage.package) != before.package:
        yield "the source package has changed"
    worlds = {name: lab.look() for name, lab in play.stage.labs.items()}
    yield from _source(before.labs[SOURCE], worlds[SOURCE], view)
    if play.case.verb is Verb.EXPORT:
        yield from _untouched(before.labs[TARGET], worlds[TARGET], "the other server")
        yield from _package(play, view)
    else:
        yield from _target(play, before.labs[TARGET], worlds[TARGET], view)


def _still_running(play: "Play") -> dict[int, str]:
    try:
        until("the end of all processes", lambda: not play.processes(), deadline_s=30)
    except AssertionError:
        return play.processes()
    return {}


# --------------------------------------------------------------------------------------- journal
def _journal(play: "Play") -> Iterator[str]:
    with Journal(play.places.journal) as journal:
        for finding in journal.verify():
            yield f"the journal: {finding.message} ({finding.subject})"
        events = journal.events(play.job)
    yield from _epochs(events)


def _epochs(events: list[Event]) -> Iterator[str]:
    """One writer after the other: each epoch begins with one claim, and none comes back."""
    now = 0
    for each in events:
        if each.epoch == 0:
            continue  # the supervisor's own
        if each.epoch < now:
            yield f"event {each.n} of epoch {each.epoch} after one of epoch {now}"
        if (each.kind is EventKind.CLAIMED) != (each.epoch > now):
            yield f"event {each.n} ({each.kind}) of epoch {each.epoch} after epoch {now}"
        now = max(now, each.epoch)
    ends = [e.n for e in events if e.kind is EventKind.STATE and JobState(e.data["state"]).ended]
    if len(ends) > 1:
        yield f"the job ended {len(ends)} times"
    done: set[str] = set()
    for each in events:
        if each.kind is EventKind.STEP_DONE and each.step in {"deploy", "commit"}:
            done.add(each.step)
    if done == {"commit"}:
        yield "committed without a deployment"


# ----------------------------------------------------------------------------------- what stands
def _untouched(before: World, now: World, who: str) -> Iterator[str]:
    for kind in KINDS:
        was, is_ = before.records[kind], now.records[kind]
        for uuid in was.keys() | is_.keys():
            if was.get(uuid) != is_.get(uuid):
                yield f"{who}: {kind} {uuid} was {_short(was.get(uuid), is_.get(uuid))}"
    if before.disks != now.disks:
        yield f"{who}: bytes of a disk have changed"


def _short(was: Record | None, now: Record | None) -> str:
    if was is None or now is None:
        return "absent" if was is None else "there, and is gone"
    changed = [key for key in was.keys() | now.keys() if was.get(key) != now.get(key)]
    return str({key: (was.get(key), now.get(key)) for key in changed})


def _named(view: JobView) -> str:
    """Everything the job says is left over, as one text to look ids and keys up in."""
    return json.dumps(view.leftovers)


def _source(before: World, now: World, view: JobView) -> Iterator[str]:
    if view.leftovers and "capture" in _named(view):
        return  # it says that the capture's snapshots are left over
    yield from _untouched(before, now, "the source")


def _target(play: "Play", before: World, now: World, view: JobView) -> Iterator[str]:
    new = {kind: now.uuids(kind) - before.uuids(kind) for kind in KINDS}
    for kind in KINDS:
        for gone in before.uuids(kind) - now.uuids(kind):
            yield f"the target: {kind} {gone} is gone"
    for uuid, digest in before.disks.items():
        if now.disks.get(uuid, digest) != digest:
            yield f"the target: the disk {uuid} of something else has changed"
    if view.summary.state is JobState.SUCCEEDED or view.result:
        yield from _complete(play, new, now, view)
        return
    left = _named(view)
    for kind in ("VM", "VDI", "VM_appliance"):
        for uuid in new[kind]:
            if uuid not in left and f"kensho:{play.job}:" not in left:
                name = now.records[kind][uuid]["name_label"]
                marks = now.records[kind][uuid].get("other_config")
                yield f"{view.summary.state}, and {kind} {uuid} '{name}' stands: {marks}"
    if not any(new[kind] for kind in ("VM", "VDI", "VM_appliance")):
        for kind in ("VBD", "VIF"):
            if new[kind]:
                yield f"{view.summary.state}, and {kind} {new[kind]} hang in the air"


def _complete(play: "Play", new: dict[str, set[str]], now: World, view: JobView) -> Iterator[str]:
    left = _named(view)
    machines = view.result["machines"] if view.result else []
    said = {each["ref"]["id"] for each in machines}
    for uuid in new["VM"] - said:
        if uuid not in left:
            yield f"succeeded, and there is another machine {uuid}"
    if not said or said - new["VM"]:
        yield f"succeeded, and the machine is not there: {said}"
        return
    disks = {disk["id"] for each in machines for disk in each["disks"].values()}
    found = sorted(now.disks.get(uuid, "") for uuid in disks)
    wanted = sorted(
        hashlib.sha256(each.read_bytes().rstrip(b"\0")).hexdigest() for each in play.stage.origins
    )
    if found != wanted:
        yield "succeeded, and the disks are not equal to the source's"
    for uuid in new["VDI"] - disks:
        record = now.records["VDI"][uuid]
        settings = "kensho:environment" in record["other_config"]
        if not (settings and record["VBDs"]) and uuid not in left:
            yield f"succeeded, and there is another disk {uuid} '{record['name_label']}'"
    extra = len(new["VDI"] - disks)
    if extra != 1:
        yield f"succeeded, with {extra} CDs of settings"
    for uuid in said:
        record = now.records["VM"][uuid]
        if "HideFromXenCenter" in record["other_config"]:
            yield f"succeeded, and the machine {uuid} is hidden"
        if record["name_label"] != play.name:
            yield f"succeeded, and the machine is called '{record['name_label']}'"
    drives = [r for u, r in now.records["VBD"].items() if u in new["VBD"]]
    if len([d for d in drives if d["type"] == "Disk"]) != len(SIZES):
        yield f"succeeded, with {len(drives)} drives"
    if len(new["VIF"]) != 1:
        yield f"succeeded, with {len(new['VIF'])} adapters"
    if new["VM_appliance"]:
        yield "succeeded, and there is a group that nobody asked for"


def _package(play: "Play", view: JobView) -> Iterator[str]:
    final = play.out / (play.name if play.case.folder else f"{play.name}.ova")
    there = {path for path in play.out.iterdir() if path.name != "filler"}
    left = _named(view)
    if view.summary.state is JobState.SUCCEEDED or view.result:
        if final not in there:
            yield "succeeded, and the package is not there"
            return
        yield from _equal(play, final)
        there.discard(final)
    for path in there:
        if str(path) not in left and f"kensho:{play.job}:" not in left:
            yield f"{view.summary.state}, and {path.name} stands"


def _equal(play: "Play", final: Path) -> Iterator[str]:
    try:
        session = connect(final)
        disks = session.describe(()).appliance.disks
        session.close()
        found = sorted(_sha(read_disk(final, disk)) for disk in disks)
    except KenshoError as error:
        yield f"succeeded, and the package cannot be read: {error}"
        return
    if found != sorted(_sha(each.read_bytes()) for each in play.stage.origins):
        yield "succeeded, and the package's disks are not equal to the source's"


def _sha(content: bytes) -> str:
    return hashlib.sha256(content.rstrip(b"\0")).hexdigest()
