"""What was imported and is exported again equals what went in, and the schemas accept it."""

import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from kensho_tui.lab.sample import make_sample
from kensho_tui.machine import Appliance, Controller, Disk, DiskId, Machine
from kensho_tui.ovf.envelope import Envelope
from tests.desk import Desk, desk_with_lab
from tests.peers.wrap import corpus, equal, file_system, ova, qemu_image

MIB = 1 << 20
SCHEMA = (
    Path(os.environ.get("KENSHO_XSD", Path(__file__).resolve().parents[3] / "shared" / "xsd"))
    / "1.1.1-xo"
    / "dsp8023_1.1.1.xsd"
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk_with_lab(tmp_path_factory.mktemp("desk")) as opened:
        yield opened


def descriptor(package: Path) -> bytes:
    """The descriptor of an OVA, by Python's own tarfile."""
    with tarfile.open(package) as tar:
        first = next(m for m in tar if m.name.endswith(".ovf"))
        opened = tar.extractfile(first)
        assert opened
        return opened.read()


def conforming(text: bytes) -> None:
    """Assert that DMTF's schema accepts the descriptor."""
    if not SCHEMA.exists():
        pytest.skip(f"needs DMTF's schemas in KENSHO_XSD (looked for {SCHEMA})")
    parser = etree.XMLParser(no_network=True, resolve_entities=False)
    schema = etree.XMLSchema(etree.parse(str(SCHEMA), parser))
    assert schema.validate(etree.fromstring(text, parser)), schema.error_log


def comparable(appliance: Appliance) -> Appliance:
    """Without what belongs to a platform and not to the appliance.

    Networks have the target's names, MAC addresses were chosen there, drives hang on controllers that
    the platform has, image files have other names, the descriptor names another hardware family, and
    XenServer's own keys are there now.
    """

    def machine(one: Machine) -> Machine:
        return replace(
            one,
            uuid=None,
            hardware=(),
            controllers=tuple[Controller, ...](),
            attachments=tuple(
                replace(a, id="", controller=None, unit=None, boot_index=None, name="", disk=None)
                for a in one.attachments
                if a.disk is not None
            ),
            adapters=tuple(
                replace(a, id="", network=None, mac=None, model="", name="") for a in one.adapters
            ),
            boot_order=(),
            extras={},
        )

    def disk(one: Disk) -> Disk:
        return replace(one, image="", image_size=None, format="", populated=None, extras={})

    return replace(
        appliance,
        machines=tuple(machine(m) for m in appliance.machines),
        disks={
            DiskId(str(i)): disk(replace(d, id=DiskId("")))
            for i, d in enumerate(appliance.disks.values())
        },
        networks=(),
        configurations=(),
        configuration="",
        extras={},
    )


def test_the_sample_comes_back_as_it_went(desk: Desk, tmp_path: Path) -> None:
    make_sample(tmp_path / "shop.ova")
    desk.environment["ADMIN"] = "Correct-horse-7"
    desk.run(
        "import", str(tmp_path / "shop.ova"), "--to", "lab-xen", "--accept-eula", "all",
        "--property", "org.example.shop.admin_password.1=env:ADMIN", "--wait",
    )  # fmt: skip
    desk.run("export", "lab-xen", "web01", "db01", "--output", str(tmp_path / "b.ova"), "--wait")
    text = descriptor(tmp_path / "b.ova")
    conforming(text)
    before, _ = Envelope.parse(descriptor(tmp_path / "shop.ova")).appliance()
    after, findings = Envelope.parse(text).appliance()
    assert comparable(after) == comparable(before)
    assert not [f for f in findings if f.severity != "info"]
    assert b"Correct-horse-7" not in text


def test_the_answers_in_the_documents_fit_the_sample(desk: Desk, tmp_path: Path) -> None:
    make_sample(tmp_path / "shop.ova")
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    (answers,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "answers.yaml").write_text(answers)
    desk.environment["SHOP_ADMIN_PASSWORD"] = "Correct-horse-7"
    done = desk.run(
        "import", str(tmp_path / "shop.ova"), "--to", "lab-xen", "--accept-eula", "all",
        "--answers", str(tmp_path / "answers.yaml"), "--dry-run",
    )  # fmt: skip
    assert "shop-web  4 CPU  2 GiB" in done.stdout
    assert "shared-nfs" in done.stdout


def test_xen_keys_come_back_as_they_went(desk: Desk, tmp_path: Path) -> None:
    name = "5936bc8c-20ae-4052-9083-b8e5b96dc683.vhd"
    origin = file_system(tmp_path / "origin.raw", 10 * MIB, "xen")
    source = corpus("xenserver__xenadmin/XenAdminTests/TestResources/sample_app.ovf")
    package = ova(tmp_path / "xen.ova", source, {name: qemu_image(origin, tmp_path / name).image})
    desk.run("import", str(package), "--to", "lab-xen", "--accept-eula", "all", "--wait")
    before, _ = Envelope.parse(descriptor(package)).appliance()
    (machine,) = before.machines
    desk.run(
        "export", "lab-xen", machine.name, "--output", str(tmp_path / "back"), "--format", "ovf",
        "--wait",
    )  # fmt: skip
    (written,) = (tmp_path / "back").glob("*.ovf")
    conforming(written.read_bytes())
    after, _ = Envelope.parse(written.read_bytes()).appliance()
    keys = {k: v for k, v in machine.extras.items() if k.startswith("xenserver:")}
    assert keys
    assert {k: after.machines[0].extras.get(k) for k in keys} == keys
    (image,) = (tmp_path / "back").glob("*.vmdk")
    equal(origin, image, left_format="raw", right_format="vmdk", size=10 * MIB)
