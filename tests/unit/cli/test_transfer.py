"""``kensho import``, ``export`` and ``migrate``, with a real runner and the stand-in of XenServer."""

import json
import threading
from pathlib import Path

import pytest

from kensho_tui.cli.out import Exit
from kensho_tui.engine.client import Client
from kensho_tui.engine.events import Event, JobState
from kensho_tui.lab import XenLab
from kensho_tui.ovf.package import open_package
from tests.small import MIB, package
from tests.unit.cli.conftest import Kensho
from tests.unit.migration.packages import PASSWORD, sha256, shop


def names(lab: XenLab) -> list[str]:
    database = lab.toolstack.database
    with database.lock:
        return sorted(str(database.get("VM", ref, "name_label")) for ref in database.refs("VM"))


COMPLETE = (
    "--accept-eula",
    "all",
    "--property",
    "shop.hostname=shop.example.org",
    "--property",
    "shop.admin=env:SHOP_ADMIN",
)


def test_what_is_missing_is_said_with_the_option_that_gives_it(
    lab: XenLab, kensho: Kensho, tmp_path: Path
) -> None:
    before = names(lab)
    result = kensho("import", shop(tmp_path), "--to", "lab-xen")
    assert result.exit_code == Exit.FINDINGS
    lines = result.stderr.splitlines()
    missing = [line for line in lines if line.startswith("Missing: ")]
    assert len(missing) == 3
    assert "--accept-eula" in missing[0]
    assert "Host name: an answer is needed: give --property shop.hostname=VALUE" in missing[1]
    assert "--property shop.admin=env:VARIABLE" in missing[2]
    assert "You may look at it." in lines
    assert lines[-1] == "Nothing was started."
    assert result.stdout.strip() == ""
    assert names(lab) == before


def test_what_is_missing_is_data_too(lab: XenLab, kensho: Kensho, tmp_path: Path) -> None:
    result = kensho("import", shop(tmp_path), "--to", "lab-xen", "--json")
    assert result.exit_code == Exit.FINDINGS
    data = json.loads(result.stdout)
    assert data["plan"] is None
    assert len(data["missing"]) == 3
    assert data["words"]["headline"].startswith("2 machines, 3 disks")


def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    lab: XenLab, kensho: Kensho, tmp_path: Path
) -> None:
    before = names(lab)
    result = kensho("import", shop(tmp_path), "--to", "lab-xen", *COMPLETE, "--dry-run")
    assert result.exit_code == Exit.OK
    assert "2 machines, 3 disks" in result.stdout
    assert "→ lab-xen" in result.stdout
    assert "eth0→" in result.stdout
    assert "If it fails:" in result.stdout
    assert names(lab) == before
    data = json.loads(
        kensho("import", shop(tmp_path), "--to", "lab-xen", *COMPLETE, "--dry-run", "--json").stdout
    )
    # Where the password stands, for whoever does the plan again; never what it is.
    kept = data["plan"]["spec"]["properties"]["shop.admin"]
    assert kept == {"secret": "property:shop.admin", "env": "SHOP_ADMIN", "file": ""}
    assert PASSWORD not in json.dumps(data)


def test_a_package_is_imported_by_a_job_that_is_followed(
    lab: XenLab, kensho: Kensho, tmp_path: Path
) -> None:
    package = shop(tmp_path)
    result = kensho(
        "import", package, "--to", "lab-xen", *COMPLETE, "--network", "Front=storage-net",
        "--storage", "shared-nfs", "--name", "Shop", "--start", "--eject-after", "0",
        "--wait",
    )  # fmt: skip
    assert result.exit_code == Exit.OK, result.output
    assert "job succeeded" in result.stdout
    disks = {disk.machine: disk for disk in lab.disks() if disk.device == "0"}
    assert disks["web"].storage == "shared-nfs"
    raw = tmp_path / "web.raw"
    with disks["web"].file.open("rb") as file:
        (tmp_path / "arrived").write_bytes(file.read(raw.stat().st_size))
    assert sha256(tmp_path / "arrived") == sha256(raw)
    database = lab.toolstack.database
    with database.lock:
        (web,) = database.find("VM", name_label="web")
        assert database.get("VM", web, "power_state") == "Running"
    state = tmp_path / "state"
    written = b"".join(each.read_bytes() for each in state.rglob("*") if each.is_file())
    assert PASSWORD.encode() not in written
    assert PASSWORD not in result.output


