"""Networks, deployment options, files, disks and languages as an editor shows them."""

from functools import partial

from kensho_tui.ovf import edits, xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.edits.networks import users
from kensho_tui.ovf.names import XML
from kensho_tui.ovf.outline import sizes
from kensho_tui.ovf.outline.actions import (
    file_action,
    network_action,
    option_action,
    translation_action,
)
from kensho_tui.ovf.outline.context import Context
from kensho_tui.ovf.outline.nodes import Field, Kind, Node, flag, lines_of
from kensho_tui.text import one_line


def networks_node(context: Context) -> Node:
    """All networks."""
    nodes = []
    elements = {
        xml.attr(each, "name") or "": each
        for section in context.envelope.sections("NetworkSection")
        for each in xml.children(section, "Network")
    }
    for network in context.envelope.networks:
        name = str(network.id)
        on = list(dict.fromkeys(users(context.envelope, name)))
        element = elements.get(name)
        said = None if element is None else xml.child(element, "Description")
        nodes.append(
            Node(
                id=f"network:{name}",
                label=name or "(no name)",
                noun="network",
                detail=f"{len(on)} adapter{'' if len(on) == 1 else 's'}",
                about=f"On it: {', '.join(on[:6])}." if on else "Nothing is on it.",
                fields=(
                    Field("name", "Name", name, about="It changes wherever it is used.",
                          change=partial(edits.rename_network, name)),
                    Field("description", "Description", network.description,
                          about=context.translated(said, "What it is for."),
                          change=partial(edits.set_network_description, name)),
                ),
                actions=(network_action(),),
                remove=None if on else edits.remove_network(name),
                stays="adapters are on it: put them on another network first" if on else "",
                lines=lines_of(element),
            )
        )  # fmt: skip
    return Node(
        "networks", "Networks", detail=str(len(nodes)), actions=(network_action(),), children=tuple(nodes),
        about="Networks that adapters are on. What each one is there is said when it is deployed. a adds one.",
    )  # fmt: skip


def options_node(context: Context) -> Node:
    """All deployment options."""
    elements = {
        xml.attr(each, "id") or "": each
        for section in context.envelope.sections("DeploymentOptionSection")
        for each in xml.children(section, "Configuration")
    }
    nodes = []
    for option in context.envelope.configurations:
        id_, element = option.id, elements.get(option.id)
        label = None if element is None else xml.child(element, "Label")
        said = None if element is None else xml.child(element, "Description")
        nodes.append(
            Node(
                id=f"option:{id_}",
                label=id_,
                noun="deployment option",
                detail="default" if option.default else one_line(option.label, limit=24),
                about="A size or kind to choose when it is deployed. o edits the hardware of one.",
                fields=(
                    Field("id", "Id", id_, about="It changes wherever it is named.",
                          change=partial(edits.rename_configuration, id_)),
                    Field("label", "Label", option.label, about=context.translated(label, "What people read."),
                          change=partial(edits.set_configuration, id_, "label")),
                    Field("description", "Explanation", option.description,
                          about=context.translated(said, "What people read about it."),
                          change=partial(edits.set_configuration, id_, "description")),
                    Field("default", "Is the default", flag(option.default), Kind.FLAG,
                          about="It is taken where none is chosen.",
                          fixed="say yes at another one instead" if option.default else "",
                          change=partial(_default, id_)),
                ),
                actions=(option_action(),),
                remove=edits.remove_configuration(id_),
                lines=lines_of(element),
            )
        )  # fmt: skip
    return Node(
        "options", "Deployment options", detail=str(len(nodes)) if nodes else "none",
        about="Sizes or kinds to choose of, each with hardware of its own. a adds one.",
        actions=(option_action(),), children=tuple(nodes),
    )  # fmt: skip


