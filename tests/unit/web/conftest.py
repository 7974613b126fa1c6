"""What tests of web servers share."""

from pathlib import Path

import pytest

from tests.unit.ovf.certificates import authority, identity, rsa_key


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No pauses to speak of, no proxy of this machine's, and spools of the test's own."""
    monkeypatch.setattr("kensho_tui.web.client._FIRST_PAUSE_S", 0.001)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    spools = tmp_path / "spools"
    spools.mkdir()
    monkeypatch.setenv("KENSHO_SPOOL_DIR", str(spools))


@pytest.fixture
def certified(tmp_path: Path) -> tuple[Path, Path]:
    """Key and certificate of 127.0.0.1 in one file, and the certificate of the authority that made it."""
    return make_certified(tmp_path)


def make_certified(folder: Path) -> tuple[Path, Path]:
    above = authority()
    own = identity("127.0.0.1", rsa_key(7), above, host="127.0.0.1")
    both, ca = folder / "site.pem", folder / "ca.pem"
    both.write_bytes(own.key_pem + own.pem)
    ca.write_bytes(above.pem)
    return both, ca