def test_a_job_that_is_not_waited_for_gives_its_id(
    lab: XenLab, kensho: Kensho, tmp_path: Path
) -> None:
    answers = tmp_path / "answers.yaml"
    answers.write_text(
        "configuration: large\nname: Shop\nnetworks: {Front: null}\n"
        "properties:\n  shop.hostname: a\n  shop.admin: {env: SHOP_ADMIN}\n"
    )
    result = kensho(
        "import", shop(tmp_path), "--to", "lab-xen", "--accept-eula", "all",
        "--answers", answers, "--json",
    )  # fmt: skip
    assert result.exit_code == Exit.OK, result.output
    job = json.loads(result.stdout)["job"]
    assert kensho("job", "watch", job).exit_code == Exit.OK
    with Client.open() as client:
        view = client.job(job)
    assert view.summary.state is JobState.SUCCEEDED
    assert view.plan["spec"]["configuration"] == "large"
    assert view.plan["spec"]["machines"]["web"]["adapters"].popitem()


def test_a_licence_can_be_accepted_by_its_digest_alone(
    lab: XenLab, kensho: Kensho, tmp_path: Path
) -> None:
    package = shop(tmp_path)
    data = json.loads(kensho("import", package, "--to", "lab-xen", "--json").stdout)
    digest = next(each for each in data["missing"][0].split() if len(each.rstrip(",")) == 64)
    accepted = kensho(
        "import", package, "--to", "lab-xen", "--dry-run", *COMPLETE[2:],
        "--accept-eula", digest.rstrip(","),
    )  # fmt: skip
    assert accepted.exit_code == Exit.OK, accepted.output
    other = kensho("import", package, "--to", "lab-xen", "--accept-eula", "0" * 64)
    assert other.exit_code == Exit.INPUT
    assert "Licences here: " in other.stderr


@pytest.mark.parametrize(
    ("options", "says", "code"),
    [
        (["--network", "Frnt=storage-net"], "Do you mean 'Front'", Exit.INPUT),
        (["--network", "Front=storage-nt"], "Do you mean 'storage-net'", Exit.INPUT),
        (["--network", "Front"], "Write --network NAME=TARGET", Exit.INPUT),
        (["--storage", "iso-library"], "Possible are:", Exit.INPUT),
        (["--home", "xen09"], "Known are: lab-pool", Exit.INPUT),
        (["--configuration", "huge"], "Known are: small, large", Exit.INPUT),
        (["--property", "shop.hostnme=x"], "Do you mean 'shop.hostname'", Exit.INPUT),
        (["--property", "shop.admin=hunter2"], "must not stand on the command line", Exit.INPUT),
        (["--storage", "tiny-sr", *COMPLETE], "There", Exit.OK),
    ],
)
def test_what_is_not_there_is_said_with_what_is(
    lab: XenLab, kensho: Kensho, tmp_path: Path, options: list[str], says: str, code: Exit
) -> None:
    result = kensho("import", shop(tmp_path), "--to", "lab-xen", "--dry-run", *options)
    assert result.exit_code == code, result.output
    if code:
        assert says in result.stderr
    assert "hunter2" not in result.output


