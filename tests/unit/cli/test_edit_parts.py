"""Commands that put parts into a package and take them out, on packages as files."""

import hashlib
from pathlib import Path

import pytest

from kensho_tui.cli.out import Exit
from kensho_tui.machine import Appliance, Bus, Medium
from kensho_tui.ovf.package import open_package
from tests.unit.cli.test_edit import DISK, image, made, run
from tests.unit.cli.test_signing import contents


def done(path: Path, *arguments: object, configuration: str | None = None) -> Appliance:
    """The appliance after that command, which has to work and to leave an intact package."""
    command, *rest = arguments
    result = run(command, path, *rest)
    assert result.exit_code == Exit.OK, result.stderr
    assert run("verify", path).exit_code == Exit.OK
    return open_package(path).appliance(configuration)[0]


def test_devices_come_and_go(tmp_path: Path) -> None:
    path = made(tmp_path)
    found = done(path, "add-adapter", "--machine", "db", "--network", "front", "--type", "E1000",
                 "--mac", "005056AABB01")  # fmt: skip
    adapter = found.machine("db").adapters[-1]
    assert (adapter.network, adapter.model, adapter.mac) == ("front", "E1000", "00:50:56:aa:bb:01")
    found = done(
        path, "add-adapter", "--machine", "db", "--configuration", "large", configuration="small"
    )
    assert len(found.machine("db").adapters) == 2
    found = done(path, "add-controller", "sata", "--machine", "db")
    assert [each.bus for each in found.machine("db").controllers] == [Bus.SATA]
    found = done(path, "add-drive", "cdrom", "--machine", "db")
    assert [each.medium for each in found.machine("db").attachments] == [Medium.CDROM]
    found = done(path, "attach-disk", "d", "--machine", "db")
    assert [each.disk for each in found.machine("db").attachments] == [None, "d"]
    done(path, "add-serial", "--machine", "db", "--address", "telnet://:9101")
    done(path, "remove-device", "Serial port 1", "--machine", "db")
    refused = run("remove-device", path, "SATA controller 0", "--machine", "db")
    assert (refused.exit_code, "drives hang on it" in refused.stderr) == (Exit.INPUT, True)
    found = done(path, "edit", "--machine", "db", "--set", "adapters=1", "--set", "network:40=front",
                 "--set", "connected:40=no", "--set", "place:Hard disk (d)=SATA controller 0:9")  # fmt: skip
    db = found.machine("db")
    assert [(each.network, each.connected) for each in db.adapters] == [("front", False)]
    assert [each.unit for each in db.attachments if each.disk] == [9]


def test_a_disk_goes_to_the_place_that_is_named(tmp_path: Path) -> None:
    path = made(tmp_path)
    disk = image(tmp_path / "more.qcow2", "qcow2")
    done(path, "add-controller", "sata", "--machine", "web")
    place = ("--place", "SATA controller 0:3")
    found = done(path, "add-disk", disk, "--machine", "web", *place).machine("web")
    bus = {each.id: each.bus for each in found.controllers}
    assert [(bus[each.controller or ""], each.unit) for each in found.attachments] == [
        (Bus.SCSI, 0), (Bus.SATA, 3),
    ]  # fmt: skip
    refused = run("add-disk", path, disk, "--machine", "web", "--as", "b.qcow2", *place)
    assert (refused.exit_code, "is on that place already" in refused.stderr) == (Exit.INPUT, True)


@pytest.mark.parametrize("archive", [True, False])
def test_a_file_gets_another_name_and_stays_intact(tmp_path: Path, archive: bool) -> None:
    path = made(tmp_path, archive=archive)
    found = done(path, "rename-file", "d.vmdk", "system.vmdk")
    assert [each.image for each in found.disks.values()] == ["system.vmdk"]
    assert contents(path)["system.vmdk"] == DISK
    assert "d.vmdk" not in contents(path)


def test_a_rename_that_fails_leaves_a_folder_as_it_was(tmp_path: Path) -> None:
    path = made(tmp_path, archive=False)
    (path / "d.vmdk" if path.is_dir() else path.parent / "d.vmdk").write_bytes(b"damaged...")
    before = contents(path)
    refused = run("rename-file", path, "d.vmdk", "system.vmdk")
    assert (refused.exit_code, "does not match the manifest" in refused.stderr) == (
        Exit.INPUT,
        True,
    )
    assert contents(path) == before


def test_networks_and_options(tmp_path: Path) -> None:
    path = made(tmp_path)
    done(path, "add-network", "spare", "--description", "Nothing yet")
    found = done(path, "edit", "--set", "network-description:spare=Storage")
    texts = {str(each.id): each.description for each in found.networks}
    assert texts["spare"] == "Storage"
    found = done(path, "remove-network", "spare")
    assert [each.id for each in found.networks] == ["front", "back"]
    done(path, "add-option", "huge", "--label", "Huge", "--default")
    found = done(path, "edit", "--machine", "web", "--configuration", "huge", "--set", "cpus=32",
                 configuration="huge")  # fmt: skip
    assert (found.configuration, found.machine("web").processors.count) == ("huge", 32)
    found = done(
        path, "edit", "--set", "option-label:small=Little", "--set", "default-option=small"
    )
    assert [(each.label, each.default) for each in found.configurations] == [
        ("Little", True), ("", False), ("Huge", False),
    ]  # fmt: skip
    found = done(path, "remove-option", "huge", "large")
    assert [each.id for each in found.configurations] == ["small"]


