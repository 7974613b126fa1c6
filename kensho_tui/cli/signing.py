"""``kensho package verify|sign|strip|manifest``: whether a package is intact, whose it is, and saying so."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kensho_tui.cli import package_parts
from kensho_tui.cli.images import bounds_options
from kensho_tui.cli.out import Exit, emit, guarded, json_option, narrate
from kensho_tui.cli.package_parts import DIGESTS, compared, output_option, source_argument
from kensho_tui.cli.writing import source_date
from kensho_tui.errors import KenshoError
from kensho_tui.findings import Severity
from kensho_tui.migration.units import count
from kensho_tui.ovf.package import Package, open_package
from kensho_tui.ovf.promises import words
from kensho_tui.ovf.revoked import Revocation
from kensho_tui.ovf.signature import HASHES, Origin, State
from kensho_tui.ovf.trust import Chain
from kensho_tui.text import one_line

if TYPE_CHECKING:
    from kensho_tui.migration.licensing import Verdict
    from kensho_tui.ovf.sign import Signer

_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@source_argument
@click.option(
    "--signed-by",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Certificate (PEM file or folder) of a signer or authority that must have signed it.",
)
@click.option("--require-signed", is_flag=True, help="Exit 8 unless the author is proven.")
@json_option
@bounds_options
@click.pass_context
@guarded
def verify(
    ctx: click.Context,
    path: Path | str,
    signed_by: tuple[Path, ...],
    require_signed: bool,
    as_json: bool,
) -> None:
    """Read every file: is the package intact, and whose is it? Exit 8 where not.

    The verdicts stand side by side, because none makes up for another: a package can be intact and by
    nobody known, or signed by its author and damaged.
    """
    opened = package_parts.opened(path, signed_by=signed_by)
    states = member_states(opened)
    bad = [name for name, state in states.items() if state != "intact"]
    origin = opened.origin
    wrong = origin.state in {State.WRONG, State.UNREADABLE}
    unmet = any(each.id in {"signature-required", "manifest-incomplete", "manifest-unreadable"}
                and each.severity is Severity.ERROR for each in opened.findings)  # fmt: skip
    unmet = unmet or (require_signed and not _all_proven(opened, states))
    judged = _licences(opened)
    data = {**_data(opened, states), "licences": {**judged.data(), "findings": judged.findings}}
    lines = [*_lines(opened, states), *_licence_lines(judged)]
    emit(data, "\n".join(lines), as_json=as_json)
    if said := _unmet(opened, states, require_signed):
        narrate(said)
    if bad or wrong or unmet or judged.state == "denied":
        ctx.exit(int(Exit.FINDINGS))


def _licences(opened: Package) -> "Verdict":
    """What the site's policy says of it, where there is one."""
    from kensho_tui.migration import licensing

    return licensing.judge(opened.appliance()[0], "verify")


def _licence_lines(judged: "Verdict") -> list[str]:
    if not judged.policy:
        return ["  licences   not judged: there is no policy of licences here"]
    said = [f"{each.subject}: {each.message}" if each.subject else each.message
            for each in judged.findings]  # fmt: skip
    lines = [one_line(each) for each in (*said, *judged.facts)]
    return [f"  licences   {judged.state}", *(f"             {each}" for each in lines)]


def _unmet(opened: Package, states: dict[str, str], require_signed: bool) -> str:
    """What was asked for and is not so, as a sentence; "" for nothing."""
    for each in opened.findings:
        if each.id == "signature-required" and each.severity is Severity.ERROR:
            return one_line(f"Error: {each.message} {each.remedy}")
    if require_signed and not _all_proven(opened, states):
        return "Error: it was asked that its author is proven, and that is not so."
    return ""


def member_states(opened: Package) -> dict[str, str]:
    """Every member that a manifest has to list or does list: intact, damaged, missing or unlisted.

    Reads all that is listed, and says on standard error what it reads.
    """
    promised = opened.manifest.digests if opened.manifest else {}
    states = {name: "unlisted" for name in opened.covered if name not in promised}
    states |= dict.fromkeys(opened.absent, "missing")
    states |= {name: "missing" for name in promised if name not in opened.places}
    for name, error in compared(opened, [each for each in promised if each in opened.places]):
        if error:
            narrate(one_line(f"{error}"))
        states[name] = "damaged" if error else "intact"
    return states


def _all_proven(opened: Package, states: dict[str, str]) -> bool:
    weak = opened.manifest is None or opened.manifest.weak
    return opened.origin.proven and not weak and set(states.values()) == {"intact"}


