"""Hypothesis strategies for appliances, as far as an OVF descriptor can hold them."""

from collections.abc import Mapping

from hypothesis import strategies as st

from kensho_tui.machine import (
    Adapter,
    Appliance,
    Attachment,
    Boot,
    Bus,
    Clock,
    Controller,
    Disk,
    DiskId,
    Firmware,
    GuestOs,
    Licence,
    Machine,
    MachineId,
    Medium,
    Memory,
    Network,
    NetworkId,
    Processors,
    Product,
    Property,
    Start,
)
from kensho_tui.ovf.write import FileEntry

VHD = "http://www.microsoft.com/technet/virtualserver/downloads/vhdspec.mspx"
_CHARACTERS = st.characters(
    codec="utf-8", exclude_categories=("Cc", "Cs", "Co", "Cn"), exclude_characters="\ufffe\uffff"
)
text = st.text(_CHARACTERS, max_size=20).map(str.strip)
name = st.text(_CHARACTERS, min_size=1, max_size=12).map(str.strip).filter(bool)
word = st.text("abcXYZ019._-[]<>&\"'", min_size=1, max_size=8)
mac = st.integers(0, 2**48 - 1).map(
    lambda n: ":".join(f"{n:012x}"[i : i + 2] for i in range(0, 12, 2))
)
xen_extras = st.dictionaries(
    st.sampled_from(
        ["HVM_boot_params", "HVM_boot_policy", "platform", "PV_args", "PV_bootloader", "NVRAM",
         "recommendations", "VM_has_vendor_device", "vgpu"]
    ).map("xenserver:".__add__),
    st.one_of(text, st.sampled_from(["order=cdn;firmware=uefi;", "nx=true;secureboot=true;vtpm=1;"])),
    max_size=4,
)  # fmt: skip
extras = st.dictionaries(
    st.one_of(
        word.map("vmware:extraConfig.".__add__),
        word.map("vmware:config.x".__add__),
        word.map("hyperv:".__add__),
    ),
    text,
    max_size=3,
)


def _unique(count: int) -> st.SearchStrategy[list[str]]:
    ids = st.one_of(word, st.integers(1, 40).map(str))
    return st.lists(ids, min_size=count, max_size=count, unique=True)


@st.composite
def machines(
    draw: st.DrawFn, id_: str, disks: list[DiskId], networks: list[NetworkId], drive_files: bool
) -> Machine:
    buses = draw(st.lists(st.sampled_from(sorted(Bus)), max_size=3))
    adapters = draw(st.integers(0, 2))
    drives = draw(st.integers(0, 2))
    ids = draw(_unique(len(buses) + len(disks) + adapters + drives))
    controllers = tuple(
        Controller(ids.pop(), bus, draw(st.integers(0, 3)), draw(st.one_of(st.just(""), word)))
        for bus in buses
    )
    on = st.sampled_from([None, *(each.id for each in controllers)])
    unit = st.one_of(st.none(), st.integers(0, 15))
    attachments = [
        Attachment(
            id=ids.pop(),
            medium=Medium.CDROM if disk.startswith("file:") else Medium.DISK,
            disk=disk,
            controller=draw(on),
            unit=draw(unit),
            boot_index=draw(st.one_of(st.none(), st.integers(0, 3))),
            read_only=draw(st.booleans()),
            name=draw(text),
        )
        for disk in disks
    ]
    attachments += [
        Attachment(
            id=ids.pop(),
            medium=draw(st.sampled_from([Medium.CDROM, Medium.FLOPPY])),
            controller=draw(on),
            unit=draw(unit),
            read_only=draw(st.booleans()),
        )
        for _ in range(drives)
    ]
    count = draw(st.integers(1, 64))
    mhz = st.one_of(st.none(), st.integers(1, 10**5 - 1))
    size = draw(
        st.one_of(st.integers(4, 4096).map(lambda n: n << 20), st.integers(1 << 22, 1 << 40))
    )
    return Machine(
        id=MachineId(id_),
        name=draw(name),
        memory=Memory(size, draw(st.one_of(st.none(), st.integers(0, size)))),
        processors=Processors(count, draw(st.integers(1, count)), draw(mhz), draw(mhz)),
        description=draw(text),
        uuid=draw(st.one_of(st.none(), st.uuids().map(str))),
        firmware=draw(st.sampled_from(Firmware)),
        secure_boot=draw(st.booleans()),
        tpm=draw(st.booleans()),
        clock=draw(st.sampled_from(Clock)),
        controllers=controllers,
        attachments=tuple(draw(st.permutations(attachments))),
        adapters=tuple(
            Adapter(
                ids.pop(),
                draw(st.sampled_from([None, *networks])),
                draw(st.one_of(st.none(), mac)),
                draw(st.one_of(st.just(""), word)),
                draw(st.booleans()),
                draw(text),
            )
            for _ in range(adapters)
        ),
        boot_order=tuple(draw(st.lists(st.sampled_from(sorted(Boot)), unique=True))),
        os=draw(
            st.builds(
                GuestOs,
                text,
                st.one_of(st.none(), st.integers(1, 65535)),
                st.one_of(st.just("ubuntu64Guest"), word),
                text,
            )
        ),
        start=draw(
            st.builds(
                Start,
                st.integers(0, 65535),
                st.integers(0, 65535),
                st.integers(0, 65535),
                st.booleans(),
                st.booleans(),
            )
        ),
        hardware=tuple(draw(st.lists(st.sampled_from(["vmx-13", "hvm-3.0-x86_64", "xen-3.0"])))),
        extras={**draw(xen_extras), **draw(extras)},
    )


