"""Editing what is no hardware: products, questions, licences, options, networks, files, start, texts."""

from collections.abc import Callable

import pytest

from kensho_tui.machine import Boot, Firmware, GuestOs, Start
from kensho_tui.ovf import edits
from kensho_tui.ovf.editing import Change, Editing
from kensho_tui.ovf.names import FORMAT_VMDK
from tests.unit.ovf.test_edits import GIB, OPTIONS, after, machine, refused, shop
from tests.unit.ovf.test_envelope import envelope, item

XEN = (
    '<VirtualSystemOtherConfigurationData Name="HVM_boot_params" ovf:required="false"><Info/>'
    "<Value>order=dc;timeout=3</Value></VirtualSystemOtherConfigurationData>"
)


# ------------------------------------------------------------------------------ products, questions
def test_products_come_and_go_with_their_questions() -> None:
    editing = Editing(shop())
    before = editing.envelope.appliance()
    editing.apply(
        edits.add_product("web", "Cache", "org.cache"),
        edits.set_product("web", "version", "2", "org.cache"),
        edits.add_property("web", "size", "uint32", default="5", product="Cache"),
    )
    found = editing.envelope.appliance()[0]
    assert [(p.name, p.class_, p.version) for p in found.products] == [
        ("Shop", "org.shop", ""), ("Cache", "org.cache", "2"),
    ]  # fmt: skip
    assert [each.key for each in found.properties][-1] == "org.cache.size"
    editing.apply(edits.remove_product("web", "2"))
    assert editing.envelope.appliance() == before


def test_a_question_with_all_its_parts() -> None:
    editing = Editing(shop())
    editing.apply(
        edits.add_property(
            "web", "mode", label="Mode", description="What for", default="demo",
            qualifiers='ValueMap{"demo","live"}', category="Web",
        )
    )  # fmt: skip
    found = {each.key: each for each in editing.envelope.appliance()[0].properties}["org.shop.mode"]
    assert (found.label, found.description, found.default) == ("Mode", "What for", "demo")
    assert (found.category, found.configurable, found.password) == ("Web", True, False)
    editing.apply(
        edits.set_property_part("web", "mode", "category", "Other"),
        edits.set_property_part("web", "mode", "label", "Kind"),
        edits.set_property_part("web", "mode", "configurable", "no"),
        edits.set_property_part("web", "mode", "key", "kind"),
        edits.set_property("web", "kind", "live"),
    )
    found = {each.key: each for each in editing.envelope.appliance()[0].properties}["org.shop.kind"]
    assert (found.category, found.label, found.configurable) == ("Other", "Kind", False)
    assert found.default == "live"
    editing.apply(edits.remove_property("web", "kind"))
    assert b"Other" not in editing.data
    assert editing.envelope.appliance() == Editing(shop()).envelope.appliance()


def test_a_question_that_becomes_a_password_loses_its_default() -> None:
    editing = Editing(shop())
    editing.apply(edits.set_property("web", "port", "9090", "large"))
    editing.apply(edits.set_property_part("web", "port", "password", "yes"))
    for option in ("small", "large"):
        port = editing.envelope.appliance(option)[0].properties[0]
        assert (port.password, port.default) == (True, None)
    assert b"9090" not in editing.data


def test_a_default_is_taken_away_for_one_option_or_for_all() -> None:
    editing = Editing(shop())
    editing.apply(edits.set_property("web", "port", "9090", "large"))
    editing.apply(edits.clear_property("web", "port", "large"))
    assert editing.envelope.appliance("large")[0].properties[0].default == "80"
    editing.apply(edits.clear_property("web", "port"))
    assert editing.envelope.appliance("large")[0].properties[0].default is None


def test_licences_are_edited_by_their_number() -> None:
    added = edits.add_licence("web", "One."), edits.add_licence("web", "Two.")
    found = after(*added, edits.set_licence("web", 2, "Two, better."))
    assert [each.text for each in found.licences] == ["One.", "Two, better."]
    found = after(*added, edits.remove_licence("web", 1))
    assert [each.text for each in found.licences] == ["Two."]


# ---------------------------------------------------------------------------------- options, networks
def test_a_removed_option_takes_its_own_hardware_with_it() -> None:
    editing = Editing(shop())
    editing.apply(
        edits.set_processors("web", 8, "large"),
        edits.set_property("web", "port", "9090", "large"),
        edits.set_default_configuration("large"),
    )
    assert editing.envelope.appliance()[0].configuration == "large"
    editing.apply(edits.remove_configuration("large"))
    assert [each.id for each in editing.envelope.configurations] == ["small"]
    assert b"large" not in editing.data
    assert editing.envelope.appliance()[0].machine("web").processors.count == 2


