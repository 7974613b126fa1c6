"""The commands: headless twin of every screen. Standard output is data, standard error narration."""

import atexit
import errno
import gc
import sys
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kensho_tui.cli.stdout import OutputError

# Loading a command makes tens of thousands of objects and no garbage: looking for some, while they come
# and once more at the end, is a sixth of what a short command takes.
_OBJECTS_BETWEEN_COLLECTIONS = 50_000


def main() -> None:
    """Entry point of ``kensho``. A defect of ours becomes one sentence, and a report in a file.

    So does, without a report, standard output that cannot be written.
    """
    if not sys.warnoptions:
        # What a library notes for programmers, of a stranger's certificate too, is nothing for operators.
        warnings.simplefilter("ignore")
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    atexit.register(gc.freeze)
    from kensho_tui.cli.root import root
    from kensho_tui.cli.stdout import OutputError, prepare

    try:
        prepare()
        try:
            root(prog_name="kensho")
        finally:
            sys.stdout.flush()
    except OutputError as error:
        raise SystemExit(_unwritable(error)) from None
    except Exception as error:  # noqa: BLE001 - the last line of defence before the terminal
        raise SystemExit(_defect(error)) from None


def _unwritable(error: "OutputError") -> int:
    """Say why, but where nobody reads any more, as in ``kensho job list | head``; the exit code."""
    from kensho_tui.cli.out import Exit, narrate

    if error.errno == errno.EPIPE:
        return int(Exit.PIPE)
    narrate(f"Error: {error}")
    return int(Exit.OUTPUT)


def _defect(error: Exception) -> int:
    """Keep the traceback where the operator can find it; the exit code."""
    from kensho_tui.cli.out import Exit, narrate
    from kensho_tui.defects import kept

    narrate(f"Error: {kept(error)}")
    return int(Exit.INTERNAL)
