"""``kensho job report`` of jobs that really ran on the stand-in of XenServer."""

import csv
import hashlib
import json
import tarfile
from io import StringIO
from pathlib import Path

import lxml.html

from kensho_tui.cli.out import Exit
from kensho_tui.lab import XenLab
from tests.unit.cli.conftest import Kensho
from tests.unit.migration.packages import PASSWORD, shop
from tests.unit.migration.test_run import digests

HOSTILE = '=1+1|<img src=x onerror="alert(1)">|*b*'


def test_an_import_is_reported_with_digests_answers_and_ids_and_without_secrets(
    lab: XenLab, kensho: Kensho, tmp_path: Path
) -> None:
    package = shop(tmp_path)
    done = kensho(
        "import", package, "--to", "lab-xen", "--accept-eula", "all", "--storage", "shared-nfs",
        "--property", "shop.hostname=shop.example.org", "--property", "shop.admin=env:SHOP_ADMIN",
        "--batch", "wave-1", "--wait",
    )  # fmt: skip
    assert done.exit_code == Exit.OK, done.output
    told = {name: kensho("job", "report", "--batch", "wave-1", "--format", name) for name in
            ("json", "csv", "md", "html")}  # fmt: skip
    assert {each.exit_code for each in told.values()} == {Exit.OK}
    for each in told.values():
        assert PASSWORD not in each.output
    (job,) = json.loads(told["json"].stdout)
    assert job["state"] == "succeeded"
    assert job["source"] == str(package)
    assert job["properties"] == {"shop.hostname": "shop.example.org", "shop.admin": "(secret)"}
    assert len(job["licences"]) == 1
    assert {each["target"] for each in job["machines"]} == {"web", "db"}
    database = lab.toolstack.database
    with database.lock:
        uuids = {kind: {str(database.get(kind, ref, "uuid")) for ref in database.refs(kind)}
                 for kind in ("VM", "VDI")}  # fmt: skip
    assert {each["target_id"] for each in job["machines"]} <= uuids["VM"]
    assert {each["target_id"] for each in job["disks"]} <= uuids["VDI"]
    assert {each["storage"] for each in job["disks"]} == {"shared-nfs"}
    with tarfile.open(package) as archive:
        members = {
            hashlib.sha256(content.read()).hexdigest()
            for each in archive
            if each.name.endswith(".vmdk") and (content := archive.extractfile(each))
        }
    moved = [each for each in job["disks"] if each["state"] == "done"]
    assert {each["source_digest"].removeprefix("sha256 ") for each in moved} == members
    assert [each["state"] for each in job["disks"]].count("blank") == 1
    assert all(each["capacity"] and each["read"] and each["seconds"] >= 0 for each in moved)
    assert len(list(csv.reader(StringIO(told["csv"].stdout)))) == 1 + len(job["disks"])
    assert "Accepted by" in told["md"].stdout


def test_an_export_is_reported_with_the_digest_of_what_was_written_whatever_names_are(
    lab: XenLab, kensho: Kensho, tmp_path: Path
) -> None:
    database = lab.toolstack.database
    with database.lock:
        (vm,) = database.find("VM", name_label="legacy-app")
        database.set("VM", vm, name_label=HOSTILE)
        uuid = str(database.get("VM", vm, "uuid"))
    out = tmp_path / "out.ova"
    done = kensho("export", "lab-xen", uuid, "--output", out, "--wait")
    assert done.exit_code == Exit.OK, done.output
    jobs = json.loads(kensho("job", "list", "--json").stdout)
    page = tmp_path / "report.html"
    written = kensho("job", "report", jobs[0]["id"], "--output", page)
    assert written.exit_code == Exit.OK, written.output
    assert page.stat().st_mode & 0o777 == 0o600
    read = lxml.html.fromstring(page.read_text())
    assert not read.xpath("//img|//script")
    assert HOSTILE in read.text_content()
    refused = kensho("job", "report", jobs[0]["id"], "--output", page)
    assert refused.exit_code == Exit.INPUT
    assert "--force" in refused.stderr
    (job,) = json.loads(kensho("job", "report", jobs[0]["id"], "--format", "json").stdout)
    with tarfile.open(out) as archive:
        members = {
            hashlib.sha256(content.read()).hexdigest()
            for each in archive
            if each.name.endswith(".vmdk") and (content := archive.extractfile(each))
        }
    assert {each["target_digest"].removeprefix("sha256 ") for each in job["disks"]} == members
    assert len(digests(lab, HOSTILE)) == len(members)
    assert job["location"] == str(out)
    rows = list(
        csv.reader(StringIO(kensho("job", "report", jobs[0]["id"], "--format", "csv").stdout))
    )
    assert rows[1][5] == f"'{HOSTILE}"
    assert kensho("job", "report").exit_code == Exit.USAGE
    # The same from the file that the job was archived to.
    assert kensho("journal", "archive", jobs[0]["id"], "--output", tmp_path).exit_code == Exit.OK
    (file,) = tmp_path.glob("*.kensho-job.gz")
    (again,) = json.loads(kensho("job", "report", "--archived", file, "--format", "json").stdout)
    assert again == job
    gone = kensho("job", "report", jobs[0]["id"])
    assert gone.exit_code == Exit.INPUT
