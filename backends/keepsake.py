"""What an appliance says and asks, kept with its machines on a server that has no place for it.

XenServer and libvirt have no products, properties or licences. They are kept in one entry that a machine
can have there (JSON, deflated, base64), so that an export gives them back. Values that the operator
answered are not kept: a password among them would be readable by everyone with a login.
"""

import base64
import binascii
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from backends.base import Finding, Severity
from kensho_tui.machine import Appliance, GuestOs, Licence, Machine, Product, Property

ENTRY = "kensho:appliance"
# A server keeps its database in memory and writes it whole; one entry stays small in it.
LIMIT = 32 << 10  # characters of an entry
_EXPANDED = 4 << 20  # bytes: nobody's entry may expand to more


@dataclass(frozen=True, slots=True)
class Keepsake:
    """What is kept with one machine: its own part, and with the first machine the appliance's.

    ``os`` is what the source said of the guest: the server itself knows it only while the guest's
    tools run.
    """

    products: tuple[Product, ...] = ()
    properties: tuple[Property, ...] = ()
    licences: tuple[Licence, ...] = ()
    transports: tuple[str, ...] = ()
    os: GuestOs | None = None


_ADAPTER = TypeAdapter(Keepsake)
Owned = TypeVar("Owned", Product, Property, Licence)


def of(appliance: Appliance, machine: Machine) -> Keepsake:
    """What is kept with the machine."""
    owners = {machine.id, ""} if appliance.machines[0].id == machine.id else {machine.id}
    return Keepsake(
        tuple(each for each in appliance.products if each.owner in owners),
        tuple(each for each in appliance.properties if each.owner in owners),
        tuple(each for each in appliance.licences if each.owner in owners),
        appliance.transports,
        machine.os if machine.os != GuestOs() else None,
    )


def entry(keepsake: Keepsake) -> str:
    """The text that is kept; "" for nothing. Licence texts go first where it would be too long."""
    for kept in (keepsake, replace(keepsake, licences=())):
        if kept == Keepsake():
            return ""
        text = base64.b64encode(zlib.compress(_ADAPTER.dump_json(kept), 9)).decode()
        if len(text) <= LIMIT:
            return text
    return ""


def dropped(keepsake: Keepsake, machine: Machine) -> list[Finding]:
    """What does not fit into an entry, as findings."""
    kept = read(entry(keepsake))
    lost = [
        name
        for name, before, after in (
            ("products and properties", keepsake.properties, kept.properties),
            ("licence texts", keepsake.licences, kept.licences),
        )
        if before != after
    ]
    if not lost:
        return []
    return [
        Finding(
            "keepsake-too-large",
            Severity.INFO,
            f"Its {' and '.join(lost)} are too long to be kept there; an export will not have them.",
            machine.name,
            "Keep the package.",
        )
    ]


def read(text: str) -> Keepsake:
    """What an entry says. One that cannot be read (anybody can write there) is as none."""
    if not text:
        return Keepsake()
    try:
        inflater = zlib.decompressobj()
        data = inflater.decompress(base64.b64decode(text, validate=True), _EXPANDED)
        if inflater.unconsumed_tail:
            return Keepsake()
        return _ADAPTER.validate_json(data)
    except (binascii.Error, zlib.error, ValidationError):
        return Keepsake()


def restored(appliance: Appliance, keepsakes: Iterable[Keepsake]) -> Appliance:
    """The appliance with what was kept with its machines, each thing once."""
    machines = {machine.id for machine in appliance.machines} | {""}
    found = list(keepsakes)

    def once(things: Iterable[Owned]) -> tuple[Owned, ...]:
        return tuple(dict.fromkeys(each for each in things if each.owner in machines))

    return replace(
        appliance,
        products=once(p for each in found for p in each.products),
        properties=once(p for each in found for p in each.properties),
        licences=once(x for each in found for x in each.licences),
        transports=next((each.transports for each in found if each.transports), ()),
    )
