"""``kensho package create``: what the template says is what the package says, and nothing half-made stays."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kensho_tui.cli.out import Exit
from kensho_tui.cli.package import package
from kensho_tui.ovf.package import open_package

TEMPLATE = """\
name: Shop
description: A shop in two machines
product: {name: Shop, vendor: Example, version: "4.2"}
networks: {front: What customers see, back: ""}
licences: [licence.txt]
questions:
  - {key: zone, label: Time zone, category: General, default: UTC}
machines:
  - id: web
    name: web01
    cpus: 2
    memory: 2GiB
    firmware: uefi
    os: Debian 12
    hardware: [vmx-19]
    disks: [{file: web.img}, {size: 10GiB, name: data}]
    networks: [front, back]
    questions:
      - {key: port, type: uint16, label: Port, default: "80", qualifiers: "MinValue(1)"}
      - {key: admin, label: Password, password: true}
  - {id: db, memory: 4GiB, disks: [{file: db.img}], networks: [back], start_order: 1}
options:
  - {id: small, label: Small, default: true}
  - {id: large, label: Large, machines: {web: {cpus: 8, memory: 16GiB}}}
texts:
  de: {Port: Anschluss, Time zone: Zeitzone, Large: Groß}
"""


def run(*arguments: object) -> Result:
    """The command with those arguments."""
    return CliRunner().invoke(package, [str(each) for each in arguments])


def files(tmp_path: Path, template: str = TEMPLATE) -> Path:
    """The template and what it names."""
    for name, size in (("web.img", 3), ("db.img", 1)):
        (tmp_path / name).write_bytes(os.urandom(1 << 16) + bytes((size << 20) - (1 << 16)))
    (tmp_path / "licence.txt").write_text("Be kind.", "utf-8")
    (tmp_path / "shop.yaml").write_text(template, "utf-8")
    return tmp_path / "shop.yaml"


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("shop.zip", ()),
        ("shop.ova.gz", ()),
        ("shop.tar", ("--format", "ovf")),
        ("shop.ova", ("--format", "ovf")),
        ("shop.ovf", ("--format", "ova")),
    ],
)
def test_a_name_that_contradicts_what_is_written_is_refused(
    tmp_path: Path, name: str, more: tuple[str, ...]
) -> None:
    template = files(tmp_path)
    before = sorted(tmp_path.iterdir())
    done = run("create", template, "--output", tmp_path / name, *more)
    assert done.exit_code == Exit.INPUT, done.output
    assert name in done.stderr
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "made"), [("a.ovf", "a/a.ovf"), ("a.ova", "a.ova"), ("a", "a.ova")]
)
def test_where_no_format_is_named_the_ending_says_it(tmp_path: Path, name: str, made: str) -> None:
    done = run("create", files(tmp_path), "--output", tmp_path / name)
    assert done.exit_code == Exit.OK, done.output
    assert (tmp_path / made).is_file()


@pytest.mark.parametrize("format_", ["ova", "ovf"])
def test_the_package_says_what_the_template_says(tmp_path: Path, format_: str) -> None:
    target = tmp_path / ("shop.ova" if format_ == "ova" else "shop")
    done = run("create", files(tmp_path), "--output", target, "--format", format_)
    assert done.exit_code == Exit.OK, done.output
    opened = open_package(Path(done.stdout.partition(": written")[0]))
    appliance, findings = opened.appliance()
    assert [each for each in findings if each.severity == "error"] == []
    web, db = appliance.machines
    assert (web.name, web.processors.count, web.memory.size, web.firmware) == (
        "web01",
        2,
        2 << 30,
        "uefi",
    )
    assert (web.hardware, web.os.description, db.start.order) == (("vmx-19",), "Debian 12", 1)
    assert [(d.capacity, d.blank) for d in appliance.disks_of(web)] == [
        (3 << 20, False),
        (10 << 30, True),
    ]
    assert [a.network for a in web.adapters] == ["front", "back"]
    assert appliance.products[0].version == "4.2"
    assert [each.text for each in appliance.licences] == ["Be kind."]
    asked = {each.address: each.default for each in appliance.properties}
    assert asked == {"zone": "UTC", "web/port": "80", "web/admin": None}
    large = opened.appliance("large")[0].machine("web")
    assert (appliance.configuration, large.processors.count, large.memory.size) == (
        "small",
        8,
        16 << 30,
    )
    german = opened.appliance(locale="de")[0]
    assert {each.label for each in german.properties} == {"Anschluss", "Zeitzone", "Password"}
    assert [each.label for each in german.configurations] == ["Small", "Groß"]
    assert run("verify", opened.path).exit_code == Exit.OK


@pytest.mark.skipif(
    shutil.which("qemu-img") is None, reason="needs qemu-img: apt-get install qemu-utils"
)
def test_its_disks_are_those_that_were_given(tmp_path: Path) -> None:
    assert (
        run("create", files(tmp_path), "--output", tmp_path / "out", "--format", "ovf").exit_code
        == Exit.OK
    )
    [descriptor] = (tmp_path / "out").glob("**/*.ovf")
    appliance, _ = open_package(descriptor).appliance()
    for machine, source in zip(appliance.machines, ("web.img", "db.img"), strict=True):
        image = descriptor.parent / appliance.disks_of(machine)[0].image
        subprocess.run(
            ["qemu-img", "compare", "-q", "-f", "vmdk", "-F", "raw", image, tmp_path / source],
            check=True,
        )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("name: Shop\n", "name: [\n", "no YAML"),
        ("name: Shop\n", "colour: red\nname: Shop\n", "colour"),
        ("memory: 2GiB", "memory: lots", "memory"),
        ("file: web.img", "file: gone.img", "gone.img"),
        ("networks: [front, back]", "networks: [front, side]", "'side' is not among the networks"),
        ('default: "80"', 'default: "0"', "the default must be"),
        ("password: true", "password: true, default: x", "a password has no default"),
        ("type: uint16", "type: port", "no type of a question"),
        ("{size: 10GiB, name: data}", "{name: data}", "a file, or a size"),
        ("id: db", "id: web", "the same id"),
        ("Port: Anschluss", "Colour: Farbe", "nothing in the package says 'Colour'"),
        ("  de: {", "  'd e': {", "is no language"),
        ("machines: {web: {cpus: 8", "machines: {www: {cpus: 8", "no machine 'www'"),
        ("id: large", "id: small", "there is a deployment option 'small'"),
        ("licences: [licence.txt]", "licences: [gone.txt]", "gone.txt"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)  # fmt: skip
def test_a_template_that_is_not_right_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    assert old in TEMPLATE
    template = files(tmp_path, TEMPLATE.replace(old, new, 1))
    before = sorted(os.listdir(tmp_path))
    done = run("create", template, "--output", tmp_path / "shop.ova")
    assert done.exit_code in {Exit.INPUT, Exit.PLATFORM}, done.output
    assert words in done.stderr
    assert "Traceback" not in done.output
    assert sorted(os.listdir(tmp_path)) == before


def test_what_is_there_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "shop.ova").write_text("mine")
    done = run("create", files(tmp_path), "--output", tmp_path / "shop.ova")
    assert done.exit_code != Exit.OK
    assert (tmp_path / "shop.ova").read_text() == "mine"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('version: "4.2"', "version: 4.2", "'product.version' is to be a text: write it in quotes"),
        (
            "memory: 2GiB",
            "memory: 512",
            "'machines[1].memory' is not right: a size of 1 MiB or more",
        ),
        ("cpus: 2", "cpu: 2", "'machines[1].cpu' is no word of a template"),
        ("name: web01", 'name: "web\\e[31m"', "'machines[1].name' is not right: a text without"),
        (
            "\nmachines:\n",
            "\nmachines: web\nothers:\n",
            "'machines' is to be a list; 'others' is no word",
        ),
    ],
)
def test_a_template_that_is_not_right_says_where_and_what_is_wanted(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    path = files(tmp_path, TEMPLATE.replace(old, new))
    made = run("create", path, "--output", tmp_path / "shop.ova")
    assert made.exit_code == Exit.INPUT
    assert words in made.stderr
    assert not (tmp_path / "shop.ova").exists()


def test_what_no_reader_could_take_is_refused_and_a_taken_name_is_no_platforms_fault(
    tmp_path: Path,
) -> None:
    path = files(tmp_path)
    made = run(
        "create", path, "--output", tmp_path / "a.ova", "--compress", "--disk-format", "qcow2"
    )
    assert made.exit_code == Exit.INPUT
    assert "read by nobody" in made.stderr
    (tmp_path / "a.ova").write_text("somebody's")
    made = run("create", path, "--output", tmp_path / "a.ova")
    assert made.exit_code == Exit.INPUT
    assert (tmp_path / "a.ova").read_text() == "somebody's"


def test_the_operating_system_has_its_numbers(tmp_path: Path) -> None:
    more = "os: Debian 12\n    os_id: 95\n    os_type: debian12_64Guest"
    path = files(tmp_path, TEMPLATE.replace("os: Debian 12", more))
    made = run("create", path, "--output", tmp_path / "a.ova")
    assert made.exit_code == 0, made.output
    assert "of no known format: it goes in as a raw disk" in made.stderr
    found = open_package(tmp_path / "a.ova").appliance()[0].machines[0].os
    assert (found.description, found.cim_id, found.vendor_id) == (
        "Debian 12",
        95,
        "debian12_64Guest",
    )
