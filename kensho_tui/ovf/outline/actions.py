"""What can be put into a package, and what has to be known for it."""

from collections.abc import Mapping

from kensho_tui.ovf import edits
from kensho_tui.ovf.edits.drives import KINDS
from kensho_tui.ovf.outline.context import Context
from kensho_tui.ovf.outline.files import disk_made, file_made, licence_made
from kensho_tui.ovf.outline.nodes import Action, Field, Kind, Made, yes
from kensho_tui.ovf.properties import TYPES

_MODELS = ("", "VmxNet3", "E1000", "E1000e", "virtio", "PCNet32")
_FILE = "A file on this computer. It is read when the package is saved."
_INSIDE = "What it is called in the package; empty for its own name."
Answers = Mapping[str, str]


def networks(context: Context, current: str = "") -> tuple[tuple[str, str], ...]:
    """The networks to choose of."""
    known = [str(each.id) for each in context.envelope.networks]
    names = dict.fromkeys([*known, *([current] if current else [])])
    return (*((each, each) for each in names), ("", "not connected"))


def models(current: str = "") -> tuple[tuple[str, str], ...]:
    """Models of network adapters to choose of."""
    return tuple(
        (each, each or "as the target has it") for each in dict.fromkeys((*_MODELS, current))
    )


# ----------------------------------------------------------------------------------------- machines
def adapter_action(context: Context, machine: str) -> Action:
    """A network adapter more."""
    option = context.configuration
    there = networks(context)
    return Action(
        "adapter",
        "Network adapter",
        (
            Field("network", "Network", there[0][0], Kind.CHOICE, there, "The network it is on."),
            Field("model", "Model", "", Kind.CHOICE,
                  (("", "like the last one"), *models()[1:]), "What the guest sees it as."),
            Field("mac", "MAC address", about="Empty: the target chooses one."),
            Field("name", "Name", about="Empty: it is numbered."),
        ),
        lambda a: Made(
            (
                edits.add_adapter(
                    machine, a["network"], subtype=a["model"], mac=a["mac"], name=a["name"],
                    configuration=option,
                ),
            )
        ),
    )  # fmt: skip


def disk_action(machine: str) -> Action:
    """A disk image, in a drive of the machine."""
    return Action(
        "disk",
        "Disk image from a file",
        (
            Field("path", "File", "", Kind.PATH, about=f"VMDK (streamOptimized), VHD, VHDX or QCOW2. {_FILE}"),
            Field("name", "Name in package", about=_INSIDE),
        ),
        lambda a: disk_made(a["path"], a["name"], machine),
    )  # fmt: skip


def attach_action(context: Context, machine: str) -> Action:
    """A drive with a disk that is there already."""
    option = context.configuration
    known = tuple((each.id, each.id) for each in context.envelope.disks)
    return Action(
        "attach",
        "Disk of the package",
        (
            Field("disk", "Disk", known[0][0] if known else "", Kind.CHOICE, known,
                  "It can be in several machines."),
        ),
        lambda a: Made((edits.attach_disk(machine, a["disk"], "", option),)),
    )  # fmt: skip


def drive_action(context: Context, machine: str) -> Action:
    """A CD or floppy drive."""
    option = context.configuration
    return Action(
        "drive",
        "CD or floppy drive",
        (
            Field("medium", "Kind", "cdrom", Kind.CHOICE, (("cdrom", "CD"), ("floppy", "floppy"))),
            Field("file", "File in it", "", Kind.CHOICE, files(context), "A file of the package; or none."),
        ),
        lambda a: Made((edits.add_drive(machine, a["medium"], a["file"], option),)),
    )  # fmt: skip


def files(context: Context) -> tuple[tuple[str, str], ...]:
    """Files of the package that no disk lies in, to choose of."""
    disks = {each.file for each in context.envelope.disks}
    return (("", "empty"), *((e.href, e.href) for e in context.envelope.files if e.id not in disks))


def controller_action(context: Context, machine: str) -> Action:
    """A controller more."""
    option = context.configuration
    kinds = tuple((each, each.upper()) for each in KINDS)
    return Action(
        "controller",
        "Controller",
        (
            Field("kind", "Kind", "scsi", Kind.CHOICE, kinds),
            Field(
                "model", "Model", about="Such as lsilogic or VirtualSCSI; empty for the usual one."
            ),
        ),
        lambda a: Made(
            (edits.add_controller(machine, a["kind"], subtype=a["model"], configuration=option),)
        ),
    )


