"""A package as a tree of nodes: what an editor shows, and what it can change."""

from collections.abc import Mapping

from kensho_tui.findings import Finding
from kensho_tui.ovf import edits, xml
from kensho_tui.ovf.edits.machines import systems
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.names import ENVELOPE_1, ENVELOPE_2
from kensho_tui.ovf.outline.actions import (
    file_action,
    licence_actions,
    network_action,
    option_action,
    product_action,
    translation_action,
)
from kensho_tui.ovf.outline.context import Context
from kensho_tui.ovf.outline.machines import machine_node
from kensho_tui.ovf.outline.nodes import Field, Kind, Node, lines_of
from kensho_tui.ovf.outline.parts import (
    disks_node,
    files_node,
    networks_node,
    options_node,
    texts_node,
)
from kensho_tui.ovf.outline.products import licence_nodes, product_nodes

_VERSIONS = {ENVELOPE_1: "OVF 1", ENVELOPE_2: "OVF 2"}


class Outline:
    """The nodes of a descriptor, for one deployment option or for all.

    Args:
        configuration: id of the option whose hardware and defaults are shown and edited; None: all of them.

    Raises: DescriptorError: there is no such option.
    """

    def __init__(self, envelope: Envelope, configuration: str | None = None) -> None:
        context = Context(envelope, configuration)
        self.configuration = configuration
        self.root = _root(context)
        self._nodes: dict[str, Node] = {}
        self._parents: dict[str, str] = {}
        for node in self.root.walk():
            self._nodes.setdefault(node.id, node)
            for each in node.children:
                self._parents.setdefault(each.id, node.id)

    @property
    def nodes(self) -> Mapping[str, Node]:
        """All nodes by id, in order."""
        return self._nodes

    def above(self, node: str) -> list[Node]:
        """The nodes above that one, the root first."""
        found: list[Node] = []
        at = self._parents.get(node)
        while at is not None:
            found.insert(0, self._nodes[at])
            at = self._parents.get(at)
        return found

    def at(self, finding: Finding) -> Node:
        """The node that the finding is about: by its line, else by what it names; else the root."""
        if finding.line is not None:
            spans = [
                (last - first, -len(self.above(node.id)), node)
                for node in self._nodes.values()
                for first, last in node.lines
                if first <= finding.line <= last
            ]
            if spans:
                return min(spans, key=lambda each: each[:2])[2]
        named = [
            each
            for each in self._nodes.values()
            if finding.subject and finding.subject == each.label
        ]
        return named[0] if named else self.root


def _root(context: Context) -> Node:
    envelope = context.envelope
    content = envelope.content
    machines = []
    # Read in the same order, of the same elements.
    for element, found in zip(systems(envelope), context.appliance.machines, strict=True):
        machines.append(machine_node(context, element, found))
    collection = content is not None and xml.kind(content) == "VirtualSystemCollection"
    owners = [envelope.root] if not collection or content is None else [content, envelope.root]
    products = [each for owner in owners for each in product_nodes(context, None, owner)]
    licences = [each for owner in owners for each in licence_nodes(context, None, owner)]
    actions = (
        network_action(), option_action(), file_action(), translation_action(),
        *((product_action(None), *licence_actions(None)) if collection else ()),
    )  # fmt: skip
    return Node(
        id="package",
        label=context.appliance.name or envelope.subject or "package",
        noun="package",
        about="The package as a whole. a adds a network, a deployment option, a file …",
        fields=tuple(_fields(context, collection=collection)),
        actions=actions,
        children=(
            *machines,
            *products,
            *licences,
            options_node(context),
            networks_node(context),
            disks_node(context),
            files_node(context),
            texts_node(context),
        ),
        lines=lines_of(envelope.root),
    )


def _fields(context: Context, *, collection: bool) -> list[Field]:
    envelope, content = context.envelope, context.envelope.content
    fields = []
    if collection and content is not None:
        name = xml.child(content, "Name")
        note = next(
            (xml.child(e, "Annotation") for e in xml.children(content, "AnnotationSection")), None
        )
        fields = [
            Field("name", "Name", context.text(name),
                  about=context.translated(name, "What the whole is called."), change=edits.set_title),
            Field("annotation", "Annotation", context.text(note), Kind.LINES,
                  about=context.translated(note, "What people read about the whole."),
                  change=lambda v: edits.set_annotation(None, v)),
        ]  # fmt: skip
    version = _VERSIONS.get(xml.namespace(envelope.root), "OVF, of an unknown version")
    return [
        *fields,
        Field("machines", "Machines", str(len(systems(envelope))), fixed="they are listed below"),
        Field("version", "Written as", version, fixed="it stays what it is"),
        Field("language", "Language", envelope.language, fixed="it is that of the texts"),
    ]
