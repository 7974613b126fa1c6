"""The commands: headless twin of every screen. Standard output is data, standard error narration."""


def main() -> None:
    """Entry point of ``kensho``."""
    from kensho_tui.cli.root import root

    root(prog_name="kensho")
