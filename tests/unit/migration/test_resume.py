"""Jobs that die in the middle of a disk: where they go on, and what the log says of it."""

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from kensho_tui.connections import Connection, ConnectionBook
from kensho_tui.lab.xen.diskfile import OpenDisk
from kensho_tui.migration.draft import Draft
from kensho_tui.migration.plan import Plan
from kensho_tui.migration.run import run_job
from tests.unit.migration.conftest import World
from tests.unit.migration.memory import KilledError, MemoryContext
from tests.unit.migration.packages import MIB, sha256, shop
from tests.unit.migration.test_run import plan_of
from tests.unit.migration.test_run_package import import_plan, on_lab, raw_of, start_of

WEB = 12 * MIB  # its data: 64 KiB at its front, in its middle, and at its end


@pytest.fixture
def careful(world: World) -> World:
    """The lab ``new`` is sent disks in the smallest of segments."""
    lab = world.new
    segments = {"segment_bytes": "512", "segment_s": "0"}
    ConnectionBook().put(
        Connection("new", "xenserver", lab.url, lab.username, pin=lab.pin, settings=segments)
    )
    return world


@pytest.fixture
def arrived(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """What arrives on the labs' disks: file, offset, length."""
    found: list[tuple[str, int, int]] = []
    pwrite = OpenDisk.pwrite

    def seen(disk: OpenDisk, offset: int, data: bytes) -> None:
        found.append((str(disk._file.name), offset, len(data)))
        pwrite(disk, offset, data)

    monkeypatch.setattr(OpenDisk, "pwrite", seen)
    return found


def die_at(kind: str, times: int, disk: str) -> Callable[[str, str], None]:
    """Kills when that is about to be written of the disk for the so-manieth time."""
    left = [times]

    def on(now: str, step: str) -> None:
        if now == kind and step.endswith(disk):
            left[0] -= 1
            if not left[0]:
                raise KilledError

    return on


def twice(arrived: list[tuple[str, int, int]]) -> int:
    """Bytes that arrived more than once at their place."""
    seen: set[tuple[str, int]] = set()
    count = 0
    for file, offset, length in arrived:
        for at in range(offset, offset + length, 512):
            count += 512 if (file, at) in seen else 0
            seen.add((file, at))
    return count


def whole(world: World, folder: Path) -> None:
    """Assert that both disks of the package hold on the lab what they should."""
    for name in ("web", "db"):
        raw = folder / f"{name}.raw"
        assert start_of(on_lab(world, name, "0"), raw.stat().st_size) == sha256(raw)


def test_a_disk_goes_on_where_the_server_had_acknowledged_it(
    careful: World, tmp_path: Path, arrived: list[tuple[str, int, int]]
) -> None:
    plan, secrets = import_plan(careful, shop(tmp_path))
    first = MemoryContext(secrets)
    first.on = die_at("resume", 3, "d1")
    with pytest.raises(KilledError):
        run_job(first, plan)
    points = [each["token"] for each in first.events("resume") if each["step"] == "disk:d1"]
    assert [each["point"]["position"] for each in points] == [2 * MIB, 8 * MIB]
    assert all(len(json.dumps(each)) < 500 for each in points)
    second = MemoryContext(secrets, first.journal)
    outcome = run_job(second, plan)
    assert outcome.state == "succeeded", outcome.error
    assert "goes on at 8 MiB of 12 MiB" in second.notes()
    assert "gives nothing back" in second.notes()
    whole(careful, tmp_path)
    # The segment whose point was about to be journaled, and nothing else.
    assert twice(arrived) <= 2 * 65536
    (result,) = [each for each in second.events("done") if each["step"] == "disk:d1"]
    assert result["result"]["capacity"] == WEB


def test_a_connection_that_breaks_goes_on_in_the_same_process(
    careful: World,
    tmp_path: Path,
    arrived: list[tuple[str, int, int]],
) -> None:
    plan, secrets = import_plan(careful, shop(tmp_path))
    run = plan.spec.run.model_copy(update={"disks_at_once": 1})
    plan = plan.model_copy(update={"spec": plan.spec.model_copy(update={"run": run})})
    context = MemoryContext(secrets)

    cuts: list[str] = []

    def cut(kind: str, step: str) -> None:
        # After the second point every connection breaks; once it is tried again, none does.
        if kind == "resume":
            cuts.append(step)
            if len(cuts) == 2:
                careful.new.control.set(cut_after=1000)
        elif kind == "note":
            careful.new.control.set(cut_after=None)

    context.on = cut
    outcome = run_job(context, plan)
    assert outcome.state == "succeeded", outcome.error
    assert "trying again" in context.notes()
    assert "goes on at" in context.notes()
    assert "starts again" not in context.notes()
    whole(careful, tmp_path)
    assert twice(arrived) == 0


def change(journal: list[str], what: str) -> None:
    """Have the last resume point of the disk that died speak of something else."""
    lines = [json.loads(each) for each in journal]
    at = max(
        n
        for n, line in enumerate(lines)
        if line["kind"] == "resume" and line["step"].endswith("d1")
    )
    line = json.loads(journal[at])
    match what:
        case "identity":
            line["token"]["identity"] = "another"
        case "ways":
            line["token"]["target"] = ["vhd", "seek"]
        case "words":
            line["token"] = {"of": "a later version"}
        case _:
            line["token"]["point"]["token"]["vdi"] = "another"
    journal[at] = json.dumps(line)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("identity", "the source is not what it was"),
        ("ways", "the target does not take it the same way as before"),
        ("words", "another version has noted how far it was"),
        ("token", "the disk on the server is another one now"),
    ],
)
def test_a_disk_that_cannot_go_on_starts_again_and_says_why(
    careful: World, tmp_path: Path, what: str, said: str
) -> None:
    plan, secrets = import_plan(careful, shop(tmp_path))
    first = MemoryContext(secrets)
    first.on = die_at("resume", 2, "d1")
    with pytest.raises(KilledError):
        run_job(first, plan)
    change(first.journal, what)
    second = MemoryContext(secrets, first.journal)
    outcome = run_job(second, plan)
    assert outcome.state == "succeeded", outcome.error
    assert f"starts again from its beginning: {said}" in second.notes()
    whole(careful, tmp_path)


