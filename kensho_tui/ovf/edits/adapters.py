"""Network adapters of a machine (DSP0243 2.1.1 §8.3; ResourceType 10)."""

from kensho_tui.machine import canonical_mac
from kensho_tui.ovf import names as n
from kensho_tui.ovf import xml
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.edits.devices import ADAPTERS, edited, holds, ident, of_kind, put_or_drop
from kensho_tui.ovf.edits.machines import hardware_of
from kensho_tui.ovf.edits.variants import check_option, without
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.tree import field, new_item, put, put_field

_MOST_ADAPTERS = 64


def _network(envelope: Envelope, network: str) -> str:
    known = [each.id for each in envelope.networks]
    if network and network not in known:
        raise DescriptorError(
            f"there is no network '{network}'",
            subject=envelope.subject,
            remedy=f"There are: {', '.join(known)}; another one is added first" if known
            else "Add it first",
        )  # fmt: skip
    return network


def _mac(mac: str) -> str:
    found = canonical_mac(mac) if mac.strip() else ""
    if found is None:
        raise DescriptorError(
            f"'{mac.strip()}' is no MAC address",
            remedy="Write it like 00:50:56:aa:bb:01, or leave it empty: then the target chooses one",
        )
    return found


def set_adapter_network(
    machine: str | None, device: str, network: str, configuration: str | None = None
) -> Change:
    """The network that the adapter is on; "" for none."""

    def change(envelope: Envelope) -> None:
        _network(envelope, network)
        for item in edited(envelope, machine, device, configuration, ADAPTERS, "network adapter"):
            put_or_drop(item, "Connection", network)

    return change


def set_adapter_mac(
    machine: str | None, device: str, mac: str, configuration: str | None = None
) -> Change:
    """Its MAC address; "" lets the target choose. Raises: DescriptorError: it is none."""
    written = _mac(mac)

    def change(envelope: Envelope) -> None:
        for item in edited(envelope, machine, device, configuration, ADAPTERS, "network adapter"):
            put_or_drop(item, "Address", written)

    return change


def add_adapter(
    machine: str | None,
    network: str,
    *,
    subtype: str = "",
    mac: str = "",
    name: str = "",
    configuration: str | None = None,
) -> Change:
    """A network adapter more, in all deployment options or in one.

    Args:
        network: must be declared; "" for none.
        subtype: its model; "" takes that of the machine's last adapter.
        mac: "" lets the target choose.
        name: "" numbers it.

    Raises: DescriptorError: no MAC address; when applied: no such machine, option or network.
    """
    written = _mac(mac)

    def change(envelope: Envelope) -> None:
        check_option(envelope, configuration)
        _network(envelope, network)
        for section in hardware_of(envelope, machine):
            there = of_kind(section, n.ETHERNET)
            model = subtype or (field(there[-1], "ResourceSubType") if there else "")
            count = len({ident(each) for each in there})
            item = new_item(section, n.ETHERNET)
            put_field(item, "ElementName", xml.printable(name) or f"Network adapter {count + 1}")
            put_field(item, "AutomaticAllocation", "true")
            for field_, value in (
                ("Address", written), ("Connection", network), ("ResourceSubType", model),
            ):  # fmt: skip
                put_or_drop(item, field_, value)
            if configuration is not None:
                put(item, "configuration", configuration)

    return change


def set_adapter_count(
    machine: str | None, count: int, network: str | None = None, configuration: str | None = None
) -> Change:
    """So many adapters: more are made like the last one, those at the end go.

    Args:
        network: of new ones; None takes that of the last adapter.
        configuration: the deployment option that it is for; None: for all.
    """
    if not 0 <= count <= _MOST_ADAPTERS:
        raise DescriptorError(f"a machine has 0 to {_MOST_ADAPTERS} network adapters, not {count}")

    def change(envelope: Envelope) -> None:
        check_option(envelope, configuration)
        for section in hardware_of(envelope, machine):
            here = [
                each
                for each in of_kind(section, n.ETHERNET)
                if configuration is None or holds(each, configuration)
            ]
            ids = list(dict.fromkeys(ident(each) for each in here))
            for id_ in ids[count:]:
                items = [each for each in of_kind(section, n.ETHERNET) if ident(each) == id_]
                without(envelope, items, configuration)
            for number in range(len(ids), count):
                item = new_item(section, n.ETHERNET)
                put_field(item, "ElementName", f"Network adapter {number + 1}")
                put_field(item, "AutomaticAllocation", "true")
                last = here[-1] if here else None
                model = "" if last is None else field(last, "ResourceSubType")
                wanted = network
                if wanted is None:
                    known = [str(each.id) for each in envelope.networks]
                    wanted = field(last, "Connection") if last is not None else (known or [""])[0]
                put_or_drop(item, "Connection", _network(envelope, wanted) if network else wanted)
                put_or_drop(item, "ResourceSubType", model)
                if configuration is not None:
                    put(item, "configuration", configuration)

    return change