@st.composite
def questions(draw: st.DrawFn, owner: str) -> tuple[list[Product], list[Property]]:
    """Products of one owner, each followed by its properties."""
    products: list[Product] = []
    properties: list[Property] = []
    for number in range(draw(st.integers(0, 2))):
        class_ = draw(st.sampled_from(["", f"com.example{number}"]))
        instance = draw(st.sampled_from(["", str(number)]))
        product = Product(owner, class_, instance, f"{draw(name)} {number}", draw(text), draw(text))
        products.append(product)
        category = ""
        for index in range(draw(st.integers(0, 3))):
            category = draw(st.sampled_from([category, "Network", "Users <b>[x]", ""]))
            configurable = draw(st.booleans())
            value = draw(st.one_of(st.just("5"), text))
            cim, vendor = draw(
                st.sampled_from(
                    [("string", ""), ("string", "ip"), ("string", "ip:net"), ("uint16", ""),
                     ("sint32", "int(1..9)"), ("boolean", ""), ("string", "string(1..8)")]
                )
            )  # fmt: skip
            properties.append(
                Property(
                    key=".".join(p for p in (class_, f"k{number}{index}", instance) if p),
                    owner=owner,
                    type=cim,
                    qualifiers=draw(st.sampled_from(["", 'ValueMap{"a","b"}', "MinLen(1)"])),
                    default=None if configurable and draw(st.booleans()) else value,
                    configurable=configurable,
                    password=draw(st.booleans()),
                    label=draw(text),
                    description=draw(text),
                    category=category,
                    product=product.name,
                    vendor_type=vendor,
                )
            )
    return products, properties


@st.composite
def appliances(draw: st.DrawFn) -> tuple[Appliance, Mapping[DiskId, FileEntry]]:
    """An appliance and the files of its disks."""
    count = draw(st.integers(1, 3))
    collection = count > 1 or draw(st.booleans())
    ids = draw(st.lists(name, min_size=count, max_size=count, unique=True))
    networks = [
        Network(NetworkId(each), draw(text))
        for each in draw(st.lists(name, max_size=3, unique=True))
    ]
    disks: dict[DiskId, Disk] = {}
    files: dict[DiskId, FileEntry] = {}
    built = []
    for number, id_ in enumerate(ids):
        mine = []
        for index in range(draw(st.integers(0, 3))):
            kind = draw(st.sampled_from(["image", "blank", "iso"]))
            disk = _disk(draw, kind, f"{number}-{index}", files)
            disks[disk.id] = disk
            mine.append(disk.id)
        built.append(draw(machines(id_, mine, [each.id for each in networks], True)))
    owners = ["", *ids] if collection else ids
    asked = [draw(questions(owner)) for owner in owners]
    one = built[0]
    return (
        Appliance(
            name=draw(name) if collection or draw(st.booleans()) else one.name,
            machines=tuple(built),
            disks=disks,
            networks=tuple(networks),
            description=draw(text),
            collection=collection,
            products=tuple(p for products, _ in asked for p in products),
            licences=tuple(
                Licence(draw(text), owner) for owner in owners for _ in range(draw(st.integers(0, 2)))
            ),
            properties=tuple(p for _, properties in asked for p in properties),
            transports=tuple(draw(st.lists(st.sampled_from(["iso", "com.vmware.guestInfo"]), unique=True))),
            extras=draw(st.dictionaries(word.map("vmware:".__add__), text, max_size=2)),
        ),
        files,
    )  # fmt: skip


def _disk(draw: st.DrawFn, kind: str, suffix: str, files: dict[DiskId, FileEntry]) -> Disk:
    size = draw(st.integers(1, 1 << 42))
    href = f"shop-{suffix}.vmdk"
    if kind == "iso":
        id_ = DiskId(f"file:iso{suffix}")
        files[id_] = FileEntry(href, size)
        return Disk(id_, size, href, href, size, "iso")
    id_ = DiskId(draw(word) + suffix)
    disk = Disk(
        id=id_,
        capacity=draw(st.integers(1, 1 << 50)),
        name=draw(text),
        populated=draw(st.one_of(st.none(), st.integers(0, 1 << 42))),
        shared=draw(st.booleans()),
        format="" if kind == "blank" else VHD,
        image="" if kind == "blank" else href,
        image_size=None if kind == "blank" else size,
        extras=draw(st.dictionaries(word.map("xenserver:".__add__), text, max_size=2)),
    )
    if kind == "image":
        files[id_] = FileEntry(href, size, VHD)
    return disk
