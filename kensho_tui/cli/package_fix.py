"""What ``kensho package check --fix`` does: a package written anew with a mended descriptor."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from kensho_tui.cli.out import narrate
from kensho_tui.cli.package_copy import copied
from kensho_tui.cli.signing import member_states
from kensho_tui.errors import KenshoError
from kensho_tui.ovf.package import Package, open_package
from kensho_tui.ovf.rewrite import Wanted, rewrite
from kensho_tui.ovf.rules import Fixed, Noted, fix
from kensho_tui.ovf.sign import DEFAULT
from kensho_tui.text import one_line


def mended(
    opened: Package, output: Path | None, more: Iterable[Noted] = ()
) -> tuple[Package, list[Fixed]]:
    """The package as it is after mending, and what was mended; itself, or a copy, where there was nothing.

    Args:
        output: where the new one goes; None: in place of the old one.
        more: edits of this very descriptor that were asked for besides.

    Raises:
        KenshoError: a file does not match the manifest: a new one would say that it does.
        PackageError, FileError: see `rewrite`.
    """
    sizes = {name: place.size for name, place in opened.places.items()}
    fixed = fix(opened.envelope, sizes, more)
    if not fixed:
        narrate("Nothing in the descriptor can be mended without a decision.")
        if output is None:
            return opened, []
        made = copied(opened, output)
        narrate(one_line(f"{made}: a copy, as it was."))
        return open_package(made), []
    damaged = [name for name, state in member_states(opened).items() if state == "damaged"]
    if damaged:
        raise KenshoError(
            "the file is not what the manifest promises, and a new manifest would say that it is",
            subject=f"{opened.name}: {damaged[0]}",
            remedy="Get the package again; if the change is your own, make a new manifest first"
            " (kensho package manifest)",
        )
    if opened.papers.certificate_name:
        narrate("The signature is taken off: it was that of the old descriptor. Sign it anew with"
                " 'kensho package sign'.")  # fmt: skip
    digests = opened.manifest.digests.values() if opened.manifest else ()
    used = Counter(each.algorithm for each in digests).most_common(1)
    algorithm = used[0][0] if used else DEFAULT
    made = rewrite(opened, Wanted(descriptor=opened.envelope.save(), algorithm=algorithm), output)
    return open_package(made), fixed
