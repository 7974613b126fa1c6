"""The sample that sets a guest up from its environment, run for real below a temporary root."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from backends.base import PlatformInfo
from kensho_tui.machine import Appliance, Machine, MachineId, Memory, Property
from kensho_tui.ovf.environment import document

SAMPLES = Path(__file__).parents[2] / "docs" / "samples"
SCRIPT = SAMPLES / "ovf-activate.sh"
GOOD = {
    "shop.hostname": "web01.example.org",
    "ip": "192.0.2.7/24",
    "gateway": "192.0.2.1",
    "dns": "192.0.2.53, 2001:db8::53",
}


class Guest:
    """A root with an adapter and some time zones, and the script on it."""

    def __init__(self, folder: Path, reader: str) -> None:
        self.folder, self.root, self.reader = folder, folder / "root", reader
        (self.root / "sys/class/net/lo").mkdir(parents=True)
        (self.root / "sys/class/net/eth0").mkdir()
        (self.root / "etc/default").mkdir(parents=True)
        for zone in ("Etc/UTC", "Etc/GMT-2", "Etc/GMT+3", "Europe/Berlin"):
            path = self.root / "usr/share/zoneinfo" / zone
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def run(self, data: bytes, *options: str) -> tuple[int, str]:
        """Exit code and output of both kinds, with the document beside the root."""
        path = self.folder / "ovf-env.xml"
        path.write_bytes(data)
        command = ["sh", str(SCRIPT), "--file", str(path), "--root", str(self.root)]
        done = subprocess.run(
            [*command, "--reader", self.reader, *options],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
            text=True,
        )
        return done.returncode, done.stdout

    def files(self) -> dict[str, str]:
        """What stands in ``etc``, by name; a link as where it leads."""
        etc = self.root / "etc"
        return {
            each.relative_to(etc).as_posix(): f"-> {os.readlink(each)}"
            if each.is_symlink()
            else each.read_text()
            for each in etc.rglob("*")
            if each.is_symlink() or each.is_file()
        }


@pytest.fixture(params=["xmllint", "python3"])
def guest(request: pytest.FixtureRequest, tmp_path: Path) -> Guest:
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not here: apt install libxml2-utils or python3")
    return Guest(tmp_path, request.param)


def told(values: Mapping[str, str], *, locale: str = "", timezone: int | None = None) -> bytes:
    machine = Machine(MachineId("web"), "web", Memory(1 << 30))
    asked = tuple(Property(key, "web", default=value) for key, value in values.items())
    other = Property("hostname", "db", default="not-mine")
    db = Machine(MachineId("db"), "db", Memory(1 << 30))
    whole = Appliance("shop", (machine, db), properties=(*asked, other))
    platform = PlatformInfo("XenServer", "8")
    return document(whole, "web", {}, platform=platform, locale=locale, timezone=timezone)


def test_a_guest_gets_what_it_is_told_and_stays_so(guest: Guest) -> None:
    data = told(GOOD, locale="de-DE", timezone=120)
    code, said = guest.run(data)
    assert code == 0, said
    assert guest.files() == {
        "hostname": "web01.example.org\n",
        "systemd/network/10-ovf.network": "[Match]\nName=eth0\n\n[Network]\nAddress=192.0.2.7/24\n"
        "Gateway=192.0.2.1\nDNS=192.0.2.53\nDNS=2001:db8::53\n",
        "locale.conf": "LANG=de_DE.UTF-8\n",
        "default/locale": "LANG=de_DE.UTF-8\n",
        "localtime": "-> ../usr/share/zoneinfo/Etc/GMT-2",
    }
    before = (guest.files(), (guest.root / "etc/hostname").stat().st_ino)
    code, said = guest.run(data)
    assert (code, said.count("is as it should be"), "written" in said) == (0, 5, False)
    assert before == (guest.files(), (guest.root / "etc/hostname").stat().st_ino)


def test_a_dry_run_says_all_and_changes_nothing(guest: Guest) -> None:
    code, said = guest.run(told(GOOD, locale="de-DE", timezone=0), "--dry-run")
    assert (code, said.count("would be written")) == (0, 5)
    assert guest.files() == {}


def test_properties_go_before_the_platforms_and_an_exact_key_before_others(guest: Guest) -> None:
    values = {"a.hostname": "other", "hostname": "mine", "timezone": "Europe/Berlin"}
    code, said = guest.run(told({**values, "x.locale": "fr"}, locale="de-DE", timezone=0))
    assert code == 0, said
    found = guest.files()
    assert (found["hostname"], found["locale.conf"]) == ("mine\n", "LANG=fr.UTF-8\n")
    assert found["localtime"].endswith("Europe/Berlin")


@pytest.mark.parametrize(("minutes", "zone"), [(0, "Etc/UTC"), (-180, "Etc/GMT+3"), (330, "")])
def test_minutes_from_utc_become_a_zone_where_there_is_one(
    guest: Guest, minutes: int, zone: str
) -> None:
    code, said = guest.run(told({}, timezone=minutes))
    assert (code, guest.files()) == (
        (0, {"localtime": f"-> ../usr/share/zoneinfo/{zone}"}) if zone else (3, {})
    ), said


HOSTILE = (
    "$(touch {mark})", "`touch {mark}`", "a; touch {mark}", "a\ntouch {mark}", "good\n127.0.0.1 bank",
    "'; touch {mark}; '", '"; touch {mark}; "', "a && touch {mark}", "-rf", "--help", "*", "../../etc/passwd",
    "%s%n", "\\n", "a\tb", "$HOME", "${{IFS}}", "é", "\x1b[2J", "a" * 300, ".", "..",
)  # fmt: skip


@pytest.mark.parametrize("keys", ["hostname ip locale timezone", "gateway dns"])
@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_are_neither_run_nor_written_nor_printed(
    guest: Guest, keys: str, value: str
) -> None:
    mark = guest.folder / "mark"
    # What XML cannot hold is taken out when the document is written.
    value = value.format(mark=mark).replace("\x1b", "")
    values = {"ip": "192.0.2.7/24", **dict.fromkeys(keys.split(), value)}
    code, said = guest.run(told(values))
    assert (code, guest.files()) == (3, {}), said
    assert said.count("left alone") == len(keys.split())
    assert "touch" not in said
    assert not mark.exists()
    assert {each.name for each in guest.folder.iterdir()} == {"root", "ovf-env.xml"}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "document type"),
        (b"<Environment/>", "no OVF environment"),
        (b"<", "no OVF environment"),
        (b"<!--" + bytes(b"x" * (1 << 20)) + b"--><a/>", "larger than 1 MiB"),
    ],
    ids=["doctype", "namespace", "torn", "large"],
)
def test_what_is_no_environment_is_refused(guest: Guest, data: bytes, why: str) -> None:
    code, said = guest.run(data)
    assert (code, guest.files()) == (1, {})
    assert why in said


def test_the_powershell_sample_can_be_parsed(tmp_path: Path) -> None:
    tool = shutil.which("pwsh")
    if tool is None:
        pytest.skip("pwsh is not here: install PowerShell 7")
    script = (
        "$e = $null; $null = [Management.Automation.Language.Parser]::ParseFile("
        f"'{SAMPLES / 'ovf-activate.ps1'}', [ref] $null, [ref] $e); $e; exit $e.Count"
    )
    done = subprocess.run(
        [tool, "-NoProfile", "-Command", script], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"")


def test_no_sample_runs_text() -> None:
    shell, power = ((SAMPLES / f"ovf-activate.{ending}").read_text() for ending in ("sh", "ps1"))
    assert "eval" not in shell
    assert not {"invoke-expression", "iex ", "add-type"} & set(power.lower().split())


def test_the_user_data_calls_the_script() -> None:
    path = SAMPLES / "ovf-activate.user-data.yaml"
    text = path.read_text()
    assert text.startswith("#cloud-config\n")
    data = YAML(typ="safe").load(text)
    assert ["/bin/sh", "/usr/local/sbin/ovf-activate.sh"] in data["runcmd"]
    assert "ExecStart=/bin/sh /usr/local/sbin/ovf-activate.sh" in data["write_files"][0]["content"]
