"""What can be changed in a descriptor: each a function that works on the XML tree (DSP0243 2.1.1).

What an edit does not touch stays: attributes, vendors' children, comments, order. New elements take the
document's own namespaces, so that OVF 1.x and 2.x stay what they are. One module a subject.
"""

from kensho_tui.ovf.edits.adapters import (
    add_adapter,
    set_adapter_count,
    set_adapter_mac,
    set_adapter_network,
)
from kensho_tui.ovf.edits.devices import (
    add_serial,
    remove_device,
    set_connected,
    set_device_address,
    set_device_name,
    set_device_type,
)
from kensho_tui.ovf.edits.disks import add_disk, remove_disk, set_capacity
from kensho_tui.ovf.edits.drives import (
    add_controller,
    add_drive,
    attach_disk,
    set_medium,
    set_place,
)
from kensho_tui.ovf.edits.files import add_file, check_href, remove_file, rename_file
from kensho_tui.ovf.edits.guests import set_system
from kensho_tui.ovf.edits.hardware import (
    set_cores,
    set_families,
    set_memory,
    set_processors,
    set_transport,
)
from kensho_tui.ovf.edits.machines import set_annotation, set_name, set_title, system, systems
from kensho_tui.ovf.edits.networks import (
    add_network,
    remove_network,
    rename_network,
    set_network_description,
)
from kensho_tui.ovf.edits.options import (
    add_configuration,
    remove_configuration,
    rename_configuration,
    set_configuration,
    set_default_configuration,
)
from kensho_tui.ovf.edits.products import (
    add_licence,
    add_product,
    remove_licence,
    remove_product,
    set_licence,
    set_product,
)
from kensho_tui.ovf.edits.properties import (
    add_property,
    clear_property,
    remove_property,
    set_property,
    set_property_part,
)
from kensho_tui.ovf.edits.removal import remove_machine
from kensho_tui.ovf.edits.settings import (
    remove_setting,
    set_boot_order,
    set_firmware,
    set_secure_boot,
    set_setting,
)
from kensho_tui.ovf.edits.startup import set_start
from kensho_tui.ovf.edits.texts import add_texts, remove_language, set_message

__all__ = [
    "add_adapter", "add_configuration", "add_controller", "add_disk", "add_drive", "add_file", "add_licence",
    "add_network", "add_product", "add_property", "add_serial", "add_texts", "attach_disk", "check_href",
    "clear_property", "remove_configuration", "remove_device", "remove_disk", "remove_file", "remove_language",
    "remove_licence", "remove_machine", "remove_network", "remove_product", "remove_property",
    "remove_setting", "rename_configuration", "rename_file", "rename_network", "set_adapter_count",
    "set_adapter_mac", "set_adapter_network", "set_annotation", "set_boot_order", "set_capacity",
    "set_configuration", "set_connected", "set_cores", "set_default_configuration", "set_device_address",
    "set_device_name", "set_device_type", "set_families", "set_firmware", "set_licence", "set_medium",
    "set_memory", "set_message", "set_name", "set_network_description", "set_place", "set_processors",
    "set_product", "set_property", "set_property_part", "set_secure_boot", "set_setting", "set_start",
    "set_system", "set_title", "set_transport", "system", "systems",
]  # fmt: skip
