"""Reference counts of QCOW2s beside ``qemu-img check``: right ones, and files that were damaged on purpose."""

import json
import random
import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kensho_tui.cancel import Cancel
from kensho_tui.cli.out import Exit
from kensho_tui.disks.files import FileInput
from kensho_tui.disks.image import ImageError
from kensho_tui.disks.qcow2_counts import check_counts
from tests.peers.test_disks_qemu import RAW, convert, disk, qemu
from tests.peers.test_qcow2_qemu import EACH_WAY, WAYS, io
from tests.unit.disks.test_disk_command import run

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        shutil.which("qemu-img") is None or shutil.which("qemu-io") is None,
        reason="qemu-img or qemu-io is missing: apt-get install qemu-utils",
    ),
]

MIB = 1 << 20
COPIED = 1 << 63
PLACE = 0x00FFFFFFFFFFFE00
KINDS = {
    "usual": "",
    "one bit": "refcount_bits=1",
    "four bits": "refcount_bits=4",
    "wide": "refcount_bits=64,cluster_size=4k",
    "bytes": "refcount_bits=8,cluster_size=128k",
    "subclusters": "extended_l2=on,cluster_size=16k",
    "old": "compat=0.10",
    "small": "cluster_size=512",
    "zstd": "compression_type=zstd",
    "preallocated": "preallocation=metadata",
}


def made(path: Path, kind: str) -> Path:
    """An image that a guest has worked on, with snapshots and bitmaps where its kind can have them."""
    options = ["-o", KINDS[kind]] if KINDS[kind] else []
    qemu("create", "-f", "qcow2", *options, path, 24 * MIB)
    more = [] if kind == "preallocated" else ["write -c 12M 128k", "write -c 13M 128k"]
    more += [] if kind == "old" else ["write -z 9M 1M"]
    io(path, "write -P 1 0 3M", "write -P 2 5M 70k", *more)
    if kind != "one bit":
        qemu("snapshot", "-c", "before", path)
        io(path, "write -P 3 1M 1M", "discard 5M 64k", "write -P 4 20M 100k")
        qemu("snapshot", "-c", "between", path)
        io(path, "write -P 5 0 64k")
    if kind in ("usual", "wide"):
        qemu("bitmap", "--add", path, "b")
        io(path, "write -P 5 7M 64k")
    return path


def theirs(image: Path) -> tuple[int, int, set[tuple[int, int, int]]]:
    """Leaks, corruptions, and of each wrong cluster its number, its count and how often it is named."""
    done = subprocess.run(
        ["qemu-img", "check", "-f", "qcow2", "--output=json", str(image)],
        capture_output=True, text=True,
    )  # fmt: skip
    told = json.loads(done.stdout)
    lines = subprocess.run(
        ["qemu-img", "check", "-f", "qcow2", str(image)], capture_output=True, text=True
    )
    wrong = re.findall(
        r"ERROR cluster (\d+) refcount=(\d+) reference=(\d+)", lines.stderr + lines.stdout
    )
    return (
        told.get("leaks", 0),
        told.get("corruptions", 0),
        {(int(a), int(b), int(c)) for a, b, c in wrong},
    )


_LOW = re.compile(
    r"cluster (\d+) is named (\d+) times and (?:counted (\d+) times|not counted at all)"
    r" \(byte \d+(?:, (\d+) clusters)?\)"
)
_TWO = re.compile(r"cluster (\d+) is used for two things")


def ours(image: Path) -> tuple[int, list[str], set[tuple[int, int, int]], set[int]]:
    """Lost bytes, all problems, wrong clusters as of `theirs`, and those that are used for two things."""
    found: list[str] = []

    def report(problem: ImageError) -> None:
        found.append(problem.what)

    with FileInput(image) as stream:
        lost = check_counts(stream, report, Cancel())
    wrong, over = set(), set()
    for text in found:
        if low := _LOW.search(text):
            for number in range(int(low[1]), int(low[1]) + int(low[4] or 1)):
                wrong.add((number, int(low[3] or 0), int(low[2])))
        elif two := _TWO.search(text):
            over.add(int(two[1]))
    return lost, found, wrong, over


@pytest.mark.parametrize("kind", KINDS)
def test_counts_that_are_right_are_found_right(tmp_path: Path, kind: str) -> None:
    image = made(tmp_path / "a.qcow2", kind)
    assert theirs(image) == (0, 0, set())
    assert ours(image)[:2] == (0, [])


@EACH_WAY
def test_those_that_we_write_are_right(tmp_path: Path, way: str) -> None:
    raw, image = disk(tmp_path / "a.raw", 128 * MIB), tmp_path / "ours.qcow2"
    convert(raw, RAW, image, WAYS[way])
    assert ours(image)[:2] == (0, [])


