"""Proposals and the reasons that are given for them."""

from dataclasses import replace

import pytest

from backends.base import Kind, NetworkItem, Ref
from kensho_tui.machine import Adapter, Disk, DiskId
from kensho_tui.migration.mapping import propose_network, space, vlan_of
from kensho_tui.migration.target import TargetView
from tests.unit.migration import samples
from tests.unit.migration.samples import BIG, GB, LOCAL


def network(name: str, *, vlan: int | None = None, management: bool = False) -> NetworkItem:
    ref = Ref(Kind.NETWORK, f"n-{name}", name)
    return NetworkItem(ref, bridge=f"br-{name}", vlan=vlan, management=management)


THERE = (network("Front"), network("Tagged", vlan=10), network("Main", management=True))


@pytest.mark.parametrize(
    ("name", "description", "expected", "why"),
    [
        ("front", "", "Front", "same name"),
        ("Back", "the storage VLAN 10", "Tagged", "same VLAN 10"),
        ("back-vlan_10", "", "Tagged", "same VLAN 10"),
        ("BR-front", "", "Front", "same bridge br-Front"),
        ("VM Network", "", "Main", "management network"),
        ("VLAN 11", "", "Main", "management network"),
    ],
)
def test_a_network_is_proposed_with_its_reason(
    name: str, description: str, expected: str, why: str
) -> None:
    choice = propose_network(name, description, THERE)
    assert choice.ref is not None
    assert (choice.ref.name, choice.why) == (expected, why)
    assert choice.decided
    assert not choice.yours


def test_a_name_wins_over_a_vlan() -> None:
    both = (network("VLAN 10"), network("Tagged", vlan=10))
    choice = propose_network("vlan 10", "", both)
    assert choice.why == "same name"


def test_where_nothing_is_like_it_the_operator_decides() -> None:
    choice = propose_network("VM Network", "", (network("a"), network("b")))
    assert (choice.ref, choice.why, choice.decided) == (None, "no like name", False)
    assert propose_network("x", "", (network("a"),)).why == "the only one"
    assert propose_network("x", "", ()).why == "the target has none"


@pytest.mark.parametrize(
    ("text", "vlan"),
    [("VLAN 10", 10), ("vlan_4", 4), ("VLAN-ID: 77", 77), ("vlan10", 10), ("VLAN 5000", None),
     ("10", None), ("vlans 10", None)],
)  # fmt: skip
def test_the_vlan_is_read_from_a_name(text: str, vlan: int | None) -> None:
    assert vlan_of(text) == vlan


def test_an_adapter_on_no_network_stays_unplugged() -> None:
    base = samples.appliance()
    web = replace(base.machines[0], adapters=(Adapter("e0"),))
    draft = samples.draft(replace(base, machines=(web, *base.machines[1:])))
    choice = draft.adapters()[0].choice
    assert (choice.ref, choice.decided) == (None, True)


def test_disks_go_to_the_default_of_the_pool_while_it_has_room() -> None:
    rows = samples.draft().disks()
    assert [(row.choice.ref, row.choice.why) for row in rows] == [
        (LOCAL, "default of the pool"),
        (LOCAL, "default of the pool"),
        (BIG, "most free space"),
    ]


def test_the_only_storage_is_proposed_even_where_it_is_too_small() -> None:
    view = samples.target()
    draft = samples.draft(view=replace(view, storages=view.storages[:1]))
    assert {row.choice.why for row in draft.disks()} == {"the only one"}
    assert {row.problem for row in draft.disks()} == {"local-sr is too small"}
    (use,) = draft.storage_use()
    assert not use.fits
    assert use.after < 0


def test_a_target_without_storage_says_so() -> None:
    view = replace(samples.target(), storages=())
    rows = samples.draft(view=view).disks()
    assert {row.problem for row in rows} == {"no storage: the target has none that takes disks"}


def test_a_disk_takes_what_the_target_rounds_it_up_to() -> None:
    view: TargetView = samples.target()
    can = replace(view.capabilities, disk_increment=4096)
    assert space(Disk(DiskId("d"), 4097), can) == 8192
    assert space(Disk(DiskId("d"), None, image="d.vmdk", image_size=10), can) == 4096
    assert space(Disk(DiskId("d"), 3 * GB), replace(can, disk_increment=0)) == 3 * GB


def test_a_disk_that_two_machines_share_takes_its_room_once() -> None:
    base = samples.appliance()
    web = replace(base.machines[0], attachments=base.machines[1].attachments)
    shared = replace(base, machines=(web, base.machines[1]))
    rows = samples.draft(shared).disks()
    assert [row.disk for row in rows] == ["d2", "d3"]
    assert rows[0].machines == ("web01", "db01")


def test_a_thin_storage_takes_disks_that_could_outgrow_it() -> None:
    view = samples.target()
    thin = replace(view.storages[0], thin=True)
    draft = samples.draft(view=replace(view, storages=(thin,)))
    (use,) = draft.storage_use()
    assert use.after < 0
    assert use.fits
    assert {row.problem for row in draft.disks()} == {""}
    base = samples.appliance()
    full = replace(base.disks[DiskId("d2")], populated=60 * GB)
    crowded = samples.draft(
        replace(base, disks={**base.disks, full.id: full}), replace(view, storages=(thin,))
    )
    assert not crowded.storage_use()[0].fits
