"""Packages as source and as target of a job, against the stand-in of XenServer."""

import gzip
import hashlib
import lzma
import subprocess
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from backends.base import Kind
from kensho_tui.errors import KenshoError
from kensho_tui.migration.draft import Draft
from kensho_tui.migration.plan import DiskFormat, PackageFormat, Plan
from kensho_tui.migration.run import run_job
from kensho_tui.migration.sessions import Reading
from kensho_tui.migration.target import find_machines
from kensho_tui.ovf.package import open_package
from kensho_tui.ovf.rewrite import Wanted, rewrite
from kensho_tui.ovf.sign import KeySigner
from tests.unit.migration.conftest import World
from tests.unit.migration.memory import KilledError, MemoryContext
from tests.unit.migration.packages import PASSWORD, sha256, shop
from tests.unit.ovf.certificates import authority, identity, publisher, rsa_key


def import_plan(
    world: World,
    path: Path | str,
    *,
    start: bool = False,
    configuration: str = "",
    signed_by: Sequence[str] = (),
) -> tuple[Plan, dict[str, str]]:
    """The plan that imports the package to ``new``, and its secrets."""
    draft = Draft()
    with world.sessions() as sessions:
        draft.load_package(sessions, str(path), Reading(signed_by=tuple(signed_by)))
        draft.load_target(sessions, "new")
        if configuration:
            draft.choose_configuration(sessions, configuration)
        for licence in draft.licences():
            draft.accept_licence(licence.digest, "anna")
        asked = {each.key: each.address for each in draft.properties()}
        draft.set_property(next(a for k, a in asked.items() if "hostname" in k), "shop.example.org")
        draft.set_property(next(a for k, a in asked.items() if "admin" in k), PASSWORD)
        draft.start = start
        draft.check(sessions)
    return draft.plan(), {**world.secrets, **draft.secrets()}


def on_lab(world: World, machine: str, device: str) -> Path:
    (disk,) = [d for d in world.new.disks() if (d.machine, d.device) == (machine, device)]
    return disk.file


def start_of(path: Path, length: int) -> str:
    """Digest of the first bytes: the target may have rounded the disk up."""
    return hashlib.sha256(path.read_bytes()[:length]).hexdigest()


def test_a_package_becomes_running_machines_with_its_disks_and_settings(
    world: World, tmp_path: Path
) -> None:
    plan, secrets = import_plan(world, shop(tmp_path), start=True, configuration="large")
    context = MemoryContext(secrets)
    outcome = run_job(context, plan)
    assert outcome.state == "succeeded", outcome.error
    assert [each["started"] for each in outcome.result["machines"]] == [True, True]
    ((asked_for, rules),) = context.expected.items()
    assert (asked_for, rules.qualifiers) == ("property:shop.admin", "MinLen(4)")
    for name in ("web", "db"):
        raw = tmp_path / f"{name}.raw"
        assert start_of(on_lab(world, name, "0"), raw.stat().st_size) == sha256(raw)
    database = world.new.toolstack.database
    with database.lock:
        (web,) = database.find("VM", name_label="web")
        assert database.get("VM", web, "VCPUs_max") == 4
        networks = {
            database.get("network", database.get("VIF", vif, "network"), "name_label")
            for vif in database.get("VM", web, "VIFs")
        }
    assert networks == {"Pool-wide eth0", "VLAN 10"}
    assert "environment" in context.steps("done")


@pytest.mark.parametrize("kind", ["gz", "xz", "zip"])
def test_a_wrapped_package_becomes_machines_too(world: World, tmp_path: Path, kind: str) -> None:
    path = shop(tmp_path)
    packed = path.with_name(f"shop.ova.{kind}")
    if kind == "zip":
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, "shop.ova")
    else:
        pack = gzip.compress if kind == "gz" else lzma.compress
        packed.write_bytes(pack(path.read_bytes()))
    path.unlink()
    plan, secrets = import_plan(world, packed)
    outcome = run_job(MemoryContext(secrets), plan)
    assert outcome.state == "succeeded", outcome.error
    for name in ("web", "db"):
        raw = tmp_path / f"{name}.raw"
        assert start_of(on_lab(world, name, "0"), raw.stat().st_size) == sha256(raw)


