"""Sessions: callable from any thread, closed once, and honest about what is there."""

import threading
from dataclasses import replace

import pytest

from backends.base import BackendError, HostItem, Inventory, InventoryPage, Kind, StorageItem
from tests.contract.bench import Bench


def everything(bench: Bench) -> list[Inventory]:
    """All pages of all kinds."""
    session = bench.session()
    items: list[Inventory] = []
    page = session.inventory(frozenset(Kind))
    items += page.items
    while page.next is not None:
        page = session.inventory(frozenset(Kind), page.next)
        items += page.items
    return items


def test_references_are_unique_and_last(bench: Bench) -> None:
    bench.captured()
    first = [item.ref for item in everything(bench)]
    assert len(first) == len(set(first))
    assert {ref.id for ref in first} == {item.ref.id for item in everything(bench)}


def test_only_the_kinds_asked_for_come(bench: Bench) -> None:
    session = bench.session()
    for kind in Kind:
        page = session.inventory(frozenset({kind}))
        assert {item.ref.kind for item in page.items} <= {kind}


def steady(page: InventoryPage) -> list[Inventory]:
    """The items without what changes by itself on a machine that others use too."""
    items: list[Inventory] = []
    for item in page.items:
        if isinstance(item, StorageItem):
            items.append(replace(item, free=0))
        elif isinstance(item, HostItem):
            items.append(replace(item, memory_free=0))
        else:
            items.append(item)
    return items


def test_one_session_serves_several_threads(bench: Bench) -> None:
    session = bench.session()
    expected = steady(session.inventory(frozenset(Kind)))
    errors: list[BaseException] = []
    seen: list[bool] = []

    def run() -> None:
        try:
            for _ in range(5):
                seen.append(steady(session.inventory(frozenset(Kind))) == expected)
        except BaseException as error:  # noqa: BLE001  # seen below, in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(seen) == 20
    assert all(seen)


def test_a_closed_session_says_so(bench: Bench) -> None:
    session = bench.session()
    session.close()
    session.close()
    with pytest.raises(BackendError):
        session.inventory(frozenset(Kind))
