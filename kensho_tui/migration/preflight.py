"""What would go wrong, said before anything is written: findings, each with its remedy."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from backends.base import BackendError, Described, MachineItem, Placement, Power, Ref
from backends.base import Session as Target
from kensho_tui.connections import ConnectionBook
from kensho_tui.disks import bounds
from kensho_tui.findings import Finding, Severity
from kensho_tui.machine import Appliance, DiskId, Firmware, Machine
from kensho_tui.migration import apply, environment, licensing, properties
from kensho_tui.migration.mapping import settings_space, space
from kensho_tui.migration.plan import Spec
from kensho_tui.migration.target import TargetView
from kensho_tui.migration.units import count, disk_label, memory, sentence, size

# Errors that only say that the operator has not decided yet.
DECISIONS = frozenset(
    {"licence-open", "property-invalid", "network-unmapped", "storage-missing", "storage-full"}
)

_WEIGHT = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def check(
    described: Described,
    appliance: Appliance,
    spec: Spec,
    view: TargetView,
    target: Target,
    machines: Sequence[MachineItem] = (),
    secret: Callable[[str], str] = str,
    moment: licensing.Moment = "plan",
) -> list[Finding]:
    """All findings: the source's, ours, the site's of licences, and the target's own; errors first.

    Args:
        described: the source as it is; ``appliance`` with the plan's choices applied.
        machines: summaries of the source's machines, where it is a platform.
        secret: finds a named secret of the plan, to check password answers.
        moment: when it is checked, for the site's licence program.

    Raises: KenshoError: only where a secret cannot be had.
    """
    placement = apply.placement(appliance, spec)
    ours = [
        *licensed(appliance, spec, view, placement, secret, moment),
        *_one_server(spec),
        *examine(appliance, spec, view, placement, machines, secret),
    ]
    try:
        theirs = target.check(appliance, placement)
    except BackendError as error:
        theirs = [_error("target-refuses", error.what, error.subject, error.remedy)]
    # The target knows better what it says of the same.
    said = {(each.id, each.subject) for each in theirs}
    found = [*described.findings, *(e for e in ours if (e.id, e.subject) not in said), *theirs]
    unique = {(each.id, each.subject, each.message): each for each in found}
    return sorted(unique.values(), key=lambda each: _WEIGHT[each.severity])


def licensed(
    appliance: Appliance,
    spec: Spec,
    view: TargetView,
    placement: Placement,
    secret: Callable[[str], str],
    moment: licensing.Moment,
) -> tuple[Finding, ...]:
    """What the site's policy says of licences; of a package that is only written nothing is judged."""
    if view.package:
        return ()
    deploying = licensing.Deploying(spec, view, placement, secret)
    return licensing.judge(appliance, moment, deploying).findings


def examine(
    appliance: Appliance,
    spec: Spec,
    view: TargetView,
    placement: Placement,
    machines: Sequence[MachineItem] = (),
    secret: Callable[[str], str] = str,
) -> Iterator[Finding]:
    """What can be said without asking anybody: pure."""
    yield from _source(appliance, spec, machines)
    yield from _consent(appliance, spec)
    yield from _answers(appliance, spec, view, secret)
    if not view.capabilities.imports:
        yield _error(
            "target-takes-nothing",
            "the target takes no machines",
            view.connection or view.package,
            "Choose another target",
        )
    yield from _machines(appliance, view)
    if not view.package:
        yield from _home(appliance, spec, view, placement)
        yield from _networks(appliance, view, placement)
    yield from _storage(appliance, spec, view, placement)


def _error(id: str, message: str, subject: str = "", remedy: str = "") -> Finding:
    return Finding(id, Severity.ERROR, sentence(message), subject, sentence(remedy))


def _warning(id: str, message: str, subject: str = "", remedy: str = "") -> Finding:
    return Finding(id, Severity.WARNING, sentence(message), subject, sentence(remedy))


def _one_server(spec: Spec) -> Iterator[Finding]:
    """That source and target are the same, by their connections or by where those lead."""
    source, target = spec.source.connection, spec.target.connection
    if source is None or target is None:
        return
    if source != target:
        known = [each.address for each in ConnectionBook() if each.name in {source, target}]
        if len(known) != 2 or known[0] != known[1]:
            return
    yield _warning(
        "same-server",
        "this is the same server that the machines come from: they will stand there twice",
        target,
        "Choose another target, unless a copy is wanted",
    )


def _source(appliance: Appliance, spec: Spec, machines: Sequence[MachineItem]) -> Iterator[Finding]:
    if not appliance.machines:
        yield _error("no-machines", "no machine is chosen", remedy="Include at least one")
    names = {str(each.id): each.name for each in appliance.machines}
    for item in machines:
        if names and item.ref.id not in names and item.ref.name not in names.values():
            continue
        if item.power in (Power.ON, Power.PAUSED):
            # That it runs may be the platform's reason as well; a snapshot answers it.
            if spec.source.consistency == "snapshot":
                continue
            if spec.source.shut_down is not None and item.power is Power.ON:
                yield _shut_down(spec, item.ref.name)
                continue
            yield _error(
                "machine-running",
                f"the machine is {'running' if item.power is Power.ON else 'paused'}",
                item.ref.name,
                "Shut it down, let the job do so, or let its disks be read from a snapshot",
            )
        elif item.reason:
            yield _error("machine-unreadable", item.reason, item.ref.name)


