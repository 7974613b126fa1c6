"""Packages that are not right: one sentence, nothing on the target, the file as it was, the next one goes."""

import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.small import MIB, package

from .room import (
    Members,
    Room,
    digest,
    findings,
    holds,
    job_sentence,
    room,
    sentence,
    spoiled,
)

OVF, MANIFEST, DISK = "good.ovf", "good.mf", "good-disk0.vmdk"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with room(tmp_path_factory.mktemp("room")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _nothing_half_made(here: Room) -> Iterator[None]:
    here.remember()
    yield
    here.untouched()
    assert not list(here.home.rglob("*.partial"))


# -------------------------------------------------------------------- what is no package at all
def _random(path: Path, good: Path) -> None:
    path.write_bytes(os.urandom(1 << 16))


def _zip(path: Path, good: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no descriptor here")


def _empty(path: Path, good: Path) -> None:
    path.touch()


def _bare_folder(path: Path, good: Path) -> None:
    path.mkdir()
    (path / "readme.txt").write_text("no descriptor here")


def _absent(path: Path, good: Path) -> None:
    assert not path.exists()


def _cut(size: Callable[[int], int]) -> Callable[[Path, Path], None]:
    def make(path: Path, good: Path) -> None:
        whole = good.read_bytes()
        path.write_bytes(whole[: size(len(whole))])

    return make


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(_random, ("no OVA", "not a tar archive", "Choose"), id="random-bytes"),
        pytest.param(_zip, ("the zip file holds no package", "Choose"), id="zip"),
        pytest.param(_empty, ("the file is empty", "Choose"), id="empty"),
        pytest.param(_bare_folder, ("no descriptor (.ovf)", "Choose"), id="folder-without-ovf"),
        pytest.param(_absent, ("no such file", "Check the path"), id="absent"),
        pytest.param(_cut(lambda n: 300), ("no OVA", "300 bytes", "Get"), id="cut-in-header"),
        pytest.param(
            _cut(lambda n: 1500), ("ends in the middle", OVF, "Get the package again"),
            id="cut-in-descriptor",
        ),
        pytest.param(
            _cut(lambda n: n // 2), ("ends in the middle", DISK, "Get the package again"),
            id="cut-in-disk",
        ),
    ],
)  # fmt: skip
def test_what_is_no_package_is_refused_before_anything_is_begun(
    make: Callable[[Path, Path], None], words: tuple[str, ...], here: Room, tmp_path: Path
) -> None:
    path = tmp_path / "given.ova"
    make(path, here.good)
    before = digest(path) if path.exists() else ""
    done = here.imports(path)
    assert done.returncode == 3
    assert not done.stdout
    holds(sentence(done), "given.ova", *words)
    assert (digest(path) if path.exists() else "") == before
    if path.exists():
        shown = here.run("package", "show", str(path))
        assert shown.returncode == 3
        assert sentence(shown) == sentence(done)


# ------------------------------------------------------------------------ what can be seen at once
def _other_descriptor(held: Members) -> None:
    held[OVF] = held[OVF].replace(b"One machine", b"Two machine")


def _ghost(held: Members) -> None:
    held[MANIFEST] += b"SHA256(ghost.vmdk)= " + b"0" * 64 + b"\n"


def _no_disk(held: Members) -> None:
    del held[DISK]


def _garbled_manifest(held: Members) -> None:
    held[MANIFEST] = b"what is this\n"


@pytest.mark.parametrize(
    ("change", "fresh", "words"),
    [
        pytest.param(
            _other_descriptor, False, (OVF, "does not match the manifest", "Get the package again"),
            id="descriptor-digest",
        ),
        pytest.param(
            _ghost, False, ("ghost.vmdk", "manifest lists", "Get the complete package"),
            id="manifest-lists-missing",
        ),
        pytest.param(
            _no_disk, False, (DISK, "not in the package", "Get the complete package"),
            id="disk-missing-and-listed",
        ),
        pytest.param(
            _no_disk, True, (DISK, "not in the package", "Get the complete package"),
            id="disk-missing",
        ),
        pytest.param(
            _garbled_manifest, False, (MANIFEST, "Line 1", "Get the package again"),
            id="manifest-garbled",
        ),
    ],
)  # fmt: skip
def test_what_a_package_promises_and_does_not_keep_is_said_before_anything_is_begun(
    change: Callable[[Members], None],
    fresh: bool,
    words: tuple[str, ...],
    here: Room,
    tmp_path: Path,
) -> None:
    path = spoiled(here.good, tmp_path / "given.ova", change, fresh=fresh)
    before = digest(path)
    done = here.imports(path)
    assert done.returncode == 8
    (line,) = findings(done)
    holds(line, *words)
    assert "Nothing was started." in done.stderr
    assert here.run("package", "check", str(path)).returncode == 8
    assert digest(path) == before


def _doctype(held: Members) -> None:
    held[OVF] = held[OVF].replace(
        b"<Envelope", b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>\n<Envelope', 1
    )


def _entities(held: Members) -> None:
    held[OVF] = held[OVF].replace(b"<Name>good</Name>", b"<Name>&boom;</Name>", 1)


def _half(held: Members) -> None:
    held[OVF] = held[OVF][: len(held[OVF]) // 2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(_doctype, ("DTD", "Do not trust this package"), id="dtd"),
        pytest.param(_entities, ("not well-formed", "line 11", "'boom'"), id="entity"),
        pytest.param(_half, ("not well-formed", "line 17", "Get the package again"), id="half"),
    ],
)
def test_a_descriptor_that_is_hostile_or_broken_is_refused(
    change: Callable[[Members], None], words: tuple[str, ...], here: Room, tmp_path: Path
) -> None:
    path = spoiled(here.good, tmp_path / "given.ova", change, fresh=True)
    before = digest(path)
    done = here.imports(path)
    assert done.returncode == 3
    said = sentence(done)
    holds(said, "given.ova", *words)
    assert said.count("line 1") <= 1
    assert digest(path) == before


