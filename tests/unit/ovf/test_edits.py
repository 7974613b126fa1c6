"""Editing: what is changed is changed, everything else stays, and undoing gives the same document."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from kensho_tui.machine import Appliance, DiskId
from kensho_tui.ovf import edits
from kensho_tui.ovf.editing import Change, Editing
from kensho_tui.ovf.edits.properties import PARTS
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.names import FORMAT_VMDK
from kensho_tui.ovf.rules import fix
from tests.unit.ovf.corpus import CORPUS, COT, GOVMOMI, needs_corpus
from tests.unit.ovf.test_envelope import envelope, item

GIB = 1 << 30
OPTIONS = (
    "<DeploymentOptionSection><Info/><Configuration ovf:id='small'/><Configuration ovf:id='large'/>"
    "</DeploymentOptionSection>"
)
PRODUCT = (
    "<ProductSection ovf:class='org.shop'><Info/><Product ovf:msgid='p'>Shop</Product><!-- kept -->"
    "<Category>Web</Category><Property ovf:key='port' ovf:type='uint16' ovf:userConfigurable='true'"
    " ovf:value='80'><Label>Port</Label></Property><Property ovf:key='admin' ovf:type='string'"
    " ovf:password='true' ovf:userConfigurable='true'/></ProductSection>"
)
DISK = (
    '<DiskSection><Info/><Disk ovf:diskId="d" ovf:capacity="1" ovf:capacityAllocationUnits="byte * 2^30"'
    ' ovf:fileRef="f"/></DiskSection>'
)
NETWORKS = (
    '<NetworkSection><Info/><Network ovf:name="front"/><Network ovf:name="back"/></NetworkSection>'
)


def machine(id_: str, *items: str, sections: str = "") -> str:
    """A VirtualSystem with just these items."""
    return (
        f'<VirtualSystem ovf:id="{id_}"><Info/><Name>{id_}</Name>{sections}<VirtualHardwareSection><Info/>'
        f"{''.join(items)}</VirtualHardwareSection></VirtualSystem>"
    )


def shop() -> bytes:
    """Two machines, two networks, a disk, two deployment options."""
    web = (
        item(3, "1", VirtualQuantity=2),
        item(4, "2", VirtualQuantity=2, AllocationUnits="byte * 2^30"),
        item(6, "30"),
        item(17, "31", Parent="30", AddressOnParent=0, HostResource="ovf:/disk/d"),
        item(10, "40", Connection="front"),
        item(10, "41", Connection="back"),
    )
    db = (item(3, "1", VirtualQuantity=1), item(10, "40", Connection="back"))
    content = (
        '<VirtualSystemCollection ovf:id="shop"><Info/>'
        + machine("web", *web, sections=PRODUCT)
        + machine("db", *db)
        + "</VirtualSystemCollection>"
    )
    return envelope(
        references='<File ovf:id="f" ovf:href="d.vmdk" ovf:size="10"/>',
        sections=DISK + NETWORKS + OPTIONS,
        content=content,
        after='<Strings xml:lang="de"><Msg ovf:msgid="p">Laden</Msg></Strings>',
    ).encode()


def after(*changes: Change, data: bytes | None = None) -> Appliance:
    """The appliance after those changes."""
    editing = Editing(data or shop())
    editing.apply(*changes)
    return editing.envelope.appliance()[0]


def refused(change: Callable[[], Change], data: bytes | None = None) -> str:
    """Why a change is refused; the document is as it was."""
    editing = Editing(data or shop())
    with pytest.raises(DescriptorError) as caught:
        editing.apply(change())
    assert not editing.changed
    assert editing.data == (data or shop())
    return str(caught.value)


# -------------------------------------------------------------------------------------- hardware
def test_processors_and_memory_of_one_machine() -> None:
    found = after(edits.set_processors("web", 6), edits.set_memory("web", 3 * GIB))
    assert (found.machine("web").processors.count, found.machine("web").memory.size) == (6, 3 * GIB)
    assert found.machine("db").processors.count == 1


def test_a_unit_that_cannot_say_it_is_replaced_and_one_that_can_stays() -> None:
    editing = Editing(shop())
    editing.apply(edits.set_memory("web", 4 * GIB))
    assert b"byte * 2^30" in editing.data.partition(b'id="web"')[2]
    editing.apply(edits.set_memory("web", 4 * GIB + (1 << 20)))
    assert editing.envelope.appliance()[0].machine("web").memory.size == 4 * GIB + (1 << 20)
    assert b"byte * 2^20" in editing.data


def test_memory_that_is_not_there_yet_is_made() -> None:
    assert after(edits.set_memory("db", 512 << 20)).machine("db").memory.size == 512 << 20


def test_a_deployment_option_gets_hardware_of_its_own() -> None:
    editing = Editing(shop())
    editing.apply(edits.set_processors("web", 8, "large"))
    counts = {
        option: editing.envelope.appliance(option)[0].machine("web").processors.count
        for option in ("small", "large")
    }
    assert counts == {"small": 2, "large": 8}
    editing.apply(edits.set_processors("web", 9, "large"))
    assert editing.data.count(b'configuration="large"') == 1
    assert editing.envelope.appliance("large")[0].machine("web").processors.count == 9


def test_an_item_of_two_options_is_split() -> None:
    items = (
        item(3, "1", VirtualQuantity=1),
        item(3, "1", "ovf:configuration='small large'", VirtualQuantity=4),
    )
    editing = Editing(envelope(sections=OPTIONS, content=machine("vm", *items)).encode())
    editing.apply(edits.set_processors(None, 16, "large"))
    resolved = [editing.envelope.appliance(o)[0].machines[0] for o in ("small", "large")]
    assert [each.processors.count for each in resolved] == [4, 16]
    editing.apply(edits.set_processors(None, 3))
    resolved = [editing.envelope.appliance(o)[0].machines[0] for o in ("small", "large")]
    assert [each.processors.count for each in resolved] == [3, 3]


def test_the_hardware_family_and_the_transport() -> None:
    editing = Editing(shop())
    editing.apply(edits.set_families("web", "vmx-21"), edits.set_transport("web", "iso"))
    found = editing.envelope.appliance()[0]
    assert (found.machine("web").hardware, found.transports) == (("vmx-21",), ("iso",))
    editing.apply(edits.set_transport("web", ""))
    assert editing.envelope.appliance()[0].transports == ()


# ---------------------------------------------------------------------------------- texts, questions
def test_a_text_that_is_changed_holds_in_every_language() -> None:
    editing = Editing(shop())
    editing.apply(
        edits.set_product("web", "product", "Store & <more>"),
        edits.set_product("web", "version", "7"),
    )
    for locale in ("", "de"):
        product = editing.envelope.appliance(locale=locale)[0].products[0]
        assert (product.name, product.version) == ("Store & <more>", "7")
    assert b"<!-- kept -->" in editing.data


def test_names_and_descriptions() -> None:
    found = after(edits.set_name("web", "front01"), edits.set_annotation("web", "Two\nlines"),
                  edits.set_annotation(None, "All of it"))  # fmt: skip
    assert (found.machine("web").name, found.machine("web").description) == (
        "front01",
        "Two\nlines",
    )
    assert found.description == "All of it"


def test_a_default_is_checked_by_its_type_and_kept_for_each_option() -> None:
    editing = Editing(shop())
    editing.apply(edits.set_property("web", "port", "8080"))
    editing.apply(edits.set_property(None, "org.shop.port", "9090", "large"))
    defaults = {
        o: editing.envelope.appliance(o)[0].properties[0].default for o in ("small", "large")
    }
    assert defaults == {"small": "8080", "large": "9090"}


def test_a_licence_more() -> None:
    found = after(edits.add_licence("web", "Be kind."), edits.add_licence(None, "Be just."))
    assert {each.text for each in found.licences} == {"Be kind.", "Be just."}


# ---------------------------------------------------------------------------------- networks, disks
def test_a_network_is_renamed_wherever_it_is_used() -> None:
    found = after(edits.rename_network("back", "storage"))
    assert [each.id for each in found.networks] == ["front", "storage"]
    used = [[a.network for a in machine.adapters] for machine in found.machines]
    assert used == [["front", "storage"], ["storage"]]


def test_a_disk_comes_and_goes_with_its_file_and_its_drive() -> None:
    editing = Editing(shop())
    before = editing.envelope.appliance()[0]
    editing.apply(edits.add_disk("web", "more.vmdk", 77, 5 * GIB, FORMAT_VMDK))
    found = editing.envelope.appliance()[0]
    [added] = [each for each in found.disks.values() if each.image == "more.vmdk"]
    assert (added.capacity, added.image_size, added.format) == (5 * GIB, 77, FORMAT_VMDK)
    place = [(a.controller, a.unit) for a in found.machine("web").attachments if a.disk == added.id]
    assert place == [("30", 1)]
    editing.apply(edits.remove_disk(added.id))
    assert editing.envelope.appliance()[0] == before
    assert [each.href for each in editing.envelope.files] == ["d.vmdk"]


def test_a_machine_without_a_controller_gets_one_with_its_first_disk() -> None:
    found = after(
        edits.add_disk("db", "a.vmdk", 1, GIB, FORMAT_VMDK),
        edits.add_disk("db", "b.vmdk", 1, GIB, FORMAT_VMDK),
    )
    machine = found.machine("db")
    assert len(machine.controllers) == 1
    assert [(a.controller, a.unit) for a in machine.attachments] == [
        (machine.controllers[0].id, 0), (machine.controllers[0].id, 1),
    ]  # fmt: skip


def test_capacities_stay_in_a_unit_that_can_say_them() -> None:
    editing = Editing(shop())
    for capacity in (9 * GIB, GIB + 512):
        editing.apply(edits.set_capacity("d", capacity))
        assert editing.envelope.appliance()[0].disks[DiskId("d")].capacity == capacity


# ------------------------------------------------------------------------------------ what is refused
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda: edits.set_name(None, "x"), "2 machines"),
        (lambda: edits.set_name("gone", "x"), "no machine 'gone'"),
        (lambda: edits.set_processors("web", 0), "1 to 4096 processors"),
        (lambda: edits.set_processors("web", 2, "huge"), "no deployment option 'huge'"),
        (lambda: edits.set_memory("web", 1000), "1 MiB to 1 PiB"),
        (lambda: edits.set_memory("web", (1 << 30) + 1), "whole MiB"),
        (lambda: edits.set_families("web", "vmx 21\n<x>"), "no virtual hardware family"),
        (lambda: edits.set_property("web", "port", "99999"), "must be a whole number"),
        (lambda: edits.set_property("web", "admin", "hunter2"), "this is a password"),
        (lambda: edits.set_property("web", "gone", "1"), "no question is called 'gone'"),
        (lambda: edits.set_product("web", "colour", "red"), "has no 'colour'"),
        (lambda: edits.rename_network("gone", "x"), "no network 'gone'"),
        (lambda: edits.rename_network("back", "front"), "a network already"),
        (lambda: edits.rename_network("back", " "), "has a name"),
        (lambda: edits.add_file("d.vmdk", 1), "a file of that name"),
        (lambda: edits.remove_file("d.vmdk"), "the file is used: Disk"),
        (lambda: edits.remove_file("gone"), "no such file"),
        (lambda: edits.remove_disk("gone"), "no disk 'gone'"),
        (lambda: edits.set_capacity("d", 0), "no capacity"),
        (lambda: edits.add_licence("web", " "), "no text"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)  # fmt: skip
def test_what_cannot_be_is_refused_and_nothing_is_changed(
    change: Callable[[], Change], words: str
) -> None:
    said = refused(change)
    assert words in said
    assert "hunter2" not in said


# --------------------------------------------------------------------------------------- the history
def made(
    build: Callable[..., Change],
    *arguments: st.SearchStrategy[object],
    **named: st.SearchStrategy[object],
) -> st.SearchStrategy[Change]:
    """Edits of that kind; one whose arguments are refused at once is refused when it is applied."""

    def late(values: tuple[tuple[object, ...], dict[str, object]]) -> Change:
        def change(envelope: Envelope) -> None:
            build(*values[0], **values[1])(envelope)

        return change

    return st.tuples(st.tuples(*arguments), st.fixed_dictionaries(named)).map(late)


def some_edits() -> st.SearchStrategy[Change]:
    """Any change there is, some of which are refused."""
    machine, name, option = (
        st.sampled_from(["web", "db", "gone"]),
        st.sampled_from(["front", "back", "x", "y"]),
        st.sampled_from([None, "small", "large", "tiny"]),
    )
    owner, text = st.sampled_from([None, "web"]), st.text(max_size=9)
    device = st.sampled_from(["31", "30", "40", "41", "1", "2", "3", "Network adapter 1", "Odd"])
    key, flag = st.sampled_from(["port", "admin", "new"]), st.sampled_from(["yes", "no", "perhaps"])
    mac = st.sampled_from(["", "02:00:00:00:00:01", "02"])
    href, number = st.sampled_from(["d.vmdk", "n.vmdk", "a.iso"]), st.integers(0, 3)
    kind = st.sampled_from(["Config", "ExtraConfig"])
    disk = st.sampled_from(["d", "disk1", "disk2"])
    product = st.sampled_from(["", "1", "2", "org.shop"])
    part, several = st.sampled_from(PARTS), st.sampled_from
    value = st.sampled_from(["yes", "no", "string", "uint8", "MinValue(3)", "Web", "", "Other"])
    return st.one_of(
        made(edits.set_processors, machine, st.integers(1, 64), option),
        made(lambda m, s: edits.set_memory(m, s << 20), machine, st.integers(1, 1 << 16)),
        made(edits.set_cores, machine, st.integers(1, 4), option),
        made(edits.set_name, machine, text),
        made(edits.set_annotation, owner, st.text(max_size=20)),
        made(edits.set_transport, machine, st.sampled_from(["", "iso"])),
        made(edits.set_families, machine, st.sampled_from(["vmx-21", "a b", ""])),
        made(edits.set_product, machine, st.sampled_from(["vendor", "version", "class"]), text, product),
        made(edits.add_product, owner, text, st.sampled_from(["", "org.a", "org.shop"])),
        made(edits.remove_product, owner, product),
        made(edits.set_property, st.just("web"), st.just("port"), st.sampled_from(["1", "x"]), option),
        made(edits.clear_property, st.just("web"), key, option),
        made(edits.add_property, owner, key, st.sampled_from(["string", "uint8"]), label=text,
             default=st.sampled_from([None, "", "7"]), category=st.sampled_from(["", "Web", "C"]),
             product=product),
        made(edits.remove_property, st.just("web"), key),
        made(edits.set_property_part, st.just("web"), key, part, value),
        made(edits.add_licence, owner, text),
        made(edits.set_licence, owner, number, text),
        made(edits.remove_licence, owner, number),
        made(edits.add_configuration, st.just("tiny"), text, text, st.booleans()),
        made(edits.remove_configuration, st.sampled_from(["small", "large", "tiny"])),
        made(edits.rename_configuration, several(["small", "tiny"]), several(["tiny", "large"])),
        made(edits.set_default_configuration, st.sampled_from(["small", "large"])),
        made(edits.set_configuration, st.just("small"), st.sampled_from(["label", "description"]), text),
        made(edits.add_network, name, text),
        made(edits.remove_network, name),
        made(edits.rename_network, name, name),
        made(edits.set_network_description, name, text),
        made(edits.add_adapter, machine, name, mac=mac, configuration=option),
        made(edits.set_adapter_count, machine, st.integers(0, 4), st.none(), option),
        made(edits.set_adapter_network, machine, device, st.sampled_from(["", "front", "x"]), option),
        made(edits.set_adapter_mac, machine, device, mac, option),
        made(edits.set_connected, machine, device, flag, option),
        made(edits.set_device_name, machine, device, text, option),
        made(edits.set_device_type, machine, device, st.sampled_from(["", "E1000"]), option),
        made(edits.set_device_address, machine, device, text, option),
        made(edits.add_controller, machine, st.sampled_from(["ide", "scsi", "sata"]), configuration=option),
        made(edits.add_drive, machine, several(["cdrom", "floppy"]), several(["", "a.iso"]), option),
        made(edits.set_medium, machine, device, href, option),
        made(edits.attach_disk, machine, disk, st.sampled_from(["", "30"]), option),
        made(edits.set_place, machine, device, several(["30", "1"]), several([None, 0, 1]), option),
        made(edits.add_serial, machine, text, option),
        made(edits.remove_device, machine, device, option),
        made(edits.add_disk, machine, st.just("n.vmdk"), st.just(1), st.just(GIB), st.just(FORMAT_VMDK)),
        made(edits.remove_disk, disk),
        made(edits.set_capacity, disk, st.integers(1, 1 << 40)),
        made(edits.add_file, href, st.integers(0, 9)),
        made(edits.remove_file, href),
        made(edits.rename_file, href, href),
        made(edits.remove_machine, machine),
        made(edits.set_start, machine, several(["order", "start-delay"]), several(["0", "7", "x"])),
        made(edits.set_start, machine, st.sampled_from(["start", "wait-for-guest"]), flag),
        made(edits.set_system, machine, st.sampled_from(["os", "os-version", "os-type"]), text),
        made(edits.set_setting, machine, kind, st.sampled_from(["a", "firmware"]), text),
        made(edits.remove_setting, machine, kind, st.sampled_from(["a", "firmware"])),
        made(edits.set_firmware, machine, st.sampled_from(["bios", "uefi"])),
        made(edits.set_secure_boot, machine, st.booleans()),
        made(edits.add_texts, st.sampled_from(["de", "fr"]), st.just({"Shop": "Laden"})),
        made(edits.set_message, st.just("de"), st.just("p"), text),
        made(edits.remove_language, st.sampled_from(["de", "fr"])),
    )  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(st.lists(some_edits(), max_size=14))
def test_undoing_gives_the_same_documents_and_the_model_is_that_of_the_document(
    changes: list[Change],
) -> None:
    editing = Editing(shop())
    states = [editing.data]
    for change in changes:
        try:
            editing.apply(change)
        except DescriptorError:
            assert editing.data == states[-1]
            continue
        if editing.data != states[-1]:
            states.append(editing.data)
        again = Editing(editing.data).envelope
        assert again.canonical() == editing.envelope.canonical()
        for option in (None, *(each.id for each in again.configurations)):
            assert again.appliance(option) == editing.envelope.appliance(option)
    for expected in reversed(states[:-1]):
        editing.undo()
        assert editing.data == expected
    assert not editing.can_undo
    assert not editing.changed
    for expected in states[1:]:
        editing.redo()
        assert editing.data == expected
    assert not editing.can_redo


def test_what_is_done_after_undoing_replaces_what_was_undone() -> None:
    editing = Editing(shop())
    editing.apply(edits.set_name("web", "a"))
    editing.undo()
    editing.apply(edits.set_name("web", "b"))
    assert not editing.can_redo
    assert editing.envelope.appliance()[0].machine("web").name == "b"
    assert [line for line in editing.diff() if line.startswith("+") and "b" in line]


def test_a_namespace_that_is_no_uri_is_left_alone() -> None:
    data = shop().replace(b"http://schemas.dmtf.org/wbem", b"http://schemas dmtf.org/wbem")
    with pytest.raises(DescriptorError, match="no URI, and cannot be edited"):
        Editing(data)
    envelope = Envelope.parse(data)
    assert fix(envelope) == []
    assert envelope.save() == data


# ----------------------------------------------------------------------------------------- the corpus
def outside(data: bytes) -> bytes:
    """The document without the values this test edits, in canonical form."""
    root = etree.fromstring(data)
    for each in root.iter():
        if isinstance(each.tag, str) and etree.QName(each).localname == "VirtualQuantity":
            each.text = "?"
    return etree.tostring(root, method="c14n")


@needs_corpus
@pytest.mark.parametrize(
    "path",
    [f"{COT}/csr1000v.ovf", f"{COT}/input.ovf", f"{COT}/ubuntu.2.0.ovf", f"{COT}/v0.9.ovf",
     f"{GOVMOMI}/photon5.ovf", f"{GOVMOMI}/ttylinux.ovf"],
)  # fmt: skip
def test_nothing_but_what_is_edited_changes_in_real_descriptors(path: str) -> None:
    data = (CORPUS / path).read_bytes()
    editing = Editing(data)
    machine = editing.envelope.appliance()[0].machines[0]
    editing.apply(edits.set_processors(machine.id, machine.processors.count + 1))
    assert (
        editing.envelope.appliance()[0].machines[0].processors.count == machine.processors.count + 1
    )
    assert outside(editing.data) == outside(data)
    editing.undo()
    assert editing.data == data