def _shut_down(spec: Spec, name: str) -> Finding:
    after = (
        "and started again when it has been read"
        if spec.target.package is not None
        else "and stays off when its copy is there"
    )
    return Finding(
        "machine-shut-down", Severity.WARNING, f"It runs: it is shut down first, {after}.", name
    )


def _consent(appliance: Appliance, spec: Spec) -> Iterator[Finding]:
    if spec.target.package is not None:
        return  # they stay in the package, for whoever installs it
    # A licence is asked for where a package is deployed (DSP0243 2.1.1 §9.6), not where machines
    # that are in use move, nor where the package is only written anew.
    if spec.source.package is None or spec.target.package is not None:
        return
    accepted = {each.digest for each in spec.licences}
    for number, licence in enumerate(appliance.licences, 1):
        if licence.digest not in accepted:
            yield _error(
                "licence-open",
                f"licence {number} is not accepted",
                licence.owner,
                f"Read and accept it (digest {licence.digest})",
            )


def _answers(
    appliance: Appliance, spec: Spec, view: TargetView, secret: Callable[[str], str]
) -> Iterator[Finding]:
    if view.package or not (appliance.properties or appliance.environment_files):
        return
    for asked, reason in properties.problems(appliance, spec, secret):
        yield _error(
            "property-invalid",
            reason,
            asked.label or asked.address,
            "Give it an answer that is allowed",
        )
    for asked in appliance.properties:
        if asked.address in spec.properties and not asked.configurable:
            yield _warning(
                "property-hidden",
                "the appliance keeps this to itself, and the plan sets it all the same",
                asked.label or asked.address,
                "Take the answer out, unless whoever made the appliance says that it may be set",
            )
    yield environment.way(appliance, view.capabilities)


def _machines(appliance: Appliance, view: TargetView) -> Iterator[Finding]:
    can = view.capabilities
    for machine in appliance.machines:
        if not view.package and machine.firmware not in can.firmware:
            yield _error(
                "firmware-unsupported",
                f"the target cannot start {machine.firmware.value.upper()} machines",
                machine.name,
                "Choose another target",
            )
        if machine.secure_boot and machine.firmware is not Firmware.UEFI:
            yield _warning(
                "secure-boot-without-uefi",
                "secure boot is asked for, but the firmware is BIOS: it is left out",
                machine.name,
            )
        if machine.tpm:
            yield _warning(
                "tpm-content",
                "what the machine's TPM holds does not travel: disks sealed to it stay locked",
                machine.name,
                "Have the recovery keys at hand",
            )
        drives = len(machine.attachments)
        if can.max_attachments is not None and drives > can.max_attachments:
            yield _error(
                "attachments-many",
                f"{count(drives, 'drive')}, the target allows {can.max_attachments}",
                machine.name,
                "Remove drives from the machine first",
            )
        yield from _ranges(machine)
        if machine.name in view.names:
            yield _warning(
                "name-taken",
                "a machine of that name is already there",
                machine.name,
                "Give it another name",
            )
    names = [each.name for each in appliance.machines]
    for name in sorted({each for each in names if names.count(each) > 1}):
        yield _warning(
            "name-twice", "two machines get the same name", name, "Give one of them another name"
        )


def _ranges(machine: Machine) -> Iterator[Finding]:
    """Processors and memory outside of what the guest can do with, by the source (DSP0243 2.1.1 §8.4)."""
    processors, ram = machine.processors, machine.memory
    for word, value, low, high, said in (
        ("processors", processors.count, processors.minimum, processors.maximum, str),
        ("memory", ram.size, ram.minimum, ram.maximum, memory),
    ):
        if low is not None and value < low:
            yield _warning(
                f"{word}-out-of-range",
                f"{word}: {said(value)}, the appliance asks for at least {said(low)}",
                machine.name,
                "Give it more",
            )
        elif high is not None and value > high:
            yield _warning(
                f"{word}-out-of-range",
                f"{word}: {said(value)}, the appliance allows {said(high)} at most",
                machine.name,
                "Give it less",
            )


def _home(
    appliance: Appliance, spec: Spec, view: TargetView, placement: Placement
) -> Iterator[Finding]:
    for home in dict.fromkeys([placement.home, *placement.homes.values()]):
        if home is None:
            continue
        living = tuple(
            each
            for each in appliance.machines
            if placement.homes.get(each.id, placement.home) == home
        )
        rows = view.homes(replace(appliance, machines=living))
        row = next((each for each in rows if each.ref == home), None)
        if row is None:
            yield _error("home-gone", "it is not on the target", _name(home), "Choose another one")
        elif row.reason:
            yield _error("home-unfit", row.reason, _name(home), "Choose another one")
    for host in view.hosts:
        there = [
            each
            for each in appliance.machines
            if placement.homes.get(each.id, placement.home) == host.ref
        ]
        needed = sum(each.memory.size for each in there)
        if spec.start and there and 0 < host.memory_free < needed:
            yield _warning(
                "memory-short",
                f"{memory(needed)} of memory are needed to start, {memory(host.memory_free)} free",
                _name(host.ref),
                "Start the machines later, or choose another host",
            )
        for machine in there:
            if 0 < host.processors < machine.processors.count:
                yield _warning(
                    "processors-many",
                    f"{machine.processors.count} processors, the host has {host.processors}",
                    machine.name,
                    "Give it fewer processors",
                )