def test_with_the_last_option_gone_the_package_stays_as_it_was_in_it() -> None:
    items = (
        item(3, "1", VirtualQuantity=1),
        item(3, "1", "ovf:configuration='large'", VirtualQuantity=4),
        item(10, "5", "ovf:configuration='small'"),
    )
    editing = Editing(envelope(sections=OPTIONS, content=machine("vm", *items)).encode())
    before = editing.envelope.appliance("large")[0].machines
    editing.apply(edits.remove_configuration("small"), edits.remove_configuration("large"))
    found = editing.envelope.appliance()[0]
    assert (found.configurations, found.machines) == ((), before)
    assert b"configuration" not in editing.data


def test_options_are_renamed_and_described() -> None:
    editing = Editing(shop())
    editing.apply(
        edits.set_processors("web", 8, "large"),
        edits.rename_configuration("large", "huge"),
        edits.set_configuration("huge", "label", "Huge"),
        edits.set_configuration("huge", "description", "For many"),
    )
    huge = editing.envelope.configurations[1]
    assert (huge.id, huge.label, huge.description) == ("huge", "Huge", "For many")
    assert editing.envelope.appliance("huge")[0].machine("web").processors.count == 8


def test_networks_come_and_go() -> None:
    found = after(
        edits.add_network("spare", "Nothing yet"),
        edits.set_network_description("front", "Outside"),
    )
    assert [(each.id, each.description) for each in found.networks] == [
        ("front", "Outside"), ("back", ""), ("spare", "Nothing yet"),
    ]  # fmt: skip
    assert after(edits.add_network("spare"), edits.remove_network("spare")) == after()


# ----------------------------------------------------------------------------------- files, machines
def test_a_file_gets_another_name_and_stays_what_it_is() -> None:
    found = after(edits.rename_file("d.vmdk", "system.vmdk"))
    assert [each.image for each in found.disks.values()] == ["system.vmdk"]


def test_a_machine_goes_with_its_disks_its_files_and_its_start() -> None:
    editing = Editing(shop())
    editing.apply(
        edits.set_start("web", "order", "1"),
        edits.set_start("db", "order", "2"),
        edits.add_disk("db", "db.vmdk", 7, GIB, FORMAT_VMDK),
        edits.remove_machine("web"),
    )
    found = editing.envelope.appliance()[0]
    assert [each.id for each in found.machines] == ["db"]
    assert [each.href for each in editing.envelope.files] == ["db.vmdk"]
    assert found.machines[0].start.order == 2
    assert b'id="web"' not in editing.data


def test_a_disk_that_another_machine_has_too_stays() -> None:
    found = after(edits.attach_disk("db", "d"), edits.remove_machine("web"))
    assert [each.image for each in found.disks.values()] == ["d.vmdk"]


def test_when_a_machine_starts() -> None:
    found = after(
        edits.set_start("web", "order", "2"),
        edits.set_start("web", "start-delay", "30"),
        edits.set_start("web", "stop-delay", "10"),
        edits.set_start("web", "wait-for-guest", "yes"),
        edits.set_start("db", "start", "no"),
    )
    assert found.machine("web").start == Start(2, 30, 10, True, True)
    assert found.machine("db").start == Start(0, 0, 0, False, False)


def test_what_runs_in_a_machine() -> None:
    changes = (
        edits.set_system("db", "os", "Debian GNU/Linux 13"),
        edits.set_system("db", "os-id", "96"),
        edits.set_system("db", "os-version", "13"),
        edits.set_system("db", "os-type", "debian12_64Guest"),
    )
    assert after(*changes).machine("db").os == GuestOs(
        "Debian GNU/Linux 13", 96, "debian12_64Guest", "13"
    )
    bare = after(
        *changes, edits.set_system("db", "os-type", ""), edits.set_system("db", "os-version", "")
    )
    assert bare.machine("db").os == GuestOs("Debian GNU/Linux 13", 96)


def test_settings_of_vmware() -> None:
    found = after(
        edits.set_setting("web", "ExtraConfig", "disk.EnableUUID", "FALSE"),
        edits.set_setting("web", "ExtraConfig", "disk.EnableUUID", "TRUE"),
        edits.set_setting("web", "Config", "tools.syncTimeWithHost", "true"),
        edits.set_firmware("web", "uefi"),
        edits.set_secure_boot("web", True),
    ).machine("web")
    assert found.extras == {
        "vmware:extraConfig.disk.EnableUUID": "TRUE", "vmware:config.tools.syncTimeWithHost": "true",
    }  # fmt: skip
    assert (found.firmware, found.secure_boot) == (Firmware.UEFI, True)
    assert after(
        edits.set_setting("web", "Config", "x", "1"), edits.remove_setting("web", "Config", "x")
    ) == after()  # fmt: skip


