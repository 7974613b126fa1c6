"""What a job leaves behind in the guests' drives, as data that every process can read and write."""

from kensho_tui.migration.context import Json

# The step that hands guests their settings, and the kind of a leftover that is what they were handed.
ENVIRONMENT = "environment"
WITHDRAW = "withdraw"  # undo action: take back what was handed to guests under the key
EJECT, KEEP = "eject", "keep"  # answers to whether the guests have read them
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
