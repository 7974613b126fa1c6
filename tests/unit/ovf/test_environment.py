"""The environment a guest is handed, as a document and as an image."""

import io
import os
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from backends.base import PlatformInfo
from kensho_tui.machine import Appliance, Machine, MachineId, Memory, Property
from kensho_tui.ovf.environment import document, environment_iso, iso_bound, sensitive
from tests.unit.ovf.schemas import environment_schema, needs_xsd, problems

NS = {"e": "http://schemas.dmtf.org/ovf/environment/1"}
PLATFORM = PlatformInfo("XenServer", "8.4.0", "Cloud Software Group")
WEB = Machine(MachineId("web"), "web01", Memory(1 << 30))
SHOP = Appliance(
    "shop",
    (WEB, replace(WEB, id=MachineId("db"), name="db01")),
    collection=True,
    properties=(
        Property("domain", default="example.com"),
        Property("size", "", "uint16", default="3"),
        Property("size", "web", "uint16", default="5"),
        Property("admin.password", "web", password=True, configurable=True),
        Property("ssh", "db", "boolean", default="True"),
    ),
)


def properties(data: bytes, at: str = "") -> dict[str, str]:
    """Keys and values of the document's own PropertySection, or of an entity's."""
    path = f"/e:Environment{at}/e:PropertySection/e:Property"
    key, value = (f"{{{NS['e']}}}{name}" for name in ("key", "value"))
    found = etree.fromstring(data).xpath(path, namespaces=NS)
    assert isinstance(found, list)
    return {
        each.get(key, ""): each.get(value, "") for each in found if isinstance(each, etree._Element)
    }


def test_a_machine_is_told_its_own_the_appliances_and_its_siblings_properties() -> None:
    data = document(SHOP, "web", {"web/admin.password": "s<3&\"c'ret", "domain": "shop.test"})
    assert properties(data) == {
        "domain": "shop.test", "size": "5", "admin.password": "s<3&\"c'ret",
    }  # fmt: skip
    assert properties(data, "/e:Entity[@e:id='db']") == {
        "domain": "shop.test", "size": "3", "ssh": "true",
    }  # fmt: skip
    assert etree.fromstring(data).get(f"{{{NS['e']}}}id") == "web"


def test_the_platform_says_what_it_is() -> None:
    data = document(SHOP, "db", {}, platform=PLATFORM, locale="de-DE", timezone=-60)
    section = etree.fromstring(data)[0]
    assert [(etree.QName(each).localname, each.text) for each in section] == [
        ("Kind", "XenServer"), ("Version", "8.4.0"), ("Vendor", "Cloud Software Group"),
        ("Locale", "de-DE"), ("Timezone", "-60"),
    ]  # fmt: skip


@needs_xsd
def test_the_document_is_valid_by_the_schema() -> None:
    for platform in (None, PLATFORM):
        data = document(SHOP, "web", {}, platform=platform, timezone=0)
        assert problems(environment_schema(), data) == []


def test_control_characters_of_an_answer_do_not_break_the_document() -> None:
    data = document(SHOP, "web", {"domain": "a\x00b\x1b\ud800c\nd"})
    assert properties(data)["domain"] == "abc\nd"


def test_a_machine_that_is_not_there_has_none() -> None:
    with pytest.raises(KeyError):
        document(SHOP, "nowhere", {})


def test_a_password_makes_it_sensitive() -> None:
    assert sensitive(SHOP)
    assert not sensitive(replace(SHOP, properties=SHOP.properties[:3]))


def test_the_image_holds_the_document_under_its_name() -> None:
    import pycdlib

    data = document(SHOP, "web", {})
    disc = pycdlib.PyCdlib()
    disc.open_fp(io.BytesIO(environment_iso(data)))
    try:
        for where in ({"joliet_path": "/ovf-env.xml"}, {"rr_path": "/ovf-env.xml"}):
            out = io.BytesIO()
            disc.get_file_from_iso_fp(out, **where)
            assert out.getvalue() == data
        assert disc.pvd.volume_identifier.strip() == b"OVF_ENV"
    finally:
        disc.close()


def test_the_same_document_is_the_same_image_at_any_time_and_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = document(SHOP, "web", {})
    first = environment_iso(data)
    monkeypatch.setattr("time.time", lambda: 1.0e9)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert environment_iso(data) == first
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.peer
def test_another_reader_finds_the_document(tmp_path: Path) -> None:
    tool = shutil.which("isoinfo") or shutil.which("bsdtar")
    if tool is None:
        pytest.skip(
            "neither isoinfo nor bsdtar is here: apt install genisoimage or libarchive-tools"
        )
    data = document(SHOP, "web", {})
    path = tmp_path / "env.iso"
    path.write_bytes(environment_iso(data))
    command = (
        [tool, "-R", "-x", "/ovf-env.xml", "-i", os.fspath(path)]
        if tool.endswith("isoinfo")
        else [tool, "-xOf", os.fspath(path), "ovf-env.xml"]
    )
    assert subprocess.run(command, capture_output=True, check=True).stdout == data


@pytest.mark.parametrize(
    "files", [{}, {"a/b/c/d/e/f/g/h.txt": b"x" * 5000}, {"one": b"", "two": b"2"}]
)
@pytest.mark.parametrize("length", [1, 2048, 70_001])
def test_no_cd_is_larger_than_its_bound(length: int, files: dict[str, bytes]) -> None:
    made = len(environment_iso(b"x" * length, files))
    assert made <= iso_bound(length, files) <= made + (128 << 10)
