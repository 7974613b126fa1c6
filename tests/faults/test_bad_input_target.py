"""A target that fails: each failure said once and clearly, nothing half-made, and the runner goes on."""

import errno
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from kensho_tui.lab.xen.modes import Modes
from tests.small import MIB, package

from .room import Room, digest, holds, job_sentence, room


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with room(tmp_path_factory.mktemp("room")) as opened:
        yield opened


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package whose disk takes some pieces to send."""
    return package(tmp_path_factory.mktemp("big"), "big", [4 * MIB])[0]


@pytest.fixture(autouse=True)
def _as_before(here: Room) -> Iterator[None]:
    here.lab.control.reset()
    here.lab.control.clear_calls()
    here.remember()
    yield
    here.lab.control.reset()


def failed(here: Room, path: Path) -> str:
    """The sentence of an import that fails, and leaves the lab and the package as they were."""
    before = digest(path)
    done = here.imports(path)
    assert done.returncode == 5, done.stdout + done.stderr
    here.untouched()
    assert digest(path) == before
    return job_sentence(done)


def succeeded(here: Room, path: Path, to: str = "lab-xen") -> CompletedProcess[str]:
    """An import that goes well; just one new machine with one disk is on the lab."""
    before = {d.uuid for d in here.lab.disks()}
    done = here.run("import", str(path), "--to", to, "--storage", "local-sr", "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    (new,) = [d for d in here.lab.disks() if d.uuid not in before]
    assert new.machine == path.stem
    return done


@pytest.mark.parametrize("code", ["VDI_IO_ERROR", "SR_FULL"])
def test_a_storage_that_fills_up_in_the_middle_is_named(
    code: str, here: Room, big: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, usage = here.lab.toolstack.database, here.lab.toolstack.usage
    (sr,) = database.find("SR", name_label="local-sr")
    size = database.get("SR", sr, "physical_size")
    used = database.get("SR", sr, "physical_utilisation")
    taken = 0

    def take(vdi: str, count: int) -> None:
        nonlocal taken
        taken += count
        if taken > MIB:
            # Somebody else has taken the rest of it while the disk was on its way.
            database.set("SR", sr, physical_utilisation=size - MIB)
            raise OSError(errno.ENOSPC, "No space left on device")

    here.lab.control.set(full_code=code)
    with monkeypatch.context() as patch:
        patch.setattr(usage, "take", take)
        done = here.imports(big)
        database.set("SR", sr, physical_utilisation=used)
    assert done.returncode == 5, done.stdout
    here.untouched()
    said = job_sentence(done)
    holds(said, "big", "local-sr", "full", "Choose another storage, or make room")
    here.goes_on()


def test_a_storage_that_is_too_small_is_said_before_anything_is_begun(
    here: Room, tmp_path: Path
) -> None:
    path, _ = package(tmp_path, "huge", [70 * MIB])
    done = here.run("import", str(path), "--to", "lab-xen", "--storage", "tiny-sr", "--wait")
    assert done.returncode == 8
    (line,) = [each for each in done.stderr.splitlines() if each.startswith("Missing: ")]
    holds(line, "tiny-sr is too small", "6.3 MB are missing", "--storage", "local-sr, shared-nfs")
    assert not line.endswith("tiny-sr"), "a storage that does not fit is offered again"
    here.untouched()


def test_a_disk_that_the_server_refuses_is_told_with_where_to_look(here: Room) -> None:
    here.lab.control.set(refuse_disk="*")
    said = failed(here, here.good)
    holds(said, "good", "local-sr", "the server could not read or write the disk", "log")
    here.goes_on()


def test_a_connection_cut_in_the_middle_of_a_disk_is_told_as_one(here: Room, big: Path) -> None:
    here.lab.control.set(cut_after=MIB)
    said = failed(here, big)
    holds(said, "big", "network", "then try again")
    here.goes_on()


def test_a_disk_in_use_while_all_is_taken_back_is_waited_for(here: Room, big: Path) -> None:
    here.lab.control.set(full_after=MIB, full_code="SR_FULL", vdi_in_use_s=2.0)
    holds(failed(here, big), "the storage", "full")
    assert here.lab.control.calls.count("VDI.destroy") > 1


def test_a_session_that_expires_in_the_middle_is_opened_again(here: Room, big: Path) -> None:
    here.lab.control.set(expire_after=25)
    succeeded(here, big)
    assert here.lab.control.calls.count("session.login_with_password") > 2


def test_a_disk_sent_to_another_host_of_the_pool_arrives(here: Room, big: Path) -> None:
    here.lab.control.set(redirect=True)
    succeeded(here, big)
    assert here.lab.control.calls.count("PUT /import_raw_vdi") == 2


def test_the_address_of_a_pool_member_leads_to_the_master(here: Room) -> None:
    here.connect("member", address=here.lab.second_url)
    succeeded(here, here.good, "member")


def test_cancelling_in_the_middle_of_a_disk_leaves_nothing(here: Room, big: Path) -> None:
    before = digest(big)
    here.lab.control.set(bytes_per_second=MIB // 2)
    job = here.begins(big)
    here.moving()
    done = here.run("job", "cancel", job, "--wait")
    assert done.returncode == 7
    assert done.stdout.splitlines()[-1].endswith("job cancelled")
    here.untouched()
    assert digest(big) == before
    here.goes_on()


@contextmanager
def reborn(here: Room) -> Iterator[None]:
    """The lab is started anew as soon as it has died."""

    died = here.lab.toolstack.stopping  # of the one that dies: the next has its own

    def live() -> None:
        died.wait()
        here.lab.stop()
        here.lab.start()

    again = threading.Thread(target=live)
    again.start()
    try:
        yield
    finally:
        # Where it never died, the test has failed already; the thread must end all the same.
        died.set()
        again.join()


def test_a_server_that_dies_midway_and_comes_back_gets_the_disk_again(
    here: Room, big: Path
) -> None:
    here.lab.control.set(die_after=2 * MIB)
    with reborn(here):
        done = succeeded(here, big)
    assert "trying again" in done.stdout
    assert here.lab.control.modes == Modes()


def test_a_server_that_dies_for_good_leaves_a_job_that_says_what_is_there(
    here: Room, big: Path
) -> None:
    before = digest(big)
    here.lab.control.set(die_after=2 * MIB)
    done = here.imports(big)
    assert done.returncode == 6
    said = job_sentence(done)
    address = here.lab.url.removeprefix("https://")
    holds(said, "job needs attention: ", address, "Left over", "lab-xen", "by hand")
    assert "None" not in said
    job = here.desk.jobs()[0]["id"]
    shown = here.run("job", "show", job)
    holds(shown.stdout, "Left over", f"kensho:{job}:deploy", "by hand")
    assert digest(big) == before
    here.lab.stop()
    here.lab.start()
    # What is there carries the key that the job names, and is not in service.
    database = here.lab.toolstack.database
    marked = [
        database.record("VM", ref)
        for ref in database.refs("VM")
        if job in str(database.get("VM", ref, "other_config"))
    ]
    assert [each["power_state"] for each in marked] == ["Halted"]
    here.goes_on()
