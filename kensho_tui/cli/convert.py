"""``kensho package convert``: a package in another version of the standard."""

from collections import Counter
from pathlib import Path

import click

from kensho_tui.cli import package_parts
from kensho_tui.cli.out import Exit, emit, guarded, json_option, narrate
from kensho_tui.cli.package_check import told
from kensho_tui.cli.package_parts import DIGESTS, output_option, path_argument, recover_option
from kensho_tui.migration.units import count
from kensho_tui.ovf.convert import Converted
from kensho_tui.ovf.convert import convert as converted
from kensho_tui.ovf.package import Package
from kensho_tui.ovf.rewrite import Wanted, rewrite
from kensho_tui.ovf.sign import DEFAULT
from kensho_tui.ovf.versions import VERSIONS, Version
from kensho_tui.text import one_line


@click.command("convert")
@path_argument
@click.option("--to", "version", type=click.Choice(VERSIONS), required=True, help="Version of OVF.")
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
    path: Path,
    version: Version,
    output: Path | None,
    strict: bool,
    algorithm: str | None,
    dry_run: bool,
    recover: bool,
    as_json: bool,
) -> None:
    """Write a package in another version of OVF: 0.9, 1.x or 2.x as 1.1 or 2.0.

    What the version has no word for is left out, and told: a line for each. All else stays, and so does
    every file. A new manifest is made, and a signature taken off.
    """
    opened = package_parts.opened(path, integrity="warn", recover=recover)
    made = converted(opened.descriptor, version, opened.descriptor_name, recover=recover)
    refused = strict and bool(made.lost)
    changed = made.data != opened.descriptor
    where = path
    if changed and not refused and not dry_run:
        wanted = Wanted(descriptor=made.data, algorithm=algorithm or _algorithm(opened))
        where = rewrite(opened, wanted, output)
        if opened.papers.certificate_name:
            narrate("The signature was taken off: it was that of the old descriptor. Sign the package"
                    " again with 'kensho package sign'.")  # fmt: skip
    _tell(made, where, version, written=changed and not refused and not dry_run, as_json=as_json)
    if refused:
        narrate(f"Nothing was written: {count(len(made.lost), 'thing')} could not be carried.")
        ctx.exit(int(Exit.FINDINGS))
    if not changed:
        narrate(f"It is OVF {version} already: nothing was written.")
    elif dry_run:
        narrate("Nothing was written.")


def _algorithm(opened: Package) -> str:
    digests = opened.manifest.digests.values() if opened.manifest else ()
    used = Counter(each.algorithm for each in digests).most_common(1)
    return used[0][0] if used else DEFAULT


def _tell(made: Converted, where: Path, version: str, *, written: bool, as_json: bool) -> None:
    lines = [f"mended   {one_line(each.message)}" for each in made.fixed]
    lines += [told(each) for each in made.findings]
    if written:
        lines.append(f"{one_line(str(where))}: written as OVF {version}")
    emit(
        {
            "package": str(where),
            "version": version,
            "written": written,
            "lost": len(made.lost),
            "findings": made.findings,
            "fixed": made.fixed,
        },
        "\n".join(lines),
        as_json=as_json,
    )
