"""The commands: headless twin of every screen. Standard output is data, standard error narration."""


def main() -> None:
    """Entry point of ``kensho``. A defect of ours becomes one sentence, and a report in a file."""
    from kensho_tui.cli.root import root

    try:
        root(prog_name="kensho")
    except Exception as error:  # noqa: BLE001 - the last line of defence before the terminal
        raise SystemExit(_defect(error)) from None


def _defect(error: Exception) -> int:
    """Keep the traceback where the operator can find it; the exit code."""
    import traceback

    from kensho_tui.cli.out import Exit, narrate
    from kensho_tui.paths import private_dir, state_dir

    name = type(error).__name__
    try:
        report = private_dir(state_dir()) / "last-defect.txt"
        report.touch(mode=0o600)
        report.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError as failed:
        narrate(f"Error: a defect of Kensho's own ({name}); no report could be kept ({failed})")
    else:
        narrate(f"Error: a defect of Kensho's own ({name}). Please report it with {report}")
    return int(Exit.INTERNAL)