def test_products_questions_licences_and_languages(tmp_path: Path) -> None:
    path = made(tmp_path)
    done(path, "add-product", "Cache", "--machine", "web", "--class", "org.cache")
    done(path, "edit", "--machine", "web", "--product", "Cache", "--set", "version=3")
    found = done(
        path, "add-property", "mode", "--machine", "web", "--product", "Cache", "--default", "a",
        "--qualifiers", 'ValueMap{"a","b"}', "--label", "Mode", "--category", "General",
    )  # fmt: skip
    assert found.products[1].version == "3"
    asked = found.properties[-1]
    assert (asked.key, asked.default, asked.category) == ("org.cache.mode", "a", "General")
    found = done(path, "edit", "--set", "property-label:mode=Kind", "--set", "property:mode=b",
                 "--unset", "property:port")  # fmt: skip
    assert [(each.label, each.default) for each in found.properties] == [
        ("Port", None), ("", None), ("Kind", "b"),
    ]  # fmt: skip
    found = done(path, "edit", "--set", "text:de:Kind=Art", "--set", "message:de:p=Kiosk")
    german = open_package(path).appliance(locale="de")[0]
    assert (german.products[0].name, german.properties[-1].label) == ("Kiosk", "Art")
    done(path, "remove-language", "de")
    done(path, "remove-property", "mode")
    found = done(path, "remove-product", "2", "--machine", "web")
    assert [each.name for each in found.products] == ["Shop"]
    (tmp_path / "eula.txt").write_text("Be kind.")
    done(path, "add-licence", tmp_path / "eula.txt", "--machine", "web")
    (tmp_path / "eula.txt").write_text("Be kinder.")
    found = done(path, "edit", "--machine", "web", "--set", f"licence:1={tmp_path / 'eula.txt'}")
    assert found.licences[0].digest == hashlib.sha256(b"Be kinder.").hexdigest()
    assert done(path, "remove-licence", "1", "--machine", "web").licences == ()


def test_a_machine_goes_with_its_disk(tmp_path: Path) -> None:
    path = made(tmp_path)
    found = done(path, "edit", "--machine", "db", "--set", "start-order=2", "--set", "start-delay=30",
                 "--set", "os=Debian", "--set", "os-id=96", "--set", "firmware=uefi",
                 "--set", "extra:disk.EnableUUID=TRUE")  # fmt: skip
    db = found.machine("db")
    assert (db.start.order, db.start.start_delay_s, db.os.cim_id, db.firmware) == (
        2,
        30,
        96,
        "uefi",
    )
    found = done(path, "remove-machine", "web")
    assert ([each.id for each in found.machines], dict(found.disks)) == (["db"], {})
    assert "d.vmdk" not in contents(path)


def test_a_configuration_file_comes_on_a_cd(tmp_path: Path) -> None:
    import pycdlib

    path = made(tmp_path)
    (tmp_path / "startup.txt").write_text("hostname web01\n")
    found = done(
        path, "inject-config", tmp_path / "startup.txt", "--machine", "web", "--as", "day0.txt"
    )
    [cd] = [each for each in found.machine("web").attachments if each.medium is Medium.CDROM]
    assert cd.disk is not None
    assert found.disks[cd.disk].image == "config.iso"
    (tmp_path / "out.iso").write_bytes(contents(path)["config.iso"])
    disc = pycdlib.PyCdlib()
    disc.open(str(tmp_path / "out.iso"))
    disc.get_file_from_iso(str(tmp_path / "out.txt"), joliet_path="/day0.txt")
    disc.close()
    assert (tmp_path / "out.txt").read_text() == "hostname web01\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("edit", "--configuration", "large", "--set", "name=x"),
        ("edit", "--set", "adapters=many"),
        ("edit", "--set", "secure-boot=perhaps"),
        ("edit", "--set", "text:de=x"),
        ("edit", "--unset", "name"),
        ("add-controller", "pata"),
        ("remove-licence", "0"),
    ],
)
def test_what_cannot_be_meant_is_a_wrong_command_line(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    path = made(tmp_path)
    command, *rest = arguments
    result = run(command, path, *rest, "--machine", "web")
    assert (result.exit_code, "Traceback" in result.output) == (Exit.USAGE, False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("inject-config", "licence.txt", "--machine", "web", "--as", "../../x"),
            "none inside the CD",
        ),
        (
            ("inject-config", "licence.txt", "--machine", "web", "--as", "n" * 70),
            "longer than 64 letters",
        ),
        (("add-file", "licence.txt", "--as", "ctl\x01.txt"), "characters that cannot be seen"),
        (("edit", "--machine", "web", "--set", "name="), "letters that can be seen"),
        (("edit", "--machine", "web", "--set", "name=a\x07b"), "letters that can be seen"),
        (("edit", "--set", "title=two\nlines"), "letters that can be seen"),
        (("edit", "--machine", "web", "--set", "cpus=" + "9" * 20), "from 0 to 99999"),
    ],
)
def test_names_and_numbers_that_cannot_be_are_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    path = made(tmp_path)
    before = contents(path)
    monkeypatch.chdir(tmp_path)
    Path("licence.txt").write_text("Be kind.")
    result = run(words[0], path, *words[1:])
    assert result.exit_code in {Exit.INPUT, Exit.USAGE}, result.output
    assert said in result.stderr
    assert contents(path) == before
