"""A defect of ours: kept in a file for whoever mends it, said to the operator in one sentence."""

import traceback

from kensho_tui.errors import KenshoError
from kensho_tui.hidden import without_secrets
from kensho_tui.paths import private_dir, state_dir, write_private


def kept(error: BaseException) -> str:
    """Keep the traceback, without variables and without secrets, in ``last-defect.txt``; the sentence."""
    name = type(error).__name__
    text = without_secrets("".join(traceback.format_exception(error)))
    try:
        report = private_dir(state_dir()) / "last-defect.txt"
        write_private(report, text.encode("utf-8", errors="backslashreplace"))
    except (KenshoError, OSError) as failed:
        return f"a defect of Kensho's own ({name}); no report could be kept ({failed})"
    return f"a defect of Kensho's own ({name}). Please report it with {report}"
