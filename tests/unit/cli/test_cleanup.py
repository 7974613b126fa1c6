"""A real job that could not tidy up, and what an operator does about it."""

import json
from dataclasses import replace
from pathlib import Path

from kensho_tui.cli.out import Exit
from kensho_tui.connections import ConnectionBook
from kensho_tui.lab import XenLab
from tests.desk import until
from tests.small import MIB, package
from tests.unit.cli.conftest import Kensho


def there(lab: XenLab) -> dict[str, list[str]]:
    database = lab.toolstack.database
    with database.lock:
        return {
            kind: sorted(str(database.get(kind, ref, "uuid")) for ref in database.refs(kind))
            for kind in ("VM", "VDI")
        }


def test_what_could_not_be_reached_is_removed_when_it_can_be_again(
    lab: XenLab, kensho: Kensho, tmp_path: Path
) -> None:
    before = there(lab)
    shop, _ = package(tmp_path, "shop", [2 * MIB])
    lab.control.set(bytes_per_second=64 << 10)
    started = kensho("import", shop, "--to", "lab-xen", "--storage", "local-sr", "--json")
    assert started.exit_code == Exit.OK, started.output
    job = json.loads(started.stdout)["job"]
    until("a disk on its way", lambda: "PUT /import_raw_vdi" in lab.control.calls)
    pin = lab.control.new_certificate()
    # Nobody is asked whether the new one is trusted: what is taken back waits for no answer.
    assert kensho("job", "cancel", job, "--wait").exit_code == Exit.ATTENTION
    shown = json.loads(kensho("job", "show", job, "--json").stdout)
    (left,) = shown["leftovers"]
    assert left["where"] == "lab-xen"
    assert f"kensho:{job}:deploy" in left["action"]
    still = kensho("job", "cleanup", job, "--wait")
    assert still.exit_code == Exit.ATTENTION
    assert still.stdout.count("Left over: ") == 1
    refused = kensho("job", "retry", job)
    assert refused.exit_code == Exit.INPUT
    assert f"kensho job cleanup {job}" in refused.stderr

    book = ConnectionBook()
    book.put(replace(book.get("lab-xen"), pin=pin))
    assert kensho("job", "cleanup", job, "--wait").exit_code == Exit.OK
    assert there(lab) == before
    ended = json.loads(kensho("job", "show", job, "--json").stdout)
    assert (ended["summary"]["state"], ended["leftovers"]) == ("cancelled", [])

    lab.control.reset()
    again = kensho("job", "retry", job, "--wait")
    assert again.exit_code == Exit.OK, again.output
    assert len(there(lab)["VM"]) == len(before["VM"]) + 1
    verified = kensho("journal", "verify")
    assert verified.exit_code == Exit.OK, verified.output
