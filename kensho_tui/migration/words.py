"""The plan in words: what the Review page shows and ``--dry-run`` prints."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import PurePath

from kensho_tui.findings import Finding, Severity
from kensho_tui.machine import Appliance, Machine
from kensho_tui.migration.draft import Draft
from kensho_tui.migration.plan import MachinePlan, RunPlan, Spec, TargetPlan
from kensho_tui.migration.units import count, memory, rate, size
from kensho_tui.text import one_line
from kensho_tui.web.address import file_name, is_url

GLYPHS = {Severity.ERROR: "✗", Severity.WARNING: "!", Severity.INFO: "·"}


@dataclass(frozen=True, slots=True)
class PlanWords:
    """The plan in words; every entry is one line of plain text.

    Attributes:
        headline: "2 machines, 3 disks, 40 GB (1.2 GB to move) → lab-xen".
        promise: what is and is not touched.
        machines: one line each, in start order.
        run: when, how fast and how urgently, one line each; nothing where it is as usual.
        findings: one line each, errors first, with glyph and remedy.
        failure: what happens if it fails.
    """

    headline: str
    promise: str
    machines: tuple[str, ...]
    run: tuple[str, ...]
    findings: tuple[str, ...]
    failure: str

    def text(self) -> str:
        """All of it, as one text."""
        parts = [self.headline, self.promise, *(f"  {each}" for each in self.machines), *self.run]
        if self.findings:
            parts += ["Findings", *(f"  {each}" for each in self.findings)]
        return "\n".join([*parts, self.failure])


def plan_in_words(draft: Draft) -> PlanWords:
    """The draft as far as it goes. Raises: DraftError: there is no source or no target yet."""
    spec = draft.spec()
    appliance = draft.appliance
    assert appliance is not None
    return in_words(appliance, spec, draft.findings or ())


def in_words(appliance: Appliance, spec: Spec, findings: Sequence[Finding] = ()) -> PlanWords:
    """Args: appliance: with the plan's choices applied (`apply.chosen`)."""
    return PlanWords(
        headline(appliance, spec),
        _promise(spec),
        tuple(_machine(appliance, spec, each, n) for n, each in _ordered(appliance)),
        (*_addresses(spec), *_made(spec.target), *run_in_words(spec.run)),
        tuple(finding_line(each) for each in findings),
        "If it fails: everything that was made there is removed, and what could not be is listed.",
    )


def _addresses(spec: Spec) -> list[str]:
    if spec.mac == "keep":
        return []
    giver = "whoever installs the package" if spec.target.package is not None else "the target"
    return [f"No MAC address is kept: {giver} gives every adapter a new one."]


def _made(target: TargetPlan) -> list[str]:
    """How the files of a package are made, where that is not as usual."""
    if target.package is None:
        return []
    lines = []
    if target.compression != "none":
        lines.append(f"The disks' files are compressed ({target.compression}).")
    if target.chunk_bytes:
        lines.append(f"A file of more than {memory(target.chunk_bytes)} is cut into chunks.")
    if target.digest != "sha256":
        lines.append(f"The manifest has {target.digest.upper()} digests.")
    if target.strict:
        lines.append("The archive is ustar and nothing else: files that it cannot hold are cut.")
    if target.reproducible:
        lines.append("The same machines give the same bytes: no time and no mark of the job.")
    return lines


def run_in_words(run: RunPlan) -> list[str]:
    """When, how fast and how urgent, one line each; nothing where it is as usual."""
    lines = []
    if run.not_before is not None:
        lines.append(f"Begins not before {run.not_before.astimezone(UTC):%Y-%m-%d %H:%M} UTC.")
    if run.window is not None:
        lines.append(f"Works only {run.window.window()}, and is paused in between.")
    if run.cutover is not None:
        lines.append(f"Puts the machines into service only {run.cutover.window()}.")
    for each in run.bandwidth.times:
        lines.append(
            f"Moves at most {rate(each.limit)} {each.window()}.".replace("at most no", "without")
        )
    if run.bandwidth.limit is not None:
        otherwise = " otherwise" if run.bandwidth.times else ""
        lines.append(f"Moves at most {rate(run.bandwidth.limit)}{otherwise}.")
    if run.priority:
        lines.append(f"Priority {run.priority}.")
    return lines