# -------------------------------------------------------------- what is only seen when disks are read
@dataclass(frozen=True)
class Damage:
    """Something that shows while a disk is read."""

    change: Callable[[Members], None]
    words: tuple[str, ...]
    fresh: bool = True


def _flip(held: Members) -> None:
    data = bytearray(held[DISK])
    data[len(data) // 2] ^= 1
    held[DISK] = bytes(data)


def _wrong_digest(held: Members) -> None:
    lines = held[MANIFEST].decode().splitlines()
    lines = [f"{x[:-1]}{'1' if x[-1] == '0' else '0'}" if DISK in x else x for x in lines]
    held[MANIFEST] = "\n".join(lines).encode() + b"\n"


def _capacity(size: int) -> Callable[[Members], None]:
    def change(held: Members) -> None:
        before = held[OVF]
        held[OVF] = before.replace(b'ovf:capacity="1048576"', b'ovf:capacity="%d"' % size)
        assert held[OVF] != before

    return change


def _truncated_disk(held: Members) -> None:
    held[DISK] = held[DISK][: len(held[DISK]) // 2]


DAMAGES = {
    "bit-flipped": Damage(_flip, ("VMDK grain 7", "damaged", "Get the file again"), fresh=False),
    "damaged-grain": Damage(_flip, ("VMDK grain 7", "damaged", "Get the file again")),
    "digest-differs": Damage(
        _wrong_digest, ("does not match the manifest", "get it again"), fresh=False
    ),
    "shorter-than-declared": Damage(
        _capacity(4 * MIB), ("shorter than declared", "1048576", "4194304", "descriptor")
    ),
    "cut-short": Damage(_truncated_disk, ("lies outside the file", "get it again")),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_disk_that_is_not_right_ends_the_job_and_all_of_it_is_taken_back(
    name: str, here: Room, tmp_path: Path
) -> None:
    damage = DAMAGES[name]
    path = spoiled(here.good, tmp_path / "given.ova", damage.change, fresh=damage.fresh)
    before = digest(path)
    done = here.imports(path)
    assert done.returncode == 5
    said = job_sentence(done)
    holds(said, "job failed: ", DISK, *damage.words)
    assert digest(path) == before
    # The last job is shown with the same sentence by whoever looks later.
    job = here.desk.jobs()[0]["id"]
    shown = here.run("job", "show", job).stdout
    assert said.removeprefix("job failed: ") in shown


def test_a_disk_that_is_longer_than_declared_loses_no_bytes_in_silence(
    here: Room, tmp_path: Path
) -> None:
    good, _ = package(tmp_path, "long", [6 * MIB])

    def declare_less(held: Members) -> None:
        held["long.ovf"] = held["long.ovf"].replace(b'"6291456"', b'"1048576"')

    path = spoiled(good, tmp_path / "given.ova", declare_less, fresh=True)
    done = here.imports(path)
    assert done.returncode == 5
    holds(job_sentence(done), "long-disk0.vmdk", "larger than declared", "6291456", "1048576")


def test_one_damaged_disk_of_two_takes_the_other_back_with_it(here: Room, tmp_path: Path) -> None:
    good, _ = package(tmp_path, "pair", [MIB, MIB])

    def damage(held: Members) -> None:
        data = bytearray(held["pair-disk1.vmdk"])
        data[len(data) // 2] ^= 1
        held["pair-disk1.vmdk"] = bytes(data)

    path = spoiled(good, tmp_path / "given.ova", damage, fresh=True)
    done = here.imports(path)
    assert done.returncode == 5
    holds(job_sentence(done), "pair-disk1.vmdk", "damaged")


def test_a_digest_that_differs_is_a_warning_where_the_operator_says_so(
    here: Room, tmp_path: Path
) -> None:
    path = spoiled(here.good, tmp_path / "given.ova", _wrong_digest, fresh=False)
    done = here.imports(path, "--integrity", "warn")
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [each for each in done.stdout.splitlines() if "does not match the manifest" in each]
    holds(line, "warning: good: ", DISK, "get it again")
    done = here.imports(path, "--integrity", "off")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "manifest" not in done.stdout
    here.remember()


def test_package_check_names_the_disk_that_does_not_match(here: Room, tmp_path: Path) -> None:
    path = spoiled(here.good, tmp_path / "given.ova", _wrong_digest, fresh=False)
    done = here.run("package", "check", "--digests", str(path))
    assert done.returncode == 8
    (line,) = [each for each in done.stdout.splitlines() if each.startswith("error")]
    holds(line, DISK, "does not match the manifest", "get it again")


def test_after_all_of_these_the_runner_takes_a_good_package(here: Room, tmp_path: Path) -> None:
    path = spoiled(here.good, tmp_path / "given.ova", _flip, fresh=True)
    assert here.imports(path).returncode == 5
    here.untouched()
    here.goes_on()
    here.remember()
