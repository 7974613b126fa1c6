"""Editing the devices of machines: adapters, controllers, drives, ports, for all deployment options or one."""

from collections.abc import Callable

import pytest

from kensho_tui.machine import Bus, Machine, Medium
from kensho_tui.ovf import edits
from kensho_tui.ovf.editing import Change, Editing
from tests.unit.ovf.test_edits import after, refused, shop


def in_options(*changes: Change, machine: str = "web") -> dict[str, Machine]:
    """The machine in each deployment option, after those changes."""
    editing = Editing(shop())
    editing.apply(*changes)
    return {o: editing.envelope.appliance(o)[0].machine(machine) for o in ("small", "large")}


# ---------------------------------------------------------------------------------------- adapters
def test_an_adapter_is_added_like_the_last_one() -> None:
    found = after(
        edits.set_device_type("web", "41", "VmxNet3"),
        edits.add_adapter("web", "front", mac="00-50-56-AA-BB-01"),
    ).machine("web")
    added = found.adapters[-1]
    assert (added.network, added.model, added.mac) == ("front", "VmxNet3", "00:50:56:aa:bb:01")
    assert added.name == "Network adapter 3"
    assert len({each.id for each in found.adapters}) == 3


def test_an_adapter_of_one_option_is_there_in_that_one_alone() -> None:
    found = in_options(edits.add_adapter("web", "back", configuration="large"))
    assert {o: len(each.adapters) for o, each in found.items()} == {"small": 2, "large": 3}


def test_an_adapter_is_changed_in_one_option_and_stays_in_the_other() -> None:
    found = in_options(
        edits.set_adapter_network("web", "40", "back", "large"),
        edits.set_adapter_mac("web", "40", "02:00:00:00:00:01", "large"),
    )
    first = {o: each.adapters[0] for o, each in found.items()}
    assert (first["small"].network, first["small"].mac) == ("front", None)
    assert (first["large"].network, first["large"].mac) == ("back", "02:00:00:00:00:01")


def test_what_is_emptied_is_gone() -> None:
    first = after(
        edits.set_adapter_mac("web", "40", "02:00:00:00:00:01"),
        edits.set_adapter_mac("web", "40", ""),
        edits.set_adapter_network("web", "40", ""),
        edits.set_connected("web", "40", "no"),
    ).machine("web").adapters[0]  # fmt: skip
    assert (first.mac, first.network, first.connected) == (None, None, False)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_so_many_adapters_in_one_option(count: int) -> None:
    found = in_options(edits.set_adapter_count("web", count, None, "large"))
    assert {o: len(each.adapters) for o, each in found.items()} == {"small": 2, "large": count}
    found = in_options(
        edits.add_adapter("web", "front", configuration="large"),
        edits.set_adapter_count("web", count),
    )
    assert [len(each.adapters) for each in found.values()] == (
        [count, count] if count < 3 else [2 + count - 3, count]
    )


def test_a_device_that_leaves_one_option_stays_in_the_other() -> None:
    found = in_options(
        edits.set_adapter_network("web", "40", "back", "large"),
        edits.remove_device("web", "40", "large"),
    )
    assert [[a.id for a in each.adapters] for each in found.values()] == [["40", "41"], ["41"]]
    found = in_options(
        edits.remove_device("web", "40", "large"), edits.remove_device("web", "40", "small")
    )
    assert [[a.id for a in each.adapters] for each in found.values()] == [["41"], ["41"]]


def test_a_device_is_named_by_its_name_too() -> None:
    found = after(
        edits.set_device_name("web", "40", "Outside"), edits.remove_device("web", "Outside")
    )
    assert [each.id for each in found.machine("web").adapters] == ["41"]


# ------------------------------------------------------------------------------ controllers, drives
@pytest.mark.parametrize(
    ("kind", "bus"), [("ide", Bus.IDE), ("scsi", Bus.SCSI), ("sata", Bus.SATA), ("nvme", Bus.NVME)]
)
def test_a_controller_is_added(kind: str, bus: Bus) -> None:
    found = after(edits.add_controller("db", kind), edits.add_controller("db", kind))
    assert [each.bus for each in found.machine("db").controllers] == [bus, bus]
    assert [each.number for each in found.machine("db").controllers] == [0, 1]