def _lines(opened: Package, states: dict[str, str]) -> list[str]:
    promised = opened.manifest.digests if opened.manifest else {}
    listed = count(len(promised), "file")
    groups = {kind: [n for n, s in states.items() if s == kind]
              for kind in ("intact", "damaged", "missing", "unlisted")}  # fmt: skip
    broken = [f"{kind}: {', '.join(map(one_line, groups[kind]))}"
              for kind in ("damaged", "missing") if groups[kind]]  # fmt: skip
    if opened.manifest is None:
        integrity = "no manifest that can be read: nothing tells whether the files are intact"
    else:
        read = f"intact: {listed} read, all match the manifest" if promised else "nothing is listed"
        integrity = "; ".join(broken) or read
    unlisted = ", ".join(map(one_line, groups["unlisted"]))
    kinds = sorted({each.algorithm.upper() for each in promised.values()})
    lines = [
        one_line(opened.name),
        f"  integrity  {integrity}",
        f"  coverage   {f'not in the manifest: {unlisted}' if unlisted else 'every file is listed'}",
        f"  strength   {', '.join(kinds)}" + (" (SHA-1 can be forged)" if "SHA1" in kinds else ""),
        *_signature(opened.origin),
    ]
    return [line for line in lines if promised or not line.startswith(("  coverage", "  strength"))]


def _signature(origin: Origin) -> list[str]:
    if origin.state is State.NONE:
        return ["  signature  none"]
    lines = []
    if origin.state is State.RIGHT and origin.signer:
        weak = f"; it rests on {origin.weak}, which can be forged" if origin.weak else ""
        how = f"{origin.algorithm.upper()} with {origin.signer.key}"
        lines.append(f"  signature  right ({how}){weak}")
    else:
        lines.append(f"  signature  {origin.state}: {one_line(origin.why)}")
    if origin.form:
        lines.append(f"             {one_line(origin.form)}")
    if origin.signer:
        signer = origin.signer
        use = {None: "", True: ", for signing code", False: ", not for signing code"}[
            signer.for_code
        ]
        lines += [
            f"  signer     {one_line(signer.name)} ({one_line(signer.subject)}){use}",
            f"             certificate {signer.fingerprint}",
            f"  valid      {signer.since:%Y-%m-%d} to {signer.until:%Y-%m-%d}"
            + ("" if origin.in_time else ": not today"),
            f"  chain      {one_line(words(origin))}",
            f"  revoked    {_revoked(origin)}",
        ]
    lines.append(f"  author     {'proven' if origin.proven else 'not proven'}")
    return lines


def _revoked(origin: Origin) -> str:
    match origin.revocation:
        case Revocation.REVOKED:
            head = "yes"
        case Revocation.GOOD:
            head = "no"
        case _:
            head = "not known"
    return f"{head}: {one_line(origin.revoked_why)}"


def _data(opened: Package, states: dict[str, str]) -> dict[str, Any]:
    origin = opened.origin
    return {
        "package": opened.location,
        "manifest": opened.papers.name or None,
        "files": states,
        "algorithms": sorted({d.algorithm for d in opened.manifest.digests.values()})
        if opened.manifest
        else [],
        "signature": {**asdict(origin), "proven": origin.proven,
                      "trusted": origin.chain in {Chain.NAMED, Chain.TRUSTED}},
    }  # fmt: skip


