"""What a platform has, in the words the other commands take: machines, storages, networks, homes."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from kensho_tui.text import one_line

if TYPE_CHECKING:
    from backends.base import Inventory, Session

Row = tuple[str, ...]


def read(session: "Session") -> "list[Inventory]":
    """Everything but templates, over all pages."""
    from backends.base import Kind
    from kensho_tui.migration.target import items

    return list(items(session, frozenset(Kind) - {Kind.TEMPLATE}))


def told(items: "Iterable[Inventory]") -> str:
    """The items as tables, one a kind; kinds of which there are none are left out."""
    found = list(items)
    parts = [
        table(("MACHINE", "STATE", "CPU", "MEMORY", "DISKS", ""), _machines(found)),
        table(("STORAGE", "FREE", "OF", ""), _storages(found)),
        table(("NETWORK", "BRIDGE", "VLAN", ""), _networks(found)),
        table(("HOME", "KIND", "FREE MEMORY", ""), _homes(found)),
    ]
    return "\n\n".join(filter(None, parts))


def _machines(items: "list[Inventory]") -> list[Row]:
    from backends.base import Kind, MachineItem
    from kensho_tui.migration.units import memory, size

    return [
        (
            one_line(each.ref.name),
            str(each.power),
            str(each.processors),
            memory(each.memory),
            size(each.disk_bytes),
            one_line(each.reason),
        )
        for each in items
        if isinstance(each, MachineItem) and each.ref.kind is Kind.MACHINE
    ]


def _storages(items: "list[Inventory]") -> list[Row]:
    from backends.base import Content, StorageItem
    from kensho_tui.migration.units import size

    return [
        (
            one_line(each.ref.name),
            size(each.free),
            size(each.capacity),
            one_line(each.reason) or ("ISO images" if Content.DISKS not in each.content else ""),
        )
        for each in items
        if isinstance(each, StorageItem)
    ]


def _networks(items: "list[Inventory]") -> list[Row]:
    from backends.base import NetworkItem

    return [
        (
            one_line(each.ref.name),
            one_line(each.bridge) or "-",
            "-" if each.vlan is None else str(each.vlan),
            "management" if each.management else "",
        )
        for each in items
        if isinstance(each, NetworkItem)
    ]


def _homes(items: "list[Inventory]") -> list[Row]:
    from backends.base import HostItem, PoolItem
    from kensho_tui.migration.units import memory

    pools = [
        (one_line(each.ref.name), "pool", "-", "") for each in items if isinstance(each, PoolItem)
    ]
    hosts = [
        (one_line(each.ref.name), "host", memory(each.memory_free), one_line(each.reason))
        for each in items
        if isinstance(each, HostItem)
    ]
    return [*pools, *hosts]


def table(head: Row, rows: Sequence[Row]) -> str:
    """The rows under their headings, in columns as wide as they need; "" for no rows."""
    if not rows:
        return ""
    lines = [head, *rows]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
