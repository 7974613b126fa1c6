"""The questions an appliance asks (DSP0243 2.1.1 §9.5.1)."""

from lxml import etree

from kensho_tui.machine import Property
from kensho_tui.ovf import xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.edits.machines import id_of, system, systems
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.properties import normal, problem
from kensho_tui.ovf.tree import inserted, put


def set_property(
    machine: str | None, key: str, value: str, configuration: str | None = None
) -> Change:
    """Another default of a question, checked by its type and qualifiers (§9.5.1).

    Args:
        key: the full one (class, key, instance), or the key alone where one question has it.

    Raises (when applied): DescriptorError: no such question, several, a value it does not accept, or a
        password, which is no thing to write into a package.
    """

    def change(envelope: Envelope) -> None:
        element, asked = _asked(envelope, machine, key)
        if asked.password:
            raise DescriptorError(
                "this is a password, and everybody can read a package",
                subject=asked.key,
                remedy="Leave it to whoever deploys the package",
            )
        if why := problem(asked, value):
            raise DescriptorError(f"the value {why}", subject=asked.key)
        written = normal(asked, value)
        if configuration is None:
            put(element, "value", written)
            return
        if configuration not in {each.id for each in envelope.configurations}:
            raise DescriptorError(f"there is no deployment option '{configuration}'", subject=key)
        for each in xml.children(element, "Value"):
            if (xml.attr(each, "configuration") or "").split() == [configuration]:
                put(each, "value", written)
                return
        made = inserted(element, "Value", after=("Label", "Description", "Value"))
        put(made, "value", written)
        put(made, "configuration", configuration)

    return change


def _asked(envelope: Envelope, machine: str | None, key: str) -> tuple[etree._Element, Property]:
    appliance, _ = envelope.appliance()
    owner = None if machine is None else id_of(system(envelope, machine))
    known = [p for p in appliance.properties if owner is None or p.owner == owner]
    fitting = [each for each in known if key in {each.key, each.address}]
    fitting = fitting or [each for each in known if f".{key}." in f".{each.key}."]
    if len(fitting) != 1:
        what = f"{len(fitting)} questions are" if fitting else "no question is"
        listed = ", ".join(each.address for each in (fitting or known)[:12])
        raise DescriptorError(
            f"{what} called '{key}'",
            subject=envelope.subject,
            remedy=f"There are: {listed}" if listed else "It asks nothing",
        )
    asked = fitting[0]
    holders = [each for each in systems(envelope) if id_of(each) == asked.owner]
    if not asked.owner:
        holders = [envelope.root, *([envelope.content] if envelope.content is not None else [])]
    for holder in holders:
        for section in xml.children(holder, "ProductSection"):
            parts = [xml.attr(section, "class") or "", "", xml.attr(section, "instance") or ""]
            for element in xml.children(section, "Property"):
                parts[1] = xml.attr(element, "key") or ""
                if ".".join(each for each in parts if each) == asked.key:
                    return element, asked
    raise DescriptorError(f"the question '{key}' cannot be edited here", subject=envelope.subject)