def test_a_file_that_is_no_package_is_one_sentence(
    lab: XenLab, kensho: Kensho, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.ova"
    wrong.write_text("hello")
    result = kensho("import", wrong, "--to", "lab-xen")
    assert result.exit_code in (Exit.INPUT, Exit.PLATFORM)
    assert result.stderr.startswith("Error: wrong.ova: ")
    assert "Traceback" not in result.stderr


def test_machines_are_exported_to_a_folder(lab: XenLab, kensho: Kensho, tmp_path: Path) -> None:
    output = tmp_path / "legacy"
    result = kensho("export", "lab-xen", "legacy-app", "--output", output, "--wait")
    assert result.exit_code == Exit.OK, result.output
    assert [each.suffix for each in sorted(output.iterdir()) if each.suffix == ".ovf"] == [".ovf"]
    other = tmp_path / "other"
    words = ("--output", other, "--disk-format", "qcow2", "--wait")
    assert kensho("export", "lab-xen", "legacy-app", *words).exit_code == Exit.OK
    images = [each for each in other.iterdir() if each.suffix == ".qcow2"]
    assert {each.read_bytes()[:4] for each in images} == {b"QFI\xfb"}
    assert len(images) == 2
    output = tmp_path / "legacy.ova"
    output.write_bytes(b"")
    again = kensho("export", "lab-xen", "legacy-app", "--output", output)
    assert again.exit_code == Exit.FINDINGS
    assert "already" in again.stdout


def test_machines_are_exported_for_those_who_import_them(
    lab: XenLab, kensho: Kensho, tmp_path: Path
) -> None:
    for profile, ending in (("virtualbox", ".vmdk"), ("xenserver", ".vhd")):
        output = tmp_path / f"{profile}.ova"
        words = ("--output", output, "--profile", profile, "--dry-run")
        said = kensho("export", "lab-xen", "legacy-app", *words)
        assert said.exit_code == Exit.OK, said.output
        assert ("XenCenter's" in said.stdout) == (profile == "virtualbox")
        result = kensho("export", "lab-xen", "legacy-app", *words[:-1], "--wait")
        assert result.exit_code == Exit.OK, result.output
        checked = kensho("package", "check", output, "--for", profile)
        assert checked.exit_code == Exit.OK, checked.stdout
        assert {each.suffix for each in map(Path, open_package(output).places)} == {
            ".ovf", ".mf", ending,
        }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("x.zip", ()),
        ("x.ova.gz", ()),
        ("x.ova", ("--format", "ovf")),
        ("x.ovf", ("--format", "ova")),
    ],
)
def test_an_export_under_a_name_that_contradicts_it_is_refused(
    lab: XenLab, kensho: Kensho, tmp_path: Path, name: str, more: tuple[str, ...]
) -> None:
    done = kensho(
        "export", "lab-xen", "legacy-app", "--output", tmp_path / name, *more, "--dry-run"
    )
    assert (done.exit_code, name in done.stderr) == (Exit.INPUT, True), done.output


def test_a_machine_that_is_not_there_is_said_with_the_nearest(
    lab: XenLab, kensho: Kensho, tmp_path: Path
) -> None:
    result = kensho("export", "lab-xen", "legacy-ap", "--output", tmp_path / "x.ova")
    assert result.exit_code == Exit.INPUT
    assert "The nearest name is 'legacy-app'" in result.stderr


def test_a_running_machine_is_migrated_from_a_snapshot_only(lab: XenLab, kensho: Kensho) -> None:
    refused = kensho("migrate", "lab-xen", "files01", "--to", "lab-xen", "--dry-run")
    assert refused.exit_code == Exit.FINDINGS
    assert "The machine is running" in refused.stdout
    before = names(lab)
    done = kensho("migrate", "lab-xen", "files01", "--to", "lab-xen", "--snapshot", "--wait")
    assert done.exit_code == Exit.OK, done.output
    assert names(lab) == sorted([*before, "files01"])


def test_answers_that_are_no_text_are_refused_in_a_sentence(
    lab: XenLab, kensho: Kensho, tmp_path: Path
) -> None:
    answers = tmp_path / "answers.yaml"
    answers.write_bytes(b"home: \xff\n")
    path, _ = package(tmp_path, "victim", [MIB])
    result = kensho("import", path, "--to", "lab-xen", "--answers", answers)
    assert result.exit_code == Exit.INPUT
    assert f"{answers}: this is no UTF-8 text" in result.stderr