def files_node(context: Context) -> Node:
    """All files of the references."""
    envelope = context.envelope
    elements = {
        xml.attr(each, "id") or "": each
        for section in envelope.sections("References")
        for each in xml.children(section, "File")
    }
    nodes = []
    seen: set[str] = set()
    for file in envelope.files:
        disks = [each.id for each in envelope.disks if each.file == file.id]
        if file.href in seen:
            continue
        seen.add(file.href)
        nodes.append(
            Node(
                id=f"file:{file.href}",
                label=file.href,
                noun="file",
                detail=sizes.shown(file.size),
                about=f"The disk {', '.join(disks)} lies in it." if disks else "A file of the package.",
                fields=(
                    Field("name", "Name", file.href, about="Its content stays.",
                          fixed="it is cut into chunks" if file.chunk_size else "",
                          change=partial(edits.rename_file, file.href)),
                    Field("size", "Size", sizes.shown(file.size), fixed="it is that of the file"),
                    Field("compression", "Compression", file.compression or "none",
                          fixed="it is that of the file"),
                ),
                actions=(file_action(),),
                remove=edits.remove_file(file.href),
                lines=lines_of(elements.get(file.id)),
            )
        )  # fmt: skip
    return Node(
        "files", "Files", detail=str(len(nodes)), actions=(file_action(),), children=tuple(nodes),
        about="Files that belong to the package. a adds one; a disk image is added at a machine.",
    )  # fmt: skip


def disks_node(context: Context) -> Node:
    """All disks of the disk sections."""
    nodes = []
    for disk in context.envelope.disks:
        unit = disk.unit or 1
        number = xml.number(disk.capacity)
        bound = number is None
        file = context.envelope.file(disk.file) if disk.file else None
        nodes.append(
            Node(
                id=f"disk:{disk.id}",
                label=disk.id,
                noun="disk",
                detail=disk.capacity if bound else sizes.shown((number or 0) * unit),
                about="A disk of the package. Which machine has it is said at the machine.",
                fields=(
                    Field("capacity", "Capacity", "" if number is None else sizes.shown(number * unit),
                          shown=disk.capacity if bound else "",
                          about="What the guest sees: 20 GiB. What its file holds is not changed by this.",
                          change=partial(_capacity, disk.id)),
                    Field("file", "File", file.href if file else "", shown="" if file else "none: it is blank",
                          fixed="remove the disk, and add another one"),
                    Field("format", "Format", disk.format, fixed="it is that of its file"),
                ),
                remove=edits.remove_disk(disk.id),
                lines=lines_of(disk.element),
            )
        )  # fmt: skip
    return Node(
        "disks", "Disks", detail=str(len(nodes)), children=tuple(nodes),
        about="Disks of the package. One is added at the machine that has it.",
    )  # fmt: skip


def texts_node(context: Context) -> Node:
    """Languages, each with its texts."""
    nodes = []
    number: dict[str, int] = {}
    for bundle in context.envelope.sections("Strings"):
        language = bundle.get(f"{{{XML}}}lang", "en-US")
        number[language] = number.get(language, 0) + 1
        own = f"text:{language}" + (f"#{number[language]}" if number[language] > 1 else "")
        file = xml.attr(bundle, "fileRef")
        messages = list(xml.children(bundle, "Msg"))
        fields = tuple(
            Field(f"{xml.attr(each, 'msgid')}", xml.attr(each, "msgid") or "", xml.text(each), Kind.LINES,
                  about="A text of the package in this language, by its msgid.",
                  change=partial(edits.set_message, language, xml.attr(each, "msgid") or ""))
            for each in messages
        )  # fmt: skip
        if file:
            fields = (
                Field(
                    "file",
                    "File",
                    file,
                    fixed="its texts are in a file of their own: edit that file",
                ),
            )
        nodes.append(
            Node(
                id=own,
                label=language,
                noun="language",
                detail="in a file"
                if file
                else f"{len(messages)} text{'' if len(messages) == 1 else 's'}",
                about="Texts of the package in this language. a adds one.",
                fields=fields,
                actions=(translation_action(language),),
                remove=edits.remove_language(language),
                lines=lines_of(bundle),
            )
        )
    return Node(
        "texts", "Languages", detail=str(len(nodes)) if nodes else "one",
        about="Texts of the package in other languages than its own. a adds a translation.",
        actions=(translation_action(),), children=tuple(nodes),
    )  # fmt: skip


def _default(option: str, answer: str) -> Change:
    """``answer`` is yes: what is the default stops to be it only by another one."""
    return edits.set_default_configuration(option)


def _capacity(disk: str, answer: str) -> Change:
    return edits.set_capacity(disk, sizes.parsed(answer))
