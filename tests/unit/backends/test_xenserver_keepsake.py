"""What an appliance says and asks is kept with its machines on XenServer."""

import base64
import random
import zlib

from backends import keepsake
from kensho_tui.machine import (
    Appliance,
    Licence,
    Machine,
    MachineId,
    Memory,
    Product,
    Property,
)

WEB = Machine(MachineId("web"), "web01", Memory(1 << 30))
DB = Machine(MachineId("db"), "db01", Memory(1 << 30))
SHOP = Appliance(
    "shop",
    (WEB, DB),
    products=(Product(name="Shop", vendor="Example"), Product(owner="db", name="Store")),
    properties=(
        Property("hostname", type="string", default="shop", configurable=True),
        Property("password", owner="db", password=True, configurable=True),
    ),
    licences=(Licence("Be nice. ✓"), Licence("Also here", owner="db")),
    transports=("iso",),
)


def entries(appliance: Appliance) -> list[str]:
    return [keepsake.entry(keepsake.of(appliance, machine)) for machine in appliance.machines]


def test_all_machines_together_give_everything_back() -> None:
    bare = Appliance("shop", (WEB, DB))
    back = keepsake.restored(bare, map(keepsake.read, entries(SHOP)))
    assert back == Appliance(
        "shop",
        (WEB, DB),
        products=SHOP.products,
        properties=SHOP.properties,
        licences=SHOP.licences,
        transports=("iso",),
    )


def test_one_machine_alone_gives_its_own_part() -> None:
    back = keepsake.restored(Appliance("db01", (DB,)), [keepsake.read(entries(SHOP)[1])])
    assert back.products == (SHOP.products[1],)
    assert back.properties == (SHOP.properties[1],)


def test_an_appliance_with_nothing_to_say_leaves_no_entry() -> None:
    assert entries(Appliance("bare", (WEB,))) == [""]


def test_a_licence_that_is_too_long_goes_first_and_is_told() -> None:
    long = Licence(random.Random(1).randbytes(40_000).hex())
    kept = keepsake.of(
        Appliance("x", (WEB,), properties=SHOP.properties[:1], licences=(long,)), WEB
    )
    back = keepsake.read(keepsake.entry(kept))
    assert back.properties == SHOP.properties[:1] and back.licences == ()
    (finding,) = keepsake.dropped(kept, WEB)
    assert "licence texts" in finding.message


def test_what_fits_is_not_told() -> None:
    assert keepsake.dropped(keepsake.of(SHOP, WEB), WEB) == []


def test_an_entry_of_strangers_is_as_none() -> None:
    bomb = base64.b64encode(zlib.compress(bytes(64 << 20), 9)).decode()
    for text in (
        "",
        "not base64!",
        base64.b64encode(b"no deflate").decode(),
        bomb,
        entries(SHOP)[0][:40],
    ):
        assert keepsake.read(text) == keepsake.Keepsake()
