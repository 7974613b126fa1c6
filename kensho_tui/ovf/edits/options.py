"""Deployment options (DSP0243 2.1.1 §9.8)."""

from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.tree import appended, inserted, put, put_text


def add_configuration(id_: str, label: str, description: str, default: bool) -> Change:
    """A deployment option (§9.8); hardware of its own comes by `set_processors` and `set_memory`."""

    def change(envelope: Envelope) -> None:
        if any(each.id == id_ for each in envelope.configurations):
            raise DescriptorError(f"there is a deployment option '{id_}'", subject=envelope.subject)
        section = next(envelope.sections("DeploymentOptionSection"), None)
        if section is None:
            section = inserted(
                envelope.root,
                "DeploymentOptionSection",
                after=("References", "DiskSection", "SharedDiskSection", "NetworkSection"),
            )
            appended(section, "Info").text = "The deployment options"
        option = appended(section, "Configuration")
        put(option, "id", id_)
        if default:
            put(option, "default", "true")
        put_text(appended(option, "Label"), label or id_)
        put_text(appended(option, "Description"), description)
        envelope.touched()

    return change