# ---------------------------------------------------------------------------------------- writing
@click.command()
@source_argument
@click.option("--key", type=_file, help="Private key (PEM).")
@click.option(
    "--certificate", type=_file, help="The signer's certificate, then those above it (PEM)."
)
@click.option("--pkcs12", type=_file, help="Key and certificates in one file (.p12, .pfx).")
@click.option(
    "--command",
    metavar="TEXT",
    help="Program that signs: gets the manifest, gives the binary signature; {algorithm} is put in."
    " Arguments as a shell would read them; no shell runs.",
)
@click.option(
    "--passphrase",
    metavar="REF",
    help="Where the key's passphrase is: env:NAME, file:PATH, age:NAME …",
)
@click.option("--algorithm", type=click.Choice(list(HASHES)), default="sha256", show_default=True)
@click.option(
    "--new-manifest", is_flag=True, help="Make a new manifest of the files as they are now."
)
@output_option
@json_option
@bounds_options
@guarded
def sign(
    path: Path | str,
    key: Path | None,
    certificate: Path | None,
    pkcs12: Path | None,
    command: str | None,
    passphrase: str | None,
    algorithm: str,
    new_manifest: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Sign the package, in place of a signature that it has.

    All files are read and compared with the manifest first: what is signed is what is there. With
    --new-manifest (or where there is no manifest) a new one with --algorithm is made and signed.
    """
    from kensho_tui.ovf.rewrite import Wanted, rewrite

    if sum(each is not None for each in (key, pkcs12, command)) != 1:
        raise click.UsageError("give one of --key, --pkcs12 and --command")
    if pkcs12 is None and certificate is None:
        raise click.UsageError("give the signer's --certificate")
    signer = _signer(key, certificate, pkcs12, command, passphrase)
    opened = package_parts.opened(path, integrity="warn")
    fresh = new_manifest or not opened.papers.name
    if fresh and algorithm not in DIGESTS.choices:
        raise click.UsageError(f"a manifest's digests are {', '.join(DIGESTS.choices)}")
    made = rewrite(
        opened,
        Wanted(
            algorithm=algorithm if fresh else None,
            signer=signer,
            signed_with=algorithm,
            verify=not fresh,
            complete=True,
            mtime=source_date(),
        ),
        output,
        told=_changed,
    )
    _told(made, as_json=as_json)


@click.command()
@source_argument
@output_option
@json_option
@bounds_options
@guarded
def strip(path: Path | str, output: Path | None, as_json: bool) -> None:
    """Take the signature off, as where its certificate has ended. The manifest stays as it is."""
    from kensho_tui.ovf.rewrite import Wanted, rewrite

    opened = package_parts.opened(path, integrity="warn")
    if not opened.papers.certificate_name:
        raise KenshoError("the package is not signed", subject=opened.name)
    _told(rewrite(opened, Wanted(verify=False, mtime=source_date()), output), as_json=as_json)


@click.command()
@source_argument
@click.option("--algorithm", type=DIGESTS, default="sha256", show_default=True)
@output_option
@json_option
@bounds_options
@guarded
def manifest(path: Path | str, algorithm: str, output: Path | None, as_json: bool) -> None:
    """Make a new manifest of the files as they are now. A signature of the old one is taken off.

    XenServer's own tools and older vSphere know SHA-1 only; all else takes SHA-256.
    """
    from kensho_tui.ovf.rewrite import Wanted, rewrite

    opened = package_parts.opened(path, integrity="warn")
    if opened.papers.certificate_name:
        narrate("The signature is taken off: it was that of the old manifest.")
    wanted = Wanted(algorithm=algorithm, verify=False, complete=True, mtime=source_date())
    _told(rewrite(opened, wanted, output, told=_changed), as_json=as_json)


def _changed(name: str) -> None:
    narrate(f"{one_line(name)} did not match the old manifest; the new one has it as it is now.")


COMMANDS = (verify, sign, strip, manifest)


def _told(made: Path, *, as_json: bool) -> None:
    opened = open_package(made, integrity="warn")
    state = opened.origin.state
    if opened.origin.weak:
        narrate(f"The signature rests on {opened.origin.weak}, which can be forged.")
    emit(
        {"package": str(made), "manifest": opened.papers.name or None, "signature": state},
        f"{one_line(str(made))}: {'signed' if state is State.RIGHT else 'not signed'},"
        f" manifest {one_line(opened.papers.name) or 'none'}",
        as_json=as_json,
    )


def _signer(
    key: Path | None,
    certificate: Path | None,
    bundle: Path | None,
    command: str | None,
    passphrase: str | None,
) -> "Signer":
    from kensho_tui.ovf.sign import CommandSigner, KeySigner
    from kensho_tui.ovf.trust import Trust

    if command is not None and certificate is not None:
        import shlex

        try:
            words_ = shlex.split(command)
        except ValueError as error:
            raise click.UsageError(f"--command cannot be read: {error}") from error
        if not words_:
            raise click.UsageError("--command names no program")
        return CommandSigner(words_, Trust.of_files([certificate]).certificates)
    file = key or bundle
    if file is None:
        raise click.UsageError("give a key")
    word = _passphrase(file, passphrase)
    if bundle is not None:
        return KeySigner.from_pkcs12(bundle, word)
    return KeySigner.from_pem(file, certificate or file, word)


def _passphrase(file: Path, reference: str | None) -> str | None:
    import sys

    from kensho_tui.ovf.sign import is_encrypted

    if reference is not None:
        from kensho_tui.connections import Connection, SecretRef
        from kensho_tui.engine.sources import resolve

        place = SecretRef.parse(reference)
        return resolve(Connection("signing key", "package", str(file), secret=place))
    if is_encrypted(file) and sys.stdin.isatty():
        value: str = click.prompt(f"Passphrase of {file}", hide_input=True, err=True)
        return value
    return None
