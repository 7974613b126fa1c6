"""The commands in this process, and a lab that they know."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kensho_tui.cli.root import root
from kensho_tui.connections import ConnectionBook
from kensho_tui.engine.client import Client
from kensho_tui.errors import KenshoError
from kensho_tui.lab import XenLab
from tests.desk import to_lab
from tests.unit.migration.packages import PASSWORD

Kensho = Callable[..., Result]


@pytest.fixture
def kensho() -> Kensho:
    """The command, in this process."""

    def run(*arguments: str | Path) -> Result:
        return CliRunner().invoke(root, [str(each) for each in arguments])

    return run


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[XenLab]:
    """A lab, the connection ``lab-xen`` to it, and at the end no runner."""
    state = tmp_path / "state"
    monkeypatch.setenv("KENSHO_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("KENSHO_STATE_DIR", str(state))
    monkeypatch.setenv("SHOP_ADMIN", PASSWORD)
    with XenLab(tmp_path / "lab") as lab:
        ConnectionBook().put(to_lab(lab))
        yield lab
        try:
            with Client.open(start=False) as client:
                client.stop(workers=True)
        except KenshoError:
            assert not (state / "journal.db").exists() or not list(state.glob("*.sock"))