def test_machines_are_exported_separately_each_by_a_job_of_its_own(
    lab: XenLab, kensho: Kensho, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    result = kensho(
        "export", "lab-xen", "legacy-app", "files01", "--snapshot", "--output", folder,
        "--separately", "--batch", "wave-1", "--json",
    )  # fmt: skip
    assert result.exit_code == Exit.OK, result.output
    started = json.loads(result.stdout)
    assert started["batch"] == "wave-1"
    assert f"→ 2 packages in {folder}\n" in result.stderr
    watched = kensho("job", "watch", "--batch", "wave-1")
    assert watched.exit_code == Exit.OK, watched.output
    assert sorted(each.name for each in folder.iterdir()) == ["files01.ova", "legacy-app.ova"]
    with Client.open(start=False) as client:
        jobs = {each.name: each for each in client.jobs()}
    assert sorted(jobs) == ["files01", "legacy-app"]
    assert {each.id for each in jobs.values()} == set(started["jobs"])
    assert {each.machines for each in jobs.values()} == {1}
    # What is there already is said before anything is started.
    again = kensho(
        "export", "lab-xen", "files01", "legacy-app", "--snapshot", "--output", folder, "--separately"
    )  # fmt: skip
    assert again.exit_code == Exit.FINDINGS
    (folder / "files01.ova").unlink()
    again = kensho(
        "export", "lab-xen", "files01", "legacy-app", "--snapshot", "--output", folder, "--separately"
    )  # fmt: skip
    assert again.exit_code == Exit.FINDINGS, "the second of them is still there"
    assert "Nothing was started." in again.stderr
    with Client.open(start=False) as client:
        assert len(client.jobs()) == 2


def addresses(lab: XenLab, name: str) -> list[str]:
    """MAC addresses of the machine of that name."""
    database = lab.toolstack.database
    with database.lock:
        (vm,) = database.find("VM", name_label=name)
        return sorted(str(database.get("VIF", v, "MAC")) for v in database.get("VM", vm, "VIFs"))


@pytest.mark.parametrize("mac", ["keep", "generate"])
def test_addresses_are_kept_or_left_to_the_target(
    lab: XenLab, kensho: Kensho, tmp_path: Path, mac: str
) -> None:
    before = addresses(lab, "files01")
    assert before
    answers = tmp_path / "answers.yaml"
    answers.write_text(f"mac: {mac}\nmachines: {{files01: {{name: moved}}}}\n")
    moved = kensho(
        "migrate", "lab-xen", "files01", "--to", "lab-xen", "--snapshot", "--storage", "local-sr",
        "--answers", answers, "--wait",
    )  # fmt: skip
    assert moved.exit_code == Exit.OK, moved.output
    after = addresses(lab, "moved")
    assert len(after) == len(before)
    assert all(after)
    assert (after == before) is (mac == "keep")
    written = kensho(
        "export", "lab-xen", "files01", "--snapshot", "--output", tmp_path / "p.ovf", "--format",
        "ovf", "--mac", mac, "--wait",
    )  # fmt: skip
    assert written.exit_code == Exit.OK, written.output
    (descriptor,) = (tmp_path / "p.ovf").parent.rglob("*.ovf")
    text = descriptor.read_text().lower()
    assert (before[0].lower() in text) is (mac == "keep")


def test_machines_that_do_not_belong_together_are_not_undone_together(
    lab: XenLab, kensho: Kensho, tmp_path: Path
) -> None:
    answers = tmp_path / "answers.yaml"
    answers.write_text("machines:\n  legacy-app: {name: moved1}\n  files01: {name: moved2}\n")
    options = ("--to", "lab-xen", "--snapshot", "--answers", answers, "--storage", "local-sr")
    asked = ("migrate", "lab-xen", "legacy-app", "files01", *options, "--separately")
    dry = kensho(*asked, "--dry-run")
    assert dry.exit_code == Exit.OK, dry.output
    assert "2 jobs, each for itself:\n  moved1\n  moved2" in dry.stdout
    lab.control.set(refuse_disk="files01 system")
    done = kensho(*asked, "--wait")
    assert done.exit_code == Exit.FAILED, done.output
    assert "moved1" in names(lab)
    assert "moved2" not in names(lab)
    with Client.open(start=False) as client:
        jobs = {each.name: each for each in client.jobs()}
    assert jobs["moved1"].state is JobState.SUCCEEDED
    assert jobs["moved2"].state is JobState.FAILED
    batch = jobs["moved1"].batch
    assert batch == jobs["moved2"].batch != ""
    lab.control.reset()
    again = kensho("job", "retry", "--batch", batch, "--wait")
    assert again.exit_code == Exit.OK, again.output
    assert names(lab).count("moved1") == names(lab).count("moved2") == 1
    named = kensho(*asked, "--name", "both")
    assert named.exit_code == Exit.INPUT
    assert "--batch names the jobs together" in named.stderr


WHEN = (
    "--start-at", "2099-12-01 22:00 Europe/Berlin",
    "--window", "mon-fri 22:00-04:00 Europe/Berlin",
    "--cutover-window", "sat 20:00-24:00 UTC",
    "--bandwidth", "20M mon-fri 07:00-18:00 Europe/Berlin",
    "--bandwidth", "1.5 GiB",
    "--priority", "7",
    "--disks-at-once", "3",
)  # fmt: skip


def test_when_and_how_fast_a_job_runs_is_said_by_options(
    lab: XenLab, kensho: Kensho, tmp_path: Path
) -> None:
    where = ("import", shop(tmp_path), "--to", "lab-xen", *COMPLETE)
    result = kensho(*where, *WHEN, "--dry-run", "--json")
    assert result.exit_code == Exit.OK, result.output
    run = json.loads(result.stdout)["plan"]["spec"]["run"]
    day = {"zone": "Europe/Berlin", "days": ["mon", "tue", "wed", "thu", "fri"]}
    assert run | {"retry": {}} == {
        "priority": 7,
        "disks_at_once": 3,
        "bandwidth": {
            "limit": 3 << 29,
            "times": [{**day, "from": "07:00", "to": "18:00", "limit": 20 << 20}],
        },
        "not_before": "2099-12-01T21:00:00Z",
        "window": {**day, "from": "22:00", "to": "04:00"},
        "cutover": {"zone": "UTC", "days": ["sat"], "from": "20:00", "to": "00:00"},
        "retry": {},
    }
    words = kensho(*where, *WHEN, "--dry-run").stdout
    for each in (
        "Begins not before 2099-12-01 21:00 UTC.",
        "Works only mon-fri 22:00-04:00 Europe/Berlin, and is paused in between.",
        "Moves at most 20 MiB/s mon-fri 07:00-18:00 Europe/Berlin.",
        "Moves at most 1.5 GiB/s otherwise.",
    ):
        assert each in words
    for option, wrong, reason in (
        ("--window", "whenever", "no window of time"),
        ("--start-at", "soon", "no moment"),
        ("--bandwidth", "fast", "no limit"),
    ):
        refused = kensho(*where, option, wrong)
        assert refused.exit_code == Exit.USAGE
        assert reason in refused.stderr
    # Scheduled for a far day, it is told what it waits for, and can be paused, steered and cancelled.
    done = kensho(*where, "--start-at", "2099-12-01T21:00Z", "--json")
    job = json.loads(done.stdout)["job"]
    with Client.open() as client:
        alarm = threading.Timer(60, client.close)
        alarm.start()
        for update in client.watch(job):
            if isinstance(update, Event) and update.data.get("state") == JobState.SCHEDULED:
                break
        alarm.cancel()
    shown = kensho("job", "show", job).stdout
    assert "begins at 2099-12-01T21:00:00.000Z" in shown
    assert f"{job}: paused by " in kensho("job", "pause", job).stderr
    assert "20 MiB/s" in [kensho("job", "limit", job, "20M"), kensho("job", "show", job)][1].stdout
    assert kensho("job", "limit", job, "20").exit_code == Exit.USAGE
    assert json.loads(kensho("job", "priority", job, "9", "--json").stdout)["priority"] == 9
    assert kensho("job", "resume", job).exit_code == Exit.OK
    assert kensho("job", "cancel", job, "--wait").exit_code == Exit.CANCELLED
    assert kensho("job", "pause", job).exit_code == Exit.INPUT
