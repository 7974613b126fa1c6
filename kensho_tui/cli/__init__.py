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
    try:
        from kensho_tui.cli.stdout import OutputError, prepare

        try:
            prepare()
            try:
                code = _run()
            finally:
                sys.stdout.flush()
        except OutputError as error:
            code = _unwritable(error)
    except KeyboardInterrupt:
        code = _interrupted()
    except Exception as error:  # noqa: BLE001 - the last line of defence before the terminal
        code = _defect(error)
    raise SystemExit(code)


def _run() -> int:
    import click

    from kensho_tui.cli.root import root

    try:
        # By itself click says "Aborted!" where it is interrupted before a command has begun, and ends with 1.
        code = root.main(prog_name="kensho", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return _interrupted()
    return code if isinstance(code, int) else 0


def _interrupted() -> int:
    from kensho_tui.cli.out import Exit, narrate

    narrate("Interrupted.")
    return int(Exit.INTERRUPTED)


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
