"""An operator at a real terminal: starts a job in the wizard and watches it. Run as a program."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from kensho_tui.app import KenshoApp
from tests.ui.deciding import decide


async def operate(pilot: Pilot[Any]) -> None:
    """Start the job, then only look on until somebody ends this program."""
    await decide(pilot.app, pilot, Path(sys.argv[1]))
    await asyncio.Event().wait()


if __name__ == "__main__":
    KenshoApp().run(auto_pilot=operate)
