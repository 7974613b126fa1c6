"""``python -m kensho_tui``."""

from kensho_tui.cli import main

if __name__ == "__main__":
    main()