def _networks(appliance: Appliance, view: TargetView, placement: Placement) -> Iterator[Finding]:
    for machine in appliance.machines:
        there = {
            item.ref for item in view.networks_for(placement.homes.get(machine.id, placement.home))
        }
        for number, adapter in enumerate(machine.adapters):
            label = f"{machine.name} {adapter.name or f'adapter {number}'}"
            if (machine.id, adapter.id) not in placement.networks:
                yield _error(
                    "network-unmapped",
                    f'no network is chosen for "{adapter.network}"',
                    label,
                    "Choose one, or leave the adapter unplugged",
                )
                continue
            ref = placement.networks[machine.id, adapter.id]
            if ref is not None and ref not in there:
                yield _error(
                    "network-gone",
                    f"network {_name(ref)} is not reachable there",
                    label,
                    "Choose another one",
                )


def _apart(one: int, other: int) -> tuple[str, str]:
    """Two sizes in words that differ where they do: exact where rounding makes them the same."""
    words = size(one), size(other)
    return words if words[0] != words[1] else (f"{one:,} bytes", f"{other:,} bytes")


def _storage(
    appliance: Appliance, spec: Spec, view: TargetView, placement: Placement
) -> Iterator[Finding]:
    need: dict[Ref, int] = {}
    least: dict[Ref, int] = {}
    handed: dict[Ref, int] = {}
    cds = settings_space(appliance, view, placement.storage, spec.properties)
    takers = {item.ref for item in view.storages_for(None)}
    for id, disk in appliance.disks.items():
        label = _disk_label(appliance, id)
        limit = view.capabilities.max_disk
        if limit is not None and disk.capacity is not None and disk.capacity > limit:
            yield _error(
                "disk-too-big",
                "{}, the target takes disks up to {}".format(*_apart(disk.capacity, limit)),
                label,
                "Choose another target, or leave the machine behind",
            )
        accepted = bounds.current().disk
        if disk.capacity is not None and disk.capacity > accepted:
            yield _error(
                "disk-over-bounds",
                "{}, and disks up to {} are accepted".format(*_apart(disk.capacity, accepted)),
                label,
                bounds.remedy("max_disk"),
            )
        if disk.sector not in view.capabilities.sectors:
            kept = ", ".join(map(str, sorted(view.capabilities.sectors)))
            yield _warning(
                "sectors-differ",
                f"the disk has sectors of {disk.sector} bytes, on the target they have {kept}: the bytes"
                " arrive as they are, but a guest does not find its partitions, which are counted in"
                " sectors",
                label,
                "Have the disk converted to sectors of 512 bytes where it comes from, or expect to"
                " write its partition table anew",
            )
        ref = placement.storage.get(id)
        if view.package:
            for folder in view.storages:
                need[folder.ref] = need.get(folder.ref, 0) + space(disk, view.capabilities)
        elif ref is None:
            yield _error("storage-missing", "no storage is chosen", label, "Choose one")
        elif ref not in takers:
            yield _error(
                "storage-gone",
                f"storage {_name(ref)} takes no disks now",
                label,
                "Choose another one",
            )
        else:
            cd = cds.get(id, 0)
            need[ref] = need.get(ref, 0) + space(disk, view.capabilities) + cd
            least[ref] = least.get(ref, 0) + (disk.populated or 0) + cd
            handed[ref] = handed.get(ref, 0) + cd
    for item in view.storages:
        wanted = need.get(item.ref, 0)
        if wanted <= item.free:
            continue
        text = "{} are needed, {} are free".format(*_apart(wanted, item.free))
        if wanted - handed.get(item.ref, 0) <= item.free:
            text += ": beside the disks lies a CD with the guests' settings"
        remedy = "Put some disks elsewhere, or make room"
        # An image in a package is compressed, and a thin disk takes what is in it: it may still fit.
        if view.package or (item.thin and least.get(item.ref, 0) <= item.free):
            yield _warning("storage-may-fill", text, _name(item.ref), remedy)
        else:
            yield _error("storage-full", text, _name(item.ref), remedy)


def _disk_label(appliance: Appliance, disk: DiskId) -> str:
    for machine in appliance.machines:
        for number, each in enumerate(appliance.disks_of(machine)):
            if each.id == disk:
                return disk_label(machine.name, each.name, number)
    return appliance.disks[disk].name or disk


def _name(ref: Ref) -> str:
    return ref.name or ref.id
