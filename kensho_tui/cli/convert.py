"""``kensho package convert``: a package in another version of the standard, or for those who import it."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import click

from kensho_tui.cli import package_parts
from kensho_tui.cli.out import Exit, emit, guarded, json_option, narrate
from kensho_tui.cli.package_check import told
from kensho_tui.cli.package_copy import copied
from kensho_tui.cli.package_parts import DIGESTS, output_option, recover_option, source_argument
from kensho_tui.findings import Finding, Severity
from kensho_tui.migration.units import count
from kensho_tui.ovf.convert import Converted
from kensho_tui.ovf.convert import convert as converted
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.package import Package
from kensho_tui.ovf.profiles import PROFILES, Profile, profiled
from kensho_tui.ovf.promises import Papers
from kensho_tui.ovf.rewrite import Wanted, rewrite
from kensho_tui.ovf.rules import lint
from kensho_tui.ovf.sign import DEFAULT
from kensho_tui.ovf.versions import VERSIONS, Version
from kensho_tui.text import one_line


@click.command("convert")
@source_argument
@click.option("--to", "version", type=click.Choice(VERSIONS), help="Version of OVF.")
@click.option(
    "--profile",
    "name",
    type=click.Choice(list(PROFILES)),
    help="Rewrite what these refuse or break on; in OVF 1.1 where nothing is said.",
)
@click.option(
    "--configuration",
    metavar="ID",
    help="With --profile: the deployment option that is kept, where only one can be; else the default one.",
)
@output_option
@click.option(
    "--strict", is_flag=True, help="Write nothing where something could not be carried; exit 8."
)
@click.option(
    "--algorithm", type=DIGESTS, help="Of the new manifest; else the old one's, or sha256."
)
@click.option("--dry-run", is_flag=True, help="Say what would become of it, and write nothing.")
@recover_option
@json_option
@click.pass_context
@guarded
def convert(
    ctx: click.Context,
    path: Path | str,
    version: Version | None,
    name: str | None,
    configuration: str | None,
    output: Path | None,
    strict: bool,
    algorithm: str | None,
    dry_run: bool,
    recover: bool,
    as_json: bool,
) -> None:
    """Write a package in another version of OVF, or for those who are to import it.

    What the version or its readers have no word for is left out, and told: a line for each. All else stays,
    and so does every file: disks are not converted. A new manifest is made, and a signature taken off.
    """
    if version is None and name is None:
        raise click.UsageError("give a version (--to), or for whom it is (--profile)")
    if configuration is not None and name is None:
        raise click.UsageError("--configuration goes with --profile")
    opened = package_parts.opened(path, integrity="warn", recover=recover)
    profile = PROFILES[name] if name else None
    made = _converted(opened, version, profile, configuration, recover=recover)
    left = _left(opened, made, profile)
    refused = strict and bool(made.lost or left)
    changed = made.data != opened.descriptor
    written = (changed or output is not None) and not refused and not dry_run
    where: Path | str = path if isinstance(path, Path) else opened.location
    if written and not changed and output is not None:
        where = copied(opened, output)
    elif written:
        wanted = Wanted(descriptor=made.data, algorithm=algorithm or _algorithm(opened))
        where = rewrite(opened, wanted, output)
        if opened.papers.certificate_name:
            narrate("The signature was taken off: it was that of the old descriptor. Sign the package"
                    " again with 'kensho package sign'.")  # fmt: skip
    _tell(made, left, where, version or "1.1", name, written=written, changed=changed,
          as_json=as_json)  # fmt: skip
    if refused:
        many = count(len(made.lost) + len(left), "thing")
        narrate(f"Nothing was written: {many} could not be carried, or would be refused.")
        ctx.exit(int(Exit.FINDINGS))
    if not changed and not written:
        narrate("That is how it is already: nothing was written.")
    elif dry_run:
        narrate("Nothing was written.")


def _converted(
    opened: Package,
    version: Version | None,
    profile: Profile | None,
    configuration: str | None,
    *,
    recover: bool,
) -> Converted:
    data, subject = opened.descriptor, opened.descriptor_name
    if profile is None:
        return converted(data, version or "1.1", subject, recover=recover)
    return profiled(
        data,
        profile,
        subject,
        version=version or "1.1",
        configuration=configuration,
        recover=recover,
    )


def _left(opened: Package, made: Converted, profile: Profile | None) -> list[Finding]:
    """What those it is for refuse all the same: disks in formats that they do not take, above all."""
    if profile is None or not profile.target:
        return []
    new = replace(opened, envelope=Envelope.parse(made.data), papers=Papers(), wrapped=False)
    found = [each.finding for each in lint(new, [profile.target])]
    return [each for each in found if each.severity is Severity.ERROR]


def _algorithm(opened: Package) -> str:
    digests = opened.manifest.digests.values() if opened.manifest else ()
    used = Counter(each.algorithm for each in digests).most_common(1)
    return used[0][0] if used else DEFAULT


def _tell(
    made: Converted,
    left: list[Finding],
    where: Path | str,
    version: str,
    profile: str | None,
    *,
    written: bool,
    changed: bool,
    as_json: bool,
) -> None:
    lines = [f"mended   {one_line(each.message)}" for each in made.fixed]
    lines += [told(each) for each in [*made.findings, *left]]
    if written:
        whom = f", for {PROFILES[profile].title}" if profile else ""
        how = "written as" if changed else "a copy; it was already"
        lines.append(f"{one_line(str(where))}: {how} OVF {version}{whom}")
    emit(
        {
            "package": str(where),
            "version": version,
            "profile": profile,
            "written": written,
            "changed": changed,
            "lost": len(made.lost),
            "findings": made.findings,
            "left": left,
            "fixed": made.fixed,
        },
        "\n".join(lines),
        as_json=as_json,
    )
