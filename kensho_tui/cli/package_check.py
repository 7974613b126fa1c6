"""``kensho package check``: what is wrong with a package, as text, JSON or SARIF."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kensho_tui.cli import package_parts
from kensho_tui.cli.images import bounds_options
from kensho_tui.cli.out import Exit, emit, guarded, json_option, narrate
from kensho_tui.cli.package_parts import compared, recover_option, source_argument
from kensho_tui.findings import Finding, Severity
from kensho_tui.migration.units import count
from kensho_tui.ovf.package import Package
from kensho_tui.ovf.rules import NAMES, Fixed, inspect, lint, merge
from kensho_tui.text import one_line

if TYPE_CHECKING:
    from kensho_tui.machine import Appliance

configuration_option = click.option(
    "--configuration", metavar="ID", help="Deployment option to resolve; else the default one."
)
_MAX_OPTIONS = 64  # a descriptor may have any number, and each is a reading of its own
_ORDER = [Severity.ERROR, Severity.WARNING, Severity.INFO]


@click.command()
@source_argument
@click.option(
    "--configuration",
    metavar="ID",
    help="Deployment option to look at; else all of them.",
)
@click.option(
    "--digests",
    is_flag=True,
    help="Read every file: compare it with the manifest, and look into every disk.",
)
@click.option(
    "--for",
    "targets",
    multiple=True,
    type=click.Choice(list(NAMES)),
    help="Also what that target's own import refuses, loses or does otherwise.",
)
@click.option(
    "--fix",
    "mend",
    is_flag=True,
    help="Mend what needs no decision (with --for: what that target refuses too), make a new manifest, check.",
)
@click.option(
    "--output",
    type=package_parts.OUTPUT,
    help="With --fix: write the mended package there; else this one is replaced.",
)
@click.option("--sarif", "as_sarif", is_flag=True, help="Findings as SARIF 2.1.0, for other tools.")
@recover_option
@json_option
@bounds_options
@click.pass_context
@guarded
def check(
    ctx: click.Context,
    path: Path | str,
    configuration: str | None,
    digests: bool,
    targets: tuple[str, ...],
    mend: bool,
    output: Path | None,
    as_sarif: bool,
    recover: bool,
    as_json: bool,
) -> None:
    """What is wrong with the package; exit 8 where something is an error.

    The descriptor is held against the rules of DSP0243 (docs/packages.md), for every deployment option.
    """
    if as_sarif and as_json:
        raise click.UsageError("give one of --json and --sarif")
    if output is not None and not mend:
        raise click.UsageError("--output is where --fix writes to")
    opened = package_parts.opened(path, recover=recover)
    fixed: list[Fixed] = []
    if mend:
        from kensho_tui.cli.package_fix import mended

        opened, fixed = mended(opened, output, lint(opened, targets))
    appliance, findings = conformance(opened, configuration)
    findings += [each.finding for each in lint(opened, targets)]
    checked: dict[str, str] = {}
    if digests:
        from kensho_tui.cli.package_disks import look_into

        disks, broken = look_into(opened, appliance)
        checked, damaged = _verify(opened, disks)
        findings += [*broken, *damaged]
    findings.sort(key=lambda each: _ORDER.index(each.severity))
    if as_sarif:
        from kensho_tui.cli.sarif import sarif

        emit(sarif(opened, findings), "", as_json=True)
    else:
        _tell(opened, findings, checked, fixed, as_json=as_json)
    if any(each.severity is Severity.ERROR for each in findings):
        ctx.exit(int(Exit.FINDINGS))


def conformance(
    opened: Package, configuration: str | None = None
) -> tuple["Appliance", list[Finding]]:
    """The appliance in one deployment option, and the findings of that or else of all of them.

    Raises: DescriptorError: there is no such deployment option.
    """
    appliance, said = opened.appliance(configuration)
    findings = list(said)
    if configuration is None:
        options = opened.envelope.configurations
        if len(options) > _MAX_OPTIONS:
            narrate(f"Of {len(options)} deployment options the first {_MAX_OPTIONS} are looked at.")
        for option in options[:_MAX_OPTIONS]:
            findings = merge(findings, opened.appliance(option.id)[1])
    sizes = {name: place.size for name, place in opened.places.items()}
    noted = inspect(opened.envelope, sizes)
    return appliance, merge(findings, (each.finding for each in noted))


def _tell(
    opened: Package,
    findings: list[Finding],
    checked: dict[str, str],
    fixed: list[Fixed],
    *,
    as_json: bool,
) -> None:
    lines = [f"mended   {one_line(each.message)}" for each in fixed]
    lines += [told(each) for each in findings]
    lines += [f"intact   {one_line(name)}" for name, state in checked.items() if state == "intact"]
    errors = sum(each.severity is Severity.ERROR for each in findings)
    verdict = f"{count(errors, 'error')}" if errors else "no errors"
    emit(
        {"package": opened.location, "errors": errors, "findings": findings, "digests": checked,
         "fixed": fixed},
        "\n".join([*lines, f"{one_line(opened.name)}: {verdict}"]),
        as_json=as_json,
    )  # fmt: skip


def told(each: Finding) -> str:
    """A finding on one line, for people."""
    where = f"{one_line(each.subject)}: " if each.subject else ""
    line = f" (line {each.line})" if each.line else ""
    remedy = f" {each.remedy}" if each.remedy else ""
    clause = f" [{each.clause}]" if each.clause else ""
    return f"{each.severity:<8} {where}{one_line(each.message)}{line}{remedy}{clause}"


def _verify(opened: Package, known: dict[str, str]) -> tuple[dict[str, str], list[Finding]]:
    """State of every member the manifest promises something of, and the damage as findings.

    ``known``: of members that were compared already.
    """
    from kensho_tui.cli.package_disks import member_damaged

    listed = opened.manifest.digests if opened.manifest else ()
    here = [name for name in listed if name in opened.places]  # the others are a finding already
    found = dict(compared(opened, [name for name in here if name not in known]))
    states = {name: known.get(name) or ("damaged" if found[name] else "intact") for name in here}
    # The descriptor's own digest is looked at when the package is opened.
    damaged = [
        member_damaged(name, error)
        for name, error in found.items()
        if error and name != opened.descriptor_name
    ]
    return states, damaged