def test_the_answers_reach_the_guest_and_the_password_nothing_else(
    world: World, tmp_path: Path
) -> None:
    plan, secrets = import_plan(world, shop(tmp_path))
    told = plan.spec.model_copy(update={"locale": "de-DE", "timezone": "Asia/Kolkata"})
    plan = plan.model_copy(update={"spec": told})
    context = MemoryContext(secrets)
    assert run_job(context, plan).state == "succeeded"
    contents = [disk.file.read_bytes() for disk in world.new.disks() if disk.machine == "web"]
    (environment,) = [data for data in contents if b"shop.example.org" in data]
    assert PASSWORD.encode() in environment
    for name, said in (("Locale", "de-DE"), ("Timezone", "330"), ("Kind", "XenServer")):
        assert f"<{name}>{said}</{name}>".encode() in environment.replace(b"oe:", b"")
    check = context.past("check")
    assert check is not None
    (way,) = [e for e in check.result["findings"] if e["id"] == "environment-transport"]
    assert "because the appliance names none" in way["message"]
    assert PASSWORD not in plan.model_dump_json()
    assert PASSWORD not in "".join(context.journal)


def test_the_files_that_the_descriptor_names_lie_beside_the_answers(
    world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    with tarfile.open(shop(tmp_path)) as archive:
        archive.extractall(folder, filter="data")
    (descriptor,) = folder.glob("*.ovf")
    (manifest,) = folder.glob("*.mf")
    manifest.unlink()
    section = (
        '<EnvironmentFilesSection xmlns="http://schemas.dmtf.org/ovf/envelope/2"'
        ' xmlns:o="http://schemas.dmtf.org/ovf/envelope/2"><Info>Files</Info>'
        '<File o:fileRef="conf" o:path="conf/host.conf"/></EnvironmentFilesSection>'
    )
    text = descriptor.read_text(encoding="utf-8")
    text = text.replace("<References>", '<References><File ovf:id="conf" ovf:href="h.conf"/>')
    text = text.replace("<Name>web</Name>", f"<Name>web</Name>{section}")
    descriptor.write_text(text, encoding="utf-8")
    (folder / "h.conf").write_bytes(b"beside the answers")
    plan, secrets = import_plan(world, descriptor)
    context = MemoryContext(secrets)
    outcome = run_job(context, plan)
    assert outcome.state == "succeeded", outcome.error
    check = context.past("check")
    assert check is not None
    (way,) = [e for e in check.result["findings"] if e["id"] == "environment-transport"]
    assert "with 1 file of the package beside them" in way["message"]
    found = {}
    for disk in world.new.disks():
        data = disk.file.read_bytes()
        if b"shop.example.org" in data and data[0x8001:0x8006] == b"CD001":
            found[disk.machine] = b"beside the answers" in data and b"HOST.CON" in data
    assert found == {"web": True, "db": False}


def test_a_package_that_does_not_match_its_manifest_leaves_nothing_behind(
    world: World, tmp_path: Path
) -> None:
    before = world.state(world.new)
    plan, secrets = import_plan(world, shop(tmp_path, damage="db.vmdk"))
    outcome = run_job(MemoryContext(secrets), plan)
    assert outcome.state == "failed"
    assert "db.vmdk" in str(outcome.error)
    assert world.state(world.new) == before


def test_a_licence_that_is_not_accepted_stops_the_job_too(world: World, tmp_path: Path) -> None:
    plan, secrets = import_plan(world, shop(tmp_path))
    tampered = plan.model_copy(update={"spec": plan.spec.model_copy(update={"licences": ()})})
    context = MemoryContext(secrets)
    outcome = run_job(context, tampered)
    assert outcome.state == "failed"
    assert "licence 1 is not accepted" in str(outcome.error)
    assert "deploy" not in context.steps("begin")


def test_a_package_that_was_exchanged_while_it_is_moved_ends_the_job(
    world: World, tmp_path: Path
) -> None:
    before = world.state(world.new)
    path = shop(tmp_path)
    plan, secrets = import_plan(world, path)
    first = MemoryContext(secrets)

    def kill(kind: str, step: str) -> None:
        if kind == "begin" and step == "commit":
            raise KilledError

    first.on = kill
    with pytest.raises(KilledError):
        run_job(first, plan)
    path.write_bytes(shop(tmp_path, manifest=False).read_bytes())
    outcome = run_job(MemoryContext(secrets, first.journal), plan)
    assert outcome.state == "failed"
    assert "changed while it was being moved" in str(outcome.error)
    assert world.state(world.new) == before


def export_plan(
    world: World, output: Path, format_: str = "ova", disk_format: DiskFormat = "vmdk"
) -> Plan:
    draft = Draft()
    with world.sessions() as sessions:
        refs = find_machines(sessions.get("old"), frozenset({Kind.MACHINE}), ["legacy-app"], "old")
        draft.load_machines(sessions, "old", refs)
        form: PackageFormat = "ova" if format_ == "ova" else "ovf"
        draft.load_target_package(sessions, str(output), form, disk_format)
        draft.check(sessions)
    return draft.plan()


def raw_of(image: Path) -> str:
    """Digest of what an image holds, as qemu-img reads it."""
    raw = image.with_suffix(".check")
    subprocess.run(["qemu-img", "convert", "-O", "raw", image, raw], check=True)
    digest = sha256(raw)
    raw.unlink()
    return digest


@pytest.mark.parametrize("format_", ["ova", "ovf"])
@pytest.mark.parametrize("killed", ["", "begin disk", "done disk", "begin commit", "done commit"])
def test_machines_become_a_package_even_if_the_runner_is_killed(
    world: World, tmp_path: Path, killed: str, format_: str
) -> None:
    output = tmp_path / "out"
    output.mkdir()
    name = "legacy.ova" if format_ == "ova" else "legacy"
    plan = export_plan(world, output / name, format_)
    context = MemoryContext(world.secrets)

    def kill(kind: str, step: str) -> None:
        if killed == f"{kind} {step.split(':')[0]}":
            raise KilledError

    context.on = kill
    if killed:
        with pytest.raises(KilledError):
            run_job(context, plan)
        context = MemoryContext(world.secrets, context.journal)
    outcome = run_job(context, plan)
    assert outcome.state == "succeeded", outcome.error
    inside = "legacy.ova" if format_ == "ova" else "legacy/legacy.ovf"
    assert outcome.result["location"] == str(output / inside)
    assert [each.name for each in output.iterdir()] == [name]
    package = open_package(output / name)
    appliance, findings = package.appliance()
    assert [each for each in findings if each.severity == "error"] == []
    assert [each.name for each in appliance.machines] == ["legacy-app"]
    assert len(appliance.disks) == 2


@pytest.mark.parametrize("disk_format", ["vmdk", "vhd", "vhdx", "qcow2"])
def test_what_was_exported_holds_the_same_bytes_and_can_be_imported(
    world: World, tmp_path: Path, disk_format: DiskFormat
) -> None:
    output = tmp_path / "legacy"
    plan = export_plan(world, output, "ovf", disk_format)
    outcome = run_job(MemoryContext(world.secrets), plan)
    assert outcome.state == "succeeded", outcome.error
    sources = [disk.file for disk in world.old.disks() if disk.machine == "legacy-app"]
    images = sorted(each for each in output.iterdir() if each.suffix == f".{disk_format}")
    assert len(images) == len(sources)
    assert sorted(raw_of(each) for each in images) == sorted(sha256(each) for each in sources)
    draft = Draft()
    with world.sessions() as sessions:
        described = draft.load_package(sessions, str(output))
        draft.load_target(sessions, "new")
        draft.rename(described.appliance.machines[0].id, "again")
        draft.check(sessions)
        assert draft.blocking() == []
    assert run_job(MemoryContext(world.secrets), draft.plan()).state == "succeeded"
    names = {disk.device: disk.file for disk in world.old.disks() if disk.machine == "legacy-app"}
    for device, file in names.items():
        assert sha256(on_lab(world, "again", device)) == sha256(file)


def test_a_cancelled_export_leaves_no_file(world: World, tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    plan = export_plan(world, output / "legacy.ova")
    context = MemoryContext(world.secrets)

    def cancel(kind: str, step: str) -> None:
        if kind == "begin" and step.startswith("disk"):
            context.cancel.cancel()

    context.on = cancel
    assert run_job(context, plan).state == "cancelled"
    assert list(output.iterdir()) == []


def test_an_existing_file_is_not_overwritten(world: World, tmp_path: Path) -> None:
    output = tmp_path / "legacy.ova"
    plan = export_plan(world, output)
    output.write_text("mine")
    outcome = run_job(MemoryContext(world.secrets), plan)
    assert outcome.state == "failed"
    assert "already" in str(outcome.error)
    assert output.read_text() == "mine"


def test_damage_in_what_only_passes_is_found_where_no_digest_would_show_it(
    world: World, tmp_path: Path
) -> None:
    path = shop(tmp_path, manifest=False, damage="web.vmdk")
    draft = Draft()
    with world.sessions() as sessions:
        draft.load_package(sessions, str(path))
        draft.load_target_package(sessions, str(tmp_path / "copy"), "ovf")
        draft.check(sessions)
    outcome = run_job(MemoryContext({}), draft.plan())
    assert outcome.state == "failed"
    assert "VMDK grain" in str(outcome.error)
    assert "web.vmdk" in str(outcome.error)
    assert not (tmp_path / "copy").exists()


def test_a_package_can_be_written_anew_in_another_form(world: World, tmp_path: Path) -> None:
    path = shop(tmp_path)
    draft = Draft()
    with world.sessions() as sessions:
        draft.load_package(sessions, str(path))
        draft.load_target_package(sessions, str(tmp_path / "copy"), "ovf")
        draft.check(sessions)
    outcome = run_job(MemoryContext({}), draft.plan())
    assert outcome.state == "succeeded", outcome.error
    images = sorted(raw_of(each) for each in (tmp_path / "copy").glob("*.vmdk"))
    assert images == sorted(sha256(tmp_path / f"{name}.raw") for name in ("web", "db"))
    appliance, _ = open_package(tmp_path / "copy").appliance()
    assert {each.key for each in appliance.properties} == {"shop.hostname", "shop.admin"}
    assert [each.text for each in appliance.licences] == ["You may look at it."]


def test_a_package_that_has_to_be_signed_is_moved_where_it_is_and_refused_where_not(
    world: World, tmp_path: Path
) -> None:
    _, trusted = authority().save(tmp_path, "authority")
    path = shop(tmp_path)
    with pytest.raises(KenshoError, match="carries no signature"):
        import_plan(world, path, signed_by=[str(trusted)])
    stranger = identity("Stranger", rsa_key(3))
    rewrite(open_package(path), Wanted(signer=KeySigner(stranger.key, [stranger.certificate])))
    with pytest.raises(KenshoError, match="answers for itself"):
        import_plan(world, path, signed_by=[str(trusted)])
    who = publisher()
    rewrite(open_package(path), Wanted(signer=KeySigner(who.key, [who.certificate])))
    plan, secrets = import_plan(world, path, signed_by=[str(trusted)])
    assert plan.spec.signed_by == (str(trusted),)
    context = MemoryContext(secrets)
    outcome = run_job(context, plan)
    assert outcome.state == "succeeded", outcome.error