def test_a_disk_of_which_nothing_was_acknowledged_says_so(world: World, tmp_path: Path) -> None:
    plan, secrets = import_plan(world, shop(tmp_path))
    first = MemoryContext(secrets)
    first.on = die_at("done", 1, "d1")
    with pytest.raises(KilledError):
        run_job(first, plan)
    second = MemoryContext(secrets, first.journal)
    assert run_job(second, plan).state == "succeeded"
    assert "had acknowledged no part of it yet" in second.notes()
    whole(world, tmp_path)


def test_a_disk_of_a_server_starts_again_because_it_is_read_from_its_beginning(
    careful: World,
) -> None:
    plan = plan_of(careful, "legacy-app")
    first = MemoryContext(careful.secrets)
    died: list[str] = []

    def on(kind: str, step: str) -> None:
        if kind == "done" and step.startswith("disk:"):
            died.append(step)
            raise KilledError

    first.on = on
    with pytest.raises(KilledError):
        run_job(first, plan)
    assert first.events("resume") == []
    second = MemoryContext(careful.secrets, first.journal)
    assert run_job(second, plan).state == "succeeded"
    assert "starts again from its beginning: its source is read from the beginning" in (
        second.notes()
    )


def spoil(path: Path, member: str) -> None:
    """Change a byte of the member that no reader of disks looks at, and the manifest covers."""
    with tarfile.open(path) as archive:
        at = archive.getmember(member).offset_data + 100 * 512
    with path.open("r+b") as file:
        file.seek(at)
        assert file.read(512) == bytes(512)
        file.seek(at)
        file.write(b"x")


def test_a_damaged_package_is_found_out_after_going_on_too(careful: World, tmp_path: Path) -> None:
    before = careful.state(careful.new)
    path = shop(tmp_path)
    spoil(path, "web.vmdk")
    plan, secrets = import_plan(careful, path)
    first = MemoryContext(secrets)
    first.on = die_at("resume", 3, "d1")
    with pytest.raises(KilledError):
        run_job(first, plan)
    second = MemoryContext(secrets, first.journal)
    outcome = run_job(second, plan)
    assert outcome.state == "failed"
    assert "goes on at" in second.notes()
    assert "web.vmdk" in str(outcome.error)
    assert careful.state(careful.new) == before


# --------------------------------------------------------------------------- package to package
def copy_plan(world: World, path: Path, output: Path, format_: str) -> Plan:
    draft = Draft()
    with world.sessions() as sessions:
        draft.load_package(sessions, str(path))
        draft.load_target_package(sessions, str(output), "ova" if format_ == "ova" else "ovf")
        draft.check(sessions)
    return draft.plan()


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages are synced after every window."""
    from backends.package.settings import PackageSettings

    field = PackageSettings.model_fields["resume_bytes"]
    monkeypatch.setattr(field, "default", 512)
    PackageSettings.model_rebuild(force=True)


def partial_of(output: Path, format_: str) -> Path:
    """The file that the first disk is written to."""
    folder = output.with_name(output.name + ".partial")
    return folder if format_ == "ova" else folder / "copy-disk1.vmdk.partial"


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("tampered", [False, True])
@pytest.mark.parametrize("format_", ["ova", "ovf"])
def test_a_package_goes_on_in_the_middle_of_a_disk_unless_somebody_touched_it(
    world: World, tmp_path: Path, format_: str, tampered: bool
) -> None:
    output = tmp_path / ("copy.ova" if format_ == "ova" else "copy")
    plan = copy_plan(world, shop(tmp_path), output, format_)
    first = MemoryContext({})
    first.on = die_at("resume", 3, "d1")
    with pytest.raises(KilledError):
        run_job(first, plan)
    if tampered:
        partial = partial_of(output, format_)
        with partial.open("r+b") as file:
            file.seek(-70000, 2)
            byte = file.read(1)
            file.seek(-70000, 2)
            file.write(bytes([byte[0] ^ 1]))
    second = MemoryContext({}, first.journal)
    outcome = run_job(second, plan)
    assert outcome.state == "succeeded", outcome.error
    if tampered:
        assert "starts again from its beginning: what is there of the disk is not" in (
            second.notes()
        )
    else:
        assert "goes on at 8 MiB of 12 MiB" in second.notes()
        assert "read back and is the same" in second.notes()
    images = disks_of(output, format_, tmp_path)
    assert [raw_of(each) for each in images] == [
        sha256(tmp_path / f"{name}.raw") for name in ("web", "db")
    ]


def disks_of(output: Path, format_: str, folder: Path) -> list[Path]:
    """The disks of the package as files; by Python's own tarfile where it is an archive."""
    if format_ == "ova":
        with tarfile.open(output) as archive:
            archive.extractall(folder / "out", filter="data")
        output = folder / "out"
    left = [each.name for each in output.iterdir() if each.name.endswith(".partial")]
    assert left == []
    return sorted(output.glob("*.vmdk"))