def target_name(spec: Spec) -> str:
    """What the target is called: the connection, or the package's file name."""
    if spec.target.package is not None:
        return PurePath(spec.target.package).name or spec.target.package
    return spec.target.connection or "?"


def source_name(spec: Spec) -> str:
    """What the source is called: the package's file name, or the connection."""
    if spec.source.package is not None:
        if is_url(spec.source.package):
            return file_name(spec.source.package)
        return PurePath(spec.source.package).name or spec.source.package
    return spec.source.connection or "?"


def to_move(appliance: Appliance) -> int:
    """Bytes that have to be moved, as far as the source tells: image sizes, else capacities."""
    return sum(
        disk.image_size or disk.populated or disk.capacity or 0
        for disk in appliance.disks.values()
        if not disk.blank
    )


def headline(appliance: Appliance, spec: Spec, where: str = "") -> str:
    """ "2 machines, 3 disks, 40 GB (1.2 GB to move) → lab-xen".

    ``where``: instead of the target of this one plan, where there are several.
    """
    total = sum(disk.capacity or 0 for disk in appliance.disks.values())
    return (
        f"{count(len(appliance.machines), 'machine')}, {count(len(appliance.disks), 'disk')}, "
        f"{size(total)} ({size(to_move(appliance))} to move) → {one_line(where or target_name(spec))}"
    )


def finding_line(finding: Finding) -> str:
    """ "! db01: the TPM's content does not travel. Have the recovery keys at hand."."""
    subject = f"{finding.subject}: " if finding.subject else ""
    remedy = f". {finding.remedy}" if finding.remedy else ""
    text = one_line(f"{subject}{finding.message.rstrip('.')}{remedy}")
    return f"{GLYPHS[finding.severity]} {text.rstrip('.')}."


def _promise(spec: Spec) -> str:
    if spec.source.package is not None:
        return "Nothing is written before you start. The package is not changed."
    if spec.source.consistency == "snapshot":
        return (
            "Nothing is written before you start. "
            "The machines are read from a snapshot, which is removed afterwards."
        )
    if spec.source.shut_down is not None:
        return (
            "Nothing is written before you start. "
            "Machines that run are shut down first, and started again if the move fails."
        )
    return "Nothing is written before you start. The source machines are not changed."


def _ordered(appliance: Appliance) -> list[tuple[int, Machine]]:
    return list(enumerate(sorted(appliance.machines, key=lambda each: each.start.order), 1))


def _machine(appliance: Appliance, spec: Spec, machine: Machine, number: int) -> str:
    plan = spec.machines.get(machine.id, MachinePlan())
    links = []
    for position, adapter in enumerate(machine.adapters):
        label = adapter.name or f"nic{position}"
        if spec.target.package is not None:
            links.append(f"{label}→{adapter.network or 'unplugged'}")
        elif adapter.id not in plan.adapters:
            links.append(f"{label}→?")
        else:
            ref = plan.adapters[adapter.id]
            links.append(f"{label}→{ref.name or ref.id}" if ref else f"{label}→unplugged")
    places = dict.fromkeys(
        spec.storage[disk.id].name or spec.storage[disk.id].id
        for disk in appliance.disks_of(machine)
        if disk.id in spec.storage
    )
    disks = appliance.disks_of(machine)
    parts = [
        f"{number} {machine.name}",
        f"{machine.processors.count} CPU",
        memory(machine.memory.size),
        machine.firmware.value.upper(),
        f"{count(len(disks), 'disk')} {size(sum(each.capacity or 0 for each in disks))}"
        + (f" on {', '.join(places)}" if places else ""),
        " ".join(links),
        _start(spec, machine),
    ]
    return "  ".join(one_line(each) for each in parts if each)


def _start(spec: Spec, machine: Machine) -> str:
    if not spec.start or spec.target.package is not None:
        return ""
    if not machine.start.start:
        return "is not started"
    delay = machine.start.start_delay_s
    return f"is started, then {delay} s are waited" if delay else "is started"
