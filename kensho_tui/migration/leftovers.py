"""What a job leaves behind, and how it takes it back, as data that every process can read and write."""

from kensho_tui.migration.context import Json

# Undo actions beside `WITHDRAW`; what they do stands in `kensho_tui.migration.undo`.
SWEEP = "sweep"  # remove what carries the key and is not committed
RELEASE = "release"  # let go of the capture that carries the key
START = "start"  # start the machines that were shut down
# How the title of a capture ends that made a snapshot, which its release removes.
BY_SNAPSHOT = "by a snapshot"
# The steps that build the target, and that move a disk into what was built.
DEPLOY, DISK = "deploy", "disk:"
# The step that hands guests their settings, and the kind of a leftover that is what they were handed.
ENVIRONMENT = "environment"
WITHDRAW = "withdraw"  # undo action: take back what was handed to guests under the key
EJECT, KEEP = "eject", "keep"  # answers to whether the guests have read them
# What a job logs that is cancelled after its commit.
CANCELLED_LATE = (
    "its machines are in service and stay; only the CDs with the guests' settings are ejected and"
    " deleted"
)
KEPT = "kept"  # key of a leftover that stays on purpose: a success all the same


def environment_left(job: str, data: Json, reason: str) -> dict[str, str]:
    """The CDs with the guests' settings as a leftover; ``data``: of the undo that is open."""
    return {
        "kind": ENVIRONMENT,
        "id": data["key"],
        "name": "the CDs with the guests' settings, a password among them",
        "where": data.get("connection", ""),
        "reason": reason,
        "action": f"Eject and delete them with 'kensho job eject {job}'",
    }