class Damage:
    """An image's tables, to be changed by hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = bytearray(path.read_bytes())
        (bits,) = struct.unpack_from(">I", self.data, 20)
        self.cluster = 1 << bits
        entries, l1, refcounts = struct.unpack_from(">IQQ", self.data, 36)
        self.l1 = [n for n in self.numbers(l1, entries) if n & PLACE]
        self.block = next(
            n & PLACE for n in self.numbers(refcounts, self.cluster // 8) if n & PLACE
        )
        self.version = struct.unpack_from(">I", self.data, 4)[0]
        self.order = struct.unpack_from(">I", self.data, 96)[0] if self.version == 3 else 4
        self.step = 16 if self.version == 3 and self.data[79] & 16 else 8

    def numbers(self, at: int, count: int) -> tuple[int, ...]:
        return struct.unpack_from(f">{count}Q", self.data, at)

    def entries(self) -> list[int]:
        """Places of L2 entries that name clusters that are not compressed."""
        return [
            at
            for table in self.l1
            for at in range(table & PLACE, (table & PLACE) + self.cluster, self.step)
            if 0 < self.numbers(at, 1)[0] & ~COPIED < 1 << 60 and self.numbers(at, 1)[0] & PLACE
        ]

    def count(self, chance: random.Random) -> None:
        """Another count for some cluster."""
        clusters = len(self.data) // self.cluster
        number = chance.randrange(min(clusters, self.cluster * 8 >> self.order))
        if self.order < 3:
            self.data[self.block + number * (1 << self.order) // 8] ^= 1 << chance.randrange(8)
            return
        width = 1 << self.order - 3
        at = self.block + number * width
        self.data[at : at + width] = chance.choice([0, 0, 1, 2, 3]).to_bytes(width, "big")

    def mark(self, chance: random.Random) -> None:
        """The mark of a cluster that nobody else uses, turned round."""
        self.data[chance.choice(self.entries())] ^= 0x80

    def twice(self, chance: random.Random) -> None:
        """Two of the guest's clusters in one place."""
        one, other = chance.sample(self.entries(), 2)
        self.data[one : one + 8] = self.data[other : other + 8]

    def gone(self, chance: random.Random) -> None:
        """A cluster that nobody names any more."""
        at = chance.choice(self.entries())
        self.data[at : at + self.step] = bytes(self.step)

    def save(self) -> None:
        self.path.write_bytes(self.data)


DAMAGES: list[Callable[[Damage, random.Random], None]] = [
    Damage.count, Damage.mark, Damage.twice, Damage.gone
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_wrong_with_counts_is_what_qemu_finds(tmp_path: Path, kind: str) -> None:
    image = made(tmp_path / "a.qcow2", kind)
    whole = image.read_bytes()
    cluster = Damage(image).cluster
    seen = {"leaks": 0, "low": 0, "marks": 0}
    for seed in range(16):
        chance = random.Random(f"{kind} {seed}")
        image.write_bytes(whole)
        damage = Damage(image)
        for _ in range(chance.randint(1, 3)):
            chance.choice(DAMAGES)(damage, chance)
        damage.save()
        leaks, corruptions, wrong = theirs(image)
        lost, found, low, over = ours(image)
        # What its counts cannot hold QEMU does not count itself.
        most = (1 << (1 << damage.order)) - 1
        assert {each for each in low if each[0] not in over and each[2] <= most} == {
            each for each in wrong if each[0] not in over
        }, (seed, found)
        assert lost == leaks * cluster, (seed, found)
        assert bool(found) == bool(corruptions), (seed, found, corruptions)
        seen["leaks"] += leaks
        seen["low"] += len(wrong)
        seen["marks"] += any("is marked as" in each for each in found)
    assert all(seen.values()), "each kind of damage came"


def test_a_repaired_image_is_right_again_and_says_the_same_disk(tmp_path: Path) -> None:
    image = made(tmp_path / "a.qcow2", "usual")
    damage = Damage(image)
    chance = random.Random(7)
    for _ in range(4):
        damage.count(chance)
    damage.save()
    assert ours(image)[1]
    subprocess.run(["qemu-img", "check", "-q", "-r", "all", str(image)], capture_output=True)
    assert ours(image)[:2] == (0, [])


def test_a_table_in_a_cluster_of_data_is_told_as_that(tmp_path: Path) -> None:
    image = made(tmp_path / "a.qcow2", "usual")
    damage = Damage(image)
    at = damage.entries()[3]
    struct.pack_into(">Q", damage.data, at, damage.block | COPIED)
    damage.save()
    _, found, _, over = ours(image)
    assert over == {damage.block // damage.cluster}, found
    assert theirs(image)[1] > 0


def test_a_writer_that_was_killed_leaves_what_qemu_says_it_leaves(tmp_path: Path) -> None:
    """With lazy counts they are wrong on purpose until somebody closes the file."""
    image = tmp_path / "a.qcow2"
    qemu("create", "-f", "qcow2", "-o", "lazy_refcounts=on,cluster_size=4k", image, 32 * MIB)
    words = ["-c", "write -P 1 0 3M", "-c", "write -P 2 9M 64k", "-c", "abort"]
    subprocess.run(["qemu-io", "-f", "qcow2", *words, str(image)], capture_output=True)
    assert image.read_bytes()[79] & 1, "dirty"
    leaks, corruptions, wrong = theirs(image)
    lost, found, low, _ = ours(image)
    assert (lost, low) == (leaks * 4096, wrong)
    assert bool(found) == bool(corruptions) and corruptions > 10


def test_the_command_tells_both_and_lost_room_is_no_damage(tmp_path: Path) -> None:
    image = made(tmp_path / "a.qcow2", "usual")
    damage = Damage(image)
    damage.gone(random.Random(1))
    damage.save()
    if theirs(image)[1]:
        pytest.fail("only a leak was meant")
    lost = run("check", image)
    assert (lost.exit_code, "Lost        64.0 KiB" in lost.stdout) == (Exit.OK, True), lost.output
    at = damage.block + 2 * (image.stat().st_size // 65536 // 2)
    damage.data[at : at + 2] = bytes(2)
    damage.save()
    found = run("check", image, "--json")
    assert found.exit_code == Exit.FINDINGS
    told = json.loads(found.stdout)
    assert "not counted at all" in told["problems"][0]["what"]
    assert "qemu-img check -r all" in told["problems"][0]["remedy"]
