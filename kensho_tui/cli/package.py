"""``kensho package``: what is in an OVF package, and whether it is all right."""

from pathlib import Path
from typing import Any

import click

from kensho_tui.cli import convert, create, edit, package_parts, package_together, signing
from kensho_tui.cli.images import bounds_options
from kensho_tui.cli.out import emit, guarded, json_option, narrate
from kensho_tui.cli.package_check import check, configuration_option
from kensho_tui.cli.package_copy import copy
from kensho_tui.cli.package_parts import recover_option, source_argument
from kensho_tui.findings import Finding, Severity
from kensho_tui.machine import Appliance, Machine
from kensho_tui.migration.units import count, memory, size
from kensho_tui.ovf.hardware import TARGETS
from kensho_tui.ovf.package import Package
from kensho_tui.ovf.signature import State
from kensho_tui.person import language
from kensho_tui.text import one_line


@click.group()
def package() -> None:
    """Show, check, edit and sign OVF packages: .ova, .ovf, a folder; or wrapped: .ova.gz, .zip …"""


for _command in (check, copy, convert.convert, create.create, *signing.COMMANDS, *edit.COMMANDS):
    package.add_command(_command)


@package.command()
@source_argument
@configuration_option
@click.option(
    "--locale", metavar="LANG", help="Language of texts, such as de-DE; else this terminal's."
)
@click.option(
    "--for",
    "target",
    type=click.Choice(list(TARGETS)),
    help="Of several hardware descriptions of a machine, show that for this target; else for Xen.",
)
@recover_option
@json_option
@bounds_options
@guarded
def show(
    path: Path | str,
    configuration: str | None,
    locale: str | None,
    target: str | None,
    recover: bool,
    as_json: bool,
) -> None:
    """What the package is: product, machines, disks, networks, questions, licences."""
    opened = package_parts.opened(path, recover=recover)
    wanted = language() if locale is None else locale
    appliance, findings = opened.appliance(configuration, locale=wanted, target=target or "")
    emit(_data(opened, appliance, findings), "\n".join(_lines(opened, appliance)), as_json=as_json)
    errors = sum(each.severity is Severity.ERROR for each in findings)
    if errors:
        narrate(f"{count(errors, 'error')}: see 'kensho package check'.")


# ----------------------------------------------------------------------------------------- words
def _lines(opened: Package, appliance: Appliance) -> list[str]:
    machines = count(len(appliance.machines), "machine")
    lines = [
        f"{one_line(appliance.name)}  ({machines}, {size(opened.size)} in {one_line(opened.name)})"
    ]
    for product in appliance.products:
        words = [product.name, product.full_version or product.version, product.vendor]
        lines.append(f"  product    {one_line(' · '.join(w for w in words if w), limit=90)}")
    if appliance.description:
        lines.append(f"  about      {one_line(appliance.description, limit=90)}")
    if len(appliance.languages) > 1:
        others = ", ".join(one_line(x) for x in appliance.languages if x != appliance.language)
        lines.append(f"  texts in   {one_line(appliance.language)}; also {others} (--locale)")
    for option in appliance.configurations:
        mark = "*" if option.id == appliance.configuration else " "
        lines.append(f" {mark}option     {one_line(option.id)}: {one_line(option.label)}")
    for machine in appliance.machines:
        lines += _machine(appliance, machine)
    if appliance.networks:
        lines.append(f"  networks   {', '.join(one_line(n.id) for n in appliance.networks)}")
    lines += package_together.lines(appliance)
    lines += _questions(appliance)
    for number, licence in enumerate(appliance.licences, 1):
        first = one_line(licence.text, limit=50)
        lines.append(f"  licence {number}  {first} (digest {licence.digest[:12]}…)")
    lines.append(f"  integrity  {_integrity(opened)}")
    lines.append(f"  signature  {_origin(opened)}")
    return lines


