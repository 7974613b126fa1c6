"""What can be changed in a descriptor: each a function that works on the XML tree (DSP0243 2.1.1).

What an edit does not touch stays: attributes, vendors' children, comments, order. New elements take the
document's own namespaces, so that OVF 1.x and 2.x stay what they are. One module a subject.
"""

from kensho_tui.ovf.edits.disks import add_disk, remove_disk, set_capacity
from kensho_tui.ovf.edits.files import add_file, remove_file
from kensho_tui.ovf.edits.hardware import set_families, set_memory, set_processors, set_transport
from kensho_tui.ovf.edits.machines import set_annotation, set_name, system, systems
from kensho_tui.ovf.edits.networks import rename_network
from kensho_tui.ovf.edits.options import add_configuration
from kensho_tui.ovf.edits.products import add_licence, set_product
from kensho_tui.ovf.edits.properties import set_property
from kensho_tui.ovf.edits.texts import add_texts

__all__ = [
    "add_configuration", "add_disk", "add_file", "add_licence", "add_texts", "remove_disk", "remove_file",
    "rename_network", "set_annotation", "set_capacity", "set_families", "set_memory", "set_name",
    "set_processors", "set_product", "set_property", "set_transport", "system", "systems",
]  # fmt: skip