def serial_action(context: Context, machine: str) -> Action:
    """A serial port."""
    option = context.configuration
    return Action(
        "serial",
        "Serial port",
        (Field("address", "Leads to", about="Such as telnet://:9101; may be empty."),),
        lambda a: Made((edits.add_serial(machine, a["address"], option),)),
    )


def setting_action(machine: str) -> Action:
    """A setting of VMware's."""
    return Action(
        "setting",
        "Setting of VMware's",
        (
            Field("kind", "Kind", "ExtraConfig", Kind.CHOICE,
                  (("ExtraConfig", "line of the .vmx file"), ("Config", "named setting"))),
            Field("key", "Key", about="Such as disk.EnableUUID."),
            Field("value", "Value"),
        ),
        lambda a: Made((edits.set_setting(machine, a["kind"], a["key"], a["value"]),)),
    )  # fmt: skip


# ------------------------------------------------------------------------------ products, questions
def product_action(machine: str | None) -> Action:
    """A product more."""
    return Action(
        "product",
        "Product",
        (
            Field("name", "Name"),
            Field("class", "Class", about="Such as org.example.shop: stands before the keys of its questions."),
            Field("instance", "Instance", about="Stands behind them; mostly empty."),
        ),
        lambda a: Made((edits.add_product(machine, a["name"], a["class"], a["instance"]),)),
    )  # fmt: skip


def question_action(machine: str | None, product: str, category: str = "") -> Action:
    """A question more."""

    def make(a: Answers) -> Made:
        return Made((
            edits.add_property(
                machine, a["key"], a["type"], label=a["label"], description=a["description"],
                default=a["default"] or None, qualifiers=a["qualifiers"],
                password=yes(a["password"]), category=a["category"], product=product,
            ),
        ))  # fmt: skip

    return Action(
        "question",
        "Question (property)",
        (
            Field("key", "Key", about="What the guest finds it by: letters, digits, '.', '_' and '-'."),
            Field("type", "Type", "string", Kind.CHOICE, tuple((each, each) for each in TYPES)),
            Field("label", "Label", about="What people read."),
            Field("description", "Explanation"),
            Field("category", "Category", category, about="The heading it stands under; may be empty."),
            Field("qualifiers", "Limits", about='Such as MinLen(1), MaxValue(9) or ValueMap{"a","b"}.'),
            Field("default", "Default", about="Empty: it has to be answered."),
            Field("password", "Password", "no", Kind.FLAG, about="It is never shown, and has no default."),
        ),
        make,
    )  # fmt: skip


def licence_actions(machine: str | None) -> tuple[Action, ...]:
    """A licence more: from a file, or typed."""
    return (
        Action(
            "licence",
            "Licence from a file",
            (Field("path", "File", "", Kind.PATH, about="A text in UTF-8."),),
            lambda a: licence_made(a["path"], machine),
        ),
        Action(
            "licence-typed",
            "Licence, typed",
            (
                Field(
                    "text",
                    "Text",
                    "",
                    Kind.LINES,
                    about="Who deploys the package has to accept it.",
                ),
            ),
            lambda a: Made((edits.add_licence(machine, a["text"]),)),
        ),
    )


# --------------------------------------------------------------------------------------- the package
def network_action() -> Action:
    """A network more."""
    return Action(
        "network",
        "Network",
        (Field("name", "Name"), Field("description", "Description")),
        lambda a: Made((edits.add_network(a["name"], a["description"]),)),
    )


def option_action() -> Action:
    """A deployment option more."""
    return Action(
        "option",
        "Deployment option",
        (
            Field("id", "Id", about="Letters, digits, '.', '_' and '-'."),
            Field("label", "Label", about="What people read; empty for its id."),
            Field("description", "Description"),
            Field("default", "Is the default", "no", Kind.FLAG),
        ),
        lambda a: Made(
            (edits.add_configuration(a["id"], a["label"], a["description"], yes(a["default"])),)
        ),
        "Then o chooses it, and what is changed of the hardware is changed for it alone.",
    )


def file_action() -> Action:
    """A file more."""
    return Action(
        "file",
        "File",
        (
            Field("path", "File", "", Kind.PATH, about=_FILE),
            Field("name", "Name in package", about=_INSIDE),
        ),
        lambda a: file_made(a["path"], a["name"]),
    )


def translation_action(language: str = "") -> Action:
    """A translation more."""
    return Action(
        "translation",
        "Translation",
        (
            Field("language", "Language", language, about="Such as de or de-DE."),
            Field("text", "Text", about="As the package says it: a label, a description, a name."),
            Field("translation", "Translation"),
        ),
        lambda a: Made((edits.add_texts(a["language"], {a["text"]: a["translation"]}),)),
    )