def _machine(appliance: Appliance, machine: Machine) -> list[str]:
    os = machine.os.description or machine.os.vendor_id
    about = [count(machine.processors.count, "CPU"), memory(machine.memory.size),
             one_line(machine.firmware.upper()), *([one_line(os, limit=40)] if os else [])]  # fmt: skip
    lines = [f"  machine    {one_line(machine.name)}: {', '.join(about)}"]
    for disk in appliance.disks_of(machine):
        capacity = "size unknown" if disk.capacity is None else size(disk.capacity)
        image = "blank" if disk.blank else one_line(disk.image)
        if disk.image_size is not None:
            image += f", {size(disk.image_size)}"
        lines.append(f"    disk     {one_line(disk.name or disk.id)}: {capacity} ({image})")
    for adapter in machine.adapters:
        where = one_line(adapter.network) if adapter.network else "not connected"
        facts = ", ".join(f for f in (one_line(adapter.model), one_line(adapter.mac or "")) if f)
        lines.append(f"    network  {one_line(adapter.name or adapter.id)}: {where}"
                     + (f" ({facts})" if facts else ""))  # fmt: skip
    return lines


def _questions(appliance: Appliance) -> list[str]:
    from kensho_tui.ovf.properties import needed

    lines = []
    for asked in appliance.properties:
        if asked.password:
            value = ", a password" + ("" if asked.default is None else " (default not shown)")
        else:
            value = "" if asked.default is None else f" = {one_line(asked.default, limit=30)!r}"
        # As the wizard marks them.
        value += " *" if needed(asked) else ""
        fixed = "" if asked.configurable else " (fixed)"
        kind = asked.vendor_type or asked.type
        label = f"  {one_line(asked.label, limit=40)}" if asked.label else ""
        lines.append(
            f"  property   {one_line(asked.address)}: {one_line(kind)}{value}{fixed}{label}"
        )
    return lines


def _integrity(opened: Package) -> str:
    if opened.manifest is None:
        return "no manifest"
    kinds = sorted({each.algorithm for each in opened.manifest.digests.values()})
    listed = count(len(opened.manifest.digests), "file")
    return f"manifest lists {listed} ({', '.join(kinds)}); 'check --digests' compares them"


def _origin(opened: Package) -> str:
    origin = opened.origin
    if origin.state is State.RIGHT and origin.signer is not None:
        proven = "author proven" if origin.proven else "author not proven"
        return f"by {one_line(origin.signer.name)}, {proven}; 'verify' tells more"
    return "none" if origin.state is State.NONE else f"{origin.state}: {one_line(origin.why)}"


def _data(opened: Package, appliance: Appliance, findings: tuple[Finding, ...]) -> dict[str, Any]:
    """For JSON: the appliance as it is, without what a password's default says."""
    properties = [
        {
            "address": p.address, "type": p.vendor_type or p.type, "qualifiers": p.qualifiers,
            "default": None if p.password else p.default, "configurable": p.configurable,
            "password": p.password, "label": p.label, "description": p.description,
            "category": p.category, "product": p.product,
        }
        for p in appliance.properties
    ]  # fmt: skip
    return {
        "package": opened.location,
        "archive": opened.archive,
        "size": opened.size,
        "identity": opened.identity,
        "name": appliance.name,
        "description": appliance.description,
        "products": appliance.products,
        "configurations": appliance.configurations,
        "configuration": appliance.configuration,
        "machines": appliance.machines,
        "disks": list(appliance.disks.values()),
        "networks": appliance.networks,
        "properties": properties,
        "languages": appliance.languages,
        "language": appliance.language,
        "licences": [
            {"owner": each.owner, "digest": each.digest, "text": each.text}
            for each in appliance.licences
        ],
        "transports": appliance.transports,
        **package_together.data(appliance),
        "manifest": {name: str(each) for name, each in opened.manifest.digests.items()}
        if opened.manifest
        else None,
        "findings": findings,
    }
