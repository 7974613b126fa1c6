"""``kensho disk``: data on standard output, exits as documented, no file that is not complete."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kensho_tui.cli.disk import disk
from kensho_tui.cli.out import Exit
from tests.unit.disks import craft_vhdx
from tests.unit.disks.streams import vhd, vmdk

MIB = 1 << 20
CONTENT = [(100, b"start"), (5 * MIB, b"middle")]


def run(*words: object) -> Result:
    return CliRunner().invoke(disk, [str(word) for word in words])


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "shop-disk1.bin"  # a name that says nothing
    path.write_bytes(vmdk(9 * MIB, CONTENT))
    return path


def test_info_tells_format_capacity_and_allocation(image: Path) -> None:
    done = run("info", image, "--json")
    assert done.exit_code == Exit.OK
    assert json.loads(done.stdout) == {
        "path": str(image),
        "format": "vmdk",
        "recognized": True,
        "capacity": 9 * MIB,
        "file_bytes": image.stat().st_size,
        "allocated": 131072,
        "sector": 512,
    }
    assert "Capacity    9.0 MiB (9,437,184 bytes)" in run("info", image).stdout


def test_convert_verifies_what_passes_where_it_is_asked_to(image: Path) -> None:
    data = bytearray(image.read_bytes())
    at = data.index(b"\x78", 65536)  # of the first grain's zlib stream
    data[at + 40] ^= 0xFF
    image.write_bytes(data)
    words = ("convert", image, image.with_name("out"), "-O", "vmdk")
    assert run(*words).exit_code == Exit.OK
    refused = run(*words, "--force", "--verify")
    assert refused.exit_code == Exit.INPUT
    assert "VMDK grain 0: compressed data is damaged" in refused.stderr


def test_sectors_of_4096_bytes_are_told_where_they_are_lost(tmp_path: Path) -> None:
    image = tmp_path / "4k.vhdx"
    blocks: dict[int, tuple[int, bytes | None]] = {0: (craft_vhdx.PRESENT, b"data")}
    image.write_bytes(craft_vhdx.image(3 * MIB, blocks, sector=4096))
    assert "Sectors     4096 bytes" in run("info", image).stdout
    done = run("convert", image, tmp_path / "out.vhd", "-O", "vhd")
    assert done.exit_code == Exit.OK
    assert "has sectors of 4096 bytes, what is written has 512" in done.stderr
    again = run("convert", tmp_path / "out.vhd", tmp_path / "out.vhdx", "-O", "vhdx")
    assert "sectors" not in again.stderr


@pytest.mark.parametrize("to", ["vhd", "vhdx", "vhdx-fixed", "raw", "vmdk", "qcow2"])
def test_convert_makes_an_equal_disk_and_says_so(image: Path, to: str) -> None:
    target = image.with_name("out")
    done = run("convert", image, target, "-O", to, "--json")
    assert done.exit_code == Exit.OK, done.output
    told = json.loads(done.stdout)
    assert told["source"]["format"] == "vmdk"
    assert told["target"] == {"path": str(target), "format": to, "digests": {}}
    assert told["capacity"] == 9 * MIB
    equal = run("compare", image, target, "--json")
    assert (equal.exit_code, json.loads(equal.stdout)["equal"]) == (Exit.OK, True)
    assert not target.with_name("out.partial").exists()


@pytest.mark.parametrize("to", ["vhd", "vhdx", "vhdx-fixed", "raw", "vmdk", "qcow2"])
def test_convert_tells_digests_of_both_ends(image: Path, to: str) -> None:
    target = image.with_name("out")
    words = ("--digest", "sha256", "--digest", "sha1", "--json")
    done = run("convert", image, target, "-O", to, *words)
    assert done.exit_code == Exit.OK, done.output
    told = json.loads(done.stdout)
    for end, path in (("source", image), ("target", target)):
        content = path.read_bytes()
        assert told[end]["digests"] == {
            "sha256": hashlib.sha256(content).hexdigest(),
            "sha1": hashlib.sha1(content).hexdigest(),
        }


def test_a_difference_is_read_with_the_parents_that_are_named(tmp_path: Path) -> None:
    base, top, target = (tmp_path / name for name in ("base.vhdx", "top.avhdx", "out.raw"))
    base.write_bytes(craft_vhdx.image(3 * MIB, {0: (craft_vhdx.PRESENT, b"base")}))
    locator = craft_vhdx.locator()  # it names another file, which is not looked for
    found = craft_vhdx.items(3 * MIB, flags=2, locator=locator)
    top.write_bytes(craft_vhdx.image(3 * MIB, {1: (craft_vhdx.PRESENT, b"top")}, found=found))
    alone = run("convert", top, target, "-O", "raw")
    assert alone.exit_code == Exit.INPUT
    assert "only the difference to a parent (parent.vhdx)" in alone.output
    assert not target.exists()
    told = run("info", top, "--parent", base, "--json")
    assert json.loads(told.stdout)["allocated"] == 2 * MIB
    done = run("convert", top, target, "-O", "raw", "--parent", base)
    assert done.exit_code == Exit.OK, done.output
    content = target.read_bytes()
    assert content[:4] == b"base"
    assert content[MIB : MIB + 3] == b"top"
    assert (
        run("convert", base, target, "--force", "-O", "raw", "--parent", top).exit_code != Exit.OK
    )
    over = run("convert", top, base, "--force", "-O", "raw", "--parent", base)
    assert "source and target are the same file" in over.output
    assert base.read_bytes()[:8] == b"vhdxfile"


def test_convert_makes_smaller_grains_where_it_is_asked_to(tmp_path: Path) -> None:
    plain, fast, small = (tmp_path / name for name in ("plain", "fast", "small"))
    plain.write_bytes(b"".join(b"%d little fishes\n" % n for n in range(100_000)))
    for target, how in ((fast, "fast"), (small, "small")):
        words = ("-f", "raw", "-O", "vmdk", "--compression", how)
        done = run("convert", plain, target, *words)
        assert done.exit_code == Exit.OK, done.output
    assert small.stat().st_size < fast.stat().st_size
    assert run("compare", fast, small).exit_code == Exit.OK


def test_a_qcow2_is_compressed_where_that_is_asked_for(image: Path) -> None:
    sizes: list[int] = []
    for words in ([], ["--compression", "fast"], ["--compression", "small"]):
        target = image.with_name(f"out{len(sizes)}")
        done = run("convert", image, target, "-O", "qcow2", *words)
        assert done.exit_code == Exit.OK, done.output
        assert run("compare", image, target).exit_code == Exit.OK
        sizes.append(target.stat().st_size)
    assert sizes[0] > sizes[1] >= sizes[2]


def test_a_compressed_qcow2_has_no_digest_on_the_way(image: Path) -> None:
    target = image.with_name("out")
    words = ["convert", image, target, "-O", "qcow2", "--digest", "sha256"]
    done = run(*words, "--compression", "fast")
    assert done.exit_code == Exit.INPUT
    assert "a compressed QCOW2 is written by offset" in done.stderr
    assert not target.exists()
    assert run(*words).exit_code == Exit.OK


def test_convert_leaves_an_existing_file_alone_unless_forced(image: Path) -> None:
    target = image.with_name("out")
    target.write_bytes(b"precious")
    done = run("convert", image, target, "-O", "raw")
    assert done.exit_code == Exit.INPUT
    assert "there is a file of that name already" in done.stderr
    assert done.stdout == ""
    assert target.read_bytes() == b"precious"
    assert run("convert", image, target, "-O", "raw", "--force").exit_code == Exit.OK
    assert target.stat().st_size == 9 * MIB


def test_convert_onto_itself_is_refused(image: Path) -> None:
    before = image.read_bytes()
    done = run("convert", image, image, "-O", "raw", "--force")
    assert done.exit_code == Exit.INPUT
    assert "source and target are the same file" in done.stderr
    assert image.read_bytes() == before


def test_a_damaged_image_leaves_no_file_and_one_sentence(image: Path) -> None:
    image.write_bytes(image.read_bytes()[:-700])
    done = run("convert", image, image.with_name("out"), "-O", "raw", "--json")
    assert done.exit_code == Exit.INPUT
    error = json.loads(done.stdout)["error"]
    assert error["subject"] == str(image)
    assert error["what"].startswith("the image ends at byte")
    assert error["remedy"]
    assert "Traceback" not in done.stderr
    assert list(image.parent.iterdir()) == [image]


def test_a_declared_capacity_that_is_not_the_disks_is_an_error(image: Path) -> None:
    done = run("convert", image, image.with_name("out"), "-O", "raw", "--capacity", 10 * MIB)
    assert done.exit_code == Exit.INPUT
    assert "shorter than declared" in done.stderr


def test_a_descriptor_that_points_elsewhere_is_refused_by_every_command(tmp_path: Path) -> None:
    path = tmp_path / "innocent.vmdk"
    path.write_text(
        '# Disk DescriptorFile\ncreateType="monolithicFlat"\nRW 8 FLAT "/etc/passwd" 0\n'
    )
    for words in (
        ("info", path),
        ("convert", path, tmp_path / "out", "-O", "raw"),
        ("compare", path, path),
        ("info", path, "-f", "vmdk"),
    ):
        done = run(*words)
        assert done.exit_code == Exit.INPUT
        assert "such files are never followed" in done.stderr
        assert str(path) in done.stderr
    assert list(tmp_path.iterdir()) == [path]


def test_a_format_that_is_said_is_believed(image: Path) -> None:
    done = run("info", image, "-f", "raw", "--json")
    assert json.loads(done.stdout)["capacity"] == image.stat().st_size
    assert run("info", image, "-f", "vhd").exit_code == Exit.INPUT


def test_compare_says_where_and_exits_with_nine(image: Path) -> None:
    other = image.with_name("other")
    other.write_bytes(vhd(9 * MIB, [(100, b"start"), (5 * MIB, b"mIddle")]))
    done = run("compare", image, other, "--json")
    assert done.exit_code == Exit.DIFFERENT
    assert json.loads(done.stdout)["first_difference"] == 5 * MIB + 1
    assert run("compare", image, other, "--capacity", 5 * MIB).exit_code == Exit.OK


def test_compare_allows_for_a_platforms_rounding_and_no_more(image: Path) -> None:
    other = image.with_name("other")
    other.write_bytes(vhd(10 * MIB, CONTENT))
    done = run("compare", image, other)
    assert done.exit_code == Exit.OK
    assert done.stdout.startswith("equal, 10.0 MiB (10,485,760 bytes) compared\n")
    assert "The capacities differ: 9.0 MiB (9,437,184 bytes) and 10.0 MiB" in done.stdout
    assert "What the larger one has more is zeros" in done.stdout
    assert json.loads(run("compare", image, other, "--json").stdout)["same_capacity"] is False
    other.write_bytes(vhd(10 * MIB, [*CONTENT, (9 * MIB + 5, b"tail")]))
    assert run("compare", image, other).exit_code == Exit.DIFFERENT
    other.write_bytes(vhd(20 * MIB, CONTENT))
    done = run("compare", image, other, "--json")
    assert done.exit_code == Exit.DIFFERENT
    assert json.loads(done.stdout)["first_difference"] == 9 * MIB


def test_compare_says_what_was_compared_and_no_more(image: Path) -> None:
    done = run("compare", image, image, "--capacity", 100 << 30)
    assert (done.exit_code, done.stdout) == (
        Exit.OK,
        "equal, 9.0 MiB (9,437,184 bytes) compared\n",
    )
    done = run("compare", image, image, "--capacity", 2 * MIB)
    assert done.stdout == (
        "equal, 2.0 MiB (2,097,152 bytes) compared\nWhat lies behind that was not compared.\n"
    )
    other = image.with_name("other")
    other.write_bytes(vhd(20 * MIB, CONTENT))
    done = run("compare", image, other, "--capacity", 100 << 30)
    assert done.exit_code == Exit.DIFFERENT
    assert done.stdout.splitlines() == [
        f"different from byte {9 * MIB} on",
        "The capacities differ: 9.0 MiB (9,437,184 bytes) and 20.0 MiB (20,971,520 bytes).",
    ]
    assert run("compare", image, other, "--capacity", 9 * MIB).exit_code == Exit.OK


def test_names_forge_no_lines_and_json_is_utf8(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"a\xff\nFormat      vhd")
    odd.write_bytes(bytes(4096))
    target = odd.with_name(odd.name + ".out")
    for words in (["check", odd], ["convert", odd, target, "-O", "vhd", "--digest", "sha1"]):
        text = run(*words, "--force") if "convert" in words else run(*words)
        assert text.exit_code == Exit.OK, text.output
        assert "a\\xff Format      vhd".replace("      ", " ") in text.stdout
        assert not [line for line in text.stdout.splitlines() if line.startswith("Format")]
    told = run("info", odd, "--json")
    told.stdout_bytes.decode()
    assert json.loads(told.stdout)["path"] == f"{tmp_path}/a\\xff\nFormat      vhd"


def test_what_has_no_header_is_said_to_be_taken_as_raw(image: Path) -> None:
    plain = image.with_name("plain")
    plain.write_bytes(bytes(4096))
    for word in ("info", "check"):
        assert "raw (no image header found, taken as raw)" in run(word, plain).stdout
        assert "taken as raw" not in run(word, plain, "-f", "raw").stdout
        assert "taken as raw" not in run(word, image).stdout
        assert json.loads(run(word, plain, "--json").stdout)["recognized"] is False


def test_a_disk_that_no_vhd_can_be_is_said_in_plain_words(tmp_path: Path) -> None:
    from tests.unit.disks.craft_qcow2 import image as qcow2

    source = tmp_path / "big.qcow2"
    source.write_bytes(qcow2(60 << 40))
    done = run("convert", source, tmp_path / "out.vhd", "-O", "vhd")
    assert done.exit_code == Exit.INPUT
    assert (
        f"a VHD ends at 2040 GiB, and the disk has {60 << 40:,} bytes."
        " Choose another format, or another target." in done.stderr
    )


@pytest.mark.parametrize("limit", ["50M", "1.5 GiB/s", "50000000"])
def test_a_limit_takes_units(image: Path, limit: str) -> None:
    words = ("convert", image, image.with_name("out"), "-O", "raw", "--limit", limit)
    assert run(*words).exit_code == Exit.OK


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["convert", "IMAGE", "out", "-O", "raw", "--limit", "0"], "0 is no limit; write it such"),
        (["convert", "IMAGE", "-", "-O", "raw"], "neither read from pipes nor written to them"),
        (["info", "-"], "a file of that name is './-'"),
        (["info", "IMAGE", "--max-disk", "100PiB"], "no disk of more than 64 TiB is read"),
    ],
)
def test_a_wrong_word_on_the_command_line_is_refused(
    image: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(image.parent)
    done = run(*[image.name if each == "IMAGE" else each for each in words])
    assert done.exit_code == Exit.USAGE
    assert said in " ".join(done.stderr.split())
    assert [each.name for each in image.parent.iterdir()] == [image.name]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    done = run("info", tmp_path / "none")
    assert done.exit_code == Exit.INPUT
    assert f"{tmp_path / 'none'}: cannot read: No such file or directory" in done.stderr


def test_a_pipe_is_neither_read_nor_replaced(image: Path) -> None:
    pipe = image.with_name("pipe")
    os.mkfifo(pipe)
    for words in (["info", pipe], ["convert", image, pipe, "-O", "raw", "--force"]):
        done = run(*words)
        assert done.exit_code == Exit.INPUT
        assert "this is a named pipe" in done.stderr
    assert pipe.is_fifo()
    assert not pipe.with_name("pipe.partial").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_convert_that_is_ended_by_a_signal_leaves_no_partial_file(
    tmp_path: Path, number: signal.Signals
) -> None:
    source, target = tmp_path / "a.raw", tmp_path / "out"
    with source.open("wb") as file:
        file.write(os.urandom(1 << 20) * 16)
    command = [sys.executable, "-m", "kensho_tui", "disk", "convert", str(source), str(target)]
    with subprocess.Popen(
        [*command, "-O", "raw", "--limit", "100000"],
        stderr=subprocess.PIPE,
        # Who runs the tests under nohup hands on that the signal is ignored, and then it should be.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    ) as process:
        watched = Path(f"{target}.partial")
        while process.poll() is None and not watched.exists():
            os.sched_yield()
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    assert told.decode().splitlines()[-1:] == ["Interrupted."]
    assert process.returncode == Exit.INTERRUPTED
    assert [each.name for each in tmp_path.iterdir()] == ["a.raw"]