def test_boot_order_and_firmware_where_xencenter_has_them() -> None:
    made = machine("vm", item(3, "1", VirtualQuantity=1)).replace(
        "</VirtualHardwareSection>", f"{XEN}</VirtualHardwareSection>"
    )
    editing = Editing(envelope(content=made).encode())
    assert editing.envelope.appliance()[0].machines[0].boot_order == (Boot.CDROM, Boot.DISK)
    editing.apply(edits.set_boot_order(None, ["disk", "network"]), edits.set_firmware(None, "uefi"))
    found = editing.envelope.appliance()[0].machines[0]
    assert (found.boot_order, found.firmware) == ((Boot.DISK, Boot.NETWORK), Firmware.UEFI)
    assert b"order=cn;timeout=3;firmware=uefi" in editing.data


# --------------------------------------------------------------------------------------------- texts
def test_translations_are_added_changed_and_taken_away() -> None:
    editing = Editing(shop())
    editing.apply(
        edits.add_texts("de", {"Port": "Anschluss"}), edits.set_message("de", "p", "Kiosk")
    )
    german = editing.envelope.appliance(locale="de")[0]
    assert (german.products[0].name, german.properties[0].label) == ("Kiosk", "Anschluss")
    assert editing.data.count(b"<Strings") == 1
    editing.apply(edits.remove_language("de"))
    assert editing.envelope.appliance(locale="de")[0].products[0].name == "Shop"
    assert b"msgid" not in editing.data


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda: edits.set_product("web", "class", "a b"), "no blanks"),
        (lambda: edits.add_product("web", "x", "org.shop"), "class 'org.shop' already"),
        (lambda: edits.set_product("web", "version", "1", "gone"), "no products are called 'gone'"),
        (lambda: edits.add_property("web", "port"), "that key already"),
        (lambda: edits.add_property("web", "a b"), "no key of a question"),
        (lambda: edits.add_property("web", "n", "colour"), "no type 'colour'"),
        (lambda: edits.add_property("web", "n", "uint8", default="300"), "its default '300' must be"),
        (lambda: edits.add_property("web", "n", password=True, default="hunter2"), "password has no default"),
        (lambda: edits.set_property_part("web", "port", "qualifiers", "MinValue(90)"), "its default '80'"),
        (lambda: edits.set_property_part("web", "port", "qualifiers", "Odd(1)"), "'Odd(1)' is not understood"),
        (lambda: edits.set_property_part("web", "port", "key", "admin"), "that key already"),
        (lambda: edits.set_licence("web", 1, "x"), "no licence 1"),
        (lambda: edits.add_configuration("small", "", "", False), "a deployment option 'small'"),
        (lambda: edits.add_configuration("a b", "", "", False), "no id of a deployment option"),
        (lambda: edits.remove_configuration("gone"), "no deployment option 'gone'"),
        (lambda: edits.remove_network("back"), "adapters are on it: web"),
        (lambda: edits.add_network("back"), "a network already"),
        (lambda: edits.rename_file("d.vmdk", "../x"), "plain name"),
        (lambda: edits.rename_file("d.vmdk", "x.mf"), "package's own papers"),
        (lambda: edits.rename_file("gone", "x"), "no such file"),
        (lambda: edits.set_start("web", "order", "first"), "whole number"),
        (lambda: edits.set_start("web", "wait-for-guest", "maybe"), "yes or no"),
        (lambda: edits.set_system("web", "os-id", "many"), "0 to 65535"),
        (lambda: edits.set_boot_order("web", ["disk"]), "no place for a boot order"),
        (lambda: edits.set_boot_order("web", ["tape"]), "no boot order"),
        (lambda: edits.set_firmware("web", "coreboot"), "bios or uefi"),
        (lambda: edits.set_setting("web", "Config", "a b", "1"), "one word"),
        (lambda: edits.remove_setting("web", "Config", "gone"), "no setting 'gone'"),
        (lambda: edits.set_message("fr", "p", "x"), "no texts in 'fr'"),
        (lambda: edits.remove_language("fr"), "no texts in 'fr'"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)  # fmt: skip
def test_what_cannot_be_is_refused(change: Callable[[], Change], words: str) -> None:
    said = refused(change)
    assert words in said
    assert "hunter2" not in said


def test_the_only_machine_stays_and_has_no_order_to_start_in() -> None:
    data = envelope(content=machine("vm", item(3, "1", VirtualQuantity=1))).encode()
    assert "at least one machine" in refused(lambda: edits.remove_machine("vm"), data)
    assert "alone in its package" in refused(lambda: edits.set_start(None, "order", "1"), data)