def test_a_drive_moves_to_another_controller_and_place() -> None:
    found = after(
        edits.add_controller("web", "scsi", subtype="VirtualSCSI"),
        edits.set_place("web", "31", "SCSI controller 1", 5),
    ).machine("web")
    disk = next(each for each in found.attachments if each.medium is Medium.DISK)
    model = {each.id: each.model for each in found.controllers}
    assert (model[disk.controller or ""], disk.unit) == ("VirtualSCSI", 5)


def test_a_drive_takes_the_next_free_place() -> None:
    found = after(edits.attach_disk("web", "d", "30"), edits.attach_disk("web", "d")).machine("web")
    places = [(each.controller, each.unit) for each in found.attachments]
    assert places == [("30", 0), ("30", 1), ("30", 2)]


def test_cd_drives_come_with_a_file_and_without() -> None:
    found = after(
        edits.add_file("setup.iso", 7),
        edits.add_drive("db", "cdrom", "setup.iso"),
        edits.add_drive("db", "cdrom"),
        edits.add_drive("db", "floppy"),
    )
    drives = found.machine("db").attachments
    assert [each.medium for each in drives] == [Medium.CDROM, Medium.CDROM, Medium.FLOPPY]
    assert [each.disk and found.disks[each.disk].image for each in drives] == [
        "setup.iso", None, None,
    ]  # fmt: skip
    assert [each.unit for each in drives[:2]] == [0, 1]
    assert [each.bus for each in found.machine("db").controllers] == [Bus.IDE]
    emptied = after(
        edits.add_file("setup.iso", 7),
        edits.add_drive("db", "cdrom", "setup.iso"),
        edits.set_medium("db", "CD/DVD drive 1", ""),
        edits.remove_file("setup.iso"),
    )
    assert emptied.machine("db").attachments[0].disk is None


def test_a_serial_port_says_where_it_leads() -> None:
    editing = Editing(shop())
    editing.apply(
        edits.add_serial("db", "telnet://:9101"),
        edits.set_device_address("db", "Serial port 1", "tcp://:9"),
    )
    assert b"<rasd:Address>tcp://:9</rasd:Address>" in editing.data
    assert b"telnet" not in editing.data
    before = after()
    editing.apply(edits.remove_device("db", "Serial port 1"))
    assert editing.envelope.appliance()[0] == before


def test_cores_divide_the_processors() -> None:
    found = after(edits.set_processors("web", 8), edits.set_cores("web", 4)).machine("web")
    assert (found.processors.count, found.processors.cores_per_socket) == (8, 4)
    assert "cannot be sockets of 3" in refused(lambda: edits.set_cores("web", 3))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda: edits.add_adapter("web", "nowhere"), "no network 'nowhere'"),
        (lambda: edits.add_adapter("web", "front", mac="xx"), "no MAC address"),
        (lambda: edits.set_adapter_network("web", "99", "front"), "no device '99'"),
        (lambda: edits.set_adapter_network("web", "30", "front"), "is no network adapter"),
        (lambda: edits.set_adapter_network("web", "40", "front", "huge"), "option 'huge'"),
        (lambda: edits.set_connected("web", "40", "perhaps"), "yes or no"),
        (lambda: edits.set_device_name("web", "40", " "), "has a name"),
        (lambda: edits.add_controller("web", "pata"), "kind of controller 'pata'"),
        (lambda: edits.remove_device("web", "30"), "drives hang on it"),
        (lambda: edits.remove_device("web", "1"), "has processors and memory"),
        (lambda: edits.set_place("web", "31", "30", 7), "no place 7"),
        (lambda: edits.set_place("web", "31", "40"), "no controller '40'"),
        (lambda: edits.set_place("web", "40", "30"), "is no drive"),
        (lambda: edits.attach_disk("web", "gone"), "no disk 'gone'"),
        (lambda: edits.add_drive("web", "tape"), "no drive for 'tape'"),
        (lambda: edits.add_drive("web", "cdrom", "gone.iso"), "no such file"),
        (lambda: edits.set_adapter_count("web", 65), "0 to 64"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_cannot_be_is_refused(change: Callable[[], Change], words: str) -> None:
    assert words in refused(change)
